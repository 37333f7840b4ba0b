/* Threads that share the items of one piece of work. Which lane takes an item is left to chance, so an item's result must not depend on it: every
 * item writes its own memory, and what is summed over items is summed afterwards in their order. */
#pragma once
#include "config/err.h"

struct team;
typedef void (*team_fn)(void *arg, size_t item, unsigned lane);

struct team *team_new(unsigned lanes, struct err *e);      /* lanes - 1 threads are started; fewer when the system refuses. caller: team_free */
void team_free(struct team *t);
unsigned team_lanes(const struct team *t);                 /* t NULL: 1 */
/* Calls fn for the items [0, n), on the caller and the threads, lane < team_lanes; returns when all are done. t NULL: the caller alone, in order. */
void team_run(struct team *t, size_t n, team_fn fn, void *arg);
