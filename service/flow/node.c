/* Opens what a running node stands on, in order, and recovers what a crash left: start-up is recovery (RELIABILITY rules 2 and 3).
 * Not here: threads. Those are started by segand.c. */
#include "service/flow/node.h"

#include "config/clock.h"
#include "config/file.h"
#include "config/log.h"
#include "db/deliveries.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "service/flow/compare.h"
#include "service/flow/data_dir.h"
#include "service/flow/intake.h"
#include "service/flow/reindex.h"
#include "service/flow/spool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- bells ---- */

static void
bell_init(struct bell *b)
{
	pthread_condattr_t attributes;

	memset(b, 0, sizeof *b);
	pthread_mutex_init(&b->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&b->rung, &attributes);
	pthread_condattr_destroy(&attributes);
}

static void
bell_destroy(struct bell *b)
{
	pthread_cond_destroy(&b->rung);
	pthread_mutex_destroy(&b->lock);
}

void
bell_ring(struct bell *b)
{
	pthread_mutex_lock(&b->lock);
	b->rings++;
	pthread_cond_broadcast(&b->rung);
	pthread_mutex_unlock(&b->lock);
}

void
bell_stop(struct bell *b)
{
	pthread_mutex_lock(&b->lock);
	b->stopped = true;
	pthread_cond_broadcast(&b->rung);
	pthread_mutex_unlock(&b->lock);
}

static void
after(int64_t ms, struct timespec *until)
{
	clock_gettime(CLOCK_MONOTONIC, until);
	until->tv_sec += ms / 1000;
	until->tv_nsec += ms % 1000 * 1000000;
	if (until->tv_nsec >= 1000000000) {
		until->tv_sec++;
		until->tv_nsec -= 1000000000;
	}
}

bool
bell_wait(struct bell *b, unsigned long *seen, int64_t timeout_ms)
{
	struct timespec until;
	bool goes_on, in_time = true;

	after(timeout_ms > 0 ? timeout_ms : 0, &until);
	pthread_mutex_lock(&b->lock);
	while (!b->stopped && b->rings == *seen && in_time) {
		if (timeout_ms < 0)
			pthread_cond_wait(&b->rung, &b->lock);
		else
			in_time = pthread_cond_timedwait(&b->rung, &b->lock, &until) != ETIMEDOUT;
	}
	*seen = b->rings;
	goes_on = !b->stopped;
	pthread_mutex_unlock(&b->lock);
	return goes_on;
}

bool
bell_rest(struct bell *b, int64_t timeout_ms)
{
	struct timespec until;
	bool goes_on, in_time = true;

	after(timeout_ms > 0 ? timeout_ms : 0, &until);
	pthread_mutex_lock(&b->lock);
	while (!b->stopped && in_time)
		in_time = pthread_cond_timedwait(&b->rung, &b->lock, &until) != ETIMEDOUT;
	goes_on = !b->stopped;
	pthread_mutex_unlock(&b->lock);
	return goes_on;
}

/* ---- models ---- */

static struct catalog *
open_catalog(const struct settings *s, struct err *e)
{
	char own[SPOOL_PATH];
	const char *roots[] = { own, s->models_dir };

	snprintf(own, sizeof own, "%s/models", s->data_dir);
	return catalog_open(roots, s->models_dir[0] != 0 ? 2 : 1, e);
}

const struct catalog_entry *
node_find_model(const struct catalog *c, const struct model_setting *m, struct err *e)
{
	char name[2 * SETTINGS_NAME];

	snprintf(name, sizeof name, "%s%s%s", m->name, m->version[0] != 0 ? "@" : "", m->version);
	return catalog_find(c, name, e);
}

int
node_check_models(const struct settings *s, struct err *e)
{
	struct catalog *c = open_catalog(s, e);
	int result = 0;

	if (c == NULL)
		return -1;
	for (size_t i = 0; i < s->n_models && result == 0; i++) {
		const struct catalog_entry *m = node_find_model(c, &s->models[i], e);
		result = m != NULL ? catalog_check(&m->manifest, e) : -1;
		if (result != 0) {
			err_note(e, "%s: model \"%s\" of \"models\"", s->file[0] != 0 ? s->file : "the default settings", s->models[i].name);
			e->code = ERR_INPUT; /* a wrong setting, whatever the catalog calls it */
		}
	}
	catalog_free(c);
	return result;
}

/* ---- the node ---- */

/* The database that is there must be this node's, and a node that had one is never given a silent empty one (DESIGN small print). A data_dir from before
 * node-id was a file has the id in its database only. */
static int
open_database(struct node *n, struct err *e)
{
	const char *dir = n->settings->data_dir;
	char path[SPOOL_PATH], id[DATA_DIR_ID];
	struct err other;
	bool has_id = data_dir_node_id(dir, id, &other) == 0;

	if (!has_id && other.code != ERR_NOT_FOUND) {
		*e = other;
		return -1;
	}
	snprintf(path, sizeof path, "%s/segand.db", dir);
	if (has_id && !file_exists(path))
		return err_set(e, ERR_STATE, "database %s is gone, but %s was in use: put a backup back with `segan restore DIR`, or rebuild it with `segan spool reindex`; nothing was changed",
		    path, dir);
	n->db = db_open(path, e);
	if (n->db == NULL)
		return -1;
	if (!has_id)
		return data_dir_set_node_id(dir, db_node_id(n->db), e);
	if (strcmp(id, db_node_id(n->db)) == 0)
		return 0;
	return err_set(e, ERR_STATE, "%s/node-id says %s, but database %s is of node %s: put the files of one node together, or `segan restore DIR`", dir, id, path, db_node_id(n->db));
}

