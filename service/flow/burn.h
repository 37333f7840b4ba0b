/* A slice with outlines and legend burned in: pixels for a preview series. */
#pragma once
#include "service/flow/preview.h"

struct burn_line { char text[100]; unsigned char rgb[3]; };        /* of the legend */
struct burn_request {
	const struct preview_request *picture;                     /* grid, voxels, masks, colours */
	float range[2];                                            /* grey window, the same for all slices: preview_window */
	const struct burn_line *legend;
	size_t n_legend;
};
/* rgb: (rows, cols, 3) of the grid, as stored: nothing is turned or scaled. A legend that does not fit is cut. */
void burn_slice(const struct burn_request *r, size_t slice, unsigned char *rgb);
