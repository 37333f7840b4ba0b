/* What RELIABILITY.md calls hostile input, the part over HTTP: slow, large, many, deep, malformed. Each gets the stated answer, the next request works, and
 * the memory comes back. Who may: tests/e2e/who.sh. STOW-RS itself: test_stow.c. */
#include "http_client.h"

#include "config/clock.h"

#include <malloc.h>
#include <poll.h>

static char big[4 << 20];

static void
next_works(void)
{
	struct answer a;

	assert_int_equal(ask("GET", "/health", "", &a), 200);
}

/* Sends the byte again and again, as often as pause_ms says, until the other side says something or closes. Milliseconds that it took. */
static int64_t
trickle(const char *begin, int pause_ms, size_t n_each, struct answer *a)
{
	int64_t started = clock_monotonic_ms();
	int s = dial();
	struct pollfd heard = { .fd = s, .events = POLLIN };

	send_all(s, begin, strlen(begin));
	memset(big, 'a', n_each);
	while (poll(&heard, 1, pause_ms) == 0 && clock_monotonic_ms() - started < 30000)
		send_all(s, big, n_each);
	read_answer(s, a);
	close(s);
	return clock_monotonic_ms() - started;
}

static void
slow_headers(void **state)
{
	static const char *const begins[] = { "", "G", "GET /health HTTP/1.1\r\nHost: localhost\r\nX: " };
	struct answer a;

	(void)state;
	site.settings.http.header_timeout = 1;
	site.settings.http.idle_timeout = 20;
	site_restart_server();
	for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
		int64_t ms = trickle(begins[i], 50, *begins[i] ? 1 : 0, &a);
		expect_problem(&a, 408);
		assert_in_range(ms, 900, 15000);
		next_works();
	}
}

/* The second request on a connection has the time of silence and then its own. */
static void
slow_second_header(void **state)
{
	struct answer a;
	int64_t ms;

	(void)state;
	site.settings.http.header_timeout = site.settings.http.idle_timeout = 1;
	site_restart_server();
	ms = trickle("GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 50, 1, &a);
	expect(&a, 404);                                                /* heard at once; then it is read until the end */
	assert_in_range(ms, 900, 15000);
	next_works();
}

static void
slow_body(void **state)
{
	static const char begin[] = "POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/related; type=\"application/dicom\"; boundary=B\r\n%s\r\n\r\n%s";
	struct answer a;
	char text[1024];

	(void)state;
	site.settings.http.idle_timeout = 1;
	site_restart_server();
	snprintf(text, sizeof text, begin, "Content-Length: 1000000", "--B\r\n\r\n");
	assert_in_range(trickle(text, 50, 1, &a), 900, 15000);
	expect_problem(&a, 408);
	assert_in_range(trickle(text, 50, 0, &a), 900, 15000);          /* nothing at all: the library closes */
	expect(&a, 0);
	site.settings.http.min_body_rate = 0;
	site.settings.http.request_timeout = 1;
	site_restart_server();
	assert_in_range(trickle(text, 20, 1000, &a), 900, 15000);       /* fast enough, and too long */
	expect(&a, 0);
	next_works();
	site_restart_server();
	assert_int_equal(tmp_files(), 0);
	site.settings.http.min_body_rate = 1024;
	site.settings.http.request_timeout = 20;
	site_restart_server();
}

/* A request with n bytes of headers, each of `each` bytes. */
static size_t
with_headers(size_t n, size_t each)
{
	size_t used = (size_t)snprintf(big, sizeof big, "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");

	for (size_t end = used + n; used < end; used += each) {
		memset(big + used, 'x', each);
		memcpy(big + used + each / 2, ": ", 2);
		memcpy(big + used + each - 2, "\r\n", 2);
	}
	memcpy(big + used, "\r\n", 2);
	return used + 2;
}

static void
large_headers(void **state)
{
	static const struct { size_t n, each; unsigned status; } row[] = {
		{ 30 << 10, 30 << 10, 200 }, { 40 << 10, 40 << 10, 431 }, { 40 << 10, 40, 431 }, { 300 << 10, 300 << 10, 431 }, { 3 << 20, 1000, 431 },
	};
	struct answer a;

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		size_t n = with_headers(row[i].n, row[i].each);
		talk(big, n, &a);
		if (a.status != row[i].status && !(a.status == 0 && row[i].n > 100 << 10)) /* the library may close on what it has not read */
			fail_msg("row %zu: %u", i, a.status);
		if (a.status == 431 && row[i].n < 64 << 10)
			expect_problem(&a, 431);
		next_works();
	}
	memset(big, 'a', 1 << 20);
	memcpy(big, "GET /", 5);
	memcpy(big + (1 << 20), " HTTP/1.1\r\nHost: localhost\r\n\r\n", 31);
	talk(big, (1 << 20) + 31, &a);
	if (a.status != 414 && a.status != 431 && a.status != 0)
		fail_msg("a path of 1 MiB: %u", a.status);
	next_works();
}

