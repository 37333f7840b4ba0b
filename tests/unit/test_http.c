/* The HTTP door but for STOW: addresses, methods, framing, origins, jobs and what may be done to them, the pages that machines watch. No dispatch and no
 * worker run, so a job stays where the test puts it. */
#include "http_client.h"

#include "config/clock.h"
#include "config/json.h"
#include "db/audit.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "service/http/origin.h"

/* A queued job with one input. */
static int64_t
make_job(const char *study_uid, int64_t case_version)
{
	struct job j = { .state = JOB_RECEIVING, .model_name = "glioma-flair", .model_version = "0.1.0", .model_digest = "abc", .priority = "normal",
	                 .case_version = case_version, .run = 1, .created_ms = clock_ms(), .channels = (char[]){ "{\"flair\":\"1.2.3\"}" } };
	const struct job_input input = { "flair", "1.2.3.4" };
	int64_t id = 0;
	struct err e;

	snprintf(j.study_uid, sizeof j.study_uid, "%s", study_uid);
	if (jobs_create(site.node.db, &j, &id, &e) < 0 || jobs_queue(site.node.db, id, j.channels, "print", &input, 1, "test", &e) < 0)
		fail_msg("%s", e.text);
	return id;
}

/* The oldest queued job, taken as a worker would. */
static int64_t
claim(void)
{
	struct job j;
	struct err e;
	int64_t id;

	if (jobs_claim(site.node.db, &j, &e) < 0)
		fail_msg("%s", e.text);
	id = j.id;
	job_release(&j);
	return id;
}

static void
write_result(int64_t id, const char *name, const char *bytes)
{
	char path[SPOOL_PATH], folder[SPOOL_PATH];
	struct err e;

	spool_result(&site.node, id, name, path);
	snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
	assert_int_equal(file_make_dirs(folder, 0700, &e), 0);
	assert_int_equal(file_write(path, bytes, strlen(bytes), &e), 0);
}

static void
compute(int64_t id, int64_t attempt, bool with_destination)
{
	static const char *const destinations[] = { "pacs" };
	const struct job_outcome o = { .finding = "present", .flags = "{\"odd\":\"odd: why\"}", .segments = "[{\"number\":1,\"label\":\"Whole tumour\",\"volume_ml\":23.4}]",
	                               .results = "[{\"kind\":\"seg\",\"series_uid\":\"2.25.1\",\"sop_instance_uid\":\"2.25.2\",\"frames\":9}]", .timings = "{\"read\":40}" };
	struct err e;

	write_result(id, "seg.dcm", "SEG BYTES");
	if (jobs_computed(site.node.db, id, attempt, &o, destinations, with_destination ? 1 : 0, &e) < 0)
		fail_msg("%s", e.text);
}

static unsigned
on_job(const char *method, int64_t id, const char *what, struct answer *a)
{
	char path[128];

	snprintf(path, sizeof path, "/api/v1/jobs/%lld%s", (long long)id, what);
	return ask(method, path, "", a);
}

static void
expect_text(const struct answer *a, const char *text)
{
	if (!strstr(a->body, text))
		fail_msg("no '%s' in: %s", text, a->body);
}

