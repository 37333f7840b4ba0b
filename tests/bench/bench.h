/* What the programs of the benchmarks share: a clock in seconds, and the core type. */
#pragma once
#include "model/segan.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The core type has to be in the environment before the program begins (LEADS.md 6). */
static void
choose_core(char **argv)
{
	const char *wanted = compute_wanted_core();

	if (!wanted || strcmp(compute_core(), wanted) == 0 || getenv("SEGAN_CORE_CHOSEN"))
		return;
	if (setenv("OPENBLAS_CORETYPE", wanted, 1) == 0 && setenv("OPENBLAS_NUM_THREADS", "1", 1) == 0 && setenv("SEGAN_CORE_CHOSEN", wanted, 1) == 0)
		execv("/proc/self/exe", argv);
}
