/* Results to destinations: C-STORE or STOW-RS, one thread a destination, state from each response, backoff for what may pass. */
#pragma once
#include "config/err.h"

#include <stdbool.h>
#include <stdint.h>

struct db;
struct node;
struct deliver;
struct deliver *deliver_start(struct node *n, struct err *e); /* borrows n; caller: deliver_stop */
/* Waits up to 3 s for transfers under way. False: a peer still holds a thread up, which uses the node: the process must end without node_close
 * (the delivery is taken up again at the next start). */
bool deliver_stop(struct deliver *d);
/* What waits for a destination that the settings name no more: no thread would ever send it, and the job would wait with it. Refused, with what helps. */
int deliver_refuse_orphans(struct node *n, int64_t job, struct err *e);
void deliver_log_job_end(struct db *db, int64_t job);         /* its line, where the last of its deliveries has ended it */