static void
addresses(void **state)
{
	static const struct { const char *method, *path; unsigned status; const char *allow; } row[] = {
		{ "GET", "/", 404, NULL }, { "GET", "/nothing", 404, NULL }, { "POST", "/nothing", 404, NULL }, { "GET", "/health/", 404, NULL },
		{ "GET", "/health", 200, NULL }, { "HEAD", "/health", 200, NULL }, { "POST", "/health", 405, "Allow: GET, HEAD\r\n" },
		{ "BREW", "/health", 405, "Allow: GET, HEAD\r\n" }, { "GET", "/dicom-web/studies", 405, "Allow: POST\r\n" },
		{ "DELETE", "/api/v1/jobs/1", 405, "Allow: GET, HEAD\r\n" }, { "GET", "/api/v1/jobs/1/retry", 405, "Allow: POST\r\n" },
		{ "GET", "/api/v1/%2e%2e/v1/jobs", 400, NULL }, { "GET", "/api/v1%2fjobs", 400, NULL }, { "GET", "/health%00", 400, NULL }, { "GET", "/../etc/passwd", 400, NULL },
		{ "GET", "/api/v1/jobs/%2e%2e%2f%2e%2e%2fetc", 400, NULL }, { "GET", "/health%", 400, NULL }, { "GET", "/h%65alth", 200, NULL },
		{ "GET", "/api/v1/jobs/0", 404, NULL }, { "GET", "/api/v1/jobs/-1", 404, NULL }, { "GET", "/api/v1/jobs/abc", 404, NULL },
		{ "GET", "/api/v1/jobs/99999", 404, NULL }, { "GET", "/api/v1/jobs/99999999999999999999", 404, NULL }, { "GET", "/api/v1/jobs/99999/seg", 404, NULL },
		{ "GET", "/api/v1/jobs/99999/preview.png", 404, NULL }, { "POST", "/api/v1/jobs/99999/retry", 404, NULL }, { "POST", "/api/v1/jobs/99999/cancel", 404, NULL },
		{ "GET", "/api/v1/series/1.2.3/decision", 404, NULL }, { "GET", "/api/v1/series/1.2.x/decision", 404, NULL }, { "GET", "/health?x=1", 400, NULL },
	};
	struct answer a;

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		ask(row[i].method, row[i].path, "", &a);
		if (a.status != row[i].status || (row[i].allow && !strstr(a.head, row[i].allow)))
			fail_msg("%s %s: %u\n%s", row[i].method, row[i].path, a.status, a.head);
		if (a.status >= 400)
			expect_problem(&a, row[i].status);
	}
	assert_int_equal(ask("HEAD", "/health", "", &a), 200);
	assert_string_equal(a.body, "");
	assert_int_equal(ask("GET", "/api/v1/models", "Accept: text/html\r\n", &a), 406);
	expect_text(&a, "application/json");
	assert_int_equal(ask("GET", "/health", "Accept: text/html\r\n", &a), 200);
}

static void
framing(void **state)
{
	static const struct { const char *request; unsigned status; } row[] = {
		{ "POST /api/v1/jobs/1/retry HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400 },
		{ "POST /api/v1/jobs/1/retry HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400 },
		{ "POST /api/v1/jobs/1/retry HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
		{ "POST /api/v1/jobs/1/retry HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\nx", 501 },
		{ "POST /api/v1/jobs/1/retry HTTP/1.1\r\nHost: localhost\r\nContent-Length : 3\r\n\r\nabc", 400 },
		{ "GET /health HTTP/1.1\r\nConnection: close\r\n\r\n", 400 },
		{ "GET /health HTTP/1.0\r\n\r\n", 200 },
		{ "GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 400 },
		{ "GET /health HTTP/1.1\r\nHost: localhost/evil\r\nConnection: close\r\n\r\n", 400 },
		{ "GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nConnection: close\r\n\r\nabcde", 200 },
		{ "GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n", 413 },
	};
	struct answer a;

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		talk(row[i].request, strlen(row[i].request), &a);
		if (a.status != row[i].status)
			fail_msg("row %zu: %u %s", i, a.status, a.body);
	}
	talk("rubbish\r\n\r\n", 11, &a);                                /* the library's own words, or none; the next one must work */
	assert_int_equal(ask("GET", "/health", "", &a), 200);
}

static void
keep_alive(void **state)
{
	static const char twice[] = "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	struct answer a;

	(void)state;
	talk(twice, strlen(twice), &a);
	assert_int_equal(a.status, 404);
	expect_text(&a, "HTTP/1.1 200 OK");                             /* the second answer follows the first on one connection */
}

static void
origins(void **state)
{
	static const struct { const char *method, *path, *headers; unsigned status; } row[] = {
		{ "GET", "/health", "Host: evil.example\r\n", 403 }, { "GET", "/api/v1/jobs", "Host: evil.example:8080\r\n", 403 }, { "GET", "/health", "Host: LOCALHOST:1\r\n", 200 },
		{ "GET", "/health", "Host: [::1]:8080\r\n", 200 }, { "GET", "/health", "Host: 127.1.2.3\r\n", 200 }, { "GET", "/health", "Host: localhost.evil.example\r\n", 403 },
		{ "POST", "/api/v1/jobs/1/retry", "Host: localhost:8080\r\nOrigin: http://evil.example\r\n", 403 },
		{ "POST", "/api/v1/jobs/1/retry", "Host: localhost:8080\r\nOrigin: http://localhost:3000\r\n", 403 },
		{ "POST", "/api/v1/jobs/1/retry", "Host: localhost:8080\r\nOrigin: null\r\n", 403 },
		{ "POST", "/api/v1/jobs/99999/retry", "Host: localhost:8080\r\nOrigin: http://LOCALHOST:8080\r\n", 404 },
		{ "GET", "/health", "Host: localhost:8080\r\nOrigin: http://evil.example\r\n", 200 },
	};
	struct answer a;

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		char text[512];
		int n = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nConnection: close\r\n%s\r\n", row[i].method, row[i].path, row[i].headers);
		talk(text, (size_t)n, &a);
		if (a.status != row[i].status)
			fail_msg("%s: %u %s", row[i].headers, a.status, a.body);
	}
	assert_true(origin_matches("https://pacs.example", "pacs.example:443"));
	assert_true(origin_matches("http://pacs.example:80", "pacs.example"));
	assert_false(origin_matches("http://pacs.example:8080", "pacs.example"));
	assert_false(origin_matches("http://pacs.example.evil", "pacs.example"));
	assert_false(origin_matches("http://", ""));
	assert_true(origin_host_is_local("10.0.0.7:8080", "10.0.0.7"));
	assert_false(origin_host_is_local("10.0.0.7:8080", "127.0.0.1"));
	assert_false(origin_host_is_local("", "127.0.0.1"));
	assert_false(origin_host_is_local("[", "127.0.0.1"));
}

static void
list_keys(void **state)
{
	static const char *const bad[] = { "?state=ready", "?state=", "?state", "?study=x", "?study=", "?model=a/b", "?model=", "?model=a@", "?since=yesterday", "?since=2026-01-31",
		"?limit=0", "?limit=1001", "?limit=-1", "?limit=5x", "?limit=", "?cursor=abc", "?cursor=0", "?cursor=-1", "?colour=red", "?limit=5&limit=6", "?State=done", "?=1", "?limit=%zz",
		"?state=done%00", "?stat%65=ready" };
	static const char *const good[] = { "", "?state=done", "?stat%65=d%6fne", "?study=1.2.3", "?model=glioma-flair", "?model=glioma-flair@0.1.0", "?since=2026-01-31T12:00:00Z",
		"?since=2026-01-31T12:00:00.123%2B01:00", "?limit=1", "?limit=1000", "?cursor=7", "?state=done&study=1.2.3&limit=5" };
	char path[512];
	struct answer a;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(path, sizeof path, "/api/v1/jobs%s", bad[i]);
		if (ask("GET", path, "", &a) != 400)
			fail_msg("%s: %u", bad[i], a.status);
		expect_problem(&a, 400);
	}
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		snprintf(path, sizeof path, "/api/v1/jobs%s", good[i]);
		if (ask("GET", path, "", &a) != 200)
			fail_msg("%s: %u %s", good[i], a.status, a.body);
	}
}

