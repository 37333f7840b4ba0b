/* Which series of a study fill a model's channels, and what becomes of its job when more arrives (cases.c, cases_jobs.c). */
#include "tests/unit/dispatch_stage.h"

#include "service/flow/control.h"

/* ---- several series ---- */

/* Two echoes in one series: the rule takes one of them, and that is what counts. */
static void
slices_that_a_rule_means_are_counted(void **state)
{
	(void)state;
	open_with("\"rules\": [{\"name\": \"late\", \"channel\": \"flair\", \"where\": {\"EchoTime\": [80, 200]}}],");
	take_series(&node, "echo-early", 1);
	take_series(&node, "echo-late", 1);
	take_series(&node, "echo-single", 1);
	look(QUIET + 1);
	look(QUIET + 1);
	assert_int_equal(series("2.25.60").n_slices, 4);
	expect_series("2.25.61", SERIES_STATE_COMPLETE, "flair", "rule late");
	expect_series("2.25.60", SERIES_STATE_COMPLETE, "", "so in 4 of 8 files\nnot used: series 2.25.61 fills channel flair with 5 slices against 4");
	take_series(&node, "echo-more", 1); /* another instance: no verdict, no count */
	assert_int_equal(series("2.25.60").n_slices, 0);
	close_node(state);
}

static void
more_slices_win(void **state)
{
	(void)state;
	take_series(&node, "flair", 1);
	take_series(&node, "flair-more", 1);
	look(QUIET + 1);
	expect_series("2.25.11", SERIES_STATE_COMPLETE, "flair", "rule flair");
	expect_series("2.25.10", SERIES_STATE_COMPLETE, "", "not used: series 2.25.11 fills channel flair with 6 slices against 4");
	expect_job("2.25.1", "queued v1");
	assert_int_equal(count_jobs(), 1);
}

static void
smaller_pixels_win_and_the_later_one(void **state)
{
	(void)state;
	take_series(&node, "flair", 1);
	take_series(&node, "flair-later", 1);
	look(QUIET + 1);
	expect_series("2.25.17", SERIES_STATE_COMPLETE, "flair", "rule flair");
	expect_series("2.25.10", SERIES_STATE_COMPLETE, "", "not used: series 2.25.17 fills channel flair and was acquired later");
	take_series(&node, "flair-fine", 1);
	look(QUIET + 1);
	expect_series("2.25.16", SERIES_STATE_COMPLETE, "flair", "rule flair");
	expect_series("2.25.17", SERIES_STATE_COMPLETE, "", "not used: series 2.25.16 fills channel flair with pixels of 0.81 mm2 against 1 mm2");
	expect_job("2.25.1", "queued v1");
	assert_int_equal(count_jobs(), 1);
}

static void
the_models_plane_comes_first(void **state)
{
	(void)state;
	take_series(&node, "flair-sagittal", 1);
	take_series(&node, "flair", 1);
	look(QUIET + 1);
	expect_series("2.25.10", SERIES_STATE_COMPLETE, "flair", "rule flair");
	expect_series("2.25.18", SERIES_STATE_COMPLETE, "", "by rule flair, which comes before rule flair-second");
}

static void
a_rejected_one_gives_way(void **state)
{
	(void)state;
	take_series(&node, "flair-more-gap", 1);
	take_series(&node, "flair", 1);
	look(QUIET + 1);
	expect_series("2.25.11", SERIES_STATE_REJECTED, "", "not used: series 2.25.10 fills channel flair and is not rejected");
	expect_series("2.25.10", SERIES_STATE_COMPLETE, "flair", "");
	expect_job("2.25.1", "queued v1");
}

static void
the_job_waits_for_a_rival_still_coming(void **state)
{
	int64_t association;

	(void)state;
	take_series(&node, "flair", 1);
	association = take_series(&node, "flair-more", 0);
	look(QUIET + 1);
	expect_series("2.25.10", SERIES_STATE_COMPLETE, "", "");
	expect_job("2.25.1", "receiving v1");
	intake_close(&node, association, true);
	look(QUIET + 1);
	expect_job("2.25.1", "queued v1");
}

