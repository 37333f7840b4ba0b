/* POST /api/v1/rules/test: a file, a study, and what is no question. Nothing is left in the database or the spool's tmp folder. */
#include "http_client.h"

#include "config/json.h"
#include "service/flow/intake.h"

#include <spawn.h>
#include <sys/wait.h>

extern char **environ;
static struct settings *rules_of_test;

static const char text[] = "{\"rules\": [{\"name\": \"no\", \"channel\": null, \"where\": {\"ImageType\": \"LOCALIZER\"}},"
			   "{\"name\": \"named\", \"channel\": \"t1\", \"where\": {\"PatientName\": \"nobody\"}},"
			   "{\"name\": \"flair\", \"channel\": \"flair\", \"where\": {\"SeriesDescription\": \"flair\"}}]}";

static void
make_series(void)
{
	const char *argv[] = { "/usr/bin/python3", "tests/tools/mkstudy.py", NULL, "flair:text=AX+FLAIR,n=2", "scout:text=x,type=ORIGINAL/PRIMARY/LOCALIZER,series=11,base=1100,n=1", NULL };
	char out[300];
	int status;
	pid_t pid;

	snprintf(out, sizeof out, "%s/series", site.dir);
	argv[2] = out;
	assert_int_equal(posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int
open_site(void **state)
{
	struct err e;

	if (site_open(state) != 0)
		return -1;
	make_series();
	rules_of_test = settings_parse(text, strlen(text), "rules", &e);
	assert_non_null(rules_of_test);
	site.settings.rules = rules_of_test->rules;
	site.settings.n_rules = rules_of_test->n_rules;
	return 0;
}

static int
close_site(void **state)
{
	int result = site_close(state);

	settings_free(rules_of_test);
	return result;
}

static char *
bytes_of(const char *name, size_t *n)
{
	char path[600];
	struct err e = { 0 };
	char *bytes;

	snprintf(path, sizeof path, "%s/series/%s/000.dcm", site.dir, name);
	bytes = file_read(path, 1 << 20, n, &e);
	if (bytes == NULL)
		fail_msg("%s", e.text);
	return bytes;
}

static unsigned
question(const char *type, const char *body, size_t n, struct answer *a)
{
	char *request = malloc(n + 400);
	size_t head = (size_t)snprintf(request, 400, "POST /api/v1/rules/test HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", type, n);

	memcpy(request + head, body, n);
	talk(request, head + n, a);
	free(request);
	return a->status;
}

static void
says(const struct answer *a, const char *what)
{
	if (strstr(a->body, what) == NULL)
		fail_msg("no '%s' in: %s", what, a->body);
}

static int64_t
stored(void)
{
	int64_t instances, studies;
	struct err e;

	assert_int_equal(instances_count(site.node.db, &instances, &studies, &e), 0);
	return instances;
}

static void
a_file_is_explained(void **state)
{
	struct answer a;
	size_t n;
	char *bytes = bytes_of("flair", &n);

	(void)state;
	assert_int_equal(question("application/dicom", bytes, n, &a), 200);
	says(&a, "\"series_uid\":\"2.25.10\",\"study_uid\":\"2.25.1\",\"channel\":\"flair\",\"rule\":\"flair\",\"reason\":\"rule flair: SeriesDescription \\\"AX FLAIR\\\" matches \\\"flair\\\"\",\"recorded\":null");
	says(&a, "{\"rule\":\"no\",\"channel\":null,\"fallback\":false,\"fits\":false,\"reason\":\"rule no: ImageType \\\"ORIGINAL\\\\PRIMARY\\\\M\\\" does not match \\\"LOCALIZER\\\"\"}");
	says(&a, "\"reason\":\"rule named: PatientName (not shown) does not match");
	assert_null(strstr(a.body, "CANARY"));
	free(bytes);
	bytes = bytes_of("scout", &n);
	assert_int_equal(question("application/dicom; transfer-syntax=*", bytes, n, &a), 200);
	says(&a, "\"channel\":null,\"rule\":\"no\",\"reason\":\"ignored by rule no: ");
	assert_int_equal(question("application/dicom", bytes, n / 2, &a), 400);
	free(bytes);
	assert_int_equal(stored(), 0);
	site_restart_server();
	assert_int_equal(tmp_files(), 0);
}

static void
a_study_is_explained(void **state)
{
	static const char ask_it[] = "{\"study_uid\": \"2.25.1\"}";
	char path[SPOOL_PATH];
	struct intake_answer answer;
	struct intake_file f = { .path = path };
	struct answer a;
	struct err e = { 0 };
	size_t n;

	(void)state;
	assert_int_equal(question("application/json", ask_it, strlen(ask_it), &a), 404);
	assert_int_equal(intake_open(&site.node, "MR1", "10.0.0.7", &f.association, &e), 0);
	for (int i = 0; i < 2; i++) {
		char *bytes = bytes_of(i == 0 ? "flair" : "scout", &n);
		FILE *out;
		assert_int_equal(spool_tmp(&site.node, path, &e), 0);
		out = fopen(path, "wb");
		assert_non_null(out);
		assert_int_equal(fwrite(bytes, 1, n, out), n);
		assert_int_equal(fclose(out), 0);
		free(bytes);
		if (intake_add(&site.node, &f, &answer, &e) != 0)
			fail_msg("%s", e.text);
	}
	intake_close(&site.node, f.association, true);
	assert_int_equal(question("application/json", ask_it, strlen(ask_it), &a), 200);
	says(&a, "\"series_uid\":\"2.25.10\",\"study_uid\":\"2.25.1\",\"channel\":\"flair\"");
	says(&a, "\"series_uid\":\"2.25.11\",\"study_uid\":\"2.25.1\",\"channel\":null,\"rule\":\"no\"");
	assert_int_equal(stored(), 2);
}

static void
no_question(void **state)
{
	static const struct { const char *type, *body; unsigned status; } rows[] = {
		{ "text/plain", "x", 415 }, { "application/dicom+json", "{}", 415 }, { "application/json", "", 400 }, { "application/json", "{}", 400 },
		{ "application/json", "[]", 400 }, { "application/json", "{\"study_uid\": 1}", 400 }, { "application/json", "{\"study_uid\": \"../x\"}", 400 },
		{ "application/json", "{\"study_uid\": \"1.2\", \"x\": 1}", 400 }, { "application/json; charset=utf-8", "{\"study_uid\": \"1.2\"}", 404 },
		{ "application/dicom", "", 400 }, { "application/dicom", "rubbish", 400 },
	};
	char *large = calloc(1, 2 << 20);
	struct answer a;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (question(rows[i].type, rows[i].body, strlen(rows[i].body), &a) != rows[i].status)
			fail_msg("row %zu: %u %s", i, a.status, a.body);
		says(&a, "\"status\":");
	}
	memset(large, ' ', 5000);
	assert_int_equal(question("application/json", large, 5000, &a), 413);
	assert_int_equal(question("application/dicom", large, (1 << 20) + 1, &a), 413); /* over max_instance_mb, below max_body_mb */
	free(large);
	site_restart_server();
	assert_int_equal(tmp_files(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_file_is_explained), cmocka_unit_test(a_study_is_explained), cmocka_unit_test(no_question) };

	return cmocka_run_group_tests(tests, open_site, close_site);
}
