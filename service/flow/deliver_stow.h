/* One instance to one STOW-RS service (PS3.18 10.5), by libcurl. */
#pragma once
#include "config/err.h"
#include "config/settings.h"

#include <stdatomic.h>
#include <stdint.h>

enum stow_outcome { STOW_STORED, STOW_REFUSED /* for good */, STOW_PASSING, STOW_IN_DOUBT /* sent, no answer */ };
struct stow_result { enum stow_outcome outcome; int64_t retry_after_s; char text[512]; }; /* text: the peer's words and what would help */

int  stow_start(struct err *e);            /* once a process, before threads use it */
/* `stop` turning true ends the transfer (passing). */
void stow_store(const struct destination_setting *d, const char *path, const atomic_bool *stop, struct stow_result *out);
