/* What a child process of the daemon does before it looks at what came from outside (RELIABILITY rule 9): it dies with the daemon, has limits, keeps its
 * stdout for answers and gives up its rights. */
#pragma once
#include "service/flow/landlock.h"

#include <stdint.h>
#include <stdio.h>

/* argv: as worker_process_start gives it, PROGRAM MODE PARENT MEMORY_MB DATA_DIR MODELS_DIR. 0, or the process's exit status: what failed is said. *answers is
 * what was stdout: stray words of a library go to stderr instead. DCMTK is ready. Files: what lies in spool, tmp and models is read, work is written.
 * caller: the process's end */
int  sandbox_enter(int argc, char **argv, FILE **answers);
/* So much CPU time from now on; beyond it the process ends by SIGXCPU. */
void sandbox_cpu(int64_t seconds);
/* One line out. takes line (NULL: memory ran out). -1: nobody listens any more. */
int  sandbox_say(FILE *answers, char *line);
/* This thread and those that it starts: of all files only these, and the system's libraries (iconv loads its tables when it needs them). */
int  sandbox_files(const struct landlock_path *paths, size_t n, struct err *e);
