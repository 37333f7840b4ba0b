/* Inside db/ only: how a job changes its state, and a delivery. jobs.c, jobs_move.c, deliveries.c and commitments.c move jobs through job_move, which alone knows what moves there are. */
#pragma once
#include "db/deliveries.h"
#include "db/jobs.h"
#include "db/sql.h"

enum { JOB_ANY_ATTEMPT = -1 };
struct job_move {
	int64_t id, attempt;                 /* JOB_ANY_ATTEMPT: not compared */
	enum job_state from, to;
	const char *reason;                  /* the job's reason from now on; NULL = null */
	const char *cause;                   /* its line in the history */
};
/* Within a write transaction. ERR_NOT_FOUND, ERR_STATE (not a move, or the job is elsewhere by now). */
int job_move(struct sql *s, const struct job_move *m, struct err *e);
int job_event(struct sql *s, int64_t id, enum job_state state, const char *cause, struct err *e);
int job_read(struct sql *s, int64_t id, struct job *out, struct err *e); /* ERR_NOT_FOUND; caller: job_release */

/* Within a write transaction, as deliveries_settle. */
int delivery_settle(struct sql *s, int64_t id, enum delivery_state state, int64_t next_attempt_ms, const char *error, struct err *e);
/* A delivering job of which nothing is on its way any more, and no archive's word is waited for, is done or failed. */
int delivery_end_job(struct sql *s, int64_t job, struct err *e);
