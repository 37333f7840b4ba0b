/* The hot path: a received instance becomes a row, durably, before it is acknowledged.
 *
 * DESIGN: threads that add at the same time share a commit (an fsync). Each puts its row on a list under add_lock; the first that finds nobody committing
 * takes the whole list and commits it, the others wait and find their answer in their own entry. Rows that come meanwhile are the next group. */
#include "db/instances.h"
#include "db/sql.h"

struct instances_add {                   /* on the stack of the thread that waits for it */
	const struct instance_row *row;
	enum instance_fate fate;
	int result;
	struct err err;
	bool done;
	struct instances_add *next;
};

/* ---- adding ---- */

/* The series belongs to the association that brought it last; one that was already open when another was aborted does not undo that. */
static int
belong(struct sql *s, const struct instance_row *row, struct err *e)
{
	if (row->association == 0)
		return 0;
	if (sql_run(s, "INSERT OR IGNORE INTO contributions(series_uid, association) SELECT ?1, id FROM associations WHERE id = ?2 AND state = 'open'",
	            SQL_ARGS(sql_text(row->series_uid), sql_int(row->association)), e) < 0)
		return -1;
	return sql_run(s, "UPDATE series SET association = ?2 WHERE series_uid = ?1 AND association IS NOT ?2"
	                  " AND NOT EXISTS(SELECT 1 FROM associations old, associations new WHERE old.id = series.association AND new.id = ?2"
	                  "                AND old.state = 'aborted' AND new.opened_ms < old.closed_ms)",
	               SQL_ARGS(sql_text(row->series_uid), sql_int(row->association)), e);
}

static int
add_new(struct sql *s, const struct instance_row *row, struct err *e)
{
	/* a verdict over fewer instances is void, and so is its reason; the reason of a rule stays */
	if (sql_run(s, "INSERT INTO series(series_uid, study_uid, modality, n_instances, revision, first_ms, last_ms, ours, state)"
	               " VALUES(?1, ?2, ?3, 1, 1, ?4, ?4, ?5, 'open') ON CONFLICT(series_uid) DO UPDATE SET n_instances = n_instances + 1,"
	               " revision = revision + 1, n_slices = 0, last_ms = max(last_ms, ?4), ours = max(ours, ?5),"
	               " reason = CASE WHEN state IN ('rejected', 'ignored') THEN '' ELSE reason END, state = 'open'",
	            SQL_ARGS(sql_text(row->series_uid), sql_text(row->study_uid), sql_text(row->modality), sql_int(row->received_ms), sql_int(row->ours)), e) < 0)
		return -1;
	if (sql_run(s, "INSERT INTO instances(sop_uid, sop_class, study_uid, series_uid, transfer_syntax, modality, digest, content_digest, size, association,"
	               " received_ms, ours) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, nullif(?10, 0), ?11, ?12)",
	            SQL_ARGS(sql_text(row->sop_uid), sql_text(row->sop_class), sql_text(row->study_uid), sql_text(row->series_uid), sql_text(row->transfer_syntax),
	                     sql_text(row->modality), sql_text(row->digest), sql_text(row->content_digest), sql_int(row->size), sql_int(row->association),
	                     sql_int(row->received_ms), sql_int(row->ours)), e) < 0)
		return -1;
	return belong(s, row, e);
}

static int
mend(struct sql *s, const struct instance_row *row, struct err *e)
{
	if (sql_run(s, "UPDATE tallies SET n = n + ?2 - coalesce((SELECT size FROM instances WHERE sop_uid = ?1), ?2) WHERE name = 'bytes'",
	            SQL_ARGS(sql_text(row->sop_uid), sql_int(row->size)), e) < 0)
		return -1;
	if (sql_run(s, "UPDATE instances SET digest = ?2, content_digest = ?3, transfer_syntax = ?4, size = ?5 WHERE sop_uid = ?1",
	            SQL_ARGS(sql_text(row->sop_uid), sql_text(row->digest), sql_text(row->content_digest), sql_text(row->transfer_syntax), sql_int(row->size)), e) < 0)
		return -1;
	return sql_run(s, "UPDATE series SET revision = revision + 1, reason = CASE WHEN state IN ('rejected', 'ignored') THEN '' ELSE reason END, state = 'open'"
	                  " WHERE series_uid = ?1", SQL_ARGS(sql_text(row->series_uid)), e);
}

