/* Figures of one mask against the truth, over a volume (DESIGN small print "Figures of evaluation"). Distances are exact, on grids of any spacing. */
#pragma once
#include "config/err.h"
#include "config/grid.h"

#include <stdint.h>

/* Both empty: Dice, precision and sensitivity 1, HD95 0. One empty: Dice, precision and sensitivity 0, HD95 nan (no distance is right: counted apart). */
struct metrics {
	double dice, precision, sensitivity;
	double hd95_mm;                             /* the larger of the two directed 95th percentiles (linear, as numpy) of distances between outlines */
	double truth_ml, result_ml, volume_error_ml; /* error: result - truth */
};

/* truth, result: (slices, rows, cols) of 0 and 1. An outline is the voxels of a mask with one of the 6 face neighbours outside it or outside the volume.
 * ERR_LIMIT: memory, which grows with the box around both masks. */
int metrics_compare(const struct grid *g, const uint8_t *truth, const uint8_t *result, struct metrics *out, struct err *e);