static void
many_connections(void **state)
{
	enum { MAY = 4, EXCESS = 16, ALL = 40 };
	static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	int s[ALL];
	unsigned n_good = 0, n_told = 0, n_closed = 0;
	struct answer a;

	(void)state;
	site.settings.http.max_connections_per_client = MAY;
	site_restart_server();
	for (int i = 0; i < ALL; i++)
		s[i] = dial();
	for (int i = ALL - 1; i >= 0; i--) {                             /* the last first: those before are still there */
		send_all(s[i], request, sizeof request - 1);
		read_answer(s[i], &a);
		n_good += a.status == 200;
		n_closed += a.status == 0;
		if (a.status == 503) {
			expect_problem(&a, 503);
			assert_non_null(strstr(a.head, "Retry-After: "));
			n_told++;
		}
	}
	assert_int_equal(n_good, MAY);
	assert_int_equal(n_told, EXCESS);
	assert_int_equal(n_closed, ALL - MAY - EXCESS);
	for (int i = 0; i < ALL; i++)
		close(s[i]);
	site.settings.http.max_connections_per_client = 64;
	site_restart_server();
	next_works();
}

/* Who says nothing keeps nobody out, however many they are; who asks is not disturbed. */
static void
silent_connections(void **state)
{
	enum { PLACES = 64, SILENT = 200 };
	static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", slow[] = "POST /api/v1/rules/test HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{";
	int s[SILENT], asking;
	struct answer a;

	(void)state;
	site.settings.http.max_connections = PLACES;
	site.settings.http.max_connections_per_client = SILENT + PLACES;
	site.settings.http.header_timeout = site.settings.http.idle_timeout = 3600;
	site_restart_server();
	asking = dial();
	send_all(asking, slow, sizeof slow - 1);
	for (int i = 0; i < SILENT; i++) {
		s[i] = dial();
		if (i % 20 != 0)
			continue;
		talk(request, sizeof request - 1, &a);
		assert_int_equal(a.status, 200);
	}
	next_works();
	send_all(asking, "}", 1);
	read_answer(asking, &a);
	assert_int_equal(a.status, 400);                                /* heard out: a study_uid is needed */
	close(asking);
	for (int i = 0; i < SILENT; i++)
		close(s[i]);
	site.settings.http.max_connections = site.settings.http.max_connections_per_client = 64;
	site.settings.http.header_timeout = 20;
	site.settings.http.idle_timeout = 3;
	site_restart_server();
	next_works();
}

static void
many_requests(void **state)
{
	static const char one[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", last[] = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	unsigned n_good = 0, n_told = 0;
	struct answer a;
	size_t n = 0;

	(void)state;
	site.settings.http.max_requests_per_client = 5;
	site_restart_server();
	for (int i = 0; i < 40; i++)
		n += (size_t)snprintf(big + n, sizeof big - n, "%s", i < 39 ? one : last);
	talk(big, n, &a);
	snprintf(big, sizeof big, "%s%s", a.head, a.body);
	for (const char *at = big; (at = strstr(at, "HTTP/1.1 ")) != NULL; at += 9) {
		n_good += strncmp(at + 9, "200", 3) == 0;
		n_told += strncmp(at + 9, "429", 3) == 0;
	}
	assert_int_equal(n_good + n_told, 40);
	assert_in_range(n_good, 5, 20);                                 /* 5, and those of the time that it took */
	site.settings.http.max_requests_per_client = 0;
	site_restart_server();
	next_works();
}

/* ---- JSON ---- */

static void
ask_json(const char *body, size_t n, bool chunked, struct answer *a)
{
	static char text[3 << 20];
	size_t used = (size_t)snprintf(text, sizeof text, "POST /api/v1/rules/test HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n");

	assert_true(n < 2 << 20);
	used += (size_t)snprintf(text + used, sizeof text - used, chunked ? "Transfer-Encoding: chunked\r\n\r\n%zx\r\n" : "Content-Length: %zu\r\n\r\n", n);
	memcpy(text + used, body, n);
	used += n;
	if (chunked)
		used += (size_t)snprintf(text + used, sizeof text - used, "\r\n0\r\n\r\n");
	talk(text, used, a);
}

static void
json(void **state)
{
	static const char *const bad[] = { "{\"study_uid\": 1e999999}", "{\"study_uid\": 99999999999999999999999999999999999999999999999999999999999999999999999999999}", "{\"study_uid\": -}",
		"{\"study_uid\": \"\xff\xfe\"}", "{\"study_uid\": \"\xc0\xae\"}", "{\"study_uid\": \"\xed\xa0\x80\"}", "{\"study_uid\": \"\\ud800\"}", "{\"study_uid\": \"1.2\", \"study_uid\": \"1.3\"}", "\xef\xbb\xbf{}",
		"{\"study_uid\": \"1.2\"} {}", "// comment\n{\"study_uid\": \"1.2\"}", "{\"study_uid\": \"1.2\\u0000\"}", "{\"study_uid\": NaN}", "{'study_uid': '1.2'}", "", "\"", "[" };
	struct answer a;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ask_json(bad[i], strlen(bad[i]), i % 2, &a);
		if (a.status != 400)
			fail_msg("%s: %u %s", bad[i], a.status, a.body);
		expect_problem(&a, 400);
	}
	ask_json("{\"study_uid\": \"1.2\0\"}", 21, false, &a);
	expect_problem(&a, 400);
	ask_json("{\"study_uid\": \"1.2.3.4.5\"}", 26, true, &a);
	expect_problem(&a, 404);                                        /* good JSON, no such study */
	site.settings.http.max_json_kb = 1 << 10;
	site_restart_server();
	memset(big, '[', 100000);
	ask_json(big, 100000, false, &a);
	expect_problem(&a, 400);
	assert_non_null(strstr(a.body, "more than 32 levels deep"));
	for (int i = 0; i < 100000; i++)
		memcpy(big + 5 * i, "{\"a\":", 5);
	ask_json(big, 500000, true, &a);
	expect_problem(&a, 400);
	memset(big, ' ', (1 << 20) + 1);
	ask_json(big, (1 << 20) + 1, false, &a);
	expect_problem(&a, 413);
	ask_json(big, (1 << 20) + 1, true, &a);
	expect_problem(&a, 413);
	site.settings.http.max_json_kb = 4;
	site_restart_server();
	next_works();
}

/* ---- what two readers could read in two ways, and what none can ---- */

#define BEGIN "POST /api/v1/jobs/1/retry HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
#define STOW "POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: multipart/related; type=\"application/dicom\"; boundary=B\r\n"

static void
framing(void **state)
{
	enum { LIBRARY, OURS };
	static const struct { const char *request; unsigned status; /* 0: closed without a word will do, as will any 4xx, 5xx */ int is_ours; /* a problem; else in the library's words */ } row[] = {
		{ BEGIN "Content-Length: -1\r\n\r\n", 400, LIBRARY }, { BEGIN "Content-Length: +5\r\n\r\nabcde", 400, LIBRARY }, { BEGIN "Content-Length: 0x5\r\n\r\nabcde", 400, LIBRARY }, { BEGIN "Content-Length: 5 5\r\n\r\nabcde", 400, LIBRARY },
		{ BEGIN "Content-Length: 5,5\r\n\r\nabcde", 400, LIBRARY }, { BEGIN "Content-Length: five\r\n\r\nabcde", 400, LIBRARY }, { BEGIN "Content-Length: 99999999999999999999999\r\n\r\n", 413, LIBRARY },
		{ BEGIN "Content-Length: 18446744073709551615\r\n\r\n", 0, LIBRARY }, { BEGIN "content-length: 3\r\nCONTENT-LENGTH: 3\r\n\r\nabc", 400, OURS },
		{ BEGIN "Host: localhost\r\n\r\n", 400, OURS }, { BEGIN "HOST: elsewhere\r\n\r\n", 400, OURS },
		{ BEGIN "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, OURS }, { BEGIN "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, OURS },
		{ BEGIN "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 501, OURS }, { BEGIN "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501, OURS }, { BEGIN "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, OURS },
		{ BEGIN "Transfer-Encoding:\vchunked\r\nContent-Length: 3\r\n\r\nabc", 400, OURS }, { BEGIN "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400, OURS },
		{ BEGIN "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", 0, LIBRARY }, { BEGIN "Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n", 0, LIBRARY },
		{ BEGIN "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffffffff\r\nabc\r\n0\r\n\r\n", 0, LIBRARY }, { BEGIN "Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n", 0, LIBRARY },
		{ BEGIN "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 404, OURS }, { BEGIN "Content-Length: 3\r\n\r\nabc", 404, OURS },
		{ STOW "Content-Length: 1073741824\r\n\r\n", 413, OURS }, { STOW "Content-Length: 1073741824\r\nExpect: 100-continue\r\n\r\n", 413, OURS }, { STOW "\r\n", 411, OURS },
		{ "POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 3\r\nContent-Type: multipart/related; type=\"application/dicom\"\r\n\r\nabc", 415, OURS },
		{ STOW "Content-Length: 7\r\n\r\n--B--\r\n", 400, OURS }, { STOW "Content-Length: 3\r\n\r\nabc", 400, OURS }, { STOW "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 400, OURS },
		{ "GET /health HTTP/1.1\r\nno colon\r\nHost: localhost\r\nConnection: close\r\n\r\n", 0, LIBRARY }, { "GET /health HTTP/1.1\r\n: nameless\r\nHost: localhost\r\nConnection: close\r\n\r\n", 0, LIBRARY },
		{ "GET /health\r\n\r\n", 0, LIBRARY }, { "GET\r\n\r\n", 0, LIBRARY }, { "\r\n\r\n\r\n\r\n", 0, LIBRARY }, { "GET /health HTTP/9.9\r\nHost: localhost\r\nConnection: close\r\n\r\n", 0, LIBRARY }, { "\x16\x03\x01\x02\x01\x01\xfc\x03\x03 a TLS client\r\n\r\n", 0, LIBRARY },
		{ "get /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 405, OURS }, { "TRACE /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 405, OURS },
		{ "OPTIONS /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 405, OURS }, { "CONNECT pacs.example:104 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400, OURS },
		{ "GET http://pacs.example/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400, OURS }, { "GET /health HTTP/1.1\r\nHost: local\x01host\r\nConnection: close\r\n\r\n", 400, OURS },
		{ "GET /health HTTP/1.1\r\nHost: \r\nConnection: close\r\n\r\n", 400, OURS },
		{ "PATCH /api/v1/jobs/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", 405, OURS },
	};
	struct answer a;

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		int s = dial();
		send_all(s, row[i].request, strlen(row[i].request));
		if (row[i].status == 0)
			shutdown(s, SHUT_WR);                           /* what is not understood may wait for more */
		read_answer(s, &a);
		close(s);
		if (row[i].status ? a.status != row[i].status : a.status != 0 && a.status < 400)
			fail_msg("row %zu: %u %s", i, a.status, a.body);
		if (row[i].is_ours)
			expect_problem(&a, row[i].status);
		next_works();
	}
}

/* Where a proxy sees no second request, there is none: what is refused for its framing is the last of its connection, and so is a chunked body. */
static void
nothing_behind(void **state)
{
	static const char *const heads[] = { "Content-Length: 0\r\nContent-Length: 44\r\n\r\n", "Content-Length : 44\r\n\r\n", "Content-Length\t: 44\r\n\r\n", "Content-Length:\r\n 44\r\n\r\n",
		"Content-Length: 0\r\n 44\r\n\r\n", "Transfer-Encoding:\r\n chunked\r\nContent-Length: 0\r\n\r\n", "X: y\rTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
		"Content-Length: 9223372036854775808\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n0\n\n", "Transfer-Encoding: chunked\r\n\r\n1;a\nX\r\n0\r\n\r\n",
		"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding: identity\r\n\r\n" };

	(void)state;
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		char request[512], answers[8192] = "";
		size_t n = 0;
		ssize_t got;
		int s = dial();
		snprintf(request, sizeof request, "POST /api/v1/jobs/1/retry HTTP/1.1\r\nHost: localhost\r\n%sGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", heads[i]);
		send_all(s, request, strlen(request));
		while ((got = recv(s, answers + n, sizeof answers - 1 - n, 0)) > 0)
			n += (size_t)got;
		close(s);
		if (strncmp(answers, "HTTP/1.1 ", 9) != 0 || strstr(answers + 9, "HTTP/1.1 ") != NULL)
			fail_msg("row %zu: %s", i, answers);
	}
}

static void
paths(void **state)
{
	static const struct { const char *path; unsigned status; } row[] = {
		{ "/api/v1/jobs/..%2f..%2fetc%2fpasswd/seg", 400 }, { "/api/v1/jobs/%2e%2e/seg", 400 }, { "/api/v1/jobs/..%5c..%5cetc/seg", 400 }, { "/%2e%2e/%2e%2e/etc/passwd", 400 }, { "/./health", 400 },
		{ "//health", 404 }, { "/health//", 404 }, { "/api/v1//jobs", 404 }, { "/api/v1/jobs/1;x=y", 404 }, { "/api/v1/jobs/%c0%ae%c0%ae", 404 }, { "/api/v1/jobs/%ff", 404 }, { "/api/v1/series/%ff/decision", 404 },
		{ "/api/v1/jobs/1%00", 400 }, { "/api/v1/jobs/1%0d%0aX:1", 400 }, { "/api/v1/jobs/%25s%25n%25n", 404 }, { "/a/b/c/d/e/f/g/h/i/j/k/l/m", 404 }, { "/api/v1/jobs?state=%ff", 400 }, { "/api/v1/jobs?model=%ff", 400 },
		{ "/api/v1/jobs?state=%3Cscript%3E", 400 }, { "/api/v1/jobs?limit=99999999999999999999999999", 400 }, { "/api/v1/jobs?study=' or 1=1", 400 }, { "/api/v1/jobs?study='%20or%201=1", 400 },
		{ "/api/v1/series/1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20.21.22.23.24.25.26/decision", 404 },
		{ "/api/v1/jobs?a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a", 400 },
	};
	struct answer a;

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		if (ask("GET", row[i].path, "", &a) != row[i].status)
			fail_msg("%s: %u %s", row[i].path, a.status, a.body);
		if (a.status != 0)
			expect_problem(&a, row[i].status);
	}
	next_works();
}

static void
parts(void **state)
{
	struct answer a;
	size_t n = 0;
	char head[512];

	(void)state;
	site.settings.http.max_parts = 3;
	for (int i = 0; i < 4; i++)
		n += (size_t)snprintf(big + n, sizeof big - n, "--B\r\nContent-Type: text/plain\r\n\r\nx\r\n");
	n += (size_t)snprintf(big + n, sizeof big - n, "--B--\r\n");
	snprintf(head, sizeof head, STOW "Content-Length: %zu\r\n\r\n", n);
	memmove(big + strlen(head), big, n);
	memcpy(big, head, strlen(head));
	talk(big, strlen(head) + n, &a);
	expect_problem(&a, 413);
	assert_non_null(strstr(a.body, "http.max_parts"));
	site.settings.http.max_parts = 10000;
	next_works();
}

/* A body that never ends: read on to four times its limit, so that its sender may hear why, then cut. */
static void
endless_body(void **state)
{
	struct answer a;
	int s = dial();
	size_t n = 0;

	(void)state;
	send_all(s, STOW "Transfer-Encoding: chunked\r\n\r\n", strlen(STOW "Transfer-Encoding: chunked\r\n\r\n"));
	memset(big, 'x', 0x10000);
	memcpy(big + 0x10000, "\r\n", 2);
	while (n < 64 << 20 && send(s, "10000\r\n", 7, MSG_NOSIGNAL) == 7 && send(s, big, 0x10002, MSG_NOSIGNAL) == 0x10002)
		n += 0x10000;
	assert_in_range(n, 2 << 20, 32 << 20);                          /* the limit is 2 MiB; the sockets hold some */
	read_answer(s, &a);
	close(s);
	next_works();
	site_restart_server();
	assert_int_equal(tmp_files(), 0);
}

static void
memory_comes_back(void **state)
{
	size_t before = 0, after;

	for (int round = 0; round < 2; round++) {                        /* the first fills what is kept for ever, as caches */
		framing(state);
		paths(state);
		json(state);
		before = round == 0 ? mallinfo2().uordblks : before;
	}
	after = mallinfo2().uordblks;
	if (after > before + (256 << 10))
		fail_msg("%zu bytes more after the same hostile requests again", after - before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(framing), cmocka_unit_test(nothing_behind), cmocka_unit_test(paths), cmocka_unit_test(json), cmocka_unit_test(parts), cmocka_unit_test(large_headers), cmocka_unit_test(endless_body),
		cmocka_unit_test(many_connections), cmocka_unit_test(silent_connections), cmocka_unit_test(many_requests), cmocka_unit_test(memory_comes_back), cmocka_unit_test(slow_headers), cmocka_unit_test(slow_second_header),
		cmocka_unit_test(slow_body),
	};
	return cmocka_run_group_tests(tests, site_open, site_close);
}
