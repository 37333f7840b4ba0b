/* Which frames of an instance (a single-frame one has one) count, as a text that passes between processes: "1-20,41", ascending; "" (or NULL): all;
 * "0": none. */
#pragma once
#include "config/err.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

bool frames_are_valid(const char *list);
bool frames_hold(const char *list, size_t frame);                            /* frame: 1..; list: a valid one */
/* is_in[i]: frame i + 1. NULL: no memory. caller: free. */
char *frames_print(const bool *is_in, size_t n, struct err *e);

#ifdef __cplusplus
}
#endif