static int
recover(struct node *n, struct err *e)
{
	if (associations_recover(n->db, n->started_ms, e) != 0)
		return -1;
	if (jobs_recover(n->db, n->settings->max_attempts, e) != 0)
		return -1;
	return deliveries_recover(n->db, n->started_ms, e);
}

static void
tell_left_out(void *arg, const char *path, const char *why)
{
	(void)arg;
	log_event(LOG_WARN, "spool_file_left_out", "path=%s text=\"%s\"", path, why);
}

/* After a kill the database's log is there, with the last commits. Where it is gone (removed, also under way, or lost with a disk's cache) what was acknowledged is looked for in
 * the files: what they hold and the database does not know is added. */
static int
make_up_for_log(const struct node *n, struct err *e)
{
	struct reindex_report r;

	log_event(LOG_WARN, "database_log_gone", "text=\"the database's log was lost, after a kill or under way: the spool is searched for what it held\"");
	if (reindex_fill(n, tell_left_out, NULL, &r, e) != 0)
		return -1;
	log_event(LOG_WARN, "spool_searched", "files=%zu instances_added=%zu jobs_added=%zu left_out=%zu", r.files, r.instances, r.jobs, r.left_out);
	return 0;
}

static bool
is_log_gone(const struct node *n)
{
	char database[SPOOL_PATH], log[SPOOL_PATH];

	snprintf(database, sizeof database, "%s/segand.db", n->settings->data_dir);
	snprintf(log, sizeof log, "%s/segand.db-wal", n->settings->data_dir);
	return file_exists(database) && !file_exists(log);
}

/* A search that breaks off, by a kill or an error, is begun anew by the next start: the log, which says that one is due, is there by then. */
static int
open_searching(struct node *n, struct err *e)
{
	if (data_dir_search(n->lock_fd, true, e) != 0 || spool_prepare(n, e) != 0 || open_database(n, e) != 0)
		return -1;
	if (make_up_for_log(n, e) == 0 && data_dir_search(n->lock_fd, false, e) == 0)
		return 0;
	db_close(n->db);
	n->db = NULL; /* no end in good order */
	return -1;
}

static int
open_parts(struct node *n, struct err *e)
{
	enum data_dir_end before;

	if (file_make_dirs(n->settings->data_dir, 0700, e) != 0)
		return -1;
	n->lock_fd = data_dir_lock(n->settings->data_dir, &before, e);
	if (n->lock_fd < 0)
		return -1;
	if (before == DATA_DIR_SEARCHING || (before == DATA_DIR_KILLED && is_log_gone(n))) {
		if (open_searching(n, e) != 0)
			return -1;
	} else if (spool_prepare(n, e) != 0 || open_database(n, e) != 0) {
		return -1;
	}
	n->catalog = open_catalog(n->settings, e);
	return n->catalog != NULL ? recover(n, e) : -1;
}

int
node_open(struct node *n, const struct settings *s, struct err *e)
{
	memset(n, 0, sizeof *n);
	n->settings = s;
	n->lock_fd = -1;
	n->started_ms = n->even_since_ms = clock_ms();
	bell_init(&n->dispatch);
	bell_init(&n->work);
	bell_init(&n->deliver);
	bell_init(&n->trail);
	bell_init(&n->retain);
	for (size_t i = 0; i < NODE_STRIPES; i++)
		pthread_mutex_init(&n->intake[i], NULL);
	pthread_mutex_init(&n->unclosed_lock, NULL);
	sem_init(&n->compares, 0, COMPARE_AT_ONCE);
	if (open_parts(n, e) == 0)
		return 0;
	node_close(n);
	return err_note(e, "opening the node");
}

/* A database whose log was taken away while it was open ends without what that log held, whatever lies at its place by then: the next start searches the spool. */
static void
close_database(struct node *n)
{
	struct err e;
	bool is_whole = n->db != NULL && db_in_place(n->db, &e) == 0;

	if (n->db != NULL && !is_whole && n->lock_fd >= 0 && data_dir_search(n->lock_fd, true, &e) != 0)
		log_event(LOG_ERROR, "search_not_marked", "text=\"%s: run `segan spool reindex` before the next start\"", e.text);
	if (n->db != NULL)
		db_close(n->db);
	if (n->lock_fd >= 0)
		data_dir_unlock(n->lock_fd, is_whole);
}

void
node_close(struct node *n)
{
	intake_forget(n);
	if (n->catalog != NULL)
		catalog_free(n->catalog);
	close_database(n);
	for (size_t i = 0; i < NODE_STRIPES; i++)
		pthread_mutex_destroy(&n->intake[i]);
	pthread_mutex_destroy(&n->unclosed_lock);
	sem_destroy(&n->compares);
	bell_destroy(&n->dispatch);
	bell_destroy(&n->work);
	bell_destroy(&n->deliver);
	bell_destroy(&n->trail);
	bell_destroy(&n->retain);
	memset(n, 0, sizeof *n);
	n->lock_fd = -1;
}
