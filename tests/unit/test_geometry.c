/* geometry: a table of stacks, each with its verdict; the tolerances of DESIGN "Verdicts" just inside and just outside. */
#include "dicom/geometry.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { N = 5 };

/* Turned about all three axes: no component of a direction is 0 or 1. */
static const double ROW[3] = { 0.9362933635841993, 0.2896294776255156, -0.19866933079506122 };
static const double COL[3] = { -0.27509584731824366, 0.9564250858492325, 0.09784339500725571 };

static void
cross(const double a[3], const double b[3], double c[3])
{
	for (int i = 0; i < 3; i++)
		c[i] = a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3];
}

/* Slice at `along` mm of the normal and `aside` mm of the row direction. */
static struct slice
slice_at(unsigned number, double along, double aside)
{
	struct slice s = { .spacing_mm = { 1.5, 1.25 }, .thickness_mm = 3, .rows = 7, .cols = 9 };
	double normal[3];

	snprintf(s.name, sizeof s.name, "2.25.%u", 100 + number);
	cross(ROW, COL, normal);
	for (int i = 0; i < 3; i++) {
		s.row_dir[i] = ROW[i];
		s.col_dir[i] = COL[i];
		s.position_mm[i] = 10.0 * (i - 1) + along * normal[i] + aside * ROW[i];
	}
	return s;
}

static void
make(struct slice *s, const double *along)
{
	for (unsigned i = 0; i < N; i++)
		s[i] = slice_at(i, along[i], 0);
}

static void
assert_verdict(const struct slice *s, size_t n, enum geometry_verdict verdict, const char *words)
{
	size_t order[16];
	struct grid grid;
	struct err reason = { 0 };
	enum geometry_verdict got = geometry_order(s, n, order, &grid, &reason);

	if (got != verdict || (words != NULL && strstr(reason.text, words) == NULL))
		fail_msg("verdict %d instead of %d, \"%s\" instead of \"%s\"", got, verdict, reason.text, words != NULL ? words : "");
	if (verdict != GEOMETRY_WHOLE)
		assert_int_equal(reason.code, ERR_INPUT);
}

static void
test_distances(void **state)
{
	static const struct { double along[N]; enum geometry_verdict verdict; const char *words; } cases[] = {
		{ { 0, 4, 8, 12, 16 }, GEOMETRY_WHOLE, NULL },
		{ { 16, 0, 8, 4, 12 }, GEOMETRY_WHOLE, NULL },
		{ { 0, 4, 8, 12, 16.0399 }, GEOMETRY_WHOLE, NULL },                 /* 1 % of 4 mm */
		{ { 0, 4, 8, 12, 16.0401 }, GEOMETRY_GAP, "unevenly spaced" },
		{ { 0, 4, 8, 12, 15.9601 }, GEOMETRY_WHOLE, NULL },
		{ { 0, 4, 8, 12, 15.9599 }, GEOMETRY_GAP, "unevenly spaced" },
		{ { 0, 0.5, 1, 1.5, 2.0099 }, GEOMETRY_WHOLE, NULL },               /* 0.01 mm */
		{ { 0, 0.5, 1, 1.5, 2.0101 }, GEOMETRY_GAP, "unevenly spaced" },
		{ { 0, 4, 12, 16, 20 }, GEOMETRY_GAP, "1 slice is missing" },
		{ { 0, 4, 8, 12, 28 }, GEOMETRY_GAP, "3 slices are missing" },
		{ { 0, 4, 8, 12, 13 }, GEOMETRY_GAP, "unevenly spaced" },
		{ { 0, 4, 8, 12, 12 }, GEOMETRY_DOUBLED, "doubled position" },
		{ { 0, 4, 8, 12, 12.0099 }, GEOMETRY_DOUBLED, "doubled position" },
		{ { 0, 4, 8, 12, 12.0101 }, GEOMETRY_GAP, "unevenly spaced" },
		{ { 0, 0, 0, 0, 0 }, GEOMETRY_DOUBLED, "doubled position" },
		{ { 0, 4, 8, 12, NAN }, GEOMETRY_BAD, "2.25.104: ImagePositionPatient (0020,0032)" },
		{ { 0, 4, 8, 12, INFINITY }, GEOMETRY_BAD, "ImagePositionPatient" },
		{ { 0, 4, 8, 12, 1e300 }, GEOMETRY_BAD, "ImagePositionPatient" },
	};
	struct slice s[N];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		make(s, cases[i].along);
		assert_verdict(s, N, cases[i].verdict, cases[i].words);
	}
}

