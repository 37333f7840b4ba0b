/* From series to jobs. The clock is a parameter, so nothing here waits; only the last test starts the thread, and waits for its bell. */
#include "tests/unit/flow_test.h"

#include "service/flow/cases.h"
#include "service/flow/control.h"
#include "service/flow/dispatch.h"
#include "service/flow/settle.h"

enum { QUIET = 30, INTERRUPTED = 600, FORCE = 5400 }; /* s, as shipped */

static struct settings *settings;
static struct node node;
static struct rules *rules;

static void
start_node(void)
{
	struct err e = { 0 };

	if (node_open(&node, settings, &e) != 0)
		fail_msg("%s", e.text);
	rules = rules_compile(settings, &e);
	assert_non_null(rules);
}

static void
stop_node(void)
{
	rules_free(rules);
	node_close(&node);
}

static int
open_with(const char *more)
{
	settings = make_settings(more);
	start_node();
	return 0;
}

static int
open_node(void **state)
{
	(void)state;
	return open_with("");
}

static int
close_node(void **state)
{
	(void)state;
	stop_node();
	settings_free(settings);
	return 0;
}

/* As after kill -9 and a new start. */
static void
die_and_come_back(void)
{
	stop_node();
	start_node();
}

/* One look of the dispatcher, as if after_s had passed since the last instance. Gives the earliest time of the next, in s from now; -1 = none. */
static int64_t
look(int64_t after_s)
{
	struct series_row *rows;
	size_t n;
	int64_t now_ms = clock_ms() + after_s * 1000, next_ms = INT64_MAX, seen = 0, again_ms;
	struct err e = { 0 };

	assert_int_equal(series_unsettled(node.db, &rows, &n, &e), 0);
	for (size_t i = 0; i < n; i++) {
		if (cases_match(&node, rules, rows[i].study_uid, NULL, &e) != 0)
			fail_msg("%s", e.text);
		if (settle_series(&node, rules, &rows[i], now_ms, &again_ms, &e) != 0)
			fail_msg("%s", e.text);
		if (again_ms != 0 && again_ms < next_ms)
			next_ms = again_ms;
	}
	free(rows);
	if (cases_receiving(&node, rules, &seen, now_ms, &next_ms, &e) != 0)
		fail_msg("%s", e.text);
	return next_ms == INT64_MAX ? -1 : (next_ms - clock_ms() + 500) / 1000;
}

static struct series_row
series(const char *uid)
{
	struct series_row row;
	struct err e = { 0 };

	if (series_get(node.db, uid, &row, &e) != 0)
		fail_msg("%s", e.text);
	return row;
}

