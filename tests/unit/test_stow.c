/* STOW-RS over a raw socket: every row of the table in DICOM.md 6 that a door can answer, and what must be left behind when a body ends in the middle. */
#include "http_client.h"

enum { ROOM = 4 << 20 };
struct bytes { size_t n; char at[ROOM]; };
static struct bytes body, request;

static void
add(struct bytes *b, const void *bytes, size_t n)
{
	assert_true(b->n + n <= sizeof b->at);
	memcpy(b->at + b->n, bytes, n);
	b->n += n;
}

static void
add_text(struct bytes *b, const char *text)
{
	add(b, text, strlen(text));
}

static void
add_zeros(struct bytes *b, size_t n)
{
	assert_true(b->n + n <= sizeof b->at);
	memset(b->at + b->n, 0, n);
	b->n += n;
}

/* One element in explicit VR little endian with a 16-bit length; an odd value gets its pad byte. */
static void
element(struct bytes *b, unsigned group, unsigned number, const char *vr, const char *value, char pad)
{
	size_t n = strlen(value), padded = n + n % 2;
	const unsigned char head[8] = { (unsigned char)group, (unsigned char)(group >> 8), (unsigned char)number, (unsigned char)(number >> 8),
	                                (unsigned char)vr[0], (unsigned char)vr[1], (unsigned char)padded, (unsigned char)(padded >> 8) };

	add(b, head, sizeof head);
	add(b, value, n);
	add(b, &pad, n % 2);
}

#define MR "1.2.840.10008.5.1.4.1.1.4"

/* A Part 10 file of n_extra zero bytes more than its header. */
static void
instance(struct bytes *b, const char *sop_uid, const char *study_uid, const char *description, size_t n_extra)
{
	unsigned char length[12] = { 2, 0, 0, 0, 'U', 'L', 4, 0 };
	const unsigned char private_head[12] = { 0x29, 0, 0x01, 0x10, 'O', 'B', 0, 0,
	                                         (unsigned char)n_extra, (unsigned char)(n_extra >> 8), (unsigned char)(n_extra >> 16), (unsigned char)(n_extra >> 24) };
	char series_uid[65];
	size_t start;

	add_zeros(b, 128);
	add_text(b, "DICM");
	start = b->n;
	add(b, length, sizeof length);
	element(b, 2, 2, "UI", MR, 0);
	element(b, 2, 3, "UI", sop_uid, 0);
	element(b, 2, 0x10, "UI", "1.2.840.10008.1.2.1", 0);
	element(b, 2, 0x12, "UI", "1.2.3", 0);
	b->at[start + 8] = (char)(b->n - start - sizeof length);
	element(b, 8, 0x16, "UI", MR, 0);
	element(b, 8, 0x18, "UI", sop_uid, 0);
	element(b, 8, 0x60, "CS", "MR", ' ');
	element(b, 8, 0x103e, "LO", description, ' ');
	element(b, 0x10, 0x10, "PN", "CANARY^NAME", ' ');
	element(b, 0x20, 0xd, "UI", study_uid, 0);
	snprintf(series_uid, sizeof series_uid, "%s.1", study_uid);
	element(b, 0x20, 0xe, "UI", series_uid, 0);
	if (n_extra == 0)
		return;
	element(b, 0x29, 0x10, "LO", "SEGAN TEST", ' ');
	add(b, private_head, sizeof private_head);
	add_zeros(b, n_extra);
}

static void
delimiter(struct bytes *b, const char *boundary)
{
	add_text(b, "\r\n--");
	add_text(b, boundary);
}

static void
part(struct bytes *b, const char *boundary, const char *sop_uid, const char *study_uid, const char *description)
{
	delimiter(b, boundary);
	add_text(b, "\r\nContent-Type: application/dicom\r\n\r\n");
	instance(b, sop_uid, study_uid, description, 0);
}

#define RELATED "Content-Type: multipart/related; type=\"application/dicom\"; boundary=B\r\n"

