/* Jobs: making, finding, listing. What moves them is in jobs_move.c. */
#include "db/jobs.h"

#include "config/clock.h"
#include "db/moves.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The words are those of a CHECK in schema.c. */
static const struct {
	const char *name;
	bool is_final;
} states[JOB_N_STATES] = {
	[JOB_RECEIVING] = { "receiving", false },
	[JOB_QUEUED] = { "queued", false },
	[JOB_RUNNING] = { "running", false },
	[JOB_DELIVERING] = { "delivering", false },
	[JOB_DONE] = { "done", true },
	[JOB_FAILED] = { "failed", true },
	[JOB_REJECTED] = { "rejected", true },
	[JOB_CANCELLED] = { "cancelled", true },
};

const char *
job_state_name(enum job_state s)
{
	return states[s].name;
}

bool
job_state_parse(const char *name, enum job_state *out)
{
	for (int i = 0; name && i < JOB_N_STATES; i++)
		if (strcmp(states[i].name, name) == 0) {
			*out = (enum job_state)i;
			return true;
		}
	return false;
}

bool
job_state_is_final(enum job_state s)
{
	return states[s].is_final;
}

void
job_release(struct job *j)
{
	free(j->channels);
	free(j->fingerprint);
	free(j->reason);
	free(j->finding);
	free(j->flags);
	free(j->segments);
	free(j->results);
	free(j->timings);
	j->channels = j->fingerprint = j->reason = j->finding = j->flags = j->segments = j->results = j->timings = NULL;
}

void
jobs_free(struct job *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		job_release(&jobs[i]);
	free(jobs);
}

/* ---- making ---- */

/* Two jobs of one study, model, case version and run would make results under the same UIDs. */
static int
check_unique(struct sql *s, const struct job *j, struct err *e)
{
	sqlite3_stmt *q = sql_query(s, "SELECT id FROM jobs WHERE study_uid = ?1 AND model_name = ?2 AND case_version = ?3 AND run = ?4",
	                            SQL_ARGS(sql_text(j->study_uid), sql_text(j->model_name), sql_int(j->case_version), sql_int(j->run)), e);
	int r = q ? sql_step(q, e) : -1;

	if (r == 1)
		return err_set(e, ERR_STATE, "job %lld is run %lld of case version %lld of study %s with model %s already", (long long)sqlite3_column_int64(q, 0),
		               (long long)j->run, (long long)j->case_version, j->study_uid, j->model_name);
	return r;
}

static int
insert(struct sql *s, const struct job *j, int64_t *id, struct err *e)
{
	if (sql_run(s, "INSERT INTO jobs(state, study_uid, model_name, model_version, model_digest, priority, case_version, run, attempt, created_ms, peak_ms,"
	               " replaces, channels, fingerprint, reason, epoch) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7,"
	               " CASE ?8 WHEN 0 THEN (SELECT coalesce(max(run), 0) + 1 FROM jobs WHERE study_uid = ?2 AND model_name = ?3 AND case_version = ?7) ELSE ?8 END, 0,"
	               " ?9, max(?9, coalesce((SELECT max(peak_ms) FROM jobs), ?9)), nullif(?10, 0), ?11, ?12, ?13, (SELECT epoch FROM node WHERE rowid = 1))",
	            SQL_ARGS(sql_text(states[j->state].name), sql_text(j->study_uid), sql_text(j->model_name), sql_text(j->model_version), sql_text(j->model_digest),
	                     sql_text(j->priority[0] ? j->priority : "normal"), sql_int(j->case_version), sql_int(j->run), sql_int(j->created_ms),
	                     sql_int(j->replaces), sql_text(j->channels), sql_text(j->fingerprint), sql_text(j->reason)), e) < 0)
		return -1;
	*id = sqlite3_last_insert_rowid(s->handle);
	return 0;
}

