/* A job whose result outlived its row comes back as a row. That it is here again is what keeps its study from being segmented and sent once more. */
#include "db/jobs.h"
#include "db/moves.h"

static const char cause[] = "the database was rebuilt: taken from the record beside the result";
static const char reason[] = "the database was rebuilt and nobody knows whether the result was delivered; `segan jobs retry` sends the same objects again";

static int
check_new(struct sql *s, const struct job *j, struct err *e)
{
	sqlite3_stmt *q = sql_query(s, "SELECT id FROM jobs WHERE id = ?1 UNION ALL SELECT id FROM jobs WHERE study_uid = ?2 AND model_name = ?3 AND case_version = ?4 AND run = ?5",
	                            SQL_ARGS(sql_int(j->id), sql_text(j->study_uid), sql_text(j->model_name), sql_int(j->case_version), sql_int(j->run)), e);
	int r = q ? sql_step(q, e) : -1;

	if (r == 1)
		return err_set(e, ERR_STATE, "job %lld is here already", (long long)sqlite3_column_int64(q, 0));
	return r;
}

static int
insert(struct sql *s, const struct job *j, enum job_state state, struct err *e)
{
	return sql_run(s, "INSERT INTO jobs(id, state, study_uid, model_name, model_version, model_digest, priority, case_version, run, attempt, created_ms, peak_ms, started_ms,"
	                  " finished_ms, replaces, progress, channels, fingerprint, reason, finding, flags, segments, results, timings, epoch) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7,"
	                  " ?8, ?9, ?10, ?11, max(?11, coalesce((SELECT max(peak_ms) FROM jobs), ?11)), ?12, ?13, (SELECT id FROM jobs WHERE id = ?14), 1,"
	                  " ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)",
	               SQL_ARGS(sql_int(j->id), sql_text(job_state_name(state)), sql_text(j->study_uid), sql_text(j->model_name), sql_text(j->model_version),
	                        sql_text(j->model_digest), sql_text(j->priority), sql_int(j->case_version), sql_int(j->run), sql_int(j->attempt), sql_int(j->created_ms),
	                        sql_int(j->started_ms), sql_int(j->finished_ms), sql_int(j->replaces), sql_text(j->channels), sql_text(j->fingerprint),
	                        sql_text(state == JOB_DONE ? NULL : reason), sql_text(j->finding), sql_text(j->flags), sql_text(j->segments), sql_text(j->results),
	                        sql_text(j->timings), sql_text(j->epoch)), e);
}

static int
insert_inputs(struct sql *s, const struct job *j, const struct job_input *inputs, size_t n, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = sql_run(s, "INSERT INTO job_inputs(job, position, channel, sop_uid) VALUES(?1, ?2, ?3, ?4)",
		            SQL_ARGS(sql_int(j->id), sql_int((int64_t)i), sql_text(inputs[i].channel), sql_text(inputs[i].sop_uid)), e);
	return r;
}

static int
insert_deliveries(struct sql *s, const struct job *j, const char *const *destinations, size_t n, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = sql_run(s, "INSERT INTO deliveries(job, destination, state, created_ms, last_error) VALUES(?1, ?2, 'given_up', ?3, ?4)",
		            SQL_ARGS(sql_int(j->id), sql_text(destinations[i]), sql_int(j->finished_ms), sql_text(reason)), e);
	return r;
}

int
jobs_restore(struct db *d, const struct job *j, const struct job_input *inputs, size_t n_inputs, const char *const *destinations, size_t n_destinations, struct err *e)
{
	enum job_state state = n_destinations > 0 ? JOB_FAILED : JOB_DONE;
	struct sql *s = sql_write(d, e);
	int r;

	if (s == NULL)
		return -1;
	r = check_new(s, j, e);
	if (r == 0)
		r = insert(s, j, state, e);
	if (r == 0)
		r = insert_inputs(s, j, inputs, n_inputs, e);
	if (r == 0)
		r = insert_deliveries(s, j, destinations, n_destinations, e);
	if (r == 0)
		r = job_event(s, j->id, state, cause, e);
	return sql_write_end(s, r, e);
}
