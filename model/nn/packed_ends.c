/* The convolutions over packed maps that change the size without Winograd: the transposed one, and the last one of a network, whose maps leave as planes.
 * Behind a resize x2 a 3x3 convolution is four of 3x3 over the small maps, one for each place of an output pixel, which no pixel has to be
 * resized for; at the edges, where the resize repeats and the convolution sees zeros, their kernels are others. */
#include "model/nn/arena.h"
#include "model/nn/kernel.h"
#include "model/nn/packed.h"

#include <string.h>

/* ---- transposed convolution 2x2 stride 2: two rows of the output a row, each pixel giving two side by side ---- */

static int
up_shape(struct node *self, struct err *e)
{
	const struct packed *in = packed_of(self->in[0]), *own = self->settings;
	const size_t maps = own->c;

	if (maps == 0)
		return err_set(e, ERR_INPUT, "nothing to convolve");
	packed_layout(self, self->in[0]->shape.n, 2 * in->h, 2 * in->w, maps, packed_stored(maps));
	return 0;
}

static void
up_forward(const struct node *self, const struct run *r)
{
	const struct packed *in = packed_of(self->in[0]), *out = packed_of(self);
	const size_t n = 2 * out->stored;
	const float *weights = self->parameter[2]->value, *bias = weights + 2 * in->stored * n;

	(void)r;
	for (size_t slice = 0; slice < self->shape.n; slice++) {
		float *y = self->value + slice * packed_slice(out);
		for (size_t row = 0; row < out->h; row++) {
			const struct kernel_part part = { self->in[0]->value + slice * packed_slice(in) + (row / 2 + 1) * in->row + in->stored, in->stored, in->stored };
			kernel_run(&(struct kernel){ .parts = &part, .n_parts = 1, .m = in->w, .n = n, .b = weights + row % 2 * in->stored * n, .bias = bias, .slope = 1,
				.c = y + (row + 1) * out->row + out->stored, .ldc = n });
		}
		packed_border(out, y);
	}
}

/* weight (c, maps, 2, 2) -> two matrices (stored, (kx, map)), then the bias twice. */
static void
up_prepare(const struct node *self)
{
	const struct packed *in = packed_of(self->in[0]), *out = packed_of(self);
	const size_t n = 2 * out->stored, matrix = in->stored * n;
	float *packed = self->parameter[2]->value;

	memset(packed, 0, self->parameter[2]->size * sizeof *packed);
	for (size_t c = 0; c < in->c; c++)
		for (size_t i = 0; i < 4 * out->c; i++)
			packed[i / 2 % 2 * matrix + kernel_place(in->stored, n, c, i % 2 * out->stored + i / 4)] = self->parameter[0]->value[c * 4 * out->c + i];
	for (size_t i = 0; i < 2 * out->c; i++)
		packed[2 * matrix + i % 2 * out->stored + i / 2] = self->parameter[1]->value[i / 2];
}

static const struct op up_op = { "packed transposed convolution", up_shape, up_forward, NULL };

struct node *
node_packed_up(struct graph *g, struct node *x, size_t maps, const char *name)
{
	const struct packed own = { .c = maps, .prepare = up_prepare };
	struct node *node = graph_add(g, &up_op, 1, &x, &own, sizeof own);
	size_t size;

	if (!node)
		return NULL;
	size = arena_product(2 * packed_of(node)->stored, arena_sum(2 * packed_of(x)->stored, 1));
	graph_use(g, node, PARAMETER_TRAINED, name, "weight", 4, (size_t[]){ packed_of(x)->c, maps, 2, 2 });
	graph_use(g, node, PARAMETER_TRAINED, name, "bias", 1, &maps);
	graph_use(g, node, PARAMETER_DERIVED, name, "packed", 1, &size);
	return node;
}

/* ---- the last convolution ---- */

/* Where along an axis a pixel of the small maps lies. */
enum { FIRST, INNER, LAST, PLACES };

struct out_node {
	struct packed unused;          /* only its prepare: the output is no packed map */
	struct conv s;
	bool resized, has_beside;
};

static size_t
out_sources(const struct out_node *own)
{
	return own->has_beside ? 2 : 1;
}

/* Columns of the product: maps, resized those of four places. */
static size_t
out_columns(const struct out_node *own)
{
	return packed_stored(own->s.maps * (own->resized ? 4 : 1));
}

