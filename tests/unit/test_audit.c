/* The audit trail in the database: a row is in the transaction of what it tells or not there at all; what an association brought; reading, telling, removing. */
#include "db/audit.h"
#include "db/instances.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "db/sql.h"

#include "config/clock.h"

#include <pthread.h>
#include <string.h>

#include "tests/unit/db_stage.h"

static struct audit_row *rows;
static size_t n_rows;

/* Newest first. */
static size_t
read_rows(const char *study_uid)
{
	struct audit_filter f = { .study_uid = study_uid, .limit = 1000 };

	audit_rows_free(rows, n_rows);
	assert_int_equal(audit_list(d, &f, &rows, &n_rows, &e), 0);
	return n_rows;
}

static int
close_stage(void **state)
{
	audit_rows_free(rows, n_rows);
	rows = NULL;
	n_rows = 0;
	return tear_down(state);
}

static void
add(const char *study_uid, const char *text)
{
	assert_int_equal(audit_add(d, &(const struct audit_entry){ .event = AUDIT_ACCESSED, .action = 'R', .study_uid = study_uid, .text = text }, &e), 0);
}

static void
a_row_is_what_was_said(void **state)
{
	const struct audit_entry a = { .event = AUDIT_TRANSFERRED, .type = AUDIT_START, .action = 'C', .outcome = AUDIT_SERIOUS, .aet = "MR1", .address = "10.0.0.7", .token = "nurse",
		.role = "operator", .user = "segand", .study_uid = "1.2", .destination = "pacs", .objects = "[{\"sop_class\":\"1.3\",\"instances\":2}]", .text = "words" };
	int64_t before = clock_ms();

	(void)state;
	assert_int_equal(audit_add(d, &a, &e), 0);
	assert_int_equal(read_rows(NULL), 1);
	assert_true(rows->event == AUDIT_TRANSFERRED && rows->type == AUDIT_START && rows->outcome == 8 && rows->job == 0 && rows->time_ms >= before);
	assert_string_equal(rows->action, "C");
	assert_string_equal(rows->aet, "MR1");
	assert_string_equal(rows->address, "10.0.0.7");
	assert_string_equal(rows->token, "nurse");
	assert_string_equal(rows->role, "operator");
	assert_string_equal(rows->user, "segand");
	assert_string_equal(rows->study_uid, "1.2");
	assert_string_equal(rows->destination, "pacs");
	assert_string_equal(rows->objects, a.objects);
	assert_string_equal(rows->text, "words");
	assert_int_equal(audit_add(d, &(const struct audit_entry){ .event = AUDIT_QUERY, .action = 'E' }, &e), 0);
	assert_int_equal(read_rows(NULL), 2);
	assert_string_equal(rows[0].objects, "[]");
	assert_string_equal(rows[0].study_uid, "");
}

static void
nothing_is_changed_afterwards(void **state)
{
	(void)state;
	add("1.2", "true");
	assert_int_not_equal(sqlite3_exec(d->writer->handle, "UPDATE audit SET text = 'false'", NULL, NULL, NULL), SQLITE_OK);
	read_rows(NULL);
	assert_string_equal(rows[0].text, "true");
}

static int64_t
queued_job(void)
{
	struct job j = { .state = JOB_QUEUED, .study_uid = "1.2.7", .model_name = "m", .model_version = "1", .case_version = 1, .created_ms = 1 };
	int64_t id;

	assert_int_equal(jobs_create(d, &j, &id, &e), 0);
	return id;
}

static void
it_is_in_the_transaction_that_it_tells(void **state)
{
	int64_t job = queued_job();
	const struct audit_entry a = { .event = AUDIT_JOB, .type = AUDIT_CANCEL, .action = 'U', .token = "nurse", .job = job };

	(void)state;
	audit_attach(&a);
	assert_int_equal(jobs_end(d, job, JOB_RUNNING, JOB_CANCELLED, "no", &e), -1); /* it is queued: nothing happens, nothing is told */
	assert_int_equal(read_rows(NULL), 0);
	assert_int_equal(jobs_end(d, job, JOB_QUEUED, JOB_CANCELLED, "yes", &e), 0);
	assert_int_equal(read_rows(NULL), 1);
	assert_string_equal(rows[0].study_uid, "1.2.7");                            /* the job's */
	queued_job();                                                               /* another transaction */
	assert_true(audit_detach());
	queued_job();
	assert_int_equal(read_rows(NULL), 1);
	audit_attach(&a);
	assert_false(audit_detach());
	queued_job();
	assert_int_equal(read_rows(NULL), 1);
}

