/* Retry and cancel (DESIGN small print "Jobs", "Deliveries"). Each step is one compare-and-set of the job table: when the job moved meanwhile, the state
 * is read again. */
#include "service/flow/control.h"

#include "config/clock.h"
#include "config/log.h"
#include "db/deliveries.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "service/flow/deliver.h"
#include "service/flow/node.h"
#include "service/flow/record.h"
#include "service/flow/worker.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { CANCEL_TRIES = 8 };   /* a job has fewer moves than that before it is final */

/* Also of a failed job whose images or results retention has removed, when they have come again: ERR_STATE when not. The inputs of a case that was whole are fixed: its new run takes them over and is queued at once. Otherwise dispatch looks at the series as for any
 * receiving job. */
static int
new_run(struct node *n, const struct job *old, int64_t *job, struct err *e)
{
	struct job j = { .state = old->fingerprint ? JOB_QUEUED : JOB_RECEIVING, .case_version = old->case_version, .replaces = old->id, .created_ms = clock_ms(),
	                 .channels = old->channels };

	snprintf(j.study_uid, sizeof j.study_uid, "%s", old->study_uid);
	snprintf(j.model_name, sizeof j.model_name, "%s", old->model_name);
	snprintf(j.model_version, sizeof j.model_version, "%s", old->model_version);
	snprintf(j.model_digest, sizeof j.model_digest, "%s", old->model_digest);
	snprintf(j.priority, sizeof j.priority, "%s", old->priority);
	if (jobs_create(n->db, &j, job, e) < 0)
		return -1;
	if (old->state == JOB_REJECTED && old->fingerprint == NULL && series_reopen(n->db, old->study_uid, e) < 0) /* what rejected it may be cured: a file, a disk, a rule */
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
		if (deliveries_retry(n->db, j->id, e) < 0 || deliver_refuse_orphans(n, j->id, e) < 0)
			return -1;
		bell_ring(&n->deliver);
		return 0;
	}
	if (jobs_retry(n->db, j->id, "retry asked for", e) < 0)
		return -1;
	bell_ring(&n->work);
	return 0;
}

/* A failed job goes on with what it has: its inputs, its results. Not where the images were removed, or a result is not on the disk any more as it was computed: a new
 * run makes it, under UIDs of its own. */
static int
can_go_on(const struct node *n, const struct job *j, bool *can, struct err *e)
{
	*can = false;
	if (j->state != JOB_FAILED || j->fingerprint == NULL || j->removed_ms != 0)
		return 0;
	*can = record_check(n, j, UINT_MAX, e) == 0;
	return *can || e->code == ERR_STATE ? 0 : -1;
}

int
control_retry(struct node *n, int64_t id, int64_t *job, struct err *e)
{
	bool goes_on;
	struct job j;
	int rc;

	if (jobs_get(n->db, id, &j, e) < 0)
		return -1;
	*job = id;
	if (!job_state_is_final(j.state))
		rc = err_set(e, ERR_STATE, "job %lld is %s: only a job that has ended can be retried", (long long)id, job_state_name(j.state));
	else if ((rc = can_go_on(n, &j, &goes_on, e)) == 0)
		rc = goes_on ? retry_failed(n, &j, e) : new_run(n, &j, job, e);
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
			bell_ring(&n->retain);
			log_event(LOG_INFO, "job_cancelled", "job=%lld was=%s", (long long)id, job_state_name(state));
			return 0;
		}
		if (e->code != ERR_STATE)
			return -1;
	}
	return err_note(e, "cancelling job %lld", (long long)id);
}

int
control_give_up(struct node *n, int64_t id, const char *destination, struct err *e)
{
	if (deliveries_give_up(n->db, id, destination, "given up by request", e) < 0)
		return -1;
	log_event(LOG_WARN, "delivery_given_up", "job=%lld destination=%s text=\"given up by request\"", (long long)id, destination);
	deliver_log_job_end(n->db, id);
	return 0;
}
