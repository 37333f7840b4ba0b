/* How jobs move. Every move is a compare-and-set and a line in the history, in one transaction with what it brings along; the table of moves is here and
 * nowhere else. A caller whose move is refused with ERR_STATE was overtaken (a cancel, another thread) and lets go of the job. */
#include "db/moves.h"

#include "config/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TO(state) (1u << (state))
static const unsigned moves[JOB_N_STATES] = {
	[JOB_RECEIVING] = TO(JOB_QUEUED) | TO(JOB_FAILED) | TO(JOB_REJECTED) | TO(JOB_CANCELLED),
	[JOB_QUEUED] = TO(JOB_RECEIVING) | TO(JOB_RUNNING) | TO(JOB_FAILED) | TO(JOB_REJECTED) | TO(JOB_CANCELLED),
	[JOB_RUNNING] = TO(JOB_QUEUED) | TO(JOB_DELIVERING) | TO(JOB_DONE) | TO(JOB_FAILED) | TO(JOB_REJECTED) | TO(JOB_CANCELLED),
	[JOB_DELIVERING] = TO(JOB_DONE) | TO(JOB_FAILED) | TO(JOB_CANCELLED),
	[JOB_FAILED] = TO(JOB_QUEUED) | TO(JOB_DELIVERING),
};

/* ---- one move ---- */

int
job_event(struct sql *s, int64_t id, enum job_state state, const char *cause, struct err *e)
{
	return sql_run(s, "INSERT INTO job_events(job, position, time_ms, state, cause)"
	                  " SELECT ?1, coalesce(max(position), 0) + 1, ?2, ?3, coalesce(?4, '') FROM job_events WHERE job = ?1",
	               SQL_ARGS(sql_int(id), sql_int(clock_ms()), sql_text(job_state_name(state)), sql_text(cause)), e);
}

/* Says why a move changed no row. */
static int
refuse(struct sql *s, const struct job_move *m, struct err *e)
{
	sqlite3_stmt *q = sql_query(s, "SELECT state, attempt FROM jobs WHERE id = ?1", SQL_ARGS(sql_int(m->id)), e);
	int r = q ? sql_step(q, e) : -1;

	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no job %lld", (long long)m->id);
	if (r == 1)
		return err_set(e, ERR_STATE, "job %lld is %s (attempt %lld): it cannot go from %s to %s", (long long)m->id, (const char *)sqlite3_column_text(q, 0),
		               (long long)sqlite3_column_int64(q, 1), job_state_name(m->from), job_state_name(m->to));
	return -1;
}

int
job_move(struct sql *s, const struct job_move *m, struct err *e)
{
	if (!(moves[m->from] & TO(m->to)))
		return refuse(s, m, e);
	if (sql_run(s, "UPDATE jobs SET state = ?4, reason = ?5, finished_ms = ?6, bytes = NULL WHERE id = ?1 AND state = ?2 AND (?3 < 0 OR attempt = ?3) AND removed_ms = 0",
	            SQL_ARGS(sql_int(m->id), sql_text(job_state_name(m->from)), sql_int(m->attempt), sql_text(job_state_name(m->to)), sql_text(m->reason),
	                     sql_int(job_state_is_final(m->to) ? clock_ms() : 0)), e) < 0)
		return -1;
	if (sql_changes(s) == 0)
		return refuse(s, m, e);
	return job_event(s, m->id, m->to, m->cause, e);
}

/* ---- before it runs ---- */

