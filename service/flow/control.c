/* Retry and cancel (DESIGN small print "Jobs", "Deliveries"). Each step is one compare-and-set of the job table: when the job moved meanwhile, the state
 * is read again. */
#include "service/flow/control.h"

#include "config/clock.h"
#include "config/log.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "service/flow/node.h"
#include "service/flow/worker.h"

#include <stdio.h>
#include <stdlib.h>

enum { CANCEL_TRIES = 8 };   /* a job has fewer moves than that before it is final */

/* The highest run of the case version that j belongs to, so that a new one has UIDs of its own. */
static int
last_run(struct node *n, const struct job *j, int64_t *run, struct err *e)
{
	char model[sizeof j->model_name + sizeof j->model_version];
	struct job_filter f = { .study_uid = j->study_uid, .model = model, .limit = 1000 };
	struct job *jobs;
	size_t n_jobs;

	snprintf(model, sizeof model, "%s@%s", j->model_name, j->model_version);
	if (jobs_list(n->db, &f, &jobs, &n_jobs, e) < 0)
		return -1;
	*run = j->run;
	for (size_t i = 0; i < n_jobs; i++)
		if (jobs[i].case_version == j->case_version && jobs[i].run > *run)
			*run = jobs[i].run;
	jobs_free(jobs, n_jobs);
	return 0;
}

/* The inputs of a case that was whole are fixed: its new run may be queued at once. Otherwise dispatch looks at the series as for any receiving job. */
static int
queue_as(struct node *n, const struct job *old, int64_t id, struct err *e)
{
	struct job_input *inputs;
	char cause[64];
	size_t n_inputs;
	int rc = 0;

	if (!old->fingerprint)
		return 0;
	if (jobs_inputs(n->db, old->id, &inputs, &n_inputs, e) < 0)
		return -1;
	snprintf(cause, sizeof cause, "new run of job %lld", (long long)old->id);
	if (n_inputs > 0)
		rc = jobs_queue(n->db, id, old->channels, old->fingerprint, inputs, n_inputs, cause, e);
	free(inputs);
	return rc < 0 && e->code != ERR_STATE ? -1 : 0;        /* ERR_STATE: dispatch was faster */
}

static int
new_run(struct node *n, const struct job *old, int64_t *job, struct err *e)
{
	struct job j = { .state = JOB_RECEIVING, .case_version = old->case_version, .replaces = old->id, .created_ms = clock_ms(),
	                 .channels = old->channels };
	int64_t run;

	if (last_run(n, old, &run, e) < 0)
		return -1;
	j.run = run + 1;
	snprintf(j.study_uid, sizeof j.study_uid, "%s", old->study_uid);
	snprintf(j.model_name, sizeof j.model_name, "%s", old->model_name);
	snprintf(j.model_version, sizeof j.model_version, "%s", old->model_version);
	snprintf(j.model_digest, sizeof j.model_digest, "%s", old->model_digest);
	snprintf(j.priority, sizeof j.priority, "%s", old->priority);
	if (jobs_create(n->db, &j, job, e) < 0 || queue_as(n, old, *job, e) < 0)
		return -1;
	bell_ring(&n->dispatch);
	bell_ring(&n->work);
	return 0;
}

static int
retry_failed(struct node *n, const struct job *j, struct err *e)
{
	struct delivery *deliveries;
	size_t n_deliveries;

	if (deliveries_of_job(n->db, j->id, &deliveries, &n_deliveries, e) < 0)
		return -1;
	free(deliveries);
	if (n_deliveries > 0) {
		if (deliveries_retry(n->db, j->id, e) < 0)
			return -1;
		bell_ring(&n->deliver);
		return 0;
	}
	if (jobs_retry(n->db, j->id, "retry asked for", e) < 0)
		return -1;
	bell_ring(&n->work);
	return 0;
}

int
control_retry(struct node *n, int64_t id, int64_t *job, struct err *e)
{
	struct job j;
	int rc;

	if (jobs_get(n->db, id, &j, e) < 0)
		return -1;
	*job = id;
	if (!job_state_is_final(j.state))
		rc = err_set(e, ERR_STATE, "job %lld is %s: only a job that has ended can be retried", (long long)id, job_state_name(j.state));
	else if (j.state == JOB_FAILED && j.fingerprint)
		rc = retry_failed(n, &j, e);
	else
		rc = new_run(n, &j, job, e);
	if (rc == 0)
		log_event(LOG_INFO, "job_retry", "job=%lld goes_on_as=%lld", (long long)id, (long long)*job);
	job_release(&j);
	return rc;
}

int
control_cancel(struct node *n, struct workers *w, int64_t id, struct err *e)
{
	for (int tries = 0; tries < CANCEL_TRIES; tries++) {
		enum job_state state;
		struct job j;
		if (jobs_get(n->db, id, &j, e) < 0)
			return -1;
		state = j.state;
		job_release(&j);
		if (job_state_is_final(state))
			return err_set(e, ERR_STATE, "job %lld is %s already", (long long)id, job_state_name(state));
		if (jobs_end(n->db, id, state, JOB_CANCELLED, "cancelled by request", e) == 0) {
			if (w && state == JOB_RUNNING)
				workers_cancel(w, id);
			log_event(LOG_INFO, "job_cancelled", "job=%lld was=%s", (long long)id, job_state_name(state));
			return 0;
		}
		if (e->code != ERR_STATE)
			return -1;
	}
	return err_note(e, "cancelling job %lld", (long long)id);
}
