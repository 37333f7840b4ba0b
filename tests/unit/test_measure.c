/* Volumes and diameters: by hand on small masks, against every pair of faces on random ones. */
#include "model/measure.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { S = 5, R = 9, C = 7 };
static uint8_t mask[S * R * C];

static struct grid
grid_of(double slice_mm, double row_mm, double col_mm)
{
	return (struct grid) { .slices = S, .rows = R, .cols = C, .spacing_mm = { slice_mm, row_mm, col_mm }, .row_dir = { 1, 0, 0 }, .col_dir = { 0, 1, 0 } };
}

static struct measure
measured(const struct grid *g)
{
	struct measure m;
	struct err e = { 0 };

	assert_int_equal(measure_mask(g, mask, &m, &e), 0);
	return m;
}

#define SET(s, r, c) (mask[((size_t)(s) * R + (size_t)(r)) * C + (size_t)(c)] = 1)
#define ABOUT(a, b) assert_true(fabs((a) - (b)) < 1e-9)

static void
known_ones(void **state)
{
	struct grid g = grid_of(4, 0.5, 2);
	struct measure m;

	(void)state;
	memset(mask, 0, sizeof mask);
	m = measured(&g);
	assert_true(m.voxels == 0 && m.volume_ml <= 0 && m.long_axis_mm <= 0 && m.diameter_mm <= 0);
	SET(2, 3, 4);                                  /* one voxel of 4 x 0.5 x 2 mm is as long as itself */
	m = measured(&g);
	assert_int_equal(m.voxels, 1);
	ABOUT(m.volume_ml, 0.004);
	ABOUT(m.long_axis_mm, 2);
	ABOUT(m.diameter_mm, 4);
	assert_int_equal(m.long_axis_slice, 2);
	for (int c = 0; c < C; c++)                    /* a bar along the columns, in another slice */
		SET(3, 3, c);
	m = measured(&g);
	ABOUT(m.long_axis_mm, 14);
	assert_int_equal(m.long_axis_slice, 3);
	memset(mask, 0, sizeof mask);
	SET(0, 0, 0);                                  /* two pieces: the ends are what is farthest, between the faces above and below */
	SET(4, 8, 6);
	m = measured(&g);
	ABOUT(m.long_axis_mm, 2);
	ABOUT(m.diameter_mm, sqrt(20.0 * 20 + 4 * 4 + 12 * 12));
}

struct place { double z, y, x; size_t slice; };

/* Every face of every voxel, inner ones too. */
static size_t
faces(const struct grid *g, struct place *p)
{
	size_t n = 0;

	for (size_t i = 0; i < sizeof mask; i++)
		for (int axis = 0; axis < 3 && mask[i] != 0; axis++)
			for (int side = -1; side <= 1; side += 2) {
				double at[3] = { (double)(i / (R * C)), (double)(i / C % R), (double)(i % C) };
				at[axis] += side * 0.5;
				p[n++] = (struct place) { at[0] * g->spacing_mm[0], at[1] * g->spacing_mm[1], at[2] * g->spacing_mm[2], axis == 0 ? SIZE_MAX : i / (R * C) };
			}
	return n;
}

static void
as_every_pair_of_faces(void **state)
{
	static struct place p[6 * S * R * C];
	static const double spacings[][3] = { { 5, 0.9, 0.9 }, { 1, 1, 1 }, { 0.8, 2, 0.3 }, { 2, 0.4, 1.7 } };
	unsigned seed = 12345;

	(void)state;
	for (int round = 0; round < 200; round++) {
		const double *mm = spacings[round % 4];
		struct grid g = grid_of(mm[0], mm[1], mm[2]);
		double in_plane = 0, in_space = 0;
		struct measure m;
		size_t n;

		for (size_t i = 0; i < sizeof mask; i++) {
			seed = seed * 1664525u + 1013904223u;
			mask[i] = (seed >> 16) % 100 < (unsigned)(1 + round % 30);
		}
		n = faces(&g, p);
		for (size_t a = 0; a < n; a++)
			for (size_t b = 0; b < a; b++) {
				double d = sqrt(pow(p[a].z - p[b].z, 2) + pow(p[a].y - p[b].y, 2) + pow(p[a].x - p[b].x, 2));
				in_space = fmax(in_space, d);
				if (p[a].slice == p[b].slice && p[a].slice != SIZE_MAX)
					in_plane = fmax(in_plane, d);
			}
		m = measured(&g);
		if (fabs(m.long_axis_mm - in_plane) > 1e-9 || fabs(m.diameter_mm - in_space) > 1e-9)
			fail_msg("round %d: %g and %g instead of %g and %g", round, m.long_axis_mm, m.diameter_mm, in_plane, in_space);
	}
}

/* A ball of 15 million voxels, the worst there is for the bounds, within a second or so of work. */
static void
a_large_one_is_quick(void **state)
{
	enum { N = 320 };
	struct grid g = { .slices = N, .rows = N, .cols = N, .spacing_mm = { 1, 1, 1 }, .row_dir = { 1, 0, 0 }, .col_dir = { 0, 1, 0 } };
	uint8_t *ball = calloc((size_t)N * N, N);
	struct measure m;
	struct err e = { 0 };
	clock_t began;

	(void)state;
	assert_non_null(ball);
	for (int s = 0; s < N; s++)
		for (int r = 0; r < N; r++)
			for (int c = 0; c < N; c++)
				ball[((size_t)s * N + (size_t)r) * N + (size_t)c] = (s - 160) * (s - 160) + (r - 160) * (r - 160) + (c - 160) * (c - 160) <= 150 * 150;
	began = clock();
	assert_int_equal(measure_mask(&g, ball, &m, &e), 0);
	print_message("%.2f s\n", (double)(clock() - began) / CLOCKS_PER_SEC);
	assert_true((double)(clock() - began) / CLOCKS_PER_SEC < 20); /* sanitizers and all */
	ABOUT(m.long_axis_mm, 301);
	assert_true(m.diameter_mm >= 301 && m.diameter_mm < 302);
	assert_true(fabs(m.volume_ml - 4.0 / 3 * 3.14159265 * 150 * 150 * 150 / 1000) < 5);
	free(ball);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(known_ones), cmocka_unit_test(as_every_pair_of_faces), cmocka_unit_test(a_large_one_is_quick) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
