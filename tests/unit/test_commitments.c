/* Storage commitment in the database: begun with the delivery's end, asked under a transaction that is known for good, ended once, and the job ends with the last. */
#include "db/commitments.h"
#include "db/jobs.h"

#include <string.h>

#include "tests/unit/db_stage.h"

static const char *const both[] = { "pacs", "cloud" };

static int64_t
delivering(void)
{
	struct job j = { .state = JOB_QUEUED, .study_uid = "1.2", .model_name = "m", .model_version = "1", .case_version = 1, .created_ms = 1 }, running;
	struct job_outcome o = { .finding = "present" };
	int64_t id;

	assert_int_equal(jobs_create(d, &j, &id, &e), 0);
	assert_int_equal(jobs_claim(d, &running, &e), 0);
	job_release(&running);
	assert_int_equal(jobs_computed(d, id, 1, &o, both, 2, &e), 0);
	return id;
}

static int64_t
sent(const char *destination)
{
	struct delivery v;

	assert_int_equal(deliveries_claim(d, destination, INT64_MAX, &v, &e), 0);
	return v.id;
}

static enum job_state
job_state(int64_t id, char reason[512])
{
	struct job j;
	enum job_state state;

	assert_int_equal(jobs_get(d, id, &j, &e), 0);
	state = j.state;
	snprintf(reason, 512, "%s", j.reason ? j.reason : "");
	job_release(&j);
	return state;
}

static struct delivery
delivery_of(int64_t job, size_t i)
{
	struct delivery *list, one;
	size_t n;

	assert_int_equal(deliveries_of_job(d, job, &list, &n, &e), 0);
	assert_true(i < n);
	one = list[i];
	free(list);
	return one;
}

static int
finish(int64_t delivery, enum delivery_state state, int64_t next_ms, const char *words)
{
	return commitments_end(d, delivery, &(const struct commitment_end){ .state = state, .next_ms = next_ms, .words = words, .lost = (int64_t[]){ 1 }, .n_lost = 1 }, &e);
}

