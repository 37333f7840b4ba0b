/* The database file: made whole or not at all, checked before anything may write to it, closed last.
 *
 * DESIGN: one connection writes, under write_lock, a transaction at a time (sql_write). Readers take a read-only connection of their own from a pool of at
 * most SQL_READERS (sql_read): in WAL mode they see the last commit and neither wait for the writer nor hold it up. COMMIT with synchronous=FULL returns
 * after the log's fsync, so a write that returned 0 survives kill -9 and power loss. */
#include "db/db.h"

#include "config/file.h"
#include "db/sql.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHAT_HELPS \
	"put a backup back with `segan restore DIR`, or move the file away and rebuild it from the spool with `segan spool reindex`; nothing was changed. " \
	"(This version has neither command yet: put your own copy of the file back.)"

/* ---- a new file ---- */

static int
fill_new(const char *path, struct err *e)
{
	struct sql *s = sql_open(NULL, path, SQLITE_OPEN_READWRITE, e);
	char mark[64];
	int r = -1;

	if (s == NULL)
		return -1;
	snprintf(mark, sizeof mark, "PRAGMA synchronous = FULL; PRAGMA application_id = %d", SCHEMA_APPLICATION);
	if (sql_exec(s->handle, mark, e) == 0)
		r = schema_apply(s->handle, schema_versions, schema_newest, e);
	sql_close(s);
	return r;
}

static int
sync_folder_of(const char *path, struct err *e)
{
	char *folder = strdup(path), *slash;
	int r;

	if (folder == NULL)
		return err_set(e, ERR_LIMIT, "database %s: memory ran out", path);
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = 0;
	r = file_sync_dir(slash ? folder : ".", e);
	free(folder);
	return r;
}

/* Under a temporary name (mode 0600) and then linked to its place: a file that is there is whole, and one that another process made meanwhile stays. */
static int
make_file(const char *path, struct err *e)
{
	char *tmp = NULL;
	int fd = -1, r = -1;

	if (asprintf(&tmp, "%s.XXXXXX", path) < 0)
		return err_set(e, ERR_LIMIT, "database %s: memory ran out", path);
	fd = mkstemp(tmp);
	if (fd < 0) {
		err_errno(e, "making database %s", path);
		free(tmp);
		return -1;
	}
	close(fd);
	if (fill_new(tmp, e) < 0)
		goto out;
	if (link(tmp, path) < 0 && errno != EEXIST) {
		err_errno(e, "making database %s", path);
		goto out;
	}
	r = sync_folder_of(path, e);
out:
	unlink(tmp);
	free(tmp);
	return r;
}

/* ---- checks, before anything may write ---- */

static bool
has_log(const char *path)
{
	struct stat st;
	char *log = NULL;
	bool there;

	if (asprintf(&log, "%s-wal", path) < 0)
		return true; /* without memory nothing is made anew */
	there = stat(log, &st) == 0 && st.st_size > 0;
	free(log);
	return there;
}

static int
check_presence(const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) == 0)
		return st.st_size > 0 ? 0 : err_set(e, ERR_STATE, "database %s is empty, something cut it off: " WHAT_HELPS, path);
	if (errno != ENOENT)
		return err_errno(e, "database %s", path);
	if (has_log(path))
		return err_set(e, ERR_STATE, "database %s is gone but its log %s-wal is there: " WHAT_HELPS, path, path);
	return make_file(path, e);
}

static int
check_versions(sqlite3 *h, const char *path, struct err *e)
{
	int64_t application, version;

	if (sql_exec_int(h, "PRAGMA application_id", &application, e) < 0 || sql_exec_int(h, "PRAGMA user_version", &version, e) < 0)
		return -1;
	if (application != SCHEMA_APPLICATION)
		return err_set(e, ERR_STATE, "database %s is an SQLite file of another program: " WHAT_HELPS, path);
	if (version > schema_newest)
		return err_set(e, ERR_STATE, "database %s was written by a newer segand (schema %lld, this one knows %d): install that version again, or " WHAT_HELPS,
		               path, (long long)version, schema_newest);
	return 0;
}

