/* A model over cases: the masks are those of the service's own steps, channels are found by name, what a model cannot segment is said. */
#include "model/evaluate.h"
#include "model/prep.h"
#include "model/segan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SHIPPED "model/shipped/glioma-flair/0.1.0"

enum { S = 3, R = 120, C = 100, N = S * R * C };

/* Rows run to the front: the preparation has to turn them. */
static const struct grid grid = { S, R, C, { 5, 1, 1.1 }, { 0, 0, 0 }, { 1, 0, 0 }, { 0, -1, 0 } };
static const char *const channels[] = { "t1", "flair" };

static struct manifest manifest;
static float flair[N], t1[N];
static uint8_t truth[2 * N];

static double
from_centre(size_t r, size_t c, double row, double col)
{
	return hypot((double)r - row, (double)c - col);
}

/* A grey disc with a texture and a bright lesion in it; the other channel is a constant, which no model could prepare. */
static int
paint(void **state)
{
	struct err e;

	(void)state;
	if (manifest_load(SHIPPED, &manifest, &e) != 0)
		return -1;
	for (size_t i = 0; i < N; i++) {
		size_t r = i / C % R, c = i % C;
		flair[i] = from_centre(r, c, 60, 50) > 45 ? 0 : from_centre(r, c, 45, 35) < 12 ? 900 + (float)(i % 7) : 300 + (float)(i * 31 % 97);
		t1[i] = 5;
	}
	return 0;
}

static struct dataset_case
a_case(const float *of_flair)
{
	return (struct dataset_case){ .name = "a", .grid = grid, .channel = { t1, of_flair }, .truth = truth };
}

static struct evaluator *
open_evaluator(unsigned threads)
{
	struct err e = { 0 };
	struct evaluator *v = evaluator_new(&manifest, channels, 2, 2, threads, &e);

	if (!v)
		fail_msg("%s", e.text);
	return v;
}

/* The network on x, h x w; on x turned left to right as well where the model says so. */
static void
network_by_hand(struct segmentor *s, const float *x, size_t h, size_t w, float *y)
{
	float *turned = calloc(h * w, sizeof *turned), *other = calloc(h * w, sizeof *other);
	struct err e;

	assert_true(turned && other);
	assert_int_equal(segmentor_run(s, x, 1, h, w, y, &e), 0);
	for (size_t i = 0; i < h * w; i++)
		turned[i] = x[i / w * w + w - 1 - i % w];
	assert_int_equal(segmentor_run(s, turned, 1, h, w, other, &e), 0);
	for (size_t i = 0; i < h * w && manifest.mirror; i++)
		y[i] = 0.5f * (y[i] + other[i / w * w + w - 1 - i % w]);
	free(turned);
	free(other);
}

/* The service's steps, written out. */
static void
mask_by_hand(uint8_t *mask)
{
	static float probability[N];
	struct err e;
	struct prep *p = prep_new(&manifest, &(struct volume){ &grid, { .real = flair } }, 1, &e);
	struct segmentor *s = segmentor_load(&manifest, 1, &e);
	float *x, *y;
	size_t n;

	assert_true(p && s);
	x = calloc(prep_rows(p) * prep_cols(p), sizeof *x);
	y = calloc(prep_rows(p) * prep_cols(p), sizeof *y);
	assert_true(x && y);
	for (size_t k = 0; k < prep_slices(p); k++) {
		prep_slice(p, k, x);
		network_by_hand(s, x, prep_rows(p), prep_cols(p), y);
		prep_back(p, k, y, probability + prep_source_slice(p, k) * R * C);
	}
	assert_int_equal(prep_mask(&grid, probability, &manifest.segments[0], mask, &n, &e), 0);
	free(x);
	free(y);
	segmentor_free(s);
	prep_free(p);
}

static void
masks_are_the_services(void **state)
{
	static uint8_t wanted[N];
	size_t n = 0;

	(void)state;
	mask_by_hand(wanted);
	for (size_t i = 0; i < N; i++)
		n += wanted[i];
	assert_in_range(n, 1, N - 1);                       /* or the test says nothing */
	for (unsigned threads = 1; threads <= 3; threads++) {
		struct evaluator *v = open_evaluator(threads);
		struct dataset_case c = a_case(flair);
		struct evaluated out;
		struct err e;

		memcpy(truth, wanted, N);
		assert_int_equal(evaluator_run(v, &c, &out, &e), 0);
		assert_memory_equal(evaluator_mask(v, 0), wanted, N);
		assert_true(out.n_segments == 1 && out.segments[0].dice == 1 && out.segments[0].hd95_mm == 0 && out.segments[0].volume_error_ml == 0);
		memset(truth, 0, N);
		assert_int_equal(evaluator_run(v, &c, &out, &e), 0);
		assert_true(out.segments[0].dice == 0 && isnan(out.segments[0].hd95_mm));
		assert_float_equal(out.segments[0].volume_error_ml, (double)n * 5 * 1.1 / 1000, 1e-9);
		evaluator_free(v);
	}
}

static void
so_are_those_of_a_model_that_mirrors(void **state)
{
	static uint8_t plain[N], both[N];

	mask_by_hand(plain);
	manifest.mirror = true;
	mask_by_hand(both);
	assert_memory_not_equal(plain, both, N);            /* or the test says nothing */
	masks_are_the_services(state);
	manifest.mirror = false;
}

static void
a_case_that_cannot_be_segmented(void **state)
{
	struct evaluator *v = open_evaluator(1);
	struct dataset_case constant = a_case(t1), good = a_case(flair), placeless = a_case(flair), small = a_case(flair);
	struct evaluated out;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(evaluator_run(v, &constant, &out, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	placeless.grid.col_dir[1] = NAN;
	assert_int_equal(evaluator_run(v, &placeless, &out, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_int_equal(evaluator_run(v, &good, &out, &e), 0);     /* those before leave no trace; nor does a smaller one, with the buffers of the larger */
	small.grid.slices = 1;
	assert_int_equal(evaluator_run(v, &small, &out, &e), 0);
	evaluator_free(v);
}

static void
what_the_set_must_have(void **state)
{
	static const char *const others[] = { "t1", "t2" };
	struct err e = { 0 };

	(void)state;
	assert_null(evaluator_new(&manifest, others, 2, 1, 1, &e));
	assert_int_equal(e.code, ERR_INPUT);
	assert_non_null(strstr(e.text, "flair"));
	assert_null(evaluator_new(&manifest, channels, 2, 0, 1, &e));
	assert_int_equal(e.code, ERR_INPUT);
	evaluator_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(masks_are_the_services), cmocka_unit_test(so_are_those_of_a_model_that_mirrors), cmocka_unit_test(a_case_that_cannot_be_segmented), cmocka_unit_test(what_the_set_must_have),
	};

	return cmocka_run_group_tests(tests, paint, NULL);
}
