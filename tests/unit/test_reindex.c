/* A database from the files: every instance, every computed job, nothing twice, what is no spool file left where it is. */
#include "tests/unit/flow_test.h"

#include "db/deliveries.h"
#include "service/flow/data_dir.h"
#include "service/flow/record.h"
#include "service/flow/reindex.h"

#include <sqlite3.h>
#include <utime.h>

static struct node node;
static size_t n_told;
static char told[2048];

static void
tell(void *arg, const char *path, const char *why)
{
	(void)arg;
	n_told++;
	snprintf(told, sizeof told, "%s: %s", path, why);
}

/* The database is removed, a new one of the same node is made and filled. */
static void
rebuild(const struct settings *s, struct reindex_report *report)
{
	char id[DATA_DIR_ID];
	struct err e = { 0 };

	n_told = 0;
	assert_int_equal(data_dir_node_id(s->data_dir, id, &e), 0);
	assert_int_equal(unlink(data_file(s, "segand.db")), 0);
	assert_int_equal(db_create(data_file(s, "segand.db"), id, &e), 0);
	assert_int_equal(node_open(&node, s, &e), 0);
	if (reindex_fill(&node, tell, NULL, report, &e) != 0)
		fail_msg("%s", e.text);
}

static void
instances_come_back(void **state)
{
	struct settings *s = make_settings("");
	struct reindex_report report;
	struct instance_row before, after;
	struct series_row series;
	char path[SPOOL_PATH];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(node_open(&node, s, &e), 0);
	take_series(&node, "flair", 1);
	assert_int_equal(instances_get(node.db, "2.25.1000", &before, &e), 0);
	spool_path(&node, "2.25.9", path);
	assert_int_equal(file_write(path, "no DICOM", 8, &e), 0);
	spool_path(&node, "2.25.1000", path);
	copy_file(path, data_file(s, "spool/00/another-name.dcm"));
	assert_int_equal(utime(path, &(struct utimbuf) { .modtime = 1700000000 }), 0);
	node_close(&node);
	rebuild(s, &report);
	assert_int_equal(report.files, 6);
	assert_int_equal(report.instances, 4);
	assert_int_equal(report.left_out, 2);
	assert_int_equal(n_told, 2);
	assert_int_equal(instances_get(node.db, "2.25.1000", &after, &e), 0);
	assert_string_equal(after.sop_uid, before.sop_uid);
	assert_string_equal(after.sop_class, before.sop_class);
	assert_string_equal(after.study_uid, before.study_uid);
	assert_string_equal(after.series_uid, before.series_uid);
	assert_string_equal(after.transfer_syntax, before.transfer_syntax);
	assert_string_equal(after.modality, before.modality);
	assert_string_equal(after.digest, before.digest);
	assert_string_equal(after.content_digest, before.content_digest);
	assert_true(after.size == before.size && after.ours == before.ours);
	assert_int_equal(after.received_ms, INT64_C(1700000000000)); /* when its file was written */
	assert_int_equal(series_get(node.db, after.series_uid, &series, &e), 0);
	assert_int_equal(series.n_instances, 4);
	assert_int_equal(series.association_state, ASSOCIATION_ABORTED); /* who knows whether that was all */
	if (reindex_fill(&node, tell, NULL, &report, &e) != 0) /* once more adds nothing */
		fail_msg("%s", e.text);
	assert_int_equal(report.instances, 0);
	node_close(&node);
	settings_free(s);
}

