/* Retention (retain.c): what goes and when, what is held, what is left; and that what comes again is neither lost nor segmented twice. The clock is moved. */
#include "tests/unit/dispatch_stage.h"
#include "tests/unit/syncs.h"

#include "db/audit.h"
#include "db/deliveries.h"
#include "db/retention.h"
#include "db/sql.h"
#include "service/flow/control.h"
#include "service/flow/retain.h"

#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
#include <utime.h>

enum { FLAIR = 1000 /* the study's SOP Instance UIDs: 2.25.1000 to 1003 */, HOUR = 3600, DAY = 24 * HOUR };
static const char study[] = "2.25.1", other[] = "2.25.2", everything[] = "\"retention\": {\"days\": 14, \"unused_days\": 3, \"max_mb\": 4},";

static struct retain *retain;
static int64_t wait_ms;

static int
open_retain(const char *more)
{
	struct err e = { 0 };

	open_with(more);
	assert_non_null(retain = retain_new(&node, &e));
	return 0;
}

static int
open_default(void **state)
{
	(void)state;
	return open_retain("");
}

static int
open_limited(void **state)
{
	(void)state;
	return open_retain(everything);
}

static int
open_for_ever(void **state)
{
	(void)state;
	return open_retain("\"retention\": {\"days\": 0},");
}

static int
close_retain(void **state)
{
	clock_shift(0);
	free(retain);
	return close_node(state);
}

static void
come_back(void)
{
	struct err e = { 0 };

	free(retain);
	die_and_come_back();
	assert_non_null(retain = retain_new(&node, &e));
}

/* One look, so long after the program's start. */
static void
look_after(int64_t s)
{
	struct err e = { 0 };

	clock_shift(s * 1000);
	if (retain_look(retain, &wait_ms, &e) != 0)
		fail_msg("%s", e.text);
}

static void
in_spool(int number, char path[SPOOL_PATH])
{
	char uid[DB_UID];

	snprintf(uid, sizeof uid, "2.25.%d", number);
	spool_path(&node, uid, path);
}

static bool
is_there(int number)
{
	struct instance_row row;
	char path[SPOOL_PATH], uid[DB_UID];
	struct err e = { 0 };
	bool has_row;

	snprintf(uid, sizeof uid, "2.25.%d", number);
	in_spool(number, path);
	has_row = instances_get(node.db, uid, &row, &e) == 0;
	assert_int_equal(has_row, file_exists(path));
	return has_row;
}

static int64_t
bytes(void)
{
	struct err e = { 0 };
	int64_t n;

	assert_int_equal(retention_bytes(node.db, &n, &e), 0);
	return n;
}

static bool
has_result(int64_t job)
{
	char path[SPOOL_PATH];

	spool_result(&node, job, "seg.dcm", path);
	return file_exists(path);
}

static void
make_result(int64_t job, size_t n)
{
	char path[SPOOL_PATH], *content = calloc(1, n);
	struct err e = { 0 };

	assert_non_null(content);
	spool_result(&node, job, "", path);
	assert_int_equal(file_make_dirs(path, 0700, &e), 0);
	spool_result(&node, job, "seg.dcm", path);
	assert_int_equal(file_write(path, content, n, &e), 0);
	free(content);
}

/* A series comes and is segmented; its job, with a result of n bytes. */
static int64_t
segmented(const char *name, const char *uid, size_t n)
{
	int64_t job;

	take_series(&node, name, 1);
	look(QUIET + 1);
	job = run_job(uid);
	make_result(job, n);
	return job;
}

static struct job
get(int64_t id)
{
	struct job j;
	struct err e = { 0 };

	if (jobs_get(node.db, id, &j, &e) != 0)
		fail_msg("%s", e.text);
	job_release(&j);
	return j;
}

