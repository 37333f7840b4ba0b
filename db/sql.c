/* Connections, cached statements and transactions over SQLite; what its result codes mean to a caller. Knows no table. */
#include "db/sql.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- failures ---- */

static const struct {
	int primary;
	enum err_code code;
	const char *words;
} failures[] = {
	{ SQLITE_FULL, ERR_LIMIT, "its disk is full; free some space" },
	{ SQLITE_NOMEM, ERR_LIMIT, "memory ran out" },
	{ SQLITE_BUSY, ERR_IO, "another process holds it" },
	{ SQLITE_LOCKED, ERR_IO, "another process holds it" },
	{ SQLITE_PROTOCOL, ERR_IO, "another process holds it" },
	{ SQLITE_IOERR, ERR_IO, "the disk did not read or write it" },
	{ SQLITE_CANTOPEN, ERR_IO, "it cannot be opened" },
	{ SQLITE_READONLY, ERR_IO, "it cannot be written" },
	{ SQLITE_PERM, ERR_IO, "it cannot be written" },
	{ SQLITE_CORRUPT, ERR_IO, "it is damaged; stop segand, then `segan restore DIR` or `segan spool reindex`" },
	{ SQLITE_NOTADB, ERR_IO, "it is damaged; stop segand, then `segan restore DIR` or `segan spool reindex`" },
};

int
sql_fail(sqlite3 *h, int rc, struct err *e)
{
	const char *path = h ? sqlite3_db_filename(h, "main") : NULL, *words = NULL;
	enum err_code code = ERR_BUG;

	for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
		if (failures[i].primary == (rc & 0xff)) {
			code = failures[i].code;
			words = failures[i].words;
		}
	if (code == ERR_IO && h && (sqlite3_system_errno(h) == ENOSPC || sqlite3_system_errno(h) == EDQUOT)) {
		code = ERR_LIMIT;
		words = failures[0].words;
	}
	return err_set(e, code, "database %s: %s%s%s", path ? path : "", words ? words : "", words ? ": " : "", h ? sqlite3_errmsg(h) : sqlite3_errstr(rc));
}

/* ---- connections ---- */

