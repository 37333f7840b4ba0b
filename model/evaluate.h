/* A model over the cases of a data set, one at a time, by the path that serves: prep, segmentor, prep_back, prep_mask. Memory is that of one case. */
#pragma once
#include "model/dataset.h"
#include "model/manifest.h"
#include "model/metrics.h"

/* What one model made of one case: a metric a segment of the model, in its order. */
struct evaluated {
	size_t n_segments;
	struct metrics segments[MODEL_MAX_SEGMENTS];
	int64_t took_ms;
};

struct evaluator;
/* channels, n_truth: what the data set's cases hold. Segment number k of the model is held against truth k - 1. ERR_INPUT: a channel or a truth that the
 * model needs is not in the set. threads 0 = one a core; same figures for any number. borrows m. caller: evaluator_free. */
struct evaluator *evaluator_new(const struct manifest *m, const char *const *channels, size_t n_channels, size_t n_truth, unsigned threads, struct err *e);
void evaluator_free(struct evaluator *v);
/* c is mapped. ERR_INPUT: a case that this model cannot segment (it would be rejected in service, too). */
int evaluator_run(struct evaluator *v, const struct dataset_case *c, struct evaluated *out, struct err *e);
const uint8_t *evaluator_mask(const struct evaluator *v, size_t segment); /* of the last case, (slices, rows, cols); borrowed until the next */
