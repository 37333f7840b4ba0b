/* What a crash between two steps leaves is taken up; and the thread itself, the only test here that waits: for its bell. */
#include "tests/unit/dispatch_stage.h"

#include "service/flow/dispatch.h"

/* ---- crashes ---- */

/* Between any two steps the database is one of these, and the next look goes on. */
static void
every_step_may_be_the_last(void **state)
{
	struct series_row row;
	struct prospect p = { .series_uid = "2.25.10", .state = SERIES_STATE_COMPLETE };
	struct err e = { 0 };

	(void)state;
	take_series(&node, "flair", 1);
	row = series("2.25.10");
	assert_int_equal(cases_decide(&node, rules, &row, &p.decision, &e), 0);
	assert_int_equal(cases_match(&node, rules, "2.25.1", &p, &e), 0); /* the job is made */
	expect_job("2.25.1", "receiving v1");
	die_and_come_back();
	assert_int_equal(cases_match(&node, rules, "2.25.1", &p, &e), 0); /* once */
	assert_int_equal(count_jobs(), 1);
	assert_int_equal(series_settle(node.db, "2.25.10", row.revision, SERIES_STATE_COMPLETE, p.reason, &e), 0); /* settled, not yet queued */
	die_and_come_back();
	look(0);
	expect_job("2.25.1", "queued v1");
	assert_int_equal(count_jobs(), 1);
	run_job("2.25.1");
	take_series(&node, "late", 1); /* the same, with a job before it */
	row = series("2.25.10");
	assert_int_equal(cases_match(&node, rules, "2.25.1", NULL, &e), 0);
	expect_job("2.25.1", "done v1");
	assert_int_equal(cases_match(&node, rules, "2.25.1", &p, &e), 0);
	expect_job("2.25.1", "receiving v2 >1");
	assert_int_equal(series_settle(node.db, "2.25.10", row.revision, SERIES_STATE_COMPLETE, p.reason, &e), 0);
	die_and_come_back();
	look(0);
	expect_job("2.25.1", "queued v2 >1");
	assert_int_equal(count_jobs(), 2);
}

static void
an_instance_that_comes_meanwhile_is_not_lost(void **state)
{
	struct series_row row;
	int64_t next_ms;
	struct err e = { 0 };

	(void)state;
	take_series(&node, "flair", 1);
	look(0);
	row = series("2.25.10");
	take_series(&node, "late", 1); /* after the row was read */
	assert_int_equal(settle_series(&node, rules, &row, clock_ms() + (QUIET + 1) * 1000, &next_ms, &e), 0);
	assert_int_not_equal(next_ms, 0);
	expect_series("2.25.10", SERIES_STATE_OPEN, "flair", "");
	expect_job("2.25.1", "receiving v1");
	look(QUIET + 1);
	expect_job("2.25.1", "queued v1");
}

/* ---- the thread ---- */

static void
the_thread_does_all_that(void **state)
{
	struct dispatch *d;
	unsigned long seen = 0;
	struct err e = { 0 };

	(void)state;
	open_with("\"series_complete_trigger\": 1,");
	take_series(&node, "other-study", 1);
	d = dispatch_start(&node, rules, &e);
	assert_non_null(d);
	assert_true(bell_wait(&node.work, &seen, 20000)); /* what was there at the start */
	expect_job("2.25.2", "queued v1");
	take_series(&node, "flair", 1);
	assert_true(bell_wait(&node.work, &seen, 20000));
	dispatch_stop(d);
	expect_job("2.25.1", "queued v1");
	close_node(NULL);
}

/* What came before the clock was set back seems to come later than now, and the node to have started then. */
static void
a_clock_that_is_set_back_holds_nothing_up(void **state)
{
	struct dispatch *d;
	unsigned long seen = 0;
	struct err e = { 0 };

	(void)state;
	clock_shift(INT64_C(7200000));
	open_with("\"series_complete_trigger\": 1,");
	d = dispatch_start(&node, rules, &e);
	assert_non_null(d);
	take_series(&node, "flair", 1);
	while (count_jobs() == 0) /* it has looked */
		assert_true(bell_rest(&node.deliver, 10));
	clock_shift(0);
	assert_true(bell_wait(&node.work, &seen, 20000));
	expect_job("2.25.1", "queued v1");
	take_series(&node, "other-study", 1);
	for (int i = 0; i < 500 && count_jobs() < 2; i++)
		assert_true(bell_rest(&node.deliver, 10));
	assert_true(bell_wait(&node.work, &seen, 20000));
	dispatch_stop(d);
	expect_job("2.25.2", "queued v1");
	close_node(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_step_may_be_the_last, open_node, close_node),
		cmocka_unit_test_setup_teardown(an_instance_that_comes_meanwhile_is_not_lost, open_node, close_node),
		cmocka_unit_test(the_thread_does_all_that),
		cmocka_unit_test(a_clock_that_is_set_back_holds_nothing_up),
	};

	return RUN_WITH_STUDIES(studies, tests);
}
