/* Kinds of results: one table. */
#include "config/result_kind.h"

#include <stdio.h>
#include <string.h>

static const struct { const char *name; bool is_series; } kinds[RESULT_N_KINDS] = {
	[RESULT_SEG] = { "seg", false },
	[RESULT_LABELMAP] = { "labelmap", false },
	[RESULT_FRACTIONAL] = { "fractional", false },
	[RESULT_REPORT] = { "report", false },
	[RESULT_RTSTRUCT] = { "rtstruct", false },
	[RESULT_PREVIEW] = { "preview", true },
};

const char *
result_kind_name(enum result_kind k)
{
	return kinds[k].name;
}

bool
result_kind_parse(const char *name, enum result_kind *out)
{
	for (size_t i = 0; i < RESULT_N_KINDS; i++)
		if (strcmp(kinds[i].name, name) == 0) {
			*out = (enum result_kind)i;
			return true;
		}
	return false;
}

bool
result_kind_is_seg(enum result_kind k)
{
	return k == RESULT_SEG || k == RESULT_LABELMAP || k == RESULT_FRACTIONAL;
}

bool
result_kind_is_series(enum result_kind k)
{
	return kinds[k].is_series;
}

void
result_file_name(enum result_kind k, size_t i, char name[RESULT_FILE])
{
	if (kinds[k].is_series)
		snprintf(name, RESULT_FILE, "%s-%05zu.dcm", kinds[k].name, i);
	else
		snprintf(name, RESULT_FILE, "%s.dcm", kinds[k].name);
}
