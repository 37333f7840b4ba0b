/* What a person may do to a job (control.c): retry, by what became of it, and cancel. */
#include "tests/unit/dispatch_stage.h"

#include "db/deliveries.h"
#include "service/flow/control.h"

static struct job
get(int64_t id)
{
	struct job j;
	struct err e = { 0 };

	if (jobs_get(node.db, id, &j, &e) != 0)
		fail_msg("%s", e.text);
	return j;
}

static void
expect_state(int64_t id, enum job_state expected, const char *words)
{
	struct job j = get(id);

	assert_string_equal(job_state_name(j.state), job_state_name(expected));
	if (words != NULL && (j.reason == NULL || strstr(j.reason, words) == NULL))
		fail_msg("\"%s\" is not in \"%s\"", words, j.reason != NULL ? j.reason : "(null)");
	job_release(&j);
}

/* A job of the study "flair" that a worker has. */
static struct job
running(void)
{
	struct job j;
	struct err e = { 0 };

	take_series(&node, "flair", 1);
	look(QUIET + 1);
	assert_int_equal(jobs_claim(node.db, &j, &e), 0);
	return j;
}

static void
compute(const struct job *j, const char *const *destinations, size_t n)
{
	struct job_outcome o = { .finding = n > 0 ? "present" : "none", .flags = "[]", .segments = "[]", .results = "[]", .timings = "{}" };
	struct err e = { 0 };

	assert_int_equal(jobs_computed(node.db, j->id, j->attempt, &o, destinations, n, &e), 0);
}

static int64_t
retried(int64_t id)
{
	struct err e = { 0 };
	int64_t goes_on = 0;

	if (control_retry(&node, id, &goes_on, &e) != 0)
		fail_msg("%s", e.text);
	return goes_on;
}

static void
a_finished_job_gets_a_new_run(void **state)
{
	struct job j = running(), again;
	int64_t second, third;
	unsigned long rings = node.work.rings;

	(void)state;
	compute(&j, NULL, 0);
	second = retried(j.id);
	third = retried(j.id);
	assert_true(node.work.rings > rings);
	expect_state(j.id, JOB_DONE, NULL);
	again = get(third);
	assert_int_equal(again.state, JOB_QUEUED);
	assert_int_equal(again.run, 3);
	assert_int_equal(again.case_version, 1);
	assert_int_equal(again.replaces, j.id);
	assert_string_equal(again.fingerprint, j.fingerprint);
	assert_string_equal(again.channels, j.channels);
	job_release(&again);
	expect_inputs(second, 4);
	expect_inputs(third, 4);
	look(0); /* nothing changed: nothing is taken back */
	expect_state(third, JOB_QUEUED, NULL);
	job_release(&j);
}

static void
a_failed_computation_is_tried_once_more(void **state)
{
	struct job j = running();
	struct err e = { 0 };

	(void)state;
	assert_int_equal(jobs_attempt_failed(node.db, j.id, 1, false, 3, "broken", &e), 0);
	assert_int_equal(retried(j.id), j.id);
	expect_state(j.id, JOB_QUEUED, NULL);
	job_release(&j);
}

static void
a_failed_delivery_is_sent_again_where_it_is_missing(void **state)
{
	static const char *const destinations[] = { "here", "there" };
	struct job j = running();
	struct delivery d, *list;
	size_t n;
	struct err e = { 0 };

	(void)state;
	compute(&j, destinations, 2);
	assert_int_equal(deliveries_claim(node.db, "here", clock_ms(), &d, &e), 0);
	assert_int_equal(deliveries_settle(node.db, d.id, DELIVERY_DELIVERED, 0, NULL, &e), 0);
	assert_int_equal(deliveries_claim(node.db, "there", clock_ms(), &d, &e), 0);
	assert_int_equal(deliveries_settle(node.db, d.id, DELIVERY_REFUSED, 0, "no", &e), 0);
	expect_state(j.id, JOB_FAILED, "there");
	assert_int_equal(retried(j.id), j.id);
	expect_state(j.id, JOB_DELIVERING, NULL);
	assert_int_equal(deliveries_of_job(node.db, j.id, &list, &n, &e), 0);
	assert_int_equal(list[0].state, DELIVERY_DELIVERED);
	assert_int_equal(list[1].state, DELIVERY_WAITING);
	free(list);
	job_release(&j);
}

