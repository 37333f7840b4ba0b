/* See audit.h. The words of what happened are service/flow/audit.c's, the message is audit_xml.c's. */
#include "db/audit.h"

#include "config/clock.h"
#include "db/sql.h"

#include <stdlib.h>

/* ---- adding ---- */

/* 1: this beginning is there already, 0: it is not, -1 */
static int
is_begun(struct sql *s, const struct audit_entry *a, struct err *e)
{
	sqlite3_stmt *q;
	int r;

	if (a->once_since_ms == 0)
		return 0;
	q = sql_query(s, "SELECT 1 FROM audit WHERE job = ?1 AND destination = ?2 AND event = ?3 AND time_ms >= ?4 LIMIT 1",
	              SQL_ARGS(sql_int(a->job), sql_text(a->destination), sql_int(a->event), sql_int(a->once_since_ms)), e);
	r = q ? sql_step(q, e) : -1;
	if (r == 1)
		sqlite3_reset(q);
	return r;
}

static int
insert(struct sql *s, const struct audit_entry *a, struct err *e)
{
	char action[2] = { a->action, '\0' };
	int r = is_begun(s, a, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	return sql_run(s, "INSERT INTO audit(time_ms, event, type, action, outcome, aet, address, token, role, user, study_uid, destination, objects, text, job)"
	                  " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, coalesce(?11, (SELECT study_uid FROM jobs WHERE id = ?15)), ?12, ?13, ?14, nullif(?15, 0))",
	               SQL_ARGS(sql_int(clock_ms()), sql_int(a->event), sql_int(a->type), sql_text(action), sql_int(a->outcome), sql_text(a->aet), sql_text(a->address),
	                        sql_text(a->token), sql_text(a->role), sql_text(a->user), sql_text(a->study_uid), sql_text(a->destination), sql_text(a->objects),
	                        sql_text(a->text), sql_int(a->job)), e);
}

int
audit_add(struct db *d, const struct audit_entry *a, struct err *e)
{
	struct sql *s = sql_write(d, e);

	return s == NULL ? -1 : sql_write_end(s, insert(s, a, e), e);
}

/* Each thread's own. */
static _Thread_local const struct audit_entry *attached;
static _Thread_local bool is_recorded;

void
audit_attach(const struct audit_entry *a)
{
	attached = a;
	is_recorded = false;
}

bool
audit_detach(void)
{
	attached = NULL;
	return is_recorded;
}

int
sql_audit(struct sql *s, struct err *e)
{
	return attached == NULL || is_recorded || s->lazy ? 0 : insert(s, attached, e);
}

void
sql_audited(const struct sql *s)
{
	is_recorded = is_recorded || (attached != NULL && !s->lazy);
}

/* ---- reading ---- */

#define AUDIT_COLUMNS "SELECT id, time_ms, coalesce(job, 0), event, type, outcome, action, aet, address, token, role, user, study_uid, destination, text, coalesce(objects, '[]') FROM audit "

static int
fill_row(sqlite3_stmt *q, void *element, struct err *e)
{
	struct audit_row *r = element;

	r->id = sqlite3_column_int64(q, 0);
	r->time_ms = sqlite3_column_int64(q, 1);
	r->job = sqlite3_column_int64(q, 2);
	r->event = sqlite3_column_int(q, 3);
	r->type = sqlite3_column_int(q, 4);
	r->outcome = sqlite3_column_int(q, 5);
	SQL_COPY(q, 6, r->action);
	SQL_COPY(q, 7, r->aet);
	SQL_COPY(q, 8, r->address);
	SQL_COPY(q, 9, r->token);
	SQL_COPY(q, 10, r->role);
	SQL_COPY(q, 11, r->user);
	SQL_COPY(q, 12, r->study_uid);
	SQL_COPY(q, 13, r->destination);
	SQL_COPY(q, 14, r->text);
	return sql_dup(q, 15, &r->objects, e);
}

void
audit_rows_free(struct audit_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(rows[i].objects);
	free(rows);
}

/* As sql_list, of rows that own a text. */
static int
list(struct db *d, const struct sql_ask *ask, struct audit_row **rows, size_t *n, struct err *e)
{
	void *found;
	int r = sql_gather(d, ask, &found, n, e);

	if (r < 0) {
		audit_rows_free(found, *n);
		found = NULL;
		*n = 0;
	}
	*rows = found;
	return r < 0 ? -1 : 0;
}

int
audit_last_before(struct db *d, int64_t before_ms, int64_t *ms, struct err *e)
{
	*ms = 0;
	return sql_one(d, SQL_ASK(sql_fill_int, *ms, "SELECT coalesce(max(time_ms), 0) FROM audit WHERE time_ms < ?1", SQL_ARGS(sql_int(before_ms))), ms, e) < 0 ? -1 : 0;
}

/* Ids grow with time but where the clock was set back: a bound of ids, or all rows before would be asked. */
#define SINCE "id >= CASE WHEN ?2 > 0 THEN (SELECT min(+id) FROM audit INDEXED BY audit_time WHERE time_ms >= ?2) ELSE 0 END AND time_ms >= ?2 "

int
audit_list(struct db *d, const struct audit_filter *f, struct audit_row **rows, size_t *n, struct err *e)
{
	int64_t before = f->before_id > 0 ? f->before_id : INT64_MAX;

	if (f->study_uid != NULL)
		return list(d, SQL_ASK(fill_row, **rows, AUDIT_COLUMNS "WHERE study_uid = ?1 AND id < ?2 AND time_ms >= ?3 ORDER BY id DESC LIMIT ?4",
		                       SQL_ARGS(sql_text(f->study_uid), sql_int(before), sql_int(f->since_ms), sql_int((int64_t)f->limit))), rows, n, e);
	return list(d, SQL_ASK(fill_row, **rows, AUDIT_COLUMNS "WHERE id < ?1 AND " SINCE "ORDER BY id DESC LIMIT ?3",
	                       SQL_ARGS(sql_int(before), sql_int(f->since_ms), sql_int((int64_t)f->limit))), rows, n, e);
}

/* ---- told ---- */

int
audit_untold(struct db *d, size_t limit, struct audit_row **rows, size_t *n, struct err *e)
{
	return list(d, SQL_ASK(fill_row, **rows, AUDIT_COLUMNS "WHERE id > (SELECT id FROM audit_told) ORDER BY id LIMIT ?1", SQL_ARGS(sql_int((int64_t)limit))), rows, n, e);
}

int
audit_told(struct db *d, int64_t id, struct err *e)
{
	struct sql *s = sql_write_lazy(d, e);

	return s == NULL ? -1 : sql_write_end(s, sql_run(s, "UPDATE audit_told SET id = max(id, ?1)", SQL_ARGS(sql_int(id)), e), e);
}

int
audit_told_all(struct db *d, struct err *e)
{
	struct sql *s = sql_write_lazy(d, e);

	return s == NULL ? -1 : sql_write_end(s, sql_run(s, "UPDATE audit_told SET id = coalesce((SELECT max(id) FROM audit), id)", SQL_NONE, e), e);
}

/* ---- removed by age ---- */

int
audit_remove(struct db *d, int64_t before_ms, size_t batch, size_t *n, struct err *e)
{
	struct sql *s = sql_write(d, e);
	int r;

	*n = 0;
	if (s == NULL)
		return -1;
	r = sql_run(s, "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE time_ms < ?1 ORDER BY time_ms LIMIT ?2)",
	            SQL_ARGS(sql_int(before_ms), sql_int((int64_t)batch)), e);
	if (r == 0)
		*n = (size_t)sql_changes(s);
	return sql_write_end(s, r, e);
}
