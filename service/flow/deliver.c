/* Results to destinations: when. What is sent and what its answers mean is deliver_send.c.
 * DESIGN: one thread a destination ("lane"): claims its oldest due delivery, sends, records what the peer answered, sleeps until the next is due or the
 * deliver bell rings. A slow or dead peer therefore holds up only its own lane. No lock: lanes share nothing but the database and `stopping`. */
#include "service/flow/deliver.h"

#include "config/clock.h"
#include "config/json.h"
#include "config/log.h"
#include "db/commitments.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "service/flow/audit.h"
#include "service/flow/backoff.h"
#include "service/flow/deliver_send.h"
#include "service/flow/deliver_stow.h"
#include "service/flow/node.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STOP_WAIT_S = 3, TROUBLE_MS = 5000, LONGEST_SLEEP_MS = 60000 /* the wall clock may be set meanwhile */ };

struct lane {
	struct deliver *all;
	const struct destination_setting *destination;
	pthread_t thread;
	struct clock_pace pace;
	bool is_clock_set;                        /* and what waits was not told yet */
};

struct deliver {
	struct node *node;
	atomic_bool stopping;
	size_t n;
	struct lane lanes[];
};

/* ---- recording ---- */

/* The usual wait; the peer's Retry-After when that is later. */
static int64_t
next_wait_s(const struct settings *s, int64_t attempts, int64_t retry_after_s)
{
	int64_t wait = backoff_s(s, attempts);

	return retry_after_s > wait && retry_after_s < s->retry_give_up ? retry_after_s : wait;
}

static void
add_timing(struct db *db, const struct job *j, int64_t ms)
{
	struct err e;
	struct json_doc *d = j->timings == NULL ? NULL : json_parse(j->timings, strlen(j->timings), 0, &e);
	struct json *t = d == NULL ? json_new_object() : json_copy(json_root(d));
	char *text;

	json_set_int(t, "deliver", ms);
	if ((text = json_print(t, false, &e)) == NULL || jobs_timing(db, j->id, text, &e) != 0)
		log_event(LOG_WARN, "timing_not_recorded", "job=%" PRId64 " text=\"%s\"", j->id, e.text);
	free(text);
	json_free(t);
	json_doc_free(d);
}

static void
log_outcome(const struct delivery *d, const struct job *j, const struct verdict *v, int64_t next_ms)
{
	if (v->state == DELIVERY_DELIVERED && v->text[0] == '\0')
		log_event(LOG_INFO, "delivered", "job=%" PRId64 " study=%s destination=%s attempts=%" PRId64, j->id, j->study_uid, d->destination, d->attempts);
	else if (v->state == DELIVERY_DELIVERED)
		log_event(LOG_WARN, "delivered", "job=%" PRId64 " study=%s destination=%s attempts=%" PRId64 " text=\"%s\"", j->id, j->study_uid, d->destination, d->attempts, v->text);
	else if (v->state == DELIVERY_WAITING)
		log_event(LOG_WARN, "delivery_waits", "job=%" PRId64 " destination=%s attempts=%" PRId64 " next_s=%" PRId64 " text=\"%s\"", j->id, d->destination, d->attempts,
		    (next_ms - clock_ms()) / 1000, v->text);
	else
		log_event(LOG_ERROR, v->state == DELIVERY_REFUSED ? "delivery_refused" : "delivery_given_up", "job=%" PRId64 " destination=%s attempts=%" PRId64 " text=\"%s\"", j->id,
		    d->destination, d->attempts, v->text);
}

void
deliver_log_job_end(struct db *db, int64_t job)
{
	struct job j;
	struct err e;

	if (jobs_get(db, job, &j, &e) != 0)
		return;
	if (j.state == JOB_DONE || j.state == JOB_FAILED)
		log_event(j.state == JOB_DONE ? LOG_INFO : LOG_ERROR, j.state == JOB_DONE ? "job_done" : "job_failed", "job=%" PRId64 " study=%s", j.id, j.study_uid);
	job_release(&j);
}

/* Of one that was delivered to a destination that must answer for it, the commitment begins in the same transaction (commit.c). */
static int
record(const struct lane *l, const struct delivery *d, const struct verdict *v, int64_t next_ms, struct err *e)
{
	struct node *n = l->all->node;

	if (v->state != DELIVERY_DELIVERED || !l->destination->commitment)
		return deliveries_settle(n->db, d->id, v->state, next_ms, v->text, e);
	if (commitments_begin(n->db, d->id, clock_ms(), v->text, e) != 0)
		return -1;
	bell_ring(&n->deliver);
	return 0;
}

