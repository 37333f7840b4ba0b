/* See backoff.h. */
#include "service/flow/backoff.h"

int64_t
backoff_s(const struct settings *s, int64_t attempts)
{
	int64_t wait = s->retry_delay;

	for (int64_t i = 1; i < attempts && wait < s->retry_max; i++)
		wait *= 2;
	return wait > s->retry_max ? s->retry_max : wait;
}
