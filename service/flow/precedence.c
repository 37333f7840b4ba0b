/* Who fills a channel where several series of a study fit it. */
#include "service/flow/precedence.h"

#include <string.h>

int
precedence_compare(const struct candidate *a, const struct candidate *b, enum precedence *by)
{
	if (*by = BY_FALLBACK, a->is_fallback != b->is_fallback)
		return b->is_fallback - a->is_fallback;
	if (*by = BY_STATE, a->is_rejected != b->is_rejected)
		return b->is_rejected - a->is_rejected;
	if (*by = BY_RULE, a->place != b->place)
		return b->place - a->place;
	if (*by = BY_SLICES, a->n_slices != b->n_slices)
		return a->n_slices > b->n_slices ? 1 : -1;
	*by = BY_UID;
	return -strcmp(a->series_uid, b->series_uid);
}
