/* Threshold and pieces: what touches by a corner is one piece, what is smaller than the minimum goes, what is as large stays. */
#include "model/prep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { S = 4, R = 5, C = 7, N = S * R * C };

/* 10 x 10 x 10 mm: a voxel is 1 ml */
static const struct grid grid = { S, R, C, { 10, 10, 10 }, { 0, 0, 0 }, { 1, 0, 0 }, { 0, 1, 0 } };

static size_t
at(size_t s, size_t r, size_t c)
{
	return (s * R + r) * C + c;
}

/* The mask of a probability that is 1 at n places, 0 else. */
static size_t
mask_of(const size_t *places, size_t n, double minimum_ml, uint8_t *mask)
{
	struct segment_kind kind = { .threshold = 0.5, .minimum_ml = minimum_ml };
	float probability[N] = { 0 };
	struct err e = { 0 };
	size_t kept, counted = 0;

	for (size_t i = 0; i < n; i++)
		probability[places[i]] = 1;
	memset(mask, 7, N);
	assert_int_equal(prep_mask(&grid, probability, &kind, mask, &kept, &e), 0);
	for (size_t i = 0; i < N; i++) {
		assert_true(mask[i] <= 1);
		counted += mask[i];
	}
	assert_int_equal(counted, kept);
	return kept;
}

