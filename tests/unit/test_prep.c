/* Preprocessing: percentiles, every storage order of one volume, intensities that differ by a*x+b, padding, spacing, the way back, refusals. */
#include "model/prep.h"
#include "model/statistics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { S = 3, R = 20, C = 33, N = S * R * C };   /* odd sizes, no two alike */

static const struct normalisation percentile_head = { 0.1, 0.1, 99, 2, 98, { -0.5, 2 } };

static struct manifest
model(double spacing_mm)
{
	struct manifest m = { .name = "m", .plane = "axial", .n_channels = 1, .channels = { "flair" }, .spacing_mm = spacing_mm, .pad_multiple = 16,
		.network = { .channels = 1, .width = 4, .labels = 1 }, .normalisation = percentile_head };

	return m;
}

/* Already LPS: columns to the left, rows to the back, slices to the head. 0.9 mm in plane. */
static const struct grid lps = { S, R, C, { 5, 0.9, 0.9 }, { 0, 0, 0 }, { 1, 0, 0 }, { 0, 1, 0 } };

/* A head without symmetry. */
static void
paint(float *v)
{
	for (size_t s = 0; s < S; s++)
		for (size_t r = 0; r < R; r++)
			for (size_t c = 0; c < C; c++) {
				bool air = r < 3 || c < 4 || r > 16;
				v[(s * R + r) * C + c] = air ? (float)((r * 7 + c) % 3) : (float)(100 + 50 * s + 3 * r + 2 * c + (r * c * 13 + s) % 23);
			}
}

static struct prep *
prepare(const struct manifest *m, const struct grid *g, const float *v)
{
	struct err e = { 0 };
	struct prep *p = prep_new(m, &(struct volume){ g, { .real = v } }, 1, &e);

	if (!p)
		fail_msg("%s", e.text);
	return p;
}

/* All network slices, one after the other. caller: free */
static float *
network_input(const struct prep *p, size_t *n)
{
	size_t plane = prep_rows(p) * prep_cols(p);
	float *x;

	*n = prep_slices(p) * plane;
	x = malloc(*n * sizeof *x);
	assert_non_null(x);
	for (size_t k = 0; k < prep_slices(p); k++)
		prep_slice(p, k, x + k * plane);
	return x;
}

