/* Overlap, distances and statistics over cases: by hand, against a straightforward O(n^2) search, and scipy's numbers (scipy 1.10, in the comments). */
#include "model/figures.h"
#include "model/metrics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define close_to(a, b) assert_float_equal((float)(a), (float)(b), 1e-6)

/* ---- metrics ---- */

static const struct grid line = { 1, 1, 12, { 5, 2, 0.5 }, { 0 }, { 1, 0, 0 }, { 0, 1, 0 } };   /* a voxel is 0.005 ml */

static struct metrics
compare(const struct grid *g, const uint8_t *truth, const uint8_t *result)
{
	struct metrics m;
	struct err e;

	assert_int_equal(metrics_compare(g, truth, result, &m, &e), 0);
	return m;
}

static void
overlap_by_hand(void **state)
{
	const uint8_t truth[12] = { 0, 1, 1, 1, 1 }, result[12] = { 0, 0, 0, 1, 1, 1 };
	struct metrics m = compare(&line, truth, result);

	(void)state;
	close_to(m.dice, 4.0 / 7);
	close_to(m.precision, 2.0 / 3);
	close_to(m.sensitivity, 0.5);
	close_to(m.truth_ml, 0.02);
	close_to(m.result_ml, 0.015);
	close_to(m.volume_error_ml, -0.005);
	/* truth -> result: 2 1 0 0 voxels, 95th percentile 1.85 of them; result -> truth: 0 0 1, 0.9 */
	close_to(m.hd95_mm, 1.85 * 0.5);
}

static void
empty_masks(void **state)
{
	const uint8_t none[12] = { 0 }, some[12] = { 1 };
	struct metrics both = compare(&line, none, none), missed = compare(&line, some, none), invented = compare(&line, none, some);

	(void)state;
	assert_true(both.dice == 1 && both.hd95_mm == 0 && both.precision == 1 && both.sensitivity == 1 && both.volume_error_ml == 0);
	assert_true(missed.dice == 0 && isnan(missed.hd95_mm) && missed.precision == 0 && missed.sensitivity == 0);
	close_to(missed.volume_error_ml, -0.005);
	assert_true(invented.dice == 0 && isnan(invented.hd95_mm) && invented.precision == 0 && invented.sensitivity == 0);
	close_to(invented.volume_error_ml, 0.005);
}

static void
equal_masks(void **state)
{
	const uint8_t some[12] = { 1, 0, 1 };
	struct metrics m = compare(&line, some, some);

	(void)state;
	assert_true(m.dice == 1 && m.hd95_mm == 0 && m.precision == 1 && m.sensitivity == 1);
}

static void
distance_follows_the_spacing(void **state)
{
	struct grid g = { 3, 3, 3, { 5, 2, 0.5 }, { 0 }, { 1, 0, 0 }, { 0, 1, 0 } };
	uint8_t truth[27] = { 0 }, result[27] = { 0 };

	(void)state;
	truth[0] = 1;
	for (size_t axis = 0; axis < 3; axis++) {
		static const size_t step[3] = { 9, 3, 1 };
		memset(result, 0, sizeof result);
		result[2 * step[axis]] = 1;
		close_to(compare(&g, truth, result).hd95_mm, 2 * g.spacing_mm[axis]);
	}
	memset(result, 0, sizeof result);
	result[26] = 1;
	close_to(compare(&g, truth, result).hd95_mm, sqrt(100 + 16 + 1));
}

/* A voxel within a solid mask is no outline: a full 3x3x3 cube against its centre alone. */
static void
inner_voxels_are_no_outline(void **state)
{
	struct grid g = { 5, 5, 5, { 1, 1, 1 }, { 0 }, { 1, 0, 0 }, { 0, 1, 0 } };
	uint8_t cube[125] = { 0 }, centre[125] = { 0 };

	(void)state;
	for (size_t i = 0; i < 27; i++)
		cube[(1 + i / 9) * 25 + (1 + i / 3 % 3) * 5 + 1 + i % 3] = 1;
	centre[62] = 1;
	/* centre -> outline of the cube: 1 (the centre itself is inside). Outline -> centre: 6 x 1, 12 x sqrt 2, 8 x sqrt 3; 95th percentile sqrt 3. */
	close_to(compare(&g, cube, centre).hd95_mm, sqrt(3));
	memcpy(centre, cube, sizeof cube);
	centre[62] = 0;
	close_to(compare(&g, cube, centre).hd95_mm, 0);   /* the hollow cube's outline is the same 26 voxels */
}

