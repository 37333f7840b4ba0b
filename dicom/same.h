/* Whether two files hold the same instance in two transfer syntaxes (DESIGN.md, "Same instance"). Decodes: only for a process that may die of it. */
#pragma once
#include "config/err.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 0: *same says so, and when it is not, why->text what differs, without a value of the patient's. -1: a file that cannot be read, or pixels that are not
 * compared (colour, one bit): ERR_INPUT. */
int same_instance(const char *a, const char *b, bool *same, struct err *why, struct err *e);

#ifdef __cplusplus
}
#endif
