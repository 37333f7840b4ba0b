/* One worker process (or another child: compare.c) as its feeder sees it: start, a line in, a line out in time, kill. */
#pragma once
#include "config/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct worker_process {
	pid_t pid;                 /* 0 = none */
	int to, from;              /* its stdin and stdout; to does not block */
	char *buffer;              /* what it has said, of `room` bytes; the first `said` of n were handed out */
	size_t n, said, room;
	bool is_gone;              /* it closed its side: whatever ended it was not us */
};

struct worker_limits {
	long long memory_mb;
	const char *core_type;     /* NULL = leave to OpenBLAS */
	const char *mode;          /* what it is to be; NULL = "--worker" */
	const char *data_dir, *models_dir; /* whose files it may touch: sandbox.h; NULL = none */
};

/* What a worker really gets of that: no more than this process may have itself (ulimit -v), for it could not give itself more. */
long long worker_process_memory_mb(long long wanted_mb);
/* The thread that starts a worker must outlive it (PR_SET_PDEATHSIG). */
int  worker_process_start(struct worker_process *p, const struct worker_limits *l, struct err *e);
/* SIGKILL; returns when it has ended. worker_process_end then does not wait. */
void worker_process_kill(struct worker_process *p);
/* Whether there is one and it has not ended. */
bool worker_process_lives(const struct worker_process *p);
/* Ends it when it lives, and releases everything. how (NULL allowed): how it ended in words; "" when it was us who ended it. */
void worker_process_end(struct worker_process *p, char *how, size_t n_how);
/* Both wait until deadline_ms (clock_monotonic_ms), then ERR_LIMIT; ERR_PEER when it is gone. */
int  worker_process_tell(struct worker_process *p, const char *line, int64_t deadline_ms, struct err *e);
/* Next line without its end, borrowed until the next call. ERR_LIMIT too for a line over 1 MiB. */
const char *worker_process_hear(struct worker_process *p, int64_t deadline_ms, size_t *n, struct err *e);