int
instances_mend(struct db *d, const struct instance_row *row, struct err *e)
{
	struct sql *s = sql_write(d, e);

	return s == NULL ? -1 : sql_write_end(s, mend(s, row, e), e);
}

static int
add_one(struct sql *s, const struct instance_row *row, enum instance_fate *fate, struct err *e)
{
	sqlite3_stmt *q = sql_query(s, "SELECT digest = ?2 OR (content_digest = ?3 AND ?3 <> '') FROM instances WHERE sop_uid = ?1",
	                            SQL_ARGS(sql_text(row->sop_uid), sql_text(row->digest), sql_text(row->content_digest)), e);
	int r = q ? sql_step(q, e) : -1;

	if (r < 0)
		return -1;
	if (r == 0) {
		*fate = INSTANCE_NEW;
		return add_new(s, row, e);
	}
	*fate = sqlite3_column_int(q, 0) ? INSTANCE_SAME : INSTANCE_CONFLICT;
	sqlite3_reset(q);
	return *fate == INSTANCE_SAME ? belong(s, row, e) : 0;
}

/* One transaction; all share its fate. */
static int
add_group(struct db *d, struct instances_add *list, struct err *e)
{
	struct sql *s = sql_write(d, e);
	int r = 0;

	if (s == NULL)
		return -1;
	for (struct instances_add *a = list; r == 0 && a; a = a->next)
		r = add_one(s, a->row, &a->fate, e);
	return sql_write_end(s, r, e);
}

/* A row that cannot be added must not take others with it: after a failure each is tried alone. */
static void
add_all(struct db *d, struct instances_add *list)
{
	struct instances_add *after;
	struct err e;

	if (list->next && add_group(d, list, &e) == 0)
		return;
	for (struct instances_add *a = list; a; a = after) {
		after = a->next;
		a->next = NULL;
		a->result = add_group(d, a, &a->err);
		a->next = after;
	}
}

int
instances_add(struct db *d, const struct instance_row *row, enum instance_fate *fate, struct err *e)
{
	struct instances_add mine = { .row = row }, *list;

	pthread_mutex_lock(&d->add_lock);
	*d->adds_end = &mine;
	d->adds_end = &mine.next;
	while (!mine.done && d->adding)
		pthread_cond_wait(&d->added, &d->add_lock);
	if (!mine.done) {
		list = d->adds;
		d->adds = NULL;
		d->adds_end = &d->adds;
		d->adding = true;
		pthread_mutex_unlock(&d->add_lock);
		add_all(d, list);
		pthread_mutex_lock(&d->add_lock);
		d->adding = false;
		for (; list; list = list->next)
			list->done = true;
		pthread_cond_broadcast(&d->added);
	}
	pthread_mutex_unlock(&d->add_lock);
	*fate = mine.fate;
	if (mine.result < 0) {
		*e = mine.err;
		return err_note(e, "instance %s", row->sop_uid);
	}
	return 0;
}

int
instances_add_all(struct db *d, const struct instance_row *rows, size_t n, struct err *e)
{
	struct sql *s = sql_write(d, e);
	enum instance_fate ignored;
	int r = 0;

	if (s == NULL)
		return -1;
	for (size_t i = 0; i < n && r == 0; i++)
		if ((r = add_one(s, &rows[i], &ignored, e)) != 0)
			err_note(e, "instance %s", rows[i].sop_uid);
	return sql_write_end(s, r, e);
}

/* ---- reading ---- */

#define UIDS "SELECT sop_uid, size FROM instances"

static int
fill_uid(sqlite3_stmt *q, void *element, struct err *e)
{
	struct instance_uid *u = element;

	(void)e; /* bounded copies cannot fail */
	SQL_COPY(q, 0, u->text);
	u->size = sqlite3_column_int64(q, 1);
	return 0;
}

int
db_content(const char *path, struct db_content *out, struct err *e)
{
	struct sql *s = sql_open(NULL, path, SQLITE_OPEN_READWRITE, e);
	sqlite3_stmt *q;
	void *instances = NULL, *jobs = NULL;
	int r = -1;

	*out = (struct db_content) { 0 };
	if (s == NULL)
		return -1;
	if ((q = sql_query(s, UIDS, SQL_NONE, e)) != NULL && sql_collect(q, fill_uid, sizeof *out->instances, &instances, &out->n_instances, e) == 0 &&
	    (q = sql_query(s, "SELECT id FROM jobs", SQL_NONE, e)) != NULL)
		r = sql_collect(q, sql_fill_int, sizeof *out->jobs, &jobs, &out->n_jobs, e);
	out->instances = instances;
	out->jobs = jobs;
	sql_close(s);
	return r;
}

