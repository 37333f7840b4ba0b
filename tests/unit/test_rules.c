/* The shipped rules against two tables of series descriptions: real ones, and some written for this (tests/data/rules). Each row is a series of its own in a
 * DICOM file that tests/tools/mktable.py makes. What is asked for: nearly all right, and nothing that is no channel taken for one. */
#include "tests/unit/flow_test.h"

#include "service/flow/match.h"

#include <sys/stat.h>

static const char *
role_of_row(FILE *roles, char text[16])
{
	assert_non_null(fgets(text, 16, roles));
	text[strcspn(text, "\n")] = 0;
	return strcmp(text, "ignore") == 0 ? "" : text;
}

static void
make_table(const char *table, char out[SPOOL_PATH])
{
	const char *argv[] = { "/usr/bin/python3", "tests/tools/mktable.py", table, out, NULL };
	int status;
	pid_t pid;

	snprintf(out, SPOOL_PATH, "%s/table%d", folder, ++folders);
	assert_int_equal(mkdir(out, 0700), 0);
	assert_int_equal(posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Says every row that is wrong; taken: those that are no channel and became one. */
static size_t
count_wrong(const char *table, size_t n_rows, size_t *taken)
{
	struct settings *settings = make_settings("");
	char dir[SPOOL_PATH], path[2 * SPOOL_PATH], text[16];
	struct err e = { 0 };
	struct rules *rules = rules_compile(settings, &e);
	size_t wrong = 0;
	FILE *roles;

	assert_non_null(rules);
	make_table(table, dir);
	snprintf(path, sizeof path, "%s/roles", dir);
	roles = fopen(path, "r");
	assert_non_null(roles);
	*taken = 0;
	for (size_t i = 1; i <= n_rows; i++) {
		const char *role = role_of_row(roles, text);
		struct decision d;
		snprintf(path, sizeof path, "%s/%04zu.dcm", dir, i);
		if (rules_decide_all(rules, path, 20, &d, &e) != 0)
			fail_msg("%s: %s", path, e.text);
		if (strcmp(d.channel, role) == 0)
			continue;
		print_message("row %zu: '%s' instead of '%s': %s\n", i, d.channel, role, d.reason);
		wrong++;
		*taken += role[0] == 0;
	}
	assert_null(fgets(text, sizeof text, roles));
	fclose(roles);
	rules_free(rules);
	settings_free(settings);
	return wrong;
}

static void
real_descriptions(void **state)
{
	size_t taken;

	(void)state;
	/* "3D SAG" alone is known to be a t1 from elsewhere only. */
	assert_int_equal(count_wrong("tests/data/rules/series_descriptions.tsv", 425, &taken), 1);
	assert_int_equal(taken, 0);
}

static void
other_descriptions(void **state)
{
	size_t taken;

	(void)state;
	assert_int_equal(count_wrong("tests/data/rules/more_descriptions.tsv", 394, &taken), 0);
	assert_int_equal(taken, 0);
}

int
main(void)
{
	static const char *const specs[] = { NULL };
	const struct CMUnitTest tests[] = { cmocka_unit_test(real_descriptions), cmocka_unit_test(other_descriptions) };

	return RUN_WITH_STUDIES(specs, tests);
}
