/* Jobs: every move there is and that no other is possible, the queue's order, two claimers, recovery, lists by index. */
#include "db/deliveries.h"
#include "config/clock.h"
#include "db/jobs.h"
#include "db/sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/db_stage.h"

static int64_t
create(enum job_state state, const char *study, int64_t run)
{
	struct job j = { .state = state, .model_name = "glioma-flair", .model_version = "0.1.0", .model_digest = "abc", .case_version = 1, .run = run,
	                 .created_ms = 1000 };
	int64_t id = 0;

	snprintf(j.study_uid, sizeof j.study_uid, "%s", study);
	assert_int_equal(jobs_create(d, &j, &id, &e), 0);
	return id;
}

static struct job
get(int64_t id)
{
	struct job j;

	assert_int_equal(jobs_get(d, id, &j, &e), 0);
	return j;
}

static void
assert_state(int64_t id, enum job_state state)
{
	struct job j = get(id);

	assert_int_equal(j.state, state);
	assert_int_equal(j.finished_ms > 0, job_state_is_final(state));
	job_release(&j);
}

static void
assert_refused(int r)
{
	assert_int_equal(r, -1);
	assert_int_equal(e.code, ERR_STATE);
}

static const struct job_input inputs[] = { { "flair", "1.2.3" }, { "flair", "1.2.1" }, { "t1c", "1.2.2" } };
static const struct job_outcome outcome = { "present", "[]", "[{\"number\":1}]", "[{\"kind\":\"seg\"}]", "{\"read\":40}" };
static const char *const destinations[] = { "pacs", "cloud", "pacs" };

static int64_t n_made;
static int64_t
claimed(void) /* a running job */
{
	char study[32];
	struct job j;
	int64_t id;

	snprintf(study, sizeof study, "1.77.%lld", (long long)++n_made);
	id = create(JOB_QUEUED, study, 1);
	assert_int_equal(jobs_claim(d, &j, &e), 0);
	assert_int_equal(j.id, id);
	job_release(&j);
	return id;
}

/* A job in any state, by the moves that lead there. */
static int64_t
in_state(enum job_state state)
{
	int64_t id;
	char study[32];

	if (state == JOB_RECEIVING || state == JOB_QUEUED) {
		snprintf(study, sizeof study, "1.77.%lld", (long long)++n_made);
		return create(state, study, 1);
	}
	id = claimed();
	if (state == JOB_DELIVERING)
		assert_int_equal(jobs_computed(d, id, 1, &outcome, destinations, 1, &e), 0);
	else if (state == JOB_DONE)
		assert_int_equal(jobs_computed(d, id, 1, &outcome, NULL, 0, &e), 0);
	else if (state != JOB_RUNNING)
		assert_int_equal(jobs_end(d, id, JOB_RUNNING, state, "because", &e), 0);
	return id;
}

static void
test_names(void **state)
{
	enum job_state s;

	(void)state;
	for (int i = 0; i < JOB_N_STATES; i++) {
		assert_true(job_state_parse(job_state_name((enum job_state)i), &s));
		assert_int_equal(s, i);
	}
	assert_false(job_state_parse("DONE", &s));
	assert_false(job_state_parse("", &s));
	assert_false(job_state_parse(NULL, &s));
}

