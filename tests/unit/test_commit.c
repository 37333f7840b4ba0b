/* What an archive's report makes of a delivery (commit.c): of one instance and of several, once, late, about nothing of ours. No archive is called; the clock is moved. */
#include "tests/unit/deliver_stage.h"
#include "tests/unit/made_seg.h"

#include "db/commitments.h"
#include "service/flow/commit.h"

enum { DAY = 86400 };
static const char pacs[] = "pacs", transaction[] = "1.2.99", seg_uid[] = "1.2.3.2", report_uid[] = "1.2.3.3";
static int64_t job;

/* A SEG and a report (by its meta header; no more is looked at) that were delivered and asked for. */
static int
open_stage(void **state)
{
	static const char *const to[] = { pacs };
	struct bytes seg = make_seg("1.2.3", "1.2.3.1", seg_uid), report = make_seg("1.2.3", "1.2.3.1", report_uid);
	struct commitment asked;
	struct delivery claimed;
	char path[SPOOL_PATH];
	struct err e = { 0 };

	(void)state;
	open_node("\"retry_delay\": 30, \"retry_max\": 600, \"retry_give_up\": 259200, \"destinations\": {\"pacs\": {\"type\": \"dimse\", \"aet\": \"PACS\", \"host\": \"127.0.0.1\","
		"\"port\": 1, \"commitment\": true, \"results\": [\"seg\", \"report\"]}},");
	job = add_computed("1.2.3", to, 1, "[{\"kind\":\"seg\"},{\"kind\":\"report\"}]", seg.at, seg.n);
	spool_result(&node, job, "report.dcm", path);
	if (file_write(path, report.at, report.n, &e) != 0 || deliveries_claim(node.db, pacs, clock_ms(), &claimed, &e) != 0 ||
	    commitments_begin(node.db, claimed.id, clock_ms(), "", &e) != 0 || commitments_claim(node.db, pacs, clock_ms(), clock_ms() + 1000, transaction, &asked, &e) != 0)
		fail_msg("%s", e.text);
	free(seg.at);
	free(report.at);
	return 0;
}

static int
close_stage(void **state)
{
	(void)state;
	clock_shift(0);
	close_node();
	return 0;
}

static void
tell_of(const char *which, const struct commitment_item *items, size_t n)
{
	struct commitment_report r = { .items = items, .n = n };
	struct err e = { 0 };

	snprintf(r.transaction, sizeof r.transaction, "%s", which);
	if (commit_report(&node, &r, &e) != 0)
		fail_msg("%s", e.text);
}
#define TELL(...) tell_of(transaction, (const struct commitment_item[]){ __VA_ARGS__ }, sizeof((const struct commitment_item[]){ __VA_ARGS__ }) / sizeof(struct commitment_item))

static int64_t
due_in_s(void)
{
	struct err e = { 0 };
	int64_t next;

	assert_int_equal(commitments_next_ms(node.db, pacs, &next, &e), 0);
	return next == INT64_MAX ? -1 : (next - clock_ms() + 500) / 1000;
}

static void
all_of_it_is_committed(void **state)
{
	(void)state;
	TELL({ "1.2.3.2", 0 }, { "1.2.3.3", 0 }, { "1.2.77", 0x0112 } /* not ours */);
	delivery_is(job, pacs, DELIVERY_COMMITTED, 1, "");
	wait_for_end(job);
	TELL({ "1.2.3.2", 0x0112 }, { "1.2.3.3", 0x0112 }); /* the first answer counts */
	delivery_is(job, pacs, DELIVERY_COMMITTED, 1, "");
}

static void
who_says_nothing_of_one_is_asked_again(void **state)
{
	(void)state;
	TELL({ "1.2.3.2", 0 });
	delivery_is(job, pacs, DELIVERY_DELIVERED, 1, "says nothing of instance 1.2.3.3");
	assert_int_equal(due_in_s(), 30);
	TELL({ "1.2.3.2", 0x0213 }, { "1.2.3.3", 0 });
	delivery_is(job, pacs, DELIVERY_DELIVERED, 1, "out of resources");
	clock_shift(INT64_C(1000) * 3 * DAY);
	TELL({ "1.2.3.2", 0x0213 }, { "1.2.3.3", 0 });
	delivery_is(job, pacs, DELIVERY_GIVEN_UP, 1, "out of resources");
	wait_for_end(job);
}

/* In both lists: the failure counts, whichever is first. */
static void
what_is_lost_is_sent_again(void **state)
{
	struct delivery_object rows[] = { { .position = 0, .state = OBJECT_STORED }, { .position = 1, .state = OBJECT_STORED } }, *now;
	struct delivery d;
	struct err e = { 0 };
	size_t n;

	(void)state;
	TELL({ "1.2.3.2", 0 }, { "1.2.3.3", 0x0112 }, { "1.2.3.3", 0 });
	delivery_is(job, pacs, DELIVERY_WAITING, 1, "does not have the instance");
	assert_in_range(delivery_to(job, pacs).next_attempt_ms, clock_ms() + 29000, clock_ms() + 30000);
	clock_shift(INT64_C(1000) * 60);
	assert_int_equal(deliveries_claim(node.db, pacs, clock_ms(), &d, &e), 0);
	assert_int_equal(deliveries_mark(node.db, d.id, 0, rows, 2, &e), 0);
	assert_int_equal(commitments_begin(node.db, d.id, clock_ms(), "", &e), 0);
	clock_shift(INT64_C(1000) * (3 * DAY - 60));
	TELL({ "1.2.3.2", 0 }, { "1.2.3.3", 0 }, { "1.2.3.3", 0x0112 }); /* the transaction before is its own all the same */
	delivery_is(job, pacs, DELIVERY_WAITING, 2, "does not have the instance");
	assert_int_equal(deliveries_objects(node.db, d.id, &now, &n, &e), 0);
	assert_true(n == 2 && now[0].state == OBJECT_STORED && now[1].state == OBJECT_WAITING);
	free(now);
}

static void
lost_for_three_days_is_given_up(void **state)
{
	(void)state;
	clock_shift(INT64_C(1000) * 3 * DAY);
	TELL({ "1.2.3.2", 0x0112 }, { "1.2.3.3", 0 });
	delivery_is(job, pacs, DELIVERY_GIVEN_UP, 1, "does not have the instance");
	wait_for_end(job);
}

static void
never_goes_before_lost(void **state)
{
	(void)state;
	TELL({ "1.2.3.2", 0x0112 }, { "1.2.3.3", 0x0122 });
	delivery_is(job, pacs, DELIVERY_REFUSED, 1, "does not answer for this SOP class");
	wait_for_end(job);
}

static void
about_nothing_of_ours(void **state)
{
	struct commitment_report r = { .transaction = "1.2.98" };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(commit_report(&node, &r, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	delivery_is(job, pacs, DELIVERY_DELIVERED, 1, "");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)
	const struct CMUnitTest tests[] = {
		TEST(all_of_it_is_committed), TEST(who_says_nothing_of_one_is_asked_again), TEST(what_is_lost_is_sent_again), TEST(lost_for_three_days_is_given_up),
		TEST(never_goes_before_lost), TEST(about_nothing_of_ours),
	};

	return cmocka_run_group_tests(tests, deliver_set_up, deliver_tear_down);
}