struct sql *
sql_open(struct db *d, const char *path, int flags, struct err *e)
{
	struct sql *s = calloc(1, sizeof *s);
	int rc;

	if (s == NULL) {
		err_set(e, ERR_LIMIT, "database %s: memory ran out", path);
		return NULL;
	}
	s->db = d;
	rc = sqlite3_open_v2(path, &s->handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_extended_result_codes(s->handle, 1);
		sqlite3_busy_timeout(s->handle, SQL_BUSY_MS);
		rc = sqlite3_db_config(s->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	}
	if (rc != SQLITE_OK) {
		sql_fail(s->handle, rc, e);
		sql_close(s);
		return NULL;
	}
	return s;
}

static void
forget_statements(struct sql *s)
{
	for (size_t i = 0; i < SQL_CACHE; i++) {
		sqlite3_finalize(s->cache[i]);
		s->cache[i] = NULL;
	}
	s->n_cached = 0;
}

void
sql_close(struct sql *s)
{
	if (s == NULL)
		return;
	forget_statements(s);
	sqlite3_close(s->handle);
	free(s);
}

int
sql_exec(sqlite3 *h, const char *text, struct err *e)
{
	int rc = sqlite3_exec(h, text, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : sql_fail(h, rc, e);
}

int
sql_exec_int(sqlite3 *h, const char *text, int64_t *value, struct err *e)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(h, text, -1, &q, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		*value = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return rc == SQLITE_ROW ? 0 : sql_fail(h, rc, e);
}

/* ---- transactions ---- */

/* Texts that were bound are borrowed, so a statement gives up its values as well as its place. */
static void
reset_statements(struct sql *s)
{
	for (size_t i = 0; i < SQL_CACHE; i++)
		if (s->cache[i]) {
			sqlite3_reset(s->cache[i]);
			sqlite3_clear_bindings(s->cache[i]);
		}
}

static struct sql *
take_reader(struct db *d)
{
	struct sql *s;

	pthread_mutex_lock(&d->pool_lock);
	while (d->idle == NULL && d->n_readers == SQL_READERS)
		pthread_cond_wait(&d->returned, &d->pool_lock);
	s = d->idle;
	if (s)
		d->idle = s->next;
	else
		d->n_readers++;
	pthread_mutex_unlock(&d->pool_lock);
	return s;
}

/* s NULL: a connection that could not be opened gives its place back. */
static void
give_reader(struct db *d, struct sql *s)
{
	pthread_mutex_lock(&d->pool_lock);
	if (s) {
		s->next = d->idle;
		d->idle = s;
	} else {
		d->n_readers--;
	}
	pthread_cond_signal(&d->returned);
	pthread_mutex_unlock(&d->pool_lock);
}

struct sql *
sql_read(struct db *d, struct err *e)
{
	struct sql *s = take_reader(d);

	if (s == NULL)
		s = sql_open(d, d->path, SQLITE_OPEN_READONLY, e);
	if (s == NULL) {
		give_reader(d, NULL);
		return NULL;
	}
	if (sql_run(s, "BEGIN", SQL_NONE, e) < 0) {
		give_reader(d, s);
		return NULL;
	}
	return s;
}

static void
rollback(struct sql *s)
{
	struct err ignored; /* what was being rolled back has been said already; an I/O error or a full disk has rolled back by itself */

	if (!sqlite3_get_autocommit(s->handle))
		(void)sql_exec(s->handle, "ROLLBACK", &ignored);
}

void
sql_read_end(struct sql *s)
{
	reset_statements(s);
	rollback(s); /* nothing was written: the cheap way to let the snapshot go */
	give_reader(s->db, s);
}

static int
set_lazy(struct sql *s, bool lazy, struct err *e)
{
	if (s->lazy != lazy && sql_exec(s->handle, lazy ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL", e) < 0)
		return -1;
	s->lazy = lazy;
	return 0;
}

static struct sql *
begin(struct db *d, bool lazy, struct err *e)
{
	pthread_mutex_lock(&d->write_lock);
	if (db_in_place(d, e) < 0 || set_lazy(d->writer, lazy, e) < 0 || sql_run(d->writer, "BEGIN IMMEDIATE", SQL_NONE, e) < 0) {
		pthread_mutex_unlock(&d->write_lock);
		return NULL;
	}
	return d->writer;
}

struct sql *
sql_write(struct db *d, struct err *e)
{
	return begin(d, false, e);
}

struct sql *
sql_write_lazy(struct db *d, struct err *e)
{
	return begin(d, true, e);
}

int
sql_write_end(struct sql *s, int result, struct err *e)
{
	reset_statements(s);
	if (result == 0 && sqlite3_get_autocommit(s->handle))
		result = err_set(e, ERR_BUG, "database %s: the transaction ended before its commit", s->db->path);
	if (result == 0)
		result = sql_audit(s, e);
	if (result == 0)
		result = sql_run(s, "COMMIT", SQL_NONE, e);
	if (result == 0)
		result = db_in_place(s->db, e); /* or it went to a file that nobody will find */
	if (result == 0)
		sql_audited(s);
	if (result < 0)
		rollback(s);
	pthread_mutex_unlock(&s->db->write_lock);
	return result;
}

/* ---- statements ---- */

static size_t
hash(const char *text) /* FNV-1a */
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3u;
	return (size_t)(h % SQL_CACHE);
}

static sqlite3_stmt *
prepared(struct sql *s, const char *text, struct err *e)
{
	size_t i = hash(text);
	int rc;

	if (s->n_cached > SQL_CACHE / 2)
		forget_statements(s);
	for (; s->cache[i]; i = (i + 1) % SQL_CACHE)
		if (strcmp(sqlite3_sql(s->cache[i]), text) == 0)
			return s->cache[i];
	rc = sqlite3_prepare_v3(s->handle, text, -1, SQLITE_PREPARE_PERSISTENT, &s->cache[i], NULL);
	if (rc != SQLITE_OK) {
		sql_fail(s->handle, rc, e);
		return NULL;
	}
	s->n_cached++;
	return s->cache[i];
}

static int
bind(sqlite3_stmt *q, int i, const struct sql_value *v)
{
	switch (v->kind) {
	case SQL_INT: return sqlite3_bind_int64(q, i, v->integer);
	case SQL_REAL: return sqlite3_bind_double(q, i, v->real);
	case SQL_TEXT: return v->text ? sqlite3_bind_text(q, i, v->text, -1, SQLITE_STATIC) : sqlite3_bind_null(q, i);
	}
	return SQLITE_MISUSE;
}

sqlite3_stmt *
sql_query(struct sql *s, const char *text, const struct sql_value *values, size_t n, struct err *e)
{
	sqlite3_stmt *q = prepared(s, text, e);

	if (q == NULL)
		return NULL;
	assert(!sqlite3_stmt_busy(q) && (size_t)sqlite3_bind_parameter_count(q) == n);
	for (size_t i = 0; i < n; i++) {
		int rc = bind(q, (int)i + 1, &values[i]);
		if (rc != SQLITE_OK) {
			sql_fail(s->handle, rc, e);
			return NULL;
		}
	}
	return q;
}

int
sql_step(sqlite3_stmt *q, struct err *e)
{
	int rc = sqlite3_step(q);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc != SQLITE_DONE)
		sql_fail(sqlite3_db_handle(q), rc, e);
	sqlite3_reset(q);
	return rc == SQLITE_DONE ? 0 : -1;
}

int
sql_run(struct sql *s, const char *text, const struct sql_value *values, size_t n, struct err *e)
{
	sqlite3_stmt *q = sql_query(s, text, values, n, e);

	return q == NULL ? -1 : sql_step(q, e);
}

int64_t
sql_changes(const struct sql *s)
{
	return sqlite3_changes64(s->handle);
}

int
sql_collect(sqlite3_stmt *q, sql_fill *fill, size_t size, void **rows, size_t *n, struct err *e)
{
	size_t room = 0;
	int r;

	*rows = NULL;
	*n = 0;
	while ((r = sql_step(q, e)) == 1) {
		if (*n == room) {
			size_t more = room ? room * 2 : 16;
			void *grown = reallocarray(*rows, more, size);
			if (grown == NULL)
				return err_set(e, ERR_LIMIT, "memory ran out after %zu rows of a query", *n);
			*rows = grown;
			room = more;
		}
		memset((char *)*rows + *n * size, 0, size);
		(*n)++;
		if (fill(q, (char *)*rows + (*n - 1) * size, e) < 0)
			return -1;
	}
	return r;
}

int
sql_one(struct db *d, const struct sql_ask *ask, void *out, struct err *e)
{
	struct sql *s = sql_read(d, e);
	sqlite3_stmt *q;
	int r = -1;

	if (s == NULL)
		return -1;
	q = sql_query(s, ask->text, ask->values, ask->n, e);
	if (q)
		r = sql_step(q, e);
	if (r == 1 && ask->fill(q, out, e) < 0)
		r = -1;
	sql_read_end(s);
	return r;
}

int
sql_gather(struct db *d, const struct sql_ask *ask, void **rows, size_t *n, struct err *e)
{
	struct sql *s = sql_read(d, e);
	sqlite3_stmt *q;
	int r = -1;

	*rows = NULL;
	*n = 0;
	if (s == NULL)
		return -1;
	q = sql_query(s, ask->text, ask->values, ask->n, e);
	if (q)
		r = sql_collect(q, ask->fill, ask->size, rows, n, e);
	sql_read_end(s);
	return r;
}

int
sql_list(struct db *d, const struct sql_ask *ask, void *rows, size_t *n, struct err *e)
{
	void *found;
	int r = sql_gather(d, ask, &found, n, e);

	if (r < 0) {
		free(found);
		found = NULL;
		*n = 0;
	}
	memcpy(rows, &found, sizeof found);
	return r;
}

int
sql_fill_int(sqlite3_stmt *q, void *element, struct err *e)
{
	(void)e; /* an integer cannot fail */
	*(int64_t *)element = sqlite3_column_int64(q, 0);
	return 0;
}

/* ---- columns ---- */

void
sql_copy(sqlite3_stmt *q, int column, char *out, size_t size)
{
	const char *text = (const char *)sqlite3_column_text(q, column);
	size_t n = text ? strlen(text) : 0;

	if (n >= size) {
		n = size - 1;
		while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80) /* text[n] goes on with a character that began before */
			n--;
	}
	if (n > 0)
		memcpy(out, text, n);
	out[n] = 0;
}

int
sql_dup(sqlite3_stmt *q, int column, char **out, struct err *e)
{
	const char *text = (const char *)sqlite3_column_text(q, column);

	*out = text ? strdup(text) : NULL;
	if (*out == NULL && sqlite3_column_type(q, column) != SQLITE_NULL)
		return err_set(e, ERR_LIMIT, "memory ran out reading a text");
	return 0;
}