/* Events of the audit trail about a study's jobs. */
static size_t
audited(const char *study_uid, enum audit_event event, enum audit_type type)
{
	struct audit_filter f = { .study_uid = study_uid, .limit = 1000 };
	struct audit_row *rows;
	struct err e;
	size_t n, found = 0;

	assert_int_equal(audit_list(site.node.db, &f, &rows, &n, &e), 0);
	for (size_t i = 0; i < n; i++)
		found += rows[i].event == (int)event && rows[i].type == (int)type && rows[i].job > 0 && strcmp(rows[i].address, "127.0.0.1") == 0;
	audit_rows_free(rows, n);
	return found;
}

static void
one_job(void **state)
{
	int64_t id = make_job("1.2.100", 1), same;
	struct delivery d;
	struct answer a;
	char text[1024];
	struct err e;

	(void)state;
	assert_int_equal(on_job("GET", id, "", &a), 200);
	snprintf(text, sizeof text, "{\"id\":%lld,\"state\":\"queued\",\"study_uid\":\"1.2.100\",\"model\":\"glioma-flair@0.1.0\",\"channels\":{\"flair\":\"1.2.3\"},\"priority\":\"normal\","
	         "\"case_version\":1,\"run\":1,\"attempt\":0,\"created\":\"", (long long)id);
	expect_text(&a, text);
	expect_text(&a, "Z\",\"started\":null,\"finished\":null,\"progress\":0,\"reason\":null,\"finding\":null,\"flags\":[],\"segments\":[],\"results\":[],\"deliveries\":[],\"timings_ms\":{}}");
	same = claim();
	assert_int_equal(same, id);
	compute(id, 1, true);
	assert_int_equal(on_job("GET", id, "", &a), 200);
	expect_text(&a, "\"reason\":\"odd: why\",\"finding\":\"present\",\"flags\":[\"odd\"],\"segments\":[{\"number\":1,\"label\":\"Whole tumour\",\"volume_ml\":23.4}],"
	                "\"results\":[{\"kind\":\"seg\",\"series_uid\":\"2.25.1\",\"sop_instance_uid\":\"2.25.2\",\"frames\":9}],"
	                "\"deliveries\":[{\"destination\":\"pacs\",\"state\":\"waiting\",\"attempts\":0,\"next_attempt\":");
	expect_text(&a, "\"last_error\":null}],\"timings_ms\":{\"read\":40}}");
	assert_int_equal(deliveries_claim(site.node.db, "pacs", clock_ms() + 1000, &d, &e), 0);
	assert_int_equal(deliveries_settle(site.node.db, d.id, DELIVERY_REFUSED, 0, "0xA900", &e), 0);
	assert_int_equal(on_job("GET", id, "", &a), 200);
	expect_text(&a, "\"state\":\"failed\"");
	expect_text(&a, "\"state\":\"refused\",\"attempts\":1,\"next_attempt\":null,\"last_error\":\"0xA900\"");
	assert_int_equal(on_job("POST", id, "/retry", &a), 202);          /* the same object to the same place */
	expect_text(&a, "\"state\":\"delivering\"");
	assert_int_equal(on_job("POST", id, "/deliveries/cloud/give-up", &a), 404);
	expect_problem(&a, 404);
	assert_int_equal(on_job("POST", id, "/deliveries/pacs/give-up", &a), 200);
	expect_text(&a, "\"state\":\"failed\"");
	expect_text(&a, "\"state\":\"given_up\",\"attempts\":1,\"next_attempt\":null,\"last_error\":\"given up by request; last: 0xA900\"");
	assert_int_equal(on_job("POST", id, "/deliveries/pacs/give-up", &a), 409);
	assert_int_equal(on_job("POST", id, "/retry", &a), 202);
	assert_int_equal(on_job("POST", id, "/cancel", &a), 200);
	expect_text(&a, "\"state\":\"cancelled\"");
	assert_int_equal(deliveries_claim(site.node.db, "pacs", clock_ms() + 1000, &d, &e), -1);
	assert_int_equal(audited("1.2.100", AUDIT_JOB, AUDIT_RETRY), 2);  /* what was done, not what was refused */
	assert_int_equal(audited("1.2.100", AUDIT_JOB, AUDIT_GIVE_UP), 1);
	assert_int_equal(audited("1.2.100", AUDIT_JOB, AUDIT_CANCEL), 1);
	assert_int_equal(ask("GET", "/api/v1/audit?study=1.2.100&limit=1", "", &a), 200);
	expect_text(&a, "\"event\":\"Job changed by a person\",\"code\":1,\"type\":\"Cancel\",\"action\":\"U\",\"outcome\":0,\"who\":{\"aet\":null,\"address\":\"127.0.0.1\",\"token\":null,"
	                "\"role\":null,\"user\":null},\"study_uid\":\"1.2.100\",");
}

