/* The operations that serve, against the straightforward ones (summed in double) over odd sizes; the kernel against the definition of a product. */
#include "model/nn/kernel.h"
#include "model/nn/packed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static uint32_t seed;

static float
noise(void)
{
	seed = seed * 1664525u + 1013904223u;
	return (float)(seed >> 8) / (float)(1 << 23) - 1;
}

static void
kernel_is_a_product(void **state)
{
	static const struct { size_t m, n, k[3]; } cases[] = { { 1, 16, { 1 } }, { 12, 32, { 7, 3 } }, { 13, 48, { 5 } }, { 7, 16, { 4, 4, 9 } }, { 25, 80, { 2, 1 } },
		{ 5, 32, { 33 } }, { 8, 96, { 3, 2, 1 } }, { 1, 8, { 3 } }, { 12, 8, { 4, 1 } }, { 29, 8, { 2, 5, 3 } } };
	static float a[3 * 4096], b[64 * 96], bias[96], c[32 * 128];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int finish = 0; finish < 2; finish++) {
			const size_t m = cases[i].m, n = cases[i].n, ldc = n + 16;
			struct kernel_part parts[3];
			struct kernel k = { .parts = parts, .m = m, .n = n, .b = b, .bias = finish ? bias : NULL, .slope = 0.25f, .c = c, .ldc = ldc };
			size_t sum = 0;

			for (size_t j = 0; j < 3 && cases[i].k[j]; j++) {
				parts[j] = (struct kernel_part){ a + j * 4096, 3, cases[i].k[j] };       /* rows that overlap */
				sum += cases[i].k[j];
				k.n_parts++;
			}
			for (size_t j = 0; j < sizeof a / sizeof *a; j++)
				a[j] = (float)(j * 7 % 11) - 5;
			for (size_t j = 0; j < 96; j++)
				bias[j] = (float)j - 40;
			for (size_t row = 0; row < sum; row++)
				for (size_t col = 0; col < n; col++)
					b[kernel_place(sum, n, row, col)] = (float)((row * 5 + col * 3) % 13) - 6;
			for (size_t j = 0; j < sizeof c / sizeof *c; j++)
				c[j] = 1234;
			kernel_run(&k);
			for (size_t row = 0; row < 32; row++)
				for (size_t col = 0; col < (row < m ? ldc : 0); col++) {
					float want = 0;
					for (size_t j = 0, at = 0; j < k.n_parts; at += parts[j++].k)
						for (size_t t = 0; t < parts[j].k && col < n; t++)
							want += parts[j].a[row * 3 + t] * ((float)(((at + t) * 5 + col * 3) % 13) - 6);
					want += finish && col < n ? bias[col] : 0;
					want = finish && want < 0 ? want / 4 : want;
					assert_true(c[row * ldc + col] == (col < n ? want : 1234));      /* whole numbers: exact in any order */
				}
		}
}

/* Two graphs over the same input: one of each kind. */
static struct { struct parameters *p; struct graph *g; struct node *x, *y; } plain, packed;
static struct err error;

static void
begin(struct shape x)
{
	seed = 1;
	plain.p = parameters_new(&error);
	packed.p = parameters_new(&error);
	plain.g = graph_new(plain.p, &error);
	packed.g = graph_new(packed.p, &error);
	assert_true(plain.g && packed.g);
	graph_set_exact(plain.g);
	plain.x = graph_input(plain.g, x);
	packed.x = graph_input(packed.g, x);
}

/* Value (slice, map, row, col) of what the packed graph gave, packed or not. */
static float
packed_value(bool is_packed, size_t i, size_t m, size_t row, size_t col)
{
	const struct node *y = packed.y;

	if (is_packed) {
		const struct packed *p = packed_of(y);
		return y->value[i * packed_slice(p) + (row + 1) * p->row + (col + 1) * p->stored + m];
	}
	return y->value[((i * y->shape.c + m) * y->shape.h + row) * y->shape.w + col];
}

/* Everything outside the maps is zero: the border, and the values that only fill a pixel. */
static void
check_rest(void)
{
	const struct packed *p = packed_of(packed.y);

	for (size_t i = 0; i < packed.y->shape.n; i++)
		for (size_t row = 0; row < p->h + 2; row++)
			for (size_t at = 0; at < p->row; at++) {
				const size_t col = at / p->stored;
				if (row == 0 || row > p->h || col == 0 || col > p->w || at % p->stored >= p->c)
					assert_true(packed.y->value[i * packed_slice(p) + row * p->row + at] == 0);
			}
}

