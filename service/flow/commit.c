/* See commit.h. What a report means for the delivery is decided here; who may report in door.c; the words and codes of the standard are dicom/commitment's.
 * DESIGN: one thread a destination that asks for commitment ("lane"), as in deliver.c: claims the oldest due one, whose transaction UID is durable by then, asks, and
 * sleeps until the next is due or the deliver bell rings. Reports come on a lane's own association or on the threads of the door: lanes and door share
 * nothing but the database, where the first answer to a delivery counts. */
#include "service/flow/commit.h"

#include "config/clock.h"
#include "config/digest.h"
#include "config/log.h"
#include "db/commitments.h"
#include "db/jobs.h"
#include "service/flow/backoff.h"
#include "service/flow/deliver.h"
#include "service/flow/node.h"
#include "service/flow/peer.h"
#include "service/flow/results.h"
#include "service/flow/spool.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { STOP_WAIT_S = 1 /* beside the 3 of deliver.c; a request that breaks off is made again */, TROUBLE_MS = 5000, LONGEST_SLEEP_MS = 60000 /* the wall clock may be set meanwhile */, SECRET = 16 };

struct lane {
	struct commit *all;
	const struct destination_setting *destination;
	pthread_t thread;
};

struct commit {
	struct node *node;
	atomic_bool stopping;
	size_t n;
	struct lane lanes[];
};

/* ---- what it is about ---- */

struct files {
	char (*paths)[SPOOL_PATH];
	const char **path;             /* the same, as pointers */
	int64_t *position;             /* among the job's results */
	size_t n;
};

static void
files_release(struct files *f)
{
	free(f->paths);
	free(f->path);
	free(f->position);
}

/* The objects of the job that the destination gets. caller: files_release, whatever comes back */
static int
files_of(const struct node *n, const struct commitment *c, struct files *f, struct err *e)
{
	const struct destination_setting *d = settings_destination(n->settings, c->destination);
	struct result_file *list = NULL;
	struct job j;
	int rc;

	*f = (struct files) { 0 };
	if (d == NULL)
		return err_set(e, ERR_NOT_FOUND, "%s is not in the settings any more", c->destination);
	if (jobs_get(n->db, c->job, &j, e) != 0)
		return -1;
	rc = results_files(j.results, d->results, &list, &f->n, e);
	if (rc == 0) {
		f->paths = calloc(f->n + 1, sizeof *f->paths);
		f->path = calloc(f->n + 1, sizeof *f->path);
		f->position = calloc(f->n + 1, sizeof *f->position);
		if (f->paths == NULL || f->path == NULL || f->position == NULL)
			rc = err_set(e, ERR_LIMIT, "no memory for %zu results", f->n);
	}
	for (size_t i = 0; rc == 0 && i < f->n; i++) {
		spool_result(n, j.id, list[i].name, f->paths[i]);
		f->path[i] = f->paths[i];
		f->position[i] = (int64_t)list[i].position;
	}
	free(list);
	job_release(&j);
	return rc;
}

/* ---- the report ---- */

struct verdict {
	enum commitment_fate fate;
	char words[512];
	int64_t *lost;                 /* positions of what is to be sent again */
	size_t n_lost;
};

/* What one instance's answer makes of the whole: never beats lost, lost beats later, later beats good. The words are those of the first that counts. */
static void
add_answer(struct verdict *v, const char *sop_uid, const struct commitment_item *answer)
{
	static const int weight[] = { [COMMITMENT_GOOD] = 0, [COMMITMENT_LATER] = 1, [COMMITMENT_LOST] = 2, [COMMITMENT_NEVER] = 3 };
	enum commitment_fate fate = answer == NULL ? COMMITMENT_LATER : commitment_fate(answer->reason);

	if (weight[fate] <= weight[v->fate])
		return;
	v->fate = fate;
	if (answer == NULL)
		snprintf(v->words, sizeof v->words, "its storage commitment says nothing of instance %s", sop_uid);
	else
		snprintf(v->words, sizeof v->words, "it does not commit itself to instance %s: 0x%04x, %s", sop_uid, answer->reason, commitment_words(answer->reason));
}

/* NULL: none. Of one in both lists the failure counts. */
static const struct commitment_item *
find_answer(const struct commitment_report *r, const char *sop_uid)
{
	const struct commitment_item *answer = NULL;

	for (size_t k = 0; k < r->n; k++)
		if (strcmp(r->items[k].sop_uid, sop_uid) == 0 && (answer == NULL || answer->reason == 0))
			answer = &r->items[k];
	return answer;
}

/* caller: free(v->lost), whatever comes back */
static int
judge(const struct node *n, const struct commitment *c, const struct commitment_report *r, struct verdict *v, struct err *e)
{
	struct files f;
	char uid[DICOM_UID];
	int rc = files_of(n, c, &f, e);

	*v = (struct verdict) { .fate = COMMITMENT_GOOD };
	for (size_t i = 0; rc == 0 && i < f.n; i++) {
		const struct commitment_item *answer;
		if ((rc = commitment_sop_uid(f.path[i], uid, e)) != 0)
			break;
		answer = find_answer(r, uid);
		add_answer(v, uid, answer);
		if (answer != NULL && commitment_fate(answer->reason) == COMMITMENT_LOST)
			f.position[v->n_lost++] = f.position[i]; /* what stood there is done with */
	}
	v->lost = f.position;
	f.position = NULL;
	files_release(&f);
	return rc;
}

