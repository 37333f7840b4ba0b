/* Time as the program stores and prints it: milliseconds since 1970, UTC. */
#pragma once
#include "config/err.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CLOCK_TEXT = 32 };

int64_t clock_ms(void);                              /* wall clock */
void clock_shift(int64_t ms);                        /* for tests of what takes days: from now on the wall clock is so much ahead of the system's */
int64_t clock_monotonic_ms(void);                    /* for waiting and measuring */
void clock_text(int64_t ms, char text[CLOCK_TEXT]);  /* RFC 3339, "2026-01-31T12:00:00.123Z" */
int  clock_parse(const char *text, int64_t *ms, struct err *e); /* RFC 3339 with zone; ERR_INPUT */

#ifdef __cplusplus
}
#endif
