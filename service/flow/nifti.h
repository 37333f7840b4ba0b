/* Probabilities as NIfTI-1 (.nii.gz), for researchers. */
#pragma once
#include "config/err.h"
#include "config/grid.h"

/* maps: n volumes (slices, rows, cols) on g; float32, one 4th-dimension entry a map; sform and qform in RAS as NIfTI wants. Whole or not at all. */
int nifti_write(const char *path, const struct grid *g, const float *const *maps, size_t n, struct err *e);
