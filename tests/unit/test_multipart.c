/* The multipart push parser and media types: how the bytes are cut into pieces must never matter. */
#include "service/http/multipart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs the four above first */
#include <cmocka.h>

/* What came out, as text: "<type>content;" a part. */
struct seen { char text[4096]; size_t n, parts, fail_at; };

static void
put(struct seen *s, const char *bytes, size_t n)
{
	assert_true(s->n + n < sizeof s->text);
	memcpy(s->text + s->n, bytes, n);
	s->n += n;
	s->text[s->n] = '\0';
}

static int
on_begin(void *arg, const struct multipart_head *head, struct err *e)
{
	struct seen *s = arg;

	if (s->fail_at && ++s->parts == s->fail_at)
		return err_set(e, ERR_LIMIT, "too many parts");
	put(s, "<", 1);
	put(s, head->content_type, strlen(head->content_type));
	if (head->transfer_encoding[0])
		put(s, "|", 1);
	put(s, head->transfer_encoding, strlen(head->transfer_encoding));
	put(s, ">", 1);
	return 0;
}

static int
on_bytes(void *arg, const char *bytes, size_t n, struct err *e)
{
	(void)e;
	assert_true(n > 0);
	put(arg, bytes, n);
	return 0;
}

static int
on_end(void *arg, struct err *e)
{
	(void)e;
	put(arg, ";", 1);
	return 0;
}

static const struct multipart_sink sink = { on_begin, on_bytes, on_end };

/* Feeds n bytes in pieces of `step`; returns what multipart_feed and _finish said. */
static int
parse(const char *boundary, const char *body, size_t n, size_t step, struct seen *s, struct err *e)
{
	struct multipart *m = multipart_new(boundary, &sink, s, e);
	int rc = 0;

	assert_non_null(m);
	for (size_t i = 0; i < n && rc == 0; i += step) {
		size_t k = n - i < step ? n - i : step;
		char *copy = malloc(k);                        /* its own block: a read past the piece is seen by ASan */
		assert_non_null(copy);
		memcpy(copy, body + i, k);
		rc = multipart_feed(m, copy, k, e);
		free(copy);
	}
	if (rc == 0)
		rc = multipart_finish(m, e);
	multipart_free(m);
	return rc;
}

static const struct { const char *boundary, *body, *expect; /* NULL: malformed */ } row[] = {
	{ "b", "--b\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--b--\r\n", "<application/dicom>DICM;" },
	{ "b", "--b\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--b--", "<application/dicom>DICM;" },
	{ "b", "\r\n--b\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--b--", "<application/dicom>DICM;" },
	{ "b", "hello --b\r\nnot yet\r\n--bb\r\n--b\r\ncontent-TYPE:Application/DICOM; transfer-syntax=1.2\r\n\r\nA\r\n--b \t\r\n\r\nB\r\n--b--\r\n--b\r\n\r\nC",
	  "<application/dicom>A;<>B;" },
	{ "b", "--b\r\n\r\n\r\n--b\r\n\r\n--b--", "<>;<>;" },                                       /* empty parts, with and without their CR LF */
	{ "b", "--b--", "" },
	{ "b", "preamble only\r\n--b--tail", "" },
	{ "b", "--b\r\n\r\nx\r\n--bc\r\n--b-\r\n--b -\r\n--b --\r\n--b\rx\n--b\n\r\n-b\r\n--b\r\r\n--b \r\r\n\r\r\n--b--", "<>x\r\n--bc\r\n--b-\r\n--b -\r\n--b --\r\n--b\rx\n--b\n\r\n-b\r\n--b\r\r\n--b \r\r\n\r;" },
	{ "b", "--b\r\n\r\n\r\r\r\n--b--", "<>\r\r;" },
	{ "a-", "--a-\r\n\r\nx\r\n--a-y\r\n--a---", "<>x\r\n--a-y;" },                              /* a boundary that ends as the last delimiter does */
	{ "b", "--b\nContent-Type: application/dicom\r\n\r\nx\r\n--b--", "" },                       /* LF alone ends no delimiter: all of it is preamble */
	{ "b", "--b\r\nContent-Type:\r\n application/dicom\r\nX: y\r\nContent-Transfer-Encoding: Binary \r\n\r\nx\r\n--b--", "<application/dicom|binary>x;" },
	{ "b", "--b\r\nContent-Type: dicom\r\n\r\nx\r\n--b--", "<?>x;" },
	{ "b", "--b\nx", NULL },
	{ "b", "", NULL },
	{ "b", "--b", NULL },
	{ "b", "--b\r\n\r\nx\r\n--b\r\n", NULL },
	{ "b", "--b\r\n\r\nx--b--", NULL },                                                          /* no line end before the boundary */
	{ "b", "--b\r\nContent-Type application/dicom\r\n\r\nx\r\n--b--", NULL },
	{ "b", "--b\r\nContent Type: application/dicom\r\n\r\nx\r\n--b--", NULL },
	{ "b", "--b\r\n--b--", NULL },                                                               /* a delimiter where headers should be */
	{ "0123456789012345678901234567890123456789012345678901234567890123456789",
	  "--0123456789012345678901234567890123456789012345678901234567890123456789\r\n\r\nx\r\n--012345678901234567890123456789012345678901234567890123456789012345678\r\n"
	  "--0123456789012345678901234567890123456789012345678901234567890123456789--", "<>x\r\n--012345678901234567890123456789012345678901234567890123456789012345678;" },
};

