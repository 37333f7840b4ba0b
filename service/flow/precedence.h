/* Who fills a channel where several series of a study fit it: the one order that service and command line share. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct candidate {
	const char *series_uid;
	int64_t n_slices;
	int place;                 /* of its rule in the settings */
	bool is_fallback, is_rejected;
};

/* What decided, strongest first. */
enum precedence { BY_FALLBACK, BY_STATE, BY_RULE, BY_SLICES, BY_UID };

/* > 0: a comes before b. No fallback rule where another fits; not rejected; the rule that comes first; more slices; the smaller UID. */
int precedence_compare(const struct candidate *a, const struct candidate *b, enum precedence *by);
