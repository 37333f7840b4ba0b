/* What a person may do to a job: REST and the command line end here. */
#pragma once
#include "config/err.h"

#include <stdint.h>

struct node;
struct workers;

/* A failed delivery is tried again with the same object; a failed computation gets another attempt; a rejected, cancelled or done job gets a new run in a
 * new job. *job: the job that now goes on, id itself or the new one. ERR_NOT_FOUND; ERR_STATE: not final yet. */
int control_retry(struct node *n, int64_t id, int64_t *job, struct err *e);
/* Ends a job that is not final. w NULL: no worker of this process runs it. ERR_NOT_FOUND; ERR_STATE: final already. */
int control_cancel(struct node *n, struct workers *w, int64_t id, struct err *e);
/* A delivery that waits is tried no more; when it was the last of its job the job has failed. ERR_NOT_FOUND; ERR_STATE: on its way, or ended. */
int control_give_up(struct node *n, int64_t id, const char *destination, struct err *e);
