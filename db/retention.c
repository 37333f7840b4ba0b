/* See retention.h. Nothing here looks at a clock or a setting: what is old or too much is decided by who calls. */
#include "db/retention.h"

#include "db/sql.h"

/* Each study of a series or of a job with results, where no row of it is held; use: as in enum. The words are those of CHECKs in schema.c. */
#define STUDIES(of_series, of_jobs) \
	"SELECT study_uid, max(at) AS since, max(use) FROM" \
	" (SELECT study_uid, last_ms AS at, state <> 'ignored' AS use, state IN ('open', 'waiting') OR" \
	"   EXISTS(SELECT 1 FROM contributions c WHERE c.series_uid = series.series_uid) AS held FROM series" of_series \
	"  UNION ALL SELECT study_uid, max(created_ms, finished_ms), 2, state NOT IN ('done', 'failed', 'rejected', 'cancelled') OR" \
	"   EXISTS(SELECT 1 FROM deliveries d WHERE d.job = jobs.id AND d.state IN ('waiting', 'sending')) FROM jobs WHERE removed_ms = 0" of_jobs ")" \
	" GROUP BY study_uid HAVING max(held) = 0"

static int
fill_study(sqlite3_stmt *q, void *element, struct err *e)
{
	struct kept_study *s = element;

	(void)e; /* bounded copies cannot fail */
	SQL_COPY(q, 0, s->study_uid);
	s->since_ms = sqlite3_column_int64(q, 1);
	s->use = sqlite3_column_int(q, 2);
	return 0;
}

int
retention_studies(struct db *d, struct kept_study **out, size_t *n, struct err *e)
{
	return sql_list(d, SQL_ASK(fill_study, **out, STUDIES("", "") " ORDER BY since, study_uid", SQL_NONE), out, n, e);
}

/* ---- removing ---- */

static int
check_unchanged(struct sql *s, const struct kept_study *k, struct err *e)
{
	sqlite3_stmt *q = sql_query(s, STUDIES(" WHERE study_uid = ?1", " AND study_uid = ?1"), SQL_ARGS(sql_text(k->study_uid)), e);
	int r = q ? sql_step(q, e) : -1;
	bool is_same = r == 1 && sqlite3_column_int64(q, 1) == k->since_ms && sqlite3_column_int(q, 2) == (int)k->use;

	if (r < 0)
		return -1;
	sqlite3_reset(q);
	return is_same ? 0 : err_set(e, ERR_STATE, "study %s is in use again", k->study_uid);
}

static int
weigh(struct sql *s, const struct kept_study *k, struct removed_study *out, struct err *e)
{
	sqlite3_stmt *q = sql_query(s, "SELECT count(*), coalesce(sum(i.size), 0), (SELECT count(*) FROM jobs WHERE study_uid = ?1 AND removed_ms = 0),"
	                               " (SELECT coalesce(sum(bytes), 0) FROM jobs WHERE study_uid = ?1 AND removed_ms = 0)"
	                               " FROM series s JOIN instances i ON i.series_uid = s.series_uid WHERE s.study_uid = ?1", SQL_ARGS(sql_text(k->study_uid)), e);

	if (q == NULL || sql_step(q, e) != 1)
		return -1;
	*out = (struct removed_study) { .instances = sqlite3_column_int64(q, 0), .jobs = sqlite3_column_int64(q, 2),
		.bytes = sqlite3_column_int64(q, 1) + sqlite3_column_int64(q, 3) };
	sqlite3_reset(q);
	return 0;
}

/* Of what a job read the first content is kept in mind, even where it came again in another transfer syntax. */
static const char remember[] =
	"INSERT INTO removed_instances(sop_uid, transfer_syntax, digest, content_digest)"
	" SELECT i.sop_uid, i.transfer_syntax, i.digest, i.content_digest FROM series s JOIN instances i ON i.series_uid = s.series_uid WHERE s.study_uid = ?1"
	"  AND i.sop_uid IN (SELECT n.sop_uid FROM jobs j JOIN job_inputs n ON n.job = j.id WHERE j.study_uid = ?1) ON CONFLICT(sop_uid) DO NOTHING";