static void
pieces_do_not_matter(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		for (size_t step = 1; step <= strlen(row[i].body) + 1; step++) {
			struct seen s = { .n = 0 };
			struct err e = { .code = ERR_NONE };
			int rc = parse(row[i].boundary, row[i].body, strlen(row[i].body), step, &s, &e);
			if ((rc == 0) != (row[i].expect != NULL) || (row[i].expect && strcmp(s.text, row[i].expect) != 0))
				fail_msg("row %zu step %zu: rc %d '%s' %s", i, step, rc, s.text, e.text);
			if (rc < 0)
				assert_int_equal(e.code, ERR_INPUT);
		}
}

static void
cut_at_every_byte(void **state)
{
	static const char body[] = "--b\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--bx\r\n--b\r\n\r\n2\r\n--b--";

	(void)state;
	for (size_t n = 0; n <= strlen(body); n++) {
		struct seen s = { .n = 0 };
		struct err e = { .code = ERR_NONE };
		int rc = parse("b", body, n, 3, &s, &e);
		assert_int_equal(rc, n == strlen(body) ? 0 : -1);
	}
}

/* Every text of up to 8 characters over the delimiter's alphabet: fed whole and byte by byte gives the same, and finds exactly the content that a search
 * over the whole finds. */
static void
alphabet(void **state)
{
	static const char letters[] = "\r\n-b ";
	size_t n = 8, total = 1;

	(void)state;
	for (size_t i = 0; i < n; i++)
		total *= 5;
	for (size_t code = 0; code < total; code++) {
		char body[64];
		struct seen whole = { .n = 0 }, bytes = { .n = 0 };
		struct err e;
		size_t c = code, k = (size_t)snprintf(body, sizeof body, "--b\r\n\r\nx");
		for (size_t i = 0; i < n; i++, c /= 5)
			body[k++] = letters[c % 5];
		int a = parse("b", body, k, k, &whole, &e), b = parse("b", body, k, 1, &bytes, &e);
		assert_int_equal(a, b);
		assert_string_equal(whole.text, bytes.text);
		body[k] = '\0';
		if (!strstr(body + 7, "\r\n--b")) {
			assert_int_equal(a, -1);
			assert_memory_equal(body + 7, whole.text + 2, whole.n - 2);
		}
	}
}

