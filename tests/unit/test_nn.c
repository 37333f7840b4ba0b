/* The graph and every operation of it, against numbers worked out by hand. */
#include "model/nn/arena.h"
#include "model/nn/ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* One graph under test. */
static struct parameters *parameters;
static struct graph *graph;
static struct err error;

static struct node *
begin(size_t n, size_t c, size_t h, size_t w)
{
	parameters = parameters_new(&error);
	assert_non_null(parameters);
	graph = graph_new(parameters, &error);
	assert_non_null(graph);
	return graph_input(graph, (struct shape){ n, c, h, w });
}

static void
end(void)
{
	graph_free(graph);
	parameters_free(parameters);
}

static void
plan(enum plan how)
{
	if (graph_plan(graph, how, &error) != 0)
		fail_msg("%s", error.text);
}

static void
set(const char *name, const float *values, size_t n)
{
	struct parameter *p = parameters_find(parameters, name);

	assert_non_null(p);
	assert_int_equal(p->size, n);
	memcpy(p->value, values, n * sizeof *values);
}

/* 1, 2, 3 ... */
static void
count_up(struct node *x)
{
	for (size_t i = 0; i < shape_size(x->shape); i++)
		x->value[i] = (float)(i + 1);
}

static void
expect(const struct node *y, const float *want, size_t n)
{
	assert_int_equal(shape_size(y->shape), n);
	for (size_t i = 0; i < n; i++)
		if (!(fabsf(y->value[i] - want[i]) <= 1e-6f * fmaxf(1, fabsf(want[i]))))
			fail_msg("value %zu is %.9g, wanted %.9g", i, (double)y->value[i], (double)want[i]);
}

#define EXPECT(y, ...) expect(y, (const float[]){ __VA_ARGS__ }, sizeof (float[]){ __VA_ARGS__ } / sizeof(float))
#define SET(name, ...) set(name, (const float[]){ __VA_ARGS__ }, sizeof (float[]){ __VA_ARGS__ } / sizeof(float))

static void
convolution_pads_with_zeros(void **state)
{
	struct node *x = begin(1, 1, 3, 3), *y = node_conv(graph, x, (struct conv){ 1, 3, 1, 1, true }, "c");

	(void)state;
	plan(PLAN_EACH);
	count_up(x);
	SET("c.weight", 0, 1, 0, 0, 2, 0, 0, 0, 3);      /* above + 2 x itself + 3 x below right: cross-correlation, not flipped */
	SET("c.bias", 10);
	graph_forward(graph);
	EXPECT(y, 10 + 2 + 15, 10 + 4 + 18, 10 + 6, 10 + 1 + 8 + 24, 10 + 2 + 10 + 27, 10 + 3 + 12, 10 + 4 + 14, 10 + 5 + 16, 10 + 6 + 18);
	end();
}

static void
convolution_strides(void **state)
{
	struct node *x = begin(2, 2, 4, 4), *y = node_conv(graph, x, (struct conv){ 1, 4, 2, 1, false }, "c");
	float w[32] = { 0 };

	(void)state;
	plan(PLAN_EACH);
	count_up(x);
	w[0] = 1;                                        /* first map: upper left of the 4x4 patch, which begins at -1 */
	w[16 + 5] = 100;                                 /* second map: its (1, 1) */
	set("c.weight", w, 32);
	graph_forward(graph);
	assert_int_equal(y->shape.h * 10 + y->shape.w, 22);
	EXPECT(y, 1700, 1900, 2500, 2700 + 6, 4900, 5100, 5700, 5900 + 38);
	assert_null(parameters_find(parameters, "c.bias"));
	end();
}