static int
take_over_inputs(struct sql *s, int64_t id, int64_t from, struct err *e)
{
	if (sql_run(s, "INSERT INTO job_inputs(job, position, channel, sop_uid) SELECT ?1, position, channel, sop_uid FROM job_inputs WHERE job = ?2",
	            SQL_ARGS(sql_int(id), sql_int(from)), e) < 0)
		return -1;
	return sql_run(s, "UPDATE jobs SET channels = coalesce(channels, (SELECT channels FROM jobs WHERE id = ?2)),"
	                  " fingerprint = coalesce(fingerprint, (SELECT fingerprint FROM jobs WHERE id = ?2)) WHERE id = ?1",
	               SQL_ARGS(sql_int(id), sql_int(from)), e);
}

/* After a job whose images retention has removed: its inputs, where they are taken over, or at least something of the study has come again. */
static int
check_inputs(struct sql *s, const struct job *j, struct err *e)
{
	sqlite3_stmt *q = sql_query(s, "SELECT removed_ms FROM jobs WHERE id = ?1 AND removed_ms > 0 AND (NOT EXISTS(SELECT 1 FROM series WHERE study_uid = ?2)"
	                               " OR (?3 AND EXISTS(SELECT 1 FROM job_inputs i WHERE i.job = ?1 AND NOT EXISTS(SELECT 1 FROM instances n WHERE n.sop_uid = i.sop_uid))))",
	                            SQL_ARGS(sql_int(j->replaces), sql_text(j->study_uid), sql_int(j->state == JOB_QUEUED)), e);
	int r = q ? sql_step(q, e) : -1;
	char when[CLOCK_TEXT];

	if (r != 1)
		return r;
	clock_text(sqlite3_column_int64(q, 0), when);
	return err_set(e, ERR_STATE, "the images of job %lld were removed by retention at %s: send the study again, then retry", (long long)j->replaces, when);
}

int
jobs_create(struct db *d, const struct job *j, int64_t *id, struct err *e)
{
	struct sql *s;
	int r;

	if (j->state != JOB_RECEIVING && j->state != JOB_QUEUED)
		return err_set(e, ERR_STATE, "a job begins receiving or queued, not %s", states[j->state].name);
	s = sql_write(d, e);
	if (s == NULL)
		return -1;
	r = check_unique(s, j, e);
	if (r == 0 && j->replaces)
		r = check_inputs(s, j, e);
	if (r == 0)
		r = insert(s, j, id, e);
	if (r == 0 && j->state == JOB_QUEUED && j->replaces)
		r = take_over_inputs(s, *id, j->replaces, e);
	if (r == 0)
		r = job_event(s, *id, j->state, "created", e);
	return sql_write_end(s, r, e);
}

/* ---- one job ---- */

#define JOB_COLUMNS \
	"SELECT id, state, study_uid, model_name, model_version, model_digest, priority, case_version, run, attempt, created_ms, started_ms, finished_ms," \
	" coalesce(replaces, 0), progress, channels, fingerprint, reason, finding, flags, segments, results, timings, epoch, removed_ms FROM jobs "

static int
fill_job(sqlite3_stmt *q, void *element, struct err *e)
{
	struct job *j = element;
	char **texts[] = { &j->channels, &j->fingerprint, &j->reason, &j->finding, &j->flags, &j->segments, &j->results, &j->timings };

	memset(j, 0, sizeof *j);
	j->id = sqlite3_column_int64(q, 0);
	job_state_parse((const char *)sqlite3_column_text(q, 1), &j->state);
	SQL_COPY(q, 2, j->study_uid);
	SQL_COPY(q, 3, j->model_name);
	SQL_COPY(q, 4, j->model_version);
	SQL_COPY(q, 5, j->model_digest);
	SQL_COPY(q, 6, j->priority);
	j->case_version = sqlite3_column_int64(q, 7);
	j->run = sqlite3_column_int64(q, 8);
	j->attempt = sqlite3_column_int64(q, 9);
	j->created_ms = sqlite3_column_int64(q, 10);
	j->started_ms = sqlite3_column_int64(q, 11);
	j->finished_ms = sqlite3_column_int64(q, 12);
	j->replaces = sqlite3_column_int64(q, 13);
	j->progress = sqlite3_column_double(q, 14);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (sql_dup(q, 15 + (int)i, texts[i], e) < 0) {
			job_release(j);
			return -1;
		}
	SQL_COPY(q, 15 + (int)(sizeof texts / sizeof texts[0]), j->epoch);
	j->removed_ms = sqlite3_column_int64(q, 16 + (int)(sizeof texts / sizeof texts[0]));
	return 0;
}

