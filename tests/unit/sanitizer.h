/* Whether tests/run runs a sanitizer's build: computing takes ten times as long there, and address space and memory are another matter. */
#pragma once
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static inline bool
is_sanitized(void)
{
	const char *build = getenv("B");

	return build != NULL && (strstr(build, "asan") != NULL || strstr(build, "tsan") != NULL);
}
