/* What a quiet series is worth (settle.c): complete, waiting for the sender's next try, rejected, ignored. */
#include "tests/unit/dispatch_stage.h"

/* ---- one series ---- */

static void
a_quiet_whole_series_becomes_a_job(void **state)
{
	struct job_input *inputs;
	struct job j;
	size_t n;
	struct err e = { 0 };

	(void)state;
	take_series(&node, "flair", 1);
	assert_in_range(look(0), QUIET - 15, QUIET);
	expect_series("2.25.10", SERIES_STATE_OPEN, "flair", "rule flair: ");
	expect_job("2.25.1", "receiving v1");
	assert_in_range(look(QUIET / 2), QUIET - 15, QUIET);
	expect_job("2.25.1", "receiving v1");
	assert_int_equal(look(QUIET + 1), -1);
	expect_series("2.25.10", SERIES_STATE_COMPLETE, "flair", "SeriesDescription \"FLAIR\"");
	expect_job("2.25.1", "queued v1");
	assert_int_equal(jobs_latest(node.db, "2.25.1", "glioma-flair", &j, &e), 0);
	assert_string_equal(j.channels, "{\"flair\":\"2.25.10\"}");
	assert_int_equal(strlen(j.fingerprint), 64);
	assert_string_equal(j.model_version, "1.0.0");
	assert_string_equal(j.priority, "normal");
	assert_int_equal(j.run, 1);
	assert_int_equal(jobs_inputs(node.db, j.id, &inputs, &n, &e), 0);
	assert_int_equal(n, 4);
	assert_string_equal(inputs[0].channel, "flair");
	assert_string_equal(inputs[0].sop_uid, "2.25.1000");
	assert_string_equal(inputs[3].sop_uid, "2.25.1003");
	free(inputs);
	job_release(&j);
}

static void
an_open_association_holds_it_open(void **state)
{
	int64_t association;

	(void)state;
	association = take_series(&node, "flair", 0);
	look(10000); /* the job waits for its own reason, not the series */
	expect_series("2.25.10", SERIES_STATE_OPEN, "flair", "");
	intake_close(&node, association, true);
	look(QUIET + 1);
	expect_series("2.25.10", SERIES_STATE_COMPLETE, "flair", "");
}

/* A node that was killed between two associations of a sender that opens one an image: its time away is no silence. */
static void
the_time_away_is_no_silence(void **state)
{
	(void)state;
	take_series(&node, "flair", 1);
	node.even_since_ms = clock_ms() + 20000; /* it was back 20 s after the last image */
	assert_in_range(look(QUIET + 1), QUIET + 19, QUIET + 20);
	expect_series("2.25.10", SERIES_STATE_OPEN, "flair", "");
	assert_int_equal(look(QUIET + 21), -1);
	expect_series("2.25.10", SERIES_STATE_COMPLETE, "flair", "");
}

static void
an_interrupted_series_waits_for_the_next_try(void **state)
{
	(void)state;
	take_series(&node, "flair", -1);
	assert_in_range(look(QUIET + 1), INTERRUPTED - 15, INTERRUPTED);
	expect_series("2.25.10", SERIES_STATE_WAITING, "flair", "waiting: the association that brought it was interrupted");
	expect_job("2.25.1", "receiving v1");
	take_series(&node, "flair", 1); /* the same instances again, in good order */
	assert_int_equal(look(QUIET + 1), -1);
	expect_series("2.25.10", SERIES_STATE_COMPLETE, "flair", "rule flair");
	expect_job("2.25.1", "queued v1");
}

/* The node dies under an open association: for its sender that is one that broke off. */
static void
a_kill_interrupts_what_is_open(void **state)
{
	(void)state;
	take_series(&node, "flair", 0);
	die_and_come_back();
	look(QUIET + 1);
	expect_series("2.25.10", SERIES_STATE_WAITING, "flair", "waiting: the association that brought it was interrupted");
	look(INTERRUPTED + 1);
	expect_series("2.25.10", SERIES_STATE_COMPLETE, "flair", "rule flair");
}

static void
nobody_tries_again_and_it_counts_as_it_is(void **state)
{
	(void)state;
	take_series(&node, "flair", -1);
	look(QUIET + 1);
	look(INTERRUPTED / 2);
	expect_job("2.25.1", "receiving v1");
	assert_int_equal(look(INTERRUPTED + 1), -1);
	expect_series("2.25.10", SERIES_STATE_COMPLETE, "flair", "");
	expect_job("2.25.1", "queued v1");
	assert_null(strstr(series("2.25.10").reason, "waiting"));
}

static void
open_when_the_node_died_is_interrupted(void **state)
{
	(void)state;
	take_series(&node, "flair", 0);
	die_and_come_back();
	assert_in_range(look(QUIET + 1), INTERRUPTED - 15, INTERRUPTED);
	expect_series("2.25.10", SERIES_STATE_WAITING, "flair", "interrupted");
}

static void
a_gap_released_in_order_is_rejected(void **state)
{
	(void)state;
	take_series(&node, "gap", 1);
	look(0);
	expect_job("2.25.1", "receiving v1");
	assert_int_equal(look(QUIET + 1), -1);
	expect_series("2.25.10", SERIES_STATE_REJECTED, "flair", "\nrejected: ");
	expect_job("2.25.1", "rejected v1");
	expect_reason("2.25.1", "2.25.10");
	expect_reason("2.25.1", "rule flair");
	expect_reason("2.25.1", "0020,0032");
	look(QUIET + 1); /* and stays so */
	die_and_come_back();
	look(QUIET + 1);
	expect_series("2.25.10", SERIES_STATE_REJECTED, "flair", "\nrejected: ");
	assert_int_equal(count_jobs(), 1);
	take_series(&node, "missing", 1); /* the slice that was missing */
	look(0);
	expect_job("2.25.1", "receiving v2 >1");
	look(QUIET + 1);
	expect_job("2.25.1", "queued v2 >1");
	assert_int_equal(count_jobs(), 2);
}

