/* What the parts of a running node share: settings, database, models, and bells. Made by segand.c, read by all; nothing here is written after start
 * but through its own functions. */
#pragma once
#include "config/settings.h"
#include "db/db.h"
#include "model/catalog.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

enum { NODE_STRIPES = 64 };
struct bell { pthread_mutex_t lock; pthread_cond_t rung; unsigned long rings; bool stopped; }; /* "something changed: look again" */

struct node {
	const struct settings *settings;
	struct db *db;
	struct catalog *catalog;
	struct bell trail;                   /* there are rows of the audit trail to tell */
	struct audit *audit;                 /* NULL in tests: rows are written all the same */
	struct bell dispatch, work, deliver, retain; /* dispatch: instances or receiving jobs changed; work: a job was queued; deliver: a delivery was made or waits again;
	                                      * retain: something has ended, or there is no room */
	atomic_long n_received, n_refused, n_duplicates, n_strangers, n_removed; /* for /metrics; strangers: jobs whose input was out of distribution; removed: instances, by retention */
	int64_t started_ms;
	int64_t even_since_ms;               /* since when this process is there and its wall clock was not set (dispatch.c); on the dispatch thread only */
	pthread_mutex_t intake[NODE_STRIPES]; /* one instance at a time a SOP Instance UID, from look-up to commit (intake.c); nothing else is waited for under it but disk and db */
	sem_t compares;                      /* the turns that are left (compare.c) */
	pthread_mutex_t unclosed_lock;       /* guards unclosed */
	struct unclosed *unclosed;           /* associations whose end is not recorded yet (intake.c) */
	int lock_fd;                         /* DATA/lock: one segand a data_dir */
};

int  node_open(struct node *n, const struct settings *s, struct err *e);  /* folders (data_dir 0700), database, catalog, recovery; borrows s */
void node_close(struct node *n);
/* The installed model that an entry of settings "models" means, with its version where it names one. NULL: ERR_NOT_FOUND. borrowed from the catalog. */
const struct catalog_entry *node_find_model(const struct catalog *c, const struct model_setting *m, struct err *e);
/* Every model of the settings is installed and its weights are whole, without a node: for `segand --check` and the start. ERR_INPUT names file and model. */
int  node_check_models(const struct settings *s, struct err *e);

void bell_ring(struct bell *b);
void bell_stop(struct bell *b);
/* Waits until rung after *seen, stopped, or timeout_ms (< 0: for ever). Updates *seen. False when stopped. */
bool bell_wait(struct bell *b, unsigned long *seen, int64_t timeout_ms);
/* Waits timeout_ms whatever rings: the pace of a thread that is rung often. False when stopped. */
bool bell_rest(struct bell *b, int64_t timeout_ms);