static const char *const steps[] = {
	remember,
	"INSERT INTO leftovers(sop_uid) SELECT i.sop_uid FROM series s JOIN instances i ON i.series_uid = s.series_uid WHERE s.study_uid = ?1",
	"INSERT INTO leftovers(job) SELECT id FROM jobs WHERE study_uid = ?1 AND removed_ms = 0",
	"DELETE FROM instances WHERE series_uid IN (SELECT series_uid FROM series WHERE study_uid = ?1)",
	"DELETE FROM series WHERE study_uid = ?1",
};

static int
end_jobs(struct sql *s, const struct kept_study *k, int64_t now_ms, const char *cause, struct err *e)
{
	if (sql_run(s, "INSERT INTO job_events(job, position, time_ms, state, cause)"
	               " SELECT id, (SELECT coalesce(max(position), 0) + 1 FROM job_events v WHERE v.job = jobs.id), ?2, state, ?3 FROM jobs WHERE study_uid = ?1 AND removed_ms = 0",
	            SQL_ARGS(sql_text(k->study_uid), sql_int(now_ms), sql_text(cause)), e) < 0)
		return -1;
	return sql_run(s, "UPDATE jobs SET removed_ms = ?2, bytes = NULL WHERE study_uid = ?1 AND removed_ms = 0", SQL_ARGS(sql_text(k->study_uid), sql_int(now_ms)), e);
}

int
retention_remove(struct db *d, const struct kept_study *k, int64_t now_ms, const char *cause, struct removed_study *out, struct err *e)
{
	struct sql *s = sql_write(d, e);
	int r;

	if (s == NULL)
		return -1;
	r = check_unchanged(s, k, e);
	if (r == 0)
		r = weigh(s, k, out, e);
	for (size_t i = 0; i < sizeof steps / sizeof steps[0] && r == 0; i++)
		r = sql_run(s, steps[i], SQL_ARGS(sql_text(k->study_uid)), e);
	if (r == 0)
		r = end_jobs(s, k, now_ms, cause, e);
	return sql_write_end(s, r, e);
}

/* ---- leftovers ---- */

static int
fill_leftover(sqlite3_stmt *q, void *element, struct err *e)
{
	struct leftover *l = element;

	(void)e; /* bounded copies cannot fail */
	l->id = sqlite3_column_int64(q, 0);
	l->job = sqlite3_column_int64(q, 1);
	SQL_COPY(q, 2, l->sop_uid);
	return 0;
}

int
retention_leftovers(struct db *d, int64_t after_id, size_t limit, struct leftover **out, size_t *n, struct err *e)
{
	return sql_list(d, SQL_ASK(fill_leftover, **out, "SELECT id, coalesce(job, 0), sop_uid FROM leftovers WHERE id > ?1 ORDER BY id LIMIT ?2",
	                           SQL_ARGS(sql_int(after_id), sql_int((int64_t)limit))), out, n, e);
}

int
retention_forget(struct db *d, const struct leftover *gone, size_t n, struct err *e)
{
	struct sql *s = sql_write(d, e);
	int r = 0;

	if (s == NULL)
		return -1;
	for (size_t i = 0; i < n && r == 0; i++)
		r = sql_run(s, "DELETE FROM leftovers WHERE id = ?1", SQL_ARGS(sql_int(gone[i].id)), e);
	return sql_write_end(s, r, e);
}

/* ---- how much there is ---- */

int
retention_bytes(struct db *d, int64_t *bytes, struct err *e)
{
	*bytes = 0;
	return sql_one(d, SQL_ASK(sql_fill_int, *bytes, "SELECT n FROM tallies WHERE name = 'bytes'", SQL_NONE), bytes, e) < 0 ? -1 : 0;
}

int
retention_unmeasured(struct db *d, int64_t **jobs, size_t *n, struct err *e)
{
	return sql_list(d, SQL_ASK(sql_fill_int, **jobs, "SELECT id FROM jobs INDEXED BY jobs_unmeasured WHERE bytes IS NULL AND removed_ms = 0"
	                                                 " AND state IN ('done', 'failed', 'rejected', 'cancelled')", SQL_NONE), jobs, n, e);
}

int
retention_measured(struct db *d, int64_t job, int64_t bytes, struct err *e)
{
	struct sql *s = sql_write_lazy(d, e);

	return s == NULL ? -1 : sql_write_end(s, sql_run(s, "UPDATE jobs SET bytes = ?2 WHERE id = ?1 AND removed_ms = 0", SQL_ARGS(sql_int(job), sql_int(bytes)), e), e);
}
