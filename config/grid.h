/* Where a volume lies: values and arithmetic only. LPS patient coordinates of PS3.3 C.7.6.2.1.1; lengths in mm. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A volume's voxels are (slices, rows, cols), columns fastest. spacing_mm[0] between slices, [1] between rows, [2] between columns.
 * row_dir: the direction in which the column index grows (first triplet of ImageOrientationPatient); col_dir: in which the row index grows.
 * Slices ascend along row_dir x col_dir. origin_mm: centre of voxel (0, 0, 0). */
struct grid {
	size_t slices, rows, cols;
	double spacing_mm[3], origin_mm[3], row_dir[3], col_dir[3];
};

void   grid_normal(const struct grid *g, double normal[3]);                 /* row_dir x col_dir */
void   grid_point(const struct grid *g, double slice, double row, double col, double mm[3]);
void   grid_index(const struct grid *g, const double mm[3], double index[3]); /* slice, row, col; fractions allowed */
bool   grid_same(const struct grid *a, const struct grid *b);               /* sizes equal, places equal within 1e-3 mm */
size_t grid_voxels(const struct grid *g);                                   /* slices * rows * cols; SIZE_MAX when that overflows */
double grid_voxel_ml(const struct grid *g);                                 /* volume of one voxel in ml */

#ifdef __cplusplus
}
#endif
