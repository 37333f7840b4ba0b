/* Arithmetic of voxel grids (PS3.3 C.7.6.2.1.1). Directions need not be orthonormal to the last bit: files round them, so the way back
 * (grid_index) solves for the directions as they are, and grid_point and grid_index undo each other. */
#include "config/grid.h"

#include <math.h>
#include <stdint.h>

static const double same_place_mm = 1e-3;

static double
dot(const double a[3], const double b[3])
{
	return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

void
grid_normal(const struct grid *g, double normal[3])
{
	const double *a = g->row_dir, *b = g->col_dir;

	normal[0] = a[1] * b[2] - a[2] * b[1];
	normal[1] = a[2] * b[0] - a[0] * b[2];
	normal[2] = a[0] * b[1] - a[1] * b[0];
}

void
grid_point(const struct grid *g, double slice, double row, double col, double mm[3])
{
	double normal[3];

	grid_normal(g, normal);
	for (int i = 0; i < 3; i++)
		mm[i] = g->origin_mm[i] + slice * g->spacing_mm[0] * normal[i] + row * g->spacing_mm[1] * g->col_dir[i]
			+ col * g->spacing_mm[2] * g->row_dir[i];
}

void
grid_index(const struct grid *g, const double mm[3], double index[3])
{
	const double *a = g->row_dir, *b = g->col_dir;
	double normal[3], d[3], ab = dot(a, b), determinant;

	grid_normal(g, normal);
	determinant = dot(normal, normal); /* = |a|^2 |b|^2 - (a.b)^2, Lagrange's identity */
	for (int i = 0; i < 3; i++)
		d[i] = mm[i] - g->origin_mm[i];
	index[0] = dot(d, normal) / determinant / g->spacing_mm[0];
	index[1] = (dot(d, b) * dot(a, a) - dot(d, a) * ab) / determinant / g->spacing_mm[1];
	index[2] = (dot(d, a) * dot(b, b) - dot(d, b) * ab) / determinant / g->spacing_mm[2];
}

/* The eight corners, one step beyond the last voxel, so that the spacing of a grid of one slice counts as well. */
bool
grid_same(const struct grid *a, const struct grid *b)
{
	if (a->slices != b->slices || a->rows != b->rows || a->cols != b->cols)
		return false;
	for (unsigned corner = 0; corner < 8; corner++) {
		double slice = corner & 1 ? (double)a->slices : 0, row = corner & 2 ? (double)a->rows : 0, col = corner & 4 ? (double)a->cols : 0;
		double p[3], q[3];
		grid_point(a, slice, row, col, p);
		grid_point(b, slice, row, col, q);
		for (int i = 0; i < 3; i++)
			if (!(fabs(p[i] - q[i]) <= same_place_mm)) /* NaN is never the same */
				return false;
	}
	return true;
}

size_t
grid_voxels(const struct grid *g)
{
	size_t n;

	if (__builtin_mul_overflow(g->slices, g->rows, &n) || __builtin_mul_overflow(n, g->cols, &n))
		return SIZE_MAX;
	return n;
}

double
grid_voxel_ml(const struct grid *g)
{
	return g->spacing_mm[0] * g->spacing_mm[1] * g->spacing_mm[2] / 1000;
}