/* Any kernel, stride, padding and size, against the definition; sizes that need several pieces, and one column. */
static void
convolution_is_its_definition(void **state)
{
	static const struct { size_t c, h, w; struct conv s; } cases[] = {
		{ 3, 7, 5, { 2, 3, 1, 1, true } }, { 2, 5, 9, { 3, 1, 1, 0, true } }, { 1, 1, 1, { 1, 3, 1, 1, true } }, { 2, 9, 8, { 2, 5, 3, 4, true } },
		{ 2, 6, 7, { 2, 2, 2, 0, true } }, { 8, 40, 300, { 2, 3, 1, 1, true } }, { 1, 4, 1, { 1, 4, 2, 2, true } }, { 40, 3, 700, { 1, 3, 1, 1, true } },
		{ 45, 64, 64, { 3, 4, 2, 1, true } }, { 20, 66, 50, { 3, 4, 2, 1, true } }, { 300, 8, 8, { 2, 4, 2, 1, true } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct conv s = cases[i].s;
		struct node *x = begin(1, cases[i].c, cases[i].h, cases[i].w), *y = node_conv(graph, x, s, "c");
		const float *weight, *bias;

		plan(PLAN_EACH);
		for (size_t j = 0; j < shape_size(x->shape); j++)
			x->value[j] = (float)(j * 7 % 11) - 5;
		for (size_t j = 0; j < parameters_at(parameters, 0)->size; j++)
			parameters_at(parameters, 0)->value[j] = (float)(j * 5 % 13) - 6;
		for (size_t j = 0; j < s.maps; j++)
			parameters_at(parameters, 1)->value[j] = (float)j;
		weight = parameters_at(parameters, 0)->value;
		bias = parameters_at(parameters, 1)->value;
		graph_forward(graph);
		for (size_t m = 0, at = 0; m < s.maps; m++)
			for (size_t r = 0; r < y->shape.h; r++)
				for (size_t c = 0; c < y->shape.w; c++, at++) {
					double sum = bias[m];
					for (size_t k = 0; k < x->shape.c * s.kernel * s.kernel; k++) {
						size_t row = r * s.stride + k / s.kernel % s.kernel - s.pad, col = c * s.stride + k % s.kernel - s.pad;
						if (row < x->shape.h && col < x->shape.w)
							sum += weight[m * x->shape.c * s.kernel * s.kernel + k] *
								x->value[(k / (s.kernel * s.kernel) * x->shape.h + row) * x->shape.w + col];
					}
					assert_true((float)sum == y->value[at]);          /* whole numbers: exact in any order */
				}
		end();
	}
}

/* The values and gradients of a convolution of one slice, without bias, by definition, and what it made of them. */
static void
check_gradients(const struct node *x, const struct node *y, struct conv s)
{
	const struct parameter *weight = parameters_at(parameters, 0);
	const size_t n = shape_size(x->shape), k = x->shape.c * s.kernel * s.kernel;
	double *dx = calloc(n, sizeof *dx), *dw = calloc(weight->size, sizeof *dw), *sum = calloc(shape_size(y->shape), sizeof *sum);

	assert_true(dx && dw && sum);
	for (size_t at = 0; at < shape_size(y->shape) * k; at++) {
		const size_t out = at / k, i = at % k, m = out / shape_plane(y->shape), c = i / (s.kernel * s.kernel);
		const size_t row = out / y->shape.w % y->shape.h * s.stride + i / s.kernel % s.kernel - s.pad, col = out % y->shape.w * s.stride + i % s.kernel - s.pad;
		const size_t from = (c * x->shape.h + row) * x->shape.w + col;
		if (row >= x->shape.h || col >= x->shape.w)
			continue;
		dx[from] += (double)y->gradient[out] * weight->value[m * k + i];
		sum[out] += (double)weight->value[m * k + i] * x->value[from];
		dw[m * k + i] += (double)y->gradient[out] * x->value[from];
	}
	for (size_t i = 0; i < shape_size(y->shape); i++)
		assert_true((float)sum[i] == y->value[i]);
	for (size_t i = 0; i < n; i++)
		assert_true((float)dx[i] == x->gradient[i]);                      /* whole numbers: exact in any order */
	for (size_t i = 0; i < weight->size; i++)
		assert_true((float)dw[i] == weight->gradient[i]);
	free(dx);
	free(dw);
	free(sum);
}

/* Of images of so many maps and rows that several pieces of both are needed; exact keeps the 3x3 from Winograd's way. */
static void
convolution_passes_back_by_its_definition(void **state)
{
	static const struct { size_t c, h, w, kernel, stride; } cases[] = { { 45, 64, 64, 4, 2 }, { 20, 66, 50, 4, 2 }, { 300, 8, 8, 4, 2 },
		{ 33, 60, 60, 3, 1 }, { 70, 12, 12, 3, 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct conv s = { cases[i].kernel == 3 ? 40 : 3, cases[i].kernel, cases[i].stride, 1, false };
		struct node *x = begin(1, cases[i].c, cases[i].h, cases[i].w), *y = node_conv(graph, x, s, "c");

		x->wanted = y->seeded = true;
		if (s.kernel == 3)
			graph_set_exact(graph);
		plan(PLAN_TRAIN);
		for (size_t j = 0; j < shape_size(x->shape); j++)
			x->value[j] = (float)(j * 7 % 11) - 5;
		for (size_t j = 0; j < parameters_at(parameters, 0)->size; j++)
			parameters_at(parameters, 0)->value[j] = (float)(j * 5 % 13) - 6;
		graph_forward(graph);
		for (size_t j = 0; j < shape_size(y->shape); j++)
			y->gradient[j] = (float)(j * 3 % 7) - 3;
		parameters_clear_gradients(parameters);
		graph_backward(graph, (struct backward){ 1, true, true });
		check_gradients(x, y, s);
		end();
	}
}

static void
transposed_convolution_doubles(void **state)
{
	struct node *x = begin(1, 2, 1, 2), *y = node_up_conv(graph, x, 2, "u");

	(void)state;
	plan(PLAN_EACH);
	count_up(x);                                     /* map 0: 1 2, map 1: 3 4 */
	SET("u.weight", 1, 2, 3, 4, 0, 0, 0, 1, 10, 0, 0, 0, 0, 0, 0, 100);   /* (in, out, 2, 2) */
	SET("u.bias", 0.5f, -1);
	graph_forward(graph);
	EXPECT(y, 31.5f, 2.5f, 42.5f, 4.5f, 3.5f, 4.5f, 6.5f, 8.5f, -1, -1, -1, -1, -1, 300, -1, 401);
	end();
}

static void
normalisation_by_running_statistics(void **state)
{
	struct node *x = begin(2, 2, 1, 2), *y = node_norm(graph, x, 1e-5, "n");

	(void)state;
	plan(PLAN_EACH);
	count_up(x);                                     /* slice 0: 1 2 | 3 4, slice 1: 5 6 | 7 8 */
	SET("n.weight", 2, 1);
	SET("n.bias", 1, 0);
	SET("n.running_mean", 3, 0);
	SET("n.running_var", 4 - 1e-5f, 1 - 1e-5f);
	graph_forward(graph);
	EXPECT(y, -1, 0, 3, 4, 3, 4, 7, 8);
	end();
}

static void
normalisation_by_the_batch(void **state)
{
	struct node *x = begin(2, 2, 1, 2), *y = node_norm_batch(graph, x, 0.5, "n");

	(void)state;                                     /* map 0: 1 2 5 6: mean 3.5, variance 4.25, unbiased 17/3; + eps 0.5: 4.75 */
	plan(PLAN_EACH);
	count_up(x);
	SET("n.weight", 1, 2);
	SET("n.bias", 0, 1);
	SET("n.running_mean", 1, 5.5f);
	SET("n.running_var", 1, 0);
	graph_forward(graph);
	EXPECT(y, -2.5f / sqrtf(4.75f), -1.5f / sqrtf(4.75f), 1 - 5 / sqrtf(4.75f), 1 - 3 / sqrtf(4.75f), 1.5f / sqrtf(4.75f), 2.5f / sqrtf(4.75f),
		1 + 3 / sqrtf(4.75f), 1 + 5 / sqrtf(4.75f));
	assert_true(parameters_find(parameters, "n.running_mean")->value[0] == 1);      /* the pass itself moves nothing */
	norm_move_statistics(graph, 0.1);
	assert_float_equal(parameters_find(parameters, "n.running_mean")->value[0], 0.9 + 0.35, 1e-6);
	assert_float_equal(parameters_find(parameters, "n.running_mean")->value[1], 5.5, 1e-6);
	assert_float_equal(parameters_find(parameters, "n.running_var")->value[0], 0.9 + 1.7 / 3, 1e-6);
	assert_int_equal(parameters_find(parameters, "n.running_var")->kind, PARAMETER_STATISTIC);
	assert_int_equal(parameters_find(parameters, "n.weight")->kind, PARAMETER_TRAINED);
	end();
}

static void
values_one_by_one(void **state)
{
	struct node *x = begin(1, 1, 1, 4), *leaky = node_leaky(graph, x, 0.2f), *relu = node_leaky(graph, x, 0), *s = node_sigmoid(graph, x);
	struct node *sum = node_sum(graph, x, leaky);

	(void)state;
	plan(PLAN_EACH);
	memcpy(x->value, (float[]){ -2, 0, 3, -200 }, 16);
	graph_forward(graph);
	EXPECT(leaky, -0.4f, 0, 3, -40);
	EXPECT(relu, 0, 0, 3, 0);
	EXPECT(s, 0.119202922f, 0.5f, 0.952574127f, 0);
	EXPECT(sum, -2.4f, 0, 6, -240);
	end();
}

static void
concatenation_keeps_slices_apart(void **state)
{
	struct node *x = begin(2, 1, 1, 2), *z = graph_input(graph, (struct shape){ 2, 2, 1, 2 }), *y = node_concat(graph, x, z);

	(void)state;
	plan(PLAN_EACH);
	count_up(x);
	memcpy(z->value, (float[]){ 10, 11, 12, 13, 14, 15, 16, 17 }, 32);
	graph_forward(graph);
	EXPECT(y, 1, 2, 10, 11, 12, 13, 3, 4, 14, 15, 16, 17);
	end();
}

static void
resize_has_half_pixel_centres(void **state)
{
	struct node *x = begin(1, 2, 2, 2), *y = node_resize2(graph, x);

	(void)state;
	plan(PLAN_EACH);
	memcpy(x->value, (float[]){ 0, 4, 8, 12, 1, 1, 1, 1 }, 32);
	graph_forward(graph);
	EXPECT(y, 0, 1, 3, 4, 2, 3, 5, 6, 6, 7, 9, 10, 8, 9, 11, 12, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);
	end();
}

static void
resize_of_one_pixel_repeats_it(void **state)
{
	struct node *x = begin(1, 1, 1, 1), *y = node_resize2(graph, x);

	(void)state;
	plan(PLAN_EACH);
	x->value[0] = 5;
	graph_forward(graph);
	EXPECT(y, 5, 5, 5, 5);
	end();
}

static void
pooling_takes_the_largest(void **state)
{
	struct node *x = begin(1, 1, 4, 4), *y = node_max_pool2(graph, x);

	(void)state;
	plan(PLAN_EACH);
	memcpy(x->value, (float[]){ 1, 2, -1, -2, 3, 0, -3, -4, 5, 5, 9, 8, 5, 6, 7, 9.5f }, 64);
	graph_forward(graph);
	EXPECT(y, 3, -1, 6, 9.5f);
	end();
}

/* ---- the graph ---- */

static void
a_name_is_an_identity(void **state)
{
	struct node *x = begin(1, 1, 2, 2), *a = node_conv(graph, x, (struct conv){ 1, 1, 1, 0, true }, "c");
	struct node *b = node_conv(graph, a, (struct conv){ 1, 1, 1, 0, true }, "c");

	(void)state;
	plan(PLAN_EACH);
	assert_int_equal(parameters_size(parameters), 2);
	assert_ptr_equal(a->parameter[0], b->parameter[0]);
	SET("c.weight", 3);
	SET("c.bias", 1);
	count_up(x);
	graph_forward(graph);
	EXPECT(b, 13, 22, 31, 40);                       /* 3 (3 x + 1) + 1 */
	end();
}

static void
errors_stick_to_the_graph(void **state)
{
	struct node *x = begin(1, 1, 5, 4), *half = node_max_pool2(graph, x);

	(void)state;
	assert_null(half);
	assert_null(node_sigmoid(graph, half));
	assert_null(node_sigmoid(graph, x));             /* the whole graph is spoilt */
	assert_int_equal(graph_plan(graph, PLAN_EACH, &error), -1);
	assert_int_equal(error.code, ERR_INPUT);
	assert_non_null(strstr(error.text, "maximum 2x2: 5x4 cannot be halved"));
	end();
}

static struct node *two_shapes(struct node *x) { return node_conv(graph, node_conv(graph, x, (struct conv){ 2, 3, 1, 1, false }, "c"), (struct conv){ 2, 3, 1, 1, false }, "c"); }
static struct node *too_small(struct node *x) { return node_conv(graph, x, (struct conv){ 1, 9, 1, 0, false }, "c"); }
static struct node *no_stride(struct node *x) { return node_conv(graph, x, (struct conv){ 1, 3, 0, 1, false }, "c"); }
static struct node *other_sizes(struct node *x) { return node_sum(graph, x, node_resize2(graph, x)); }
static struct node *other_planes(struct node *x) { return node_concat(graph, x, node_resize2(graph, x)); }
static struct node *other_maps(struct node *x) { return node_sum(graph, x, node_concat(graph, x, x)); }

static void
what_does_not_fit_is_refused(void **state)
{
	static struct node *(*const builders[])(struct node *) = { two_shapes, too_small, no_stride, other_sizes, other_planes, other_maps };

	(void)state;
	for (size_t i = 0; i < sizeof builders / sizeof *builders; i++) {
		builders[i](begin(1, 1, 4, 4));
		assert_int_equal(graph_plan(graph, PLAN_EACH, &error), -1);
		assert_int_equal(error.code, ERR_INPUT);
		end();
	}
}

static void
sizes_beyond_memory_are_refused(void **state)
{
	struct node *x = begin(1, SIZE_MAX / 8, 1024, 1024);

	(void)state;
	node_sigmoid(graph, x);
	assert_int_equal(graph_plan(graph, PLAN_EACH, &error), -1);
	assert_int_equal(error.code, ERR_LIMIT);
	end();
	assert_int_equal(arena_product(SIZE_MAX, 2), SIZE_MAX);
	assert_int_equal(arena_product(SIZE_MAX, 0), 0);
	assert_int_equal(arena_sum(SIZE_MAX, 1), SIZE_MAX);
	assert_int_equal(arena_rounded(SIZE_MAX), SIZE_MAX);
	assert_int_equal(arena_rounded(17), 32);
	assert_null(arena_new(SIZE_MAX));
}

/* A chain of resizes (which cannot work in place) with a long skip: memory is used again, never of what is still read; values lie on 64 bytes; the result is that of PLAN_EACH. */
static void
memory_is_used_again_safely(void **state)
{
	float want[64];

	(void)state;
	for (int round = 0; round < 2; round++) {
		struct node *x = begin(1, 1, 8, 8), *y = x, *first, *last;

		first = y = node_leaky(graph, y, 0.5f);
		for (int i = 0; i < 20; i++)
			y = node_sum(graph, i % 2 ? y : node_max_pool2(graph, node_resize2(graph, y)), i % 5 ? y : first);
		last = node_sum(graph, y, first);
		last->keep = true;
		plan(round ? PLAN_REUSE : PLAN_EACH);
		for (size_t i = 0; i < graph_size(graph); i++)
			assert_int_equal((uintptr_t)graph_at(graph, i)->value % ARENA_ALIGN, 0);
		for (size_t i = 0; i < 64; i++)
			x->value[i] = (float)(i * 37 % 64) - 20;
		graph_forward(graph);
		if (round == 0)
			memcpy(want, last->value, sizeof want);
		else {
			size_t n_places = 0;
			assert_memory_equal(want, last->value, sizeof want);
			for (size_t i = 0; i < graph_size(graph); i++) {
				bool is_new = true;
				for (size_t j = 0; j < i; j++)
					is_new = is_new && graph_at(graph, j)->value != graph_at(graph, i)->value;
				n_places += is_new;
			}
			assert_true(n_places <= 5);
		}
		end();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(convolution_pads_with_zeros), cmocka_unit_test(convolution_strides), cmocka_unit_test(convolution_is_its_definition),
		cmocka_unit_test(convolution_passes_back_by_its_definition),
		cmocka_unit_test(transposed_convolution_doubles), cmocka_unit_test(normalisation_by_running_statistics), cmocka_unit_test(normalisation_by_the_batch),
		cmocka_unit_test(values_one_by_one), cmocka_unit_test(concatenation_keeps_slices_apart), cmocka_unit_test(resize_has_half_pixel_centres),
		cmocka_unit_test(resize_of_one_pixel_repeats_it), cmocka_unit_test(pooling_takes_the_largest), cmocka_unit_test(a_name_is_an_identity),
		cmocka_unit_test(errors_stick_to_the_graph), cmocka_unit_test(what_does_not_fit_is_refused), cmocka_unit_test(sizes_beyond_memory_are_refused),
		cmocka_unit_test(memory_is_used_again_safely),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
