/* One worker process as its feeder sees it: start, a line in, a line out in time, kill. */
#pragma once
#include "config/err.h"

#include <stddef.h>
#include <sys/types.h>

struct worker_process {
	pid_t pid;                 /* 0 = none */
	int to, from;              /* its stdin and stdout */
	char *buffer;              /* what it has said and nobody has read */
	size_t n, room;
};

struct worker_limits { long long memory_mb; const char *core_type; /* NULL = leave to OpenBLAS */ };

/* The thread that starts a worker must outlive it (PR_SET_PDEATHSIG). */
int  worker_process_start(struct worker_process *p, const struct worker_limits *l, struct err *e);
/* Ends it by SIGKILL when it lives, and waits for it. how (NULL allowed) tells in words how it ended. */
void worker_process_end(struct worker_process *p, char *how, size_t n_how);
int  worker_process_tell(struct worker_process *p, const char *line, struct err *e);
/* Next line without its end, borrowed until the next call. NULL: ERR_PEER when it closed its side, ERR_LIMIT when timeout_s went by in silence. */
const char *worker_process_hear(struct worker_process *p, int timeout_s, size_t *n, struct err *e);
