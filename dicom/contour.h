/* Closed outlines of a mask's slice, as radiotherapy structure sets have them (PS3.3 C.8.8.6). Plain C, no DCMTK. */
#pragma once
#include "config/err.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct contour_point { int32_t x, y; };           /* twice the column, twice the row: pixel centres are at even numbers */
struct contour { size_t first, n; };              /* its points in struct contours */
struct contours {
	struct contour_point *points;
	struct contour *list;
	size_t n_points, n, points_room, list_room;
};

/* Outlines of what is not 0 in plane (rows, cols): they run half-way between the centres of pixels inside and outside, so that a pixel is in the mask if and
 * only if its centre is inside an outline. Pixels that only touch at a corner are apart. A hole is joined to its outline by a channel without width
 * ("keyhole"): every outline is one closed polygon, no two overlap, and neither union nor exclusive or is asked of a reader. None has over max_points
 * points (at least 64): a piece that would is cut into bands of rows. caller: contours_free, whatever comes back. */
int contours_trace(const uint8_t *plane, size_t rows, size_t cols, size_t max_points, struct contours *out, struct err *e);
void contours_free(struct contours *c);

#ifdef __cplusplus
}
#endif
