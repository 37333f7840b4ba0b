/* Retention (retain.c): what comes again is neither lost nor segmented twice, and what a crash or a disk leaves over goes later. The clock is moved. */
#include "tests/unit/retain_stage.h"

#include "db/sql.h"
#include "service/flow/control.h"

#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
#include <utime.h>

/* ---- coming again ---- */

static void
the_same_again_makes_no_new_job(void **state)
{
	int64_t job = segmented("flair", study, 10), goes_on;
	struct err e = { 0 };

	(void)state;
	look_after(15 * DAY);
	assert_int_equal(control_retry(&node, job, &goes_on, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_non_null(strstr(e.text, "removed by retention"));
	take_series(&node, "flair-part", 1); /* and half of it is nothing new either */
	look(QUIET + 1);
	expect_job(study, "done v1");
	assert_int_equal(control_retry(&node, job, &goes_on, &e), -1); /* half of what it read */
	take_series(&node, "flair", 1);
	look(QUIET + 1);
	assert_true(is_there(FLAIR) && is_there(FLAIR + 3));
	expect_series("2.25.10", SERIES_STATE_COMPLETE, "flair", "");
	expect_job(study, "done v1");
	assert_int_equal(count_jobs(), 1);
	assert_int_equal(control_retry(&node, job, &goes_on, &e), 0);
	assert_int_not_equal(goes_on, job);
	expect_inputs(goes_on, 4);
	assert_true(get(goes_on).run == 2 && get(goes_on).state == JOB_QUEUED && get(goes_on).removed_ms == 0);
	run_job(study);
	look_after(31 * DAY);
	assert_false(is_there(FLAIR));
	assert_true(get(goes_on).removed_ms > get(job).removed_ms);
}

static void
more_than_before_makes_a_new_version(void **state)
{
	(void)state;
	segmented("flair", study, 10);
	look_after(15 * DAY);
	take_series(&node, "flair", 1);
	take_series(&node, "late", 1);
	look(QUIET + 1);
	expect_job(study, "queued v2 >1");
}

static void
other_content_under_a_uid_that_a_job_has_read_is_refused(void **state)
{
	struct intake_answer a;
	struct err e = { 0 };
	char path[SPOOL_PATH];

	(void)state;
	segmented("flair", study, 10);
	take_series(&node, "other-ct", 1);
	look(QUIET + 1);
	look_after(15 * DAY);
	sample("flair-changed", 0, path);
	assert_int_equal(take_file(&node, path, 0, &a, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_int_equal(a.dimse_status, 0x0110);
	assert_false(is_there(FLAIR));
	sample("flair", 0, path);
	assert_int_equal(take_file(&node, path, 0, &a, &e), 0);
	assert_true(is_there(FLAIR) && !a.known);
	sample("other-ct-changed", 0, path); /* nobody has read it: it may be another now */
	assert_int_equal(take_file(&node, path, 0, &a, &e), 0);
	assert_true(is_there(2100));
}

/* A job that failed, and whose study is gone: the same attempt would find nothing. */
static void
a_failed_job_is_run_anew_when_its_study_is_back(void **state)
{
	struct job j;
	struct err e = { 0 };
	int64_t goes_on;

	(void)state;
	take_series(&node, "flair", 1);
	look(QUIET + 1);
	assert_int_equal(jobs_claim(node.db, &j, &e), 0);
	job_release(&j);
	assert_int_equal(jobs_attempt_failed(node.db, j.id, j.attempt, false, 3, "broken", &e), 0);
	look_after(15 * DAY);
	assert_false(is_there(FLAIR));
	assert_int_equal(control_retry(&node, j.id, &goes_on, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_int_equal(jobs_retry(node.db, j.id, "by hand", &e), -1);
	take_series(&node, "flair", 1);
	look(QUIET + 1);
	assert_int_equal(control_retry(&node, j.id, &goes_on, &e), 0);
	assert_int_equal(goes_on, j.id + 1);
}

/* ---- crashes ---- */

/* The rows are gone, the files are not: the next start removes them, but none that has come again. */
static void
a_crash_between_rows_and_files_is_made_good(void **state)
{
	struct kept_study *list = NULL;
	struct removed_study gone;
	struct intake_answer a;
	char path[SPOOL_PATH];
	struct err e = { 0 };
	size_t n;
	int64_t job = segmented("flair", study, 10);

	(void)state;
	assert_int_equal(retention_studies(node.db, &list, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(retention_remove(node.db, &list[0], clock_ms(), "test", &gone, &e), 0);
	free(list);
	assert_int_equal(gone.instances, 4);
	assert_int_equal(gone.jobs, 1);
	come_back();
	in_spool(FLAIR, path);
	assert_true(file_exists(path) && has_result(job));
	sample("flair", 1, path);
	assert_int_equal(take_file(&node, path, 0, &a, &e), 0);
	assert_false(a.known);
	look_after(0);
	assert_false(is_there(FLAIR) || is_there(FLAIR + 2) || is_there(FLAIR + 3) || has_result(job));
	assert_true(is_there(FLAIR + 1));
}

/* It is not forgotten, and holds nothing else up: not the other files of its study, not other studies. */
static void
a_file_that_cannot_be_removed_is_tried_again(void **state)
{
	struct leftover *left = NULL;
	char path[SPOOL_PATH];
	struct err e = { 0 };
	size_t n;

	(void)state;
	segmented("flair", study, 10);
	clock_shift(HOUR * 1000);
	take_series(&node, "other-ct", 1);
	look(QUIET + 1);
	in_spool(FLAIR + 1, path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0); /* nobody can unlink that */
	clock_shift(15LL * DAY * 1000);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(retain_look(retain, &wait_ms, &e), -1);
		assert_non_null(strstr(e.text, path));
		assert_int_equal(wait_ms, 60000);
		assert_int_equal(retention_leftovers(node.db, 0, 10, &left, &n, &e), 0);
		assert_int_equal(n, 1);
		assert_string_equal(left[0].sop_uid, "2.25.1001");
		free(left);
		assert_false(is_there(FLAIR) || is_there(FLAIR + 2) || is_there(2100));
	}
	assert_int_equal(rmdir(path), 0);
	look_after(15 * DAY);
	assert_int_equal(retention_leftovers(node.db, 0, 10, &left, &n, &e), 0);
	free(left);
	assert_int_equal(n, 0);
}

/* What changed since the list was made is not removed. */
static void
what_came_meanwhile_is_kept(void **state)
{
	struct kept_study *list = NULL;
	struct removed_study gone;
	struct err e = { 0 };
	size_t n;

	(void)state;
	segmented("flair", study, 10);
	assert_int_equal(retention_studies(node.db, &list, &n, &e), 0);
	take_series(&node, "late", 1);
	assert_int_equal(retention_remove(node.db, &list[0], clock_ms(), "test", &gone, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	look(QUIET + 1); /* version 2 */
	run_job(study);
	assert_int_equal(retention_remove(node.db, &list[0], clock_ms(), "test", &gone, &e), -1); /* it is younger than it was */
	free(list);
	assert_true(is_there(FLAIR));
}

static void
a_file_without_a_row_goes_when_it_is_old(void **state)
{
	struct utimbuf before = { .modtime = (time_t)(clock_ms() / 1000) - 20 * DAY };
	char orphan[SPOOL_PATH], with_row[SPOOL_PATH], broken[SPOOL_PATH], young[SPOOL_PATH], path[SPOOL_PATH];

	(void)state;
	segmented("flair", study, 10);
	in_spool(FLAIR, with_row);
	in_spool(2000, orphan);
	in_spool(2001, young);
	in_spool(2002, broken);
	sample("other-study", 0, path);
	copy_file(path, orphan);
	copy_file(path, broken); /* under a name that is not its UID's */
	sample("other-study", 1, path);
	copy_file(path, young);
	assert_true(utime(orphan, &before) == 0 && utime(with_row, &before) == 0 && utime(broken, &before) == 0);
	look_after(0);
	assert_false(file_exists(orphan));
	assert_true(file_exists(with_row) && file_exists(young) && file_exists(broken));
	assert_int_equal(utime(young, &before), 0);
	look_after(HOUR);
	assert_true(file_exists(young)); /* once a day */
	look_after(DAY + HOUR);
	assert_false(file_exists(young));
	assert_int_equal(unlink(broken), 0);
}

/* ---- what is sent again at the moment when its study goes ---- */

struct sender { const char *name; int result; struct intake_answer answer; struct err e; };

static void *
send_again(void *arg)
{
	struct sender *s = arg;
	char path[SPOOL_PATH];

	sample(s->name, 0, path);
	s->result = take_file(&node, path, 0, &s->answer, &s->e);
	return NULL;
}

/* The sender has seen that it is known; before its row is asked again another has removed it. */
static void
send_while_it_goes(struct sender *s)
{
	struct err e = { 0 };
	bool is_waiting = false;
	pthread_t thread;
	sqlite3 *remover;

	assert_int_equal(sqlite3_open(node.db->path, &remover), SQLITE_OK);
	assert_int_equal(sql_exec(remover, "BEGIN IMMEDIATE; DELETE FROM instances; DELETE FROM series; INSERT INTO leftovers(sop_uid) VALUES('2.25.1000')", &e), 0);
	assert_int_equal(pthread_create(&thread, NULL, send_again, s), 0);
	while (!is_waiting) {
		pthread_mutex_lock(&node.db->add_lock);
		is_waiting = node.db->adding;
		pthread_mutex_unlock(&node.db->add_lock);
		sched_yield();
	}
	assert_int_equal(sql_exec(remover, "COMMIT", &e), 0);
	assert_int_equal(sqlite3_close(remover), SQLITE_OK);
	assert_int_equal(pthread_join(thread, NULL), 0);
	look_after(0);
}

static void
what_is_sent_again_while_it_goes_is_new(void **state)
{
	struct sender s = { .name = "flair-implicit" };
	struct attributes *a;
	struct instance_row row;
	char path[SPOOL_PATH];
	struct err e = { 0 };

	(void)state;
	segmented("flair", study, 10);
	send_while_it_goes(&s);
	assert_int_equal(s.result, 0);
	assert_false(s.answer.known);
	assert_true(is_there(FLAIR));
	assert_int_equal(instances_get(node.db, "2.25.1000", &row, &e), 0);
	in_spool(FLAIR, path);
	assert_non_null(a = attributes_load(path, &e));
	assert_string_equal(attributes_header(a)->transfer_syntax, row.transfer_syntax); /* the file is the one of the row */
	assert_string_equal(attributes_header(a)->digest, row.digest);
	attributes_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_same_again_makes_no_new_job, open_default, close_retain),
		cmocka_unit_test_setup_teardown(more_than_before_makes_a_new_version, open_default, close_retain),
		cmocka_unit_test_setup_teardown(other_content_under_a_uid_that_a_job_has_read_is_refused, open_default, close_retain),
		cmocka_unit_test_setup_teardown(a_failed_job_is_run_anew_when_its_study_is_back, open_default, close_retain),
		cmocka_unit_test_setup_teardown(a_crash_between_rows_and_files_is_made_good, open_default, close_retain),
		cmocka_unit_test_setup_teardown(a_file_that_cannot_be_removed_is_tried_again, open_default, close_retain),
		cmocka_unit_test_setup_teardown(what_came_meanwhile_is_kept, open_default, close_retain),
		cmocka_unit_test_setup_teardown(a_file_without_a_row_goes_when_it_is_old, open_default, close_retain),
		cmocka_unit_test_setup_teardown(what_is_sent_again_while_it_goes_is_new, open_default, close_retain),
	};

	return RUN_WITH_STUDIES(studies, tests);
}
