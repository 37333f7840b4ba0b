/* /api/v1/jobs: the list, one job, its files, retry, cancel and giving a delivery up. What a job looks like is service/flow/job_json, what may be done to it service/flow/control. */
#include "config/clock.h"
#include "config/file.h"
#include "config/result_kind.h"
#include "service/flow/audit.h"
#include "service/flow/control.h"
#include "service/flow/job_json.h"
#include "service/flow/node.h"
#include "service/flow/record.h"
#include "service/flow/spool.h"
#include "service/http/handlers.h"
#include "service/http/page.h"
#include "service/http/problem.h"
#include "service/http/who.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NAME or NAME@VERSION as a model's folder may be called. */
static bool
is_model_name(const char *text)
{
	size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-");

	if (n == 0)
		return false;
	return !text[n] || (text[n] == '@' && text[n + 1] && !strchr(text + n + 1, '@') && is_model_name(text + n + 1));
}

static int
read_filter(const struct request *q, struct page *p, struct job_filter *f, struct err *e)
{
	const char *state = request_query(q, "state");

	if (page_read(q, p, e) < 0)
		return -1;
	/* one more than shown: is there a next page? */
	*f = (struct job_filter){ .study_uid = p->study_uid, .model = request_query(q, "model"), .has_state = state != NULL, .since_ms = p->since_ms, .before_id = p->before_id,
		.limit = p->limit + 1 };
	if (state && !job_state_parse(state, &f->state))
		return err_set(e, ERR_INPUT, "state: one of receiving, queued, running, delivering, done, failed, rejected, cancelled");
	if (f->model && !is_model_name(f->model))
		return err_set(e, ERR_INPUT, "model: NAME or NAME@VERSION");
	return 0;
}

static struct json *
list_json(const struct request *q, struct err *e)
{
	struct db *d = q->node->db;
	struct json *o = NULL, *list;
	struct job_filter f;
	struct page p;
	struct job *jobs;
	size_t n;

	if (read_filter(q, &p, &f, e) < 0 || jobs_list(d, &f, &jobs, &n, e) < 0)
		return NULL;
	list = json_new_array();
	for (size_t i = 0; i < n && i < p.limit; i++) {
		struct json *job = job_json(d, &jobs[i], e);
		if (!job) {
			json_free(list);
			goto out;
		}
		json_add(list, job);
	}
	o = page_json("jobs", list, n > p.limit, n > p.limit ? jobs[p.limit - 1].id : 0);
out:
	jobs_free(jobs, n);
	return o;
}

void
jobs_list_answer(struct request *q, struct reply *r)
{
	struct err e;
	struct json *o = list_json(q, &e);

	if (o)
		reply_json(r, 200, o);
	else
		problem_error(r, &e);
}

/* The job number in the path. False: *r says that there is none. */
static bool
job_id(const struct request *q, int64_t *id, struct reply *r)
{
	if (request_integer(q->params[0], 1, INT64_MAX, id) == 0)
		return true;
	problem_set(r, 404, "no job has that number");
	return false;
}

static void
answer_job(struct request *q, struct reply *r, unsigned status, int64_t id)
{
	struct err e;
	struct json *o = job_json_by_id(q->node->db, id, &e);

	if (o)
		reply_json(r, status, o);
	else
		problem_error(r, &e);
}

void
job_answer(struct request *q, struct reply *r)
{
	int64_t id;

	if (job_id(q, &id, r))
		answer_job(q, r, 200, id);
}

/* Somebody sees a result of the study. */
static void
record_access(const struct request *q, const struct job *j, const char *name)
{
	struct audit_entry a = { .event = AUDIT_ACCESSED, .action = 'R', .study_uid = j->study_uid, .job = j->id, .text = name };

	who_sign(q, &a);
	audit_record(q->node, &a);
}

static void
answer_file(struct request *q, struct reply *r, unsigned kinds, const char *name, const char *type)
{
	char path[SPOOL_PATH], absent[128], when[CLOCK_TEXT];
	struct job j;
	struct err e;
	int64_t id;

	if (!job_id(q, &id, r))
		return;
	if (jobs_get(q->node->db, id, &j, &e) < 0) {
		problem_error(r, &e);
		return;
	}
	snprintf(absent, sizeof absent, "job %lld is %s and has no %s%s", (long long)id, job_state_name(j.state), name,
	         j.finding && strcmp(j.finding, "none") == 0 ? ": nothing was found" : "");
	spool_result(q->node, id, name, path);
	if (j.removed_ms) {
		clock_text(j.removed_ms, when);
		problem_set(r, 410, "the images and results of job %lld were removed by retention at %s", (long long)id, when);
	} else if (record_check(q->node, &j, kinds, &e) != 0 && file_exists(path)) {
		problem_set(r, 500, "%s", e.text);
	} else {
		reply_file(r, path, type, absent);
		if (r->status == 200)
			record_access(q, &j, name);
	}
	job_release(&j);
}

void
job_seg_answer(struct request *q, struct reply *r)
{
	answer_file(q, r, RESULT_SET(RESULT_SEG), "seg.dcm", "application/dicom");
}

void
job_report_answer(struct request *q, struct reply *r)
{
	answer_file(q, r, RESULT_SET(RESULT_REPORT), "report.dcm", "application/dicom");
}

void
job_preview_answer(struct request *q, struct reply *r)
{
	answer_file(q, r, 0, "preview.png", "image/png");
}

/* What a person does to a job, recorded in the transaction that does it. */
static void
sign(const struct request *q, struct audit_entry *a)
{
	a->event = AUDIT_JOB;
	a->action = 'U';
	who_sign(q, a);
	audit_attach(a);
}

static void
signed_off(const struct request *q)
{
	if (audit_detach())
		audit_tell(q->node);
}

void
job_retry_answer(struct request *q, struct reply *r)
{
	int64_t id, goes_on;
	char location[64];
	struct err e;
	int rc;

	if (!job_id(q, &id, r))
		return;
	sign(q, &(struct audit_entry){ .type = AUDIT_RETRY, .job = id });
	rc = control_retry(q->node, id, &goes_on, &e);
	signed_off(q);
	if (rc < 0) {
		problem_error(r, &e);
		return;
	}
	snprintf(location, sizeof location, "/api/v1/jobs/%lld", (long long)goes_on);
	reply_header(r, "Location", location);
	answer_job(q, r, 202, goes_on);
}

void
job_cancel_answer(struct request *q, struct reply *r)
{
	struct err e;
	int64_t id;
	int rc;

	if (!job_id(q, &id, r))
		return;
	sign(q, &(struct audit_entry){ .type = AUDIT_CANCEL, .job = id });
	rc = control_cancel(q->node, q->workers, id, &e);
	signed_off(q);
	if (rc < 0)
		problem_error(r, &e);
	else
		answer_job(q, r, 200, id);
}

void
job_give_up_answer(struct request *q, struct reply *r)
{
	struct err e;
	int64_t id;
	int rc;

	if (!job_id(q, &id, r))
		return;
	sign(q, &(struct audit_entry){ .type = AUDIT_GIVE_UP, .job = id, .destination = q->params[1] });
	rc = control_give_up(q->node, id, q->params[1], &e);
	signed_off(q);
	if (rc < 0)
		problem_error(r, &e);
	else
		answer_job(q, r, 200, id);
}
