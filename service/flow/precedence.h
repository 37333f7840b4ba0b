/* Who fills a channel where several series of a study fit it: the one order that service and command line share. */
#pragma once
#include "config/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct candidate {
	const char *series_uid;
	int64_t n_slices;
	int place;                 /* of its rule in the settings */
	bool is_fallback, is_rejected;
	double pixel_mm2;          /* the area of a pixel; 0: not known */
	char time[32];             /* date and time, comparable as text; "": not known */
	const char *rule;          /* for precedence_say only */
};

/* What decided, strongest first. */
enum precedence { BY_FALLBACK, BY_STATE, BY_RULE, BY_SLICES, BY_PIXELS, BY_TIME, BY_UID };

/* > 0: a comes before b. No fallback rule where another fits; not rejected; the rule that comes first; more slices; smaller pixels; the later one (a scan is
 * repeated because the first was not good); the smaller UID. */
int precedence_compare(const struct candidate *a, const struct candidate *b, enum precedence *by);
/* Slices, pixels and time by one file of the series. */
int precedence_read(struct candidate *c, const char *path, size_t n_instances, struct err *e);
/* "not used: series X fills channel C ..., and why it does. */
void precedence_say(const struct candidate *winner, const struct candidate *loser, const char *channel, char *text, size_t size);
