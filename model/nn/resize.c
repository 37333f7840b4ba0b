/* Bilinear x2 with half-pixel centres: output 2i lies a quarter left of input i, 2i+1 a quarter right, so the weights are 1/4 and 3/4, edges
 * repeated (PyTorch: interpolate, align_corners=False). Arbitrary sizes are model/prep.c's. */
#include "model/nn/ops.h"
#include "model/nn/arena.h"

static int
resize_shape(struct node *self, struct err *e)
{
	struct shape in = self->in[0]->shape;

	if (shape_size(in) == 0)
		return err_set(e, ERR_INPUT, "nothing to resize");
	self->shape = (struct shape){ in.n, in.c, arena_product(in.h, 2), arena_product(in.w, 2) };
	self->scratch = in.w;
	return 0;
}

/* mixed = 1/4 far + 3/4 near, then the same along the row into 2w values. */
static void
resize_row(const float *near, const float *far, size_t w, float *mixed, float *out)
{
	for (size_t x = 0; x < w; x++)
		mixed[x] = 0.25f * far[x] + 0.75f * near[x];
	out[0] = mixed[0];
	for (size_t x = 1; x < w; x++) {
		out[2 * x - 1] = 0.75f * mixed[x - 1] + 0.25f * mixed[x];
		out[2 * x] = 0.25f * mixed[x - 1] + 0.75f * mixed[x];
	}
	out[2 * w - 1] = mixed[w - 1];
}

static void
resize_forward(const struct node *self, float *scratch)
{
	const struct shape in = self->in[0]->shape;
	const float *x = self->in[0]->value;
	float *y = self->value;

	for (size_t plane = 0; plane < in.n * in.c; plane++, x += in.h * in.w)
		for (size_t row = 0; row < in.h; row++, y += 4 * in.w) {
			const float *near = x + row * in.w;
			const float *above = row > 0 ? near - in.w : near, *below = row + 1 < in.h ? near + in.w : near;
			resize_row(near, above, in.w, scratch, y);
			resize_row(near, below, in.w, scratch, y + 2 * in.w);
		}
}

static const struct op resize_op = { "resize x2", resize_shape, resize_forward, NULL };

struct node *
node_resize2(struct graph *g, struct node *x)
{
	return graph_add(g, &resize_op, 1, &x, NULL, 0);
}