static void
a_fallback_only_where_nothing_else_fits(void **state)
{
	(void)state;
	take_series(&node, "mpr", 1);
	look(QUIET + 1);
	expect_series("2.25.14", SERIES_STATE_COMPLETE, "flair", "rule flair-reformat");
	expect_job("2.25.1", "queued v1");
	run_job("2.25.1");
	take_series(&node, "flair", 1);
	look(QUIET + 1);
	expect_series("2.25.14", SERIES_STATE_COMPLETE, "", "by rule flair, and rule flair-reformat is a fallback");
	expect_series("2.25.10", SERIES_STATE_COMPLETE, "flair", "");
	expect_job("2.25.1", "queued v2 >1");
}

/* A node whose model takes t1c and flair: the shipped one's folder, changed. */
static void
open_with_two_channels(void)
{
	char dir[SPOOL_PATH], from[SPOOL_PATH], to[SPOOL_PATH], *text, *at;
	size_t n;
	struct err e = { 0 };

	settings = make_settings("\"models\": [{\"name\": \"glioma-two\"}],");
	snprintf(dir, sizeof dir, "%s/models/glioma-two/1", settings->data_dir);
	assert_int_equal(file_make_dirs(dir, 0700, &e), 0);
	text = file_read("model/shipped/glioma-flair/0.1.0/model.json", 1 << 20, &n, &e);
	assert_non_null(text);
	snprintf(to, sizeof to, "%.1100s/model.json", dir);
	at = strstr(text, "\"flair\"");
	assert_non_null(at);
	{
		FILE *f = fopen(to, "w");
		assert_non_null(f);
		for (const char *c = text; *c != 0;) {
			if (c == at)
				fputs("\"t1c\", ", f);
			if (strncmp(c, "\"glioma-flair\"", 14) == 0)
				fputs("\"glioma-two\"", f), c += 14;
			else if (strncmp(c, "\"0.1.0\"", 7) == 0)
				fputs("\"1\"", f), c += 7;
			else
				fputc(*c++, f);
		}
		assert_int_equal(fclose(f), 0);
	}
	free(text);
	snprintf(from, sizeof from, "model/shipped/glioma-flair/0.1.0/weights.safetensors");
	snprintf(to, sizeof to, "%.1100s/weights.safetensors", dir);
	if (file_exists(from))
		assert_int_equal(symlink(from, to), 0);
	start_node();
}

static void
a_missing_channel_is_named(void **state)
{
	struct job j = { 0 };
	struct err e = { 0 };

	(void)state;
	open_with_two_channels();
	take_series(&node, "t1c", 1);
	look(QUIET + 1);
	expect_series("2.25.15", SERIES_STATE_COMPLETE, "t1c", "waits: model glioma-two has no series for channel flair");
	assert_int_equal(count_jobs(), 0);
	take_series(&node, "gap", 1);
	look(0);
	expect_series("2.25.15", SERIES_STATE_COMPLETE, "t1c", "rule t1c");
	assert_null(strstr(series("2.25.15").reason, "waits"));
	look(QUIET + 1); /* one channel is rejected, and so is the job */
	assert_int_equal(jobs_latest(node.db, "2.25.1", "glioma-two", &j, &e), 0);
	assert_int_equal(j.state, JOB_REJECTED);
	assert_string_equal(j.channels, "{\"t1c\":\"2.25.15\",\"flair\":\"2.25.10\"}");
	job_release(&j);
	take_series(&node, "missing", 1);
	look(QUIET + 1);
	assert_int_equal(jobs_latest(node.db, "2.25.1", "glioma-two", &j, &e), 0);
	assert_int_equal(j.state, JOB_QUEUED);
	assert_int_equal(j.case_version, 2);
	job_release(&j);
	close_node(NULL);
}

