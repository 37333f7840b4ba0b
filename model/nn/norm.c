/* BatchNorm (Ioffe and Szegedy 2015, as PyTorch defines it): y = (x - mean) / sqrt(variance + eps) * weight + bias, a map at a time over (n, h, w).
 * Evaluation takes the running statistics; training those of the batch (variance biased), and leaves them in the node for the running ones. */
#include "model/nn/ops.h"

#include <math.h>

enum { WEIGHT, BIAS, MEAN, VARIANCE };        /* order of the parameters */

struct norm_node { double eps; };

static int
norm_shape(struct node *self, struct err *e)
{
	(void)e;                       /* every shape will do */
	self->shape = self->in[0]->shape;
	return 0;
}

/* y = x * scale + shift over n values */
static void
affine(const float *x, size_t n, float scale, float shift, float *y)
{
	for (size_t i = 0; i < n; i++)
		y[i] = x[i] * scale + shift;
}

/* Map c of every slice of the batch, by its mean and variance. */
static void
apply(const struct node *self, size_t c, double mean, double variance)
{
	const struct norm_node *own = self->settings;
	const size_t plane = shape_plane(self->shape);
	double scale = self->parameter[WEIGHT]->value[c] / sqrt(variance + own->eps);
	double shift = self->parameter[BIAS]->value[c] - mean * scale;

	for (size_t i = 0; i < self->shape.n; i++) {
		size_t at = (i * self->shape.c + c) * plane;
		affine(self->in[0]->value + at, plane, (float)scale, (float)shift, self->value + at);
	}
}

static void
norm_forward(const struct node *self, float *scratch)
{
	(void)scratch;
	for (size_t c = 0; c < self->shape.c; c++)
		apply(self, c, self->parameter[MEAN]->value[c], self->parameter[VARIANCE]->value[c]);
}

static const struct op norm_op = { "normalisation", norm_shape, norm_forward, NULL };

/* Mean and biased variance of map c over the batch, in double: one pass each, so a large mean costs no digits. */
static void
batch_statistics(const struct node *self, size_t c, double *mean, double *variance)
{
	const size_t plane = shape_plane(self->shape);
	const double n = (double)self->shape.n * (double)plane;
	double sum = 0, squares = 0;

	for (size_t i = 0; i < self->shape.n; i++)
		for (size_t j = 0; j < plane; j++)
			sum += self->in[0]->value[(i * self->shape.c + c) * plane + j];
	*mean = sum / n;
	for (size_t i = 0; i < self->shape.n; i++)
		for (size_t j = 0; j < plane; j++) {
			double d = self->in[0]->value[(i * self->shape.c + c) * plane + j] - *mean;
			squares += d * d;
		}
	*variance = squares / n;
}

static void
norm_batch_forward(const struct node *self, float *scratch)
{
	(void)scratch;
	for (size_t c = 0; c < self->shape.c; c++) {
		double mean, variance;
		batch_statistics(self, c, &mean, &variance);
		apply(self, c, mean, variance);
	}
}

static const struct op norm_batch_op = { "normalisation over the batch", norm_shape, norm_batch_forward, NULL };

static struct node *
add(struct graph *g, const struct op *op, struct node *x, double eps, const char *name)
{
	struct norm_node own = { .eps = eps };
	struct node *node = graph_add(g, op, 1, &x, &own, sizeof own);
	size_t c = x ? x->shape.c : 0;

	graph_use(g, node, PARAMETER_TRAINED, name, "weight", 1, &c);
	graph_use(g, node, PARAMETER_TRAINED, name, "bias", 1, &c);
	graph_use(g, node, PARAMETER_STATISTIC, name, "running_mean", 1, &c);
	graph_use(g, node, PARAMETER_STATISTIC, name, "running_var", 1, &c);
	return node;
}

struct node *
node_norm(struct graph *g, struct node *x, double eps, const char *name)
{
	return add(g, &norm_op, x, eps, name);
}

struct node *
node_norm_batch(struct graph *g, struct node *x, double eps, const char *name)
{
	return add(g, &norm_batch_op, x, eps, name);
}

static void
move(float *running, double batch, double momentum)
{
	*running = (float)((1 - momentum) * *running + momentum * batch);
}

void
norm_move_statistics(struct graph *g, double momentum)
{
	for (size_t i = 0; i < graph_size(g); i++) {
		struct node *node = graph_at(g, i);
		double n = (double)node->shape.n * (double)shape_plane(node->shape);

		if (node->op != &norm_batch_op)
			continue;
		for (size_t c = 0; c < node->shape.c; c++) {
			double mean, variance;
			batch_statistics(node, c, &mean, &variance);
			move(&node->parameter[MEAN]->value[c], mean, momentum);
			move(&node->parameter[VARIANCE]->value[c], n > 1 ? variance * n / (n - 1) : variance, momentum);
		}
	}
}
