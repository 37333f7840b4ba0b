/* Outlines of masks: filled again by the centres of pixels they give the mask back, whatever its shape; the corners by hand for small ones. */
#include "dicom/contour.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 24, COLS = 31 };

/* Even-odd, centre of pixel (x, y), over all outlines of which it is inside: how many. */
static size_t
times_inside(const struct contours *c, int x, int y)
{
	size_t times = 0;

	for (size_t k = 0; k < c->n; k++) {
		const struct contour_point *p = c->points + c->list[k].first;
		bool is_in = false;

		for (size_t i = 0, j = c->list[k].n - 1; i < c->list[k].n; j = i++)
			if ((p[i].y > 2 * y) != (p[j].y > 2 * y) && 2.0 * x < (double)(p[j].x - p[i].x) * (2 * y - p[i].y) / (p[j].y - p[i].y) + p[i].x)
				is_in = !is_in;
		times += is_in;
	}
	return times;
}

static void
gives_back(const uint8_t *mask, size_t rows, size_t cols, size_t max_points, const char *what)
{
	struct contours c;
	struct err e = { 0 };

	assert_int_equal(contours_trace(mask, rows, cols, max_points, &c, &e), 0);
	for (size_t y = 0; y < rows; y++)
		for (size_t x = 0; x < cols; x++)
			if (times_inside(&c, (int)x, (int)y) != (mask[y * cols + x] != 0))
				fail_msg("%s: pixel (%zu, %zu) is inside %zu times", what, x, y, times_inside(&c, (int)x, (int)y));
	for (size_t i = 0; i < c.n; i++) {
		const struct contour_point *p = c.points + c.list[i].first;
		assert_true(c.list[i].n >= 4 && c.list[i].n <= max_points);
		for (size_t k = 0; k < c.list[i].n; k++)
			if (p[k].x == p[(k + 1) % c.list[i].n].x && p[k].y == p[(k + 1) % c.list[i].n].y)
				fail_msg("%s: a point is there twice", what);
	}
	contours_free(&c);
}

static void
outline_is(const char *const rows[], size_t n, const char *wanted)
{
	uint8_t mask[64] = { 0 };
	size_t cols = strlen(rows[0]);
	struct contours c;
	struct err e = { 0 };
	char text[600] = "";

	for (size_t y = 0; y < n; y++)
		for (size_t x = 0; x < cols; x++)
			mask[y * cols + x] = rows[y][x] == '#';
	assert_int_equal(contours_trace(mask, n, cols, 1000, &c, &e), 0);
	for (size_t i = 0; i < c.n; i++) {
		for (size_t k = 0; k < c.list[i].n; k++) {
			size_t at = strlen(text);
			snprintf(text + at, sizeof text - at, "%d,%d ", c.points[c.list[i].first + k].x, c.points[c.list[i].first + k].y);
		}
		snprintf(text + strlen(text), sizeof text - strlen(text), "| ");
	}
	assert_string_equal(text, wanted);
	contours_free(&c);
	gives_back(mask, n, cols, 1000, wanted);
}

static void
small_ones(void **state)
{
	(void)state;
	outline_is((const char *const[]) { "..", ".." }, 2, "");
	outline_is((const char *const[]) { "#" }, 1, "1,0 0,1 -1,0 0,-1 | ");
	outline_is((const char *const[]) { "##", "##" }, 2, "-1,0 0,-1 2,-1 3,0 3,2 2,3 0,3 -1,2 | ");
	outline_is((const char *const[]) { "#.", ".#" }, 2, "1,0 0,1 -1,0 0,-1 | 3,2 2,3 1,2 2,1 | ");
	outline_is((const char *const[]) { "###", "#.#", "###" }, 3, /* from the hole's left corner to the edge on its left, round the hole, back */
	    "-1,0 0,-1 4,-1 5,0 5,4 4,5 0,5 -1,4 -1,2 1,2 2,3 3,2 2,1 1,2 -1,2 | ");
}

static void
any_mask_comes_back(void **state)
{
	uint8_t mask[ROWS * COLS];
	unsigned seed = 7;

	(void)state;
	for (int round = 0; round < 600; round++) {
		char what[40];

		snprintf(what, sizeof what, "round %d", round);
		for (size_t i = 0; i < sizeof mask; i++) {
			seed = seed * 1664525u + 1013904223u;
			mask[i] = (seed >> 16) % 100 < (unsigned)(round % 101);
		}
		gives_back(mask, ROWS, COLS, 4000, what);
		gives_back(mask, ROWS, COLS, 64, what); /* cut into bands */
	}
}

/* A disc in a hole of a ring in a hole of a ring, and a plane that is all inside. */
static void
nested_ones(void **state)
{
	uint8_t mask[ROWS * COLS];

	(void)state;
	for (int y = 0; y < ROWS; y++)
		for (int x = 0; x < COLS; x++) {
			int d = (x - 15) * (x - 15) + (y - 12) * (y - 12);
			mask[y * COLS + x] = d < 9 || (d > 20 && d < 49) || (d > 64 && d < 130);
		}
	gives_back(mask, ROWS, COLS, 1000, "rings");
	memset(mask, 1, sizeof mask);
	gives_back(mask, ROWS, COLS, 1000, "all");
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(small_ones), cmocka_unit_test(any_mask_comes_back), cmocka_unit_test(nested_ones) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
