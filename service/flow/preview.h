/* A picture of masks for people: the slice with the largest area, outlines drawn, as a PNG. */
#pragma once
#include "config/err.h"
#include "config/grid.h"
#include "config/voxels.h"
#include "model/manifest.h"

#include <stdint.h>

struct preview_request {
	const struct grid *grid;
	struct voxels voxels;                                              /* (slices, rows, cols) */
	struct { const uint8_t *mask; unsigned char rgb[3]; bool is_dashed; } segments[MODEL_MAX_SEGMENTS]; /* mask: same shape, 0/1; later ones are drawn over */
	size_t n_segments;
};

/* Writes path whole or not at all. Pixels are square in the picture whatever the grid's spacing; the patient's left is on the right and front is up
 * (axial; head up for the other planes). ERR_IO. */
int preview_write(const struct preview_request *r, const char *path, struct err *e);
/* The same in memory. caller: free */
unsigned char *preview_png(const struct preview_request *r, size_t *n, struct err *e);

/* Grey window of n voxels from `first` on: 1st to 99.5th percentile. */
int preview_window(const struct voxels *voxels, size_t first, size_t n, float range[2], struct err *e);
unsigned char preview_grey(double value, const float range[2]);
