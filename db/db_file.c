/* The database's file: made whole or not at all, judged without changing a byte, copied while it is in use. */
#include "db/db.h"

#include "config/file.h"
#include "db/sql.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHAT_HELPS "put a backup back with `segan restore DIR`, or rebuild it from the spool with `segan spool reindex`; nothing was changed"

/* ---- a new file ---- */

/* Of a database that began without the jobs of the one before it, or without its last ones (db.h). */
#define NEW_EPOCH "lower(hex(randomblob(4)))"

static int
fill_new(const char *path, const char *node_id, struct err *e)
{
	struct sql *s = sql_open(NULL, path, SQLITE_OPEN_READWRITE, e);
	char mark[64];
	int r = -1;

	if (s == NULL)
		return -1;
	snprintf(mark, sizeof mark, "PRAGMA synchronous = FULL; PRAGMA application_id = %d", SCHEMA_APPLICATION);
	if (sql_exec(s->handle, mark, e) == 0)
		r = schema_apply(s->handle, schema_versions, schema_newest, e);
	if (r == 0 && node_id != NULL)
		r = sql_run(s, "UPDATE node SET id = ?1, epoch = " NEW_EPOCH, SQL_ARGS(sql_text(node_id)), e);
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
make_file(const char *path, const char *node_id, struct err *e)
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
	if (fill_new(tmp, node_id, e) < 0)
		goto out;
	if (link(tmp, path) < 0 && (errno != EEXIST || node_id != NULL)) {
		err_errno(e, "making database %s", path);
		goto out;
	}
	r = sync_folder_of(path, e);
out:
	unlink(tmp);
	free(tmp);
	return r;
}

int
db_create(const char *path, const char *node_id, struct err *e)
{
	return make_file(path, node_id, e);
}

int
db_begin_epoch(struct db *d, struct err *e)
{
	struct sql *s = sql_write(d, e);

	return s == NULL ? -1 : sql_write_end(s, sql_run(s, "UPDATE node SET epoch = " NEW_EPOCH, SQL_NONE, e), e);
}

/* ---- what a file is, before anything may write ---- */

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
judge_presence(const char *path, enum db_health *health, struct err *e)
{
	struct stat st;

	*health = DB_GOOD;
	if (stat(path, &st) == 0) {
		if (st.st_size > 0)
			return 0;
		*health = DB_BROKEN;
		return err_set(e, ERR_STATE, "database %s is empty, something cut it off: " WHAT_HELPS, path);
	}
	if (errno != ENOENT)
		return err_errno(e, "database %s", path);
	*health = has_log(path) ? DB_BROKEN : DB_ABSENT;
	if (*health == DB_BROKEN)
		return err_set(e, ERR_STATE, "database %s is gone but its log %s-wal is there: " WHAT_HELPS, path, path);
	return err_set(e, ERR_STATE, "database %s is not there: " WHAT_HELPS, path);
}

/* The first table, index or trigger of the empty database that h lacks: 1 and its name, 0: none, -1. */
static int
find_lacking(sqlite3 *h, sqlite3 *empty, char lacking[128], struct err *e)
{
	sqlite3_stmt *wanted = NULL, *found = NULL;
	int rc = sqlite3_prepare_v2(empty, "SELECT type, name FROM sqlite_schema", -1, &wanted, NULL), r = rc == SQLITE_OK ? 0 : sql_fail(empty, rc, e);

	rc = r == 0 ? sqlite3_prepare_v2(h, "SELECT 1 FROM sqlite_schema WHERE type = ?1 AND name = ?2", -1, &found, NULL) : SQLITE_OK;
	while (r == 0 && rc == SQLITE_OK && sqlite3_step(wanted) == SQLITE_ROW) {
		sqlite3_bind_value(found, 1, sqlite3_column_value(wanted, 0));
		sqlite3_bind_value(found, 2, sqlite3_column_value(wanted, 1));
		rc = sqlite3_step(found);
		if (rc == SQLITE_DONE) {
			snprintf(lacking, 128, "%s %s", (const char *)sqlite3_column_text(wanted, 0), (const char *)sqlite3_column_text(wanted, 1));
			r = 1;
		}
		rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? sqlite3_reset(found) : rc;
	}
	if (rc != SQLITE_OK)
		r = sql_fail(h, rc, e);
	sqlite3_finalize(wanted);
	sqlite3_finalize(found);
	return r;
}