/* When the row cannot be written what it tells is not done either. */
static void
nothing_is_done_untold(void **state)
{
	int64_t job = queued_job();
	struct job j;

	(void)state;
	audit_attach(&(const struct audit_entry){ .event = AUDIT_JOB, .action = '?', .job = job }); /* the table takes no such action */
	assert_int_equal(jobs_end(d, job, JOB_QUEUED, JOB_CANCELLED, "yes", &e), -1);
	assert_false(audit_detach());
	assert_int_equal(jobs_get(d, job, &j, &e), 0);
	assert_int_equal(j.state, JOB_QUEUED);
	job_release(&j);
	assert_int_equal(read_rows(NULL), 0);
}

static void *
create_elsewhere(void *arg)
{
	(void)arg;
	queued_job();
	return NULL;
}

static void
another_threads_transaction_takes_nothing_along(void **state)
{
	pthread_t thread;

	(void)state;
	audit_attach(&(const struct audit_entry){ .event = AUDIT_JOB, .action = 'U' });
	assert_int_equal(pthread_create(&thread, NULL, create_elsewhere, NULL), 0);
	pthread_join(thread, NULL);
	assert_false(audit_detach());
	assert_int_equal(read_rows(NULL), 0);
}

static void
a_beginning_counts_once(void **state)
{
	struct audit_entry a = { .event = AUDIT_BEGIN_TRANSFER, .action = 'E', .study_uid = "1.2", .destination = "pacs", .job = 7, .once_since_ms = 1 };

	(void)state;
	assert_int_equal(audit_add(d, &a, &e), 0);
	assert_int_equal(audit_add(d, &a, &e), 0);
	assert_int_equal(read_rows(NULL), 1);
	a.event = AUDIT_QUERY;
	assert_int_equal(audit_add(d, &a, &e), 0);
	a.destination = "cloud";
	assert_int_equal(audit_add(d, &a, &e), 0);
	assert_int_equal(read_rows(NULL), 3);
	a.once_since_ms = clock_ms() + 1000;                                        /* tried anew since */
	assert_int_equal(audit_add(d, &a, &e), 0);
	assert_int_equal(read_rows(NULL), 4);
}

/* ---- associations ---- */

static void
bring(int64_t association, const char *study, const char *sop_class, const char *sop_uid)
{
	struct instance_row row = { .size = 1, .association = association, .received_ms = 5 };
	enum instance_fate fate;

	snprintf(row.sop_uid, sizeof row.sop_uid, "%s", sop_uid);
	snprintf(row.sop_class, sizeof row.sop_class, "%s", sop_class);
	snprintf(row.study_uid, sizeof row.study_uid, "%s", study);
	snprintf(row.series_uid, sizeof row.series_uid, "%s.1", study);
	snprintf(row.digest, sizeof row.digest, "%s", sop_uid);
	assert_int_equal(instances_add(d, &row, &fate, &e), 0);
}

static int64_t
opened(const char *token)
{
	int64_t id;

	assert_int_equal(associations_open_by(d, &(const struct association_peer){ "MR1", "10.0.0.7", token, token ? "operator" : NULL }, 1, &id, &e), 0);
	return id;
}

static void
what_an_association_brought(void **state)
{
	int64_t one = opened(NULL), two = opened("nurse");

	(void)state;
	bring(one, "1.1", "9.1", "1.1.1.1");
	bring(one, "1.1", "9.1", "1.1.1.2");
	bring(one, "1.1", "9.2", "1.1.1.3");
	bring(one, "1.2", "9.1", "1.2.1.1");
	bring(two, "1.1", "9.1", "1.1.1.1");                                        /* again: nothing that was not here */
	bring(two, "1.3", "9.1", "1.3.1.1");
	assert_int_equal(read_rows(NULL), 0);
	assert_int_equal(associations_close(d, one, true, 100, &e), 0);
	assert_int_equal(read_rows(NULL), 2);                                       /* one patient a message */
	assert_int_equal(read_rows("1.1"), 1);
	assert_true(rows->event == AUDIT_TRANSFERRED && rows->outcome == 0 && rows->time_ms == 100);
	assert_string_equal(rows->aet, "MR1");
	assert_string_equal(rows->address, "10.0.0.7");
	assert_string_equal(rows->token, "");
	assert_string_equal(rows->action, "C");
	assert_string_equal(rows->objects, "[{\"sop_class\":\"9.1\",\"instances\":2},{\"sop_class\":\"9.2\",\"instances\":1}]");
	assert_int_equal(associations_close(d, two, false, 200, &e), 0);
	assert_int_equal(read_rows("1.1"), 1);
	assert_int_equal(read_rows("1.3"), 1);
	assert_int_equal(rows->outcome, 4);
	assert_string_equal(rows->token, "nurse");
	assert_string_equal(rows->role, "operator");
	assert_int_equal(associations_close(d, one, true, 300, &e), -1);            /* once */
	assert_int_equal(read_rows(NULL), 3);
}