/* A job as the worker leaves it: its record, then its row. */
static int64_t
compute(const char *study_uid, const char *const *destinations, size_t n_destinations)
{
	static const struct job_input inputs[] = { { "flair", "2.25.1000" }, { "flair", "2.25.1001" } };
	static const struct job_outcome outcome = { .finding = "present", .flags = "{}", .segments = "[]", .results = "[{\"kind\":\"seg\"}]", .timings = "{}" };
	struct job j = { .state = JOB_RECEIVING, .model_name = "m", .model_version = "1", .model_digest = "d", .case_version = 1, .created_ms = 1234 };
	char path[SPOOL_PATH], dir[SPOOL_PATH];
	struct err e = { 0 };
	int64_t id;

	snprintf(j.study_uid, sizeof j.study_uid, "%s", study_uid);
	assert_int_equal(jobs_create(node.db, &j, &id, &e), 0);
	assert_int_equal(jobs_queue(node.db, id, "{\"flair\":\"2.25.10\"}", "print", inputs, 2, "whole", &e), 0);
	assert_int_equal(jobs_claim(node.db, &j, &e), 0);
	spool_result(&node, id, "seg.dcm", path);
	snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
	assert_int_equal(file_make_dirs(dir, 0700, &e), 0);
	assert_int_equal(file_write(path, "SEG", 3, &e), 0);
	if (record_write(&node, &j, &outcome, destinations, n_destinations, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(jobs_computed(node.db, id, j.attempt, &outcome, destinations, n_destinations, &e), 0);
	job_release(&j);
	return id;
}

static void
assert_same_job(const struct job *a, const struct job *b)
{
	assert_string_equal(a->study_uid, b->study_uid);
	assert_string_equal(a->model_digest, b->model_digest);
	assert_string_equal(a->channels, b->channels);
	assert_string_equal(a->fingerprint, b->fingerprint);
	assert_string_equal(a->results, b->results);
	assert_string_equal(a->finding, "present");
	assert_string_equal(a->epoch, b->epoch);
	assert_int_equal(a->created_ms, b->created_ms);
	assert_int_equal(a->run, b->run);
	assert_int_equal(a->case_version, b->case_version);
	assert_int_equal(a->attempt, b->attempt);
}

static void
computed_jobs_come_back(void **state)
{
	static const char *const destinations[] = { "pacs" };
	struct settings *s = make_settings("");
	struct reindex_report report;
	struct delivery *deliveries = NULL;
	struct job_input *inputs = NULL;
	struct job kept, sent, now;
	char record[SPOOL_PATH];
	struct err e = { 0 };
	size_t n = 0;

	(void)state;
	assert_int_equal(node_open(&node, s, &e), 0);
	assert_int_equal(compute("1.2.1", NULL, 0), 1);
	assert_int_equal(compute("1.2.2", destinations, 1), 2);
	assert_int_equal(jobs_get(node.db, 1, &kept, &e), 0);
	assert_int_equal(jobs_get(node.db, 2, &sent, &e), 0);
	node_close(&node);
	assert_int_equal(file_make_dirs(data_file(s, "results/7"), 0700, &e), 0);
	assert_int_equal(file_write(data_file(s, "results/7/job.json"), "{}", 2, &e), 0);
	assert_int_equal(file_make_dirs(data_file(s, "results/8"), 0700, &e), 0);
	snprintf(record, sizeof record, "%s", data_file(s, "results/1/job.json"));
	copy_file(record, data_file(s, "results/8/job.json"));
	rebuild(s, &report);
	assert_int_equal(report.jobs, 2);
	assert_int_equal(report.to_resend, 1);
	assert_int_equal(report.left_out, 2);
	assert_non_null(strstr(told, "results/8/job.json: it is the record of job 1"));
	assert_int_equal(jobs_get(node.db, 1, &now, &e), 0);
	assert_int_equal(now.state, JOB_DONE);
	assert_same_job(&now, &kept);
	job_release(&now);
	assert_int_equal(jobs_get(node.db, 2, &now, &e), 0);
	assert_int_equal(now.state, JOB_FAILED);
	assert_same_job(&now, &sent);
	job_release(&now);
	assert_int_equal(jobs_inputs(node.db, 2, &inputs, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_string_equal(inputs[1].sop_uid, "2.25.1001");
	free(inputs);
	assert_int_equal(deliveries_of_job(node.db, 2, &deliveries, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(deliveries[0].state, DELIVERY_GIVEN_UP);
	free(deliveries);
	assert_int_equal(deliveries_retry(node.db, 2, &e), 0); /* the same objects again */
	assert_int_equal(compute("1.2.3", NULL, 0), 3);        /* numbers go on */
	assert_int_equal(jobs_get(node.db, 3, &now, &e), 0);
	assert_string_not_equal(now.epoch, kept.epoch);        /* and identities do not come again */
	job_release(&now);
	job_release(&kept);
	job_release(&sent);
	node_close(&node);
	settings_free(s);
}

static void
run_sql(const char *path, const char *sql)
{
	sqlite3 *h = NULL;

	assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
	assert_int_equal(sqlite3_exec(h, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(h);
}

/* The search fails in the middle, or is killed there: the database's log is there again, and what was not found yet is looked for all the same. */
static void
a_search_that_broke_off_begins_anew(void **state)
{
	struct settings *s = make_settings("");
	struct instance_row row;
	struct err e = { 0 };
	enum data_dir_end before;
	int lock;

	(void)state;
	assert_int_equal(node_open(&node, s, &e), 0);
	node_close(&node);
	copy_file(data_file(s, "segand.db"), data_file(s, "empty.db"));
	run_sql(data_file(s, "empty.db"), "CREATE TRIGGER full BEFORE INSERT ON instances BEGIN SELECT raise(ABORT, 'no'); END");
	assert_int_equal(node_open(&node, s, &e), 0);
	take_series(&node, "flair", 1);
	node_close(&node);
	assert_int_equal(rename(data_file(s, "empty.db"), data_file(s, "segand.db")), 0);
	lock = data_dir_lock(s->data_dir, &before, &e);
	assert_true(lock >= 0);
	data_dir_unlock(lock, false);
	assert_int_equal(node_open(&node, s, &e), -1);
	run_sql(data_file(s, "segand.db"), "DROP TRIGGER full");
	assert_int_equal(node_open(&node, s, &e), 0);
	if (instances_get(node.db, "2.25.1000", &row, &e) != 0)
		fail_msg("%s", e.text);
	node_close(&node);
	lock = data_dir_lock(s->data_dir, &before, &e);
	assert_true(lock >= 0 && before == DATA_DIR_CLOSED);
	data_dir_unlock(lock, true);
	settings_free(s);
}

static void
make_job(const char *study_uid, char epoch[64])
{
	struct job j = { .state = JOB_RECEIVING, .model_name = "m", .model_version = "1", .case_version = 1, .created_ms = 1234 };
	struct err e = { 0 };
	int64_t id;

	snprintf(j.study_uid, sizeof j.study_uid, "%s", study_uid);
	assert_int_equal(jobs_create(node.db, &j, &id, &e), 0);
	assert_int_equal(jobs_get(node.db, id, &j, &e), 0);
	snprintf(epoch, 64, "%s", j.epoch);
	job_release(&j);
}

/* Killed, and the log of the database gone with the last rows; jobs may have been among them, so identities are of a new epoch. */
static void
a_start_makes_up_for_a_lost_log(void **state)
{
	struct settings *s = make_settings("");
	struct instance_row row;
	struct err e = { 0 };
	enum data_dir_end before;
	char first[64], then[64];
	int lock;

	(void)state;
	assert_int_equal(node_open(&node, s, &e), 0);
	make_job("1.2.1", first);
	node_close(&node);
	copy_file(data_file(s, "segand.db"), data_file(s, "empty.db"));
	assert_int_equal(node_open(&node, s, &e), 0);
	take_series(&node, "flair", 1);
	node_close(&node);
	assert_int_equal(rename(data_file(s, "empty.db"), data_file(s, "segand.db")), 0);
	assert_int_equal(node_open(&node, s, &e), 0);
	assert_int_equal(instances_get(node.db, "2.25.1000", &row, &e), -1); /* it ended in good order: nobody looks */
	node_close(&node);
	lock = data_dir_lock(s->data_dir, &before, &e);
	assert_true(lock >= 0);
	data_dir_unlock(lock, false);
	assert_int_equal(node_open(&node, s, &e), 0);
	assert_int_equal(instances_get(node.db, "2.25.1000", &row, &e), 0);
	make_job("1.2.2", then);
	assert_string_not_equal(then, first);
	node_close(&node);
	settings_free(s);
}

/* The log is removed while the node is open, another process makes one of that name, and the node ends in good order: that took the last rows with it. */
static void
a_log_that_is_removed_under_way_is_made_up_for(void **state)
{
	struct settings *s = make_settings("");
	struct instance_row row;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(node_open(&node, s, &e), 0);
	take_series(&node, "flair", 1);
	assert_int_equal(unlink(data_file(s, "segand.db-wal")), 0);
	assert_int_equal(unlink(data_file(s, "segand.db-shm")), 0);
	run_sql(data_file(s, "segand.db"), "UPDATE node SET epoch = epoch");
	node_close(&node);
	assert_int_equal(node_open(&node, s, &e), 0);
	if (instances_get(node.db, "2.25.1000", &row, &e) != 0)
		fail_msg("%s", e.text);
	node_close(&node);
	settings_free(s);
}

int
main(void)
{
	static const char *const studies[] = { "flair:", NULL };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(instances_come_back),
		cmocka_unit_test(computed_jobs_come_back),
		cmocka_unit_test(a_start_makes_up_for_a_lost_log),
		cmocka_unit_test(a_log_that_is_removed_under_way_is_made_up_for),
		cmocka_unit_test(a_search_that_broke_off_begins_anew),
	};

	return RUN_WITH_STUDIES(studies, tests);
}