static void
pages(void **state)
{
	struct answer a;
	const char *next;
	char path[128];
	int64_t first = make_job("1.2.200", 1), second = make_job("1.2.200", 2), third = make_job("1.2.200", 3);

	(void)state;
	assert_int_equal(ask("GET", "/api/v1/jobs?study=1.2.200&limit=2", "", &a), 200);
	snprintf(path, sizeof path, "{\"jobs\":[{\"id\":%lld,", (long long)third);
	expect_text(&a, path);
	snprintf(path, sizeof path, "{\"id\":%lld,", (long long)second);
	expect_text(&a, path);
	next = strstr(a.body, "\"next\":\"");
	assert_non_null(next);
	snprintf(path, sizeof path, "/api/v1/jobs?study=1.2.200&limit=2&cursor=%.*s", (int)strcspn(next + 8, "\""), next + 8);
	assert_int_equal(ask("GET", path, "", &a), 200);
	snprintf(path, sizeof path, "{\"jobs\":[{\"id\":%lld,", (long long)first);
	expect_text(&a, path);
	expect_text(&a, "],\"next\":null}");
	assert_int_equal(ask("GET", "/api/v1/jobs?study=1.2.201", "", &a), 200);
	assert_string_equal(a.body, "{\"jobs\":[],\"next\":null}");
	for (int64_t id = first; id <= third; id++)
		assert_int_equal(on_job("POST", id, "/cancel", &a), 200);
}

