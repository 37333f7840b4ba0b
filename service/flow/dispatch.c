/* The thread that turns silence into jobs.
 * DESIGN: one thread runs everything here, in cases.c and in settle.c. It waits on node.dispatch, rung by every new instance, every association that ends and
 * whoever makes a receiving job, until the next quiet time; it never polls. It keeps no state but which unsettled series it has seen: all else is in the
 * database, and the first look after a start treats every unsettled series and every receiving job as new. A look that fails (disk, memory) is repeated. */
#include "service/flow/dispatch.h"

#include "config/clock.h"
#include "config/log.h"
#include "service/flow/cases.h"
#include "service/flow/intake.h"
#include "service/flow/node.h"
#include "service/flow/settle.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 5000, REST_MAX_MS = 250 };

struct seen { char series_uid[DB_UID]; bool is_matched; int64_t not_before_ms; };

struct dispatch {
	struct node *node;
	const struct rules *rules;
	pthread_t thread;
	struct seen *seen;                    /* the unsettled series of the last look, by UID */
	size_t n_seen;
	int64_t job_seen;                     /* the highest id of a receiving job that was looked at */
	struct clock_pace pace;
};

static int
compare_seen(const void *a, const void *b)
{
	return strcmp(((const struct seen *)a)->series_uid, ((const struct seen *)b)->series_uid);
}

static void
earlier(int64_t *next_ms, int64_t ms)
{
	if (ms < *next_ms)
		*next_ms = ms;
}

static void
look_at_series(struct dispatch *d, const struct series_row *row, struct seen *s, int64_t *next_ms)
{
	int64_t now_ms = clock_ms(), again_ms = 0;
	struct err e;
	int result = 0;

	if (now_ms < s->not_before_ms) {
		earlier(next_ms, s->not_before_ms);
		return;
	}
	if (!s->is_matched) /* new here, or again: a channel may be filled, a queued job may have to wait */
		result = cases_match(d->node, d->rules, row->study_uid, NULL, &e);
	s->is_matched = result == 0;
	if (result == 0)
		result = settle_series(d->node, d->rules, row, now_ms, &again_ms, &e);
	if (result != 0) {
		log_event(LOG_ERROR, "series_not_settled", "series=%s retry_ms=%d text=\"%s\"", row->series_uid, RETRY_MS, e.text);
		again_ms = s->not_before_ms = now_ms + RETRY_MS;
		d->job_seen = 0; /* the series may be settled and only its job not queued: no series calls for that job any more */
	}
	if (again_ms == 0)
		s->is_matched = false; /* settled: when it opens again it is new */
	else
		earlier(next_ms, again_ms);
}

/* Every unsettled series once. */
static int
look_at_all_series(struct dispatch *d, int64_t *next_ms, struct err *e)
{
	struct series_row *rows = NULL;
	struct seen *seen;
	size_t n = 0;

	if (series_unsettled(d->node->db, &rows, &n, e) != 0)
		return -1;
	seen = calloc(n + 1, sizeof *seen);
	if (seen == NULL) {
		free(rows);
		return err_set(e, ERR_LIMIT, "no memory for %zu series", n);
	}
	for (size_t i = 0; i < n; i++) {
		const struct seen *before;
		memcpy(seen[i].series_uid, rows[i].series_uid, sizeof seen[i].series_uid);
		before = d->n_seen > 0 ? bsearch(&seen[i], d->seen, d->n_seen, sizeof *seen, compare_seen) : NULL;
		if (before != NULL)
			seen[i] = *before;
		look_at_series(d, &rows[i], &seen[i], next_ms);
	}
	qsort(seen, n, sizeof *seen, compare_seen);
	free(d->seen);
	d->seen = seen;
	d->n_seen = n;
	free(rows);
	return 0;
}

/* A clock that is set says nothing of how long it was quiet: all waiting begins anew, as after a start. */
static void
mind_clock(struct dispatch *d)
{
	int64_t leap_ms = clock_leap(&d->pace);

	if (leap_ms == 0)
		return;
	log_event(LOG_WARN, "clock_set", "by_ms=%lld", (long long)leap_ms);
	d->node->even_since_ms = clock_ms();
	for (size_t i = 0; i < d->n_seen; i++)
		d->seen[i].not_before_ms = 0;
}

/* How long there is nothing to do unless the bell rings; -1: for ever. */
static int64_t
look(struct dispatch *d)
{
	int64_t next_ms = INT64_MAX, now_ms;
	struct err e;

	mind_clock(d);
	now_ms = clock_ms();

	if (intake_close_again(d->node, &e) != 0 || look_at_all_series(d, &next_ms, &e) != 0 ||
	    cases_receiving(d->node, d->rules, &d->job_seen, clock_ms(), &next_ms, &e) != 0) {
		log_event(LOG_ERROR, "dispatch_failed", "retry_ms=%d text=\"%s\"", RETRY_MS, e.text);
		earlier(&next_ms, now_ms + RETRY_MS);
	}
	if (next_ms == INT64_MAX)
		return -1;
	now_ms = clock_ms();
	return next_ms > now_ms ? next_ms - now_ms : 0;
}

/* While instances pour in, each rings: looking takes at most a tenth of a core. */
static bool
rest(struct dispatch *d, int64_t looked_ms)
{
	int64_t ms = looked_ms * 9;

	return bell_rest(&d->node->dispatch, ms < REST_MAX_MS ? ms : REST_MAX_MS);
}

static void *
dispatch_thread(void *arg)
{
	struct dispatch *d = arg;
	unsigned long seen = 0;
	int64_t wait_ms, begin_ms;

	do {
		begin_ms = clock_monotonic_ms();
		wait_ms = look(d);
	} while (rest(d, clock_monotonic_ms() - begin_ms) && bell_wait(&d->node->dispatch, &seen, wait_ms));
	return NULL;
}

struct dispatch *
dispatch_start(struct node *n, const struct rules *r, struct err *e)
{
	struct dispatch *d = calloc(1, sizeof *d);
	int code;

	if (d == NULL) {
		err_set(e, ERR_LIMIT, "no memory for the dispatcher");
		return NULL;
	}
	d->node = n;
	d->rules = r;
	code = pthread_create(&d->thread, NULL, dispatch_thread, d);
	if (code != 0) {
		err_set(e, ERR_LIMIT, "starting the dispatch thread: error %d", code);
		free(d);
		return NULL;
	}
	return d;
}

void
dispatch_stop(struct dispatch *d)
{
	bell_stop(&d->node->dispatch);
	pthread_join(d->thread, NULL);
	free(d->seen);
	free(d);
}