static void
test_doubled_ones_are_told(void **state)
{
	struct slice s[N];
	size_t order[N];
	struct grid grid;
	struct err reason;

	(void)state;
	make(s, (double[]){ 16, 4, 12, 0, 12 });
	assert_int_equal(geometry_order(s, N, order, &grid, &reason), GEOMETRY_DOUBLED);
	assert_int_equal(order[0], 2);
	assert_int_equal(order[1], 4);
}

static void
test_gap_names_the_neighbours(void **state)
{
	struct slice s[N];

	(void)state;
	make(s, (double[]){ 0, 4, 12, 16, 20 });
	assert_verdict(s, N, GEOMETRY_GAP, "slice 2.25.101 at ");
	assert_verdict(s, N, GEOMETRY_GAP, "slice 2.25.102 at ");
	assert_verdict(s, N, GEOMETRY_GAP, "8 mm apart along the normal, the usual distance is 4 mm");
	make(s, (double[]){ 0, 4, 8, 8, 12 });
	assert_verdict(s, N, GEOMETRY_DOUBLED, "2.25.102 at ");
	assert_verdict(s, N, GEOMETRY_DOUBLED, "2.25.103 at ");
}

static void
test_grid(void **state)
{
	static const double along[N] = { 12, 0, 16, 4, 8 };
	static const size_t sorted[N] = { 1, 3, 4, 0, 2 };
	struct slice s[N];
	size_t order[N];
	struct grid g;
	struct err reason;
	double mm[3];

	(void)state;
	make(s, along);
	assert_int_equal(geometry_order(s, N, order, &g, &reason), GEOMETRY_WHOLE);
	assert_memory_equal(order, sorted, sizeof order);
	assert_int_equal(g.slices, N);
	assert_int_equal(g.rows, 7);
	assert_int_equal(g.cols, 9);
	assert_true(fabs(g.spacing_mm[0] - 4) < 1e-9 && g.spacing_mm[1] == 1.5 && g.spacing_mm[2] == 1.25);
	for (size_t i = 0; i < N; i++) {
		grid_point(&g, (double)i, 0, 0, mm);
		for (int k = 0; k < 3; k++)
			assert_true(fabs(mm[k] - s[order[i]].position_mm[k]) < 1e-9);
	}
}

/* Rows the other way round: the normal turns, and the order with it. */
static void
test_reversed(void **state)
{
	static const size_t sorted[N] = { 4, 3, 2, 1, 0 };
	struct slice s[N];
	size_t order[N];
	struct grid g;
	struct err reason;

	(void)state;
	make(s, (double[]){ 0, 4, 8, 12, 16 });
	for (int i = 0; i < N; i++)
		for (int k = 0; k < 3; k++)
			s[i].row_dir[k] = -s[i].row_dir[k];
	assert_int_equal(geometry_order(s, N, order, &g, &reason), GEOMETRY_WHOLE);
	assert_memory_equal(order, sorted, sizeof order);
	assert_true(g.spacing_mm[0] > 0);
	assert_memory_equal(g.origin_mm, s[4].position_mm, sizeof g.origin_mm);
}

static void
test_few_slices(void **state)
{
	struct slice s[2] = { slice_at(0, 0, 0), slice_at(1, 37.5, 0) };
	size_t order[2];
	struct grid g;
	struct err reason;

	(void)state;
	assert_int_equal(geometry_order(s, 1, order, &g, &reason), GEOMETRY_WHOLE);
	assert_true(g.slices == 1 && g.spacing_mm[0] == 3);
	s[0].thickness_mm = 0;
	assert_int_equal(geometry_order(s, 1, order, &g, &reason), GEOMETRY_WHOLE);
	assert_true(g.spacing_mm[0] == 1);
	assert_int_equal(geometry_order(s, 2, order, &g, &reason), GEOMETRY_WHOLE);
	assert_true(fabs(g.spacing_mm[0] - 37.5) < 1e-9);
}

/* 3 slices d mm apart, each `drift` mm further aside. */
static void
assert_drift(double d, double drift, enum geometry_verdict verdict)
{
	struct slice s[3];

	for (unsigned i = 0; i < 3; i++)
		s[i] = slice_at(i, d * i, drift * i);
	assert_verdict(s, 3, verdict, verdict == GEOMETRY_WHOLE ? NULL : "gantry tilt");
}

