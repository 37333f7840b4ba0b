/* The feeder's side of a worker process. The fake worker is this very program: segand starts itself with --worker, and so does the code under test. */
#include "service/flow/worker_process.h"

#include "config/clock.h"
#include "tests/unit/sanitizer.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SOON_MS = 200, PATIENCE_MS = 60000 };

/* ---- the fake: each line on stdin is an instruction ---- */

static int
open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 3; /* ".", "..", the folder itself */
}

static void
say_a_lot(void)
{
	for (int i = 0; i < 3 << 20; i++)
		putchar('x');
}

static int
fake(int argc, char **argv)
{
	char *line = NULL;
	size_t room = 0;

	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	while (getline(&line, &room, stdin) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "say ", 4) == 0)
			printf("%s\n", line + 4);
		else if (strcmp(line, "three") == 0)
			printf("one\n\nthree\n");
		else if (strcmp(line, "nul") == 0)
			fwrite("a\0b\n", 1, 4, stdout);
		else if (strcmp(line, "long") == 0)
			say_a_lot();
		else if (strcmp(line, "arguments") == 0)
			printf("%d %s %s\n", argc, strtol(argv[2], NULL, 10) == getppid() ? "parent" : "stranger", argv[3]);
		else if (strcmp(line, "environment") == 0)
			printf("%s %s %s\n", getenv("OPENBLAS_NUM_THREADS"), getenv("OPENBLAS_CORETYPE") ? getenv("OPENBLAS_CORETYPE") : "-", getenv("OPENBLAS_VERBOSE") ? "kept" : "-");
		else if (strcmp(line, "files") == 0)
			printf("%d\n", open_files());
		else if (strcmp(line, "half") == 0)
			printf("no line end");
		else if (strncmp(line, "exit ", 5) == 0)
			_exit((int)strtol(line + 5, NULL, 10));
		else if (strncmp(line, "signal ", 7) == 0) {
			signal((int)strtol(line + 7, NULL, 10), SIG_DFL); /* a sanitizer has handlers of its own */
			raise((int)strtol(line + 7, NULL, 10));
		}
		fflush(stdout);
	}
	free(line);
	return 0;
}

/* ---- helpers ---- */

static struct worker_process p;

static void
start(const char *core_type)
{
	struct worker_limits l = { .memory_mb = 512, .core_type = core_type };
	struct err e = { 0 };

	if (worker_process_start(&p, &l, &e) != 0)
		fail_msg("%s", e.text);
}

static void
tell(const char *line)
{
	struct err e = { 0 };

	if (worker_process_tell(&p, line, clock_monotonic_ms() + PATIENCE_MS, &e) != 0)
		fail_msg("%s", e.text);
}

static void
hear(const char *wanted, size_t n_wanted)
{
	struct err e = { 0 };
	size_t n;
	const char *line = worker_process_hear(&p, clock_monotonic_ms() + PATIENCE_MS, &n, &e);

	if (line == NULL)
		fail_msg("%s", e.text);
	assert_int_equal(n, n_wanted);
	assert_memory_equal(line, wanted, n + 1);
}

static void
hear_text(const char *wanted)
{
	hear(wanted, strlen(wanted));
}

/* ---- tests ---- */

static void
lines_go_in_and_out(void **state)
{
	char how[160] = "?", *large = malloc(300001);

	(void)state;
	start(NULL);
	assert_true(worker_process_lives(&p));
	tell("say hello");
	hear_text("hello");
	tell("three");
	hear_text("one");
	hear_text("");
	tell("say four");
	hear_text("three");
	hear_text("four");
	tell("nul");
	hear("a\0b", 3);
	memset(large, 'y', 300000); /* more than a pipe holds, in and out */
	memcpy(large, "say ", 4);
	large[300000] = '\0';
	tell(large);
	hear_text(large + 4);
	free(large);
	worker_process_end(&p, how, sizeof how);
	assert_string_equal(how, ""); /* it was us */
	assert_int_equal(p.pid, 0);
	assert_false(worker_process_lives(&p));
	worker_process_end(&p, how, sizeof how); /* again: nothing to do */
}

static void
it_gets_what_it_needs_and_nothing_else(void **state)
{
	int before = open_files();

	(void)state;
	setenv("OPENBLAS_VERBOSE", "2", 1);
	setenv("OPENBLAS_CORETYPE", "Atom", 1);
	start(NULL);
	tell("arguments");
	hear_text("6 parent 512");
	tell("environment");
	hear_text("1 - -");
	tell("files");
	hear_text("3");
	worker_process_end(&p, NULL, 0);
	start("Haswell");
	tell("environment");
	hear_text("1 Haswell -");
	worker_process_end(&p, NULL, 0);
	assert_int_equal(open_files(), before);
}

