/* What the JSON of a job's results says about its files. What the files hold: test_seg.c, test_report.c, tests/e2e/results.sh. */
#include "service/flow/results.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
files_are(const char *json, unsigned kinds, const char *wanted)
{
	struct result_file *files = NULL;
	struct err e = { 0 };
	char got[400] = "";
	size_t n = 0;

	assert_int_equal(results_files(json, kinds, &files, &n, &e), 0);
	for (size_t i = 0; i < n; i++) {
		size_t k = strlen(got);
		snprintf(got + k, sizeof got - k, "%zu %s ", files[i].position, files[i].name);
	}
	assert_string_equal(got, wanted);
	free(files);
}

static void
files_of_a_job(void **state)
{
	static const char all[] = "[{\"kind\":\"seg\",\"frames\":9},{\"kind\":\"report\"},{\"kind\":\"rtstruct\"},{\"kind\":\"preview\",\"instances\":2}]";

	(void)state;
	files_are(NULL, UINT_MAX, "");
	files_are("", UINT_MAX, "");
	files_are("[]", UINT_MAX, "");
	files_are(all, 0, "");
	files_are(all, UINT_MAX, "0 seg.dcm 1 report.dcm 2 rtstruct.dcm 3 preview-00001.dcm 4 preview-00002.dcm ");
	files_are(all, RESULT_SET(RESULT_SEG), "0 seg.dcm ");
	files_are(all, RESULT_SET(RESULT_REPORT) | RESULT_SET(RESULT_PREVIEW), "1 report.dcm 3 preview-00001.dcm 4 preview-00002.dcm ");
	files_are("[{\"kind\":\"seg\",\"instances\":7}]", UINT_MAX, "0 seg.dcm "); /* one by its kind */
}

/* The worker is not trusted with this text: it chooses no other name and no size. */
static void
what_is_no_list_of_results_is_refused(void **state)
{
	static const char *const bad[] = { "[", "[{}]", "[{\"kind\":\"../seg\"}]", "[7]", "[{\"kind\":\"preview\",\"instances\":0}]", "[{\"kind\":\"preview\",\"instances\":65537}]",
		"[{\"kind\":\"preview\",\"instances\":1e300}]", "[{\"kind\":\"preview\",\"instances\":-1}]" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct result_file *files = NULL;
		struct err e = { 0 };
		size_t n = 0;

		if (results_files(bad[i], UINT_MAX, &files, &n, &e) == 0)
			fail_msg("%s is taken", bad[i]);
		assert_int_equal(e.code, ERR_BUG);
		free(files);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(files_of_a_job), cmocka_unit_test(what_is_no_list_of_results_is_refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