static void
test_tilt(void **state)
{
	(void)state;
	assert_drift(4, 0.0499, GEOMETRY_WHOLE);   /* 0.05 mm */
	assert_drift(4, 0.0501, GEOMETRY_BAD);
	assert_drift(10, 0.0999, GEOMETRY_WHOLE);  /* 1 % */
	assert_drift(10, 0.1001, GEOMETRY_BAD);
	assert_drift(4, 1.2, GEOMETRY_BAD);
}

static void
test_orientation(void **state)
{
	struct slice s[N];

	(void)state;
	make(s, (double[]){ 0, 4, 8, 12, 16 });
	s[2].row_dir[0] += 9e-4;
	assert_verdict(s, N, GEOMETRY_WHOLE, NULL);
	s[2].row_dir[2] -= 1.5e-3;
	assert_verdict(s, N, GEOMETRY_BAD, "mixed orientation");
	make(s, (double[]){ 0, 4, 8, 12, 16 });
	memcpy(s[3].row_dir, COL, sizeof s[3].row_dir);
	memcpy(s[3].col_dir, ROW, sizeof s[3].col_dir);
	assert_verdict(s, N, GEOMETRY_BAD, "2.25.103");
}

/* Cosines that are not quite unit or square are made so; others are refused. */
static void
test_cosines(void **state)
{
	struct slice s = slice_at(0, 0, 0);
	size_t order[1];
	struct grid g;
	struct err reason;

	(void)state;
	for (int i = 0; i < 3; i++) {
		s.row_dir[i] = round(s.row_dir[i] * 1000) / 1000;
		s.col_dir[i] = round(s.col_dir[i] * 1000) / 1000;
	}
	assert_int_equal(geometry_order(&s, 1, order, &g, &reason), GEOMETRY_WHOLE);
	double row = 0, col = 0, skew = 0;
	for (int i = 0; i < 3; i++) {
		row += g.row_dir[i] * g.row_dir[i];
		col += g.col_dir[i] * g.col_dir[i];
		skew += g.row_dir[i] * g.col_dir[i];
	}
	assert_true(fabs(row - 1) < 1e-12 && fabs(col - 1) < 1e-12 && fabs(skew) < 1e-12);
	static const double wrong[][6] = {
		{ 1, 0, 0, 0.1, 0.995, 0 }, { 2, 0, 0, 0, 1, 0 }, { 0, 0, 0, 0, 1, 0 }, { 1, 0, 0, 1, 0, 0 }, { NAN, 0, 0, 0, 1, 0 }, { 1, 0, 0, 0, INFINITY, 0 },
	};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		memcpy(s.row_dir, wrong[i], sizeof s.row_dir);
		memcpy(s.col_dir, wrong[i] + 3, sizeof s.col_dir);
		assert_verdict(&s, 1, GEOMETRY_BAD, "2.25.100: ImageOrientationPatient (0020,0037)");
	}
}

static void
test_size_and_spacing(void **state)
{
	static const double along[N] = { 0, 4, 8, 12, 16 };
	struct slice s[N];

	(void)state;
	make(s, along);
	s[3].rows = 8;
	assert_verdict(s, N, GEOMETRY_BAD, "differ in size: 2.25.100 has Rows (0028,0010) x Columns (0028,0011) 7 x 9, 2.25.103 has 8 x 9");
	make(s, along);
	s[3].spacing_mm[1] = 1.262;
	assert_verdict(s, N, GEOMETRY_WHOLE, NULL);
	s[3].spacing_mm[1] = 1.263;
	assert_verdict(s, N, GEOMETRY_BAD, "PixelSpacing (0028,0030)");
	static const double wrong[] = { 0, -1, NAN, INFINITY, 1e300 };
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		make(s, along);
		s[1].spacing_mm[0] = wrong[i];
		assert_verdict(s, N, GEOMETRY_BAD, "2.25.101: PixelSpacing (0028,0030)");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_distances), cmocka_unit_test(test_doubled_ones_are_told), cmocka_unit_test(test_gap_names_the_neighbours), cmocka_unit_test(test_grid), cmocka_unit_test(test_reversed),
		cmocka_unit_test(test_few_slices), cmocka_unit_test(test_tilt), cmocka_unit_test(test_orientation), cmocka_unit_test(test_cosines),
		cmocka_unit_test(test_size_and_spacing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