/* The request's head with a length of the body that may be untrue. */
static void
head(const char *path, const char *headers, size_t length)
{
	char text[1024];

	request.n = 0;
	add(&request, text, (size_t)snprintf(text, sizeof text, "POST %s HTTP/1.1\r\nHost: localhost:%u\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n", path,
	                                     server_port(site.server), headers, length));
}

static unsigned
stow(const char *path, const char *headers, struct answer *a)
{
	head(path, headers, body.n);
	add(&request, body.at, body.n);
	talk(request.at, request.n, a);
	return a->status;
}

/* The body in chunks of `step` bytes. */
static unsigned
stow_chunked(const char *headers, size_t step, struct answer *a)
{
	char text[1024];

	request.n = 0;
	add(&request, text, (size_t)snprintf(text, sizeof text, "POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n%sTransfer-Encoding: chunked\r\n\r\n", headers));
	for (size_t i = 0; i < body.n; i += step) {
		size_t k = body.n - i < step ? body.n - i : step;
		add(&request, text, (size_t)snprintf(text, sizeof text, "%zx\r\n", k));
		add(&request, body.at + i, k);
		add_text(&request, "\r\n");
	}
	add_text(&request, "0\r\n\r\n");
	talk(request.at, request.n, a);
	return a->status;
}

static bool
is_here(const char *sop_uid)
{
	struct instance_row row;
	struct err e;

	return instances_get(site.node.db, sop_uid, &row, &e) == 0;
}

static void
expect_text(const struct answer *a, const char *text)
{
	if (!strstr(a->body, text))
		fail_msg("no '%s' in: %s", text, a->body);
}

