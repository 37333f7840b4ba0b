/* Convolution, the straightforward way: patches, product, bias. fused.c is the one that serves. */
#include "model/nn/arena.h"
#include "model/nn/blas.h"
#include "model/nn/patches.h"

struct conv_node { struct conv s; struct patches patches; };

static int
conv_shape(struct node *self, struct err *e)
{
	struct conv_node *own = self->settings;

	if (patches_plan(&own->s, self->in[0]->shape, &own->patches, e) != 0)
		return -1;
	self->shape = (struct shape){ self->in[0]->shape.n, own->s.maps, own->patches.rows, own->patches.cols };
	self->scratch = patches_scratch(&own->patches);
	return 0;
}

/* out (maps, plane) = its bias a map */
static void
fill_bias(const float *bias, size_t maps, size_t plane, float *out)
{
	for (size_t m = 0; m < maps; m++)
		for (size_t i = 0; i < plane; i++)
			out[m * plane + i] = bias[m];
}

static void
conv_forward(const struct node *self, float *scratch)
{
	const struct conv_node *own = self->settings;
	const struct patches *p = &own->patches;
	const size_t maps = own->s.maps, plane = p->rows * p->cols, k = p->c * p->kernel * p->kernel;

	for (size_t i = 0; i < self->shape.n; i++) {
		const float *x = self->in[0]->value + i * p->c * p->h * p->w;   /* (c, h, w) */
		float *y = self->value + i * maps * plane;                      /* (maps, rows, cols) */

		if (own->s.bias)
			fill_bias(self->parameter[1]->value, maps, plane, y);
		for (size_t row = 0; row < p->rows; row += p->band) {
			size_t n = p->rows - row < p->band ? p->rows - row : p->band;
			patches_fill(p, x, row, n, scratch);
			blas_multiply(maps, n * p->cols, k, self->parameter[0]->value, scratch, own->s.bias ? 1.0f : 0.0f, y + row * p->cols, plane);
		}
	}
}

static const struct op conv_op = { "convolution", conv_shape, conv_forward, NULL };

struct node *
node_conv(struct graph *g, struct node *x, struct conv s, const char *name)
{
	struct conv_node own = { .s = s };
	struct node *node = graph_add(g, &conv_op, 1, &x, &own, sizeof own);

	graph_use(g, node, PARAMETER_TRAINED, name, "weight", 4, (size_t[]){ s.maps, x ? x->shape.c : 0, s.kernel, s.kernel });
	if (s.bias)
		graph_use(g, node, PARAMETER_TRAINED, name, "bias", 1, &s.maps);
	return node;
}

struct up_node { size_t maps; };

static int
up_shape(struct node *self, struct err *e)
{
	const struct up_node *own = self->settings;
	struct shape in = self->in[0]->shape;

	if (own->maps == 0 || shape_size(in) == 0)
		return err_set(e, ERR_INPUT, "nothing to convolve");
	self->shape = (struct shape){ in.n, own->maps, arena_product(in.h, 2), arena_product(in.w, 2) };
	self->scratch = arena_product(own->maps * 4, in.w);
	return 0;
}

/* One input row: product (maps*2*2, w) -> two output rows of every map, with bias. */
static void
up_scatter(const float *product, size_t w, size_t maps, size_t plane, const float *bias, float *out)
{
	for (size_t m = 0; m < maps; m++)
		for (size_t ky = 0; ky < 2; ky++) {
			const float *even = product + (m * 4 + ky * 2) * w, *odd = even + w;
			float *row = out + m * plane + ky * 2 * w;
			for (size_t x = 0; x < w; x++) {
				row[2 * x] = even[x] + bias[m];
				row[2 * x + 1] = odd[x] + bias[m];
			}
		}
}

static void
up_forward(const struct node *self, float *scratch)
{
	const struct shape in = self->in[0]->shape;
	const size_t maps = self->shape.c, plane = shape_plane(self->shape);

	for (size_t i = 0; i < in.n; i++)
		for (size_t y = 0; y < in.h; y++) {
			const float *row = self->in[0]->value + i * in.c * in.h * in.w + y * in.w;   /* of map 0; maps are h*w apart */
			blas_multiply_transposed(maps * 4, in.w, in.c, self->parameter[0]->value, row, in.h * in.w, scratch);
			up_scatter(scratch, in.w, maps, plane, self->parameter[1]->value, self->value + i * maps * plane + y * 4 * in.w);
		}
}

static const struct op up_op = { "transposed convolution", up_shape, up_forward, NULL };

struct node *
node_up_conv(struct graph *g, struct node *x, size_t maps, const char *name)
{
	struct up_node own = { maps };
	struct node *node = graph_add(g, &up_op, 1, &x, &own, sizeof own);

	graph_use(g, node, PARAMETER_TRAINED, name, "weight", 4, (size_t[]){ x ? x->shape.c : 0, maps, 2, 2 });
	graph_use(g, node, PARAMETER_TRAINED, name, "bias", 1, &maps);
	return node;
}