static bool
is_over(const struct node *n, int64_t since_ms, int64_t now_ms)
{
	return now_ms - since_ms >= n->settings->retry_give_up * 1000;
}

/* The commitment ends: what becomes of the delivery, the event and how loud it is. */
struct ending { enum delivery_state state; const char *event; enum log_level level; };

static int
finish(struct node *n, const struct commitment *c, const struct ending *as, const struct commitment_end *how, struct err *e)
{
	struct commitment_end with = *how;

	with.state = as->state;
	if (commitments_end(n->db, c->delivery, &with, e) != 0)
		return e->code == ERR_STATE ? 0 : -1; /* another report was faster */
	log_event(as->level, as->event, "job=%" PRId64 " destination=%s requests=%" PRId64 " text=\"%s\"", c->job, c->destination, c->attempts, how->words != NULL ? how->words : "");
	deliver_log_job_end(n->db, c->job);
	return 0;
}

/* Sent again, as any delivery: later each time, and at last given up. */
static int
send_again(struct node *n, const struct commitment *c, const struct verdict *v, struct err *e)
{
	static const struct ending again = { DELIVERY_WAITING, "commitment_lost", LOG_WARN }, over = { DELIVERY_GIVEN_UP, "delivery_given_up", LOG_ERROR };
	int64_t now = clock_ms();
	struct commitment_end how = { .next_ms = now + backoff_s(n->settings, c->delivery_attempts) * 1000, .words = v->words, .lost = v->lost, .n_lost = v->n_lost };

	if (finish(n, c, is_over(n, c->delivery_since_ms, now) ? &over : &again, &how, e) != 0)
		return -1;
	bell_ring(&n->deliver);
	return 0;
}

static int
ask_later(struct node *n, const struct commitment *c, int64_t wait_s, const char *words, struct err *e)
{
	static const struct ending over = { DELIVERY_GIVEN_UP, "commitment_given_up", LOG_ERROR };
	int64_t now = clock_ms();

	if (is_over(n, c->since_ms, now))
		return finish(n, c, &over, &(const struct commitment_end) { .words = words }, e);
	if (commitments_later(n->db, c->delivery, now + wait_s * 1000, words, e) != 0)
		return e->code == ERR_STATE ? 0 : -1; /* its report has come meanwhile, by another way */
	log_event(LOG_WARN, "commitment_waits", "job=%" PRId64 " destination=%s requests=%" PRId64 " next_s=%" PRId64 " text=\"%s\"", c->job, c->destination, c->attempts, wait_s, words);
	return 0;
}

static int
obey(struct node *n, const struct commitment *c, const struct verdict *v, struct err *e)
{
	static const struct ending good = { DELIVERY_COMMITTED, "committed", LOG_INFO }, never = { DELIVERY_REFUSED, "delivery_refused", LOG_ERROR };

	switch (v->fate) {
	case COMMITMENT_GOOD: return finish(n, c, &good, &(const struct commitment_end) { .words = NULL }, e);
	case COMMITMENT_NEVER: return finish(n, c, &never, &(const struct commitment_end) { .words = v->words }, e);
	case COMMITMENT_LOST: return send_again(n, c, v, e);
	default: return ask_later(n, c, backoff_s(n->settings, c->attempts), v->words, e);
	}
}

int
commit_report(struct node *n, const struct commitment_report *r, struct err *e)
{
	struct commitment c;
	struct verdict v;
	int rc;

	if (commitments_find(n->db, r->transaction, &c, e) != 0)
		return -1;
	if (!c.is_open)
		return 0;
	rc = judge(n, &c, r, &v, e) == 0 ? obey(n, &c, &v, e) : -1;
	free(v.lost);
	return rc;
}

/* ---- the request ---- */

static int
reported(void *arg, const struct commitment_report *r, struct err *e)
{
	return commit_report(arg, r, e);
}

/* Nobody can guess it: that a report knows it is part of its proof. */
static int
make_transaction(char uid[DICOM_UID], struct err *e)
{
	unsigned char secret[SECRET];
	char name[2 * SECRET + 1];

	if (getrandom(secret, sizeof secret, 0) != sizeof secret)
		return err_errno(e, "random bytes");
	for (size_t i = 0; i < SECRET; i++)
		snprintf(name + 2 * i, 3, "%02x", secret[i]);
	digest_uid(name, uid);
	return 0;
}

/* What the answer to the request, not yet the report, makes of it. */
static int
settle(struct node *n, const struct commitment *c, int asked, const struct err *why, struct err *e)
{
	static const struct ending no_proof = { DELIVERY_DELIVERED, "commitment_not_offered", LOG_WARN };
	int64_t wait_s = backoff_s(n->settings, c->attempts);

	if (asked == 0)
		return ask_later(n, c, wait_s > n->settings->dicom.commitment_timeout ? wait_s : n->settings->dicom.commitment_timeout,
			"asked for storage commitment, its report is waited for", e);
	if (why->code == ERR_INPUT)
		return finish(n, c, &no_proof, &(const struct commitment_end) { .words = why->text }, e);
	return ask_later(n, c, wait_s, why->text, e);
}

