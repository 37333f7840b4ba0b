/* DATA/results/<job id>/job.json: what the database says of a computed job, beside its results, and the digest of each of their files. Written before the row, read
 * when the database is rebuilt (reindex.h): a job that is known is not computed again, so its results keep their UIDs and no study gets a second one. */
#pragma once
#include "db/jobs.h"

struct node;
extern const char record_file[];                                /* "job.json" */

int record_write(const struct node *n, const struct job *j, const struct job_outcome *o, const char *const *destinations, size_t n_destinations, struct err *e);

/* The files of the results of these kinds (enum result_kind, a bit each) are as they were computed: asked before one is sent or shown. ERR_STATE names the first that
 * is not; where the record is lost, or of a version without digests, only one that is not there. ERR_IO: it could not be read now. */
int record_check(const struct node *n, const struct job *j, unsigned kinds, struct err *e);

struct record {
	struct job job;
	struct job_input *inputs;
	size_t n_inputs;
	char **destinations;
	size_t n_destinations;
};
/* ERR_NOT_FOUND; ERR_INPUT: not one of ours. caller: record_release, also after a failure. */
int  record_read(const char *path, struct record *out, struct err *e);
void record_release(struct record *r);
