/* Grid arithmetic against hand-computed values, oblique and not quite orthonormal ones too. */
#include "config/grid.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct grid axial = { 20, 256, 200, { 5, 0.9, 0.8 }, { -100, -90, 30 }, { 1, 0, 0 }, { 0, 1, 0 } };
/* Rows along -x turned into z, as a file rounds it: six digits, directions not exactly at right angles. */
static const struct grid oblique = { 9, 45, 51, { 5.5, 0.898, 0.898 }, { 12.5, -7, 3 }, { 0.998112, -0.05021, 0.036 }, { 0.053211, 0.994317, -0.0921 } };

static void
points_lie_where_the_standard_says(void **state)
{
	double mm[3], normal[3];

	(void)state;
	grid_normal(&axial, normal);
	assert_true(normal[0] == 0 && normal[1] == 0 && normal[2] == 1);
	grid_point(&axial, 2, 10, 5, mm);
	assert_true(fabs(mm[0] + 96) < 1e-12 && fabs(mm[1] + 81) < 1e-12 && fabs(mm[2] - 40) < 1e-12);
}

static void
index_undoes_point(void **state)
{
	double mm[3], index[3];

	(void)state;
	for (double k = -1.5; k < 9; k += 2.5) {
		grid_point(&oblique, k, 44 - k, 3 * k, mm);
		grid_index(&oblique, mm, index);
		assert_true(fabs(index[0] - k) < 1e-10 && fabs(index[1] - (44 - k)) < 1e-10 && fabs(index[2] - 3 * k) < 1e-10);
	}
}

static void
same_means_same_places(void **state)
{
	struct grid g = axial;

	(void)state;
	assert_true(grid_same(&axial, &g));
	g.origin_mm[1] += 0.0009;
	assert_true(grid_same(&axial, &g));
	g.origin_mm[1] += 0.0002;
	assert_false(grid_same(&axial, &g));
	g = axial;
	g.rows--;
	assert_false(grid_same(&axial, &g));
	g = axial;
	g.spacing_mm[0] += 0.0001; /* 2 um a slice, 20 slices */
	assert_false(grid_same(&axial, &g));
	g = axial;
	g.row_dir[1] = 1e-4; /* turned by 1e-4 over 160 mm */
	assert_false(grid_same(&axial, &g));
	g = axial;
	g.origin_mm[0] = NAN;
	assert_false(grid_same(&g, &g));
}

static void
one_slice_has_a_spacing(void **state)
{
	struct grid a = axial, b;

	(void)state;
	a.slices = 1;
	b = a;
	b.spacing_mm[0] = 4;
	assert_false(grid_same(&a, &b));
}

static void
voxels_are_counted(void **state)
{
	struct grid g = axial;

	(void)state;
	assert_int_equal(grid_voxels(&g), 20 * 256 * 200);
	assert_true(fabs(grid_voxel_ml(&g) - 0.0036) < 1e-15);
	g.slices = (size_t)1 << 32;
	g.rows = (size_t)1 << 32;
	assert_true(grid_voxels(&g) == SIZE_MAX);
	g.rows = (size_t)1 << 31;
	g.cols = 4;
	assert_true(grid_voxels(&g) == SIZE_MAX);
	g.cols = 0;
	assert_int_equal(grid_voxels(&g), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(points_lie_where_the_standard_says), cmocka_unit_test(index_undoes_point), cmocka_unit_test(same_means_same_places),
		cmocka_unit_test(one_slice_has_a_spacing), cmocka_unit_test(voxels_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