/* Rows of the right matrix. */
static size_t
out_rows(const struct node *self)
{
	const struct out_node *own = self->settings;
	size_t stored = 0;

	for (size_t i = 0; i < out_sources(own); i++)
		stored = arena_sum(stored, packed_of(self->in[i])->stored);
	return arena_product(own->s.kernel * own->s.kernel, stored);
}

static int
out_shape(struct node *self, struct err *e)
{
	struct out_node *own = self->settings;
	const struct packed *in = packed_of(self->in[0]);
	const size_t factor = own->resized ? 2 : 1;

	if (own->s.maps == 0 || own->s.stride != 1 || (own->resized ? own->s.kernel != 3 || own->s.pad != 1 || in->h < 2 || in->w < 2 : own->s.kernel != 1 || own->s.pad != 0))
		return err_set(e, ERR_INPUT, "not a last convolution: kernel %zu, stride %zu, padding %zu", own->s.kernel, own->s.stride, own->s.pad);
	if (own->has_beside && (packed_of(self->in[1])->h != in->h || packed_of(self->in[1])->w != in->w || self->in[1]->shape.n != self->in[0]->shape.n))
		return err_set(e, ERR_INPUT, "inputs of different sizes");
	self->shape = (struct shape){ self->in[0]->shape.n, own->s.maps, arena_product(in->h, factor), arena_product(in->w, factor) };
	self->scratch = arena_product(in->w, out_columns(own));
	return 0;
}

static size_t
place(size_t i, size_t n)
{
	return i == 0 ? FIRST : i + 1 == n ? LAST : INNER;
}

/* Pixels [first, first + n) of row y of the small maps, all at one place along the row: products (n, columns). */
static void
out_piece(const struct node *self, size_t slice, size_t y, size_t first, size_t n, float *products)
{
	const struct out_node *own = self->settings;
	const struct packed *in = packed_of(self->in[0]);
	const size_t columns = out_columns(own), matrix = out_rows(self) * columns, border = own->s.kernel == 3 ? 0 : 1;
	const float *weights = self->parameter[2]->value;
	struct kernel_part parts[KERNEL_MAX_PARTS];
	size_t n_parts = 0;

	for (size_t ky = 0; ky < own->s.kernel; ky++)
		for (size_t i = 0; i < out_sources(own); i++) {
			const struct packed *p = packed_of(self->in[i]);
			parts[n_parts++] = (struct kernel_part){ self->in[i]->value + slice * packed_slice(p) + (y + ky + border) * p->row + (first + border) * p->stored,
				p->stored, own->s.kernel * p->stored };
		}
	kernel_run(&(struct kernel){ .parts = parts, .n_parts = n_parts, .m = n, .n = columns, .slope = 1,
		.b = weights + (own->resized ? (place(y, in->h) * PLACES + place(first, in->w)) * matrix : 0),
		.bias = weights + (own->resized ? PLACES * PLACES : 1) * matrix, .c = products + first * columns, .ldc = columns });
}

/* products (w, columns) of row y -> rows of the planes */
static void
out_planes(const struct node *self, const float *products, size_t y, float *planes)
{
	const struct out_node *own = self->settings;
	const size_t w = packed_of(self->in[0])->w, maps = own->s.maps, columns = out_columns(own), factor = own->resized ? 2 : 1;

	for (size_t i = 0; i < factor; i++)
		for (size_t m = 0; m < maps; m++) {
			float *row = planes + (m * self->shape.h + y * factor + i) * self->shape.w;
			for (size_t j = 0; j < factor; j++)
				for (size_t x = 0; x < w; x++)
					row[x * factor + j] = products[x * columns + (i * factor + j) * maps + m];
		}
}

static void
out_forward(const struct node *self, const struct run *r)
{
	const struct out_node *own = self->settings;
	const struct packed *in = packed_of(self->in[0]);
	float *products = run_scratch(r, 0);

	for (size_t slice = 0; slice < self->shape.n; slice++)
		for (size_t y = 0; y < in->h; y++) {
			if (own->resized) {
				out_piece(self, slice, y, 0, 1, products);
				if (in->w > 2)
					out_piece(self, slice, y, 1, in->w - 2, products);
				out_piece(self, slice, y, in->w - 1, 1, products);
			} else
				out_piece(self, slice, y, 0, in->w, products);
			out_planes(self, products, y, self->value + slice * self->shape.c * self->shape.h * self->shape.w);
		}
}