static void
all_stored(void **state)
{
#define LONG "0123456789012345678901234567890123456789012345678901234567890123456789"
	static const struct { const char *headers, *boundary, *before, *after, *uid; } row[] = {
		{ RELATED, "B", "", "--\r\n", "1.2.3.1" },
		{ RELATED, "B", "", "--", "1.2.3.2" },
		{ "Content-Type: multipart/related;boundary=\"B C\"; type=application/dicom\r\n", "B C", "", "--", "1.2.3.3" },
		{ "Content-Type: multipart/related; type=\"application/dicom\"; boundary=" LONG "\r\n", LONG, "", "--", "1.2.3.4" },
		{ RELATED, "B", "a preamble\r\n--Bx\r\n", "--\r\nan epilogue\r\n--B\r\n", "1.2.3.5" },
		{ RELATED "Expect: 100-continue\r\n", "B", "", "--\r\n", "1.2.3.6" },
		{ RELATED "Accept: application/json\r\n", "B", "", "--\r\n", "1.2.3.7" },
		{ "Content-Type: multipart/related; boundary=B\r\nAccept: */*\r\n", "B", "", "--\r\n", "1.2.3.8" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct answer a;
		char url[256];
		body.n = 0;
		add_text(&body, row[i].before);
		part(&body, row[i].boundary, row[i].uid, "1.2.5", "FLAIR");
		delimiter(&body, row[i].boundary);
		add_text(&body, row[i].after);
		stow("/dicom-web/studies", row[i].headers, &a);
		expect(&a, 200);
		snprintf(url, sizeof url, "\"00081190\":{\"vr\":\"UR\",\"Value\":[\"http://localhost:%u/dicom-web/studies/1.2.5/series/1.2.5.1/instances/%s\"]}", server_port(site.server), row[i].uid);
		expect_text(&a, url);
		expect_text(&a, "\"00081199\":{\"vr\":\"SQ\",\"Value\":[{\"00081150\":{\"vr\":\"UI\",\"Value\":[\"" MR "\"]}");
		assert_null(strstr(a.body, "00081198"));
		assert_null(strstr(a.body, "CANARY"));
		assert_non_null(strstr(a.head, i == 6 ? "Content-Type: application/json\r\n" : "Content-Type: application/dicom+json\r\n"));
		assert_true(is_here(row[i].uid));
		assert_int_equal(stow("/dicom-web/studies/1.2.5", row[i].headers, &a), 200);    /* the same again changes nothing */
	}
	assert_int_equal(tmp_files(), 0);
	assert_int_equal(atomic_load(&site.node.n_received), 8);
	assert_int_equal(atomic_load(&site.node.n_duplicates), 8);
}

static void
chunked(void **state)
{
	struct answer a;

	(void)state;
	body.n = 0;
	part(&body, "B", "1.2.3.20", "1.2.5", "FLAIR");
	part(&body, "B", "1.2.3.21", "1.2.6", "FLAIR");
	delimiter(&body, "B");
	add_text(&body, "--");
	assert_int_equal(stow_chunked(RELATED, 7, &a), 200);
	expect_text(&a, "1.2.3.20");
	expect_text(&a, "1.2.3.21");
	assert_null(strstr(a.body, "{\"00081190\""));                /* two studies: no study to retrieve at the top */
}

static void
some_failed(void **state)
{
	struct answer a;

	(void)state;
	body.n = 0;
	part(&body, "B", "1.2.3.30", "1.2.5", "FLAIR");
	part(&body, "B", "1.2.3.30", "1.2.5", "another content");
	delimiter(&body, "B");
	add_text(&body, "\r\n\r\nnot DICOM at all");
	delimiter(&body, "B");
	add_text(&body, "\r\nContent-Type: text/plain\r\n\r\nhello");
	delimiter(&body, "B");
	add_text(&body, "--");
	assert_int_equal(stow("/dicom-web/studies", RELATED, &a), 202);
	expect_text(&a, "\"00081198\":{\"vr\":\"SQ\",\"Value\":[{\"00081150\":{\"vr\":\"UI\",\"Value\":[\"" MR "\"]},\"00081155\":{\"vr\":\"UI\",\"Value\":[\"1.2.3.30\"]},\"00081197\":{\"vr\":\"US\",\"Value\":[272]}}]}");
	expect_text(&a, "\"00081199\":{\"vr\":\"SQ\",\"Value\":[{");
	expect_text(&a, "\"0008119A\":{\"vr\":\"SQ\",\"Value\":[{\"00081197\":{\"vr\":\"US\",\"Value\":[49152]}},{\"00081197\":{\"vr\":\"US\",\"Value\":[49152]}}]}");
	assert_non_null(strstr(a.head, "Warning: 299 segand \"part 2: "));
}

static void
none_stored(void **state)
{
	struct answer a;

	(void)state;
	body.n = 0;
	part(&body, "B", "1.2.3.40", "1.2.5", "FLAIR");
	delimiter(&body, "B");
	add_text(&body, "--");
	assert_int_equal(stow("/dicom-web/studies/1.2.6", RELATED, &a), 409);
	expect_text(&a, "\"00081155\":{\"vr\":\"UI\",\"Value\":[\"1.2.3.40\"]},\"00081197\":{\"vr\":\"US\",\"Value\":[43264]}");
	assert_null(strstr(a.body, "00081199"));
	assert_false(is_here("1.2.3.40"));
	assert_int_equal(stow("/dicom-web/studies/1.2.x", RELATED, &a), 400);
	assert_int_equal(tmp_files(), 0);
}

static void
syntax(void **state)
{
	static const struct { const char *text; unsigned status; } row[] = {
		{ "", 400 }, { "\r\n--B--", 400 }, { "no boundary in here", 400 }, { "--B\r\n\r\n0123456789\r\n--B--", 400 }, { "--B\r\n\r\n\r\n--B--", 400 },
		{ "--B\r\nno colon\r\n\r\nx\r\n--B--", 400 }, { "--B\r\nContent-Type: text/plain\r\n\r\nx\r\n--B--", 415 },
		{ "--B\r\nContent-Type: application/dicom+json\r\n\r\n[]\r\n--B--", 415 },
		{ "--B\r\nContent-Type: application/dicom\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--B--", 415 },
	};
	struct answer a;

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		body.n = 0;
		add_text(&body, row[i].text);
		stow("/dicom-web/studies", RELATED, &a);
		expect(&a, row[i].status);
	}
	body.n = 0;
	part(&body, "B", "1.2.3.50", "1.2.5", "FLAIR");              /* whole, but the closing boundary never comes */
	delimiter(&body, "B");
	stow("/dicom-web/studies", RELATED, &a);
	expect_problem(&a, 400);
	body.n = 0;
	part(&body, "B", "1.2.3.51", "1.2.5", "FLAIR");
	body.n -= 9;                                                    /* truncated in its last element */
	delimiter(&body, "B");
	add_text(&body, "--");
	assert_int_equal(stow("/dicom-web/studies", RELATED, &a), 400);
	expect_text(&a, "\"0008119A\"");
	assert_false(is_here("1.2.3.51"));
	assert_int_equal(tmp_files(), 0);
}

