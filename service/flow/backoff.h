/* How long to wait before the next try at a peer. */
#pragma once
#include "config/settings.h"

int64_t backoff_s(const struct settings *s, int64_t attempts); /* retry_delay, doubled a try, at most retry_max */
