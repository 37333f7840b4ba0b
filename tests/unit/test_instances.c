/* Instances, series and associations: what adding changes and what it does not, who holds a series open, who interrupted it. */
#include "db/instances.h"
#include "db/retention.h"
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
open_association(int64_t now_ms)
{
	int64_t id = 0;

	assert_int_equal(associations_open(d, "MR1", "10.0.0.7", now_ms, &id, &e), 0);
	assert_true(id > 0);
	return id;
}

static struct instance_row
row(const char *series, int i, int64_t association, int64_t now_ms)
{
	struct instance_row r = { .sop_class = "1.2.840.10008.5.1.4.1.1.4", .study_uid = "1.2.3", .transfer_syntax = "1.2.840.10008.1.2.1", .modality = "MR",
	                          .size = 1000 + i, .association = association, .received_ms = now_ms };

	snprintf(r.series_uid, sizeof r.series_uid, "%s", series);
	snprintf(r.sop_uid, sizeof r.sop_uid, "%s.%d", series, i);
	snprintf(r.digest, sizeof r.digest, "d%s.%d", series, i);
	snprintf(r.content_digest, sizeof r.content_digest, "c%s.%d", series, i);
	return r;
}

static enum instance_fate
add(const struct instance_row *r)
{
	enum instance_fate fate = INSTANCE_CONFLICT;

	assert_int_equal(instances_add(d, r, &fate, &e), 0);
	return fate;
}

static struct series_row
series(const char *uid)
{
	struct series_row s;

	assert_int_equal(series_get(d, uid, &s, &e), 0);
	return s;
}

