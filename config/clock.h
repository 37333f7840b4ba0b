/* Time as the program stores and prints it: milliseconds since 1970, UTC. */
#pragma once
#include "config/err.h"

#include <stdbool.h>
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

/* A wall clock that leaps ahead (an empty battery, a hand, a time server) makes everything old at once: what removes by age does not believe it for a day, in
 * which it may be set right. Ahead is: more than an hour since the last call; more than a week since known_ms, the last that is known from a day before this process:
 * what was written since may be of the very clock that is doubted, and a start does not end the doubt. */
enum { CLOCK_DOUBT_MS = 86400000 };
struct clock_watch { int64_t wall_ms, monotonic_ms, doubt_ms; };
void clock_watch_begin(struct clock_watch *w, int64_t known_ms /* 0 = nothing is: doubtful, too */);
bool clock_is_doubtful(struct clock_watch *w, int64_t monotonic_ms /* clock_monotonic_ms() */);

/* Whether the wall clock was set, a machine slept or a thread stood still: how far it went more than the monotonic one since the last call, in ms, less than 0 when
 * back; 0: not by two seconds, or this is the first call. A pace is { 0 } before. */
struct clock_pace { bool is_known; int64_t ahead_ms; };
int64_t clock_leap(struct clock_pace *p);

#ifdef __cplusplus
}
#endif