int
instances_uids(struct db *d, struct instance_uid **uids, size_t *n, struct err *e)
{
	return sql_list(d, SQL_ASK(fill_uid, **uids, UIDS, SQL_NONE), uids, n, e);
}

#define INSTANCE_COLUMNS \
	"SELECT sop_uid, sop_class, study_uid, series_uid, transfer_syntax, modality, digest, content_digest, size, coalesce(association, 0), received_ms, ours" \
	" FROM instances "

static int
fill_instance(sqlite3_stmt *q, void *element, struct err *e)
{
	struct instance_row *r = element;

	(void)e; /* bounded copies cannot fail */
	SQL_COPY(q, 0, r->sop_uid);
	SQL_COPY(q, 1, r->sop_class);
	SQL_COPY(q, 2, r->study_uid);
	SQL_COPY(q, 3, r->series_uid);
	SQL_COPY(q, 4, r->transfer_syntax);
	SQL_COPY(q, 5, r->modality);
	SQL_COPY(q, 6, r->digest);
	SQL_COPY(q, 7, r->content_digest);
	r->size = sqlite3_column_int64(q, 8);
	r->association = sqlite3_column_int64(q, 9);
	r->received_ms = sqlite3_column_int64(q, 10);
	r->ours = sqlite3_column_int(q, 11);
	return 0;
}

int
instances_get(struct db *d, const char *sop_uid, struct instance_row *out, struct err *e)
{
	int r = sql_one(d, SQL_ASK(fill_instance, *out, INSTANCE_COLUMNS "WHERE sop_uid = ?1", SQL_ARGS(sql_text(sop_uid))), out, e);

	return r == 0 ? err_set(e, ERR_NOT_FOUND, "there is no instance %s", sop_uid) : r < 0 ? -1 : 0;
}

static int
fill_removed(sqlite3_stmt *q, void *element, struct err *e)
{
	struct instance_row *r = element;

	(void)e; /* bounded copies cannot fail */
	*r = (struct instance_row) { .size = 0 };
	SQL_COPY(q, 0, r->sop_uid);
	SQL_COPY(q, 1, r->transfer_syntax);
	SQL_COPY(q, 2, r->digest);
	SQL_COPY(q, 3, r->content_digest);
	return 0;
}

int
instances_get_removed(struct db *d, const char *sop_uid, struct instance_row *out, struct err *e)
{
	int r = sql_one(d, SQL_ASK(fill_removed, *out, "SELECT sop_uid, transfer_syntax, digest, content_digest FROM removed_instances WHERE sop_uid = ?1",
	                           SQL_ARGS(sql_text(sop_uid))), out, e);

	return r == 0 ? err_set(e, ERR_NOT_FOUND, "instance %s was never removed", sop_uid) : r < 0 ? -1 : 0;
}

int
instances_of_series(struct db *d, const char *series_uid, struct instance_row **rows, size_t *n, struct err *e)
{
	return sql_list(d, SQL_ASK(fill_instance, **rows, INSTANCE_COLUMNS "WHERE series_uid = ?1 ORDER BY sop_uid", SQL_ARGS(sql_text(series_uid))),
	                rows, n, e);
}

struct counts { int64_t instances, studies; };

static int
fill_counts(sqlite3_stmt *q, void *element, struct err *e)
{
	(void)e; /* integers cannot fail */
	*(struct counts *)element = (struct counts){ sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1) };
	return 0;
}

int
instances_count(struct db *d, int64_t *instances, int64_t *studies, struct err *e)
{
	struct counts c = { 0, 0 };
	int r = sql_one(d, SQL_ASK(fill_counts, c, "SELECT coalesce(max(n) FILTER(WHERE name = 'instances'), 0),"
	                                        " coalesce(max(n) FILTER(WHERE name = 'studies'), 0) FROM tallies", SQL_NONE), &c, e);

	*instances = c.instances;
	*studies = c.studies;
	return r < 0 ? -1 : 0;
}