static void
headers(void **state)
{
	static const struct { const char *headers; unsigned status; } row[] = {
		{ "", 415 }, { "Content-Type: application/dicom\r\n", 415 }, { "Content-Type: multipart/form-data; boundary=B\r\n", 415 },
		{ "Content-Type: multipart/related; type=\"application/dicom\"\r\n", 415 }, { "Content-Type: multipart/related; type=\"application/dicom\"; boundary=" LONG "0\r\n", 415 },
		{ "Content-Type: multipart/related; type=\"application/dicom+json\"; boundary=B\r\n", 415 }, { RELATED "Content-Encoding: gzip\r\n", 415 },
		{ RELATED "Accept: text/html\r\n", 406 }, { RELATED "Accept: application/dicom+json;q=0\r\n", 406 },
		{ RELATED "Origin: http://evil.example\r\n", 403 }, { RELATED "Origin: null\r\n", 403 },
	};
	struct answer a;

	(void)state;
	body.n = 0;
	part(&body, "B", "1.2.3.60", "1.2.5", "FLAIR");
	delimiter(&body, "B");
	add_text(&body, "--");
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		stow("/dicom-web/studies", row[i].headers, &a);
		expect_problem(&a, row[i].status);
	}
	stow("/dicom-web/studies?x=1", RELATED, &a);
	expect_problem(&a, 400);
	assert_int_equal(ask("POST", "/dicom-web/studies", RELATED, &a), 411);
	expect_problem(&a, 411);
	assert_false(is_here("1.2.3.60"));
}

static void
too_large(void **state)
{
	struct answer a;

	(void)state;
	head("/dicom-web/studies", RELATED, (2 << 20) + 1);             /* refused by its length, unread */
	talk(request.at, request.n, &a);
	expect_problem(&a, 413);
	head("/dicom-web/studies", RELATED "Expect: 100-continue\r\n", (size_t)1 << 40);
	talk(request.at, request.n, &a);
	expect_problem(&a, 413);
	body.n = 0;
	add_zeros(&body, (2 << 20) + 1);                                /* nobody said how much */
	stow_chunked(RELATED, 1 << 20, &a);
	expect_problem(&a, 413);
	body.n = 0;
	delimiter(&body, "B");
	add_text(&body, "\r\n\r\n");
	instance(&body, "1.2.3.70", "1.2.5", "FLAIR", 1 << 20);         /* one instance over dicom.max_instance_mb */
	delimiter(&body, "B");
	add_text(&body, "--");
	assert_int_equal(stow("/dicom-web/studies", RELATED, &a), 413);
	expect_text(&a, "\"00081197\":{\"vr\":\"US\",\"Value\":[42752]}");
	assert_false(is_here("1.2.3.70"));
	body.n = 0;
	part(&body, "B", "1.2.3.71", "1.2.5", "FLAIR");
	for (size_t i = 0; i < 10000; i++)
		add_text(&body, "\r\n--B\r\nContent-Type: text/plain\r\n\r\nx"); /* no file each: a slow disk would make it a test of patience */
	add_text(&body, "\r\n--B--");
	assert_int_equal(stow("/dicom-web/studies", RELATED, &a), 413);
	assert_int_equal(tmp_files(), 0);
}

