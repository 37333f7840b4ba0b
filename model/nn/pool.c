/* Maximum over 2x2 pieces. */
#include "model/nn/ops.h"

static int
pool_shape(struct node *self, struct err *e)
{
	struct shape in = self->in[0]->shape;

	if (in.h % 2 || in.w % 2 || shape_size(in) == 0)
		return err_set(e, ERR_INPUT, "%zux%zu cannot be halved", in.h, in.w);
	self->shape = (struct shape){ in.n, in.c, in.h / 2, in.w / 2 };
	return 0;
}

static inline float
larger(float a, float b)
{
	return a > b ? a : b;
}

static void
pool_forward(const struct node *self, float *scratch)
{
	const size_t w = self->in[0]->shape.w, rows = self->shape.n * self->shape.c * self->shape.h;

	(void)scratch;
	for (size_t r = 0; r < rows; r++) {
		const float *a = self->in[0]->value + 2 * r * w, *b = a + w;   /* two rows in */
		float *out = self->value + r * self->shape.w;
		for (size_t x = 0; x < self->shape.w; x++)
			out[x] = larger(larger(a[2 * x], a[2 * x + 1]), larger(b[2 * x], b[2 * x + 1]));
	}
}

static const struct op pool_op = { "maximum 2x2", pool_shape, pool_forward, NULL };

struct node *
node_max_pool2(struct graph *g, struct node *x)
{
	return graph_add(g, &pool_op, 1, &x, NULL, 0);
}
