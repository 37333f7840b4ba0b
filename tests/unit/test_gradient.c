/* Every operation that is trained through: its gradients, signed, against central differences, for input and parameters, once written and once
 * added, over all slices and over the first ones, the same bits with two threads. And that the check sees an operation that is wrong. */
#include "model/nn/ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { N = 4 };                                      /* slices of the input */
static const float step = 4e-3f;
static const double tolerance = 2e-3;                /* of the largest gradient of the tensor */

typedef struct node *(*build_fn)(struct graph *g, struct node *x);

static struct node *conv_3x3(struct graph *g, struct node *x) { return node_conv(g, x, (struct conv){ 2, 3, 1, 1, true }, "c"); }
static struct node *conv_4x4(struct graph *g, struct node *x) { return node_conv(g, x, (struct conv){ 2, 4, 2, 1, true }, "c"); }
static struct node *conv_1x1(struct graph *g, struct node *x) { return node_conv(g, x, (struct conv){ 2, 1, 1, 0, false }, "c"); }
static struct node *conv_5x5(struct graph *g, struct node *x) { return node_conv(g, x, (struct conv){ 1, 5, 3, 4, false }, "c"); }
static struct node *conv_after(struct graph *g, struct node *x) { return node_conv(g, conv_3x3(g, x), (struct conv){ 1, 3, 1, 1, false }, "d"); }
static struct node *conv_winograd(struct graph *g, struct node *x) { return node_conv(g, node_conv(g, x, (struct conv){ 6, 1, 1, 0, false }, "c"), (struct conv){ 5, 3, 1, 1, true }, "d"); }
static struct node *up(struct graph *g, struct node *x) { return node_up_conv(g, x, 2, "u"); }
static struct node *norm(struct graph *g, struct node *x) { return node_norm_batch(g, x, 1e-5, "n"); }
static struct node *norm_in_pairs(struct graph *g, struct node *x) { return node_norm_groups(g, x, (struct norm_groups){ 2, 1 }, 1e-5, "n"); }
static struct node *norm_then_leaky(struct graph *g, struct node *x) { return node_leaky(g, norm_in_pairs(g, x), 0.2f); }
static struct node *norm_then_relu(struct graph *g, struct node *x) { return node_leaky(g, norm_in_pairs(g, x), 0); }
static struct node *norm_leaky(struct graph *g, struct node *x) { return node_norm_groups(g, x, (struct norm_groups){ 2, 0.2f }, 1e-5, "n"); }
static struct node *norm_relu(struct graph *g, struct node *x) { return node_norm_groups(g, x, (struct norm_groups){ 2, 0 }, 1e-5, "n"); }
static struct node *leaky(struct graph *g, struct node *x) { return node_leaky(g, x, 0.2f); }
static struct node *relu(struct graph *g, struct node *x) { return node_leaky(g, x, 0); }
static struct node *sigmoid(struct graph *g, struct node *x) { return node_sigmoid(g, x); }
static struct node *resize(struct graph *g, struct node *x) { return node_resize2(g, x); }
static struct node *pool(struct graph *g, struct node *x) { return node_max_pool2(g, x); }
static struct node *sum(struct graph *g, struct node *x) { return node_sum(g, x, node_sigmoid(g, x)); }
static struct node *concat(struct graph *g, struct node *x) { return node_concat(g, node_sigmoid(g, x), x); }
static struct node *sum_of_itself(struct graph *g, struct node *x) { return node_sum(g, x, x); }

static const struct operation { const char *name; build_fn build; } operations[] = {
	{ "convolution 3x3", conv_3x3 }, { "convolution 4x4 stride 2", conv_4x4 }, { "convolution 1x1", conv_1x1 }, { "convolution 5x5 stride 3", conv_5x5 },
	{ "two convolutions", conv_after }, { "convolution by Winograd", conv_winograd }, { "transposed convolution", up }, { "normalisation", norm }, { "normalisation in pairs", norm_in_pairs },
	{ "leaky", leaky }, { "relu", relu }, { "sigmoid", sigmoid }, { "resize", resize }, { "pool", pool }, { "sum", sum }, { "concat", concat },
	{ "sum of itself", sum_of_itself },
};

/* y = x*x with a gradient that is right but for its sign, or right altogether. */
struct square_node { float factor; };

static int
square_shape(struct node *self, struct err *e)
{
	(void)e;
	self->shape = self->in[0]->shape;
	return 0;
}

static void
square_forward(const struct node *self, const struct run *r)
{
	(void)r;
	for (size_t i = 0; i < shape_size(self->shape); i++)
		self->value[i] = self->in[0]->value[i] * self->in[0]->value[i];
}