/* What comes for another channel does not bring a rejected case back. */
static void
a_rejected_channel_rejects_once(void **state)
{
	int64_t association;

	(void)state;
	open_with_two_channels();
	association = take_series(&node, "t1c", 0);
	take_series(&node, "gap", 1);
	look(QUIET + 1);
	assert_int_equal(count_jobs(), 1);
	intake_close(&node, association, true);
	look(QUIET + 1);
	expect_series("2.25.15", SERIES_STATE_COMPLETE, "t1c", "");
	assert_int_equal(count_jobs(), 1);
	close_node(NULL);
}

/* ---- late instances ---- */

static void
late_slices_take_a_queued_job_back(void **state)
{
	(void)state;
	take_series(&node, "flair", 1);
	look(QUIET + 1);
	expect_job("2.25.1", "queued v1");
	take_series(&node, "late", 1);
	look(0);
	expect_job("2.25.1", "receiving v1");
	look(QUIET + 1);
	expect_job("2.25.1", "queued v1");
	assert_int_equal(count_jobs(), 1);
}

/* What it had read counts no more: cancelled it stays so, and a retry waits for the series as it is now. */
static void
a_job_taken_back_has_no_inputs(void **state)
{
	struct err e = { 0 };
	int64_t id;

	(void)state;
	take_series(&node, "flair", 1);
	look(QUIET + 1);
	take_series(&node, "late", 1);
	look(0);
	expect_job("2.25.1", "receiving v1");
	assert_int_equal(control_cancel(&node, NULL, 1, &e), 0);
	look(QUIET + 1);
	expect_job("2.25.1", "cancelled v1");
	assert_int_equal(count_jobs(), 1);
	assert_int_equal(control_retry(&node, 1, &id, &e), 0);
	expect_job("2.25.1", "receiving v1 >1");
	look(0);
	expect_job("2.25.1", "queued v1 >1");
	expect_inputs(id, 5);
}

static void
late_slices_after_the_job_make_a_new_version(void **state)
{
	int64_t id;

	(void)state;
	take_series(&node, "flair", 1);
	look(QUIET + 1);
	id = run_job("2.25.1");
	take_series(&node, "late", 1);
	look(0);
	expect_job("2.25.1", "done v1"); /* only at completion */
	look(QUIET + 1);
	expect_job("2.25.1", "queued v2 >1");
	assert_int_equal(id, 1);
	assert_int_equal(count_jobs(), 2);
}

static void
late_slices_that_spoil_it_are_said(void **state)
{
	(void)state;
	take_series(&node, "flair", 1);
	look(QUIET + 1);
	run_job("2.25.1");
	take_series(&node, "late-gap", 1);
	look(QUIET + 1);
	expect_job("2.25.1", "rejected v2 >1");
	look(QUIET + 1);
	die_and_come_back();
	look(QUIET + 1);
	assert_int_equal(count_jobs(), 2);
}

static void
the_same_instances_open_nothing(void **state)
{
	(void)state;
	take_series(&node, "flair", 1);
	look(QUIET + 1);
	run_job("2.25.1");
	take_series(&node, "flair", 1);
	look(QUIET + 1);
	expect_series("2.25.10", SERIES_STATE_COMPLETE, "flair", "");
	expect_job("2.25.1", "done v1");
	assert_int_equal(count_jobs(), 1);
}

static void
other_series_open_nothing(void **state)
{
	(void)state;
	take_series(&node, "flair", 1);
	look(QUIET + 1);
	run_job("2.25.1");
	take_series(&node, "localizer", 1);
	take_series(&node, "t1c", 1);
	look(QUIET + 1);
	expect_job("2.25.1", "done v1");
	assert_int_equal(count_jobs(), 1);
}

static void
our_results_open_nothing(void **state)
{
	char spec[120], kept[sizeof folder];
	const char *specs[2] = { spec, NULL };

	(void)state;
	take_series(&node, "flair", 1);
	look(QUIET + 1);
	run_job("2.25.1");
	snprintf(spec, sizeof spec, "ours:base=5000,series=50,n=6,serial=%s", db_node_id(node.db));
	memcpy(kept, folder, sizeof folder);
	make_studies(specs);
	take_series(&node, "ours", 1);
	remove_studies();
	memcpy(folder, kept, sizeof folder);
	assert_int_equal(look(0), -1);
	expect_series("2.25.50", SERIES_STATE_IGNORED, "", "made by this node");
	expect_job("2.25.1", "done v1");
	assert_int_equal(count_jobs(), 1);
}

