/* What the node thinks of a series: its state, which channel it is, why. The rows are made by instances_add. */
#include "db/instances.h"
#include "db/sql.h"

#include <string.h>

static const char *const state_names[] = { "open", "waiting", "complete", "rejected", "ignored" };
static const char *const association_names[] = { "open", "released", "aborted" };

const char *
series_state_name(enum series_state s)
{
	return state_names[s];
}

/* Without an association (found in the spool) nobody is left to bring more: as if released. */
#define SERIES_COLUMNS \
	"SELECT s.series_uid, s.study_uid, s.modality, s.n_instances, s.revision, s.first_ms, s.last_ms, coalesce(s.association, 0), coalesce(a.state, 'released')," \
	" EXISTS(SELECT 1 FROM contributions c JOIN associations o ON o.id = c.association" \
	"        WHERE c.series_uid = s.series_uid AND c.association IS NOT s.association AND o.state = 'open')," \
	" s.ours, s.state, s.channel, s.rule, s.reason, s.n_slices FROM series s LEFT JOIN associations a ON a.id = s.association "

/* The words are those of a CHECK in schema.c. */
static size_t
position(const char *const *names, size_t n, sqlite3_stmt *q, int column)
{
	const char *text = (const char *)sqlite3_column_text(q, column);

	for (size_t i = 0; i < n; i++)
		if (text && strcmp(names[i], text) == 0)
			return i;
	return 0;
}

static int
fill_series(sqlite3_stmt *q, void *element, struct err *e)
{
	struct series_row *r = element;

	(void)e; /* bounded copies cannot fail */
	SQL_COPY(q, 0, r->series_uid);
	SQL_COPY(q, 1, r->study_uid);
	SQL_COPY(q, 2, r->modality);
	r->n_instances = sqlite3_column_int64(q, 3);
	r->revision = sqlite3_column_int64(q, 4);
	r->first_ms = sqlite3_column_int64(q, 5);
	r->last_ms = sqlite3_column_int64(q, 6);
	r->association = sqlite3_column_int64(q, 7);
	r->association_state = (enum association_state)position(association_names, 3, q, 8);
	r->others_open = sqlite3_column_int(q, 9);
	r->ours = sqlite3_column_int(q, 10);
	r->state = (enum series_state)position(state_names, 5, q, 11);
	SQL_COPY(q, 12, r->channel);
	SQL_COPY(q, 13, r->rule);
	SQL_COPY(q, 14, r->reason);
	r->n_slices = sqlite3_column_int64(q, 15);
	return 0;
}

int
series_get(struct db *d, const char *series_uid, struct series_row *out, struct err *e)
{
	int r = sql_one(d, SQL_ASK(fill_series, *out, SERIES_COLUMNS "WHERE s.series_uid = ?1", SQL_ARGS(sql_text(series_uid))), out, e);

	return r == 0 ? err_set(e, ERR_NOT_FOUND, "there is no series %s", series_uid) : r < 0 ? -1 : 0;
}

int
series_of_study(struct db *d, const char *study_uid, struct series_row **rows, size_t *n, struct err *e)
{
	return sql_list(d, SQL_ASK(fill_series, **rows, SERIES_COLUMNS "WHERE s.study_uid = ?1 ORDER BY s.first_ms, s.series_uid", SQL_ARGS(sql_text(study_uid))),
	                rows, n, e);
}

int
series_unsettled(struct db *d, struct series_row **rows, size_t *n, struct err *e)
{
	return sql_list(d, SQL_ASK(fill_series, **rows, SERIES_COLUMNS "WHERE s.state IN ('open', 'waiting') ORDER BY s.series_uid", SQL_NONE), rows, n, e);
}

/* One row or none was changed: none means why. */
static int
end_change(struct sql *s, int r, enum err_code none, const char *series_uid, const char *what, struct err *e)
{
	if (r == 0 && sql_changes(s) == 0)
		r = err_set(e, none, "series %s %s", series_uid, what);
	return sql_write_end(s, r, e);
}

int
series_settle(struct db *d, const char *series_uid, int64_t revision, enum series_state state, const char *reason, struct err *e)
{
	struct sql *s = sql_write(d, e);
	int r;

	if (s == NULL)
		return -1;
	r = sql_run(s, "UPDATE series SET state = ?3, reason = coalesce(?4, reason) WHERE series_uid = ?1 AND revision = ?2",
	            SQL_ARGS(sql_text(series_uid), sql_int(revision), sql_text(state_names[state]), sql_text(reason)), e);
	return end_change(s, r, ERR_STATE, series_uid, "changed meanwhile", e);
}

int
series_reopen(struct db *d, const char *study_uid, struct err *e)
{
	struct sql *s = sql_write(d, e);

	return s == NULL ? -1 : sql_write_end(s, sql_run(s, "UPDATE series SET state = 'open', revision = revision + 1, reason = '' WHERE study_uid = ?1 AND state = 'rejected'",
	                                                 SQL_ARGS(sql_text(study_uid)), e), e);
}

int
series_count_slices(struct db *d, const char *series_uid, int64_t n_slices, struct err *e)
{
	struct sql *s = sql_write(d, e);
	int r;

	if (s == NULL)
		return -1;
	r = sql_run(s, "UPDATE series SET n_slices = ?2 WHERE series_uid = ?1", SQL_ARGS(sql_text(series_uid), sql_int(n_slices)), e);
	return end_change(s, r, ERR_NOT_FOUND, series_uid, "is not here", e);
}

int
series_decide(struct db *d, const char *series_uid, const char *channel, const char *rule, const char *reason, struct err *e)
{
	struct sql *s = sql_write(d, e);
	int r;

	if (s == NULL)
		return -1;
	r = sql_run(s, "UPDATE series SET channel = coalesce(?2, ''), rule = coalesce(?3, ''), reason = coalesce(?4, reason) WHERE series_uid = ?1",
	            SQL_ARGS(sql_text(series_uid), sql_text(channel), sql_text(rule), sql_text(reason)), e);
	return end_change(s, r, ERR_NOT_FOUND, series_uid, "is not here", e);
}