static void
percentiles_are_numpys(void **state)
{
	const struct voxels v = { .real = (const float[]){ 3, -1, 0, 10, 7.5f, -20, 3, 1e-30f } };    /* numpy.percentile(v, q) */
	const struct voxels odd = { .real = (const float[]){ 1, NAN } };
	const double q[] = { 0, 25, 99, 100 };
	double out[4];
	size_t n;
	struct err e;

	(void)state;
	assert_int_equal(statistics_percentiles(&v, 8, 0, -INFINITY, q, 4, out, &n, &e), 0);
	assert_int_equal(n, 8);
	assert_float_equal(out[0], -20, 0);
	assert_float_equal(out[1], -0.25, 1e-12);
	assert_float_equal(out[2], 9.825, 1e-12);
	assert_float_equal(out[3], 10, 0);
	assert_int_equal(statistics_percentiles(&v, 8, 1, 1, (double[]){ 50 }, 1, out, &n, &e), 0);   /* 3, 10, 7.5, 3 of v - 1 > 1: 2, 9, 6.5, 2 */
	assert_int_equal(n, 4);
	assert_float_equal(out[0], 4.25, 1e-12);
	assert_int_equal(statistics_percentiles(&v, 8, 0, 10, q, 1, out, &n, &e), 0);
	assert_int_equal(n, 0);
	assert_int_equal(statistics_percentiles(&v, 1, 0, -INFINITY, q, 4, out, &n, &e), 0);
	assert_true(out[0] == 3 && out[3] == 3);
	assert_int_equal(statistics_percentiles(&odd, 2, 0, -INFINITY, q, 1, out, &n, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
}

/* The numbers of SEGAN.md for a volume whose percentiles are plain: 10 air voxels of 5, then 5 + 1 ... 5 + 100. */
static void
steps_are_in_order(void **state)
{
	const struct grid g = { 1, 10, 11, { 5, 0.9, 0.9 }, { 0 }, { 1, 0, 0 }, { 0, 1, 0 } };
	struct manifest m = model(0.9);
	struct prep *p;
	float v[110], x[256];
	/* without the floor of 5: 99th percentile at 107.91 of 0..109: 98.91; head over 9.891: 10 ... 100, so 2 % is 11.8, 98 % is 98.2 */
	const double low = 11.8, high = 98.2;

	(void)state;
	for (size_t i = 0; i < 110; i++)
		v[i] = i < 10 ? 5 : (float)(i - 10 + 6);
	p = prepare(&m, &g, v);
	assert_int_equal(prep_rows(p) * 100 + prep_cols(p), 1616);
	prep_slice(p, 0, x);
	for (size_t r = 0; r < 16; r++)
		for (size_t c = 0; c < 16; c++) {
			double value = r < 10 && c < 11 ? v[r * 11 + c] - 5.0 : 0;      /* padding is what air becomes */
			assert_float_equal(x[r * 16 + c], fmax(-0.5, fmin(2, (value - low) / (high - low))), 1e-6);
		}
	prep_free(p);
}

/* Storage order number `turn`: bit 0 swaps rows and columns, bit 1 turns the columns round, bit 2 the rows. The right-handed order of slices follows
 * (grid.h: they ascend along row_dir x col_dir). */
static struct grid
stored(const float *v, int turn, float *out)
{
	struct grid g = lps;
	bool swap = turn & 1, flip_cols = turn & 2, flip_rows = turn & 4, flip_slices = swap ^ flip_cols ^ flip_rows;

	g.rows = swap ? C : R;
	g.cols = swap ? R : C;
	for (int i = 0; i < 3; i++) {
		g.row_dir[i] = (i == (swap ? 1 : 0)) * (flip_cols ? -1 : 1);
		g.col_dir[i] = (i == (swap ? 0 : 1)) * (flip_rows ? -1 : 1);
	}
	for (size_t s = 0; s < S; s++)
		for (size_t r = 0; r < g.rows; r++)
			for (size_t c = 0; c < g.cols; c++) {
				size_t a = flip_rows ? g.rows - 1 - r : r, b = flip_cols ? g.cols - 1 - c : c, k = flip_slices ? S - 1 - s : s;
				out[(s * g.rows + r) * g.cols + c] = v[(k * R + (swap ? b : a)) * C + (swap ? a : b)];
			}
	return g;
}

/* The way back with the input itself as the probability: what comes to which source voxel. */
static void
come_back(const struct prep *p, const float *x, float *out)
{
	for (size_t k = 0; k < S; k++)
		prep_back(p, k, x + k * prep_rows(p) * prep_cols(p), out + prep_source_slice(p, k) * R * C);
}

static void
every_storage_order_is_one_input(void **state)
{
	static const double spacings[] = { 0.9, 0.7, 1.31 };
	float v[N], turned[N], back[N], back_turned[N], want_back[N];

	(void)state;
	paint(v);
	for (size_t i = 0; i < 3; i++) {
		struct manifest m = model(spacings[i]);
		struct prep *p = prepare(&m, &lps, v);
		size_t n, n_want;
		float *want = network_input(p, &n_want);

		come_back(p, want, back);
		prep_free(p);
		for (int turn = 0; turn < 8; turn++) {
			struct grid g = stored(v, turn, turned);
			float *got;

			p = prepare(&m, &g, turned);
			got = network_input(p, &n);
			assert_int_equal(n, n_want);
			assert_memory_equal(got, want, n * sizeof *got);
			come_back(p, got, back_turned);
			stored(back, turn, want_back);
			assert_memory_equal(back_turned, want_back, sizeof back);
			free(got);
			prep_free(p);
		}
		free(want);
	}
}

static void
scanners_scale_does_not_matter(void **state)
{
	static const double scales[][2] = { { 3, 0 }, { 1, -1000 }, { 0.013, 77 }, { 250, 12345 } };
	struct manifest m = model(1.0);
	float v[N], other[N];
	size_t n;
	float *want, *got;
	struct prep *p;

	(void)state;
	paint(v);
	p = prepare(&m, &lps, v);
	want = network_input(p, &n);
	prep_free(p);
	for (size_t i = 0; i < 4; i++) {
		for (size_t j = 0; j < N; j++)
			other[j] = (float)(scales[i][0] * v[j] + scales[i][1]);
		p = prepare(&m, &lps, other);
		got = network_input(p, &n);
		for (size_t j = 0; j < n; j++)
			assert_float_equal(got[j], want[j], 2e-4);
		free(got);
		prep_free(p);
	}
	free(want);
}

static void
equal_spacing_is_the_identity_both_ways(void **state)
{
	struct manifest m = model(0.9);
	float v[N], probability[32 * 48], back[R * C];
	struct prep *p;

	(void)state;
	paint(v);
	p = prepare(&m, &lps, v);
	assert_int_equal(prep_rows(p) * 100 + prep_cols(p), 3248);
	for (size_t i = 0; i < 32 * 48; i++)
		probability[i] = (float)(i * 37 % 101) / 101;
	prep_back(p, 1, probability, back);
	for (size_t r = 0; r < R; r++)
		for (size_t c = 0; c < C; c++)
			assert_true(back[r * C + c] == probability[r * 48 + c]);
	prep_free(p);
}

/* 2 x 4 pixels of 1.8 x 0.45 mm at 0.9 mm: 4 rows, 2 columns. Bilinear with half-pixel centres, by hand. */
static void
spacing_changes_by_half_pixel_bilinear(void **state)
{
	const struct grid g = { 1, 2, 4, { 5, 1.8, 0.45 }, { 0 }, { 1, 0, 0 }, { 0, 1, 0 } };
	const float v[8] = { 0, 10, 20, 30, 40, 50, 60, 100 };
	struct manifest m = model(0.9);
	struct prep *p;
	float x[256], y[256] = { 0 }, back[8], source[8];

	(void)state;
	m.normalisation.floor_percentile = 0;            /* so that air is the value 0 */
	m.normalisation.clip[0] = -1e6;                  /* linear: the mean of pixels is the mean of their scaled values */
	m.normalisation.clip[1] = 1e6;
	p = prepare(&m, &g, v);
	assert_int_equal(prep_rows(p) * 100 + prep_cols(p), 1616);
	prep_slice(p, 0, x);
	/* columns: 0 + 1 and 2 + 3 halved; rows: row 0, 3/4 + 1/4, 1/4 + 3/4, row 1. Scaled values: by two known ones, air (0) and v[1]. */
	{
		const float air = x[255];
		const double rows[4][2] = { { 5, 25 }, { 15, 38.75 }, { 35, 66.25 }, { 45, 80 } };
		const double unit = (x[1] - x[0]) / 20;

		for (size_t r = 0; r < 4; r++)
			for (size_t c = 0; c < 2; c++)
				assert_float_equal(x[r * 16 + c], air + rows[r][c] * unit, 1e-5);
	}
	for (size_t r = 0; r < 4; r++)
		for (size_t c = 0; c < 2; c++)
			y[r * 16 + c] = (float)(10 * r + 4 * c);
	prep_back(p, 0, y, back);
	/* rows: 1/2 (0 + 1), 1/2 (2 + 3); columns: 0, 3/4 + 1/4, 1/4 + 3/4, 1 */
	memcpy(source, (float[]){ 5, 6, 8, 9, 25, 26, 28, 29 }, sizeof source);
	for (size_t i = 0; i < 8; i++)
		assert_float_equal(back[i], source[i], 1e-5);
	prep_free(p);
}

/* A slice's neighbours are what the slices beside it are, in every storage order; beyond the edge the last one stands in. */
static void
neighbours_are_the_slices_beside(void **state)
{
	float v[N], turned[N], other[N];
	struct volume volumes[2] = { { NULL, { .real = turned } }, { NULL, { .real = other } } };

	(void)state;
	paint(v);
	for (int turn = 0; turn < 8; turn++) {
		struct grid g = stored(v, turn, turned);
		struct manifest m = model(0.9);
		struct err e = { 0 };
		struct prep *p;
		size_t plane;
		float *alone, *x;

		for (size_t i = 0; i < N; i++)
			other[i] = 2 * turned[i] * turned[i];
		volumes[0].grid = volumes[1].grid = &g;
		m.n_channels = 2;
		m.channels[1][0] = 't';
		p = prep_new(&m, volumes, 2, &e);
		assert_non_null(p);
		plane = prep_rows(p) * prep_cols(p);
		alone = malloc(S * 2 * plane * sizeof *alone);
		x = malloc(2 * 5 * plane * sizeof *x);
		assert_non_null(alone);
		assert_non_null(x);
		for (size_t k = 0; k < S; k++)
			prep_slice(p, k, alone + k * 2 * plane);
		m.neighbours = 2;
		for (int k = 0; k < S; k++) {
			prep_slice(p, (size_t)k, x);
			for (int c = 0; c < 2; c++)
				for (int n = 0; n < 5; n++) {
					int at = k + n - 2 < 0 ? 0 : k + n - 2 >= S ? S - 1 : k + n - 2;
					assert_memory_equal(x + (size_t)(c * 5 + n) * plane, alone + (size_t)(at * 2 + c) * plane, plane * sizeof *x);
				}
		}
		free(alone);
		free(x);
		prep_free(p);
	}
}

/* A coronal series of 1 mm: slice k of what it is resampled to has those as neighbours that are as far away as the model's own were in training. */
static void
neighbours_of_other_planes_are_as_far_as_in_training(void **state)
{
	enum { SIDE = 12 };
	const struct grid g = { SIDE, SIDE, SIDE, { 1, 1, 1 }, { 0 }, { 1, 0, 0 }, { 0, 0, -1 } };
	static const struct { double mm; int step; } cases[] = { { 1, 1 }, { 2.6, 3 }, { MANIFEST_NEIGHBOUR_MM, 5 }, { 0.3, 1 } };
	float v[SIDE * SIDE * SIDE], *alone, *x;
	struct manifest m = model(1);
	size_t plane;

	(void)state;
	for (size_t i = 0; i < SIDE * SIDE * SIDE; i++)
		v[i] = (float)(i * 7919 % 1000);
	for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) {
		struct prep *p;

		m.neighbour_mm = cases[t].mm;
		m.neighbours = 0;
		p = prepare(&m, &g, v);
		assert_true(prep_is_resampled(p));
		assert_int_equal(prep_slices(p), SIDE);
		plane = prep_rows(p) * prep_cols(p);
		assert_non_null(alone = malloc(SIDE * plane * sizeof *alone));
		assert_non_null(x = malloc(3 * plane * sizeof *x));
		for (size_t k = 0; k < SIDE; k++)
			prep_slice(p, k, alone + k * plane);
		m.neighbours = 1;
		for (int k = 0; k < SIDE; k++) {
			prep_slice(p, (size_t)k, x);
			for (int n = 0; n < 3; n++) {
				int at = k + (n - 1) * cases[t].step;
				at = at < 0 ? 0 : at >= SIDE ? SIDE - 1 : at;
				assert_memory_equal(x + (size_t)n * plane, alone + (size_t)at * plane, plane * sizeof *x);
			}
		}
		free(alone);
		free(x);
		prep_free(p);
	}
}

/* Wherever the image is bright, in every storage order: the truth is turned as the image is, and nothing is true in the padding. */
static void
truth_lies_where_the_image_does(void **state)
{
	float v[N], turned[N];
	uint8_t mask[N];

	(void)state;
	paint(v);
	for (size_t i = 0; i < N; i++)
		v[i] = v[i] > 180 ? 1000 : v[i];
	for (int turn = 0; turn < 8; turn++) {
		struct grid g = stored(v, turn, turned);
		struct manifest m = model(0.9);
		struct prep *p = prepare(&m, &g, turned);
		size_t n = prep_rows(p) * prep_cols(p), n_true = 0;
		float *x = malloc(n * sizeof *x), *truth = malloc(n * sizeof *truth);

		assert_non_null(x);
		assert_non_null(truth);
		for (size_t i = 0; i < N; i++)
			mask[i] = turned[i] == 1000;
		for (size_t k = 0; k < S; k++) {
			prep_slice(p, k, x);
			prep_truth(p, k, mask, truth);
			for (size_t i = 0; i < n; i++) {
				assert_true(truth[i] == (x[i] > 0.999F));
				n_true += truth[i] == 1;
			}
			assert_true(truth[n - 1] == 0 && x[n - 1] == prep_air(p, 0));
		}
		assert_true(n_true > 100);
		free(x);
		free(truth);
		prep_free(p);
	}
}

/* 2 x 4 pixels of 1.8 x 0.45 mm at 0.9 mm, as above: columns two by two, rows at 0, 1/4, 3/4, 1. Half is true. */
static void
truth_between_voxels_is_the_greater_half(void **state)
{
	const struct grid g = { 1, 2, 4, { 5, 1.8, 0.45 }, { 0 }, { 1, 0, 0 }, { 0, 1, 0 } };
	const float v[8] = { 0, 10, 20, 30, 40, 50, 60, 100 };
	const uint8_t mask[8] = { 1, 0, 1, 1, 0, 0, 0, 1 };
	const float want[4][2] = { { 1, 1 }, { 0, 1 }, { 0, 1 }, { 0, 1 } }; /* 1/2 1; 3/8 7/8; 1/8 5/8; 0 1/2 */
	struct manifest m = model(0.9);
	struct prep *p = prepare(&m, &g, v);
	float truth[256];

	(void)state;
	prep_truth(p, 0, mask, truth);
	for (size_t i = 0; i < 256; i++)
		assert_true(truth[i] == (i / 16 < 4 && i % 16 < 2 ? want[i / 16][i % 16] : 0));
	prep_free(p);
}

static void
labels_come_back_one_by_one(void **state)
{
	struct manifest m = model(0.9);
	float v[N], probability[2 * 32 * 48], back[2 * R * C];
	struct prep *p;

	(void)state;
	m.network.labels = 2;
	paint(v);
	p = prepare(&m, &lps, v);
	for (size_t i = 0; i < 2 * 32 * 48; i++)
		probability[i] = i < 32 * 48 ? 0.25f : 0.75f;
	prep_back(p, 0, probability, back);
	for (size_t i = 0; i < 2 * R * C; i++)
		assert_true(back[i] == (i < R * C ? 0.25f : 0.75f));
	prep_free(p);
}

static void
channels_are_scaled_each_by_itself(void **state)
{
	struct manifest m = model(0.9);
	float v[N], other[N], x[2 * 32 * 48];
	struct volume volumes[2] = { { &lps, { .real = v } }, { &lps, { .real = other } } };
	struct grid elsewhere = lps;
	struct err e;
	struct prep *p;

	(void)state;
	m.n_channels = m.network.channels = 2;
	memcpy(m.channels[1], "t1c", 4);
	paint(v);
	for (size_t i = 0; i < N; i++)
		other[i] = 8 * v[i] + 4;
	p = prep_new(&m, volumes, 2, &e);
	assert_non_null(p);
	prep_slice(p, 2, x);
	for (size_t i = 0; i < 32 * 48; i++)
		assert_float_equal(x[i], x[32 * 48 + i], 1e-5);
	prep_free(p);
	assert_null(prep_new(&m, volumes, 1, &e));
	elsewhere.origin_mm[0] = 1;
	volumes[1].grid = &elsewhere;
	assert_null(prep_new(&m, volumes, 2, &e));
	assert_non_null(strstr(e.text, "flair and t1c are not on one grid"));
}

static void
expect_refusal(const struct manifest *m, const struct grid *g, const float *v, const char *words)
{
	struct err e = { 0 };
	struct prep *p = prep_new(m, &(struct volume){ g, { .real = v } }, 1, &e);

	if (p || e.code != ERR_INPUT || !strstr(e.text, words))
		fail_msg("\"%s\", wanted \"%s\"", e.text, words);
}

static void
small_volumes_work(void **state)
{
	const struct grid g = { 1, 1, 3, { 5, 0.1, 0.1 }, { 0 }, { 1, 0, 0 }, { 0, 1, 0 } };   /* 0.3 mm: one pixel, padded */
	const float v[3] = { 0, 100, 200 }, flat[3] = { 0, 0, 100 };
	struct manifest m = model(0.9);
	struct prep *p;
	float x[256], back[3];

	(void)state;
	p = prepare(&m, &g, v);
	assert_int_equal(prep_slices(p) * 10000 + prep_rows(p) * 100 + prep_cols(p), 11616);
	prep_slice(p, 0, x);
	x[0] = 0.625f;
	prep_back(p, 0, x, back);
	assert_true(back[0] == 0.625f && back[1] == 0.625f && back[2] == 0.625f);
	prep_free(p);
	expect_refusal(&m, &g, flat, "constant");        /* one voxel of head has no range */
}

static void
what_cannot_work_is_refused(void **state)
{
	struct manifest m = model(0.9);
	struct grid g = lps;
	float v[N];

	(void)state;
	paint(v);
	g.row_dir[0] = NAN;
	expect_refusal(&m, &g, v, "not axial");
	g = lps, g.spacing_mm[1] = 0;
	expect_refusal(&m, &g, v, "in plane");
	g = lps, g.spacing_mm[2] = 1e9;
	expect_refusal(&m, &g, v, "in plane");
	g = lps, g.spacing_mm[2] = NAN;
	expect_refusal(&m, &g, v, "in plane");
	g = lps, g.slices = 0;
	expect_refusal(&m, &g, v, "no volume");
	g = lps, g.slices = SIZE_MAX / 2;
	expect_refusal(&m, &g, v, "no volume");
	v[77] = INFINITY;
	expect_refusal(&m, &lps, v, "not a number");
	for (size_t i = 0; i < N; i++)
		v[i] = 42;
	expect_refusal(&m, &lps, v, "no head");
	for (size_t i = 0; i < N; i++)
		v[i] = i % 2 ? 42 : 0;
	expect_refusal(&m, &lps, v, "constant");
}

/* 40 degrees about the left-right axis is still axial, and changes nothing in the plane. */
static void
oblique_slices_are_taken_as_acquired(void **state)
{
	struct manifest m = model(0.9);
	struct grid g = lps;
	float v[N], *want, *got;
	size_t n;
	struct prep *p;

	(void)state;
	paint(v);
	p = prepare(&m, &g, v);
	want = network_input(p, &n);
	prep_free(p);
	g.col_dir[1] = cos(0.698), g.col_dir[2] = sin(0.698);
	p = prepare(&m, &g, v);
	got = network_input(p, &n);
	assert_memory_equal(got, want, n * sizeof *got);
	prep_free(p);
	free(got);
	free(want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percentiles_are_numpys), cmocka_unit_test(steps_are_in_order), cmocka_unit_test(every_storage_order_is_one_input),
		cmocka_unit_test(scanners_scale_does_not_matter), cmocka_unit_test(equal_spacing_is_the_identity_both_ways),
		cmocka_unit_test(spacing_changes_by_half_pixel_bilinear), cmocka_unit_test(neighbours_are_the_slices_beside),
		cmocka_unit_test(neighbours_of_other_planes_are_as_far_as_in_training), cmocka_unit_test(truth_lies_where_the_image_does), cmocka_unit_test(truth_between_voxels_is_the_greater_half),
		cmocka_unit_test(labels_come_back_one_by_one),
		cmocka_unit_test(channels_are_scaled_each_by_itself), cmocka_unit_test(small_volumes_work), cmocka_unit_test(what_cannot_work_is_refused),
		cmocka_unit_test(oblique_slices_are_taken_as_acquired),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