static void
expect_series(const char *uid, enum series_state state, const char *channel, const char *words)
{
	struct series_row row = series(uid);

	assert_string_equal(series_state_name(row.state), series_state_name(state));
	assert_string_equal(row.channel, channel);
	if (strstr(row.reason, words) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", words, row.reason);
}

/* The newest job of a study: "" = none, else "state vVERSION[ >REPLACES]". */
static void
expect_job(const char *study, const char *expected)
{
	struct job j = { 0 };
	char is[80] = "";
	struct err e = { 0 };

	if (jobs_latest(node.db, study, "glioma-flair", &j, &e) == 0) {
		int n = snprintf(is, sizeof is, "%s v%lld", job_state_name(j.state), (long long)j.case_version);
		if (j.replaces != 0)
			snprintf(is + n, sizeof is - (size_t)n, " >%lld", (long long)j.replaces);
	} else {
		assert_int_equal(e.code, ERR_NOT_FOUND);
	}
	job_release(&j);
	assert_string_equal(is, expected);
}

static int64_t
count_jobs(void)
{
	int64_t by_state[JOB_N_STATES], n = 0;
	struct err e = { 0 };

	assert_int_equal(jobs_count(node.db, by_state, &e), 0);
	for (int i = 0; i < JOB_N_STATES; i++)
		n += by_state[i];
	return n;
}

static void
expect_reason(const char *study, const char *words)
{
	struct job j;
	struct err e = { 0 };

	assert_int_equal(jobs_latest(node.db, study, "glioma-flair", &j, &e), 0);
	if (j.reason == NULL || strstr(j.reason, words) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", words, j.reason != NULL ? j.reason : "(null)");
	job_release(&j);
}

/* The newest job goes on to its end, as a worker would move it. */
static int64_t
run_job(const char *study)
{
	struct job_outcome o = { .finding = "none", .flags = "[]", .segments = "[]", .results = "[]", .timings = "{}" };
	struct job j;
	struct err e = { 0 };
	int64_t id;

	if (jobs_claim(node.db, &j, &e) != 0)
		fail_msg("%s", e.text);
	assert_string_equal(j.study_uid, study);
	id = j.id;
	assert_int_equal(jobs_computed(node.db, id, j.attempt, &o, NULL, 0, &e), 0);
	job_release(&j);
	return id;
}

static void
expect_inputs(int64_t job, size_t expected)
{
	struct job_input *inputs;
	size_t n;
	struct err e = { 0 };

	assert_int_equal(jobs_inputs(node.db, job, &inputs, &n, &e), 0);
	free(inputs);
	assert_int_equal(n, expected);
}

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
	assert_in_range(look(0), QUIET - 2, QUIET);
	expect_series("2.25.10", SERIES_STATE_OPEN, "flair", "rule flair: ");
	expect_job("2.25.1", "receiving v1");
	assert_in_range(look(QUIET - 5), QUIET - 2, QUIET);
	expect_job("2.25.1", "receiving v1");
	assert_int_equal(look(QUIET + 1), -1);
	expect_series("2.25.10", SERIES_STATE_COMPLETE, "flair", "SeriesDescription \"FLAIR\"");
	expect_job("2.25.1", "queued v1");
	assert_int_equal(jobs_latest(node.db, "2.25.1", "glioma-flair", &j, &e), 0);
	assert_string_equal(j.channels, "{\"flair\":\"2.25.10\"}");
	assert_int_equal(strlen(j.fingerprint), 64);
	assert_string_equal(j.model_version, "0.1.0");
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

static void
an_interrupted_series_waits_for_the_next_try(void **state)
{
	(void)state;
	take_series(&node, "flair", -1);
	assert_in_range(look(QUIET + 1), INTERRUPTED - 2, INTERRUPTED);
	expect_series("2.25.10", SERIES_STATE_WAITING, "flair", "waiting: the association that brought it was interrupted");
	expect_job("2.25.1", "receiving v1");
	take_series(&node, "flair", 1); /* the same instances again, in good order */
	assert_int_equal(look(QUIET + 1), -1);
	expect_series("2.25.10", SERIES_STATE_COMPLETE, "flair", "rule flair");
	expect_job("2.25.1", "queued v1");
}

static void
nobody_tries_again_and_it_counts_as_it_is(void **state)
{
	(void)state;
	take_series(&node, "flair", -1);
	look(QUIET + 1);
	look(INTERRUPTED - 5);
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
	assert_in_range(look(QUIET + 1), INTERRUPTED - 2, INTERRUPTED);
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
	expect_series("2.25.10", SERIES_STATE_REJECTED, "flair", "\nrejected: ");
	expect_job("2.25.1", "rejected v1");
}

/* ---- several series ---- */

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
	char spec[120], studies[sizeof folder];
	const char *specs[2] = { spec, NULL };

	(void)state;
	take_series(&node, "flair", 1);
	look(QUIET + 1);
	run_job("2.25.1");
	snprintf(spec, sizeof spec, "ours:base=5000,series=50,n=6,serial=%s", db_node_id(node.db));
	memcpy(studies, folder, sizeof folder);
	make_studies(specs);
	take_series(&node, "ours", 1);
	remove_studies();
	memcpy(folder, studies, sizeof folder);
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
	assert_in_range(look(100), FORCE - 3, FORCE);
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

int
main(void)
{
	static const char *const specs[] = { "flair:n=4", "gap:n=4,skip=2", "missing:first=2,n=1", "double:n=4,double=1", "late:first=4,n=1", "late-gap:first=5,n=1",
		"flair-more:n=6,series=11,base=1100", "flair-more-gap:n=6,skip=3,series=11,base=1100", "localizer:n=3,series=12,base=1200,type=ORIGINAL/PRIMARY/LOCALIZER",
		"ct:series=13,base=1300,modality=CT,text=flair", "mpr:series=14,base=1400,type=DERIVED/PRIMARY/MPR", "t1c:series=15,base=1500,text=T1+post+contrast",
		"other-study:study=2,series=20,base=2000", NULL };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_quiet_whole_series_becomes_a_job, open_node, close_node),
		cmocka_unit_test_setup_teardown(an_open_association_holds_it_open, open_node, close_node),
		cmocka_unit_test_setup_teardown(an_interrupted_series_waits_for_the_next_try, open_node, close_node),
		cmocka_unit_test_setup_teardown(nobody_tries_again_and_it_counts_as_it_is, open_node, close_node),
		cmocka_unit_test_setup_teardown(open_when_the_node_died_is_interrupted, open_node, close_node),
		cmocka_unit_test_setup_teardown(a_gap_released_in_order_is_rejected, open_node, close_node),
		cmocka_unit_test_setup_teardown(a_gap_interrupted_waits, open_node, close_node),
		cmocka_unit_test_setup_teardown(a_gap_interrupted_is_rejected_in_the_end, open_node, close_node),
		cmocka_unit_test_setup_teardown(what_more_slices_cannot_cure_is_rejected_at_once, open_node, close_node),
		cmocka_unit_test_setup_teardown(what_no_rule_takes_is_ignored, open_node, close_node),
		cmocka_unit_test_setup_teardown(a_lost_file_rejects_the_series_not_the_node, open_node, close_node),
		cmocka_unit_test_setup_teardown(more_slices_win, open_node, close_node),
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
		cmocka_unit_test_setup_teardown(every_step_may_be_the_last, open_node, close_node),
		cmocka_unit_test_setup_teardown(an_instance_that_comes_meanwhile_is_not_lost, open_node, close_node),
		cmocka_unit_test(the_thread_does_all_that),
	};
	struct err e = { 0 };
	int result;

	log_set_level(LOG_ERROR);
	if (dicom_start(&e) != 0)
		return 1;
	make_studies(specs);
	result = cmocka_run_group_tests(tests, NULL, NULL);
	remove_studies();
	return result;
}
