/* The open database: checked before anything may write to it, closed last. How its file is made, judged and copied: db_file.c.
 *
 * DESIGN: one connection writes, under write_lock, a transaction at a time (sql_write). Readers take a read-only connection of their own from a pool of at
 * most SQL_READERS (sql_read): in WAL mode they see the last commit and neither wait for the writer nor hold it up. COMMIT with synchronous=FULL returns
 * after the log's fsync, so a write that returned 0 survives kill -9 and power loss. */
#include "db/db.h"

#include "db/sql.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- is it still the one that was opened? ---- */

static const char *const ends[DB_FILES] = { "", "-wal", "-shm" };

static int
note_place(struct db *d, struct err *e)
{
	struct stat st;

	for (size_t i = 0; i < DB_FILES; i++) {
		if (stat(d->place[i].path, &st) != 0)
			return err_errno(e, "database %s", d->place[i].path);
		d->place[i].device = st.st_dev;
		d->place[i].inode = st.st_ino;
	}
	return 0;
}

/* The log and its index belong to it: what is committed into a log that has no name is gone when the process ends. */
int
db_in_place(const struct db *d, struct err *e)
{
	struct stat st;

	for (size_t i = 0; i < DB_FILES; i++) {
		const char *what = NULL;
		if (stat(d->place[i].path, &st) != 0) {
			if (errno != ENOENT && errno != ENOTDIR)
				return err_errno(e, "database %s", d->place[i].path);
			what = "was removed";
		} else if (st.st_dev != d->place[i].device || st.st_ino != d->place[i].inode) {
			what = "was replaced by another file";
		}
		if (what != NULL)
			return err_set(e, ERR_IO, "database: %s %s while segand runs, so nothing new is taken: put the very file back, or stop segand and use "
			               "`segan restore DIR` or `segan spool reindex`", d->place[i].path, what);
	}
	return 0;
}

/* ---- open and close ---- */

static const char ways[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864; PRAGMA secure_delete = ON";

static int
set_up(struct db *d, struct err *e)
{
	sqlite3 *h = d->writer->handle;

	if (sql_exec(h, ways, e) < 0)
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
		err_set(e, ERR_STATE, "database %s has no node id", d->path);
	sql_read_end(s);
	return r == 1 ? 0 : -1;
}

static struct db *
new_db(const char *path, struct err *e)
{
	struct db *d = calloc(1, sizeof *d);
	bool is_whole = d != NULL;

	for (size_t i = 0; is_whole && i < DB_FILES; i++)
		if (asprintf(&d->place[i].path, "%s%s", path, ends[i]) < 0) {
			d->place[i].path = NULL;
			is_whole = false;
		}
	if (!is_whole) {
		err_set(e, ERR_LIMIT, "database %s: memory ran out", path);
		for (size_t i = 0; d != NULL && i < DB_FILES; i++)
			free(d->place[i].path);
		free(d);
		return NULL;
	}
	d->path = d->place[0].path;
	pthread_mutex_init(&d->write_lock, NULL);
	pthread_mutex_init(&d->pool_lock, NULL);
	pthread_cond_init(&d->returned, NULL);
	pthread_mutex_init(&d->add_lock, NULL);
	pthread_cond_init(&d->added, NULL);
	d->adds_end = &d->adds;
	return d;
}

struct db *
db_open(const char *path, struct err *e)
{
	enum db_health health;
	struct db *d;

	if (db_prepare(path, e) < 0 || (d = new_db(path, e)) == NULL)
		return NULL;
	d->writer = sql_open(d, path, SQLITE_OPEN_READWRITE, e);
	if (d->writer == NULL || db_judge(d->writer->handle, path, &health, e) < 0 || set_up(d, e) < 0 || read_node_id(d, e) < 0 || note_place(d, e) < 0) {
		db_close(d);
		return NULL;
	}
	return d;
}

static int
check_version(struct db *d, struct err *e)
{
	int64_t application, version;

	if (sql_exec_int(d->writer->handle, "PRAGMA application_id", &application, e) < 0 || sql_exec_int(d->writer->handle, "PRAGMA user_version", &version, e) < 0)
		return -1;
	if (application == SCHEMA_APPLICATION && version == schema_newest)
		return 0;
	return err_set(e, ERR_STATE, "database %s is of another version (schema %lld, this one knows %d): use the segan that came with the segand there", d->path, (long long)version,
	               schema_newest);
}

struct db *
db_join(const char *path, struct err *e)
{
	struct stat st;
	struct db *d;

	if (stat(path, &st) != 0) {
		err_errno(e, "database %s", path);
		e->code = errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : e->code;
		return NULL;
	}
	if ((d = new_db(path, e)) == NULL)
		return NULL;
	d->writer = sql_open(d, path, SQLITE_OPEN_READWRITE, e);
	if (d->writer != NULL)
		sqlite3_db_config(d->writer->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL); /* nobody has checked the file */
	if (d->writer == NULL || check_version(d, e) < 0 || sql_exec(d->writer->handle, ways, e) < 0 || read_node_id(d, e) < 0 || note_place(d, e) < 0) {
		db_close(d);
		return NULL;
	}
	return d;
}

void
db_close(struct db *d)
{
	struct err elsewhere;

	if (d == NULL)
		return;
	if (d->writer != NULL && d->place[0].inode != 0 && db_in_place(d, &elsewhere) != 0) /* the log of that name is another's: it stays */
		sqlite3_db_config(d->writer->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
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
	for (size_t i = 0; i < DB_FILES; i++)
		free(d->place[i].path);
	free(d);
}

const char *
db_node_id(const struct db *d)
{
	return d->node_id;
}
