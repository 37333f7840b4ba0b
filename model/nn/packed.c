/* Layout of packed maps, and the operations on them that have no weights: packing, pooling, sigmoid. */
#include "model/nn/packed.h"
#include "model/nn/arena.h"
#include "model/nn/wide.h"

#include <stdint.h>
#include <string.h>

const struct packed *
packed_of(const struct node *x)
{
	return x->settings;
}

size_t
packed_stored(size_t maps)
{
	return maps <= 8 ? 8 : (maps + 15) / 16 * 16;
}

void
packed_layout(struct node *self, size_t n, size_t h, size_t w, size_t maps, size_t stored)
{
	struct packed *p = self->settings;

	p->h = h;
	p->w = w;
	p->c = maps;
	p->stored = stored;
	p->row = arena_product(w + 2 + w % 2, stored);         /* an even number of pixels: some are computed two at a time */
	self->shape = (struct shape){ n, 1, h + 2, p->row };
}

size_t
packed_slice(const struct packed *p)
{
	return (p->h + 2) * p->row;
}

void
packed_border(const struct packed *p, float *slice)
{
	memset(slice, 0, p->row * sizeof *slice);
	for (size_t y = 1; y <= p->h; y++) {
		float *row = slice + y * p->row, *right = row + (p->w + 1) * p->stored;
		memset(row, 0, p->stored * sizeof *row);
		memset(right, 0, (size_t)(row + p->row - right) * sizeof *row);
	}
	memset(slice + (p->h + 1) * p->row, 0, p->row * sizeof *slice);
}

void
packed_prepare(struct graph *g)
{
	for (size_t i = 0; i < graph_size(g); i++) {
		const struct node *node = graph_at(g, i);
		if (node->op && !node->op->backward && node->settings && packed_of(node)->prepare)
			packed_of(node)->prepare(node);
	}
}

/* ---- packing ---- */

static int
pack_shape(struct node *self, struct err *e)
{
	const struct shape in = self->in[0]->shape;

	if (shape_size(in) == 0)
		return err_set(e, ERR_INPUT, "nothing to pack");
	packed_layout(self, in.n, in.h, in.w, in.c, in.c);
	return 0;
}

static void
pack_forward(const struct node *self, const struct run *r)
{
	const struct packed *p = packed_of(self);
	const size_t plane = p->h * p->w;

	(void)r;
	for (size_t i = 0; i < self->shape.n; i++) {
		const float *x = self->in[0]->value + i * p->c * plane;
		float *to = self->value + i * packed_slice(p);

		packed_border(p, to);
		for (size_t row = 0; row < p->h; row++)
			for (size_t c = 0; c < p->c; c++) {
				const float *from = x + c * plane + row * p->w;
				float *pixel = to + (row + 1) * p->row + p->stored + c;
				for (size_t col = 0; col < p->w; col++)
					pixel[col * p->stored] = from[col];
			}
	}
}

static const struct op pack_op = { "packing", pack_shape, pack_forward, NULL };

struct node *
node_pack(struct graph *g, struct node *x)
{
	return graph_add(g, &pack_op, 1, &x, &(struct packed){ 0 }, sizeof(struct packed));
}

/* ---- maximum of 2x2 ---- */

static int
pool_shape(struct node *self, struct err *e)
{
	const struct packed *in = packed_of(self->in[0]);

	if (in->h % 2 || in->w % 2)
		return err_set(e, ERR_INPUT, "%zux%zu cannot be halved", in->h, in->w);
	packed_layout(self, self->in[0]->shape.n, in->h / 2, in->w / 2, in->c, in->stored);
	return 0;
}

static inline float
larger(float a, float b)
{
	return a > b ? a : b;
}

static void
pool_row(const float *restrict a, const float *restrict b, size_t w, size_t stored, float *restrict out)
{
	for (size_t x = 0; x < w; x++, a += 2 * stored, b += 2 * stored, out += stored)
		for (size_t c = 0; c < stored; c++)
			out[c] = larger(larger(a[c], a[stored + c]), larger(b[c], b[stored + c]));
}

static void
pool_slice(void *arg, size_t slice, unsigned lane)
{
	const struct node *self = arg;
	const struct packed *in = packed_of(self->in[0]), *p = packed_of(self);
	const float *x = self->in[0]->value + slice * packed_slice(in) + in->row + in->stored;
	float *y = self->value + slice * packed_slice(p);

	(void)lane;
	for (size_t row = 0; row < p->h; row++)
		pool_row(x + 2 * row * in->row, x + (2 * row + 1) * in->row, p->w, p->stored, y + (row + 1) * p->row + p->stored);
	packed_border(p, y);
}

WIDE_TWIN(pool_slice)

static void
pool_forward(const struct node *self, const struct run *r)
{
	(void)r;
	for (size_t i = 0; i < self->shape.n; i++)
		WIDEST(pool_slice)((void *)self, i, 0);
}

static const struct op pool_op = { "packed maximum 2x2", pool_shape, pool_forward, NULL };

struct node *
node_packed_pool(struct graph *g, struct node *x)
{
	return graph_add(g, &pool_op, 1, &x, &(struct packed){ 0 }, sizeof(struct packed));
}

/* ---- sigmoid ---- */

static int
sigmoid_shape(struct node *self, struct err *e)
{
	(void)e;
	self->shape = self->in[0]->shape;
	return 0;
}

/* exp(x) for x in [-87, 88]: 2^n times the Taylor series over half a step of n to either side. */
static inline float
exponential(float x)
{
	const float n = (x * 1.44269504f + 12582912.0f) - 12582912.0f;          /* 1.5 * 2^23: rounds to a whole number */
	const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
	const float series = 1 + r * (1 + r * (0.5f + r * (1.6666667e-1f + r * (4.1666667e-2f + r * (8.3333333e-3f + r * 1.3888889e-3f)))));
	union { int32_t bits; float value; } power = { .bits = ((int32_t)n + 127) << 23 };

	return series * power.value;
}

static void
sigmoid_all(void *arg, size_t n, unsigned lane)
{
	const struct node *self = arg;
	const float *restrict x = self->in[0]->value;
	float *restrict y = self->value;

	(void)lane;
	for (size_t i = 0; i < n; i++) {
		const float v = -x[i], low = v < -87 ? -87 : v;
		y[i] = x[i] == x[i] ? 1 / (1 + exponential(low > 87 ? 87 : low)) : x[i];
	}
}

WIDE_TWIN(sigmoid_all)

static void
sigmoid_forward(const struct node *self, const struct run *r)
{
	(void)r;
	WIDEST(sigmoid_all)((void *)self, shape_size(self->shape), 0);
}

static const struct op sigmoid_op = { "sigmoid that serves", sigmoid_shape, sigmoid_forward, NULL };

struct node *
node_packed_sigmoid(struct graph *g, struct node *x)
{
	return graph_add(g, &sigmoid_op, 1, &x, NULL, 0);
}
