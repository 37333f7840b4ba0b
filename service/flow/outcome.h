/* What becomes of a claimed job in database and DATA/results, once its worker has answered or has not. Each is tried again while the database or the disk fails for
 * a while (OUTCOME_RETRY_MS), until the node stops. Threads: any, one for a job. */
#pragma once
#include "db/jobs.h"
#include "service/flow/worker_order.h"

struct node;
enum { OUTCOME_RETRY_MS = 5000 };

/* The files of the answer go from the order's folder to the job's, then the row: done or delivering. ERR_STATE: cancelled meanwhile. */
int  outcome_record(struct node *n, const struct job *j, const struct order *o, const struct answer *a, struct err *e);

/* Rejected, queued again or failed, after `why`; an attempt that a full disk ended does not count. flags: JSON or NULL. A job cancelled meanwhile stays so. */
void outcome_failed(struct node *n, const struct job *j, const struct err *why, const char *flags);

/* The node stops: the attempt does not count. Where this cannot be written the next start queues the job again, and counts it. */
void outcome_give_back(struct node *n, const struct job *j);