static int
quick_check(sqlite3 *h, const char *path, struct err *e)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(h, "PRAGMA quick_check(1)", -1, &q, NULL), r;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	if (rc != SQLITE_ROW)
		r = sql_fail(h, rc, e);
	else if (strcmp((const char *)sqlite3_column_text(q, 0), "ok") != 0)
		r = err_set(e, ERR_STATE, "database %s is damaged (%.120s): " WHAT_HELPS, path, (const char *)sqlite3_column_text(q, 0));
	else
		r = 0;
	sqlite3_finalize(q);
	return r;
}

/* Closing would move the log into the file: not before the file is known to be good. */
static int
check(struct db *d, struct err *e)
{
	sqlite3 *h = d->writer->handle;
	int primary;

	sqlite3_db_config(h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (check_versions(h, d->path, e) == 0 && quick_check(h, d->path, e) == 0)
		return 0;
	primary = sqlite3_errcode(h) & 0xff;
	if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB)
		return err_set(e, ERR_STATE, "database %s is damaged (%s): " WHAT_HELPS, d->path, sqlite3_errmsg(h));
	return -1;
}

/* ---- open and close ---- */

static int
set_up(struct db *d, struct err *e)
{
	sqlite3 *h = d->writer->handle;

	if (sql_exec(h, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864", e) < 0)
		return -1;
	if (schema_apply(h, schema_versions, schema_newest, e) < 0)
		return -1;
	sqlite3_db_config(h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	return 0;
}

static int
read_node_id(struct db *d, struct err *e)
{
	struct sql *s = sql_read(d, e);
	sqlite3_stmt *q;
	int r = -1;

	if (s == NULL)
		return -1;
	q = sql_query(s, "SELECT id FROM node", SQL_NONE, e);
	if (q && (r = sql_step(q, e)) == 1)
		SQL_COPY(q, 0, d->node_id);
	if (r == 0)
		err_set(e, ERR_STATE, "database %s has no node id: " WHAT_HELPS, d->path);
	sql_read_end(s);
	return r == 1 ? 0 : -1;
}

struct db *
db_open(const char *path, struct err *e)
{
	struct db *d;

	if (check_presence(path, e) < 0)
		return NULL;
	d = calloc(1, sizeof *d);
	if (d == NULL || (d->path = strdup(path)) == NULL) {
		err_set(e, ERR_LIMIT, "database %s: memory ran out", path);
		free(d);
		return NULL;
	}
	pthread_mutex_init(&d->write_lock, NULL);
	pthread_mutex_init(&d->pool_lock, NULL);
	pthread_cond_init(&d->returned, NULL);
	pthread_mutex_init(&d->add_lock, NULL);
	pthread_cond_init(&d->added, NULL);
	d->adds_end = &d->adds;
	d->writer = sql_open(d, path, SQLITE_OPEN_READWRITE, e);
	if (d->writer == NULL || check(d, e) < 0 || set_up(d, e) < 0 || read_node_id(d, e) < 0) {
		db_close(d);
		return NULL;
	}
	return d;
}

void
db_close(struct db *d)
{
	if (d == NULL)
		return;
	while (d->idle) {
		struct sql *s = d->idle;
		d->idle = s->next;
		sql_close(s);
	}
	sql_close(d->writer); /* the last one moves the log into the file */
	pthread_cond_destroy(&d->added);
	pthread_mutex_destroy(&d->add_lock);
	pthread_cond_destroy(&d->returned);
	pthread_mutex_destroy(&d->pool_lock);
	pthread_mutex_destroy(&d->write_lock);
	free(d->path);
	free(d);
}

const char *
db_node_id(const struct db *d)
{
	return d->node_id;
}