int
job_read(struct sql *s, int64_t id, struct job *out, struct err *e)
{
	sqlite3_stmt *q = sql_query(s, JOB_COLUMNS "WHERE id = ?1", SQL_ARGS(sql_int(id)), e);
	int r = q ? sql_step(q, e) : -1;

	if (r == 1)
		r = fill_job(q, out, e);
	else if (r == 0)
		r = err_set(e, ERR_NOT_FOUND, "there is no job %lld", (long long)id);
	return r;
}

int
jobs_get(struct db *d, int64_t id, struct job *out, struct err *e)
{
	struct sql *s = sql_read(d, e);
	int r;

	if (s == NULL)
		return -1;
	r = job_read(s, id, out, e);
	sql_read_end(s);
	return r;
}

int
jobs_latest(struct db *d, const char *study_uid, const char *model_name, struct job *out, struct err *e)
{
	int r = sql_one(d, SQL_ASK(fill_job, *out, JOB_COLUMNS "WHERE study_uid = ?1 AND model_name = ?2 ORDER BY case_version DESC, run DESC LIMIT 1",
	                           SQL_ARGS(sql_text(study_uid), sql_text(model_name))), out, e);

	return r == 0 ? err_set(e, ERR_NOT_FOUND, "there is no job of study %s with model %s", study_uid, model_name) : r < 0 ? -1 : 0;
}

static int
fill_input(sqlite3_stmt *q, void *element, struct err *e)
{
	struct job_input *i = element;

	(void)e; /* bounded copies cannot fail */
	SQL_COPY(q, 0, i->channel);
	SQL_COPY(q, 1, i->sop_uid);
	return 0;
}

int
jobs_inputs(struct db *d, int64_t id, struct job_input **inputs, size_t *n, struct err *e)
{
	return sql_list(d, SQL_ASK(fill_input, **inputs, "SELECT channel, sop_uid FROM job_inputs WHERE job = ?1 ORDER BY position", SQL_ARGS(sql_int(id))),
	                inputs, n, e);
}

static int
fill_event(sqlite3_stmt *q, void *element, struct err *e)
{
	struct job_event *v = element;

	(void)e; /* bounded copies cannot fail */
	v->time_ms = sqlite3_column_int64(q, 0);
	SQL_COPY(q, 1, v->state);
	SQL_COPY(q, 2, v->cause);
	return 0;
}

int
jobs_history(struct db *d, int64_t id, struct job_event **events, size_t *n, struct err *e)
{
	return sql_list(d, SQL_ASK(fill_event, **events, "SELECT time_ms, state, cause FROM job_events WHERE job = ?1 ORDER BY position", SQL_ARGS(sql_int(id))),
	                events, n, e);
}

/* ---- many jobs ---- */

struct listing { char text[1024]; size_t length; struct sql_value values[8]; size_t n; };

static void
where(struct listing *l, const char *term, struct sql_value value)
{
	l->length += (size_t)snprintf(l->text + l->length, sizeof l->text - l->length, " %s", term);
	l->values[l->n++] = value;
}

