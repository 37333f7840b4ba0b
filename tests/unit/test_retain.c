/* Retention (retain.c): what goes and when, and what is held. The clock is moved. */
#include "tests/unit/retain_stage.h"
#include "tests/unit/syncs.h"

#include "db/audit.h"
#include "db/deliveries.h"

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

/* ---- the thread ---- */

/* A node that was on all the time. */
static void
was_seen(int64_t s)
{
	const struct audit_entry seen = { .event = AUDIT_ACCESSED, .action = 'R' };
	struct err e = { 0 };

	clock_shift((s - DAY - HOUR) * 1000);
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
	const struct audit_entry seen = { .event = AUDIT_ACCESSED, .action = 'R' };
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
	assert_int_equal(audit_add(node.db, &seen, &e), 0);
	come_back();
	clock_shift((3650LL * DAY + DAY / 2) * 1000); /* nor after a second start, for what was written since the first */
	node.started_ms = clock_ms();
	assert_non_null(thread = retain_start(&node, &e));
	segmented("echo-early", "2.25.6", 10);
	await_measuring();
	segmented("echo-single", "2.25.6", 10);
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
		cmocka_unit_test_setup_teardown(the_thread_goes_when_it_is_rung, open_default, close_retain),
		cmocka_unit_test_setup_teardown(a_clock_that_leaps_ahead_is_not_believed, open_default, close_retain),
	};

	return RUN_WITH_STUDIES(studies, tests);
}