/* A file that was cut and mended, or changed by hand: whole to SQLite, not to us. */
static int
judge_schema(sqlite3 *h, const char *path, enum db_health *health, struct err *e)
{
	sqlite3 *empty = NULL;
	char lacking[128];
	int rc = sqlite3_open(":memory:", &empty), r = rc == SQLITE_OK ? schema_apply(empty, schema_versions, schema_newest, e) : sql_fail(empty, rc, e);

	if (r == 0)
		r = find_lacking(h, empty, lacking, e);
	sqlite3_close(empty);
	if (r <= 0)
		return r;
	*health = DB_BROKEN;
	return err_set(e, ERR_STATE, "database %s is damaged (it has no %s): " WHAT_HELPS, path, lacking);
}

static int
judge_versions(sqlite3 *h, const char *path, enum db_health *health, struct err *e)
{
	int64_t application, version;

	if (sql_exec_int(h, "PRAGMA application_id", &application, e) < 0 || sql_exec_int(h, "PRAGMA user_version", &version, e) < 0)
		return -1;
	if (application != SCHEMA_APPLICATION) {
		*health = DB_BROKEN;
		return err_set(e, ERR_STATE, "database %s is an SQLite file of another program: " WHAT_HELPS, path);
	}
	if (version < schema_newest)
		return 0;
	if (version == schema_newest)
		return judge_schema(h, path, health, e);
	*health = DB_NEWER;
	return err_set(e, ERR_STATE, "database %s was written by a newer segand (schema %lld, this one knows %d): install that version again, or " WHAT_HELPS, path,
	               (long long)version, schema_newest);
}

static int
quick_check(sqlite3 *h, const char *path, enum db_health *health, struct err *e)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(h, "PRAGMA quick_check(1)", -1, &q, NULL), r = 0;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	if (rc != SQLITE_ROW) {
		r = sql_fail(h, rc, e);
	} else if (strcmp((const char *)sqlite3_column_text(q, 0), "ok") != 0) {
		*health = DB_BROKEN;
		r = err_set(e, ERR_STATE, "database %s is damaged (%.120s): " WHAT_HELPS, path, (const char *)sqlite3_column_text(q, 0));
	}
	sqlite3_finalize(q);
	return r;
}

/* Closing would move the log into the file: not before the file is known to be good. */
int
db_judge(sqlite3 *h, const char *path, enum db_health *health, struct err *e)
{
	int primary;

	*health = DB_GOOD;
	sqlite3_db_config(h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (judge_versions(h, path, health, e) == 0 && quick_check(h, path, health, e) == 0)
		return 0;
	primary = sqlite3_errcode(h) & 0xff;
	if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) {
		*health = DB_BROKEN;
		return err_set(e, ERR_STATE, "database %s is damaged (%s): " WHAT_HELPS, path, sqlite3_errmsg(h));
	}
	return -1;
}

int
db_prepare(const char *path, struct err *e)
{
	enum db_health health;

	if (judge_presence(path, &health, e) == 0)
		return 0;
	return health == DB_ABSENT ? make_file(path, NULL, e) : -1;
}

int
db_health(const char *path, enum db_health *health, struct err *why, struct err *e)
{
	struct sql *s;
	int r;

	if (judge_presence(path, health, why) != 0) {
		if (*health != DB_GOOD)
			return 0;
		*e = *why;
		return -1;
	}
	s = sql_open(NULL, path, SQLITE_OPEN_READWRITE, e);
	if (s == NULL)
		return -1;
	r = db_judge(s->handle, path, health, why);
	sql_close(s);
	if (r != 0 && *health == DB_GOOD) {
		*e = *why;
		return -1;
	}
	return 0;
}

int
db_read_node_id(const char *path, char id[DB_NODE_ID], struct err *e)
{
	struct sql *s = sql_open(NULL, path, SQLITE_OPEN_READWRITE, e);
	sqlite3_stmt *q;
	int r = -1;

	if (s == NULL)
		return -1;
	sqlite3_db_config(s->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	q = sql_query(s, "SELECT id FROM node", SQL_NONE, e);
	if (q && (r = sql_step(q, e)) == 1)
		sql_copy(q, 0, id, DB_NODE_ID);
	sql_close(s);
	return r == 0 ? err_set(e, ERR_NOT_FOUND, "database %s has no node id", path) : r < 0 ? -1 : 0;
}

/* ---- a copy ---- */

/* One snapshot, as it was committed when this began, whoever writes meanwhile; a file of its own, without a log. */
int
db_copy(const char *path, const char *to, struct err *e)
{
	struct sql *s = sql_open(NULL, path, SQLITE_OPEN_READWRITE, e);
	int r = -1;

	if (s == NULL)
		return -1;
	if (sql_exec(s->handle, "PRAGMA synchronous = FULL", e) == 0)
		r = sql_run(s, "VACUUM INTO ?1", SQL_ARGS(sql_text(to)), e);
	sql_close(s);
	return r;
}
