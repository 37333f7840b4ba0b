/* Deliveries: due, claimed, settled; the last one ends its job; again after a failure; a cancel in between. */
#include "config/clock.h"
#include "db/deliveries.h"
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

/* A job with one delivery a destination. */
static int64_t
delivering(const char *const *destinations, size_t n)
{
	struct job j = { .state = JOB_QUEUED, .study_uid = "1.2", .model_name = "m", .model_version = "1", .case_version = 1, .created_ms = 1 };
	struct job_outcome o = { .finding = "present" };
	struct job running;
	int64_t id;

	assert_int_equal(jobs_create(d, &j, &id, &e), 0);
	assert_int_equal(jobs_claim(d, &running, &e), 0);
	assert_int_equal(running.id, id);
	job_release(&running);
	assert_int_equal(jobs_computed(d, id, 1, &o, destinations, n, &e), 0);
	return id;
}

static const char *const both[] = { "pacs", "cloud" };

static struct delivery
claim(const char *destination, int64_t now_ms)
{
	struct delivery v;

	assert_int_equal(deliveries_claim(d, destination, now_ms, &v, &e), 0);
	assert_int_equal(v.state, DELIVERY_SENDING);
	assert_string_equal(v.destination, destination);
	return v;
}

static void
assert_nothing_due(const char *destination, int64_t now_ms)
{
	struct delivery v;

	assert_int_equal(deliveries_claim(d, destination, now_ms, &v, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

static int64_t
next(const char *destination)
{
	int64_t ms = -1;

	assert_int_equal(deliveries_next_ms(d, destination, &ms, &e), 0);
	return ms;
}

static struct delivery
only(int64_t job) /* the first delivery of a job */
{
	struct delivery *all, first;
	size_t n;

	assert_int_equal(deliveries_of_job(d, job, &all, &n, &e), 0);
	assert_true(n > 0);
	first = all[0];
	free(all);
	return first;
}

static enum job_state
state_of(int64_t job, char reason[512])
{
	struct job j;
	enum job_state s;

	assert_int_equal(jobs_get(d, job, &j, &e), 0);
	s = j.state;
	snprintf(reason, 512, "%s", j.reason ? j.reason : "");
	job_release(&j);
	return s;
}

static void
test_all_delivered_is_done(void **state)
{
	char reason[512];
	int64_t job = delivering(both, 2);
	struct delivery a, b;

	(void)state;
	assert_int_equal(next("pacs"), 0); /* at once */
	assert_int_equal(next("nobody"), INT64_MAX);
	a = claim("pacs", 1000);
	assert_int_equal(a.job, job);
	assert_int_equal(a.attempts, 1);
	assert_nothing_due("pacs", 1000); /* on its way: nobody else gets it */
	assert_int_equal(next("pacs"), INT64_MAX);
	assert_int_equal(deliveries_settle(d, a.id, DELIVERY_DELIVERED, 0, NULL, &e), 0);
	assert_int_equal(state_of(job, reason), JOB_DELIVERING);
	b = claim("cloud", 1000);
	assert_int_equal(deliveries_settle(d, b.id, DELIVERY_DELIVERED, 0, NULL, &e), 0);
	assert_int_equal(state_of(job, reason), JOB_DONE);
	assert_string_equal(reason, "");
	assert_int_equal(deliveries_settle(d, a.id, DELIVERY_COMMITTED, 0, NULL, &e), 0); /* storage commitment comes later */
	assert_int_equal(only(job).state, DELIVERY_COMMITTED);
	assert_int_equal(state_of(job, reason), JOB_DONE);
}

static void
test_passing_error_waits(void **state)
{
	int64_t job = delivering(both, 1);
	struct delivery v = claim("pacs", 1000);

	(void)state;
	assert_int_equal(deliveries_settle(d, v.id, DELIVERY_WAITING, 31000, "connection refused", &e), 0);
	v = only(job);
	assert_int_equal(v.state, DELIVERY_WAITING);
	assert_int_equal(v.next_attempt_ms, 31000);
	assert_string_equal(v.last_error, "connection refused");
	assert_int_equal(next("pacs"), 31000);
	assert_nothing_due("pacs", 30999);
	v = claim("pacs", 31000);
	assert_int_equal(v.attempts, 2);
	assert_int_equal(v.next_attempt_ms, 0);
}

static void
test_order_of_what_is_due(void **state)
{
	int64_t first = delivering(both, 1), second = delivering(both, 1);
	struct delivery v = claim("pacs", 1);

	(void)state;
	assert_int_equal(v.job, first);
	assert_int_equal(deliveries_settle(d, v.id, DELIVERY_WAITING, 500, "x", &e), 0);
	v = claim("pacs", 1);
	assert_int_equal(v.job, second);
	assert_int_equal(deliveries_settle(d, v.id, DELIVERY_WAITING, 400, "x", &e), 0);
	assert_int_equal(claim("pacs", 1000).job, second);
	assert_int_equal(claim("pacs", 1000).job, first);
}

static void
test_refusals_fail_the_job(void **state)
{
	char reason[512];
	int64_t job = delivering(both, 2);
	struct delivery a = claim("pacs", 1), b = claim("cloud", 1);

	(void)state;
	assert_int_equal(deliveries_settle(d, a.id, DELIVERY_REFUSED, 0, "A900: data set does not match", &e), 0);
	assert_int_equal(state_of(job, reason), JOB_DELIVERING); /* the other is still on its way */
	assert_int_equal(deliveries_settle(d, b.id, DELIVERY_GIVEN_UP, 0, "72 h of silence", &e), 0);
	assert_int_equal(state_of(job, reason), JOB_FAILED);
	assert_non_null(strstr(reason, "pacs refused"));
	assert_non_null(strstr(reason, "A900"));
	assert_non_null(strstr(reason, "1 more"));
}

static void
test_retry(void **state)
{
	char reason[512];
	int64_t job = delivering(both, 2), other;
	struct delivery a = claim("pacs", 1), b = claim("cloud", 1);
	struct delivery *all;
	struct job j;
	size_t n;

	(void)state;
	assert_int_equal(deliveries_retry(d, job, &e), -1); /* delivering */
	assert_int_equal(e.code, ERR_STATE);
	assert_int_equal(deliveries_settle(d, a.id, DELIVERY_DELIVERED, 0, NULL, &e), 0);
	assert_int_equal(deliveries_settle(d, b.id, DELIVERY_REFUSED, 0, "no", &e), 0);
	assert_int_equal(jobs_retry(d, job, "x", &e), -1); /* it was computed */
	assert_int_equal(e.code, ERR_STATE);
	assert_int_equal(deliveries_retry(d, job, &e), 0);
	assert_int_equal(state_of(job, reason), JOB_DELIVERING);
	assert_int_equal(deliveries_of_job(d, job, &all, &n, &e), 0);
	assert_int_equal(all[0].state, DELIVERY_DELIVERED); /* never sent twice */
	assert_int_equal(all[1].state, DELIVERY_WAITING);
	assert_true(all[1].created_ms >= b.created_ms);
	free(all);
	b = claim("cloud", 1);
	assert_int_equal(b.attempts, 2);
	assert_int_equal(deliveries_settle(d, b.id, DELIVERY_DELIVERED, 0, NULL, &e), 0);
	assert_int_equal(state_of(job, reason), JOB_DONE);

	j = (struct job){ .state = JOB_QUEUED, .study_uid = "1.3", .model_name = "m", .model_version = "1", .case_version = 1 };
	assert_int_equal(jobs_create(d, &j, &other, &e), 0);
	assert_int_equal(jobs_end(d, other, JOB_QUEUED, JOB_FAILED, "x", &e), 0);
	assert_int_equal(deliveries_retry(d, other, &e), -1); /* never computed */
	assert_int_equal(e.code, ERR_STATE);
	assert_int_equal(state_of(other, reason), JOB_FAILED);
	assert_int_equal(deliveries_retry(d, 999, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

static void
test_settled_twice(void **state)
{
	static const enum delivery_state all[] = { DELIVERY_WAITING, DELIVERY_SENDING, DELIVERY_DELIVERED, DELIVERY_REFUSED, DELIVERY_GIVEN_UP };
	int64_t job = delivering(both, 1);
	struct delivery v = only(job);

	(void)state;
	assert_int_equal(deliveries_settle(d, v.id, DELIVERY_DELIVERED, 0, NULL, &e), -1); /* not claimed */
	assert_int_equal(e.code, ERR_STATE);
	claim("pacs", 1);
	assert_int_equal(deliveries_settle(d, v.id, DELIVERY_SENDING, 0, NULL, &e), -1);
	assert_int_equal(deliveries_settle(d, v.id, DELIVERY_DELIVERED, 0, NULL, &e), 0);
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		assert_int_equal(deliveries_settle(d, v.id, all[i], 0, "late", &e), -1);
		assert_int_equal(e.code, ERR_STATE);
		assert_int_equal(only(job).state, DELIVERY_DELIVERED);
	}
	assert_int_equal(deliveries_settle(d, 999, DELIVERY_DELIVERED, 0, NULL, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

/* What waits is not sent after a cancel; what is on its way ends as the peer says, but is not tried again. */
static void
test_cancelled_meanwhile(void **state)
{
	char reason[512];
	int64_t job = delivering(both, 2);
	struct delivery a = claim("pacs", 1);

	(void)state;
	assert_int_equal(jobs_end(d, job, JOB_DELIVERING, JOB_CANCELLED, "asked for by operator", &e), 0);
	assert_nothing_due("cloud", INT64_MAX);
	assert_int_equal(deliveries_settle(d, a.id, DELIVERY_WAITING, 5, "timeout", &e), 0);
	assert_int_equal(only(job).state, DELIVERY_GIVEN_UP);
	assert_nothing_due("pacs", INT64_MAX);
	assert_int_equal(state_of(job, reason), JOB_CANCELLED);
	assert_string_equal(reason, "asked for by operator");

	job = delivering(both, 1);
	a = claim("pacs", 1);
	assert_int_equal(jobs_end(d, job, JOB_DELIVERING, JOB_CANCELLED, "c", &e), 0);
	assert_int_equal(deliveries_settle(d, a.id, DELIVERY_DELIVERED, 0, NULL, &e), 0);
	assert_int_equal(only(job).state, DELIVERY_DELIVERED);
	assert_int_equal(state_of(job, reason), JOB_CANCELLED);
}

static void
test_recover(void **state)
{
	char reason[512];
	int64_t job = delivering(both, 2);
	struct delivery a = claim("pacs", 1);

	(void)state;
	db_close(d);
	d = db_open(path, &e);
	assert_non_null(d);
	assert_int_equal(deliveries_recover(d, 77, &e), 0);
	assert_int_equal(next("pacs"), 77);
	assert_int_equal(next("cloud"), 0);
	a = claim("pacs", 77);
	assert_int_equal(a.attempts, 2); /* a try whose end nobody saw: ask before sending again */
	assert_int_equal(state_of(job, reason), JOB_DELIVERING);
}

/* The clock was set: nothing waits for a time that will not come, and what is old is not given up at its next failure. */
static void
test_reckon(void **state)
{
	int64_t job = delivering(both, 2), now = clock_ms(), began = only(job).created_ms;
	struct delivery v = claim("pacs", now);

	(void)state;
	assert_int_equal(deliveries_settle(d, v.id, DELIVERY_WAITING, now + 600000, "away", &e), 0);
	assert_int_equal(deliveries_reckon(d, "cloud", &(const struct delivery_times) { now, now, 0 }, &e), 0);
	assert_int_equal(next("pacs"), now + 600000);
	assert_int_equal(deliveries_reckon(d, NULL, &(const struct delivery_times) { now + 1, now + 700000, 0 }, &e), 0);
	assert_int_equal(next("pacs"), now + 600000);
	v = only(job);
	assert_int_equal(v.created_ms, began);
	assert_int_equal(deliveries_reckon(d, "pacs", &(const struct delivery_times) { now, now, 0 }, &e), 0);
	assert_int_equal(next("pacs"), now);
	assert_int_equal(deliveries_reckon(d, "pacs", &(const struct delivery_times) { INT64_MAX, now, began + 5 }, &e), 0);
	v = only(job);
	assert_int_equal(v.created_ms, began + 5);
	assert_int_equal(deliveries_reckon(d, "pacs", &(const struct delivery_times) { began - 7, now, 0 }, &e), 0);
	v = only(job);
	assert_int_equal(v.created_ms, began - 7);
}

/* What was sent without an answer stays so through everything; what was refused waits again by a person's wish. */
static void
test_objects(void **state)
{
	struct delivery_object put[3] = { { .position = 0, .state = OBJECT_SENT }, { .position = 2, .state = OBJECT_STORED, .asked = ASKED_ABSENT, .is_revised = true, .words = "B000" },
		{ .position = 1, .state = OBJECT_REFUSED, .asked = ASKED_IN_VAIN, .words = "A900" } }, *got;
	int64_t job = delivering(both, 1);
	struct delivery v;
	size_t n;

	(void)state;
	assert_int_equal(deliveries_mark(d, only(job).id, 0, put, 1, &e), -1); /* not on its way */
	assert_int_equal(e.code, ERR_STATE);
	v = claim("pacs", 1);
	assert_int_equal(deliveries_objects(d, v.id, &got, &n, &e), 0);
	assert_int_equal(n, 0);
	assert_int_equal(deliveries_mark(d, v.id, 3, put, 3, &e), 0);
	db_close(d);
	d = db_open(path, &e);
	assert_non_null(d);
	assert_int_equal(deliveries_recover(d, 5, &e), 0);
	v = claim("pacs", 5);
	assert_int_equal(v.unheard, 3);
	assert_int_equal(deliveries_objects(d, v.id, &got, &n, &e), 0);
	assert_int_equal(n, 3);
	assert_true(got[0].position == 0 && got[0].state == OBJECT_SENT && got[0].asked == ASKED_NEVER && !got[0].is_revised && got[0].words[0] == 0);
	assert_true(got[1].position == 1 && got[1].state == OBJECT_REFUSED && got[1].asked == ASKED_IN_VAIN && strcmp(got[1].words, "A900") == 0);
	assert_true(got[2].position == 2 && got[2].state == OBJECT_STORED && got[2].asked == ASKED_ABSENT && got[2].is_revised && strcmp(got[2].words, "B000") == 0);
	free(got);
	put[0].state = OBJECT_FOUND;
	put[0].asked = ASKED_FOUND;
	assert_int_equal(deliveries_mark(d, v.id, 0, put, 1, &e), 0);
	assert_int_equal(deliveries_settle(d, v.id, DELIVERY_REFUSED, 0, "A900", &e), 0);
	assert_int_equal(deliveries_retry(d, job, &e), 0);
	assert_int_equal(only(job).unheard, 0);
	assert_int_equal(deliveries_objects(d, v.id, &got, &n, &e), 0);
	assert_true(got[0].state == OBJECT_FOUND && got[0].asked == ASKED_FOUND && got[1].state == OBJECT_WAITING && got[2].state == OBJECT_STORED);
	free(got);
}

static void
test_given_up_by_a_person(void **state)
{
	int64_t job = delivering(both, 2), by_state[DELIVERY_N_STATES], oldest;
	struct delivery a = claim("pacs", 1);
	char reason[512];

	(void)state;
	assert_int_equal(deliveries_count(d, by_state, &oldest, &e), 0);
	assert_int_equal(by_state[DELIVERY_WAITING], 1);
	assert_int_equal(by_state[DELIVERY_SENDING], 1);
	assert_int_equal(oldest, a.created_ms);
	assert_int_equal(deliveries_give_up(d, job, "pacs", "no more", &e), -1); /* on its way */
	assert_int_equal(e.code, ERR_STATE);
	assert_int_equal(deliveries_give_up(d, job, "nobody", "no more", &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(deliveries_give_up(d, job + 1, "pacs", "no more", &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(deliveries_settle(d, a.id, DELIVERY_WAITING, 100, "no association", &e), 0);
	assert_int_equal(deliveries_give_up(d, job, "pacs", "no more", &e), 0);
	assert_int_equal(only(job).state, DELIVERY_GIVEN_UP);
	assert_string_equal(only(job).last_error, "no more; last: no association");
	assert_nothing_due("pacs", INT64_MAX);
	assert_int_equal(state_of(job, reason), JOB_DELIVERING); /* the cloud's waits still */
	assert_int_equal(deliveries_give_up(d, job, "pacs", "no more", &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	a = claim("cloud", 1);
	assert_int_equal(deliveries_settle(d, a.id, DELIVERY_DELIVERED, 0, NULL, &e), 0);
	assert_int_equal(state_of(job, reason), JOB_FAILED);
	assert_string_equal(reason, "pacs was given up: no more; last: no association");
	assert_int_equal(deliveries_count(d, by_state, &oldest, &e), 0);
	assert_int_equal(by_state[DELIVERY_GIVEN_UP], 1);
	assert_int_equal(by_state[DELIVERY_DELIVERED], 1);
	assert_int_equal(oldest, 0);
	assert_int_equal(deliveries_retry(d, job, &e), 0);
	assert_int_equal(next("pacs"), 0);
}

static void
test_long_words(void **state)
{
	char words[2000], reason[512];
	int64_t job = delivering(both, 1);
	struct delivery v = claim("pacs", 1);

	(void)state;
	memset(words, 'x', sizeof words);
	words[sizeof words - 1] = 0;
	assert_int_equal(deliveries_settle(d, v.id, DELIVERY_REFUSED, 0, words, &e), 0);
	assert_int_equal(strlen(only(job).last_error), 511);
	assert_int_equal(state_of(job, reason), JOB_FAILED);
	assert_string_equal(delivery_state_name(DELIVERY_GIVEN_UP), "given_up");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_all_delivered_is_done), TEST(test_passing_error_waits), TEST(test_order_of_what_is_due), TEST(test_refusals_fail_the_job), TEST(test_retry),
		TEST(test_settled_twice), TEST(test_cancelled_meanwhile), TEST(test_recover), TEST(test_reckon), TEST(test_objects), TEST(test_given_up_by_a_person), TEST(test_long_words),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