static void
bounded(void **state)
{
	struct err e = { .code = ERR_NONE };
	struct seen s = { .n = 0 };
	size_t n = 20000;
	char *body = malloc(n);

	(void)state;
	assert_non_null(body);
	memset(body, 'a', n);
	memcpy(body, "--b\r\nX: ", 8);
	assert_int_equal(parse("b", body, n, 1000, &s, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	memcpy(body, "--b\r\n\r\nx\r\n--b", 13);                /* a delimiter padded for ever is content */
	memset(body + 13, ' ', 3000);
	memcpy(body + 3013, "\r\n--b--", 7);
	assert_int_equal(parse("b", body, 3020, 7, &s, &e), 0);
	assert_int_equal(s.n, 3 + 5 + 3000 + 1);
	free(body);
}

static void
events_may_stop_it(void **state)
{
	struct err e = { .code = ERR_NONE };
	struct seen s = { .fail_at = 2 };
	static const char body[] = "--b\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b--";

	(void)state;
	assert_int_equal(parse("b", body, strlen(body), 5, &s, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	assert_string_equal(s.text, "<>1;");
}

static void
content_types(void **state)
{
	static const struct { const char *text, *boundary, *type; } good[] = {
		{ "multipart/related; type=\"application/dicom\"; boundary=abc", "abc", "application/dicom" },
		{ "Multipart/Related;boundary=\"a b:c\";TYPE=Application/Dicom", "a b:c", "application/dicom" },
		{ "multipart/related; boundary=a/b=c", "a/b=c", "" },
		{ "multipart/related; boundary=\"a\\\"b\" ; start=\"<x;y>\" ; ", "a\"b", "" },
		{ "multipart/related; start=\"boundary=no\"; boundary=yes", "yes", "" },
	};
	static const char *const bad[] = {
		"", "multipart", "multipart/form-data; boundary=b", "application/dicom", "multipart/related", "multipart/related; boundary=", "multipart/related; boundary=\"\"",
		"multipart/related; boundary=\"abc", "multipart/related; boundary=\"abc \"", "multipart/related; boundary=\"a\tb\"", "multipart/related; boundary",
		"multipart/related, x; boundary=b", "multipart/related; boundary=01234567890123456789012345678901234567890123456789012345678901234567890",
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct multipart_type t;
		struct err e = { .code = ERR_NONE };
		if (multipart_type(good[i].text, &t, &e) < 0)
			fail_msg("%s: %s", good[i].text, e.text);
		assert_string_equal(t.boundary, good[i].boundary);
		assert_string_equal(t.type, good[i].type);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct multipart_type t;
		struct err e = { .code = ERR_NONE };
		if (multipart_type(bad[i], &t, &e) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(e.code, ERR_INPUT);
	}
}

static void
accept(void **state)
{
	static const char *const offers[] = { "application/dicom+json", "application/json" };
	static const struct { const char *accept; int chosen; } wish[] = {
		{ NULL, 0 }, { "", 0 }, { "*/*", 0 }, { "application/*", 0 }, { "application/json", 1 }, { "application/dicom+json", 0 }, { "APPLICATION/JSON ;q=0.5", 1 },
		{ "application/json, application/dicom+json", 0 }, { "application/json, application/dicom+json;q=0.9", 1 }, { "text/html, */*;q=0.1", 0 },
		{ "application/dicom+json;q=0, */*", 1 }, { "text/html", -1 }, { "application/dicom+xml", -1 }, { "application/json;q=0", -1 }, { "rubbish", -1 },
		{ "multipart/related; type=\"application/json, x\"", -1 }, { ",,application/json", 1 }, { "application/js", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof wish / sizeof wish[0]; i++) {
		const char *chosen = media_accept(wish[i].accept, offers, 2);
		if (chosen != (wish[i].chosen < 0 ? NULL : offers[wish[i].chosen]))
			fail_msg("%s: %s", wish[i].accept, chosen ? chosen : "none");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_do_not_matter),
		cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(alphabet),
		cmocka_unit_test(bounded),
		cmocka_unit_test(events_may_stop_it),
		cmocka_unit_test(content_types),
		cmocka_unit_test(accept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