static void
test_new_same_conflict(void **state)
{
	int64_t a = open_association(1), b;
	struct instance_row r = row("1.9", 1, a, 100), other, back = { .size = 0 };
	struct series_row s;

	(void)state;
	assert_int_equal(add(&r), INSTANCE_NEW);
	assert_int_equal(instances_get(d, "1.9.1", &back, &e), 0);
	assert_memory_equal(&back, &r, offsetof(struct instance_row, ours));
	assert_false(back.ours);
	s = series("1.9");
	assert_string_equal(s.study_uid, "1.2.3");
	assert_string_equal(s.modality, "MR");
	assert_int_equal(s.n_instances, 1);
	assert_int_equal(s.revision, 1);
	assert_int_equal(s.first_ms, 100);
	assert_int_equal(s.state, SERIES_STATE_OPEN);
	assert_int_equal(series_settle(d, "1.9", 1, SERIES_STATE_COMPLETE, "", &e), 0);

	b = open_association(2);
	other = row("1.9", 1, b, 200);
	snprintf(other.digest, sizeof other.digest, "another file"); /* the same content in another transfer syntax */
	assert_int_equal(add(&other), INSTANCE_SAME);
	other = row("1.9", 1, b, 200);
	snprintf(other.content_digest, sizeof other.content_digest, "unknown");
	assert_int_equal(add(&other), INSTANCE_SAME);
	s = series("1.9");
	assert_int_equal(s.revision, 1); /* reopens nothing */
	assert_int_equal(s.last_ms, 100);
	assert_int_equal(s.state, SERIES_STATE_COMPLETE);
	assert_int_equal(s.association, b); /* but belongs to who brought it last */

	other = row("1.9", 1, a, 300);
	snprintf(other.digest, sizeof other.digest, "x");
	snprintf(other.content_digest, sizeof other.content_digest, "y");
	assert_int_equal(add(&other), INSTANCE_CONFLICT);
	other.digest[0] = other.content_digest[0] = 0;
	assert_int_equal(add(&other), INSTANCE_CONFLICT);
	assert_int_equal(series("1.9").association, b);
	assert_int_equal(instances_get(d, "1.9.1", &back, &e), 0);
	assert_string_equal(back.digest, r.digest); /* the first copy is kept */
	assert_int_equal(instances_get(d, "1.9.2", &back, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

/* Two that know no content digest are not the same for that. */
static void
test_no_content_digest_is_no_match(void **state)
{
	struct instance_row r = row("1.9", 1, 0, 1), other = r;

	(void)state;
	r.content_digest[0] = 0;
	assert_int_equal(add(&r), INSTANCE_NEW);
	other.content_digest[0] = 0;
	snprintf(other.digest, sizeof other.digest, "x");
	assert_int_equal(add(&other), INSTANCE_CONFLICT);
}

static void
test_series_is_opened_again(void **state)
{
	struct instance_row r = row("1.9", 1, 0, 100);
	struct series_row s;

	(void)state;
	add(&r);
	assert_int_equal(series_decide(d, "1.9", "flair", "rule-1", "SeriesDescription fits", &e), 0);
	assert_int_equal(series_settle(d, "1.9", 1, SERIES_STATE_COMPLETE, NULL, &e), 0);
	s = series("1.9");
	assert_string_equal(s.channel, "flair");
	assert_string_equal(s.rule, "rule-1");
	assert_string_equal(s.reason, "SeriesDescription fits");
	r = row("1.9", 2, 0, 50); /* a clock that went back does not make the series younger */
	add(&r);
	s = series("1.9");
	assert_int_equal(s.state, SERIES_STATE_OPEN);
	assert_int_equal(s.revision, 2);
	assert_int_equal(s.n_instances, 2);
	assert_int_equal(s.last_ms, 100);
	assert_string_equal(s.reason, "SeriesDescription fits");
	assert_int_equal(series_settle(d, "1.9", 1, SERIES_STATE_REJECTED, "late", &e), -1); /* decided over fewer instances */
	assert_int_equal(e.code, ERR_STATE);
	assert_int_equal(series_settle(d, "1.9", 2, SERIES_STATE_REJECTED, "a gap", &e), 0);
	assert_string_equal(series("1.9").reason, "a gap");
	r = row("1.9", 3, 0, 300);
	add(&r);
	assert_string_equal(series("1.9").reason, ""); /* the verdict is void */
	assert_int_equal(series_decide(d, "1.8", "flair", "r", "x", &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(series_get(d, "1.8", &s, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

static void
test_association_states(void **state)
{
	int64_t a = open_association(10), b = open_association(11);
	struct instance_row r = row("1.9", 1, a, 20), r2 = row("1.9", 2, b, 21);
	char aet[17], address[64];
	struct series_row s;
	int64_t left;

	(void)state;
	add(&r);
	assert_int_equal(series("1.9").association_state, ASSOCIATION_OPEN);
	assert_false(series("1.9").others_open);
	add(&r2);
	s = series("1.9");
	assert_int_equal(s.association, b);
	assert_true(s.others_open);
	assert_int_equal(associations_close(d, a, true, 30, &e), 0);
	assert_false(series("1.9").others_open);
	assert_int_equal(associations_close(d, b, true, 31, &e), 0);
	assert_int_equal(series("1.9").association_state, ASSOCIATION_RELEASED);
	assert_int_equal(sql_exec_int(d->writer->handle, "SELECT count(*) FROM contributions", &left, &e), 0);
	assert_int_equal(left, 0); /* only of open ones */
	assert_int_equal(associations_close(d, b, false, 31, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_int_equal(associations_peer(d, a, aet, address, &e), 0);
	assert_string_equal(aet, "MR1");
	assert_string_equal(address, "10.0.0.7");
	assert_int_equal(associations_peer(d, 999, aet, address, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

static int64_t
associations(void)
{
	int64_t n;

	assert_int_equal(sql_exec_int(d->writer->handle, "SELECT count(*) FROM associations", &n, &e), 0);
	return n;
}

/* What brought nothing, or nothing that is still here, is not kept; its number is not given again. */
static void
test_no_association_for_ever(void **state)
{
	int64_t a = open_association(10), b, c;
	struct instance_row r = row("1.9", 1, a, 20);
	struct kept_study *studies;
	struct removed_study gone;
	size_t n;

	(void)state;
	assert_int_equal(associations_close(d, open_association(11), true, 12, &e), 0); /* an echo */
	assert_int_equal(associations(), 1);
	b = open_association(13);
	assert_true(b > a + 1);
	add(&r);
	assert_int_equal(associations_close(d, a, true, 30, &e), 0);
	r.association = b;
	assert_int_equal(add(&r), INSTANCE_SAME);
	assert_int_equal(associations_close(d, b, false, 31, &e), 0);
	assert_int_equal(associations(), 2); /* the instance is a's, the series b's */
	c = open_association(40);
	r.association = c;
	assert_int_equal(add(&r), INSTANCE_SAME);
	assert_int_equal(associations(), 2); /* nothing is b's any more */
	assert_int_equal(associations_close(d, c, true, 41, &e), 0);
	assert_int_equal(associations(), 2);
	assert_int_equal(sql_exec(d->writer->handle, "UPDATE series SET state = 'ignored'", &e), 0);
	assert_int_equal(retention_studies(d, &studies, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(retention_remove(d, studies, 99, "test", &gone, &e), 0);
	free(studies);
	assert_int_equal(associations(), 0);
	assert_true(open_association(50) > c);
	assert_int_equal(associations_recover(d, 60, &e), 0); /* the node died */
	assert_int_equal(associations(), 0);
}

static void
test_associations_of_an_older_database(void **state)
{
	char mark[64];
	sqlite3 *h;

	(void)state;
	db_close(d);
	unlink(path);
	snprintf(mark, sizeof mark, "PRAGMA application_id = %d", SCHEMA_APPLICATION);
	assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
	assert_int_equal(sql_exec(h, mark, &e), 0);
	assert_int_equal(schema_apply(h, schema_versions, 9, &e), 0);
	assert_int_equal(sql_exec(h, "INSERT INTO associations(id, peer_aet, address, opened_ms, state) VALUES(1, 'A', '', 1, 'released'), (2, 'A', '', 1, 'aborted'), (7, 'A', '', 1, 'open');"
	                             "INSERT INTO series(series_uid, study_uid, modality, n_instances, revision, first_ms, last_ms, association, ours, state)"
	                             " VALUES('1.9', '1.2', 'MR', 1, 1, 1, 1, 2, 0, 'open')", &e), 0);
	assert_int_equal(sqlite3_close(h), SQLITE_OK);
	d = db_open(path, &e);
	assert_non_null(d);
	assert_int_equal(associations(), 2);
	assert_int_equal(open_association(10), 8);
	assert_int_equal(series("1.9").association, 2);
}

/* Aborted, then sent again whole by a later association: no longer interrupted. */
static void
test_abort_then_next_try(void **state)
{
	int64_t a = open_association(10), b;
	struct instance_row r = row("1.9", 1, a, 20);

	(void)state;
	add(&r);
	assert_int_equal(associations_close(d, a, false, 30, &e), 0);
	assert_int_equal(series("1.9").association_state, ASSOCIATION_ABORTED);
	b = open_association(40);
	r.association = b;
	assert_int_equal(add(&r), INSTANCE_SAME);
	assert_int_equal(series("1.9").association, b);
	assert_int_equal(series("1.9").association_state, ASSOCIATION_OPEN);
}

/* Two associations share a series and one of them breaks: the other's good end does not make it whole, nor do its later instances. */
static void
test_abort_of_one_of_two(void **state)
{
	int64_t a = open_association(10), b = open_association(11);
	struct instance_row r = row("1.9", 1, a, 20), r2 = row("1.9", 2, b, 21), r3 = row("1.9", 3, b, 31);

	(void)state;
	add(&r);
	add(&r2);
	assert_int_equal(associations_close(d, a, false, 30, &e), 0);
	assert_int_equal(series("1.9").association_state, ASSOCIATION_ABORTED);
	assert_true(series("1.9").others_open);
	add(&r3);
	assert_int_equal(series("1.9").association_state, ASSOCIATION_ABORTED);
	assert_int_equal(associations_close(d, b, true, 40, &e), 0);
	assert_int_equal(series("1.9").association_state, ASSOCIATION_ABORTED);
	assert_false(series("1.9").others_open);
}

/* A stalled one is sent again by another before it times out: its end changes nothing. */
static void
test_stalled_after_next_try(void **state)
{
	int64_t a = open_association(10), b;
	struct instance_row r = row("1.9", 1, a, 20);

	(void)state;
	add(&r);
	b = open_association(25);
	r = row("1.9", 2, b, 26);
	add(&r);
	assert_int_equal(associations_close(d, b, true, 27, &e), 0);
	assert_true(series("1.9").others_open);
	assert_int_equal(associations_close(d, a, false, 60, &e), 0);
	assert_int_equal(series("1.9").association, b);
	assert_int_equal(series("1.9").association_state, ASSOCIATION_RELEASED);
	assert_false(series("1.9").others_open);
}

static void
test_recover(void **state)
{
	int64_t a = open_association(10), b = open_association(11);
	struct instance_row r = row("1.9", 1, a, 20), r2 = row("1.8", 1, b, 21);

	(void)state;
	add(&r);
	add(&r2);
	assert_int_equal(associations_close(d, b, true, 22, &e), 0);
	db_close(d);
	d = db_open(path, &e);
	assert_non_null(d);
	assert_int_equal(associations_recover(d, 100, &e), 0);
	assert_int_equal(series("1.9").association_state, ASSOCIATION_ABORTED);
	assert_int_equal(series("1.8").association_state, ASSOCIATION_RELEASED);
	assert_int_equal(associations_close(d, a, true, 101, &e), -1);
	assert_int_equal(associations_recover(d, 102, &e), 0);
}

static void
test_lists_and_counts(void **state)
{
	struct series_row *rows;
	struct instance_row *instances, r;
	int64_t n_instances, n_studies;
	size_t n;

	(void)state;
	assert_int_equal(instances_count(d, &n_instances, &n_studies, &e), 0);
	assert_int_equal(n_instances, 0);
	assert_int_equal(series_unsettled(d, &rows, &n, &e), 0);
	assert_int_equal(n, 0);
	assert_null(rows);
	for (int i = 0; i < 40; i++) {
		r = row("1.9", 39 - i, 0, i);
		add(&r);
	}
	r = row("1.8", 1, 0, 100);
	r.ours = true;
	add(&r);
	r = row("1.7", 1, 0, 101);
	snprintf(r.study_uid, sizeof r.study_uid, "1.2.4");
	add(&r);
	assert_int_equal(instances_of_series(d, "1.9", &instances, &n, &e), 0);
	assert_int_equal(n, 40);
	for (size_t i = 1; i < n; i++)
		assert_true(strcmp(instances[i - 1].sop_uid, instances[i].sop_uid) < 0);
	free(instances);
	assert_int_equal(series_of_study(d, "1.2.3", &rows, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_false(rows[0].ours);
	assert_true(rows[1].ours);
	free(rows);
	assert_int_equal(series_settle(d, "1.9", 40, SERIES_STATE_WAITING, "a gap", &e), 0);
	assert_int_equal(series_settle(d, "1.8", 1, SERIES_STATE_IGNORED, "ours", &e), 0);
	assert_int_equal(series_unsettled(d, &rows, &n, &e), 0);
	assert_int_equal(n, 2);
	free(rows);
	assert_int_equal(instances_count(d, &n_instances, &n_studies, &e), 0);
	assert_int_equal(n_instances, 42);
	assert_int_equal(n_studies, 2);
	assert_string_equal(series_state_name(SERIES_STATE_OPEN), "open");
	assert_string_equal(series_state_name(SERIES_STATE_IGNORED), "ignored");
}

/* An association that does not exist is a caller's mistake; it fails alone. */
static void
test_unknown_association(void **state)
{
	struct instance_row r = row("1.9", 1, 77, 20);
	enum instance_fate fate;
	struct series_row s;

	(void)state;
	assert_int_equal(instances_add(d, &r, &fate, &e), -1);
	assert_int_equal(e.code, ERR_BUG);
	assert_int_equal(series_get(d, "1.9", &s, &e), -1); /* nothing half done */
}

enum { THREADS = 4, ROWS = 50 };
struct adder { int number, failed, fresh; int64_t association; };

static void *
adder_run(void *arg)
{
	struct adder *a = arg;

	for (int i = 0; i < ROWS; i++) {
		char uid[16];
		struct instance_row r;
		enum instance_fate fate;
		struct err mine;

		snprintf(uid, sizeof uid, "1.%d", a->number % 2); /* two threads a series, the same instances */
		r = row(uid, i, a->association, i);
		if (instances_add(d, &r, &fate, &mine) < 0 || fate == INSTANCE_CONFLICT)
			a->failed++;
		a->fresh += fate == INSTANCE_NEW;
		r.association = 4711; /* of nobody: must not spoil a neighbour in the same group */
		snprintf(r.sop_uid, sizeof r.sop_uid, "9.%d.%d", a->number, i);
		if (i % 10 == 0 && instances_add(d, &r, &fate, &mine) == 0)
			a->failed++;
	}
	return NULL;
}

static void
test_threads_share_commits(void **state)
{
	struct adder adders[THREADS];
	pthread_t threads[THREADS];
	int64_t n_instances, n_studies, fresh = 0;

	(void)state;
	for (int i = 0; i < THREADS; i++) {
		adders[i] = (struct adder){ .number = i, .association = open_association(1) };
		assert_int_equal(pthread_create(&threads[i], NULL, adder_run, &adders[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(adders[i].failed, 0);
		fresh += adders[i].fresh;
	}
	assert_int_equal(fresh, 2 * ROWS); /* one of two was first, never both */
	assert_int_equal(instances_count(d, &n_instances, &n_studies, &e), 0);
	assert_int_equal(n_instances, 2 * ROWS);
	assert_int_equal(series("1.0").revision, ROWS);
}

static void
plan_uses(const char *sql, const char *index)
{
	char text[2048];
	sqlite3_stmt *q;
	bool found = false;

	snprintf(text, sizeof text, "EXPLAIN QUERY PLAN %s", sql);
	assert_int_equal(sqlite3_prepare_v2(d->writer->handle, text, -1, &q, NULL), SQLITE_OK);
	while (sqlite3_step(q) == SQLITE_ROW)
		found = found || strstr((const char *)sqlite3_column_text(q, 3), index);
	sqlite3_finalize(q);
	assert_true(found);
}

static void
test_indices_are_used(void **state)
{
	(void)state;
	plan_uses("SELECT * FROM series s WHERE s.state IN ('open', 'waiting') ORDER BY s.series_uid", "series_unsettled");
	plan_uses("SELECT * FROM series s WHERE s.study_uid = ?1 ORDER BY s.first_ms", "series_study");
	plan_uses("SELECT * FROM instances WHERE series_uid = ?1 ORDER BY sop_uid", "instances_series");
	plan_uses("SELECT id FROM associations WHERE state = 'open' ORDER BY id", "associations_open");
	plan_uses("SELECT 1 FROM instances WHERE association = ?1", "instances_association");
	plan_uses("SELECT 1 FROM series WHERE association = ?1", "series_association");
}

static int
fill_second_fails(sqlite3_stmt *q, void *element, struct err *why)
{
	*(int64_t *)element = sqlite3_column_int64(q, 0);
	return *(int64_t *)element == 1 ? 0 : err_set(why, ERR_LIMIT, "enough");
}

/* Who asks frees what he got: nothing when it failed. */
static void
test_half_a_list_is_none(void **state)
{
	int64_t *rows = NULL;
	size_t n = 7;

	(void)state;
	assert_int_equal(sql_list(d, SQL_ASK(fill_second_fails, int64_t, "SELECT 1 UNION SELECT 2", SQL_NONE), &rows, &n, &e), -1);
	assert_null(rows);
	assert_int_equal(n, 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_new_same_conflict), TEST(test_no_content_digest_is_no_match), TEST(test_series_is_opened_again), TEST(test_association_states),
		TEST(test_no_association_for_ever), TEST(test_associations_of_an_older_database),
		TEST(test_abort_then_next_try), TEST(test_abort_of_one_of_two), TEST(test_stalled_after_next_try), TEST(test_recover), TEST(test_lists_and_counts),
		TEST(test_unknown_association), TEST(test_threads_share_commits), TEST(test_indices_are_used), TEST(test_half_a_list_is_none),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