/* Runs both with the same numbers, and compares. what: for the message. */
static void
check(bool is_packed, const char *what, size_t which)
{
	double difference = 0, scale = 0;

	if (packed.y)
		packed.y->keep = true;
	if (graph_plan(plain.g, PLAN_EACH, &error) != 0 || graph_plan(packed.g, PLAN_REUSE, &error) != 0)
		fail_msg("%s %zu: %s", what, which, error.text);
	for (size_t j = 0; j < shape_size(plain.x->shape); j++)
		plain.x->value[j] = noise();
	for (size_t i = 0; i < parameters_size(plain.p); i++) {
		struct parameter *from = parameters_at(plain.p, i), *to = parameters_find(packed.p, from->name);
		assert_non_null(to);
		assert_int_equal(to->size, from->size);
		for (size_t j = 0; j < from->size; j++)
			from->value[j] = to->value[j] = noise();
	}
	packed_prepare(packed.g);
	graph_forward(plain.g);
	for (int again = 0; again < 2; again++) {                            /* memory that is used again is not clean */
		memcpy(packed.x->value, plain.x->value, shape_size(plain.x->shape) * sizeof(float));
		graph_forward(packed.g);
	}
	for (size_t i = 0; i < plain.y->shape.n; i++)
		for (size_t m = 0; m < plain.y->shape.c; m++)
			for (size_t row = 0; row < plain.y->shape.h; row++)
				for (size_t col = 0; col < plain.y->shape.w; col++) {
					double want = plain.y->value[((i * plain.y->shape.c + m) * plain.y->shape.h + row) * plain.y->shape.w + col];
					difference = fmax(difference, fabs(want - packed_value(is_packed, i, m, row, col)));
					scale = fmax(scale, fabs(want));
				}
	if (!(difference <= 1e-5 * scale))
		fail_msg("%s %zu: differs by %g of %g", what, which, difference, scale);
	if (is_packed)
		check_rest();
	graph_free(plain.g);
	graph_free(packed.g);
	parameters_free(plain.p);
	parameters_free(packed.p);
}

static const struct shape sizes[] = { { 1, 1, 1, 1 }, { 1, 3, 2, 2 }, { 2, 4, 5, 3 }, { 1, 16, 4, 4 }, { 1, 16, 7, 9 }, { 2, 32, 13, 6 }, { 1, 8, 11, 12 }, { 1, 5, 30, 41 },
	{ 1, 48, 9, 33 }, { 1, 16, 6, 75 } };
enum { N_SIZES = sizeof sizes / sizeof *sizes };
static const size_t maps[] = { 1, 8, 9, 16, 40 };
enum { N_MAPS = sizeof maps / sizeof *maps };

static struct node *
leaky_conv(struct node *x, struct conv s, float slope, const char *name)
{
	s.bias = true;
	return node_leaky(plain.g, node_conv(plain.g, x, s, name), slope);
}

static void
convolutions(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SIZES; i++)
		for (size_t j = 0; j < N_MAPS; j++)
			for (size_t halving = 0; halving < (sizes[i].h > 1 ? 2 : 1); halving++) {
				const struct conv s = { .maps = maps[j], .kernel = 3 + halving, .stride = 1 + halving, .pad = 1 };
				begin(sizes[i]);
				plain.y = leaky_conv(plain.x, s, 0.2f, "c");
				packed.y = node_packed_conv(packed.g, &(struct packed_conv){ .s = s, .slope = 0.2f, .x = node_pack(packed.g, packed.x) }, "c");
				check(true, halving ? "4x4 stride 2" : "3x3", i * N_MAPS + j);
			}
}

/* Maps of two nodes; and the second convolution over what the first left, fillings and all. */
static void
convolutions_of_two(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SIZES; i++)
		for (size_t j = 0; j < N_MAPS; j++) {
			const struct conv a = { .maps = maps[j], .kernel = 3, .stride = 1, .pad = 1 }, b = { .maps = 12, .kernel = 3, .stride = 1, .pad = 1 };
			struct node *x, *y;

			begin(sizes[i]);
			x = leaky_conv(plain.x, a, 0, "a");
			y = leaky_conv(plain.x, b, 0, "b");
			plain.y = leaky_conv(node_concat(plain.g, x, y), a, 0, "c");
			x = node_pack(packed.g, packed.x);
			y = node_packed_conv(packed.g, &(struct packed_conv){ .s = b, .x = x }, "b");
			x = node_packed_conv(packed.g, &(struct packed_conv){ .s = a, .x = x }, "a");
			packed.y = node_packed_conv(packed.g, &(struct packed_conv){ .s = a, .x = x, .beside = y }, "c");
			check(true, "two inputs", i * N_MAPS + j);
		}
}

/* Halved, resized, convolved, with and without a sum and a second input: the decoder. */
static void
resized_convolutions(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SIZES; i++)
		for (size_t j = 0; j < N_MAPS; j++) {
			const struct conv half = { .maps = maps[j], .kernel = 4, .stride = 2, .pad = 1 }, s = { .maps = maps[j], .kernel = 3, .stride = 1, .pad = 1 };
			const bool adds = (i + j) % 2;
			struct shape in = sizes[i];
			struct node *x, *y;

			in.h *= 2;                                           /* so that what is added has the size of what it is added to */
			in.w *= 2;
			begin(in);
			x = leaky_conv(plain.x, half, 0.2f, "a");
			y = leaky_conv(plain.x, s, 0.2f, "b");
			plain.y = leaky_conv(node_resize2(plain.g, node_concat(plain.g, x, x)), s, 0, "c");
			plain.y = adds ? node_sum(plain.g, plain.y, y) : plain.y;
			x = node_pack(packed.g, packed.x);
			y = node_packed_conv(packed.g, &(struct packed_conv){ .s = s, .slope = 0.2f, .x = x }, "b");
			x = node_packed_conv(packed.g, &(struct packed_conv){ .s = half, .slope = 0.2f, .x = x }, "a");
			packed.y = node_packed_conv(packed.g, &(struct packed_conv){ .s = s, .resized = true, .x = x, .beside = x, .add = adds ? y : NULL }, "c");
			check(true, "resized", i * N_MAPS + j);
		}
}