/* What small pixel `near` (0, 1, 2: the one before, at, behind) gives to tap t of an output pixel at place `half` (0, 1) of the small pixel that lies at `where`. */
static double
share(size_t where, size_t half, size_t t, size_t near)
{
	static const double shares[4][3] = { { 0.75, 0.25, 0 }, { 0.25, 0.75, 0 }, { 0, 0.75, 0.25 }, { 0, 0.25, 0.75 } };   /* large pixels -1 .. 2 */
	const size_t large = half + t;

	if ((where == FIRST && large == 0) || (where == LAST && large == 3))
		return 0;                              /* the convolution's padding */
	if ((where == FIRST && near == 0) || (where == LAST && near == 2))
		return 0;
	if ((where == FIRST && large == 1 && near == 1) || (where == LAST && large == 2 && near == 1))
		return 1;                              /* the edge, repeated */
	return shares[large][near];
}

/* The weight of small pixel (ky, kx) for output place (i, j), from a 3x3 kernel. */
static float
spread(const float *kernel, const size_t where[2], size_t i, size_t j, size_t ky, size_t kx)
{
	double sum = 0;

	for (size_t y = 0; y < 3; y++)
		for (size_t x = 0; x < 3; x++)
			sum += share(where[0], i, y, ky) * share(where[1], j, x, kx) * (double)kernel[y * 3 + x];
	return (float)sum;
}

/* weight (maps, c, kernel, kernel) -> rows (ky, input, kx, value), columns (place, map), for one place of a pixel in the small maps. */
static void
arrange_out(const struct node *self, const size_t where[2], float *packed)
{
	const struct out_node *own = self->settings;
	const size_t kernel = own->s.kernel, maps = own->s.maps, k = out_rows(self), n = out_columns(own), c = self->parameter[0]->dims[1];
	size_t row = 0;

	for (size_t ky = 0; ky < kernel; ky++)
		for (size_t source = 0; source < out_sources(own); source++)
			for (size_t at = 0; at < kernel * packed_of(self->in[source])->stored; at++, row++) {
				const struct packed *in = packed_of(self->in[source]);
				const size_t v = at % in->stored, channel = v + (source ? packed_of(self->in[0])->c : 0), kx = at / in->stored;
				for (size_t col = 0; v < in->c && col < maps * (own->resized ? 4 : 1); col++) {
					const float *weight = self->parameter[0]->value + (col % maps * c + channel) * kernel * kernel;
					packed[kernel_place(k, n, row, col)] = own->resized ? spread(weight, where, col / maps / 2, col / maps % 2, ky, kx) : *weight;
				}
			}
}

static void
out_prepare(const struct node *self)
{
	const struct out_node *own = self->settings;
	const size_t columns = out_columns(own), matrix = out_rows(self) * columns, variants = own->resized ? PLACES * PLACES : 1;
	float *packed = self->parameter[2]->value;

	memset(packed, 0, self->parameter[2]->size * sizeof *packed);
	for (size_t i = 0; i < variants; i++)
		arrange_out(self, (size_t[]){ i / PLACES, i % PLACES }, packed + i * matrix);
	for (size_t col = 0; col < own->s.maps * (own->resized ? 4 : 1); col++)
		packed[variants * matrix + col] = self->parameter[1]->value[col % own->s.maps];
}

static const struct op out_op = { "packed last convolution", out_shape, out_forward, NULL };

struct node *
node_packed_out(struct graph *g, const struct packed_conv *what, const char *name)
{
	const struct out_node own = { .unused.prepare = out_prepare, .s = what->s, .resized = what->resized, .has_beside = what->beside };
	struct node *node = graph_add(g, &out_op, what->beside ? 2 : 1, (struct node *[]){ what->x, what->beside }, &own, sizeof own);
	size_t size;

	if (!node)
		return NULL;
	size = arena_product(out_columns(&own), arena_sum(arena_product(own.resized ? PLACES * PLACES : 1, out_rows(node)), 1));
	graph_use(g, node, PARAMETER_TRAINED, name, "weight", 4, (size_t[]){ what->s.maps, packed_of(what->x)->c + (what->beside ? packed_of(what->beside)->c : 0),
		what->s.kernel, what->s.kernel });
	graph_use(g, node, PARAMETER_TRAINED, name, "bias", 1, &what->s.maps);
	graph_use(g, node, PARAMETER_DERIVED, name, "packed", 1, &size);
	return node;
}
