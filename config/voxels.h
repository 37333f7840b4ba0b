/* The numbers of a volume: as floats, or, in half the room, as an image stores them: 16 bits, and for each slice the line that makes values of them. */
#pragma once
#include "config/err.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct voxel_line { double slope, intercept; int32_t lowest; }; /* value = slope * (lowest + stored) + intercept, as a float */

/* Borrows all of it; shape (slices, rows, cols). Either real, or the others. */
struct voxels {
	const float *real;
	const uint16_t *stored;
	const struct voxel_line *line;            /* (slices) */
	size_t plane;                             /* rows * cols */
};

/* Value `at` (of the whole volume), which lies in that slice. */
static inline float
voxels_at(const struct voxels *v, size_t slice, size_t at)
{
	if (v->real)
		return v->real[at];
	return (float)(v->line[slice].slope * (v->line[slice].lowest + v->stored[at]) + v->line[slice].intercept);
}

/* The same without knowing the slice. */
static inline float
voxels_any(const struct voxels *v, size_t at)
{
	return v->real ? v->real[at] : voxels_at(v, at / v->plane, at);
}

enum { VOXELS_RUN = 2048 };
/* For who reads all n of them: some from `first` on, within one slice. *run: where they are, in the volume or in room. Returns how many, at least 1. */
size_t voxels_run(const struct voxels *v, size_t n, size_t first, float room[VOXELS_RUN], const float **run);
/* All n of them as floats. ERR_LIMIT: memory. caller: free */
float *voxels_floats(const struct voxels *v, size_t n, struct err *e);

#ifdef __cplusplus
}
#endif