static void
silence_has_a_limit(void **state)
{
	int64_t began = clock_monotonic_ms();
	struct err e = { 0 };
	size_t n;

	(void)state;
	start(NULL);
	tell("nothing");
	assert_null(worker_process_hear(&p, began + SOON_MS, &n, &e));
	assert_int_equal(e.code, ERR_LIMIT);
	assert_true(clock_monotonic_ms() >= began + SOON_MS);
	tell("half"); /* half a line is silence too */
	assert_null(worker_process_hear(&p, clock_monotonic_ms() + SOON_MS, &n, &e));
	assert_int_equal(e.code, ERR_LIMIT);
	assert_null(worker_process_hear(&p, 0, &n, &e)); /* a deadline that is over */
	assert_int_equal(e.code, ERR_LIMIT);
	worker_process_end(&p, NULL, 0);
}

/* A stopped process does not read: writing to it must not wait for ever. */
static void
deafness_has_a_limit(void **state)
{
	char *large = malloc(1 << 20), how[160];
	struct err e = { 0 };

	(void)state;
	memset(large, 'z', (1 << 20) - 1);
	large[(1 << 20) - 1] = '\0';
	start(NULL);
	tell("signal 19");
	assert_int_equal(worker_process_tell(&p, large, clock_monotonic_ms() + SOON_MS, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	worker_process_kill(&p);
	worker_process_end(&p, how, sizeof how);
	assert_string_equal(how, "");
	free(large);
}

static void
how_it_died_is_told(void **state)
{
	static const struct { const char *order, *how; } rows[] = { { "exit 3", "status 3" }, { "signal 9", "signal 9 (Killed)" }, { "signal 11", "signal 11 (Segmentation fault)" },
		{ "signal 24", "signal 24 (CPU time limit exceeded)" } };
	char how[160];
	siginfo_t ended;
	struct err e = { 0 };
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		start(NULL);
		tell(rows[i].order);
		assert_null(worker_process_hear(&p, clock_monotonic_ms() + PATIENCE_MS, &n, &e));
		assert_int_equal(e.code, ERR_PEER);
		worker_process_end(&p, how, sizeof how);
		if (strstr(how, rows[i].how) == NULL)
			fail_msg("\"%s\" does not hold \"%s\"", how, rows[i].how);
	}
	start(NULL);
	tell("exit 4");
	assert_int_equal(waitid(P_PID, (id_t)p.pid, &ended, WEXITED | WNOWAIT), 0);
	assert_int_equal(worker_process_tell(&p, "say it", clock_monotonic_ms() + PATIENCE_MS, &e), -1); /* a closed pipe, and no SIGPIPE */
	assert_int_equal(e.code, ERR_PEER);
	worker_process_end(&p, how, sizeof how);
	assert_non_null(strstr(how, "status 4"));
}

/* Dead between two orders: seen before the next is told. */
static void
the_dead_do_not_live(void **state)
{
	siginfo_t ended;

	(void)state;
	start(NULL);
	kill(p.pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)p.pid, &ended, WEXITED | WNOWAIT), 0);
	assert_false(worker_process_lives(&p));
	worker_process_end(&p, NULL, 0);
}

static void
a_line_has_a_longest_length(void **state)
{
	struct err e = { 0 };
	size_t n;

	(void)state;
	start(NULL);
	tell("long");
	assert_null(worker_process_hear(&p, clock_monotonic_ms() + PATIENCE_MS, &n, &e));
	assert_int_equal(e.code, ERR_LIMIT);
	assert_non_null(strstr(e.text, "a line of over"));
	worker_process_end(&p, NULL, 0);
}

/* ulimit -v of the daemon below worker_memory_mb: the worker could not raise it, and no job would ever run. */
static void
no_more_memory_than_the_daemon_has(void **state)
{
	const struct rlimit own = { (rlim_t)300 << 20, (rlim_t)300 << 20 };
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(setrlimit(RLIMIT_AS, &own) == 0 && worker_process_memory_mb(4096) == 300 && worker_process_memory_mb(200) == 200 ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(worker_process_memory_mb(77), 77);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_go_in_and_out), cmocka_unit_test(it_gets_what_it_needs_and_nothing_else), cmocka_unit_test(silence_has_a_limit),
		cmocka_unit_test(deafness_has_a_limit), cmocka_unit_test(how_it_died_is_told), cmocka_unit_test(the_dead_do_not_live),
		cmocka_unit_test(a_line_has_a_longest_length), cmocka_unit_test(no_more_memory_than_the_daemon_has),
	};

	if (argc > 1 && strcmp(argv[1], "--worker") == 0)
		return fake(argc, argv);
	if (is_under_valgrind()) {
		puts("skipped: under valgrind a process cannot start itself");
		return 0;
	}
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
