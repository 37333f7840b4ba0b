/* A node with studies in its spool, and a retention whose clock is moved. */
#pragma once
#include "tests/unit/dispatch_stage.h"

#include "db/retention.h"
#include "service/flow/retain.h"

enum { FLAIR = 1000 /* the study's SOP Instance UIDs: 2.25.1000 to 1003 */, HOUR = 3600, DAY = 24 * HOUR };
static const char study[] = "2.25.1", other[] = "2.25.2", everything[] = "\"retention\": {\"days\": 14, \"unused_days\": 3, \"max_mb\": 4},";

static struct retain *retain;
static int64_t wait_ms;

static inline int
open_retain(const char *more)
{
	struct err e = { 0 };

	open_with(more);
	assert_non_null(retain = retain_new(&node, &e));
	return 0;
}

static inline int
open_default(void **state)
{
	(void)state;
	return open_retain("");
}

static inline int
open_limited(void **state)
{
	(void)state;
	return open_retain(everything);
}

static inline int
open_for_ever(void **state)
{
	(void)state;
	return open_retain("\"retention\": {\"days\": 0},");
}

static inline int
close_retain(void **state)
{
	clock_shift(0);
	free(retain);
	return close_node(state);
}

static inline void
come_back(void)
{
	struct err e = { 0 };

	free(retain);
	die_and_come_back();
	assert_non_null(retain = retain_new(&node, &e));
}

/* One look, so long after the program's start. */
static inline void
look_after(int64_t s)
{
	struct err e = { 0 };

	clock_shift(s * 1000);
	if (retain_look(retain, &wait_ms, &e) != 0)
		fail_msg("%s", e.text);
}

static inline void
in_spool(int number, char path[SPOOL_PATH])
{
	char uid[DB_UID];

	snprintf(uid, sizeof uid, "2.25.%d", number);
	spool_path(&node, uid, path);
}

static inline bool
is_there(int number)
{
	struct instance_row row;
	char path[SPOOL_PATH], uid[DB_UID];
	struct err e = { 0 };
	bool has_row;

	snprintf(uid, sizeof uid, "2.25.%d", number);
	in_spool(number, path);
	has_row = instances_get(node.db, uid, &row, &e) == 0;
	assert_int_equal(has_row, file_exists(path));
	return has_row;
}

static inline int64_t
bytes(void)
{
	struct err e = { 0 };
	int64_t n;

	assert_int_equal(retention_bytes(node.db, &n, &e), 0);
	return n;
}

static inline bool
has_result(int64_t job)
{
	char path[SPOOL_PATH];

	spool_result(&node, job, "seg.dcm", path);
	return file_exists(path);
}

static inline void
make_result(int64_t job, size_t n)
{
	char path[SPOOL_PATH], *content = calloc(1, n);
	struct err e = { 0 };

	assert_non_null(content);
	spool_result(&node, job, "", path);
	assert_int_equal(file_make_dirs(path, 0700, &e), 0);
	spool_result(&node, job, "seg.dcm", path);
	assert_int_equal(file_write(path, content, n, &e), 0);
	free(content);
}

/* A series comes and is segmented; its job, with a result of n bytes. */
static inline int64_t
segmented(const char *name, const char *uid, size_t n)
{
	int64_t job;

	take_series(&node, name, 1);
	look(QUIET + 1);
	job = run_job(uid);
	make_result(job, n);
	return job;
}

static inline struct job
get(int64_t id)
{
	struct job j;
	struct err e = { 0 };

	if (jobs_get(node.db, id, &j, &e) != 0)
		fail_msg("%s", e.text);
	job_release(&j);
	return j;
}