/* What it was rejected for is looked at again, not remembered: here a file that was away for a while. */
static void
a_rejected_job_is_judged_anew(void **state)
{
	char path[SPOOL_PATH], away[SPOOL_PATH + 8];
	int64_t id;

	(void)state;
	take_series(&node, "flair", 1);
	spool_path(&node, "2.25.1001", path);
	snprintf(away, sizeof away, "%s.away", path);
	assert_int_equal(rename(path, away), 0);
	look(QUIET + 1);
	expect_job("2.25.1", "rejected v1");
	id = retried(1);
	look(QUIET + 1);
	expect_state(id, JOB_REJECTED, "has lost its spool file");
	assert_int_equal(rename(away, path), 0);
	id = retried(id);
	look(QUIET + 1);
	expect_state(id, JOB_QUEUED, NULL);
	assert_int_equal(count_jobs(), 3);
}

/* No lane would ever send it: the job must not wait for ever. */
static void
a_destination_that_is_no_more_refuses_again(void **state)
{
	static const char *const destinations[] = { "gone", "there" };
	struct job j = running();
	struct delivery d;
	struct err e = { 0 };

	(void)state;
	compute(&j, destinations, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(deliveries_claim(node.db, destinations[i], clock_ms(), &d, &e), 0);
		assert_int_equal(deliveries_settle(node.db, d.id, DELIVERY_REFUSED, 0, "no", &e), 0);
	}
	retried(j.id);
	expect_state(j.id, JOB_DELIVERING, NULL); /* "there" is sent */
	assert_int_equal(deliveries_claim(node.db, "there", clock_ms(), &d, &e), 0);
	assert_int_equal(deliveries_settle(node.db, d.id, DELIVERY_DELIVERED, 0, NULL, &e), 0);
	expect_state(j.id, JOB_FAILED, "gone refused the result: it is not in the settings any more");
	job_release(&j);
}

static void
what_is_not_final_is_not_retried(void **state)
{
	struct job j = running();
	struct err e = { 0 };
	int64_t goes_on;

	(void)state;
	assert_int_equal(control_retry(&node, j.id, &goes_on, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_int_equal(control_retry(&node, 4711, &goes_on, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(control_cancel(&node, NULL, j.id, &e), 0);
	expect_state(j.id, JOB_CANCELLED, "cancelled by request");
	assert_int_equal(control_cancel(&node, NULL, j.id, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	job_release(&j);
}

static int
open_with_destinations(void **state)
{
	(void)state;
	return open_with("\"destinations\": {\"here\": {\"type\": \"dimse\", \"aet\": \"HERE\", \"host\": \"127.0.0.1\", \"port\": 1},"
	                 " \"there\": {\"type\": \"dimse\", \"aet\": \"THERE\", \"host\": \"127.0.0.1\", \"port\": 1}},");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_finished_job_gets_a_new_run, open_node, close_node),
		cmocka_unit_test_setup_teardown(a_failed_computation_is_tried_once_more, open_node, close_node),
		cmocka_unit_test_setup_teardown(a_failed_delivery_is_sent_again_where_it_is_missing, open_with_destinations, close_node),
		cmocka_unit_test_setup_teardown(a_rejected_job_is_judged_anew, open_node, close_node),
		cmocka_unit_test_setup_teardown(a_destination_that_is_no_more_refuses_again, open_with_destinations, close_node),
		cmocka_unit_test_setup_teardown(what_is_not_final_is_not_retried, open_node, close_node),
	};

	return RUN_WITH_STUDIES(studies, tests);
}
