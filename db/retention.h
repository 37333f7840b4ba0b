/* What leaves the node: which studies nothing needs any more, and what is left of them. A study goes as a whole, with the results of its jobs: first its rows, and
 * its files are noted as leftovers, in one transaction; then the files (service/flow/retain.c); then the notes. Whatever ends the process, what is noted is still to
 * be done. What stays: its jobs, their history and inputs; and the digests of the instances that they read, so that other content under those UIDs is known for
 * what it is (instances_get_removed). */
#pragma once
#include "db/instances.h"

struct kept_study {
	char study_uid[DB_UID];
	int64_t since_ms;                                              /* its last instance, or the last job's beginning or end */
	enum { STUDY_UNUSED, STUDY_WAITS /* a rule accepts one of its series */, STUDY_HAS_JOB } use;
};
/* Those that nothing needs, by since_ms. Needed: while a series is open or waiting, or an open association brings a part of it; while a job or a delivery has not
 * ended. caller: free */
int retention_studies(struct db *d, struct kept_study **out, size_t *n, struct err *e);
struct removed_study { int64_t instances, jobs, bytes; };
/* ERR_STATE when it changed since retention_studies. cause: a line in the history of its jobs. */
int retention_remove(struct db *d, const struct kept_study *s, int64_t now_ms, const char *cause, struct removed_study *out, struct err *e);

/* Files without rows: of an instance, or all results of a job. */
struct leftover { int64_t id, job /* 0: an instance */; char sop_uid[DB_UID]; };
int retention_leftovers(struct db *d, int64_t after_id, size_t limit, struct leftover **out, size_t *n, struct err *e); /* by id; caller: free */
int retention_forget(struct db *d, const struct leftover *gone, size_t n, struct err *e); /* their files are gone */

/* ---- how much there is ---- */
int retention_bytes(struct db *d, int64_t *bytes, struct err *e);  /* of instances, and of the results that are measured */
int retention_unmeasured(struct db *d, int64_t **jobs, size_t *n, struct err *e); /* that have ended; caller: free */
int retention_measured(struct db *d, int64_t job, int64_t bytes, struct err *e);