static void
settle(const struct lane *l, const struct delivery *d, const struct job *j, struct verdict *v)
{
	struct node *n = l->all->node;
	const struct audit_entry given_up = { .event = AUDIT_TRANSFERRED, .action = 'R', .outcome = AUDIT_SERIOUS, .destination = d->destination, .job = j->id,
		.text = "given up after retry_give_up" };
	int64_t now = clock_ms(), next_ms = 0;
	struct err e;

	if (v->state == DELIVERY_WAITING) {
		if (now - d->created_ms >= n->settings->retry_give_up * 1000)
			v->state = DELIVERY_GIVEN_UP;
		else
			next_ms = now + next_wait_s(n->settings, d->attempts, v->retry_after_s) * 1000;
	}
	if (v->state == DELIVERY_GIVEN_UP)
		audit_attach(&given_up);
	/* What the peer answered is not lost to a disk that is full for a while. */
	while (record(l, d, v, next_ms, &e) != 0) {
		log_event(LOG_ERROR, "delivery_not_recorded", "job=%" PRId64 " destination=%s text=\"%s\"", j->id, d->destination, e.text);
		if (!err_may_pass(e.code) || !bell_rest(&n->deliver, TROUBLE_MS)) {
			audit_detach();
			return; /* after a stop: the next start takes it up */
		}
	}
	if (audit_detach())
		audit_tell(n);
	log_outcome(d, j, v, next_ms);
	deliver_log_job_end(n->db, j->id);
	bell_ring(&n->retain);
}

static void
deliver_one(const struct lane *l, const struct delivery *d)
{
	struct node *n = l->all->node;
	struct verdict v;
	struct job j;
	struct err e;
	int64_t began = clock_monotonic_ms();

	while (jobs_get(n->db, d->job, &j, &e) != 0) {
		log_event(LOG_ERROR, "delivery_without_job", "delivery=%" PRId64 " text=\"%s\"", d->id, e.text);
		if (!err_may_pass(e.code) || !bell_rest(&n->deliver, TROUBLE_MS))
			return; /* it stays "sending": the next start takes it up */
	}
	log_event(LOG_DEBUG, "delivery_sending", "job=%" PRId64 " destination=%s attempt=%" PRId64, j.id, d->destination, d->attempts);
	deliver_send(&(const struct attempt) { n, l->destination, &l->all->stopping, &j, d }, &v);
	if (v.state == DELIVERY_DELIVERED)
		add_timing(n->db, &j, clock_monotonic_ms() - began);
	if (v.state != DELIVERY_WAITING || !atomic_load(&l->all->stopping)) /* interrupted by us: it stays "sending", the next start takes it up at once */
		settle(l, d, &j, &v);
	job_release(&j);
}

/* ---- a clock that is set, or a node that was away ----
 * What it tells of the time for which nobody tried is not believed: it would make a first failure the last one. */

enum { LEAP_MS = 3600000, PARTS = 12 /* of retry_give_up: for one of them what is old is tried anew */ };

static int
reckon(struct node *n, const char *destination, int64_t longest_ms, struct err *e)
{
	int64_t now = clock_ms(), give_up_ms = n->settings->retry_give_up * 1000;

	return deliveries_reckon(n->db, destination, &(const struct delivery_times) { now, now + longest_ms, now - give_up_ms + give_up_ms / PARTS }, e);
}

static int64_t
longest_wait_ms(const struct settings *s)
{
	return (s->retry_max > s->dicom.commitment_timeout ? s->retry_max : s->dicom.commitment_timeout) * 1000;
}

static void
mind_clock(struct lane *l)
{
	int64_t leap_ms = clock_leap(&l->pace);
	struct err e;

	l->is_clock_set = l->is_clock_set || leap_ms < 0 || leap_ms > LEAP_MS;
	if (l->is_clock_set && reckon(l->all->node, l->destination->name, 0, &e) != 0)
		log_event(LOG_ERROR, "clock_not_minded", "destination=%s text=\"%s\"", l->destination->name, e.text);
	else
		l->is_clock_set = false;
}

/* ---- the lanes ---- */

/* How long the lane may sleep: until its next delivery is due; -1 = until the bell. */
static int64_t
idle_ms(const struct lane *l, const struct err *claim)
{
	int64_t next = INT64_MAX, now = clock_ms();
	struct err e;

	if (claim->code != ERR_NOT_FOUND || deliveries_next_ms(l->all->node->db, l->destination->name, &next, &e) != 0)
		return TROUBLE_MS;
	return next == INT64_MAX ? -1 : next <= now ? 0 : next - now < LONGEST_SLEEP_MS ? next - now : LONGEST_SLEEP_MS;
}

