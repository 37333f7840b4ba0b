/* Operations value by value, and joining of maps. */
#include "model/nn/ops.h"
#include "model/nn/arena.h"

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

struct leaky_node { float slope; };

static void
leaky_forward(const struct node *self, float *scratch)
{
	const struct leaky_node *own = self->settings;
	const float *x = self->in[0]->value;
	const size_t n = shape_size(self->shape);

	(void)scratch;
	for (size_t i = 0; i < n; i++)
		self->value[i] = x[i] > 0 ? x[i] : own->slope * x[i];
}

static const struct op leaky_op = { "activation", same_shape, leaky_forward, NULL };

struct node *
node_leaky(struct graph *g, struct node *x, float slope)
{
	struct leaky_node own = { slope };

	return graph_add(g, &leaky_op, 1, &x, &own, sizeof own);
}

static void
sigmoid_forward(const struct node *self, float *scratch)
{
	const float *x = self->in[0]->value;
	const size_t n = shape_size(self->shape);

	(void)scratch;
	for (size_t i = 0; i < n; i++)
		self->value[i] = 1.0f / (1.0f + expf(-x[i]));
}

static const struct op sigmoid_op = { "sigmoid", same_shape, sigmoid_forward, NULL };

struct node *
node_sigmoid(struct graph *g, struct node *x)
{
	return graph_add(g, &sigmoid_op, 1, &x, NULL, 0);
}

static void
sum_forward(const struct node *self, float *scratch)
{
	const float *a = self->in[0]->value, *b = self->in[1]->value;
	const size_t n = shape_size(self->shape);

	(void)scratch;
	for (size_t i = 0; i < n; i++)
		self->value[i] = a[i] + b[i];
}

static const struct op sum_op = { "sum", same_shape, sum_forward, NULL };

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
concat_forward(const struct node *self, float *scratch)
{
	(void)scratch;
	for (size_t i = 0; i < self->shape.n; i++) {
		float *to = self->value + i * self->shape.c * shape_plane(self->shape);

		for (size_t k = 0; k < self->n_in; k++) {
			size_t n = self->in[k]->shape.c * shape_plane(self->shape);
			memcpy(to, self->in[k]->value + i * n, n * sizeof *to);
			to += n;
		}
	}
}

static const struct op concat_op = { "concatenation", concat_shape, concat_forward, NULL };

struct node *
node_concat(struct graph *g, struct node *a, struct node *b)
{
	return graph_add(g, &concat_op, 2, (struct node *[]){ a, b }, NULL, 0);
}
