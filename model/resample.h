/* Volumes read at the places of another grid: trilinear, edges repeated for half a voxel, nothing beyond. */
#pragma once
#include "config/err.h"
#include "config/grid.h"
#include "config/voxels.h"

/* From indices of one grid to indices of another: index = start + slice * by_slice + row * by_row + col * by_col, each (slice, row, col). */
struct resample {
	double start[3], by_slice[3], by_row[3], by_col[3];
	size_t size[3], stride[3];             /* of the volume that is read; stride: from one slice, row, column to the next, for a volume with more in it */
};
/* Eight voxels and what each counts for; the weights add up to 1. */
struct resample_taps { size_t at[8], slice[2]; float weight[8]; }; /* slice: of the first four, of the others */

/* from: the grid that is read; to: the one whose indices are asked for. */
struct resample resample_between(const struct grid *from, const struct grid *to);
/* false: that place lies outside the grid that is read, and t is not set. */
bool resample_at(const struct resample *m, size_t slice, size_t row, size_t col, struct resample_taps *t);
/* Slice `slice` of `to`: out (rows, cols) of it, `outside` where there is nothing in voxels. Thread-safe for different out. */
void resample_slice(const struct resample *m, const struct voxels *voxels, const struct grid *to, size_t slice, float outside, float *out);

/* All of it: a channel on the grid of another one, air (its lowest value) where it has nothing. ERR_INPUT: nowhere is there anything. caller: free */
float *resample_volume(const struct grid *from, const struct voxels *voxels, const struct grid *to, struct err *e);

/* The grid on which an axial model sees a series of another plane: axes of the patient (columns to the left, rows to the back, slices to the head)
 * around all of it. In plane spacing_mm, adjusted so that whole pixels span the series edge to edge, as with slices that are used as acquired. Slices
 * as far apart as the source's voxels are along the in-plane axis of it that is nearest to the patient's axis (more of them would show nothing new),
 * but not finer than needed: as many whole steps as fit into spacing_mm. The lowest one goes through the source's lowest voxels, so that of an
 * unrotated series every slice goes through voxels, and only within the plane is anything between them. false: no grid of finite size. */
bool resample_axial(const struct grid *source, double spacing_mm, struct grid *out);