static bool
naive_border(const struct grid *g, const uint8_t *mask, ptrdiff_t s, ptrdiff_t r, ptrdiff_t c)
{
	static const ptrdiff_t step[6][3] = { { 1, 0, 0 }, { -1, 0, 0 }, { 0, 1, 0 }, { 0, -1, 0 }, { 0, 0, 1 }, { 0, 0, -1 } };
	const ptrdiff_t S = (ptrdiff_t)g->slices, R = (ptrdiff_t)g->rows, C = (ptrdiff_t)g->cols;

	if (!mask[(s * R + r) * C + c])
		return false;
	for (size_t i = 0; i < 6; i++) {
		ptrdiff_t a = s + step[i][0], b = r + step[i][1], d = c + step[i][2];
		if (a < 0 || b < 0 || d < 0 || a >= S || b >= R || d >= C || !mask[(a * R + b) * C + d])
			return true;
	}
	return false;
}

static size_t
naive_points(const struct grid *g, const uint8_t *mask, double (*mm)[3])
{
	size_t n = 0;

	for (size_t s = 0; s < g->slices; s++)
		for (size_t r = 0; r < g->rows; r++)
			for (size_t c = 0; c < g->cols; c++)
				if (naive_border(g, mask, (ptrdiff_t)s, (ptrdiff_t)r, (ptrdiff_t)c)) {
					mm[n][0] = (double)s * g->spacing_mm[0];
					mm[n][1] = (double)r * g->spacing_mm[1];
					mm[n++][2] = (double)c * g->spacing_mm[2];
				}
	return n;
}

static int
ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
naive_directed(double (*from)[3], size_t n, double (*to)[3], size_t m)
{
	double *d = calloc(n, sizeof *d), place = 0.95 * (double)(n - 1), value;
	size_t k = (size_t)place;

	assert_non_null(d);
	for (size_t i = 0; i < n; i++) {
		d[i] = INFINITY;
		for (size_t j = 0; j < m; j++) {
			double x = from[i][0] - to[j][0], y = from[i][1] - to[j][1], z = from[i][2] - to[j][2];
			d[i] = fmin(d[i], sqrt(x * x + y * y + z * z));
		}
	}
	qsort(d, n, sizeof *d, ascending);
	value = k + 1 < n ? d[k] + (place - (double)k) * (d[k + 1] - d[k]) : d[n - 1];
	free(d);
	return value;
}

static double
naive_hd95(const struct grid *g, const uint8_t *truth, const uint8_t *result)
{
	double (*a)[3] = calloc(grid_voxels(g), sizeof *a), (*b)[3] = calloc(grid_voxels(g), sizeof *b), value;
	size_t n, m;

	assert_true(a && b);
	n = naive_points(g, truth, a);
	m = naive_points(g, result, b);
	value = fmax(naive_directed(a, n, b, m), naive_directed(b, m, a, n));
	free(a);
	free(b);
	return value;
}

/* Blobs of both shapes: specks (many outlines) and balls (few), on grids with sides of 1 and of coprime lengths. */
static void
distances_as_by_search(void **state)
{
	static const struct grid grids[] = {
		{ 7, 19, 13, { 5, 0.9, 0.7 }, { 0 }, { 1, 0, 0 }, { 0, 1, 0 } }, { 1, 23, 31, { 3, 1.1, 0.6 }, { 0 }, { 1, 0, 0 }, { 0, 1, 0 } },
		{ 17, 1, 29, { 0.4, 7, 1 }, { 0 }, { 1, 0, 0 }, { 0, 1, 0 } }, { 11, 12, 1, { 1, 1, 9 }, { 0 }, { 1, 0, 0 }, { 0, 1, 0 } } };
	uint32_t random = 1;
	size_t compared = 0;

	(void)state;
	for (size_t k = 0; k < 40; k++) {
		const struct grid *g = &grids[k % 4];
		const size_t n = grid_voxels(g);
		uint8_t *truth = calloc(n, 1), *result = calloc(n, 1);

		assert_true(truth && result);
		for (size_t i = 0; i < n; i++) {
			const uint32_t rare = k % 3 == 0 ? 200 : k % 3 == 1 ? 20 : 2;
			random = random * 1664525u + 1013904223u;
			truth[i] = (random >> 16) % rare == 0;
			random = random * 1664525u + 1013904223u;
			result[i] = (random >> 16) % rare == 0;
		}
		if (memchr(truth, 1, n) && memchr(result, 1, n)) {
			close_to(compare(g, truth, result).hd95_mm, naive_hd95(g, truth, result));
			compared++;
		}
		free(truth);
		free(result);
	}
	assert_in_range(compared, 25, 40);
}

/* ---- statistics over cases ---- */

static struct summary
summarise(const double *v, size_t n)
{
	struct summary s;
	struct err e;

	assert_int_equal(figures_summary(v, n, &s, &e), 0);
	return s;
}