static void
retry_and_cancel(void **state)
{
	int64_t id = make_job("1.2.300", 1);
	struct answer a;
	char text[128];
	struct err e;

	(void)state;
	assert_int_equal(on_job("POST", id, "/retry", &a), 409);          /* not final */
	expect_problem(&a, 409);
	assert_int_equal(on_job("POST", id, "/cancel", &a), 200);
	expect_text(&a, "\"state\":\"cancelled\"");
	assert_int_equal(on_job("POST", id, "/cancel", &a), 409);
	assert_int_equal(on_job("POST", id, "/retry", &a), 202);          /* a new run in a new job */
	snprintf(text, sizeof text, "{\"id\":%lld,\"state\":\"queued\"", (long long)id + 1);
	expect_text(&a, text);
	expect_text(&a, "\"run\":2,\"attempt\":0");
	snprintf(text, sizeof text, "Location: /api/v1/jobs/%lld\r\n", (long long)id + 1);
	assert_non_null(strstr(a.head, text));
	assert_int_equal(claim(), id + 1);
	assert_int_equal(jobs_attempt_failed(site.node.db, id + 1, 1, false, 3, "worker: killed", &e), 0);
	assert_int_equal(on_job("POST", id + 1, "/retry", &a), 202);      /* another attempt of the same job */
	snprintf(text, sizeof text, "{\"id\":%lld,\"state\":\"queued\"", (long long)id + 1);
	expect_text(&a, text);
	assert_int_equal(claim(), id + 1);
	assert_int_equal(on_job("GET", id + 1, "", &a), 200);
	expect_text(&a, "\"state\":\"running\"");
	expect_text(&a, "\"run\":2,\"attempt\":2");
	compute(id + 1, 2, false);
	assert_int_equal(on_job("POST", id + 1, "/retry", &a), 202);      /* done: a third run */
	expect_text(&a, "\"run\":3,\"attempt\":0");
	assert_int_equal(on_job("POST", id, "/retry", &a), 202);          /* of the first again: its run must be new too */
	expect_text(&a, "\"run\":4,\"attempt\":0");
	assert_int_equal(claim(), id + 2);
	assert_int_equal(on_job("POST", id + 2, "/cancel", &a), 200);     /* running */
	assert_int_equal(on_job("POST", id + 3, "/cancel", &a), 200);
}

static void
result_files(void **state)
{
	int64_t id = make_job("1.2.400", 1);
	struct audit_row *rows;
	struct answer a;
	struct err e;
	size_t n;

	(void)state;
	assert_int_equal(on_job("GET", id, "/seg", &a), 404);
	expect_problem(&a, 404);
	write_result(id, "seg.dcm", "SEG BYTES");
	write_result(id, "preview.png", "PNG BYTES");
	assert_int_equal(on_job("GET", id, "/seg", &a), 200);
	assert_string_equal(a.body, "SEG BYTES");
	assert_non_null(strstr(a.head, "Content-Type: application/dicom\r\n"));
	assert_int_equal(on_job("HEAD", id, "/seg", &a), 200);
	assert_string_equal(a.body, "");
	assert_non_null(strstr(a.head, "Content-Length: 9\r\n"));
	assert_int_equal(on_job("GET", id, "/preview.png", &a), 200);
	assert_string_equal(a.body, "PNG BYTES");
	assert_non_null(strstr(a.head, "Content-Type: image/png\r\n"));
	assert_int_equal(on_job("POST", id, "/cancel", &a), 200);
	assert_int_equal(audited("1.2.400", AUDIT_ACCESSED, AUDIT_ANY_TYPE), 3);
	assert_int_equal(audit_list(site.node.db, &(const struct audit_filter){ .study_uid = "1.2.400", .limit = 3 }, &rows, &n, &e), 0); /* newest: that it was cancelled */
	assert_true(n == 3 && strcmp(rows[1].text, "preview.png") == 0 && strcmp(rows[2].text, "seg.dcm") == 0);
	audit_rows_free(rows, n);
}

