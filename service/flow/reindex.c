/* Rows from files. A spool file is known by its name, the digest of its SOP Instance UID, so only files without a row are read. */
#include "service/flow/reindex.h"

#include "config/clock.h"
#include "config/digest.h"
#include "config/file.h"
#include "db/instances.h"
#include "dicom/attributes.h"
#include "service/flow/intake.h"
#include "service/flow/node.h"
#include "service/flow/record.h"
#include "service/flow/spool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { GROUP = 200 /* rows a commit */ };

struct filling {
	const struct node *n;
	reindex_tell *tell;
	void *arg;
	struct reindex_report *report;
	char (*known)[DIGEST_HEX];                 /* names of the files that have rows, sorted */
	size_t n_known;
	int64_t association;
	struct instance_row rows[GROUP];
	size_t n_rows;
	int64_t *jobs;                             /* numbers of the jobs that have a record */
	size_t n_jobs, room;
};

static int
by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int
list_known(struct filling *f, struct err *e)
{
	struct instance_uid *uids = NULL;

	if (instances_uids(f->n->db, &uids, &f->n_known, e) != 0)
		return -1;
	f->known = calloc(f->n_known + 1, sizeof *f->known);
	for (size_t i = 0; f->known != NULL && i < f->n_known; i++)
		digest_of(uids[i].text, strlen(uids[i].text), f->known[i]);
	free(uids);
	if (f->known == NULL)
		return err_set(e, ERR_LIMIT, "no memory for %zu names", f->n_known);
	qsort(f->known, f->n_known, sizeof *f->known, by_text);
	return 0;
}

static void
leave_out(struct filling *f, const char *path, const char *why)
{
	f->report->left_out++;
	f->tell(f->arg, path, why);
}

/* ---- instances ---- */

static int
add_rows(struct filling *f, struct err *e)
{
	if (instances_add_all(f->n->db, f->rows, f->n_rows, e) != 0)
		return -1;
	f->report->instances += f->n_rows;
	f->n_rows = 0;
	return 0;
}

/* 0: *row describes the file. -1: it is none of ours, or cannot be read. */
static int
describe(struct filling *f, const char *path, struct instance_row *row, struct err *e)
{
	struct attributes *a = attributes_load(path, e);
	struct intake_file file = { .path = path, .association = f->association };
	char wanted[SPOOL_PATH];
	struct stat st;
	int r = -1;

	if (a == NULL)
		return -1;
	spool_path(f->n, attributes_header(a)->sop_uid, wanted);
	if (strcmp(wanted, path) != 0)
		err_set(e, ERR_INPUT, "its name is not the one of its SOP Instance UID %s", attributes_header(a)->sop_uid);
	else
		r = intake_describe(f->n, &file, attributes_header(a), row, e);
	attributes_free(a);
	if (r == 0 && stat(path, &st) == 0)
		row->received_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	return r;
}

static int
add_file(void *arg, const char *path, struct err *e)
{
	struct filling *f = arg;
	const char *name = strrchr(path, '/') + 1;
	char hex[DIGEST_HEX];
	struct err why;

	f->report->files++;
	snprintf(hex, sizeof hex, "%.64s", name);
	if (strlen(name) == DIGEST_HEX - 1 + strlen(".dcm") && bsearch(hex, f->known, f->n_known, sizeof *f->known, by_text) != NULL)
		return 0;
	if (describe(f, path, &f->rows[f->n_rows], &why) != 0) {
		if (err_may_pass(why.code)) {
			*e = why;
			return -1;
		}
		leave_out(f, path, why.text);
		return 0;
	}
	return ++f->n_rows == GROUP ? add_rows(f, e) : 0;
}

/* ---- jobs ---- */

