/* Transposed convolution 2x2 stride 2: y[m, 2i+ky, 2j+kx] = bias[m] + sum over c of weight[c, m, ky, kx] x[c, i, j]. No output is reached twice, so it
 * is one product a band of input rows, and a deal of its rows to the four places. */
#include "model/nn/arena.h"
#include "model/nn/blas.h"
#include "model/nn/ops.h"
#include "model/nn/parts.h"

#include <string.h>

enum { BAND_FLOATS = 64 * 1024 };   /* a band's matrix stays in the L2 cache */

struct up_node { size_t maps, band /* input rows a product */; };
struct work { const struct node *self; const struct run *run; };

static size_t
part_size(const struct node *self)
{
	const struct up_node *own = self->settings;

	return arena_rounded(arena_sum(arena_product(self->in[0]->shape.c, own->maps * 4), own->maps));
}

static int
up_shape(struct node *self, struct err *e)
{
	struct up_node *own = self->settings;
	struct shape in = self->in[0]->shape;
	size_t row = arena_product(own->maps * 4, in.w);

	if (own->maps == 0 || shape_size(in) == 0)
		return err_set(e, ERR_INPUT, "nothing to convolve");
	own->band = row >= BAND_FLOATS ? 1 : BAND_FLOATS / row;
	if (own->band > in.h)
		own->band = in.h;
	self->shape = (struct shape){ in.n, own->maps, arena_product(in.h, 2), arena_product(in.w, 2) };
	self->scratch = arena_product(row, own->band);
	self->shared = arena_product(part_size(self), MAX_PARTS);
	return 0;
}

/* Row ky of the four places of map m, input row i of the band: product (maps*2*2, rows*w) -> two output columns a value. */
static void
scatter(const float *product, size_t rows, struct shape out, const float *bias, float *y)
{
	const size_t w = out.w / 2, n = rows * w;

	for (size_t m = 0; m < out.c; m++)
		for (size_t ky = 0; ky < 2; ky++)
			for (size_t i = 0; i < rows; i++) {
				const float *even = product + (m * 4 + ky * 2) * n + i * w, *odd = even + n;
				float *row = y + (m * out.h + 2 * i + ky) * out.w;
				for (size_t x = 0; x < w; x++) {
					row[2 * x] = even[x] + bias[m];
					row[2 * x + 1] = odd[x] + bias[m];
				}
			}
}

/* The way back, without the bias. */
static void
gather(const float *y, size_t rows, struct shape out, float *matrix)
{
	const size_t w = out.w / 2, n = rows * w;

	for (size_t m = 0; m < out.c; m++)
		for (size_t ky = 0; ky < 2; ky++)
			for (size_t i = 0; i < rows; i++) {
				float *even = matrix + (m * 4 + ky * 2) * n + i * w, *odd = even + n;
				const float *row = y + (m * out.h + 2 * i + ky) * out.w;
				for (size_t x = 0; x < w; x++) {
					even[x] = row[2 * x];
					odd[x] = row[2 * x + 1];
				}
			}
}

static void
forward_slice(void *arg, size_t i, unsigned lane)
{
	const struct work *w = arg;
	const struct up_node *own = w->self->settings;
	const struct shape in = w->self->in[0]->shape, out = w->self->shape;
	const float *x = w->self->in[0]->value + i * in.c * in.h * in.w;
	float *y = w->self->value + i * out.c * out.h * out.w, *product = run_scratch(w->run, lane);

	for (size_t row = 0; row < in.h; row += own->band) {
		size_t rows = in.h - row < own->band ? in.h - row : own->band, n = rows * in.w;
		blas_product(&(struct product){ out.c * 4, n, in.c, w->self->parameter[0]->value, true, out.c * 4, x + row * in.w, false, in.h * in.w, 0, product, n,
			w->run->exact });
		scatter(product, rows, out, w->self->parameter[1]->value, y + 2 * row * out.w);
	}
}

static void
up_forward(const struct node *self, const struct run *r)
{
	struct work w = { self, r };

	team_run(r->team, self->shape.n, forward_slice, &w);
}

/* One slice; sum (c, maps*4): NULL when not wanted. */
static void
backward_slice(const struct work *w, size_t i, float *matrix, float *sum)
{
	const struct up_node *own = w->self->settings;
	const struct shape in = w->self->in[0]->shape, out = w->self->shape;
	const size_t k = out.c * 4, plane = in.h * in.w;
	const float *x = w->self->in[0]->value + i * in.c * plane, *dy = w->self->gradient + i * out.c * out.h * out.w;
	float *dx = node_gradient(w->self, 0, w->run);

	for (size_t row = 0; row < in.h; row += own->band) {
		size_t rows = in.h - row < own->band ? in.h - row : own->band, n = rows * in.w, at = row * in.w;
		gather(dy + 2 * row * out.w, rows, out, matrix);
		if (dx)
			blas_product(&(struct product){ in.c, n, k, w->self->parameter[0]->value, false, k, matrix, false, n, w->self->first[0] ? 0 : 1,
				dx + i * in.c * plane + at, plane, w->run->exact });
		if (sum)
			blas_product(&(struct product){ in.c, k, n, x + at, false, plane, matrix, true, n, 1, sum, k, w->run->exact });
	}
}

static void
backward_part(void *arg, size_t part, unsigned lane)
{
	const struct work *w = arg;
	const struct shape out = w->self->shape;
	const size_t plane = out.h * out.w;
	float *sum = w->run->parameters ? w->run->shared + part * part_size(w->self) : NULL;

	if (sum)
		memset(sum, 0, part_size(w->self) * sizeof *sum);
	for (size_t i = part_begin(w->run->slices, part); i < part_begin(w->run->slices, part + 1); i++) {
		backward_slice(w, i, run_scratch(w->run, lane), sum);
		if (sum)
			parts_add_maps(w->self->gradient + i * out.c * plane, out.c, plane, sum + w->self->parameter[0]->size);
	}
}

static void
up_backward(const struct node *self, const struct run *r)
{
	const size_t n_parts = parts_of(r->slices), size = self->parameter[0]->size;
	struct work w = { self, r };

	team_run(r->team, n_parts, backward_part, &w);
	if (!r->parameters)
		return;
	parts_add(r->shared, n_parts, part_size(self), size, self->parameter[0]->gradient);
	parts_add(r->shared + size, n_parts, part_size(self), self->shape.c, self->parameter[1]->gradient);
}

static const struct op up_op = { "transposed convolution", up_shape, up_forward, up_backward };

struct node *
node_up_conv(struct graph *g, struct node *x, size_t maps, const char *name)
{
	struct up_node own = { .maps = maps };
	struct node *node = graph_add(g, &up_op, 1, &x, &own, sizeof own);

	graph_use(g, node, PARAMETER_TRAINED, name, "weight", 4, (size_t[]){ x ? x->shape.c : 0, maps, 2, 2 });
	graph_use(g, node, PARAMETER_TRAINED, name, "bias", 1, &maps);
	return node;
}