static void
square_backward(const struct node *self, const struct run *r)
{
	const float factor = ((const struct square_node *)self->settings)->factor;
	float *dx = node_gradient(self, 0, r);

	for (size_t i = 0; i < r->slices * self->shape.c * shape_plane(self->shape); i++)
		dx[i] = (self->first[0] ? 0 : dx[i]) + factor * self->in[0]->value[i] * self->gradient[i];
}

static const struct op square = { "square", square_shape, square_forward, square_backward };
static struct node *square_right(struct graph *g, struct node *x) { return graph_add(g, &square, 1, &x, &(struct square_node){ 2 }, sizeof(struct square_node)); }
static struct node *square_wrong(struct graph *g, struct node *x) { return graph_add(g, &square, 1, &x, &(struct square_node){ -2 }, sizeof(struct square_node)); }

/* One operation in a graph, the objective sum(seed * y). */
struct stage { struct parameters *parameters; struct graph *graph; struct node *x, *y; float *seed; struct team *team; };

/* Any two values at least 1/50 apart in a plane (further than the step: no maximum changes over), none nearer than 1/100 to 0. */
static void
fill(float *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		v[i] = ((float)(i * 37 % 101) - 50) / 50 + 0.01f;
}

static void
open_stage(struct stage *s, build_fn build, bool twice, unsigned threads)
{
	struct err e;

	*s = (struct stage){ .parameters = parameters_new(&e), .team = threads > 1 ? team_new(threads, &e) : NULL };
	s->graph = graph_new(s->parameters, &e);
	graph_set_team(s->graph, s->team);
	s->x = graph_input(s->graph, (struct shape){ N, 3, 6, 8 });
	s->x->wanted = true;
	s->y = build(s->graph, s->x);
	if (twice)
		s->y = node_sum(s->graph, s->y, build(s->graph, s->x));
	assert_non_null(s->y);
	s->y->seeded = true;
	if (graph_plan(s->graph, PLAN_TRAIN, &e) != 0)
		fail_msg("%s", e.text);
	fill(s->x->value, shape_size(s->x->shape));
	for (size_t i = 0; i < parameters_size(s->parameters); i++)
		fill(parameters_at(s->parameters, i)->value, parameters_at(s->parameters, i)->size);
	s->seed = calloc(shape_size(s->y->shape), sizeof *s->seed);
	assert_non_null(s->seed);
}

static void
close_stage(struct stage *s)
{
	graph_free(s->graph);
	parameters_free(s->parameters);
	team_free(s->team);
	free(s->seed);
}

static void
run_backward(struct stage *s, size_t slices)
{
	const size_t size = shape_size(s->y->shape), used = size / N * slices;

	memset(s->seed, 0, size * sizeof *s->seed);
	for (size_t i = 0; i < used; i++)
		s->seed[i] = (float)(i * 11 % 17) / 8 - 1;
	graph_forward(s->graph);
	memcpy(s->y->gradient, s->seed, size * sizeof *s->seed);
	parameters_clear_gradients(s->parameters);
	graph_backward(s->graph, (struct backward){ slices, true, true });
}

static double
objective(struct stage *s)
{
	double total = 0;

	graph_forward(s->graph);
	for (size_t i = 0; i < shape_size(s->y->shape); i++)
		total += (double)s->seed[i] * s->y->value[i];
	return total;
}

/* Largest difference between n gradients and the differences over the values, as a part of the largest of those. */
static double
compare(struct stage *s, float *value, const float *gradient, size_t n)
{
	double largest = 0, difference = 0;

	for (size_t i = 0; i < n; i++) {
		const float before = value[i], above = before + step, below = before - step;
		double up_there, down_there, slope;

		value[i] = above;
		up_there = objective(s);
		value[i] = below;
		down_there = objective(s);
		value[i] = before;
		slope = (up_there - down_there) / ((double)above - (double)below);
		largest = fmax(largest, fabs(slope));
		difference = fmax(difference, fabs(slope - gradient[i]));
	}
	assert_true(largest > 1e-3);
	return difference / largest;
}

/* The worst of input and parameters. */
static double
check(build_fn build, bool twice, size_t slices)
{
	struct stage s;
	double worst;

	open_stage(&s, build, twice, 1);
	run_backward(&s, slices);
	worst = compare(&s, s.x->value, s.x->gradient, shape_size(s.x->shape) / N * slices);
	for (size_t i = 0; i < parameters_size(s.parameters); i++) {
		struct parameter *p = parameters_at(s.parameters, i);
		if (p->kind == PARAMETER_TRAINED)
			worst = fmax(worst, compare(&s, p->value, p->gradient, p->size));
		else
			assert_null(p->gradient);
	}
	close_stage(&s);
	return worst;
}

