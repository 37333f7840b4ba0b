/* Operations value by value, and joining of maps. */
#include "model/nn/ops.h"
#include "model/nn/arena.h"
#include "model/nn/wide.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static int
same_shape(struct node *self, struct err *e)
{
	struct shape a = self->in[0]->shape, b = self->in[self->n_in - 1]->shape;

	if (a.n != b.n || a.c != b.c || a.h != b.h || a.w != b.w)
		return err_set(e, ERR_INPUT, "%zux%zux%zu and %zux%zux%zu do not match", a.c, a.h, a.w, b.c, b.h, b.w);
	self->shape = a;
	return 0;
}

/* What the items of one pass share; an item is a slice. */
struct work { const struct node *self; const struct run *run; };

static void
each_slice(const struct node *self, const struct run *r, size_t slices, team_fn fn)
{
	struct work w = { self, r };

	team_run(r->team, slices, fn, &w);
}

static size_t
slice_size(const struct node *x)
{
	return x->shape.c * shape_plane(x->shape);
}

/* Values of slice i. */
static float *
value_of(const struct node *x, size_t i)
{
	return x->value + i * slice_size(x);
}

/* Slice i of input k's gradient; NULL: not wanted. */
static float *
gradient_of(const struct work *w, size_t k, size_t i)
{
	float *gradient = node_gradient(w->self, k, w->run);

	return gradient ? gradient + i * slice_size(w->self->in[k]) : NULL;
}

/* to = from, or to += from */
static void
pass_on(const float *from, size_t n, bool first, float *to)
{
	if (first)
		memcpy(to, from, n * sizeof *to);
	else
		for (size_t i = 0; i < n; i++)
			to[i] += from[i];
}

struct leaky_node { float slope; };           /* from 0 to 1 */

/* Without a branch, which noise would mispredict: x > 0 ? x : slope x is the larger of the two. */
static inline float
larger(float a, float b)
{
	return a > b ? a : b;
}

static inline float
slope_at(float x, float slope)
{
	const float one = 1;

	return x > 0 ? one : slope;
}

static void
leaky_forward_slice(void *arg, size_t slice, unsigned lane)
{
	const struct work *w = arg;
	const float slope = ((const struct leaky_node *)w->self->settings)->slope, *x = value_of(w->self->in[0], slice);
	const size_t n = slice_size(w->self);
	float *y = value_of(w->self, slice);

	(void)lane;
	for (size_t i = 0; i < n; i++)
		y[i] = larger(x[i], slope * x[i]);
}

WIDE_TWIN(leaky_forward_slice)

static void
leaky_forward(const struct node *self, const struct run *r)
{
	each_slice(self, r, self->shape.n, WIDEST(leaky_forward_slice));
}

static void
leaky_backward_slice(void *arg, size_t slice, unsigned lane)
{
	const struct work *w = arg;
	const float slope = ((const struct leaky_node *)w->self->settings)->slope, *x = value_of(w->self->in[0], slice);
	const size_t n = slice_size(w->self);
	const float *dy = w->self->gradient + slice * n;
	float *dx = gradient_of(w, 0, slice);

	(void)lane;
	if (!dx)
		return;
	if (w->self->first[0])
		for (size_t i = 0; i < n; i++)
			dx[i] = dy[i] * slope_at(x[i], slope);
	else
		for (size_t i = 0; i < n; i++)
			dx[i] += dy[i] * slope_at(x[i], slope);
}

WIDE_TWIN(leaky_backward_slice)

static void
leaky_backward(const struct node *self, const struct run *r)
{
	each_slice(self, r, r->slices, WIDEST(leaky_backward_slice));
}

static const struct op leaky_op = { "activation", same_shape, leaky_forward, leaky_backward };

struct node *
node_leaky(struct graph *g, struct node *x, float slope)
{
	struct leaky_node own = { slope };

	assert(slope >= 0 && slope <= 1);
	return graph_add(g, &leaky_op, 1, &x, &own, sizeof own);
}

static void
sigmoid_forward_slice(void *arg, size_t slice, unsigned lane)
{
	const struct work *w = arg;
	const float *x = value_of(w->self->in[0], slice);
	const size_t n = slice_size(w->self);
	float *y = value_of(w->self, slice);

	(void)lane;
	for (size_t i = 0; i < n; i++)
		y[i] = 1.0f / (1.0f + expf(-x[i]));
}

static void
sigmoid_forward(const struct node *self, const struct run *r)
{
	each_slice(self, r, self->shape.n, sigmoid_forward_slice);
}