static void
test_create_and_get(void **state)
{
	struct job j = { .state = JOB_RECEIVING, .study_uid = "1.2", .model_name = "m", .model_version = "1", .model_digest = "d", .case_version = 2, .created_ms = 5,
	                 .channels = (char *)"{\"flair\":\"1.9\"}" }, back;
	int64_t id, other;

	(void)state;
	assert_int_equal(jobs_create(d, &j, &id, &e), 0); /* run 0: the next */
	back = get(id);
	assert_int_equal(back.run, 1);
	assert_int_equal(back.case_version, 2);
	assert_int_equal(back.attempt, 0);
	assert_int_equal(back.started_ms, 0);
	assert_string_equal(back.priority, "normal");
	assert_string_equal(back.channels, "{\"flair\":\"1.9\"}");
	assert_null(back.reason);
	assert_null(back.finding);
	assert_int_equal(back.replaces, 0);
	job_release(&back);
	j.run = 1;
	assert_refused(jobs_create(d, &j, &other, &e));
	j.run = 0;
	assert_int_equal(jobs_create(d, &j, &other, &e), 0);
	assert_int_equal(jobs_latest(d, "1.2", "m", &back, &e), 0);
	assert_int_equal(back.id, other);
	assert_int_equal(back.run, 2);
	job_release(&back);
	j.case_version = 1;
	assert_int_equal(jobs_create(d, &j, &id, &e), 0);
	assert_int_equal(jobs_latest(d, "1.2", "m", &back, &e), 0);
	assert_int_equal(back.id, other); /* the highest case version, not the newest row */
	job_release(&back);
	j.state = JOB_RUNNING;
	assert_refused(jobs_create(d, &j, &id, &e));
	assert_int_equal(jobs_latest(d, "1.3", "m", &back, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(jobs_get(d, 999, &back, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

static void
test_walk_to_done(void **state)
{
	int64_t id = create(JOB_RECEIVING, "1.2", 1), other;
	struct job_event *events;
	struct job_input *read;
	struct delivery *deliveries;
	struct job j;
	size_t n;

	(void)state;
	assert_int_equal(jobs_channels(d, id, "{}", &e), 0);
	assert_int_equal(jobs_queue(d, id, "{\"flair\":\"1.9\"}", "fp", inputs, 3, "complete", &e), 0);
	assert_refused(jobs_channels(d, id, "{}", &e));
	assert_int_equal(jobs_unqueue(d, id, "late slice", &e), 0);
	j = get(id);
	assert_null(j.fingerprint); /* what it would have read counts no more */
	job_release(&j);
	assert_int_equal(jobs_inputs(d, id, &read, &n, &e), 0);
	assert_int_equal(n, 0);
	free(read);
	assert_int_equal(jobs_queue(d, id, "{\"flair\":\"1.9\"}", "fp", inputs, 3, "complete", &e), 0);
	assert_int_equal(jobs_inputs(d, id, &read, &n, &e), 0);
	assert_int_equal(n, 3);
	assert_string_equal(read[1].sop_uid, "1.2.1"); /* in the order given */
	assert_string_equal(read[2].channel, "t1c");
	free(read);
	assert_int_equal(jobs_claim(d, &j, &e), 0);
	assert_int_equal(j.id, id);
	assert_int_equal(j.state, JOB_RUNNING);
	assert_int_equal(j.attempt, 1);
	assert_true(j.started_ms > 0);
	assert_string_equal(j.fingerprint, "fp");
	job_release(&j);
	assert_int_equal(jobs_progress(d, id, 1, 0.5, &e), 0);
	j = get(id);
	assert_true(j.progress > 0.49 && j.progress < 0.51);
	job_release(&j);
	assert_refused(jobs_progress(d, id, 2, 0.5, &e));
	assert_refused(jobs_flags(d, id, 2, "{}", &e));
	assert_int_equal(jobs_flags(d, id, 1, "{\"odd\":\"why\"}", &e), 0);
	j = get(id);
	assert_string_equal(j.flags, "{\"odd\":\"why\"}");
	job_release(&j);
	assert_refused(jobs_computed(d, id, 2, &outcome, destinations, 3, &e));
	assert_int_equal(jobs_computed(d, id, 1, &outcome, destinations, 3, &e), 0);
	assert_int_equal(deliveries_of_job(d, id, &deliveries, &n, &e), 0);
	assert_int_equal(n, 2); /* a destination named twice gets one */
	free(deliveries);
	j = get(id);
	assert_int_equal(j.state, JOB_DELIVERING);
	assert_string_equal(j.finding, "present");
	assert_string_equal(j.timings, "{\"read\":40}");
	assert_true(j.progress == 1.0);
	job_release(&j);
	assert_int_equal(jobs_timing(d, id, "{}", &e), 0);
	assert_int_equal(jobs_history(d, id, &events, &n, &e), 0);
	assert_int_equal(n, 6);
	assert_string_equal(events[0].state, "receiving");
	assert_string_equal(events[2].cause, "late slice");
	assert_string_equal(events[4].state, "running");
	assert_string_equal(events[5].state, "delivering");
	assert_true(events[0].time_ms > 0 && events[5].time_ms >= events[0].time_ms);
	free(events);
	other = claimed();
	assert_int_equal(jobs_computed(d, other, 1, &outcome, NULL, 0, &e), 0);
	assert_state(other, JOB_DONE);
	other = claimed();
	assert_int_equal(jobs_computed(d, other, 1, &(struct job_outcome){ .finding = "none" }, NULL, 0, &e), 0);
	assert_state(other, JOB_DONE); /* nothing found, nothing to deliver */
	assert_int_equal(deliveries_of_job(d, other, &deliveries, &n, &e), 0);
	assert_int_equal(n, 0);
}

/* Each moving function from each state: exactly these may. */
static void
test_legal_and_illegal_moves(void **state)
{
	enum { MOVES = 11 };
	static const char allowed[MOVES][JOB_N_STATES + 1] = {
		/* receiving queued running delivering done failed rejected cancelled */
		"10000000", /* queue */
		"01000000", /* unqueue */
		"00100000", /* attempt_failed, again */
		"00100000", /* attempt_failed, for good */
		"00100000", /* computed */
		"00000100", /* retry */
		"11110000", /* cancel */
		"11110000", /* fail */
		"11100000", /* reject */
		"10000000", /* channels */
		"00100000", /* interrupted */
	};

	(void)state;
	for (int m = 0; m < MOVES; m++)
		for (int from = 0; from < JOB_N_STATES; from++) {
			int64_t id = in_state((enum job_state)from);
			int r = 0;
			switch (m) {
			case 0: r = jobs_queue(d, id, "{}", "f", inputs, 3, "c", &e); break;
			case 1: r = jobs_unqueue(d, id, "c", &e); break;
			case 2: r = jobs_attempt_failed(d, id, 1, true, 3, "c", &e); break;
			case 3: r = jobs_attempt_failed(d, id, 1, false, 3, "c", &e); break;
			case 4: r = jobs_computed(d, id, 1, &outcome, destinations, 2, &e); break;
			case 5: r = jobs_retry(d, id, "c", &e); break;
			case 6: r = jobs_end(d, id, (enum job_state)from, JOB_CANCELLED, "c", &e); break;
			case 7: r = jobs_end(d, id, (enum job_state)from, JOB_FAILED, "c", &e); break;
			case 8: r = jobs_end(d, id, (enum job_state)from, JOB_REJECTED, "c", &e); break;
			case 9: r = jobs_channels(d, id, "{}", &e); break;
			case 10: r = jobs_interrupted(d, id, 1, "c", &e); break;
			}
			if (allowed[m][from] == '1') {
				assert_int_equal(r, 0);
			} else {
				assert_refused(r);
				assert_state(id, (enum job_state)from);
			}
			for (int s = 0; s < JOB_DONE; s++) /* out of the way of the next claim */
				(void)jobs_end(d, id, (enum job_state)s, JOB_CANCELLED, "test", &e);
		}
}

static void
test_moves_of_others(void **state)
{
	int64_t id = in_state(JOB_QUEUED);

	(void)state;
	assert_refused(jobs_end(d, id, JOB_RECEIVING, JOB_CANCELLED, "c", &e)); /* it is elsewhere by now */
	assert_refused(jobs_end(d, id, JOB_QUEUED, JOB_DONE, "c", &e));
	assert_int_equal(jobs_unqueue(d, 999, "c", &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_refused(jobs_timing(d, 999, "{}", &e));
}

/* However often the disk was to blame, the job has its attempts. */
static void
test_void_attempts_do_not_count(void **state)
{
	int64_t id = create(JOB_QUEUED, "1.2", 1);
	struct job j;

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(jobs_claim(d, &j, &e), 0);
		assert_int_equal(j.attempt, 1);
		job_release(&j);
		assert_refused(jobs_interrupted(d, id, 2, "disk", &e));
		assert_int_equal(jobs_interrupted(d, id, 1, "disk", &e), 0);
		assert_state(id, JOB_QUEUED);
	}
}

static void
test_attempts(void **state)
{
	int64_t id = create(JOB_QUEUED, "1.2", 1);
	struct job j;

	(void)state;
	for (int attempt = 1; attempt <= 3; attempt++) {
		assert_int_equal(jobs_claim(d, &j, &e), 0);
		assert_int_equal(j.attempt, attempt);
		assert_null(j.reason);
		job_release(&j);
		assert_refused(jobs_attempt_failed(d, id, attempt - 1, true, 3, "stale", &e));
		assert_int_equal(jobs_attempt_failed(d, id, attempt, true, 3, "out of memory", &e), 0);
		assert_state(id, attempt < 3 ? JOB_QUEUED : JOB_FAILED);
		j = get(id);
		assert_string_equal(j.reason, "out of memory");
		job_release(&j);
	}
	assert_int_equal(jobs_retry(d, id, "asked by a person", &e), 0);
	assert_int_equal(jobs_claim(d, &j, &e), 0);
	assert_int_equal(j.attempt, 4);
	job_release(&j);
	assert_int_equal(jobs_attempt_failed(d, id, 4, true, 3, "again", &e), 0);
	assert_state(id, JOB_FAILED); /* one attempt more was asked for, not three */
}

/* Disk or memory failed an attempt: the job rests while others go by; a person's retry does not wait. */
static void
test_rest(void **state)
{
	int64_t id = create(JOB_QUEUED, "1.2", 1), other, next = -1, until = clock_ms() + JOB_REST_MAX_MS - 1000;
	struct job j;

	(void)state;
	assert_int_equal(jobs_next_ms(d, &next, &e), 0);
	assert_int_equal(next, 0);
	assert_int_equal(jobs_claim(d, &j, &e), 0);
	job_release(&j);
	assert_int_equal(jobs_next_ms(d, &next, &e), 0);
	assert_true(next == INT64_MAX);
	assert_refused(jobs_rest(d, id, 2, until, &e));
	assert_int_equal(jobs_rest(d, id, 1, until, &e), 0);
	assert_int_equal(jobs_attempt_failed(d, id, 1, true, 2, "no space", &e), 0);
	assert_int_equal(jobs_claim(d, &j, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(jobs_next_ms(d, &next, &e), 0);
	assert_true(next == until);
	other = create(JOB_QUEUED, "1.3", 1);
	assert_int_equal(jobs_claim(d, &j, &e), 0);
	assert_int_equal(j.id, other);
	job_release(&j);
	clock_shift(JOB_REST_MAX_MS);
	assert_int_equal(jobs_claim(d, &j, &e), 0);
	clock_shift(0);
	assert_int_equal(j.id, id);
	job_release(&j);
	assert_int_equal(jobs_rest(d, id, 2, until, &e), 0);
	assert_int_equal(jobs_attempt_failed(d, id, 2, true, 2, "no space", &e), 0);
	assert_state(id, JOB_FAILED);
	assert_int_equal(jobs_retry(d, id, "asked by a person", &e), 0);
	assert_int_equal(jobs_claim(d, &j, &e), 0);
	assert_int_equal(j.attempt, 3);
	job_release(&j);
	assert_int_equal(jobs_rest(d, id, 3, until, &e), 0);
	assert_int_equal(jobs_attempt_failed(d, id, 3, true, 4, "no space", &e), 0);
	clock_shift(-7200000);
	assert_int_equal(jobs_claim(d, &j, &e), 0); /* the clock was set back: that time may never come */
	clock_shift(0);
	job_release(&j);
}

/* The node's own stop, as often as it likes, costs no attempt. */
static void
test_interrupted(void **state)
{
	int64_t id = create(JOB_QUEUED, "1.2", 1);
	struct job j;

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(jobs_claim(d, &j, &e), 0);
		assert_int_equal(j.attempt, 1);
		job_release(&j);
		assert_refused(jobs_interrupted(d, id, 2, NULL, &e));
		assert_int_equal(jobs_interrupted(d, id, 1, NULL, &e), 0);
		assert_state(id, JOB_QUEUED);
		assert_refused(jobs_interrupted(d, id, 0, NULL, &e));
	}
}

static void
test_order_of_the_queue(void **state)
{
	static const char *const priorities[] = { "low", "normal", "high", "normal", "high", "low" };
	static const int expected[] = { 2, 4, 1, 3, 0, 5 };
	int64_t ids[6];
	struct job j;

	(void)state;
	for (int i = 0; i < 6; i++) {
		struct job made = { .state = JOB_QUEUED, .study_uid = "1.2", .model_name = "m", .model_version = "1", .case_version = 1 };
		snprintf(made.priority, sizeof made.priority, "%s", priorities[i]);
		assert_int_equal(jobs_create(d, &made, &ids[i], &e), 0);
	}
	for (int i = 0; i < 6; i++) {
		assert_int_equal(jobs_claim(d, &j, &e), 0);
		assert_int_equal(j.id, ids[expected[i]]);
		job_release(&j);
	}
	assert_int_equal(jobs_claim(d, &j, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	job_release(&j); /* empty: nothing to free */
}

static void
test_recovery(void **state)
{
	int64_t first = claimed(), third, queued = in_state(JOB_RECEIVING);
	struct job j;

	(void)state;
	assert_int_equal(jobs_attempt_failed(d, first, 1, true, 3, "x", &e), 0);
	assert_int_equal(jobs_claim(d, &j, &e), 0);
	job_release(&j);
	third = claimed();
	db_close(d);
	d = db_open(path, &e);
	assert_non_null(d);
	assert_int_equal(jobs_recover(d, 2, &e), 0);
	assert_state(first, JOB_FAILED); /* attempt 2 of 2 */
	assert_state(third, JOB_QUEUED);
	assert_state(queued, JOB_RECEIVING);
	j = get(first);
	assert_non_null(strstr(j.reason, "stopped during attempt 2"));
	job_release(&j);
	assert_int_equal(jobs_recover(d, 2, &e), 0);
	assert_state(third, JOB_QUEUED);
}

static void
test_rerun_takes_inputs_over(void **state)
{
	int64_t id = create(JOB_RECEIVING, "1.2", 1), again;
	struct job j = { .state = JOB_QUEUED, .study_uid = "1.2", .model_name = "glioma-flair", .model_version = "0.2.0", .case_version = 1, .replaces = id };
	struct job_input *read;
	size_t n;

	(void)state;
	assert_int_equal(jobs_queue(d, id, "{\"flair\":\"1.9\"}", "fp", inputs, 3, "complete", &e), 0);
	assert_int_equal(jobs_create(d, &j, &again, &e), 0);
	assert_int_equal(jobs_inputs(d, again, &read, &n, &e), 0);
	assert_int_equal(n, 3);
	assert_string_equal(read[0].sop_uid, "1.2.3");
	free(read);
	j = get(again);
	assert_int_equal(j.run, 2);
	assert_int_equal(j.replaces, id);
	assert_string_equal(j.channels, "{\"flair\":\"1.9\"}");
	assert_string_equal(j.fingerprint, "fp");
	job_release(&j);
}

enum { CLAIMERS = 3, JOBS = 60 };
static int64_t owner[CLAIMERS][JOBS];

static void *
claim_all(void *arg)
{
	int64_t *mine = arg;
	struct err local;
	struct job j;

	for (size_t n = 0; n < JOBS && jobs_claim(d, &j, &local) == 0; n++) {
		mine[n] = j.id;
		job_release(&j);
	}
	return NULL;
}

static void
test_no_job_is_claimed_twice(void **state)
{
	pthread_t threads[CLAIMERS];
	int seen[JOBS + 1] = { 0 };

	(void)state;
	for (int i = 0; i < JOBS; i++)
		assert_true(create(JOB_QUEUED, "1.2", i + 1) <= JOBS);
	memset(owner, 0, sizeof owner);
	for (int i = 0; i < CLAIMERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, claim_all, owner[i]), 0);
	for (int i = 0; i < CLAIMERS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < CLAIMERS; i++)
		for (int k = 0; k < JOBS; k++)
			seen[owner[i][k]]++;
	for (int id = 1; id <= JOBS; id++)
		assert_int_equal(seen[id], 1);
}

/* ---- lists ---- */

static void
fill_table(int n) /* straight into the table: a hundred thousand commits would be waiting for the disk */
{
	char sql[1024];

	snprintf(sql, sizeof sql, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
	         " INSERT INTO jobs(state, study_uid, model_name, model_version, model_digest, priority, case_version, run, attempt, created_ms, peak_ms, results)"
	         " SELECT CASE WHEN i %% 1000 = 0 THEN 'failed' ELSE 'done' END, '1.2.' || (i / 2), CASE i %% 500 WHEN 7 THEN 'rare' ELSE 'common' END,"
	         " CASE WHEN i < 100 THEN '1' ELSE '2' END, 'd', 'normal', 1, i, 1, 1000 + i, 1000 + i, hex(zeroblob(300)) FROM n", n);
	assert_int_equal(sql_exec(d->writer->handle, sql, &e), 0);
}

static size_t
list(const struct job_filter *f, int64_t *newest, int64_t *oldest)
{
	struct job *jobs;
	size_t n;

	assert_int_equal(jobs_list(d, f, &jobs, &n, &e), 0);
	for (size_t i = 1; i < n; i++)
		assert_true(jobs[i].id < jobs[i - 1].id);
	*newest = n ? jobs[0].id : 0;
	*oldest = n ? jobs[n - 1].id : 0;
	jobs_free(jobs, n);
	return n;
}

static void
test_list(void **state)
{
	struct job_filter f = { .limit = 50 };
	int64_t newest, oldest, counts[JOB_N_STATES];

	(void)state;
	assert_int_equal(list(&f, &newest, &oldest), 0);
	fill_table(3000);
	assert_int_equal(list(&f, &newest, &oldest), 50);
	assert_int_equal(newest, 3000);
	f.before_id = oldest;
	assert_int_equal(list(&f, &newest, &oldest), 50);
	assert_int_equal(newest, 2950);
	f = (struct job_filter){ .has_state = true, .state = JOB_FAILED, .limit = 50 };
	assert_int_equal(list(&f, &newest, &oldest), 3);
	f.before_id = 3000;
	assert_int_equal(list(&f, &newest, &oldest), 2);
	assert_int_equal(newest, 2000);
	f = (struct job_filter){ .study_uid = "1.2.7", .limit = 50 };
	assert_int_equal(list(&f, &newest, &oldest), 2);
	f = (struct job_filter){ .model = "rare", .limit = 50 };
	assert_int_equal(list(&f, &newest, &oldest), 6);
	f = (struct job_filter){ .model = "common@1", .has_state = true, .state = JOB_DONE, .limit = 1000 };
	assert_int_equal(list(&f, &newest, &oldest), 98);
	f.model = "common@3";
	assert_int_equal(list(&f, &newest, &oldest), 0);
	f = (struct job_filter){ .since_ms = 1000 + 2990, .limit = 50 };
	assert_int_equal(list(&f, &newest, &oldest), 11);
	assert_int_equal(oldest, 2990);
	f.since_ms = 99999;
	assert_int_equal(list(&f, &newest, &oldest), 0);
	assert_int_equal(jobs_count(d, counts, &e), 0);
	assert_int_equal(counts[JOB_FAILED], 3);
	assert_int_equal(counts[JOB_DONE], 2997);
	assert_int_equal(counts[JOB_QUEUED], 0);
}

/* A clock that went back hides no job from "since". */
static void
test_since_with_a_clock_that_went_back(void **state)
{
	static const int64_t created[] = { 1000, 5000, 2000, 6000 };
	struct job j = { .state = JOB_QUEUED, .study_uid = "1.2", .model_name = "m", .model_version = "1", .case_version = 1 };
	struct job_filter f = { .since_ms = 2000, .limit = 50 };
	int64_t id, newest, oldest;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		j.created_ms = created[i];
		assert_int_equal(jobs_create(d, &j, &id, &e), 0);
	}
	assert_int_equal(list(&f, &newest, &oldest), 3);
	f.since_ms = 3000;
	assert_int_equal(list(&f, &newest, &oldest), 2);
	f.since_ms = 5500;
	assert_int_equal(list(&f, &newest, &oldest), 1);
}

static char plan[4096];
static const char *
plan_of(const char *sql)
{
	char text[4096];
	sqlite3_stmt *q;

	plan[0] = 0;
	snprintf(text, sizeof text, "EXPLAIN QUERY PLAN %s", sql);
	assert_int_equal(sqlite3_prepare_v2(d->writer->handle, text, -1, &q, NULL), SQLITE_OK);
	while (sqlite3_step(q) == SQLITE_ROW)
		snprintf(plan + strlen(plan), sizeof plan - strlen(plan), "%s;", (const char *)sqlite3_column_text(q, 3));
	sqlite3_finalize(q);
	return plan;
}

static void
assert_no_scan(struct sql *s)
{
	size_t n = 0;

	for (size_t i = 0; i < SQL_CACHE; i++) {
		const char *text = s->cache[i] ? sqlite3_sql(s->cache[i]) : "", *p;
		if (!strstr(text, "FROM jobs") && !strstr(text, "UPDATE jobs") && !strstr(text, "deliveries"))
			continue;
		n++;
		p = plan_of(text);
		/* counting by state reads a whole index, and two hold only the rows that are asked for; nothing else reads more than it answers */
		if (strstr(p, "SCAN") && !strstr(p, "INDEX jobs_queue") &&
		    !strstr(p, "INDEX deliveries_sending") && !strstr(p, "CONSTANT ROW"))
			fail_msg("%s\n%s", text, p);
		/* sorting is for the few jobs of a study and the few deliveries of a job */
		if (strstr(p, "TEMP B-TREE") && !strstr(text, "study_uid = ?") && !strstr(text, "WHERE job = ?"))
			fail_msg("%s\n%s", text, p);
	}
	assert_true(n > 0);
}

/* The statements that this room has really run, as they are in the caches. */
static void
test_lists_use_indices(void **state)
{
	static const char *const models[] = { NULL, "m", "m@1" };
	int64_t counts[JOB_N_STATES], newest, oldest;
	struct job_filter f;

	(void)state;
	fill_table(10);
	for (int i = 0; i < 24; i++) {
		f = (struct job_filter){ .has_state = i & 1, .study_uid = i & 2 ? "1.2" : NULL, .since_ms = i & 4 ? 1 : 0, .model = models[i / 8], .limit = 50 };
		list(&f, &newest, &oldest);
	}
	assert_int_equal(jobs_count(d, counts, &e), 0);
	assert_no_scan(d->idle);
}

static void
test_moves_use_indices(void **state)
{
	int64_t id = in_state(JOB_DELIVERING);
	struct delivery v;

	(void)state;
	assert_int_equal(deliveries_claim(d, "pacs", INT64_MAX, &v, &e), 0);
	assert_int_equal(deliveries_settle(d, v.id, DELIVERY_REFUSED, 0, "no", &e), 0);
	assert_int_equal(deliveries_retry(d, id, &e), 0);
	assert_int_equal(deliveries_recover(d, 1, &e), 0);
	assert_int_equal(jobs_recover(d, 3, &e), 0);
	assert_no_scan(d->writer);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), TEST(test_create_and_get), TEST(test_walk_to_done), TEST(test_legal_and_illegal_moves), TEST(test_moves_of_others),
		TEST(test_void_attempts_do_not_count), TEST(test_attempts), TEST(test_rest), TEST(test_interrupted), TEST(test_order_of_the_queue), TEST(test_recovery), TEST(test_rerun_takes_inputs_over), TEST(test_no_job_is_claimed_twice),
		TEST(test_list), TEST(test_since_with_a_clock_that_went_back), TEST(test_lists_use_indices), TEST(test_moves_use_indices),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
