/* Winograd's 3x3 convolution against its definition summed in double: forward, with what is done on the way, with the kernel turned, and the weight's
 * gradient; shapes that no tile or vector divides. What lies around the values is never read for a sum: scratch is full of NaN. */
#include "model/nn/arena.h"
#include "model/nn/f43.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const double tolerance = 3e-5;                 /* of the largest value */

static const struct { size_t c, maps, h, w; } shapes[] = {      /* small ones are stacked */
	{ 8, 8, 1, 1 }, { 4, 1, 1, 37 }, { 5, 3, 23, 1 }, { 16, 9, 5, 7 }, { 17, 12, 19, 66 }, { 24, 5, 8, 64 }, { 8, 16, 64, 63 }, { 33, 20, 12, 12 }, { 6, 8, 16, 65 },
	{ 8, 4, 40, 20 },
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes, BATCH = 13 };

static float *
noise(size_t n, uint32_t random)
{
	float *v = arena_new(n);

	assert_non_null(v);
	for (size_t i = 0; i < n; i++) {
		random = random * 1664525u + 1013904223u;
		v[i] = (float)(random >> 8) / (float)(1 << 24) - 0.5f;
	}
	return v;
}

static float *
nans(size_t n)
{
	float *v = arena_new(n);

	assert_non_null(v);
	memset(v, 0xff, n * sizeof *v);
	return v;
}

static double
pixel(const float *map, size_t h, size_t w, size_t y, size_t x)
{
	return y < h && x < w ? map[y * w + x] : 0;      /* those before 0 are very large */
}

/* y[m] at (row, col) by definition; turned: weight is (c, maps, 3, 3), from back to front */
static double
sum_at(const struct f43 *p, const float *x, const float *weight, bool turned, size_t m, size_t row, size_t col)
{
	double sum = 0;

	for (size_t c = 0; c < p->c; c++)
		for (size_t k = 0; k < 9; k++)
			sum += pixel(x + c * p->h * p->w, p->h, p->w, row + k / 3 - 1, col + k % 3 - 1) *
				(turned ? weight[(c * p->maps + m) * 9 + 8 - k] : weight[(m * p->c + c) * 9 + k]);
	return sum;
}

/* What forward makes of `before` in y, against the definition; of one slice less than a stack takes, or of one. */
static void
check_forward(const struct f43 *p, bool turned, struct f43_finish f)
{
	const size_t slices = p->stack > 1 ? p->stack - 1 : 1, in = p->c * p->h * p->w, out = p->maps * p->h * p->w, n = slices * out;
	float *x = noise(slices * in, 1), *weight = noise(p->maps * p->c * 9, 2), *y = noise(n, 3), *before = noise(n, 3);
	float *scratch = nans(f43_scratch(p)), *u = nans(f43_weight_size(p));
	double error = 0, largest = 0;

	f43_weight(p, weight, turned, u);
	f43_forward(p, x, slices, u, f, scratch, y);
	for (size_t i = 0; i < n; i++) {
		const size_t m = i % out / (p->h * p->w);
		double want = sum_at(p, x + i / out * in, weight, turned, m, i / p->w % p->h, i % p->w);
		if (f.bias)
			want += f.bias[m];
		if (f.bias && want < 0)
			want *= f.slope;
		if (f.add)
			want += before[i];
		assert_true(isfinite(y[i]));
		error = fmax(error, fabs(y[i] - want));
		largest = fmax(largest, fabs(want));
	}
	assert_true(error <= tolerance * largest);
	free(x); free(weight); free(y); free(before); free(scratch); free(u);
}

static void
forward_is_the_definition(void **state)
{
	static const float bias[] = { 0, 0.5f, -0.25f, 1, -1, 0.1f, 0.2f, 0.3f, 0.4f, -0.5f, 0.6f, 0.7f, 0.8f, 0.9f, 1, -1.1f, 1.2f, 1.3f, 1.4f, 1.5f };
	struct f43 p;

	(void)state;
	for (size_t i = 0; i < N_SHAPES; i++) {
		if (!f43_plan(shapes[i].c, shapes[i].maps, BATCH, shapes[i].h, shapes[i].w, &p))
			skip();                                /* another kind of CPU */
		check_forward(&p, false, (struct f43_finish){ 0 });
		check_forward(&p, true, (struct f43_finish){ 0 });
		check_forward(&p, true, (struct f43_finish){ .add = true });
		check_forward(&p, false, (struct f43_finish){ .bias = bias, .slope = 1 });
		check_forward(&p, false, (struct f43_finish){ .bias = bias, .slope = 0.2f });
		check_forward(&p, false, (struct f43_finish){ .bias = bias, .slope = 0 });
	}
}

/* Two stacks, a slice missing in the second if it can, summed in two parts. */
static void
check_gradient(const struct f43 *p)
{
	const size_t in = p->c * p->h * p->w, out = p->maps * p->h * p->w, n = p->maps * p->c * 9, stride = arena_rounded(f43_sums_size(p));
	const size_t second = p->stack > 1 ? p->stack - 1 : 1, slices = p->stack + second;
	float *x = noise(slices * in, 1), *dy = noise(slices * out, 2), *scratch = nans(f43_scratch(p)), *sums = arena_new(2 * stride), *gradient = noise(n, 3), *before = noise(n, 3);
	double error = 0, largest = 0;

	f43_add(p, x, dy, p->stack, scratch, sums);
	f43_add(p, x + p->stack * in, dy + p->stack * out, second, scratch, sums + stride);
	for (size_t m = 0; m < p->maps; m++)
		f43_gradient(p, sums, 2, stride, m, gradient);
	for (size_t i = 0; i < n; i++) {
		double want = before[i];
		for (size_t at = 0; at < slices * p->h * p->w; at++) {
			const size_t slice = at / (p->h * p->w), row = at / p->w % p->h, col = at % p->w;
			want += dy[slice * out + i / 9 / p->c * p->h * p->w + row * p->w + col] *
				pixel(x + slice * in + i / 9 % p->c * p->h * p->w, p->h, p->w, row + i % 9 / 3 - 1, col + i % 3 - 1);
		}
		assert_true(isfinite(gradient[i]));
		error = fmax(error, fabs(gradient[i] - want));
		largest = fmax(largest, fabs(want));
	}
	assert_true(error <= tolerance * largest);
	free(x); free(dy); free(scratch); free(sums); free(gradient); free(before);
}

static void
the_gradient_is_the_definition(void **state)
{
	struct f43 p;

	(void)state;
	for (size_t i = 0; i < N_SHAPES; i++) {
		if (!f43_plan(shapes[i].c, shapes[i].maps, BATCH, shapes[i].h, shapes[i].w, &p))
			skip();
		check_gradient(&p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(forward_is_the_definition), cmocka_unit_test(the_gradient_is_the_definition) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
