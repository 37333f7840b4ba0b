/* An instance that came again in another transfer syntax: what the node makes of the answer of the process that compares, and of one that dies of it. The
 * process is this very program: segand starts itself with --compare, and so does the code under test. Every syntax: tests/e2e/again.sh. */
#include "tests/unit/flow_test.h"
#include "tests/unit/sanitizer.h"

#include "service/flow/compare.h"

#include <signal.h>

static struct settings *settings;
static struct node node;

static int
open_node(void **state)
{
	struct err e;

	(void)state;
	settings = make_settings("\"worker_memory_mb\": 1073741824,"); /* a sanitizer's shadow is larger than any sensible limit */
	node = (struct node) { .settings = settings };
	return spool_prepare(&node, &e) != 0 ? -1 : sem_init(&node.compares, 0, COMPARE_AT_ONCE);
}

static int
close_node(void **state)
{
	(void)state;
	sem_destroy(&node.compares);
	settings_free(settings);
	return 0;
}

/* A copy where the process may read it; none where the sample is not there. */
static void
stage(const char *name, const char *as, char path[SPOOL_PATH])
{
	char from[SPOOL_PATH];

	sample(name, 0, from);
	snprintf(path, SPOOL_PATH, "%s/tmp/%s", settings->data_dir, as);
	unlink(path);
	if (file_exists(from))
		copy_file(from, path);
}

/* behaviour: of the process; "" as segand's. */
static int
compare(const char *behaviour, const char *again, const char *first, struct err *e)
{
	char path[SPOOL_PATH], there[SPOOL_PATH];
	int turns;

	stage(again, "again", path);
	stage(first, "first", there);
	setenv("COMPARE_TEST", behaviour, 1);
	*e = (struct err) { 0 };
	int rc = compare_again(&node, path, there, e);
	assert_int_equal(sem_getvalue(&node.compares, &turns), 0);
	assert_int_equal(turns, COMPARE_AT_ONCE);
	return rc;
}

static void
refused(const char *behaviour, const char *again, const char *first, const char *words)
{
	struct err e;

	assert_int_equal(compare(behaviour, again, first, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	if (strstr(e.text, words) == NULL)
		fail_msg("\"%s\" does not hold \"%s\"", e.text, words);
}

static void
the_same_is_the_same(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(compare("", "implicit", "flair", &e), 0);
	assert_int_equal(compare("", "flair", "flair", &e), 0);
}

static void
what_differs_is_named(void **state)
{
	(void)state;
	refused("", "other", "flair", "the pixels of frame 1 differ");
	refused("", "scaled", "flair", "more positions, orientations, spacings or scales");
	refused("", "patient", "flair", "PatientID (0010,0020) differs");
	refused("", "not-there", "flair", "cannot be compared");
	refused("", "flair", "not-there", "cannot be compared");
}

static void
a_process_that_dies_or_babbles_is_no_yes(void **state)
{
	(void)state;
	refused("dies", "implicit", "flair", "signal");
	refused("leaves", "implicit", "flair", "ended with status 3");
	refused("babbles", "implicit", "flair", "line 1");
	refused("shrugs", "implicit", "flair", "no answer");
}

static int
fake(int argc, char **argv)
{
	const char *behaviour = getenv("COMPARE_TEST");

	if (strcmp(behaviour, "dies") == 0)
		raise(SIGKILL);
	if (strcmp(behaviour, "leaves") == 0)
		return 3;
	if (strcmp(behaviour, "babbles") == 0 || strcmp(behaviour, "shrugs") == 0) {
		puts(strcmp(behaviour, "shrugs") == 0 ? "{}" : "same");
		fflush(stdout);
		return getchar() == EOF;
	}
	return compare_main(argc, argv);
}

int
main(int argc, char **argv)
{
	static const char *const specs[] = { "flair:n=1", "implicit:n=1,syntax=implicit", "other:n=1,add=5", "patient:n=1,patient=OTHER", "scaled:n=1,slope=2", NULL };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_same_is_the_same, open_node, close_node),
		cmocka_unit_test_setup_teardown(what_differs_is_named, open_node, close_node),
		cmocka_unit_test_setup_teardown(a_process_that_dies_or_babbles_is_no_yes, open_node, close_node),
	};

	if (argc > 1 && strcmp(argv[1], "--compare") == 0)
		return fake(argc, argv);
	if (is_under_valgrind()) {
		puts("skipped: under valgrind a process cannot start itself");
		return 0;
	}
	signal(SIGPIPE, SIG_IGN);
	return RUN_WITH_STUDIES(specs, tests);
}