static void *
run_lane(void *arg)
{
	struct lane *l = arg;
	struct node *n = l->all->node;
	unsigned long seen = 0;
	int64_t wait_ms = 0;

	while (bell_wait(&n->deliver, &seen, wait_ms) && !atomic_load(&l->all->stopping)) {
		struct delivery d;
		struct err e;

		mind_clock(l);
		if (deliveries_claim(n->db, l->destination->name, clock_ms(), &d, &e) == 0) {
			deliver_one(l, &d);
			wait_ms = 0;
			continue;
		}
		if (e.code != ERR_NOT_FOUND)
			log_event(LOG_ERROR, "delivery_claim_failed", "destination=%s text=\"%s\"", l->destination->name, e.text);
		wait_ms = idle_ms(l, &e);
	}
	return NULL;
}

/* ---- deliveries that have no lane ---- */

static int
refuse_all_of(struct node *n, const char *destination, struct err *e)
{
	static const char why[] = "it is not in the settings any more: add it, restart, retry the job";
	struct delivery d;

	while (deliveries_claim(n->db, destination, INT64_MAX, &d, e) == 0) {
		if (deliveries_settle(n->db, d.id, DELIVERY_REFUSED, 0, why, e) != 0)
			return -1;
		log_event(LOG_ERROR, "delivery_refused", "job=%" PRId64 " destination=%s text=\"%s\"", d.job, destination, why);
		deliver_log_job_end(n->db, d.job);
	}
	return e->code == ERR_NOT_FOUND ? 0 : -1;
}

int
deliver_refuse_orphans(struct node *n, int64_t job, struct err *e)
{
	struct delivery *list = NULL;
	size_t count = 0;
	int rc = deliveries_of_job(n->db, job, &list, &count, e);

	for (size_t i = 0; i < count && rc == 0; i++)
		if (list[i].state == DELIVERY_WAITING && settings_destination(n->settings, list[i].destination) == NULL)
			rc = refuse_all_of(n, list[i].destination, e);
	free(list);
	return rc;
}

static int
refuse_orphans(struct node *n, struct err *e)
{
	struct job_filter f = { .has_state = true, .state = JOB_DELIVERING, .limit = 1000 };
	size_t count;
	int rc = 0;

	do {
		struct job *jobs = NULL;
		if (jobs_list(n->db, &f, &jobs, &count, e) != 0)
			return -1;
		for (size_t i = 0; i < count && rc == 0; i++) {
			f.before_id = jobs[i].id;
			rc = deliver_refuse_orphans(n, jobs[i].id, e);
		}
		jobs_free(jobs, count);
	} while (rc == 0 && count > 0);
	return rc == 0 ? 0 : err_note(e, "looking for deliveries without a destination");
}

/* ---- start and stop ---- */

struct deliver *
deliver_start(struct node *n, struct err *e)
{
	size_t count = n->settings->n_destinations;
	struct deliver *d = calloc(1, sizeof *d + count * sizeof *d->lanes);

	if (d == NULL) {
		err_set(e, ERR_LIMIT, "no memory for %zu destinations", count);
		return NULL;
	}
	d->node = n;
	if (stow_start(e) != 0 || reckon(n, NULL, longest_wait_ms(n->settings), e) != 0 || refuse_orphans(n, e) != 0) {
		free(d);
		return NULL;
	}
	for (; d->n < count; d->n++) {
		struct lane *l = &d->lanes[d->n];
		l->all = d;
		l->destination = &n->settings->destinations[d->n];
		if (pthread_create(&l->thread, NULL, run_lane, l) != 0) {
			err_set(e, ERR_LIMIT, "starting the thread of destination %s failed", l->destination->name);
			deliver_stop(d);
			return NULL;
		}
	}
	return d;
}

bool
deliver_stop(struct deliver *d)
{
	struct timespec until;
	bool all = true;

	if (d == NULL)
		return true;
	atomic_store(&d->stopping, true);
	bell_stop(&d->node->deliver);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_WAIT_S;
	for (size_t i = 0; i < d->n; i++)
		if (pthread_timedjoin_np(d->lanes[i].thread, NULL, &until) != 0) {
			log_event(LOG_WARN, "delivery_interrupted", "destination=%s", d->lanes[i].destination->name);
			all = false;
		}
	if (all)
		free(d);
	return all;
}