static void
a_study_goes_after_its_days(void **state)
{
	struct job_event *events = NULL;
	struct job_input *inputs = NULL;
	struct leftover *left = NULL;
	struct series_row row;
	struct err e = { 0 };
	size_t n;
	int64_t job = segmented("flair", study, 1000);
	char path[SPOOL_PATH], in[SPOOL_PATH];

	(void)state;
	look_after(0);
	assert_true(bytes() > 1000);
	look_after(14 * DAY - HOUR);
	assert_true(is_there(FLAIR) && has_result(job));
	assert_in_range(wait_ms, 1, HOUR * 1000); /* the next look is not late */
	snprintf(in, sizeof in, "%s/spool/", settings->data_dir);
	snprintf(path, sizeof path, "%s/results", settings->data_dir);
	synced("", NULL);
	look_after(14 * DAY + 60);
	assert_true(synced(in, path)); /* gone for the disk, too */
	for (int i = 0; i < 4; i++)
		assert_false(is_there(FLAIR + i));
	spool_result(&node, job, "", path);
	assert_false(file_exists(path));
	assert_int_equal(series_get(node.db, "2.25.10", &row, &e), -1);
	assert_int_equal(bytes(), 0);
	assert_int_equal(retention_leftovers(node.db, 0, 10, &left, &n, &e), 0);
	free(left);
	assert_int_equal(n, 0);
	assert_int_equal(node.n_removed, 4);
	assert_true(get(job).state == JOB_DONE && get(job).removed_ms > 0);
	assert_int_equal(jobs_inputs(node.db, job, &inputs, &n, &e), 0);
	assert_int_equal(n, 4);
	free(inputs);
	assert_int_equal(jobs_history(node.db, job, &events, &n, &e), 0);
	assert_non_null(strstr(events[n - 1].cause, "retention.days"));
	free(events);
	look_after(15 * DAY); /* nothing is left to do */
	assert_int_equal(node.n_removed, 4);
}

static void
zero_days_are_for_ever(void **state)
{
	(void)state;
	segmented("flair", study, 10);
	take_series(&node, "ct", 1);
	look(QUIET + 1);
	look_after(10000 * DAY);
	assert_true(is_there(FLAIR) && is_there(1300));
	assert_in_range(wait_ms, (HOUR - 60) * 1000, HOUR * 1000);
}

/* A study of its own that no rule takes goes sooner; one of a study that is used stays with it. */
static void
what_no_rule_uses_goes_sooner(void **state)
{
	(void)state;
	segmented("flair", study, 10);
	take_series(&node, "ct", 1); /* of the same study */
	take_series(&node, "other-ct", 1);
	look(QUIET + 1);
	look_after(3 * DAY - HOUR);
	assert_true(is_there(2100));
	look_after(3 * DAY + 60);
	assert_false(is_there(2100));
	assert_true(is_there(FLAIR) && is_there(1300));
	look_after(14 * DAY + 60);
	assert_false(is_there(FLAIR) || is_there(1300)); /* all of it at once */
}

static void
a_series_that_is_not_settled_is_held(void **state)
{
	int64_t association = take_series(&node, "flair", 0);

	(void)state;
	look_after(20 * DAY);
	assert_true(is_there(FLAIR));
	intake_close(&node, association, true);
	look_after(20 * DAY);
	assert_true(is_there(FLAIR)); /* nobody has looked at it yet */
	look(QUIET + 1);
	look_after(40 * DAY); /* its job waits */
	assert_true(is_there(FLAIR));
	run_job(study);
	look_after(40 * DAY + HOUR); /* it has just ended */
	assert_true(is_there(FLAIR));
	look_after(55 * DAY);
	assert_false(is_there(FLAIR));
}

/* The sender sends again what is here, while its time comes. */
static void
what_an_open_association_brings_again_is_held(void **state)
{
	int64_t association;

	(void)state;
	segmented("flair", study, 10);
	association = take_series(&node, "flair", 0);
	look_after(20 * DAY);
	assert_true(is_there(FLAIR));
	intake_close(&node, association, true);
	look_after(20 * DAY + 2 * HOUR);
	assert_false(is_there(FLAIR));
}

