/* A node with computed jobs, for the tests of delivery. */
#pragma once
#include "tests/unit/flow_test.h"

#include "db/audit.h"
#include "db/deliveries.h"
#include "service/flow/deliver.h"

static struct settings *settings;
static struct node node;

static inline void
open_node(const char *more)
{
	struct err e = { 0 };

	settings = make_settings(more);
	if (node_open(&node, settings, &e) != 0)
		fail_msg("%s", e.text);
}

static inline void
close_node(void)
{
	node_close(&node);
	settings_free(settings);
}

/* A job that was computed; its result: seg.dcm with these bytes. */
static inline int64_t
add_computed(const char *study_uid, const char *const *destinations, size_t n, const char *results, const void *seg, size_t n_seg)
{
	struct job_outcome outcome = { "present", "[]", "[]", results, "{\"read\":1}" };
	struct job_input input = { "flair", "1.2.3.4" };
	struct job j = { .state = JOB_RECEIVING, .model_name = "m", .model_version = "1", .case_version = 1, .run = 1, .created_ms = clock_ms() }, claimed;
	char path[SPOOL_PATH], dir[SPOOL_PATH];
	struct err e = { 0 };
	int64_t id;

	snprintf(j.study_uid, sizeof j.study_uid, "%s", study_uid);
	if (jobs_create(node.db, &j, &id, &e) != 0 || jobs_queue(node.db, id, "{}", "f", &input, 1, "test", &e) != 0 || jobs_claim(node.db, &claimed, &e) != 0)
		fail_msg("%s", e.text);
	spool_result(&node, id, "seg.dcm", path);
	snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
	if (file_make_dirs(dir, 0700, &e) != 0 || file_write(path, seg, n_seg, &e) != 0 || jobs_computed(node.db, id, claimed.attempt, &outcome, destinations, n, &e) != 0)
		fail_msg("%s", e.text);
	job_release(&claimed);
	return id;
}

static inline void
wait_for_end(int64_t id)
{
	for (int i = 0; i < 3000; i++) {
		struct job j;
		struct err e;
		bool is_final;

		assert_int_equal(jobs_get(node.db, id, &j, &e), 0);
		is_final = job_state_is_final(j.state);
		job_release(&j);
		if (is_final)
			return;
		assert_true(bell_rest(&node.dispatch, 20));
	}
	fail_msg("job %lld does not end", (long long)id);
}

static inline struct delivery
delivery_to(int64_t job, const char *destination)
{
	struct delivery *list, d = { 0 };
	struct err e;
	size_t n;

	assert_int_equal(deliveries_of_job(node.db, job, &list, &n, &e), 0);
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].destination, destination) == 0)
			d = list[i];
	free(list);
	assert_string_equal(d.destination, destination);
	return d;
}

static inline void
delivery_is(int64_t job, const char *destination, enum delivery_state state, int64_t attempts, const char *words)
{
	struct delivery d = delivery_to(job, destination);

	if (d.state != state || d.attempts != attempts || strstr(d.last_error, words) == NULL)
		fail_msg("%s is %s after %lld attempts: \"%s\"", destination, delivery_state_name(d.state), (long long)d.attempts, d.last_error);
}

/* For cmocka: set-up and tear-down of a group. */
static inline int
deliver_set_up(void **state)
{
	static const char *const none[] = { NULL };

	(void)state;
	make_studies(none);
	log_set_level(LOG_ERROR + 1);
	return dicom_start(&(struct err) { 0 });
}

static inline int
deliver_tear_down(void **state)
{
	(void)state;
	remove_studies();
	return 0;
}

/* How many events of the audit trail there are about a delivery, with that outcome; all hold these words in their objects or text. */
static inline size_t
audited(const char *destination, enum audit_event event, enum audit_outcome outcome, const char *words)
{
	struct audit_filter f = { .limit = 1000 };
	struct audit_row *rows;
	struct err e;
	size_t n, found = 0;

	assert_int_equal(audit_list(node.db, &f, &rows, &n, &e), 0);
	for (size_t i = 0; i < n; i++)
		if (rows[i].event == (int)event && rows[i].outcome == (int)outcome && strcmp(rows[i].destination, destination) == 0) {
			found++;
			assert_true(rows[i].job > 0 && rows[i].study_uid[0] != '\0');
			if (strstr(rows[i].objects, words) == NULL && strstr(rows[i].text, words) == NULL)
				fail_msg("%s, \"%s\": no \"%s\"", rows[i].objects, rows[i].text, words);
		}
	audit_rows_free(rows, n);
	return found;
}
