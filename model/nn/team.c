/* DESIGN: `lanes` threads in all: the caller of team_run is lane 0, the others sleep on `wake` until `round` moves. Each takes items off an atomic
 * counter; who finds none left counts itself out, and the last one out wakes the caller. All fields but `next` are written under `lock`. One
 * team_run at a time; fn must not call it again. */
#include "model/nn/team.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

enum { MAX_LANES = 64 };

struct member { struct team *team; unsigned lane; };

struct team {
	pthread_mutex_t lock;
	pthread_cond_t wake, done;
	unsigned lanes, busy;          /* busy: threads that may still take items of this round */
	size_t round, n;
	bool stopping;
	team_fn fn;
	void *arg;
	atomic_size_t next;
	pthread_t threads[MAX_LANES];
	struct member members[MAX_LANES];
};

static void
take_items(struct team *t, unsigned lane)
{
	size_t item;

	while ((item = atomic_fetch_add(&t->next, 1)) < t->n)
		t->fn(t->arg, item, lane);
}

static void *
member_main(void *arg)
{
	const struct member *m = arg;
	struct team *t = m->team;
	size_t seen = 0;

	pthread_mutex_lock(&t->lock);
	for (;;) {
		while (t->round == seen && !t->stopping)
			pthread_cond_wait(&t->wake, &t->lock);
		if (t->stopping)
			break;
		seen = t->round;
		pthread_mutex_unlock(&t->lock);
		take_items(t, m->lane);
		pthread_mutex_lock(&t->lock);
		if (--t->busy == 0)
			pthread_cond_signal(&t->done);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

struct team *
team_new(unsigned lanes, struct err *e)
{
	struct team *t = calloc(1, sizeof *t);

	if (!t) {
		err_set(e, ERR_LIMIT, "no memory for threads");
		return NULL;
	}
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->wake, NULL);
	pthread_cond_init(&t->done, NULL);
	for (t->lanes = 1; t->lanes < lanes && t->lanes < MAX_LANES; t->lanes++) {
		t->members[t->lanes] = (struct member){ t, t->lanes };
		if (pthread_create(&t->threads[t->lanes], NULL, member_main, &t->members[t->lanes]) != 0)
			break;
	}
	return t;
}

void
team_free(struct team *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->stopping = true;
	pthread_cond_broadcast(&t->wake);
	pthread_mutex_unlock(&t->lock);
	while (t->lanes > 1)
		pthread_join(t->threads[--t->lanes], NULL);
	pthread_cond_destroy(&t->done);
	pthread_cond_destroy(&t->wake);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

unsigned
team_lanes(const struct team *t)
{
	return t ? t->lanes : 1;
}

void
team_run(struct team *t, size_t n, team_fn fn, void *arg)
{
	if (!t || t->lanes == 1 || n <= 1) {
		for (size_t i = 0; i < n; i++)
			fn(arg, i, 0);
		return;
	}
	pthread_mutex_lock(&t->lock);
	t->fn = fn;
	t->arg = arg;
	t->n = n;
	t->busy = t->lanes - 1;
	t->round++;
	atomic_store(&t->next, 0);
	pthread_cond_broadcast(&t->wake);
	pthread_mutex_unlock(&t->lock);
	take_items(t, 0);
	pthread_mutex_lock(&t->lock);
	while (t->busy > 0)
		pthread_cond_wait(&t->done, &t->lock);
	pthread_mutex_unlock(&t->lock);
}
