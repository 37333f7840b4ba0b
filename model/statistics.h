/* Exact percentiles of large volumes without a copy of them. */
#pragma once
#include "config/voxels.h"

enum { STATISTICS_MAX_PERCENTILES = 4 };

/* Percentiles percent[0..n_percentiles) of the values v with v - base > over (over -INFINITY: of all), by linear interpolation between order
 * statistics as numpy has it; they are those of v - base. *n_within: how many values that were; with 0 out is not set. ERR_INPUT: a value that is
 * not a number. */
int statistics_percentiles(const struct voxels *v, size_t n, double base, double over, const double *percent, size_t n_percentiles, double *out,
	size_t *n_within, struct err *e);
