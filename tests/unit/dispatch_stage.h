/* What the tests of the way from series to jobs share: a node with the shipped rules, and one look of the dispatcher at a time. The clock is a parameter, so
 * nothing here waits. Each test program includes it once. */
#pragma once
#include "tests/unit/flow_test.h"

#include "service/flow/cases.h"
#include "service/flow/settle.h"

enum { QUIET = 30, INTERRUPTED = 600, FORCE = 5400 }; /* s, as shipped */

static struct settings *settings;
static struct node node;
static struct rules *rules;

static inline void
start_node(void)
{
	struct err e = { 0 };

	if (node_open(&node, settings, &e) != 0)
		fail_msg("%s", e.text);
	rules = rules_compile(settings, &e);
	assert_non_null(rules);
}

static inline void
stop_node(void)
{
	rules_free(rules);
	node_close(&node);
}

static inline int
open_with(const char *more)
{
	settings = make_settings(more);
	start_node();
	return 0;
}

static inline int
open_node(void **state)
{
	(void)state;
	return open_with("");
}

static inline int
close_node(void **state)
{
	(void)state;
	stop_node();
	settings_free(settings);
	return 0;
}

/* As after kill -9 and a new start. */
static inline void
die_and_come_back(void)
{
	stop_node();
	start_node();
}

/* One look of the dispatcher, as if after_s had passed since the last instance. Gives the earliest time of the next, in s from now; -1 = none. */
static inline int64_t
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

static inline struct series_row
series(const char *uid)
{
	struct series_row row;
	struct err e = { 0 };

	if (series_get(node.db, uid, &row, &e) != 0)
		fail_msg("%s", e.text);
	return row;
}

static inline void
expect_series(const char *uid, enum series_state state, const char *channel, const char *words)
{
	struct series_row row = series(uid);

	assert_string_equal(series_state_name(row.state), series_state_name(state));
	assert_string_equal(row.channel, channel);
	if (strstr(row.reason, words) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", words, row.reason);
}

/* The newest job of a study: "" = none, else "state vVERSION[ >REPLACES]". */
static inline void
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

static inline int64_t
count_jobs(void)
{
	int64_t by_state[JOB_N_STATES], n = 0;
	struct err e = { 0 };

	assert_int_equal(jobs_count(node.db, by_state, &e), 0);
	for (int i = 0; i < JOB_N_STATES; i++)
		n += by_state[i];
	return n;
}

static inline void
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
static inline int64_t
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

static inline void
expect_inputs(int64_t job, size_t expected)
{
	struct job_input *inputs;
	size_t n;
	struct err e = { 0 };

	assert_int_equal(jobs_inputs(node.db, job, &inputs, &n, &e), 0);
	free(inputs);
	assert_int_equal(n, expected);
}

/* The studies of all these programs. */
static const char *const studies[] = { "flair:n=4", "gap:n=4,skip=2", "missing:first=2,n=1", "double:n=4,double=1", "late:first=4,n=1", "late-gap:first=5,n=1",
	"echo-early:n=4,study=6,series=60,base=6000,attr=EchoTime/20", "echo-late:n=4,study=6,series=60,base=6100,attr=EchoTime/90",
	"echo-more:n=1,first=4,study=6,series=60,base=6200,attr=EchoTime/90", "echo-single:n=5,study=6,series=61,base=6300,attr=EchoTime/90",
	"flair-more:n=6,series=11,base=1100", "flair-more-gap:n=6,skip=3,series=11,base=1100", "localizer:n=3,series=12,base=1200,type=ORIGINAL/PRIMARY/LOCALIZER",
	"ct:series=13,base=1300,modality=CT,text=flair", "mpr:series=14,base=1400,type=DERIVED/PRIMARY/MPR", "t1c:series=15,base=1500,text=T1+post+contrast",
	"other-study:study=2,series=20,base=2000", "flair-fine:series=16,base=1600,attr=PixelSpacing/0.9+0.9", "flair-later:series=17,base=1700,attr=AcquisitionTime/102000",
	"flair-changed:n=4,add=9", "flair-implicit:n=1,syntax=implicit", "flair-part:n=2", "other-ct:study=3,series=21,base=2100,modality=CT", "other-ct-changed:study=3,series=21,base=2100,modality=CT,add=9", "flair-sagittal:n=1,series=18,base=1800,attr=ImageOrientationPatient/0+1+0+0+0+-1", NULL };
