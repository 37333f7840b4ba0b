/* Who fills a channel where several series of a study fit it. */
#include "service/flow/precedence.h"

#include <string.h>

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
	*by = BY_UID;
	return strcmp(b->series_uid, a->series_uid);
}