static void
summary_by_hand(void **state)
{
	const double v[] = { 4, 1, NAN, 2, 9 };
	struct summary s = summarise(v, 5), again = summarise(v, 5), none = summarise(v + 2, 1), one = summarise(v, 1);

	(void)state;
	assert_true(s.n == 4 && s.missing == 1 && s.mean == 4 && s.median == 3 && s.min == 1 && s.max == 9);
	assert_true(s.mean_low >= 1 && s.mean_low < 4 && s.mean_high > 4 && s.mean_high <= 9);
	assert_memory_equal(&s, &again, sizeof s);
	assert_true(none.n == 0 && none.missing == 1 && isnan(none.mean) && isnan(none.median_high));
	assert_true(one.mean_low == 4 && one.mean_high == 4 && one.median_low == 4 && one.median_high == 4);
	assert_true(summarise(v, 0).n == 0);
}

/* numpy, 100000 resamples of arange(40) / 40: mean 0.39875 to 0.57625, median 0.3375 to 0.6375. */
static void
intervals_as_numpy_has_them(void **state)
{
	double v[40];
	struct summary s;

	(void)state;
	for (size_t i = 0; i < 40; i++)
		v[i] = (double)(i * 7 % 40) / 40;
	s = summarise(v, 40);
	assert_float_equal(s.mean_low, 0.39875, 0.004);
	assert_float_equal(s.mean_high, 0.57625, 0.004);
	assert_float_equal(s.median_low, 0.3375, 0.02);
	assert_float_equal(s.median_high, 0.6375, 0.02);
}

/* An even number of values has a middle between two of them; numpy, 100000 resamples of six: -2.5 to 2.5. */
static void
medians_of_samples(void **state)
{
	const double two[] = { 0, 1 }, three[] = { 0, 0, 1 }, six[] = { -3, -2, -1, 1, 2, 3 };

	(void)state;
	assert_true(summarise(two, 2).median == 0.5 && summarise(two, 2).median_low == 0 && summarise(two, 2).median_high == 1);
	assert_true(summarise(three, 3).median == 0 && summarise(three, 3).median_low == 0 && summarise(three, 3).median_high == 1);
	assert_true(summarise(six, 6).median == 0 && summarise(six, 6).median_low == -2.5 && summarise(six, 6).median_high == 2.5);
}

static struct wilcoxon
test(const double *d, size_t n)
{
	struct wilcoxon w;
	struct err e;

	assert_int_equal(figures_wilcoxon(d, n, &w, &e), 0);
	return w;
}

static void
wilcoxon_as_scipy_has_it(void **state)
{
	const double few[] = { 0.1, 0.2, -0.05, 0.4, 0.35, -0.01, 0.07 }, tied[] = { 1, -1, 2, 0, 2, -3, NAN };
	double many[60], ties[80];
	struct wilcoxon w;

	(void)state;
	w = test(few, 7);                                  /* mode exact: statistic 3, p 0.078125 */
	assert_true(w.is_exact && w.n == 7 && w.w_minus == 3 && w.w_plus == 25);
	close_to(w.p, 0.078125);
	w = test(tied, 7);                                 /* by enumeration of the 32 signs: 2 * 15 / 32 */
	assert_true(w.is_exact && w.n == 5 && w.w_minus == 6.5 && w.w_plus == 8.5);
	close_to(w.p, 0.9375);
	for (int i = 0; i < 60; i++)
		many[i] = (i * 37 % 61 - 25) / 7.0 + 0.001 * i;
	w = test(many, 60);                                /* mode approx: statistic 624, p 0.03217526217705323 */
	assert_true(!w.is_exact && fmin(w.w_plus, w.w_minus) == 624);
	close_to(w.p, 0.03217526217705323);
	for (int i = 0; i < 80; i++)
		ties[i] = i * 37 % 23 - 9;
	w = test(ties, 80);                                /* statistic 1066, p 0.02688835357211165 */
	assert_true(fmin(w.w_plus, w.w_minus) == 1066);
	close_to(w.p, 0.02688835357211165);
}

static void
wilcoxon_edges(void **state)
{
	const double zeros[] = { 0, 0, NAN };
	double all[50];

	(void)state;
	assert_true(test(zeros, 3).n == 0 && test(zeros, 3).p == 1);
	for (int i = 0; i < 50; i++)
		all[i] = i + 1;
	assert_true(test(all, 50).is_exact && test(all, 50).p == ldexp(1, -49));
	assert_true(test(all, 1).p == 1 && test(all, 6).p == 0.03125);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overlap_by_hand), cmocka_unit_test(empty_masks), cmocka_unit_test(equal_masks), cmocka_unit_test(distance_follows_the_spacing),
		cmocka_unit_test(inner_voxels_are_no_outline), cmocka_unit_test(distances_as_by_search), cmocka_unit_test(summary_by_hand),
		cmocka_unit_test(intervals_as_numpy_has_them), cmocka_unit_test(medians_of_samples), cmocka_unit_test(wilcoxon_as_scipy_has_it),
		cmocka_unit_test(wilcoxon_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
