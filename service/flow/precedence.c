/* Who fills a channel where several series of a study fit it. */
#include "service/flow/precedence.h"

#include "service/flow/match_values.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Steps of 1e-4 mm2, so that what is written differently is the same; one that is not known is the largest. */
static double
pixel_steps(const struct candidate *c)
{
	return c->pixel_mm2 > 0 ? round(c->pixel_mm2 * 1e4) : INFINITY;
}

int
precedence_compare(const struct candidate *a, const struct candidate *b, enum precedence *by)
{
	*by = BY_FALLBACK;
	if (a->is_fallback != b->is_fallback)
		return b->is_fallback - a->is_fallback;
	*by = BY_STATE;
	if (a->is_rejected != b->is_rejected)
		return b->is_rejected - a->is_rejected;
	*by = BY_RULE;
	if (a->place != b->place)
		return b->place > a->place ? 1 : -1;
	*by = BY_SLICES;
	if (a->n_slices != b->n_slices)
		return a->n_slices > b->n_slices ? 1 : -1;
	*by = BY_PIXELS;
	if (pixel_steps(a) != pixel_steps(b))
		return pixel_steps(b) > pixel_steps(a) ? 1 : -1;
	*by = BY_TIME;
	if (strcmp(a->time, b->time) != 0)
		return strcmp(a->time, b->time);
	*by = BY_UID;
	return strcmp(b->series_uid, a->series_uid);
}

int
precedence_read(struct candidate *c, const char *path, size_t n_instances, struct err *e)
{
	struct match_values *v = match_values_load(path, n_instances, e);

	if (v == NULL)
		return -1;
	c->n_slices = strtoll(match_value(v, "NumberOfSlices"), NULL, 10);
	c->pixel_mm2 = match_pixel_mm2(v);
	match_time(v, c->time);
	match_values_free(v);
	return 0;
}

void
precedence_say(const struct candidate *winner, const struct candidate *loser, const char *channel, char *text, size_t size)
{
	enum precedence by;
	int n = snprintf(text, size, "not used: series %s fills channel %s", winner->series_uid, channel);

	precedence_compare(winner, loser, &by);
	if (n < 0 || (size_t)n >= size)
		return;
	text += n;
	size -= (size_t)n;
	switch (by) {
	case BY_FALLBACK:
		snprintf(text, size, " by rule %s, and rule %s is a fallback", winner->rule, loser->rule);
		break;
	case BY_STATE:
		snprintf(text, size, " and is not rejected");
		break;
	case BY_RULE:
		snprintf(text, size, " by rule %s, which comes before rule %s", winner->rule, loser->rule);
		break;
	case BY_SLICES:
		snprintf(text, size, " with %lld slices against %lld", (long long)winner->n_slices, (long long)loser->n_slices);
		break;
	case BY_PIXELS:
		snprintf(text, size, " with pixels of %.4g mm2 against %.4g mm2", winner->pixel_mm2, loser->pixel_mm2);
		break;
	case BY_TIME:
		snprintf(text, size, " and was acquired later");
		break;
	case BY_UID:
		snprintf(text, size, ": its UID is the smaller one");
		break;
	}
}