static void
last_convolutions(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SIZES; i++)
		for (size_t j = 0; j < N_MAPS; j++)
			for (size_t resized = 0; resized < 2; resized++) {
				const struct conv s = { .maps = maps[j], .kernel = resized ? 3 : 1, .stride = 1, .pad = resized, .bias = true };
				const bool two = j % 2;
				struct node *x;

				if (resized && sizes[i].h < 2)
					continue;
				begin(sizes[i]);
				x = two ? node_concat(plain.g, plain.x, plain.x) : plain.x;
				plain.y = node_conv(plain.g, resized ? node_resize2(plain.g, x) : x, s, "c");
				x = node_pack(packed.g, packed.x);
				packed.y = node_packed_out(packed.g, &(struct packed_conv){ .s = s, .resized = resized, .x = x, .beside = two ? x : NULL }, "c");
				check(false, resized ? "last, resized" : "last", i * N_MAPS + j);
			}
}

static void
doubling_and_pooling(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SIZES; i++)
		for (size_t j = 0; j < N_MAPS; j++) {
			begin(sizes[i]);
			plain.y = node_up_conv(plain.g, plain.x, maps[j], "u");
			packed.y = node_packed_up(packed.g, node_pack(packed.g, packed.x), maps[j], "u");
			check(true, "transposed", i * N_MAPS + j);
			begin(sizes[i]);
			plain.y = node_max_pool2(plain.g, node_up_conv(plain.g, plain.x, maps[j], "u"));
			packed.y = node_packed_pool(packed.g, node_packed_up(packed.g, node_pack(packed.g, packed.x), maps[j], "u"));
			check(true, "pooled", i * N_MAPS + j);
		}
}

static void
sigmoid_is_close(void **state)
{
	static const float ends[] = { -INFINITY, -1e30f, -100, -87.5f, -87, -0.0f, 0, 87, 88, 100, 1e30f, INFINITY };
	struct node *y;
	float *v;

	(void)state;
	begin((struct shape){ 1, 1, 1000, 1 });
	y = node_packed_sigmoid(packed.g, packed.x);
	assert_int_equal(graph_plan(packed.g, PLAN_EACH, &error), 0);
	v = packed.x->value;
	for (size_t i = 0; i < 1000; i++)
		v[i] = noise() * (i % 3 == 0 ? 90.0f : 9.0f);
	memcpy(v, ends, sizeof ends);
	v[20] = NAN;
	graph_forward(packed.g);
	for (size_t i = 0; i < 1000; i++)
		if (i != 20 && !(fabs(y->value[i] - 1 / (1 + exp(-(double)v[i]))) <= 2e-7))
			fail_msg("sigmoid of %g: %g", (double)v[i], (double)y->value[i]);
	assert_true(isnan(y->value[20]));
	graph_free(plain.g);
	graph_free(packed.g);
	parameters_free(plain.p);
	parameters_free(packed.p);
}

/* What these operations do not do is said, not done wrongly. */
static void
others_are_refused(void **state)
{
	static const struct { struct packed_conv what; bool last; } cases[] = {
		{ { .s = { 4, 5, 1, 2, true } }, false }, { { .s = { 4, 3, 2, 1, true } }, false }, { { .s = { 0, 3, 1, 1, true } }, false },
		{ { .s = { 4, 3, 1, 1, true }, .resized = true }, false }, { { .s = { 4, 3, 1, 1, true } }, true }, { { .s = { 4, 1, 1, 0, true }, .resized = true }, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct packed_conv what = cases[i].what;
		begin((struct shape){ 1, 3, 4, 4 });
		what.x = node_pack(packed.g, packed.x);
		assert_null(cases[i].last ? node_packed_out(packed.g, &what, "c") : node_packed_conv(packed.g, &what, "c"));
		assert_int_equal(graph_plan(packed.g, PLAN_EACH, &error), -1);
		assert_int_equal(error.code, ERR_INPUT);
		graph_free(plain.g);
		graph_free(packed.g);
		parameters_free(plain.p);
		parameters_free(packed.p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_is_a_product), cmocka_unit_test(convolutions), cmocka_unit_test(convolutions_of_two), cmocka_unit_test(resized_convolutions),
		cmocka_unit_test(last_convolutions), cmocka_unit_test(doubling_and_pooling), cmocka_unit_test(sigmoid_is_close), cmocka_unit_test(others_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
