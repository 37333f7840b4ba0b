/* Probabilities as NIfTI-1 (.nii.gz), for researchers. */
#pragma once
#include "config/err.h"
#include "config/grid.h"

/* maps: n volumes (slices, rows, cols) on g; float32, one 4th-dimension entry a map; sform in RAS, no qform: it could not hold directions
 * that are not square to the last bit. Whole or not at all. ERR_INPUT for a path that is too long or is no file. */
int nifti_write(const char *path, const struct grid *g, const float *const *maps, size_t n, struct err *e);