/* Every combination of filters has an index that is in the order of id behind them; the planner, which keeps no statistics here, is told which. */
static void
compose(const struct job_filter *f, int64_t first_id, char *model /* cut at @ */, struct listing *l)
{
	static const char *const indices[2][3] = { { NULL, "jobs_model", "jobs_version" }, { "jobs_state", "jobs_state_model", "jobs_state_version" } };
	char *version = strchr(model, '@');
	const char *index = f->study_uid ? "jobs_case" : indices[f->has_state][model[0] ? version ? 2 : 1 : 0];

	if (version)
		*version++ = 0;
	l->length = (size_t)snprintf(l->text, sizeof l->text, JOB_COLUMNS "%s%s", index ? "INDEXED BY " : "", index ? index : "");
	where(l, "WHERE id < ?", sql_int(f->before_id ? f->before_id : INT64_MAX));
	where(l, "AND id >= ?", sql_int(first_id));
	where(l, "AND created_ms >= ?", sql_int(f->since_ms));
	if (f->study_uid)
		where(l, "AND study_uid = ?", sql_text(f->study_uid));
	if (f->has_state)
		where(l, "AND state = ?", sql_text(states[f->state].name));
	if (model[0])
		where(l, "AND model_name = ?", sql_text(model));
	if (version)
		where(l, "AND model_version = ?", sql_text(version));
	where(l, "ORDER BY id DESC LIMIT ?", sql_int((int64_t)f->limit));
}

/* No job with a lower id was created at since_ms or later. 1, 0 there is none at all, -1 */
static int
first_since(struct sql *s, int64_t since_ms, int64_t *id, struct err *e)
{
	sqlite3_stmt *q = sql_query(s, "SELECT id FROM jobs WHERE peak_ms >= ?1 ORDER BY peak_ms, id LIMIT 1", SQL_ARGS(sql_int(since_ms)), e);
	int r = q ? sql_step(q, e) : -1;

	if (r == 1)
		*id = sqlite3_column_int64(q, 0);
	return r;
}

int
jobs_list(struct db *d, const struct job_filter *f, struct job **jobs, size_t *n, struct err *e)
{
	struct sql *s = sql_read(d, e);
	struct listing l = { .n = 0 };
	void *found = NULL;
	sqlite3_stmt *q;
	char model[192];
	int64_t first_id = 0;
	int r = 1;

	*jobs = NULL;
	*n = 0;
	if (s == NULL)
		return -1;
	snprintf(model, sizeof model, "%s", f->model ? f->model : "");
	if (f->since_ms > 0)
		r = first_since(s, f->since_ms, &first_id, e);
	if (r == 1) {
		compose(f, first_id, model, &l);
		q = sql_query(s, l.text, l.values, l.n, e);
		r = q ? sql_collect(q, fill_job, sizeof **jobs, &found, n, e) : -1;
	}
	sql_read_end(s);
	if (r < 0) {
		jobs_free(found, *n);
		*n = 0;
		return -1;
	}
	*jobs = found;
	return 0;
}

struct count { char state[17]; int64_t n; };

static int
fill_count(sqlite3_stmt *q, void *element, struct err *e)
{
	struct count *c = element;

	(void)e; /* bounded copies cannot fail */
	SQL_COPY(q, 0, c->state);
	c->n = sqlite3_column_int64(q, 1);
	return 0;
}

int
jobs_count(struct db *d, int64_t by_state[JOB_N_STATES], struct err *e)
{
	struct count *counts;
	enum job_state state;
	size_t n;
	int r = sql_list(d, SQL_ASK(fill_count, *counts, "SELECT substr(name, 6), n FROM tallies WHERE name GLOB 'jobs.*'", SQL_NONE), &counts, &n, e);

	memset(by_state, 0, JOB_N_STATES * sizeof by_state[0]);
	for (size_t i = 0; i < n; i++)
		if (job_state_parse(counts[i].state, &state))
			by_state[state] = counts[i].n;
	free(counts);
	return r;
}