static void
threshold_is_included(void **state)
{
	struct segment_kind kind = { .threshold = 0.5 };
	float probability[N] = { 0.5f, 0.4999999f, 1, 0 };
	uint8_t mask[N] = { 0 };
	struct err e;
	size_t n;

	(void)state;
	assert_int_equal(prep_mask(&grid, probability, &kind, mask, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_int_equal(mask[0] + 2 * mask[1] + 4 * mask[2], 5);
}

static void
all_26_neighbours_are_one_piece(void **state)
{
	uint8_t mask[N] = { 0 };

	(void)state;
	for (size_t i = 0; i < 27; i++) {
		size_t places[2] = { at(1, 2, 3), at(i / 9, 1 + i / 3 % 3, 2 + i % 3) };
		size_t n = i == 13 ? 1 : 2;      /* 13: itself */

		assert_int_equal(mask_of(places, 2, 2, mask), n == 2 ? 2 : 0);
		assert_int_equal(mask_of(places, 2, 1, mask), n);
	}
}

static void
two_steps_away_is_another_piece(void **state)
{
	const size_t others[] = { at(3, 2, 3), at(1, 4, 3), at(1, 0, 3), at(1, 2, 5), at(1, 2, 1), at(3, 4, 5), at(3, 0, 1), at(2, 4, 3), at(2, 2, 5), at(2, 3, 1) };
	uint8_t mask[N] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_int_equal(mask_of((size_t[]){ at(1, 2, 3), others[i] }, 2, 2, mask), 0);
}

/* Rows wrap in memory, not in space. */
static void
ends_of_rows_do_not_touch(void **state)
{
	uint8_t mask[N] = { 0 };

	(void)state;
	assert_int_equal(mask_of((size_t[]){ at(0, 0, C - 1), at(0, 1, 0) }, 2, 2, mask), 0);
	assert_int_equal(mask_of((size_t[]){ at(0, R - 1, C - 1), at(1, 0, 0) }, 2, 2, mask), 0);
}

static void
small_pieces_go_large_ones_stay(void **state)
{
	const size_t places[] = { at(0, 0, 0), at(0, 0, 1), at(1, 1, 2), at(3, 4, 6), at(3, 4, 5), at(0, 4, 6) };   /* 3, 2 and 1 voxels */
	uint8_t mask[N] = { 0 };

	(void)state;
	assert_int_equal(mask_of(places, 6, 0, mask), 6);
	assert_int_equal(mask_of(places, 6, 1, mask), 6);
	assert_int_equal(mask_of(places, 6, 1.5, mask), 5);
	assert_int_equal(mask_of(places, 6, 3, mask), 3);
	assert_int_equal(mask[at(0, 0, 0)] + mask[at(0, 0, 1)] + mask[at(1, 1, 2)], 3);
	assert_int_equal(mask_of(places, 6, 3.01, mask), 0);
	assert_int_equal(mask_of(NULL, 0, 1, mask), 0);
}

/* The peak is that of the whole piece, in whichever row it lies; what no voxel of a piece reaches removes it, what one just reaches keeps it. */
static void
faint_pieces_go_bright_ones_stay(void **state)
{
	const size_t faint[3] = { at(0, 0, 0), at(0, 0, 1), at(1, 1, 2) }, bright[4] = { at(3, 0, 0), at(3, 1, 0), at(3, 2, 1), at(2, 3, 2) };
	struct segment_kind kind = { .threshold = 0.25, .peak = 0.75 };
	float probability[N] = { 0 };
	uint8_t mask[N] = { 0 };
	struct err e;
	size_t n;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		probability[faint[i]] = 0.7f;
	for (size_t i = 0; i < 4; i++) {
		for (size_t k = 0; k < 4; k++)
			probability[bright[k]] = i == k ? 0.75f : 0.25f;
		assert_int_equal(prep_mask(&grid, probability, &kind, mask, &n, &e), 0);
		assert_int_equal(n, 4);
		assert_int_equal(mask[bright[0]] + mask[bright[1]] + mask[bright[2]] + mask[bright[3]], 4);
	}
	kind.peak = 0.25;
	assert_int_equal(prep_mask(&grid, probability, &kind, mask, &n, &e), 0);
	assert_int_equal(n, 7);
}

/* A spiral whose ends meet late, and a full volume: long chains of parents. */
static void
long_pieces_are_one(void **state)
{
	size_t all[N], comb[N], n = 0;
	uint8_t mask[N] = { 0 };

	(void)state;
	for (size_t i = 0; i < N; i++)
		all[i] = i;
	assert_int_equal(mask_of(all, N, N, mask), N);
	for (size_t s = 0; s < S; s++)
		for (size_t c = 0; c < C; c += 2)
			for (size_t r = 0; r < R; r++)
				if (s % 2 == 0)
					comb[n++] = at(s, r, c);
	for (size_t c = 1; c < C; c += 2)
		comb[n++] = at(0, R - 1, c);             /* joins the teeth of the first slice, at its last row */
	comb[n++] = at(1, 0, 0);                         /* and its first tooth with the third slice's */
	assert_int_equal(mask_of(comb, n, 4 * R + 3 + 1 + R, mask), 4 * R + 3 + 1 + R);
	assert_int_equal(mask_of(comb, n, 4 * R + 3 + 1 + R + 1, mask), 0);
}

/* Against a flood fill, over many random masks. */
static void
fill(const uint8_t *on, uint8_t *seen, size_t s, size_t r, size_t c, size_t *n)
{
	if (s >= S || r >= R || c >= C || !on[at(s, r, c)] || seen[at(s, r, c)])
		return;
	seen[at(s, r, c)] = 1;
	++*n;
	for (size_t i = 0; i < 27; i++)
		fill(on, seen, s + i / 9 - 1, r + i / 3 % 3 - 1, c + i % 3 - 1, n);
}

static void
agrees_with_a_flood_fill(void **state)
{
	uint32_t random = 7;

	(void)state;
	for (int round = 0; round < 300; round++) {
		size_t places[N], n = 0, minimum = 1 + (size_t)round % 9;
		uint8_t on[N] = { 0 }, seen[N] = { 0 }, want[N] = { 0 }, got[N];

		for (size_t i = 0; i < N; i++) {
			random = random * 1664525u + 1013904223u;
			if (random >> 24 < 25 + (uint32_t)(round % 4) * 15)
				on[places[n++] = i] = 1;
		}
		for (size_t i = 0; i < N; i++) {
			uint8_t before[N];
			size_t size = 0;
			memcpy(before, seen, N);
			fill(on, seen, i / (R * C), i / C % R, i % C, &size);
			for (size_t j = 0; j < N && size >= minimum; j++)
				want[j] |= seen[j] && !before[j];
		}
		mask_of(places, n, (double)minimum, got);
		assert_memory_equal(got, want, N);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threshold_is_included), cmocka_unit_test(all_26_neighbours_are_one_piece), cmocka_unit_test(two_steps_away_is_another_piece),
		cmocka_unit_test(ends_of_rows_do_not_touch), cmocka_unit_test(small_pieces_go_large_ones_stay), cmocka_unit_test(faint_pieces_go_bright_ones_stay), cmocka_unit_test(long_pieces_are_one),
		cmocka_unit_test(agrees_with_a_flood_fill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