static int
put_inputs(struct sql *s, int64_t id, const struct job_input *inputs, size_t n, struct err *e)
{
	if (sql_run(s, "DELETE FROM job_inputs WHERE job = ?1", SQL_ARGS(sql_int(id)), e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (sql_run(s, "INSERT INTO job_inputs(job, position, channel, sop_uid) VALUES(?1, ?2, ?3, ?4)",
		            SQL_ARGS(sql_int(id), sql_int((int64_t)i), sql_text(inputs[i].channel), sql_text(inputs[i].sop_uid)), e) < 0)
			return -1;
	return 0;
}

int
jobs_queue(struct db *d, int64_t id, const char *channels, const char *fingerprint, const struct job_input *inputs, size_t n, const char *cause, struct err *e)
{
	struct job_move m = { .id = id, .attempt = JOB_ANY_ATTEMPT, .from = JOB_RECEIVING, .to = JOB_QUEUED, .cause = cause };
	struct sql *s = sql_write(d, e);
	int r;

	if (s == NULL)
		return -1;
	r = job_move(s, &m, e);
	if (r == 0)
		r = sql_run(s, "UPDATE jobs SET channels = ?2, fingerprint = ?3 WHERE id = ?1", SQL_ARGS(sql_int(id), sql_text(channels), sql_text(fingerprint)), e);
	if (r == 0)
		r = put_inputs(s, id, inputs, n, e);
	return sql_write_end(s, r, e);
}

int
jobs_unqueue(struct db *d, int64_t id, const char *cause, struct err *e)
{
	struct job_move m = { .id = id, .attempt = JOB_ANY_ATTEMPT, .from = JOB_QUEUED, .to = JOB_RECEIVING, .cause = cause };
	struct sql *s = sql_write(d, e);
	int r;

	if (s == NULL)
		return -1;
	r = job_move(s, &m, e);
	if (r == 0) /* whoever asks what it read, or would read again, must not be told of these any more */
		r = sql_run(s, "UPDATE jobs SET fingerprint = NULL WHERE id = ?1", SQL_ARGS(sql_int(id)), e);
	if (r == 0)
		r = put_inputs(s, id, NULL, 0, e);
	return sql_write_end(s, r, e);
}

/* A change that is no move: of a job in a certain state, else ERR_STATE. */
static int
end_change(struct sql *s, int r, int64_t id, const char *what, struct err *e)
{
	if (r == 0 && sql_changes(s) == 0)
		r = err_set(e, ERR_STATE, "job %lld is not %s", (long long)id, what);
	return sql_write_end(s, r, e);
}

int
jobs_channels(struct db *d, int64_t id, const char *channels, struct err *e)
{
	struct sql *s = sql_write(d, e);

	if (s == NULL)
		return -1;
	return end_change(s, sql_run(s, "UPDATE jobs SET channels = ?2 WHERE id = ?1 AND state = 'receiving'", SQL_ARGS(sql_int(id), sql_text(channels)), e),
	                  id, "receiving", e);
}

/* ---- running ---- */

/* The next in the queue begins its next attempt. */
static int
claim(struct sql *s, struct job *out, struct err *e)
{
	sqlite3_stmt *q = sql_query(s, "SELECT id, attempt FROM jobs INDEXED BY jobs_queue WHERE state = 'queued' AND not_before_ms NOT BETWEEN ?1 + 1 AND ?1 + ?2"
	                               " ORDER BY CASE priority WHEN 'high' THEN 0 WHEN 'normal' THEN 1 ELSE 2 END, id LIMIT 1", SQL_ARGS(sql_int(clock_ms()), sql_int(JOB_REST_MAX_MS)), e);
	struct job_move m = { .from = JOB_QUEUED, .to = JOB_RUNNING };
	int r = q ? sql_step(q, e) : -1;
	char cause[64];

	if (r < 0)
		return -1;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "no job is queued");
	m.id = sqlite3_column_int64(q, 0);
	m.attempt = sqlite3_column_int64(q, 1);
	sqlite3_reset(q);
	snprintf(cause, sizeof cause, "attempt %lld", (long long)m.attempt + 1);
	m.cause = cause;
	if (job_move(s, &m, e) < 0)
		return -1;
	if (sql_run(s, "UPDATE jobs SET attempt = attempt + 1, started_ms = ?2, progress = 0 WHERE id = ?1", SQL_ARGS(sql_int(m.id), sql_int(clock_ms())), e) < 0)
		return -1;
	return job_read(s, m.id, out, e);
}

int
jobs_claim(struct db *d, struct job *out, struct err *e)
{
	struct sql *s = sql_write(d, e);
	int r;

	memset(out, 0, sizeof *out);
	if (s == NULL)
		return -1;
	r = sql_write_end(s, claim(s, out, e), e);
	if (r < 0)
		job_release(out);
	return r;
}

int
jobs_rest(struct db *d, int64_t id, int64_t attempt, int64_t until_ms, struct err *e)
{
	struct sql *s = sql_write(d, e);

	if (s == NULL)
		return -1;
	return end_change(s, sql_run(s, "UPDATE jobs SET not_before_ms = ?3 WHERE id = ?1 AND state = 'running' AND attempt = ?2",
	                             SQL_ARGS(sql_int(id), sql_int(attempt), sql_int(until_ms)), e), id, "running this attempt", e);
}

int
jobs_next_ms(struct db *d, int64_t *next_ms, struct err *e)
{
	return sql_one(d, SQL_ASK(sql_fill_int, *next_ms, "SELECT coalesce(min(not_before_ms), 9223372036854775807) FROM jobs WHERE state = 'queued'", SQL_NONE), next_ms, e) < 0 ? -1 : 0;
}

int
jobs_interrupted(struct db *d, int64_t id, int64_t attempt, const char *reason, struct err *e)
{
	struct job_move m = { .id = id, .attempt = attempt, .from = JOB_RUNNING, .to = JOB_QUEUED, .reason = reason, .cause = reason != NULL ? reason : "the node was stopped" };
	struct sql *s = sql_write(d, e);
	int r;

	if (s == NULL)
		return -1;
	r = job_move(s, &m, e);
	if (r == 0)
		r = sql_run(s, "UPDATE jobs SET attempt = attempt - 1 WHERE id = ?1", SQL_ARGS(sql_int(id)), e);
	return sql_write_end(s, r, e);
}

static int
attempt_failed(struct sql *s, int64_t id, int64_t attempt, bool again, const char *reason, struct err *e)
{
	struct job_move m = { .id = id, .attempt = attempt, .from = JOB_RUNNING, .to = again ? JOB_QUEUED : JOB_FAILED, .reason = reason, .cause = reason };

	return job_move(s, &m, e);
}

int
jobs_attempt_failed(struct db *d, int64_t id, int64_t attempt, bool may_pass, int64_t max_attempts, const char *reason, struct err *e)
{
	struct sql *s = sql_write(d, e);

	return s == NULL ? -1 : sql_write_end(s, attempt_failed(s, id, attempt, may_pass && attempt < max_attempts, reason, e), e);
}

static int
put_outcome(struct sql *s, int64_t id, const struct job_outcome *o, struct err *e)
{
	return sql_run(s, "UPDATE jobs SET finding = ?2, flags = ?3, segments = ?4, results = ?5, timings = ?6, progress = 1 WHERE id = ?1",
	               SQL_ARGS(sql_int(id), sql_text(o->finding), sql_text(o->flags), sql_text(o->segments), sql_text(o->results), sql_text(o->timings)), e);
}

static int
put_deliveries(struct sql *s, int64_t id, const char *const *destinations, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (sql_run(s, "INSERT INTO deliveries(job, destination, state, created_ms) VALUES(?1, ?2, 'waiting', ?3) ON CONFLICT(job, destination) DO NOTHING",
		            SQL_ARGS(sql_int(id), sql_text(destinations[i]), sql_int(clock_ms())), e) < 0)
			return -1;
	return 0;
}

int
jobs_computed(struct db *d, int64_t id, int64_t attempt, const struct job_outcome *o, const char *const *destinations, size_t n, struct err *e)
{
	bool deliver = n > 0;
	struct job_move m = { .id = id, .attempt = attempt, .from = JOB_RUNNING, .to = deliver ? JOB_DELIVERING : JOB_DONE, .cause = "computed" };
	struct sql *s = sql_write(d, e);
	int r;

	if (s == NULL)
		return -1;
	r = job_move(s, &m, e);
	if (r == 0)
		r = put_outcome(s, id, o, e);
	if (r == 0 && deliver)
		r = put_deliveries(s, id, destinations, n, e);
	return sql_write_end(s, r, e);
}

int
jobs_progress(struct db *d, int64_t id, int64_t attempt, double progress, struct err *e)
{
	struct sql *s = sql_write_lazy(d, e);

	if (s == NULL)
		return -1;
	return end_change(s, sql_run(s, "UPDATE jobs SET progress = ?3 WHERE id = ?1 AND state = 'running' AND attempt = ?2",
	                             SQL_ARGS(sql_int(id), sql_int(attempt), sql_real(progress)), e), id, "running this attempt", e);
}

int
jobs_timing(struct db *d, int64_t id, const char *timings, struct err *e)
{
	struct sql *s = sql_write(d, e);

	if (s == NULL)
		return -1;
	return end_change(s, sql_run(s, "UPDATE jobs SET timings = ?2 WHERE id = ?1", SQL_ARGS(sql_int(id), sql_text(timings)), e), id, "here", e);
}

int
jobs_flags(struct db *d, int64_t id, int64_t attempt, const char *flags, struct err *e)
{
	struct sql *s = sql_write(d, e);

	if (s == NULL)
		return -1;
	return end_change(s, sql_run(s, "UPDATE jobs SET flags = ?3 WHERE id = ?1 AND state = 'running' AND attempt = ?2",
	                             SQL_ARGS(sql_int(id), sql_int(attempt), sql_text(flags)), e), id, "running this attempt", e);
}

/* ---- ends, and ways back ---- */

int
jobs_end(struct db *d, int64_t id, enum job_state from, enum job_state to, const char *reason, struct err *e)
{
	struct job_move m = { .id = id, .attempt = JOB_ANY_ATTEMPT, .from = from, .to = to, .reason = reason, .cause = reason };
	struct sql *s;
	int r;

	if (to != JOB_REJECTED && to != JOB_FAILED && to != JOB_CANCELLED)
		return err_set(e, ERR_STATE, "job %lld cannot be ended as %s", (long long)id, job_state_name(to));
	s = sql_write(d, e);
	if (s == NULL)
		return -1;
	r = job_move(s, &m, e);
	if (r == 0)
		r = sql_run(s, "UPDATE deliveries SET state = 'given_up', last_error = coalesce(?2, 'the job was ended') WHERE job = ?1 AND state = 'waiting'",
		            SQL_ARGS(sql_int(id), sql_text(reason)), e);
	return sql_write_end(s, r, e);
}

int
jobs_retry(struct db *d, int64_t id, const char *cause, struct err *e)
{
	struct job_move m = { .id = id, .attempt = JOB_ANY_ATTEMPT, .from = JOB_FAILED, .to = JOB_QUEUED, .cause = cause };
	struct sql *s = sql_write(d, e);
	sqlite3_stmt *q;
	int r;

	if (s == NULL)
		return -1;
	q = sql_query(s, "SELECT 1 FROM deliveries WHERE job = ?1 LIMIT 1", SQL_ARGS(sql_int(id)), e);
	r = q ? sql_step(q, e) : -1;
	if (r == 1)
		r = err_set(e, ERR_STATE, "job %lld was computed: its deliveries can be tried again, not its computation", (long long)id);
	if (r == 0)
		r = job_move(s, &m, e);
	if (r == 0)
		r = sql_run(s, "UPDATE jobs SET not_before_ms = 0 WHERE id = ?1", SQL_ARGS(sql_int(id)), e);
	return sql_write_end(s, r, e);
}

struct running { int64_t id, attempt; };

static int
fill_running(sqlite3_stmt *q, void *element, struct err *e)
{
	(void)e; /* integers cannot fail */
	*(struct running *)element = (struct running){ sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1) };
	return 0;
}

int
jobs_recover(struct db *d, int64_t max_attempts, struct err *e)
{
	struct sql *s = sql_write(d, e);
	void *found = NULL;
	sqlite3_stmt *q;
	size_t n = 0;
	int r = -1;

	if (s == NULL)
		return -1;
	q = sql_query(s, "SELECT id, attempt FROM jobs WHERE state = 'running' ORDER BY id", SQL_NONE, e);
	if (q)
		r = sql_collect(q, fill_running, sizeof(struct running), &found, &n, e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct running *j = (const struct running *)found + i;
		char reason[96];
		snprintf(reason, sizeof reason, "the node stopped during attempt %lld", (long long)j->attempt);
		r = attempt_failed(s, j->id, j->attempt, j->attempt < max_attempts, reason, e);
	}
	free(found);
	return sql_write_end(s, r, e);
}