static void
gradients_are_the_slopes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
		for (int twice = 0; twice < 2; twice++) {
			double error = check(operations[i].build, twice, N);
			if (!(error <= tolerance))
				fail_msg("%s%s: %.3g", operations[i].name, twice ? ", added" : "", error);
		}
}

static void
gradients_of_the_first_slices(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
		double error = operations[i].build == norm ? 0 : check(operations[i].build, true, N / 2);   /* over the whole batch there are no first slices */
		if (!(error <= tolerance))
			fail_msg("%s: %.3g", operations[i].name, error);
	}
}

static void
a_wrong_gradient_is_seen(void **state)
{
	(void)state;
	assert_true(check(square_right, false, N) <= tolerance);
	assert_true(check(square_wrong, false, N) > 1);
}

static void
threads_change_no_bit(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
		struct stage one, three;

		open_stage(&one, operations[i].build, true, 1);
		open_stage(&three, operations[i].build, true, 3);
		run_backward(&one, N);
		run_backward(&three, N);
		assert_memory_equal(one.y->value, three.y->value, shape_size(one.y->shape) * sizeof(float));
		assert_memory_equal(one.x->gradient, three.x->gradient, shape_size(one.x->shape) * sizeof(float));
		for (size_t k = 0; k < parameters_size(one.parameters); k++) {
			const struct parameter *a = parameters_at(one.parameters, k), *b = parameters_at(three.parameters, k);
			if (a->kind == PARAMETER_TRAINED)
				assert_memory_equal(a->gradient, b->gradient, a->size * sizeof(float));
		}
		close_stage(&one);
		close_stage(&three);
	}
}

/* Its kinks lie anywhere, so differences do not serve; normalisation and activation have been checked each by itself. */
static void
an_activation_joined_is_the_one_behind(void **state)
{
	static const build_fn pairs[][2] = { { norm_leaky, norm_then_leaky }, { norm_relu, norm_then_relu } };

	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		struct stage joined, behind;

		open_stage(&joined, pairs[i][0], true, 1);
		open_stage(&behind, pairs[i][1], true, 1);
		run_backward(&joined, N);
		run_backward(&behind, N);
		assert_memory_equal(joined.y->value, behind.y->value, shape_size(joined.y->shape) * sizeof(float));
		assert_memory_equal(joined.x->gradient, behind.x->gradient, shape_size(joined.x->shape) * sizeof(float));
		for (size_t k = 0; k < 2; k++)
			assert_memory_equal(parameters_at(joined.parameters, k)->gradient, parameters_at(behind.parameters, k)->gradient, 3 * sizeof(float));
		close_stage(&joined);
		close_stage(&behind);
	}
}

static void
only_what_is_wanted(void **state)
{
	struct stage s;

	(void)state;
	open_stage(&s, conv_after, false, 1);
	run_backward(&s, N);
	s.x->gradient[0] = 12345;
	graph_backward(s.graph, (struct backward){ N, true, false });      /* no input: as it was */
	assert_true(s.x->gradient[0] == 12345);
	parameters_clear_gradients(s.parameters);
	graph_backward(s.graph, (struct backward){ N, false, true });      /* no parameters: as they were */
	assert_true(s.x->gradient[0] != 12345);
	for (size_t i = 0; i < parameters_at(s.parameters, 0)->size; i++)
		assert_true(parameters_at(s.parameters, 0)->gradient[i] == 0);
	close_stage(&s);
}

static void
count_item(void *arg, size_t item, unsigned lane)
{
	assert_true(lane < 5);
	((unsigned char *)arg)[item]++;
}

static void
every_item_once(void **state)
{
	static unsigned char seen[1000];
	struct err e;
	struct team *t = team_new(5, &e);

	(void)state;
	assert_non_null(t);
	for (int round = 1; round <= 50; round++) {
		team_run(t, sizeof seen, count_item, seen);
		for (size_t i = 0; i < sizeof seen; i++)
			assert_int_equal(seen[i], round);
	}
	team_run(NULL, sizeof seen, count_item, seen);
	assert_int_equal(seen[999], 51);
	team_run(t, 0, count_item, seen);
	team_free(t);
	team_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gradients_are_the_slopes), cmocka_unit_test(gradients_of_the_first_slices), cmocka_unit_test(a_wrong_gradient_is_seen),
		cmocka_unit_test(threads_change_no_bit), cmocka_unit_test(an_activation_joined_is_the_one_behind), cmocka_unit_test(only_what_is_wanted), cmocka_unit_test(every_item_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