static void
a_delivery_on_its_way_holds_its_study(void **state)
{
	static const char *const to[] = { "pacs" };
	struct job_outcome o = { .finding = "present", .flags = "[]", .segments = "[]", .results = "[]", .timings = "{}" };
	struct delivery sent;
	struct job j;
	struct err e = { 0 };

	(void)state;
	take_series(&node, "flair", 1);
	look(QUIET + 1);
	assert_int_equal(jobs_claim(node.db, &j, &e), 0);
	assert_int_equal(jobs_computed(node.db, j.id, j.attempt, &o, to, 1, &e), 0);
	make_result(j.id, 100);
	look_after(20 * DAY);
	assert_true(is_there(FLAIR));
	assert_int_equal(deliveries_claim(node.db, "pacs", clock_ms(), &sent, &e), 0);
	clock_shift(0);
	assert_int_equal(jobs_end(node.db, j.id, JOB_DELIVERING, JOB_CANCELLED, "cancelled by request", &e), 0);
	look_after(20 * DAY + 2 * HOUR); /* cancelled, but the file is being sent */
	assert_true(is_there(FLAIR) && has_result(j.id));
	assert_int_equal(deliveries_settle(node.db, sent.id, DELIVERY_GIVEN_UP, 0, "no more", &e), 0);
	look_after(20 * DAY + 4 * HOUR);
	assert_false(is_there(FLAIR) || has_result(j.id));
	job_release(&j);
}

/* Two results of 3 MiB, 4 MiB are allowed: the older study goes, long before its days are over. */
static void
the_oldest_goes_when_there_is_too_much(void **state)
{
	int64_t first = segmented("flair", study, 3 << 20), second;

	(void)state;
	look_after(0);
	assert_true(is_there(FLAIR));
	clock_shift(HOUR * 1000);
	second = segmented("other-study", other, 3 << 20);
	look_after(HOUR);
	assert_false(is_there(FLAIR) || has_result(first));
	assert_true(is_there(2000) && has_result(second));
	assert_in_range(bytes(), 3 << 20, 4 << 20);
	assert_in_range(wait_ms, 1, 60000);
}

static void
what_is_needed_stays_though_there_is_too_much(void **state)
{
	int64_t job = segmented("flair", study, 10);

	(void)state;
	take_series(&node, "late", 1); /* the study is received again */
	make_result(job, 5 << 20);
	look_after(0);
	assert_true(is_there(FLAIR) && bytes() > 4 << 20);
}

/* Its other series may be on their way: as long as a job would wait for them. */
static void
what_grows_stays_though_there_is_too_much(void **state)
{
	size_t n_models = settings->n_models;

	(void)state;
	settings->disk_reserve_mb = INT32_MAX;
	settings->n_models = 0; /* no job yet */
	take_series(&node, "flair", 1);
	take_series(&node, "other-ct", 1);
	look(QUIET + 1);
	expect_series("2.25.10", SERIES_STATE_COMPLETE, "flair", "");
	look_after(HOUR);
	assert_true(is_there(FLAIR));
	assert_false(is_there(2100)); /* what no rule takes does not */
	look_after(2 * HOUR);
	assert_false(is_there(FLAIR));
	settings->n_models = n_models;
}

/* Once its time was years ahead: what comes when it is right again is not kept for years. */
static void
a_clock_that_is_set_back_holds_nothing_up(void **state)
{
	(void)state;
	look_after(3650LL * DAY);
	clock_shift(0);
	segmented("flair", study, 10);
	look_after(14 * DAY + 60);
	assert_false(is_there(FLAIR));
}

static void
below_the_reserve_it_goes_where_a_limit_is_set(void **state)
{
	struct settings *more = settings;

	(void)state;
	segmented("flair", study, 10);
	more->disk_reserve_mb = INT32_MAX;
	more->retention_max_mb = 0;
	look_after(0);
	assert_true(is_there(FLAIR));
	more->retention_max_mb = 1 << 20;
	look_after(0);
	assert_false(is_there(FLAIR));
}

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

/* ---- the thread ---- */

/* A node that was on all the time. */
static void
was_seen(int64_t s)
{
	const struct audit_entry seen = { .event = AUDIT_ACCESSED, .action = 'R' };
	struct err e = { 0 };

	clock_shift((s - HOUR) * 1000);
	assert_int_equal(audit_add(node.db, &seen, &e), 0);
	clock_shift(s * 1000);
	node.started_ms = clock_ms();
}