static void
the_job_waits_for_the_word(void **state)
{
	int64_t job = delivering(), pacs = sent("pacs"), cloud = sent("cloud"), next;
	struct commitment c, *open;
	size_t n_open;
	char reason[512];

	(void)state;
	assert_int_equal(commitments_begin(d, pacs, 100, NULL, &e), 0);
	assert_int_equal(deliveries_settle(d, cloud, DELIVERY_DELIVERED, 0, NULL, &e), 0);
	assert_int_equal(job_state(job, reason), JOB_DELIVERING);
	assert_int_equal(delivery_of(job, 0).state, DELIVERY_DELIVERED);
	assert_int_equal(commitments_next_ms(d, "pacs", &next, &e), 0);
	assert_int_equal(next, 100);
	assert_int_equal(commitments_next_ms(d, "cloud", &next, &e), 0);
	assert_int_equal(next, INT64_MAX);
	assert_int_equal(commitments_claim(d, "pacs", 99, 200, "1.2.1", &c, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(commitments_claim(d, "cloud", 100, 200, "1.2.1", &c, &e), -1);
	assert_int_equal(commitments_claim(d, "pacs", 100, 200, "1.2.1", &c, &e), 0);
	assert_true(c.delivery == pacs && c.job == job && c.attempts == 1 && c.since_ms == 100 && c.delivery_attempts == 1 && c.is_open);
	assert_string_equal(c.destination, "pacs");
	assert_int_equal(commitments_claim(d, "pacs", 199, 300, "1.2.2", &c, &e), -1);  /* asked, not due yet */
	assert_int_equal(commitments_claim(d, "pacs", 200, 300, "1.2.2", &c, &e), 0);
	assert_int_equal(c.attempts, 2);
	assert_int_equal(commitments_find(d, "1.2.1", &c, &e), 0);                      /* the first one's report may come late */
	assert_true(c.delivery == pacs && c.is_open);
	assert_int_equal(commitments_open(d, &open, &n_open, &e), 0);
	assert_true(n_open == 1 && open[0].delivery == pacs);
	free(open);
	assert_int_equal(commitments_find(d, "1.2.3", &c, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(finish(pacs, DELIVERY_COMMITTED, 0, NULL), 0);
	assert_int_equal(delivery_of(job, 0).state, DELIVERY_COMMITTED);
	assert_int_equal(job_state(job, reason), JOB_DONE);
	assert_int_equal(commitments_open(d, &open, &n_open, &e), 0);
	assert_int_equal(n_open, 0);
	free(open);
	assert_int_equal(commitments_find(d, "1.2.1", &c, &e), 0);                      /* known, and over */
	assert_false(c.is_open);
	assert_int_equal(finish(pacs, DELIVERY_REFUSED, 0, "late"), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_int_equal(delivery_of(job, 0).state, DELIVERY_COMMITTED);
}

static void
a_transaction_is_one_request(void **state)
{
	struct commitment c;

	(void)state;
	delivering();
	assert_int_equal(commitments_begin(d, sent("pacs"), 1, NULL, &e), 0);
	assert_int_equal(commitments_begin(d, sent("cloud"), 1, NULL, &e), 0);
	assert_int_equal(commitments_claim(d, "pacs", 1, 2, "1.2.1", &c, &e), 0);
	assert_int_equal(commitments_claim(d, "cloud", 1, 2, "1.2.1", &c, &e), -1);
}

static void
what_is_not_on_its_way_has_none(void **state)
{
	int64_t job = delivering(), pacs = sent("pacs"), next;

	(void)state;
	assert_int_equal(deliveries_settle(d, pacs, DELIVERY_REFUSED, 0, "no", &e), 0);
	assert_int_equal(commitments_begin(d, pacs, 1, NULL, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_int_equal(commitments_next_ms(d, "pacs", &next, &e), 0);
	assert_int_equal(next, INT64_MAX);
	assert_int_equal(delivery_of(job, 0).state, DELIVERY_REFUSED);
}

static void
later_is_visible(void **state)
{
	int64_t job = delivering(), pacs = sent("pacs"), next;

	(void)state;
	assert_int_equal(commitments_begin(d, pacs, 1, NULL, &e), 0);
	assert_int_equal(commitments_later(d, pacs, 50, "out of resources", &e), 0);
	assert_string_equal(delivery_of(job, 0).last_error, "out of resources");
	assert_int_equal(commitments_next_ms(d, "pacs", &next, &e), 0);
	assert_int_equal(next, 50);
	assert_int_equal(commitments_later(d, pacs, 60, NULL, &e), 0);
	assert_string_equal(delivery_of(job, 0).last_error, "out of resources");
	assert_int_equal(finish(pacs, DELIVERY_COMMITTED, 0, NULL), 0);
	assert_string_equal(delivery_of(job, 0).last_error, "");
	assert_int_equal(commitments_later(d, pacs, 70, "too late", &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_string_equal(delivery_of(job, 0).last_error, "");
}

static void
each_end_ends_the_job_as_it_should(void **state)
{
	static const struct { enum delivery_state end; enum job_state job; } cases[] = { { DELIVERY_COMMITTED, JOB_DONE }, { DELIVERY_DELIVERED, JOB_DONE },
		{ DELIVERY_REFUSED, JOB_FAILED }, { DELIVERY_GIVEN_UP, JOB_FAILED }, { DELIVERY_WAITING, JOB_DELIVERING } };
	char reason[512];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int64_t job = delivering(), pacs = sent("pacs");
		struct delivery v;
		assert_int_equal(deliveries_settle(d, sent("cloud"), DELIVERY_DELIVERED, 0, NULL, &e), 0);
		assert_int_equal(commitments_begin(d, pacs, 1, NULL, &e), 0);
		assert_int_equal(finish(pacs, cases[i].end, 77, "why"), 0);
		assert_int_equal(job_state(job, reason), cases[i].job);
		assert_int_equal(delivery_of(job, 0).state, cases[i].end);
		if (cases[i].job == JOB_FAILED)
			assert_non_null(strstr(reason, "why"));
		if (cases[i].end != DELIVERY_WAITING)
			continue;
		assert_int_equal(deliveries_claim(d, "pacs", 76, &v, &e), -1);
		assert_int_equal(deliveries_claim(d, "pacs", 77, &v, &e), 0);           /* sent again, and asked again */
		assert_int_equal(commitments_begin(d, v.id, 90, NULL, &e), 0);
		assert_int_equal(finish(v.id, DELIVERY_COMMITTED, 0, NULL), 0);
		assert_int_equal(job_state(job, reason), JOB_DONE);
	}
}

/* Of several objects those that the archive does not have are sent again, the others are not. */
static void
only_what_is_lost_is_sent_again(void **state)
{
	static const struct delivery_object both_stored[] = { { .position = 0, .state = OBJECT_STORED }, { .position = 1, .state = OBJECT_STORED } };
	struct delivery_object *now;
	int64_t pacs;
	size_t n;

	(void)state;
	delivering();
	pacs = sent("pacs");
	assert_int_equal(deliveries_mark(d, pacs, 0, both_stored, 2, &e), 0);
	assert_int_equal(commitments_begin(d, pacs, 1, NULL, &e), 0);
	assert_int_equal(finish(pacs, DELIVERY_WAITING, 5, "lost"), 0);
	assert_int_equal(deliveries_objects(d, pacs, &now, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_int_equal(now[0].state, OBJECT_STORED);
	assert_true(now[1].state == OBJECT_WAITING && now[1].asked == ASKED_ABSENT);
	free(now);
}

/* A retry sends what was refused again, and its commitment begins anew. */
static void
a_retry_begins_anew(void **state)
{
	int64_t job = delivering(), pacs = sent("pacs");
	struct commitment c;
	char reason[512];

	(void)state;
	assert_int_equal(deliveries_settle(d, sent("cloud"), DELIVERY_DELIVERED, 0, NULL, &e), 0);
	assert_int_equal(commitments_begin(d, pacs, 1, NULL, &e), 0);
	assert_int_equal(commitments_claim(d, "pacs", 1, 2, "1.2.1", &c, &e), 0);
	assert_int_equal(finish(pacs, DELIVERY_REFUSED, 0, "no"), 0);
	assert_int_equal(deliveries_retry(d, job, &e), 0);
	assert_int_equal(commitments_find(d, "1.2.1", &c, &e), 0);
	assert_false(c.is_open);
	assert_int_equal(commitments_begin(d, sent("pacs"), 10, NULL, &e), 0);
	assert_int_equal(commitments_claim(d, "pacs", 10, 20, "1.2.2", &c, &e), 0);
	assert_true(c.attempts == 1 && c.since_ms == 10);
	assert_int_equal(finish(pacs, DELIVERY_COMMITTED, 0, NULL), 0);
	assert_int_equal(job_state(job, reason), JOB_DONE);
}

/* A cancelled job is not asked about any more, nor sent again; an answer on its way is recorded. */
static void
a_cancelled_job_is_left_alone(void **state)
{
	int64_t job = delivering(), pacs = sent("pacs"), cloud = sent("cloud"), next;
	struct commitment c;
	char reason[512];

	(void)state;
	assert_int_equal(commitments_begin(d, pacs, 1, NULL, &e), 0);
	assert_int_equal(commitments_begin(d, cloud, 1, NULL, &e), 0);
	assert_int_equal(commitments_claim(d, "pacs", 1, 2, "1.2.1", &c, &e), 0);
	assert_int_equal(jobs_end(d, job, JOB_DELIVERING, JOB_CANCELLED, "a person", &e), 0);
	assert_int_equal(commitments_claim(d, "pacs", 9, 10, "1.2.2", &c, &e), -1);
	assert_int_equal(commitments_next_ms(d, "pacs", &next, &e), 0);
	assert_int_equal(next, INT64_MAX);
	assert_int_equal(finish(pacs, DELIVERY_COMMITTED, 0, NULL), 0);
	assert_int_equal(finish(cloud, DELIVERY_WAITING, 5, "lost"), 0);
	assert_int_equal(delivery_of(job, 0).state, DELIVERY_COMMITTED);
	assert_int_equal(delivery_of(job, 1).state, DELIVERY_GIVEN_UP);
	assert_int_equal(job_state(job, reason), JOB_CANCELLED);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

static int64_t
due(const char *destination)
{
	int64_t next;

	assert_int_equal(commitments_next_ms(d, destination, &next, &e), 0);
	return next;
}

/* The clock was set back: what was to be asked at a time that is far off now is asked sooner, and began no later than now. */
static void
a_clock_that_was_set_holds_nothing_up(void **state)
{
	struct commitment *open;
	size_t n;

	(void)state;
	delivering();
	assert_int_equal(commitments_begin(d, sent("pacs"), 5000000, "", &e), 0);
	assert_int_equal(commitments_begin(d, sent("cloud"), 5000000, "", &e), 0);
	assert_int_equal(deliveries_reckon(d, "pacs", &(const struct delivery_times) { 1000, 2000, 0 }, &e), 0);
	assert_int_equal(due("pacs"), 2000);
	assert_int_equal(due("cloud"), 5000000);
	assert_int_equal(deliveries_reckon(d, NULL, &(const struct delivery_times) { 1000, 6000000, 0 }, &e), 0);
	assert_int_equal(due("cloud"), 5000000);
	assert_int_equal(commitments_open(d, &open, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_true(open[0].since_ms == 1000 && open[1].since_ms == 1000);
	free(open);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		T(the_job_waits_for_the_word), T(a_transaction_is_one_request), T(what_is_not_on_its_way_has_none), T(later_is_visible), T(each_end_ends_the_job_as_it_should),
		T(only_what_is_lost_is_sent_again), T(a_retry_begins_anew), T(a_cancelled_job_is_left_alone), T(a_clock_that_was_set_holds_nothing_up),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