static void
a_gap_interrupted_waits(void **state)
{
	(void)state;
	take_series(&node, "gap", -1);
	look(QUIET + 1);
	expect_series("2.25.10", SERIES_STATE_WAITING, "flair", "\nwaiting: ");
	take_series(&node, "missing", 1);
	look(QUIET + 1);
	expect_series("2.25.10", SERIES_STATE_COMPLETE, "flair", "");
	expect_job("2.25.1", "queued v1");
}

static void
a_gap_interrupted_is_rejected_in_the_end(void **state)
{
	(void)state;
	take_series(&node, "gap", -1);
	look(QUIET + 1);
	look(INTERRUPTED + 1);
	expect_series("2.25.10", SERIES_STATE_REJECTED, "flair", "\nrejected: ");
	expect_job("2.25.1", "rejected v1");
}

static void
what_more_slices_cannot_cure_is_rejected_at_once(void **state)
{
	(void)state;
	take_series(&node, "double", -1);
	look(QUIET + 1);
	expect_series("2.25.10", SERIES_STATE_REJECTED, "flair", "\nrejected: ");
	expect_job("2.25.1", "rejected v1");
}

static void
what_no_rule_takes_is_ignored(void **state)
{
	(void)state;
	take_series(&node, "localizer", 1);
	take_series(&node, "ct", 1);
	assert_int_equal(look(QUIET + 1), -1);
	expect_series("2.25.12", SERIES_STATE_IGNORED, "", "ImageType");
	expect_series("2.25.13", SERIES_STATE_IGNORED, "", "Modality \"CT\" does not match");
	assert_int_equal(count_jobs(), 0);
}

static void
a_lost_file_rejects_the_series_not_the_node(void **state)
{
	char path[SPOOL_PATH];

	(void)state;
	take_series(&node, "flair", 1);
	look(0);
	spool_path(&node, "2.25.1002", path);
	assert_int_equal(unlink(path), 0);
	look(QUIET + 1);
	expect_series("2.25.10", SERIES_STATE_REJECTED, "flair", "\nrejected: instance 2.25.1002 has lost its spool file: send it again");
	expect_job("2.25.1", "rejected v1");
	take_series(&node, "flair", 1); /* what the reason asks for is all that it takes */
	look(QUIET + 1);
	expect_series("2.25.10", SERIES_STATE_COMPLETE, "flair", "");
	expect_job("2.25.1", "queued v2 >1");
}

/* The file that speaks for the others, then all of them: said, not asked for again and again; the disk itself not there: not lost. */
static void
lost_first_files(void **state)
{
	char path[SPOOL_PATH], other[SPOOL_PATH];
	struct err e = { 0 };

	(void)state;
	take_series(&node, "flair", 1);
	spool_path(&node, "2.25.1000", path);
	assert_int_equal(unlink(path), 0);
	look(QUIET + 1);
	expect_series("2.25.10", SERIES_STATE_REJECTED, "flair", "instance 2.25.1000 has lost its spool file");
	take_series(&node, "other-study", 1);
	for (int i = 0; i < 4; i++) {
		snprintf(other, sizeof other, "2.25.%d", 2000 + i);
		spool_path(&node, other, path);
		assert_int_equal(unlink(path), 0);
	}
	look(QUIET + 1);
	expect_series("2.25.20", SERIES_STATE_IGNORED, "", "lost: send them again");
	take_series(&node, "other-study", 1);
	snprintf(path, sizeof path, "%s/spool", settings->data_dir);
	snprintf(other, sizeof other, "%s/away", settings->data_dir);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(cases_match(&node, rules, "2.25.2", NULL, &e), -1);
	assert_true(err_may_pass(e.code));
	assert_int_equal(rename(other, path), 0);
	look(QUIET + 1);
	expect_series("2.25.20", SERIES_STATE_COMPLETE, "flair", "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_quiet_whole_series_becomes_a_job, open_node, close_node),
		cmocka_unit_test_setup_teardown(an_open_association_holds_it_open, open_node, close_node),
		cmocka_unit_test_setup_teardown(the_time_away_is_no_silence, open_node, close_node),
		cmocka_unit_test_setup_teardown(an_interrupted_series_waits_for_the_next_try, open_node, close_node),
		cmocka_unit_test_setup_teardown(a_kill_interrupts_what_is_open, open_node, close_node),
		cmocka_unit_test_setup_teardown(nobody_tries_again_and_it_counts_as_it_is, open_node, close_node),
		cmocka_unit_test_setup_teardown(open_when_the_node_died_is_interrupted, open_node, close_node),
		cmocka_unit_test_setup_teardown(a_gap_released_in_order_is_rejected, open_node, close_node),
		cmocka_unit_test_setup_teardown(a_gap_interrupted_waits, open_node, close_node),
		cmocka_unit_test_setup_teardown(a_gap_interrupted_is_rejected_in_the_end, open_node, close_node),
		cmocka_unit_test_setup_teardown(what_more_slices_cannot_cure_is_rejected_at_once, open_node, close_node),
		cmocka_unit_test_setup_teardown(what_no_rule_takes_is_ignored, open_node, close_node),
		cmocka_unit_test_setup_teardown(a_lost_file_rejects_the_series_not_the_node, open_node, close_node),
		cmocka_unit_test_setup_teardown(lost_first_files, open_node, close_node),
	};

	return RUN_WITH_STUDIES(studies, tests);
}
