/* Whether tests/run runs a sanitizer's build or valgrind: computing takes ten times as long there, and address space and memory are another matter. */
#pragma once
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Valgrind's kernel knows no Landlock, and what it runs is not its own /proc/self/exe: a process of ours that starts a worker starts valgrind. */
static inline bool
is_under_valgrind(void)
{
	const char *under = getenv("UNDER");

	return under != NULL && strstr(under, "valgrind") != NULL;
}

static inline bool
is_sanitized(void)
{
	const char *build = getenv("B");

	return is_under_valgrind() || (build != NULL && (strstr(build, "asan") != NULL || strstr(build, "tsan") != NULL));
}
