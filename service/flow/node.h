/* What the parts of a running node share: settings, database, models, and three bells. Made by segand.c, read by all; nothing here is written after start
 * but through its own functions. */
#pragma once
#include "config/settings.h"
#include "db/db.h"
#include "model/catalog.h"

#include <pthread.h>
#include <stdatomic.h>

struct bell { pthread_mutex_t lock; pthread_cond_t rung; unsigned long rings; bool stopped; }; /* "something changed: look again" */

struct node {
	const struct settings *settings;
	struct db *db;
	struct catalog *catalog;
	struct bell dispatch, work, deliver; /* dispatch: instances or receiving jobs changed; work: a job was queued; deliver: a delivery was made or waits again */
	atomic_long n_received, n_refused, n_duplicates; /* for /metrics */
	int64_t started_ms;
};

int  node_open(struct node *n, const struct settings *s, struct err *e);  /* folders (data_dir 0700), database, catalog, recovery; borrows s */
void node_close(struct node *n);

void bell_ring(struct bell *b);
void bell_stop(struct bell *b);
/* Waits until rung after *seen, stopped, or timeout_ms (< 0: for ever). Updates *seen. False when stopped. */
bool bell_wait(struct bell *b, unsigned long *seen, int64_t timeout_ms);