/* ---- jobs that end early ---- */

static void
a_cancelled_job_stays_cancelled(void **state)
{
	struct err e = { 0 };

	(void)state;
	take_series(&node, "flair", 1);
	look(0);
	assert_int_equal(jobs_end(node.db, 1, JOB_RECEIVING, JOB_CANCELLED, "by hand", &e), 0);
	look(QUIET + 1);
	expect_series("2.25.10", SERIES_STATE_COMPLETE, "flair", "");
	expect_job("2.25.1", "cancelled v1");
	take_series(&node, "late", 1); /* something new for it */
	look(QUIET + 1);
	expect_job("2.25.1", "queued v2 >1");
}

static void
a_study_is_not_waited_for_longer_than_said(void **state)
{
	int64_t association;

	(void)state;
	association = take_series(&node, "flair", 0);
	look(0);
	look(FORCE - 100);
	expect_job("2.25.1", "receiving v1");
	assert_in_range(look(100), FORCE - 15, FORCE);
	node.even_since_ms = clock_ms() + 50000; /* the time that the node is away counts for nobody */
	assert_in_range(look(FORCE + 1), FORCE + 35, FORCE + 50);
	expect_job("2.25.1", "receiving v1");
	node.even_since_ms = 0;
	{
		int64_t seen = 1, next_ms = INT64_MAX;
		struct err e = { 0 };
		assert_int_equal(cases_receiving(&node, rules, &seen, clock_ms() + (FORCE + 1) * 1000, &next_ms, &e), 0);
	}
	expect_job("2.25.1", "rejected v1");
	expect_reason("2.25.1", "study_forcecomplete_trigger");
	intake_close(&node, association, true); /* it came after all */
	look(QUIET + 1);
	expect_job("2.25.1", "queued v2 >1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slices_that_a_rule_means_are_counted), cmocka_unit_test_setup_teardown(more_slices_win, open_node, close_node),
		cmocka_unit_test_setup_teardown(smaller_pixels_win_and_the_later_one, open_node, close_node),
		cmocka_unit_test_setup_teardown(the_models_plane_comes_first, open_node, close_node),
		cmocka_unit_test_setup_teardown(a_rejected_one_gives_way, open_node, close_node),
		cmocka_unit_test_setup_teardown(the_job_waits_for_a_rival_still_coming, open_node, close_node),
		cmocka_unit_test_setup_teardown(a_fallback_only_where_nothing_else_fits, open_node, close_node),
		cmocka_unit_test(a_missing_channel_is_named),
		cmocka_unit_test(a_rejected_channel_rejects_once),
		cmocka_unit_test_setup_teardown(late_slices_take_a_queued_job_back, open_node, close_node),
		cmocka_unit_test_setup_teardown(a_job_taken_back_has_no_inputs, open_node, close_node),
		cmocka_unit_test_setup_teardown(late_slices_after_the_job_make_a_new_version, open_node, close_node),
		cmocka_unit_test_setup_teardown(late_slices_that_spoil_it_are_said, open_node, close_node),
		cmocka_unit_test_setup_teardown(the_same_instances_open_nothing, open_node, close_node),
		cmocka_unit_test_setup_teardown(other_series_open_nothing, open_node, close_node),
		cmocka_unit_test_setup_teardown(our_results_open_nothing, open_node, close_node),
		cmocka_unit_test_setup_teardown(a_cancelled_job_stays_cancelled, open_node, close_node),
		cmocka_unit_test_setup_teardown(a_study_is_not_waited_for_longer_than_said, open_node, close_node),
	};

	return RUN_WITH_STUDIES(studies, tests);
}
