/* Volumes read on other grids: a linear function stays what it is at every place, edges, air, no overlap; the axial grid of a series in another plane. */
#include "model/resample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct grid box = { 7, 9, 11, { 4, 1.5, 0.8 }, { -3, 2, 10 }, { 1, 0, 0 }, { 0, 1, 0 } };

static double
linear(const struct grid *g, size_t s, size_t r, size_t c)
{
	double mm[3];

	grid_point(g, (double)s, (double)r, (double)c, mm);
	return 300 + 3 * mm[0] - 2 * mm[1] + 5 * mm[2];
}

static void
fill(const struct grid *g, float *v)
{
	for (size_t s = 0; s < g->slices; s++)
		for (size_t r = 0; r < g->rows; r++)
			for (size_t c = 0; c < g->cols; c++)
				*v++ = (float)linear(g, s, r, c);
}

/* A tilted grid of other spacing, partly outside: linear within, the lowest value beyond. */
static void
a_tilted_channel_keeps_its_places(void **state)
{
	const double a = 0.4;
	const struct grid tilted = { 5, 6, 7, { 3, 1.1, 1.3 }, { -1, 4, 14 }, { cos(a), sin(a), 0 }, { -sin(a) * cos(a), cos(a) * cos(a), sin(a) } };
	float v[7 * 9 * 11], *out, low = INFINITY;
	size_t n_inside = 0, n_air = 0;
	struct err e = { 0 };

	(void)state;
	fill(&box, v);
	for (size_t i = 0; i < sizeof v / sizeof *v; i++)
		low = v[i] < low ? v[i] : low;
	out = resample_volume(&box, &(struct voxels){ .real = v }, &tilted, &e);
	assert_non_null(out);
	for (size_t s = 0, i = 0; s < tilted.slices; s++)
		for (size_t r = 0; r < tilted.rows; r++)
			for (size_t c = 0; c < tilted.cols; c++, i++) {
				double mm[3], at[3];
				bool is_inside = true, is_near = true;
				grid_point(&tilted, (double)s, (double)r, (double)c, mm);
				grid_index(&box, mm, at);
				for (int k = 0; k < 3; k++) {
					double last = (double)(k == 0 ? box.slices : k == 1 ? box.rows : box.cols) - 1;
					is_inside &= at[k] >= 0 && at[k] <= last;
					is_near &= at[k] > -0.6 && at[k] < last + 0.6;
				}
				if (is_inside)
					assert_float_equal(out[i], linear(&tilted, s, r, c), 1e-3);
				if (!is_near)
					assert_true(out[i] == low);
				n_inside += is_inside;
				n_air += !is_near;
			}
	assert_true(n_inside > 50 && n_air > 5);
	free(out);
}

static void
the_same_grid_gives_the_same_values(void **state)
{
	float v[7 * 9 * 11], *out;
	struct err e = { 0 };

	(void)state;
	fill(&box, v);
	out = resample_volume(&box, &(struct voxels){ .real = v }, &box, &e);
	assert_non_null(out);
	for (size_t i = 0; i < sizeof v / sizeof *v; i++)
		assert_float_equal(out[i], v[i], 1e-3);
	free(out);
}

/* One slice is as thick as the grid says: half of it to either side. */
static void
one_slice_reaches_half_its_thickness(void **state)
{
	struct grid one = box, at = { 1, 1, 1, { 1, 1, 1 }, { 0, 5, 0 }, { 1, 0, 0 }, { 0, 1, 0 } };
	float v[9 * 11];
	struct err e = { 0 };
	float *out;

	(void)state;
	one.slices = 1;
	fill(&one, v);
	for (size_t i = 0; i < 99; i++)
		v[i] += 1;
	at.origin_mm[2] = one.origin_mm[2] + 1.99;
	out = resample_volume(&one, &(struct voxels){ .real = v }, &at, &e);
	assert_non_null(out);
	assert_float_equal(out[0], linear(&at, 0, 0, 0) - 5 * 1.99 + 1, 1e-3);
	free(out);
	at.origin_mm[2] = one.origin_mm[2] + 2.1;
	assert_null(resample_volume(&one, &(struct voxels){ .real = v }, &at, &e));
	assert_int_equal(e.code, ERR_INPUT);
}

static void
axial_slices_go_through_the_voxels_of_a_sagittal_series(void **state)
{
	/* rows towards the feet, columns towards the back: 10 slices of 5 mm, 20 rows of 3 mm, 30 columns of 0.45 mm */
	const struct grid sagittal = { 10, 20, 30, { 5, 3, 0.45 }, { 100, 7, 50 }, { 0, 1, 0 }, { 0, 0, -1 } };
	struct grid fine = sagittal, g;

	(void)state;
	assert_true(resample_axial(&sagittal, 0.9, &g));
	assert_int_equal(g.slices, 20);
	assert_float_equal(g.spacing_mm[0], 3, 1e-12);
	assert_float_equal(g.origin_mm[2], 50 - 19 * 3, 1e-9);
	assert_int_equal(g.rows, 15);                                  /* 13.5 mm */
	assert_int_equal(g.cols, 56);                                  /* 50 mm */
	assert_float_equal(g.spacing_mm[2] * 56, 50, 1e-9);
	assert_float_equal(g.origin_mm[1] - g.spacing_mm[1] / 2, 7 - 0.225, 1e-9);
	fine.spacing_mm[1] = 0.3;                                       /* three steps in 0.9 mm */
	assert_true(resample_axial(&fine, 0.9, &g));
	assert_float_equal(g.spacing_mm[0], 0.9, 1e-9);
	assert_int_equal(g.slices, 8);                                 /* 5.7 mm */
	fine.origin_mm[0] = NAN;
	assert_false(resample_axial(&fine, 0.9, &g));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_tilted_channel_keeps_its_places), cmocka_unit_test(the_same_grid_gives_the_same_values),
		cmocka_unit_test(one_slice_reaches_half_its_thickness), cmocka_unit_test(axial_slices_go_through_the_voxels_of_a_sagittal_series) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
