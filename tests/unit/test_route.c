/* Finding a route: the pattern language, decoding, and paths that try to mean two things. The real table is checked for rows that hide each other. */
#include "service/http/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka needs the four above first */
#include <cmocka.h>

static const struct route table[] = {
	{ .method = "GET", .pattern = "/health" },
	{ .method = "GET", .pattern = "/api/v1/jobs" },
	{ .method = "POST", .pattern = "/api/v1/jobs" },
	{ .method = "GET", .pattern = "/api/v1/jobs/{id}" },
	{ .method = "POST", .pattern = "/api/v1/jobs/{id}/retry" },
	{ .method = "GET", .pattern = "/a/{x}/b/{y}" },
};

static const struct { const char *method, *path; enum route_verdict verdict; int row; const char *param, *allow; } row[] = {
	{ "GET", "/health", ROUTE_FOUND, 0, NULL, "" },
	{ "HEAD", "/health", ROUTE_FOUND, 0, NULL, "" },
	{ "GET", "/api/v1/jobs", ROUTE_FOUND, 1, NULL, "" },
	{ "POST", "/api/v1/jobs", ROUTE_FOUND, 2, NULL, "" },
	{ "DELETE", "/api/v1/jobs", ROUTE_WRONG_METHOD, -1, NULL, "GET, HEAD, POST" },
	{ "GET", "/api/v1/jobs/42", ROUTE_FOUND, 3, "42", "" },
	{ "GET", "/api/v1/jobs/4%32", ROUTE_FOUND, 3, "42", "" },
	{ "GET", "/api/v1/j%6Fbs/%3Cb%3E", ROUTE_FOUND, 3, "<b>", "" },
	{ "GET", "/api/v1/jobs/42/retry", ROUTE_WRONG_METHOD, -1, NULL, "POST" },
	{ "HEAD", "/api/v1/jobs/42/retry", ROUTE_WRONG_METHOD, -1, NULL, "POST" },
	{ "POST", "/api/v1/jobs/42/retry", ROUTE_FOUND, 4, "42", "" },
	{ "get", "/health", ROUTE_WRONG_METHOD, -1, NULL, "GET, HEAD" },
	{ "GET", "/a/1/b/2", ROUTE_FOUND, 5, "1", "" },
	{ "GET", "/", ROUTE_UNKNOWN, -1, NULL, "" },
	{ "GET", "/health/", ROUTE_UNKNOWN, -1, NULL, "" },
	{ "GET", "//health", ROUTE_UNKNOWN, -1, NULL, "" },
	{ "GET", "/Health", ROUTE_UNKNOWN, -1, NULL, "" },
	{ "GET", "/healt", ROUTE_UNKNOWN, -1, NULL, "" },
	{ "GET", "/healthy", ROUTE_UNKNOWN, -1, NULL, "" },
	{ "GET", "/api/v1/jobs/", ROUTE_UNKNOWN, -1, NULL, "" },
	{ "GET", "/a/b/c/d/e/f/g/h/i/j/k/l/m", ROUTE_UNKNOWN, -1, NULL, "" },
	{ "GET", "", ROUTE_MALFORMED, -1, NULL, "" },
	{ "GET", "health", ROUTE_MALFORMED, -1, NULL, "" },
	{ "OPTIONS", "*", ROUTE_MALFORMED, -1, NULL, "" },
	{ "GET", "/api/v1/../v1/jobs", ROUTE_MALFORMED, -1, NULL, "" },
	{ "GET", "/api/v1/%2e%2E/v1/jobs", ROUTE_MALFORMED, -1, NULL, "" },
	{ "GET", "/./health", ROUTE_MALFORMED, -1, NULL, "" },
	{ "GET", "/api/v1%2Fjobs", ROUTE_MALFORMED, -1, NULL, "" },
	{ "GET", "/api/v1/jobs/..%5cx", ROUTE_MALFORMED, -1, NULL, "" },
	{ "GET", "/api/v1/jobs/4%00", ROUTE_MALFORMED, -1, NULL, "" },
	{ "GET", "/api/v1/jobs/4%0a", ROUTE_MALFORMED, -1, NULL, "" },
	{ "GET", "/api/v1/jobs/4%7f", ROUTE_MALFORMED, -1, NULL, "" },
	{ "GET", "/api/v1/jobs/4%", ROUTE_MALFORMED, -1, NULL, "" },
	{ "GET", "/api/v1/jobs/4%3", ROUTE_MALFORMED, -1, NULL, "" },
	{ "GET", "/api/v1/jobs/%zz", ROUTE_MALFORMED, -1, NULL, "" },
};

static void
find(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		const struct route *found = NULL;
		char params[REQUEST_PARAMS][REQUEST_TEXT], allow[64];
		enum route_verdict v = route_find(table, sizeof table / sizeof table[0], row[i].method, row[i].path, &found, params, allow);
		if (v != row[i].verdict || (v == ROUTE_FOUND && found != &table[row[i].row]) || strcmp(allow, row[i].allow) != 0)
			fail_msg("%s %s: verdict %d allow '%s'", row[i].method, row[i].path, (int)v, allow);
		if (row[i].param)
			assert_string_equal(params[0], row[i].param);
	}
}

static void
second_param(void **state)
{
	const struct route *found;
	char params[REQUEST_PARAMS][REQUEST_TEXT], allow[64];

	(void)state;
	assert_int_equal(route_find(table, sizeof table / sizeof table[0], "GET", "/a/one/b/two", &found, params, allow), ROUTE_FOUND);
	assert_string_equal(params[1], "two");
}

static void
long_segment(void **state)
{
	const struct route *found;
	char params[REQUEST_PARAMS][REQUEST_TEXT], allow[64], path[1024] = "/api/v1/jobs/";
	size_t n = strlen(path);

	(void)state;
	memset(path + n, '1', REQUEST_TEXT - 1);
	assert_int_equal(route_find(table, sizeof table / sizeof table[0], "GET", path, &found, params, allow), ROUTE_FOUND);
	memset(path + n, '1', REQUEST_TEXT);
	assert_int_equal(route_find(table, sizeof table / sizeof table[0], "GET", path, &found, params, allow), ROUTE_MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(find),
		cmocka_unit_test(second_param),
		cmocka_unit_test(long_segment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
