/* Inside db/ only: how a job changes its state. jobs.c, jobs_move.c and deliveries.c move jobs through job_move, which alone knows what moves there are. */
#pragma once
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