static void
sigmoid_backward_slice(void *arg, size_t slice, unsigned lane)
{
	const struct work *w = arg;
	const size_t n = slice_size(w->self);
	const float *y = value_of(w->self, slice), *dy = w->self->gradient + slice * n;
	float *dx = gradient_of(w, 0, slice);

	(void)lane;
	for (size_t i = 0; dx && i < n; i++) {
		float d = dy[i] * y[i] * (1 - y[i]);
		dx[i] = w->self->first[0] ? d : dx[i] + d;
	}
}

WIDE_TWIN(sigmoid_backward_slice)

static void
sigmoid_backward(const struct node *self, const struct run *r)
{
	each_slice(self, r, r->slices, WIDEST(sigmoid_backward_slice));
}

static const struct op sigmoid_op = { "sigmoid", same_shape, sigmoid_forward, sigmoid_backward };

struct node *
node_sigmoid(struct graph *g, struct node *x)
{
	return graph_add(g, &sigmoid_op, 1, &x, NULL, 0);
}

static void
sum_forward_slice(void *arg, size_t slice, unsigned lane)
{
	const struct work *w = arg;
	const float *a = value_of(w->self->in[0], slice), *b = value_of(w->self->in[1], slice);
	const size_t n = slice_size(w->self);
	float *y = value_of(w->self, slice);

	(void)lane;
	for (size_t i = 0; i < n; i++)
		y[i] = a[i] + b[i];
}

WIDE_TWIN(sum_forward_slice)

static void
sum_forward(const struct node *self, const struct run *r)
{
	each_slice(self, r, self->shape.n, WIDEST(sum_forward_slice));
}

static void
sum_backward_slice(void *arg, size_t slice, unsigned lane)
{
	const struct work *w = arg;
	const size_t n = slice_size(w->self);

	(void)lane;
	for (size_t k = 0; k < 2; k++) {
		float *dx = gradient_of(w, k, slice);
		if (dx)
			pass_on(w->self->gradient + slice * n, n, w->self->first[k], dx);
	}
}

WIDE_TWIN(sum_backward_slice)

static void
sum_backward(const struct node *self, const struct run *r)
{
	each_slice(self, r, r->slices, WIDEST(sum_backward_slice));
}

static const struct op sum_op = { "sum", same_shape, sum_forward, sum_backward };

struct node *
node_sum(struct graph *g, struct node *a, struct node *b)
{
	return graph_add(g, &sum_op, 2, (struct node *[]){ a, b }, NULL, 0);
}

static int
concat_shape(struct node *self, struct err *e)
{
	struct shape a = self->in[0]->shape, b = self->in[1]->shape;

	if (a.n != b.n || a.h != b.h || a.w != b.w)
		return err_set(e, ERR_INPUT, "%zux%zu and %zux%zu cannot be joined", a.h, a.w, b.h, b.w);
	self->shape = (struct shape){ a.n, arena_sum(a.c, b.c), a.h, a.w };
	return 0;
}

static void
concat_forward_slice(void *arg, size_t slice, unsigned lane)
{
	const struct work *w = arg;
	float *to = value_of(w->self, slice);

	(void)lane;
	for (size_t k = 0; k < 2; to += slice_size(w->self->in[k++]))
		memcpy(to, value_of(w->self->in[k], slice), slice_size(w->self->in[k]) * sizeof *to);
}

static void
concat_forward(const struct node *self, const struct run *r)
{
	each_slice(self, r, self->shape.n, concat_forward_slice);
}

static void
concat_backward_slice(void *arg, size_t slice, unsigned lane)
{
	const struct work *w = arg;
	const float *dy = w->self->gradient + slice * slice_size(w->self);

	(void)lane;
	for (size_t k = 0; k < 2; dy += slice_size(w->self->in[k++])) {
		float *dx = gradient_of(w, k, slice);
		if (dx)
			pass_on(dy, slice_size(w->self->in[k]), w->self->first[k], dx);
	}
}

WIDE_TWIN(concat_backward_slice)

static void
concat_backward(const struct node *self, const struct run *r)
{
	each_slice(self, r, r->slices, WIDEST(concat_backward_slice));
}

static const struct op concat_op = { "concatenation", concat_shape, concat_forward, concat_backward };

struct node *
node_concat(struct graph *g, struct node *a, struct node *b)
{
	return graph_add(g, &concat_op, 2, (struct node *[]){ a, b }, NULL, 0);
}
