/* How large a segment is: what a report says of a mask. */
#pragma once
#include "config/err.h"
#include "config/grid.h"

#include <stdint.h>

/* Diameters are taken between the outer faces of voxels (the middle of each face), not between voxel centres: what a mesh at the mask's border measures, so
 * that one voxel is as long as itself. They do not ask whether the mask is in one piece, as the volume does not. */
struct measure {
	size_t voxels;
	double volume_ml;
	double long_axis_mm;                       /* the largest diameter within one slice: what radiologists measure */
	size_t long_axis_slice;
	double diameter_mm;                        /* the largest in space */
};
/* mask: (slices, rows, cols) of the grid, 0/1. All 0 when it is empty. */
int measure_mask(const struct grid *g, const uint8_t *mask, struct measure *out, struct err *e);
