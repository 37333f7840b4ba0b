/* Errors as problem+json: what each code becomes, and text from outside that must stay text. */
#include "service/http/problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka needs the four above first */
#include <cmocka.h>

static void
expect(const struct reply *r, unsigned status, const char *title, const char *detail)
{
	struct err e;
	struct json_doc *d = json_parse(r->body, r->n_body, 0, &e);

	assert_non_null(d);
	assert_int_equal(r->status, status);
	assert_string_equal(r->type, "application/problem+json");
	assert_string_equal(json_text(json_get(json_root(d), "type")), "about:blank");
	assert_string_equal(json_text(json_get(json_root(d), "title")), title);
	assert_int_equal((int)json_number(json_get(json_root(d), "status"), -1), status);
	assert_string_equal(json_text(json_get(json_root(d), "detail")), detail);
	json_doc_free(d);
}

static void
codes(void **state)
{
	static const struct { enum err_code code; unsigned status; const char *title; bool retry; } row[] = {
		{ ERR_INPUT, 400, "Bad Request", false }, { ERR_NOT_FOUND, 404, "Not Found", false }, { ERR_STATE, 409, "Conflict", false },
		{ ERR_LIMIT, 503, "Service Unavailable", true }, { ERR_IO, 503, "Service Unavailable", true }, { ERR_PEER, 502, "Bad Gateway", false },
		{ ERR_BUG, 500, "Internal Server Error", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct reply r;
		struct err e;
		err_set(&e, row[i].code, "why");
		reply_init(&r);
		problem_error(&r, &e);
		expect(&r, row[i].status, row[i].title, "why");
		assert_int_equal(r.n_headers, row[i].retry ? 1 : 0);
		if (row[i].retry)
			assert_string_equal(r.headers[0].name, "Retry-After");
		reply_release(&r);
	}
}

static void
text_stays_text(void **state)
{
	struct reply r;

	(void)state;
	reply_init(&r);
	problem_set(&r, 404, "no series '%s'", "\"}<script>\n\x1b[2J");
	expect(&r, 404, "Not Found", "no series '\"}<script>\n\x1b[2J'");
	assert_null(strchr(r.body, '\n'));
	assert_null(strchr(r.body, '\x1b'));
	problem_set(&r, 409, "%s", "second thoughts replace the first");
	expect(&r, 409, "Conflict", "second thoughts replace the first");
	reply_release(&r);
	assert_null(r.body);
}

static void
every_status_has_its_words(void **state)
{
	static const unsigned used[] = { 400, 403, 404, 405, 406, 409, 411, 413, 415, 500, 501, 502, 503 };

	(void)state;
	for (size_t i = 0; i < sizeof used / sizeof used[0]; i++)
		assert_string_not_equal(problem_title(used[i]), "Error");
}

static void
files(void **state)
{
	char path[] = "/tmp/segan-problem-XXXXXX";
	int fd = mkstemp(path);
	struct reply r;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "SEG", 3), 3);
	close(fd);
	reply_init(&r);
	reply_file(&r, path, "application/dicom", "no SEG");
	assert_int_equal(r.status, 200);
	assert_int_equal(r.file_size, 3);
	assert_true(r.fd >= 0);
	reply_release(&r);
	unlink(path);
	reply_file(&r, path, "application/dicom", "no SEG");
	expect(&r, 404, "Not Found", "no SEG");
	reply_release(&r);
}

static void
integers(void **state)
{
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "0x1", "1e3", "9223372036854775808", "99999999999999999999", "0", "1001" };
	int64_t v = 7;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (request_integer(bad[i], 1, 1000, &v) == 0)
			fail_msg("taken: '%s'", bad[i]);
	assert_int_equal(v, 7);
	assert_int_equal(request_integer("0042", 1, 1000, &v), 0);
	assert_int_equal(v, 42);
	assert_int_equal(request_integer("9223372036854775807", 1, INT64_MAX, &v), 0);
	assert_true(v == INT64_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes),
		cmocka_unit_test(text_stays_text),
		cmocka_unit_test(every_status_has_its_words),
		cmocka_unit_test(files),
		cmocka_unit_test(integers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