static int
note_job(void *arg, const char *path, struct err *e)
{
	struct filling *f = arg;
	const char *name = strrchr(path, '/') + 1, *folder = name - 1;
	int64_t *more;

	if (strcmp(name, record_file) != 0)
		return 0;
	while (folder > path && folder[-1] != '/')
		folder--;
	if (f->n_jobs == f->room) {
		f->room = f->room > 0 ? 2 * f->room : 64;
		more = reallocarray(f->jobs, f->room, sizeof *more);
		if (more == NULL)
			return err_set(e, ERR_LIMIT, "no memory for %zu jobs", f->room);
		f->jobs = more;
	}
	f->jobs[f->n_jobs++] = strtoll(folder, NULL, 10);
	return 0;
}

static int
by_number(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static int
is_known_job(const struct filling *f, const struct job *j, bool *is, struct err *e)
{
	struct job there;

	if (jobs_get(f->n->db, j->id, &there, e) != 0)
		return e->code == ERR_NOT_FOUND ? (*is = false, 0) : -1;
	*is = strcmp(there.study_uid, j->study_uid) == 0 && there.created_ms == j->created_ms;
	job_release(&there);
	return 0;
}

static int
add_job(struct filling *f, int64_t id, struct err *e)
{
	char path[SPOOL_PATH];
	struct record r;
	bool is_known = false;
	int result;

	spool_result(f->n, id, record_file, path);
	result = record_read(path, &r, e);
	if (result == 0 && r.job.id != id)
		result = err_set(e, ERR_INPUT, "it is the record of job %lld", (long long)r.job.id);
	if (result == 0)
		result = is_known_job(f, &r.job, &is_known, e);
	if (result == 0 && !is_known) {
		result = jobs_restore(f->n->db, &r.job, r.inputs, r.n_inputs, (const char *const *)r.destinations, r.n_destinations, e);
		f->report->jobs += result == 0;
		f->report->to_resend += result == 0 && r.n_destinations > 0;
	}
	record_release(&r);
	if (result == 0 || err_may_pass(e->code))
		return result;
	leave_out(f, path, e->text);
	return 0;
}

/* ---- both ---- */

/* In the order of their numbers: a job that replaces another names it. */
static int
fill_jobs(struct filling *f, const char *results, struct err *e)
{
	int r = 0;

	if (file_exists(results) && file_walk(results, note_job, f, e) != 0)
		return -1;
	if (f->n_jobs > 0)
		qsort(f->jobs, f->n_jobs, sizeof *f->jobs, by_number);
	for (size_t i = 0; i < f->n_jobs && r == 0; i++)
		r = add_job(f, f->jobs[i], e);
	return r;
}

/* Jobs first: a study that has one is not matched anew. */
static int
fill(struct filling *f, struct err *e)
{
	char spool[SPOOL_PATH], results[SPOOL_PATH];

	snprintf(spool, sizeof spool, "%s/spool", f->n->settings->data_dir);
	snprintf(results, sizeof results, "%s/results", f->n->settings->data_dir);
	if (fill_jobs(f, results, e) != 0 || list_known(f, e) != 0)
		return -1;
	if (associations_open(f->n->db, "", "", clock_ms(), &f->association, e) != 0)
		return -1;
	if ((file_exists(spool) && file_walk(spool, add_file, f, e) != 0) || add_rows(f, e) != 0)
		return -1;
	if (associations_close(f->n->db, f->association, false, clock_ms(), e) != 0)
		return -1;
	return f->report->instances + f->report->jobs > 0 ? db_begin_epoch(f->n->db, e) : 0;
}

int
reindex_fill(const struct node *n, reindex_tell *tell, void *arg, struct reindex_report *out, struct err *e)
{
	struct filling *f = calloc(1, sizeof *f);
	int r;

	memset(out, 0, sizeof *out);
	if (f == NULL)
		return err_set(e, ERR_LIMIT, "no memory");
	f->n = n;
	f->tell = tell;
	f->arg = arg;
	f->report = out;
	r = fill(f, e);
	free(f->known);
	free(f->jobs);
	free(f);
	return r;
}
