/* The process that decodes and computes. segand --worker: one JSON line in a job, progress lines and one result line out.
 * DESIGN: one feeder thread a worker claims queued jobs (bell: node.work), spawns its process and lives until workers_stop (PR_SET_PDEATHSIG fires when the
 * spawning thread ends), so workers_start may be called from any thread. */
#pragma once
#include "config/err.h"
#include "db/jobs.h"

struct node;
struct workers;
struct workers *workers_start(struct node *n, struct err *e);   /* settings->workers processes, each fed by its own thread that claims jobs; caller: workers_stop */
void workers_stop(struct workers *w);                           /* kills what runs; its jobs are queued again, the attempt does not count */
void workers_cancel(struct workers *w, int64_t job);            /* ends the attempt of a running job whose state is no longer running */

int worker_main(int argc, char **argv);                         /* the process itself: segand --worker ... */
