/* The results of a case as files: each kind from the same masks, under UIDs that derive from the same identity. */
#pragma once
#include "dicom/series.h"
#include "service/flow/segment.h"

struct results_input {
	const struct segment_request *r;
	const struct series *const *series;          /* one a channel; results live on the grid of the first */
	const float *const *probability;             /* one a label map of the model: (slices, rows, cols) of that grid */
	const uint8_t *const *mask;                  /* one a segment, same shape */
	const uint8_t *const *fraction;              /* the same, as model/fraction.h makes and cleans them; only where RESULT_FRACTIONAL is asked for */
};
/* Writes what r->paths asks for, adds it to out->outputs. Nothing found: nothing, or the report alone. */
int results_write(const struct results_input *in, struct segment_result *out, struct err *e);

/* The files of a job's results, in the order of its JSON (borrowed text, see job.results; NULL or "" = none): those of the kinds in the set.
 * ERR_BUG: the text is none of ours. caller: free. */
struct result_file { enum result_kind kind; size_t position /* among all files of the job */; char name[RESULT_FILE]; };
int results_files(const char *json, unsigned kinds, struct result_file **out, size_t *n, struct err *e);
