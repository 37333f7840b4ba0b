/* The convolution that serves: bias and LeakyReLU while the band is still in the cache. BatchNorm was folded into weight and bias when the model
 * was loaded (model/network.c). Forward only. */
#include "model/nn/blas.h"
#include "model/nn/patches.h"

struct fused_node { struct conv s; struct patches patches; float slope; };

static int
fused_shape(struct node *self, struct err *e)
{
	struct fused_node *own = self->settings;

	if (patches_plan(&own->s, self->in[0]->shape, &own->patches, e) != 0)
		return -1;
	self->shape = (struct shape){ self->in[0]->shape.n, own->s.maps, own->patches.rows, own->patches.cols };
	self->scratch = patches_scratch(&own->patches);
	return 0;
}

/* n values of each map, the maps `plane` apart: + bias, then x or slope * x. */
static void
finish(float *y, size_t maps, size_t plane, size_t n, const float *bias, float slope)
{
	for (size_t m = 0; m < maps; m++)
		for (size_t i = 0; i < n; i++) {
			float v = y[m * plane + i] + bias[m];
			y[m * plane + i] = v > 0 ? v : slope * v;
		}
}

static void
fused_forward(const struct node *self, const struct run *r)
{
	float *scratch = run_scratch(r, 0);    /* serves slice by slice, each thread with a graph of its own */
	const struct fused_node *own = self->settings;
	const struct patches *p = &own->patches;
	const size_t maps = own->s.maps, plane = p->rows * p->cols, k = p->c * p->kernel * p->kernel;

	for (size_t i = 0; i < self->shape.n; i++) {
		const float *x = self->in[0]->value + i * p->c * p->h * p->w;   /* (c, h, w) */
		float *y = self->value + i * maps * plane;                      /* (maps, rows, cols) */

		for (size_t row = 0; row < p->rows; row += p->band) {
			size_t n = p->rows - row < p->band ? p->rows - row : p->band;
			patches_fill(p, x, row, n, scratch);
			blas_multiply(maps, n * p->cols, k, self->parameter[0]->value, scratch, 0.0f, y + row * p->cols, plane);
			finish(y + row * p->cols, maps, plane, n * p->cols, self->parameter[1]->value, own->slope);
		}
	}
}

static const struct op fused_op = { "convolution with activation", fused_shape, fused_forward, NULL };

struct node *
node_fused_conv(struct graph *g, struct node *x, struct conv s, float slope, const char *name)
{
	struct fused_node own = { .s = s, .slope = slope };
	struct node *node = graph_add(g, &fused_op, 1, &x, &own, sizeof own);

	graph_use(g, node, PARAMETER_TRAINED, name, "weight", 4, (size_t[]){ s.maps, x ? x->shape.c : 0, s.kernel, s.kernel });
	graph_use(g, node, PARAMETER_TRAINED, name, "bias", 1, &s.maps);
	return node;
}