static void
who_brought_nothing_is_not_told(void **state)
{
	int64_t id = opened(NULL);

	(void)state;
	assert_int_equal(associations_close(d, id, true, 100, &e), 0);
	assert_int_equal(read_rows(NULL), 0);
}

static void
what_a_killed_node_received_is_told_by_the_next(void **state)
{
	int64_t id = opened(NULL);

	(void)state;
	bring(id, "1.1", "9.1", "1.1.1.1");
	assert_int_equal(associations_recover(d, 900, &e), 0);
	assert_int_equal(read_rows("1.1"), 1);
	assert_true(rows->outcome == 4 && rows->time_ms == 900);
}

/* ---- reading, telling, removing ---- */

static void
pages(void **state)
{
	struct audit_filter f = { .limit = 2 };

	(void)state;
	for (int i = 0; i < 5; i++)
		add(i % 2 ? "1.2" : "1.3", "");
	assert_int_equal(audit_list(d, &f, &rows, &n_rows, &e), 0);
	assert_true(n_rows == 2 && rows[0].id == 5 && rows[1].id == 4);
	f.before_id = 4;
	audit_rows_free(rows, n_rows);
	assert_int_equal(audit_list(d, &f, &rows, &n_rows, &e), 0);
	assert_true(n_rows == 2 && rows[0].id == 3);
	assert_int_equal(read_rows("1.2"), 2);
	f = (struct audit_filter){ .limit = 10, .since_ms = clock_ms() + 60000 };
	audit_rows_free(rows, n_rows);
	assert_int_equal(audit_list(d, &f, &rows, &n_rows, &e), 0);
	assert_int_equal(n_rows, 0);
}

static void
each_row_is_told_once(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		add("1.2", "");
	assert_int_equal(audit_untold(d, 2, &rows, &n_rows, &e), 0);
	assert_true(n_rows == 2 && rows[0].id == 1);
	assert_int_equal(audit_told(d, 2, &e), 0);
	assert_int_equal(audit_told(d, 1, &e), 0);                                  /* never back */
	audit_rows_free(rows, n_rows);
	assert_int_equal(audit_untold(d, 9, &rows, &n_rows, &e), 0);
	assert_true(n_rows == 1 && rows[0].id == 3);
	assert_int_equal(audit_told_all(d, &e), 0);
	audit_rows_free(rows, n_rows);
	assert_int_equal(audit_untold(d, 9, &rows, &n_rows, &e), 0);
	assert_int_equal(n_rows, 0);
}

static void
age_removes(void **state)
{
	size_t n;

	(void)state;
	for (int i = 0; i < 5; i++)
		add("1.2", "");
	clock_shift(INT64_C(86400000) * 400);
	add("1.2", "young");
	assert_int_equal(audit_remove(d, clock_ms() - INT64_C(86400000) * 399, 3, &n, &e), 0);
	assert_int_equal(n, 3);
	assert_int_equal(audit_remove(d, clock_ms() - INT64_C(86400000) * 399, 3, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_int_equal(audit_remove(d, clock_ms() - INT64_C(86400000) * 399, 3, &n, &e), 0);
	assert_int_equal(n, 0);
	clock_shift(0);
	assert_int_equal(read_rows(NULL), 1);
	assert_string_equal(rows[0].text, "young");
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, close_stage)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_row_is_what_was_said), T(nothing_is_changed_afterwards), T(it_is_in_the_transaction_that_it_tells), T(nothing_is_done_untold),
		T(another_threads_transaction_takes_nothing_along), T(a_beginning_counts_once), T(what_an_association_brought), T(who_brought_nothing_is_not_told),
		T(what_a_killed_node_received_is_told_by_the_next), T(pages), T(each_row_is_told_once), T(age_removes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