static void
no_room(void **state)
{
	struct answer a;

	(void)state;
	body.n = 0;
	part(&body, "B", "1.2.3.80", "1.2.5", "FLAIR");
	delimiter(&body, "B");
	add_text(&body, "--");
	site.settings.disk_reserve_mb = (int64_t)1 << 40;
	stow("/dicom-web/studies", RELATED, &a);
	site.settings.disk_reserve_mb = 0;
	expect_problem(&a, 503);
	assert_non_null(strstr(a.head, "Retry-After: "));
	assert_false(is_here("1.2.3.80"));
	assert_int_equal(stow("/dicom-web/studies", RELATED, &a), 200);
}

/* What a sender puts before the data set stays outside (PS3.10 7.1). */
static void
a_preamble_stays_outside(void **state)
{
	static const char script[] = "#!/bin/sh\nrm -rf $HOME\n";
	char path[SPOOL_PATH], zeros[128] = "", *bytes;
	struct answer a;
	struct err e;
	size_t n;

	(void)state;
	body.n = 0;
	part(&body, "B", "1.2.3.85", "1.2.5", "FLAIR");
	memcpy((char *)memmem(body.at, body.n, "DICM", 4) - sizeof zeros, script, sizeof script);
	delimiter(&body, "B");
	add_text(&body, "--");
	assert_int_equal(stow("/dicom-web/studies", RELATED, &a), 200);
	spool_path(&site.node, "1.2.3.85", path);
	assert_non_null(bytes = file_read(path, ROOM, &n, &e));
	assert_memory_equal(bytes, zeros, sizeof zeros);
	assert_memory_equal(bytes + sizeof zeros, "DICM", 4);
	free(bytes);
}

/* The connection goes in the middle of the second part: the first is kept, its series knows that its sender did not finish. */
static void
cut(void **state)
{
	struct series_row row;
	struct answer a;
	struct err e;
	int s = dial();

	(void)state;
	body.n = 0;
	part(&body, "B", "1.2.3.90", "1.2.90", "FLAIR");
	part(&body, "B", "1.2.3.91", "1.2.90", "FLAIR");
	head("/dicom-web/studies", RELATED, body.n + 1000);
	add(&request, body.at, body.n);
	send_all(s, request.at, request.n);
	shutdown(s, SHUT_WR);
	read_answer(s, &a);                                             /* closed, hence the request has ended, when this returns */
	close(s);
	assert_int_equal(a.status, 0);
	site_restart_server();
	assert_true(is_here("1.2.3.90"));
	assert_false(is_here("1.2.3.91"));
	assert_int_equal(series_get(site.node.db, "1.2.90.1", &row, &e), 0);
	assert_int_equal(row.association_state, ASSOCIATION_ABORTED);
	assert_int_equal(tmp_files(), 0);
	body.n = 0;
	part(&body, "B", "1.2.3.90", "1.2.90", "FLAIR");
	part(&body, "B", "1.2.3.91", "1.2.90", "FLAIR");
	delimiter(&body, "B");
	add_text(&body, "--");
	assert_int_equal(stow("/dicom-web/studies", RELATED, &a), 200);
	assert_int_equal(series_get(site.node.db, "1.2.90.1", &row, &e), 0);
	assert_int_equal(row.association_state, ASSOCIATION_RELEASED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_stored),
		cmocka_unit_test(chunked),
		cmocka_unit_test(some_failed),
		cmocka_unit_test(none_stored),
		cmocka_unit_test(syntax),
		cmocka_unit_test(headers),
		cmocka_unit_test(too_large),
		cmocka_unit_test(no_room),
		cmocka_unit_test(a_preamble_stays_outside),
		cmocka_unit_test(cut),
	};
	return cmocka_run_group_tests(tests, site_open, site_close);
}