static void
decision(void **state)
{
	struct instance_row row = { .sop_uid = "1.2.500.1.1", .sop_class = "1.2.840.10008.5.1.4.1.1.4", .study_uid = "1.2.500", .series_uid = "1.2.500.1",
	                            .transfer_syntax = "1.2.840.10008.1.2.1", .modality = "MR", .digest = "d", .content_digest = "c", .size = 1 };
	struct model_setting model = { .name = "glioma-flair" };
	enum instance_fate fate;
	struct answer a;
	struct err e;

	(void)state;
	site.settings.models = &model;
	site.settings.n_models = 1;
	assert_int_equal(associations_open(site.node.db, "MR1", "127.0.0.1", clock_ms(), &row.association, &e), 0);
	row.received_ms = clock_ms();
	assert_int_equal(instances_add(site.node.db, &row, &fate, &e), 0);
	assert_int_equal(series_decide(site.node.db, "1.2.500.1", "", "", "no rule fits: SeriesDescription of rule 'flair'", &e), 0);
	assert_int_equal(ask("GET", "/api/v1/series/1.2.500.1/decision", "", &a), 200);
	assert_string_equal(a.body, "{\"series_uid\":\"1.2.500.1\",\"study_uid\":\"1.2.500\",\"modality\":\"MR\",\"instances\":1,\"state\":\"open\",\"channel\":null,\"rule\":null,"
	                            "\"reason\":\"no rule fits: SeriesDescription of rule 'flair'\","
	                            "\"cases\":[{\"model\":\"glioma-flair@1.0.0\",\"channels\":{\"flair\":null},\"missing\":[\"flair\"],\"job\":null}]}");
	assert_int_equal(series_decide(site.node.db, "1.2.500.1", "flair", "flair", "fits", &e), 0);
	assert_int_equal(ask("GET", "/api/v1/series/1.2.500.1/decision", "", &a), 200);
	expect_text(&a, "\"channel\":\"flair\",\"rule\":\"flair\",\"reason\":\"fits\",\"cases\":[{\"model\":\"glioma-flair@1.0.0\",\"channels\":{\"flair\":\"1.2.500.1\"},\"missing\":[],\"job\":null}]");
	site.settings.n_models = 0;
	site.settings.models = NULL;
}

static void
watched(void **state)
{
	static const char *const lines[] = { "# TYPE segand_jobs gauge\n", "segand_jobs{state=\"cancelled\"} ", "segand_deliveries{state=\"given_up\"} ", "segand_delivery_oldest_seconds ", "# TYPE segand_instances_received_total counter\nsegand_instances_received_total ",
		"segand_instances_refused_total ", "segand_instances_duplicate_total ", "segand_spool_bytes ", "segand_instances_removed_total 0\n", "segand_uptime_seconds ", "segand_disk_free_bytes ", "segand_build_info{version=\"" };
	struct answer a;

	(void)state;
	assert_int_equal(ask("GET", "/api/v1/models", "", &a), 200);
	expect_text(&a, "{\"models\":[{\"name\":\"glioma-flair\",\"version\":\"1.0.0\",\"in_service\":true,");
	expect_text(&a, ",{\"name\":\"glioma-flair\",\"version\":\"0.1.0\",\"in_service\":false,");
	expect_text(&a, "\"channels\":[\"flair\"],\"segments\":[{\"number\":1,\"label\":\"");
	assert_int_equal(ask("GET", "/health", "", &a), 200);
	expect_text(&a, "{\"status\":\"ok\",");
	assert_int_equal(ask("GET", "/ready", "", &a), 503);
	expect_problem(&a, 503);
	server_ready(site.server);
	assert_int_equal(ask("GET", "/ready", "", &a), 200);
	site.settings.disk_reserve_mb = (int64_t)1 << 40;
	assert_int_equal(ask("GET", "/ready", "", &a), 503);
	site.settings.disk_reserve_mb = 0;
	assert_int_equal(ask("GET", "/metrics", "", &a), 200);
	assert_non_null(strstr(a.head, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		expect_text(&a, lines[i]);
	assert_int_equal(ask("GET", "/metrics", "Accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n", &a), 200);
}

static void
refuses_to_start(void **state)
{
	struct err e;

	(void)state;
	snprintf(site.settings.http.tokens_file, sizeof site.settings.http.tokens_file, "%s/tokens", site.dir);
	assert_null(server_start(&site.node, NULL, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_non_null(strstr(e.text, "segan token add"));
	site.settings.http.tokens_file[0] = '\0';
	site.settings.http.port = server_port(site.server);               /* taken */
	assert_null(server_start(&site.node, NULL, &e));
	assert_int_equal(e.code, ERR_IO);
	site.settings.http.port = 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(framing),
		cmocka_unit_test(keep_alive),
		cmocka_unit_test(origins),
		cmocka_unit_test(list_keys),
		cmocka_unit_test(one_job),
		cmocka_unit_test(pages),
		cmocka_unit_test(retry_and_cancel),
		cmocka_unit_test(result_files),
		cmocka_unit_test(decision),
		cmocka_unit_test(watched),
		cmocka_unit_test(refuses_to_start),
	};
	return cmocka_run_group_tests(tests, site_open, site_close);
}