static void
the_thread_goes_when_it_is_rung(void **state)
{
	struct retain *thread;
	struct err e = { 0 };

	(void)state;
	segmented("flair", study, 10);
	was_seen(14 * DAY - HOUR / 2);
	assert_non_null(thread = retain_start(&node, &e));
	clock_shift((14 * DAY + 60) * 1000LL);
	for (int i = 0; i < 1000 && atomic_load(&node.n_removed) == 0; i++) {
		bell_ring(&node.retain);
		assert_true(bell_rest(&node.dispatch, 20));
	}
	retain_stop(thread);
	assert_false(is_there(FLAIR));
}

/* A look measures what jobs that have ended take, then looks at studies: when a second one measures, the first is over. */
static void
await_measuring(void)
{
	int64_t *jobs = NULL;
	struct err e = { 0 };
	size_t n = 1;

	for (int i = 0; i < 1000 && n > 0; i++) {
		bell_ring(&node.retain);
		assert_true(bell_rest(&node.dispatch, 20));
		assert_int_equal(retention_unmeasured(node.db, &jobs, &n, &e), 0);
		free(jobs);
	}
	assert_int_equal(n, 0);
}

/* Far ahead of what was written last it may be wrong, and has a day to be set right. */
static void
a_clock_that_leaps_ahead_is_not_believed(void **state)
{
	struct retain *thread;
	struct err e = { 0 };

	(void)state;
	segmented("flair", study, 10);
	clock_shift(3650LL * DAY * 1000);
	node.started_ms = clock_ms();
	assert_non_null(thread = retain_start(&node, &e));
	await_measuring();
	segmented("other-study", other, 10);
	await_measuring();
	retain_stop(thread);
	assert_true(is_there(FLAIR));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_study_goes_after_its_days, open_default, close_retain),
		cmocka_unit_test_setup_teardown(zero_days_are_for_ever, open_for_ever, close_retain),
		cmocka_unit_test_setup_teardown(what_no_rule_uses_goes_sooner, open_default, close_retain),
		cmocka_unit_test_setup_teardown(a_series_that_is_not_settled_is_held, open_default, close_retain),
		cmocka_unit_test_setup_teardown(what_an_open_association_brings_again_is_held, open_default, close_retain),
		cmocka_unit_test_setup_teardown(a_delivery_on_its_way_holds_its_study, open_default, close_retain),
		cmocka_unit_test_setup_teardown(the_oldest_goes_when_there_is_too_much, open_limited, close_retain),
		cmocka_unit_test_setup_teardown(what_is_needed_stays_though_there_is_too_much, open_limited, close_retain),
		cmocka_unit_test_setup_teardown(below_the_reserve_it_goes_where_a_limit_is_set, open_default, close_retain),
		cmocka_unit_test_setup_teardown(what_grows_stays_though_there_is_too_much, open_limited, close_retain),
		cmocka_unit_test_setup_teardown(a_clock_that_is_set_back_holds_nothing_up, open_default, close_retain),
		cmocka_unit_test_setup_teardown(the_same_again_makes_no_new_job, open_default, close_retain),
		cmocka_unit_test_setup_teardown(more_than_before_makes_a_new_version, open_default, close_retain),
		cmocka_unit_test_setup_teardown(other_content_under_a_uid_that_a_job_has_read_is_refused, open_default, close_retain),
		cmocka_unit_test_setup_teardown(a_failed_job_is_run_anew_when_its_study_is_back, open_default, close_retain),
		cmocka_unit_test_setup_teardown(a_crash_between_rows_and_files_is_made_good, open_default, close_retain),
		cmocka_unit_test_setup_teardown(a_file_that_cannot_be_removed_is_tried_again, open_default, close_retain),
		cmocka_unit_test_setup_teardown(what_came_meanwhile_is_kept, open_default, close_retain),
		cmocka_unit_test_setup_teardown(a_file_without_a_row_goes_when_it_is_old, open_default, close_retain),
		cmocka_unit_test_setup_teardown(what_is_sent_again_while_it_goes_is_new, open_default, close_retain),
		cmocka_unit_test_setup_teardown(the_thread_goes_when_it_is_rung, open_default, close_retain),
		cmocka_unit_test_setup_teardown(a_clock_that_leaps_ahead_is_not_believed, open_default, close_retain),
	};

	return RUN_WITH_STUDIES(studies, tests);
}
