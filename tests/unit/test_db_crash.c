/* kill -9 in the middle of adding: every row that was acknowledged is there after the next start, with several threads sharing commits, and the series'
 * counts fit the rows. Seeds are fixed; where the kill falls is the machine's affair. */
#include "db/instances.h"
#include "db/sql.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROUNDS = 8, ADDERS = 3 };

static char folder[256], path[300];
static int report; /* the child's end of the pipe: one struct ack a row, written only after instances_add returned 0 */
struct ack { int round, adder, i; };

static struct db *child_db;
struct adder { int round, number; int64_t association; };

static void
name_row(struct instance_row *r, const struct ack *a)
{
	*r = (struct instance_row){ .study_uid = "1.2", .modality = "MR" };
	snprintf(r->series_uid, sizeof r->series_uid, "1.%d", a->adder);
	snprintf(r->sop_uid, sizeof r->sop_uid, "1.%d.%d.%d", a->round, a->adder, a->i);
	snprintf(r->digest, sizeof r->digest, "%d-%d-%d", a->round, a->adder, a->i);
}

static void *
add_for_ever(void *arg)
{
	const struct adder *me = arg;
	struct ack a = { me->round, me->number, 0 };

	for (;; a.i++) {
		struct instance_row r;
		enum instance_fate fate;
		struct err e;

		name_row(&r, &a);
		r.association = me->association;
		if (instances_add(child_db, &r, &fate, &e) < 0 || fate != INSTANCE_NEW || write(report, &a, sizeof a) != sizeof a)
			_exit(1);
	}
	return NULL;
}

static void
run_child(int round)
{
	struct adder adders[ADDERS];
	pthread_t threads[ADDERS];
	struct err e;

	child_db = db_open(path, &e);
	if (child_db == NULL || associations_recover(child_db, 1, &e) < 0)
		_exit(1);
	for (int i = 0; i < ADDERS; i++) {
		adders[i] = (struct adder){ round, i, 0 };
		if (associations_open(child_db, "A", "127.0.0.1", 1, &adders[i].association, &e) < 0 ||
		    pthread_create(&threads[i], NULL, add_for_ever, &adders[i]) != 0)
			_exit(1);
	}
	pthread_join(threads[0], NULL);
	_exit(1);
}

/* Lets the child acknowledge some rows, kills it, and returns how many it acknowledged. */
static size_t
round_of(int round, size_t until, struct ack *acks, size_t max)
{
	int ends[2], status;
	size_t n = 0;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		report = ends[1];
		run_child(round);
	}
	close(ends[1]);
	while (n < max && read(ends[0], &acks[n], sizeof acks[n]) == (ssize_t)sizeof acks[n])
		if (++n == until)
			kill(child, SIGKILL); /* what it wrote before the signal arrives is still read */
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_true(n >= until && n < max);
	return n;
}

static void
check_acknowledged(const struct ack *acks, size_t n)
{
	int64_t instances, studies, rows;
	struct err e;
	struct db *d = db_open(path, &e);

	assert_non_null(d);
	for (size_t i = 0; i < n; i++) {
		struct instance_row wanted, found;
		name_row(&wanted, &acks[i]);
		assert_int_equal(instances_get(d, wanted.sop_uid, &found, &e), 0);
		assert_string_equal(found.digest, wanted.digest);
		assert_string_equal(found.series_uid, wanted.series_uid);
	}
	assert_int_equal(instances_count(d, &instances, &studies, &e), 0);
	assert_int_equal(sql_exec_int(d->writer->handle, "SELECT count(*) FROM instances", &rows, &e), 0);
	assert_int_equal(instances, rows);
	assert_int_equal(sql_exec_int(d->writer->handle, "SELECT count(*) FROM pragma_foreign_key_check", &rows, &e), 0);
	assert_int_equal(rows, 0);
	db_close(d);
}

static void
test_acknowledged_rows_survive(void **state)
{
	enum { MAX = 100000 };
	struct ack *acks = calloc(MAX, sizeof *acks);
	unsigned seed = 4711;
	size_t n = 0;

	(void)state;
	assert_non_null(acks);
	for (int round = 0; round < ROUNDS; round++) {
		seed = seed * 1103515245u + 12345u;
		n += round_of(round, 1 + (seed >> 16) % 150, acks + n, MAX - n);
		check_acknowledged(acks, n);
	}
	free(acks);
}

static int
set_up(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(folder, sizeof folder, "%s/test_db_crash.XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/segand.db", folder);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(test_acknowledged_rows_survive, set_up, tear_down) };

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