static void
ask(const struct lane *l, const struct commitment *c, const char *transaction)
{
	struct node *n = l->all->node;
	struct scu_peer peer = peer_of_destination(n->settings, l->destination);
	struct commitment_question q = { .peer = &peer, .transaction = transaction, .wait_s = (unsigned)n->settings->dicom.commitment_wait };
	bool is_reported = false;
	struct files f;
	struct err why, e;
	int rc = files_of(n, c, &f, &why);

	if (rc == 0) {
		q.paths = f.path;
		q.n = f.n;
		log_event(LOG_DEBUG, "commitment_asked", "job=%" PRId64 " destination=%s transaction=%s", c->job, c->destination, transaction);
		rc = commitment_ask(&q, reported, n, &is_reported, &why);
	}
	files_release(&f);
	if (!is_reported && settle(n, c, rc, &why, &e) != 0)
		log_event(LOG_ERROR, "commitment_not_recorded", "job=%" PRId64 " destination=%s text=\"%s\"", c->job, c->destination, e.text); /* due again by its claim */
}

/* ---- the lanes ---- */

/* 0: one was asked. -1: nothing is due, or trouble; *wait_ms: how long to sleep, -1 until the bell. */
static int
ask_next(const struct lane *l, int64_t *wait_ms)
{
	struct node *n = l->all->node;
	int64_t now = clock_ms(), next;
	char transaction[DICOM_UID];
	struct commitment c;
	struct err e;

	*wait_ms = 0;
	if (make_transaction(transaction, &e) == 0 &&
	    commitments_claim(n->db, l->destination->name, now, now + n->settings->dicom.commitment_timeout * 1000, transaction, &c, &e) == 0) {
		ask(l, &c, transaction);
		return 0;
	}
	if (e.code != ERR_NOT_FOUND)
		log_event(LOG_ERROR, "commitment_claim_failed", "destination=%s text=\"%s\"", l->destination->name, e.text);
	if (e.code != ERR_NOT_FOUND || commitments_next_ms(n->db, l->destination->name, &next, &e) != 0)
		*wait_ms = TROUBLE_MS;
	else
		*wait_ms = next == INT64_MAX ? -1 : next <= now ? 0 : next - now < LONGEST_SLEEP_MS ? next - now : LONGEST_SLEEP_MS;
	return -1;
}

static void *
run_lane(void *arg)
{
	const struct lane *l = arg;
	unsigned long seen = 0;
	int64_t wait_ms = 0;

	while (bell_wait(&l->all->node->deliver, &seen, wait_ms) && !atomic_load(&l->all->stopping))
		ask_next(l, &wait_ms);
	return NULL;
}

/* Those that no lane would ever ask about, since the settings have changed: their jobs would wait with them. */
static int
end_orphans(struct node *n, struct err *e)
{
	static const struct ending no_more = { DELIVERY_DELIVERED, "commitment_dropped", LOG_WARN };
	struct commitment *list;
	size_t count;
	int rc;

	if (commitments_open(n->db, &list, &count, e) != 0)
		return -1;
	rc = 0;
	for (size_t i = 0; i < count && rc == 0; i++) {
		const struct destination_setting *d = settings_destination(n->settings, list[i].destination);
		if (d == NULL || !d->commitment)
			rc = finish(n, &list[i], &no_more, &(const struct commitment_end) { .words = "the settings ask it for storage commitment no more" }, e);
	}
	free(list);
	return rc == 0 ? 0 : err_note(e, "looking for storage commitments that nobody asks for");
}

struct commit *
commit_start(struct node *n, struct err *e)
{
	size_t count = n->settings->n_destinations;
	struct commit *c = calloc(1, sizeof *c + count * sizeof *c->lanes);

	if (c == NULL) {
		err_set(e, ERR_LIMIT, "no memory for %zu destinations", count);
		return NULL;
	}
	c->node = n;
	if (end_orphans(n, e) != 0) {
		free(c);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		struct lane *l = &c->lanes[c->n];
		if (!n->settings->destinations[i].commitment)
			continue;
		l->all = c;
		l->destination = &n->settings->destinations[i];
		if (pthread_create(&l->thread, NULL, run_lane, l) != 0) {
			err_set(e, ERR_LIMIT, "starting the thread that asks %s for storage commitment failed", l->destination->name);
			commit_stop(c);
			return NULL;
		}
		c->n++;
	}
	return c;
}

bool
commit_stop(struct commit *c)
{
	struct timespec until;
	bool all = true;

	if (c == NULL)
		return true;
	atomic_store(&c->stopping, true);
	bell_stop(&c->node->deliver);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_WAIT_S;
	for (size_t i = 0; i < c->n; i++)
		all = pthread_timedjoin_np(c->lanes[i].thread, NULL, &until) == 0 && all;
	if (all)
		free(c);
	return all;
}
