/* A prepared case through the network: the one loop of service and evaluation. Slices go through in small batches, and what is held for a whole
 * study are masks of one byte a voxel; of a series that is resampled into the model's plane also the network's probabilities there. */
#pragma once
#include "model/prep.h"
#include "model/segan.h"

struct infer_request {
	const struct manifest *manifest;
	struct segmentor *segmentor;
	const struct prep *prep;
	const struct grid *grid;               /* of the source */
	uint8_t *const *mask;                  /* one a segment: (slices, rows, cols) of the grid, filled for prep_mask_finish */
	float *const *probability;             /* one a label map of the network: the same shape, filled; NULL: not wanted */
	uint8_t *const *fraction;              /* one a segment: the same shape, filled by fraction_of; NULL: not wanted */
};
/* Bytes that infer_run takes at most for a series on that grid, the network's included. ERR_INPUT, as prep_new. */
int infer_need(const struct manifest *m, const struct grid *g, unsigned threads, double *bytes, struct err *e);
/* progress (NULL: none) is told after every batch and may stop it: ERR_STATE. ERR_LIMIT: memory. */
int infer_run(const struct infer_request *r, progress_fn progress, void *arg, struct err *e);
