/* Convolution, the straightforward way: patches, product, bias; and its gradients. packed_conv.c has those that serve.
 *
 * Backward has two ways. Where the output is as large as the input (stride 1, kernel = 2 pad + 1) the input's gradient is itself a convolution of the
 * output's gradient dY, with the kernel turned around and maps and channels changed over; its patches also give the weight's gradient, as
 * dW[m, c, k] = sum over q of X[c, q] dY[m, q - k]: one matrix of patches for both. Else dW' = patches(X) x dY', and W' x dY is added back patch by patch.
 *
 * A fast run goes by Winograd (f43.c) where that pays. */
#include "model/nn/arena.h"
#include "model/nn/blas.h"
#include "model/nn/f43.h"
#include "model/nn/parts.h"
#include "model/nn/patches.h"

#include <assert.h>
#include <string.h>

struct conv_node {
	struct conv s;
	struct patches patches, turned /* of dY; of size 0 unless the output is as large as the input */;
	struct f43 fast, fast_back /* dY -> dX */;     /* of no vectors: not this way */
};

/* What the items of one pass share. */
struct work {
	const struct node *self;
	const struct run *run;
	/* backward */
	bool fast_x, fast_sums;        /* which gradients go by Winograd */
	bool same;                     /* sums are those of backward_same */
};

static size_t
kernel_size(const struct conv_node *own)
{
	return own->s.kernel * own->s.kernel;
}

static size_t
weight_size(const struct conv_node *own)
{
	return own->s.maps * own->patches.c * kernel_size(own);
}

static size_t
larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Floats of a part's sums for the weight; those for the bias follow. */
static size_t
sums_size(const struct conv_node *own)
{
	return own->fast.vectors ? larger(weight_size(own), f43_sums_size(&own->fast)) : weight_size(own);
}

static size_t
part_size(const struct conv_node *own)
{
	return arena_rounded(arena_sum(sums_size(own), own->s.maps));
}

/* The weight as the pass needs it, behind the parts' sums. */
static float *
turned_weight(const struct node *self, const struct run *r)
{
	return r->shared + MAX_PARTS * part_size(self->settings);
}

static size_t
turned_size(const struct conv_node *own)
{
	size_t size = weight_size(own);

	if (own->fast.vectors)
		size = larger(size, f43_weight_size(&own->fast));
	return own->fast_back.vectors ? larger(size, f43_weight_size(&own->fast_back)) : size;
}

/* Which ways there are by Winograd. */
static void
plan_fast(struct node *self)
{
	struct conv_node *own = self->settings;
	const struct shape in = self->in[0]->shape;

	if (own->s.kernel != 3 || own->s.stride != 1 || own->s.pad != 1)
		return;
	if (f43_plan(in.c, own->s.maps, in.n, in.h, in.w, &own->fast))
		self->scratch = larger(self->scratch, f43_scratch(&own->fast));
	if (f43_plan(own->s.maps, in.c, in.n, in.h, in.w, &own->fast_back))
		self->scratch = larger(self->scratch, f43_scratch(&own->fast_back));
}

static int
conv_shape(struct node *self, struct err *e)
{
	struct conv_node *own = self->settings;
	const struct shape in = self->in[0]->shape;

	if (patches_plan(&own->s, in, &own->patches, e) != 0)
		return -1;
	self->shape = (struct shape){ in.n, own->s.maps, own->patches.rows, own->patches.cols };
	self->scratch = patches_scratch(&own->patches);
	if (own->s.stride == 1 && own->s.kernel == 2 * own->s.pad + 1) {
		struct conv back = own->s;
		back.maps = in.c;
		if (patches_plan(&back, self->shape, &own->turned, e) != 0)
			return -1;
		self->scratch = larger(self->scratch, patches_scratch(&own->turned));
	}
	plan_fast(self);
	self->shared = arena_sum(arena_product(part_size(own), MAX_PARTS), turned_size(own));
	return 0;
}

static size_t
band_rows(const struct patches *p, size_t row)
{
	return p->rows - row < p->band ? p->rows - row : p->band;
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
forward_slice(void *arg, size_t i, unsigned lane)
{
	const struct work *w = arg;
	const struct conv_node *own = w->self->settings;
	const struct patches *p = &own->patches;
	const size_t maps = own->s.maps, plane = p->rows * p->cols, k = p->c * kernel_size(own);
	const float *x = w->self->in[0]->value + i * p->c * p->h * p->w;        /* (c, h, w) */
	const float *weight = w->self->parameter[0]->value;
	float *y = w->self->value + i * maps * plane;                           /* (maps, rows, cols) */
	float *matrix = run_scratch(w->run, lane);

	if (own->s.bias)
		fill_bias(w->self->parameter[1]->value, maps, plane, y);
	for (size_t row = 0; row < p->rows; row += p->band) {
		size_t n = band_rows(p, row);
		for (size_t c = 0; c < p->c; c += p->maps) {
			const struct patches piece = patches_piece(p, c);
			patches_fill(&piece, x + c * p->h * p->w, row, n, matrix);
			blas_product(&(struct product){ .m = maps, .n = n * p->cols, .k = piece.c * kernel_size(own), .a = weight + c * kernel_size(own), .lda = k,
				.b = matrix, .ldb = n * p->cols, .beta = own->s.bias || c > 0 ? 1 : 0, .c = y + row * p->cols, .ldc = plane, .exact = w->run->exact });
		}
	}
}

/* Some slices by Winograd. */
static void
forward_stack(void *arg, size_t i, unsigned lane)
{
	const struct work *w = arg;
	const struct f43 *fast = &((const struct conv_node *)w->self->settings)->fast;
	const size_t first = i * fast->stack, plane = fast->h * fast->w;
	const float *bias = w->self->n_parameters > 1 ? w->self->parameter[1]->value : NULL;

	f43_forward(fast, w->self->in[0]->value + first * fast->c * plane, smaller(fast->stack, w->self->shape.n - first), turned_weight(w->self, w->run),
		(struct f43_finish){ .bias = bias, .slope = 1 }, run_scratch(w->run, lane), w->self->value + first * fast->maps * plane);
}

static void
conv_forward(const struct node *self, const struct run *r)
{
	const struct conv_node *own = self->settings;
	struct work w = { .self = self, .run = r };

	if (own->fast.vectors && r->fast) {
		f43_weight(&own->fast, self->parameter[0]->value, false, turned_weight(self, r));
		team_run(r->team, (self->shape.n + own->fast.stack - 1) / own->fast.stack, forward_stack, &w);
	} else
		team_run(r->team, self->shape.n, forward_slice, &w);
}

/* weight (maps, c, kernel*kernel) -> turned (c, maps, kernel*kernel), the kernels from back to front */
static void
turn_weight(const float *weight, size_t maps, size_t c, size_t kernel, float *turned)
{
	for (size_t m = 0; m < maps; m++)
		for (size_t i = 0; i < c; i++)
			for (size_t k = 0; k < kernel; k++)
				turned[(i * maps + m) * kernel + kernel - 1 - k] = weight[(m * c + i) * kernel + k];
}

/* One slice, output as large as the input: patches of dy serve dx (NULL: not wanted) and sum (maps*kernel*kernel, c; NULL: not wanted). */
static void
backward_same(const struct work *w, size_t i, float *matrix, const float *turned, float *sum)
{
	const struct conv_node *own = w->self->settings;
	const struct patches *p = &own->turned;
	const size_t plane = p->rows * p->cols, c = own->patches.c, k = p->c * kernel_size(own);
	const float *x = w->self->in[0]->value + i * c * plane, *dy = w->self->gradient + i * own->s.maps * plane;
	float *dx = node_gradient(w->self, 0, w->run) + i * c * plane;

	for (size_t row = 0; row < p->rows; row += p->band)
		for (size_t m = 0; m < p->c; m += p->maps) {
			const struct patches piece = patches_piece(p, m);
			const size_t n = band_rows(p, row) * p->cols, at = row * p->cols, from = m * kernel_size(own), rows = piece.c * kernel_size(own);
			patches_fill(&piece, dy + m * plane, row, band_rows(p, row), matrix);
			blas_product(&(struct product){ c, n, rows, turned + from, false, k, matrix, false, n, w->self->first[0] && m == 0 ? 0 : 1, dx + at, plane, w->run->exact });
			if (sum)
				blas_product(&(struct product){ rows, c, n, matrix, false, n, x + at, true, plane, 1, sum + from * c, c, w->run->exact });
		}
}

/* One slice, any convolution: sum (c*kernel*kernel, maps) and dx, each NULL when not wanted. */
static void
backward_any(const struct work *w, size_t i, float *matrix, float *sum, float *dx)
{
	const struct conv_node *own = w->self->settings;
	const struct patches *p = &own->patches;
	const size_t maps = own->s.maps, plane = p->rows * p->cols, all = p->c * kernel_size(own), in = p->c * p->h * p->w;
	const float *x = w->self->in[0]->value + i * in, *dy = w->self->gradient + i * maps * plane, *weight = w->self->parameter[0]->value;

	if (dx && w->self->first[0])
		memset(dx, 0, in * sizeof *dx);
	for (size_t row = 0; row < p->rows; row += p->band)
		for (size_t c = 0; c < p->c; c += p->maps) {
			const struct patches piece = patches_piece(p, c);
			const size_t rows = band_rows(p, row), n = rows * p->cols, at = row * p->cols, from = c * kernel_size(own), k = piece.c * kernel_size(own);
			if (sum) {
				patches_fill(&piece, x + c * p->h * p->w, row, rows, matrix);
				blas_product(&(struct product){ k, maps, n, matrix, false, n, dy + at, true, plane, 1, sum + from * maps, maps, w->run->exact });
			}
			if (dx) {
				blas_product(&(struct product){ k, n, maps, weight + from, true, all, dy + at, false, plane, 0, matrix, n, w->run->exact });
				patches_add(&piece, matrix, row, rows, dx + c * p->h * p->w);
			}
		}
}

/* Slices [begin, end) by Winograd: what of their gradients goes that way. */
static void
backward_fast(const struct work *w, size_t begin, size_t end, float *scratch, float *sum)
{
	const struct conv_node *own = w->self->settings;
	const size_t plane = own->patches.rows * own->patches.cols, in = own->patches.c * plane, out = own->s.maps * plane;
	const float *x = w->self->in[0]->value, *dy = w->self->gradient;

	for (size_t i = begin; w->fast_x && i < end; i += own->fast_back.stack)
		f43_forward(&own->fast_back, dy + i * out, smaller(own->fast_back.stack, end - i), turned_weight(w->self, w->run),
			(struct f43_finish){ .add = !w->self->first[0] }, scratch, node_gradient(w->self, 0, w->run) + i * in);
	for (size_t i = begin; w->fast_sums && i < end; i += own->fast.stack)
		f43_add(&own->fast, x + i * in, dy + i * out, smaller(own->fast.stack, end - i), scratch, sum);
}

/* As many parts as parts.h says, or as there are stacks. */
static size_t
n_parts(const struct work *w)
{
	const size_t stack = w->fast_sums ? ((const struct conv_node *)w->self->settings)->fast.stack : 1;

	return parts_of((w->run->slices + stack - 1) / stack);
}

/* The slices of one part. */
static void
backward_part(void *arg, size_t part, unsigned lane)
{
	const struct work *w = arg;
	const struct conv_node *own = w->self->settings;
	const size_t in = own->patches.c * own->patches.h * own->patches.w, plane = own->patches.rows * own->patches.cols;
	const size_t begin = part * w->run->slices / n_parts(w), end = (part + 1) * w->run->slices / n_parts(w);
	float *sum = w->run->parameters ? w->run->shared + part * part_size(own) : NULL, *dx = node_gradient(w->self, 0, w->run);
	float *matrix = run_scratch(w->run, lane), *plain_sum = w->fast_sums ? NULL : sum, *plain_dx = w->fast_x ? NULL : dx;

	if (sum)
		memset(sum, 0, part_size(own) * sizeof *sum);
	backward_fast(w, begin, end, matrix, sum);
	for (size_t i = begin; i < end; i++) {
		if (plain_dx && own->turned.rows > 0)
			backward_same(w, i, matrix, turned_weight(w->self, w->run), plain_sum);
		else if (plain_dx || plain_sum)
			backward_any(w, i, matrix, plain_sum, plain_dx ? plain_dx + i * in : NULL);
		if (sum && own->s.bias)
			parts_add_maps(w->self->gradient + i * own->s.maps * plane, own->s.maps, plane, sum + sums_size(own));
	}
}

/* The sum over the parts of value `at` of each. */
static float
parts_total(const struct work *w, size_t at)
{
	const struct conv_node *own = w->self->settings;
	float sum = w->run->shared[at];

	for (size_t part = 1; part < n_parts(w); part++)
		sum += w->run->shared[part * part_size(own) + at];
	return sum;
}

/* The parts' sums (maps*kernel, c), kernels from back to front -> the weight's gradient, for map m. */
static void
add_turned(void *arg, size_t m, unsigned lane)
{
	const struct work *w = arg;
	const struct conv_node *own = w->self->settings;
	const size_t c = own->patches.c, kernel = kernel_size(own);
	float *gradient = w->self->parameter[0]->gradient + m * c * kernel;

	(void)lane;
	for (size_t k = 0; k < kernel; k++)
		for (size_t i = 0; i < c; i++)
			gradient[i * kernel + k] += parts_total(w, (m * kernel + kernel - 1 - k) * c + i);
}

/* n values each of the parts' sums, from `at` on, summed. */
static void
sum_parts(const struct work *w, size_t at, size_t n, float *to)
{
	const struct conv_node *own = w->self->settings;

	memcpy(to, w->run->shared + at, n * sizeof *to);
	for (size_t part = 1; part < n_parts(w); part++)
		for (size_t i = 0; i < n; i++)
			to[i] += w->run->shared[part * part_size(own) + at + i];
}

/* The parts' sums (c*kernel, maps) -> the weight's gradient, for input map i; turned around block by block, as rows of the gradient are often a power of two
 * apart, which the L1 cache has few places for. */
static void
add_plain(void *arg, size_t i, unsigned lane)
{
	enum { BLOCK = 16, MAPS = 64 };
	const struct work *w = arg;
	const struct conv_node *own = w->self->settings;
	const size_t maps = own->s.maps, kernel = kernel_size(own), n = own->patches.c * kernel;
	float *gradient = w->self->parameter[0]->gradient + i * kernel, total[BLOCK][MAPS];

	(void)lane;
	for (size_t k = 0; k < kernel; k += BLOCK)
		for (size_t m = 0; m < maps; m += MAPS) {
			const size_t ks = smaller(BLOCK, kernel - k), ms = smaller(MAPS, maps - m);
			for (size_t row = 0; row < ks; row++)
				sum_parts(w, (i * kernel + k + row) * maps + m, ms, total[row]);
			for (size_t col = 0; col < ms; col++)
				for (size_t row = 0; row < ks; row++)
					gradient[(m + col) * n + k + row] += total[row][col];
		}
}

/* Winograd's -> the weight's gradient, for map m. */
static void
add_fast(void *arg, size_t m, unsigned lane)
{
	const struct work *w = arg;
	const struct conv_node *own = w->self->settings;

	(void)lane;
	f43_gradient(&own->fast, w->run->shared, n_parts(w), part_size(own), m, w->self->parameter[0]->gradient);
}

static void
conv_backward(const struct node *self, const struct run *r)
{
	const struct conv_node *own = self->settings;
	const bool wants_x = node_gradient(self, 0, r);
	struct work w = { .self = self, .run = r, .fast_x = wants_x && r->fast && own->fast_back.vectors, .fast_sums = r->parameters && r->fast && own->fast.vectors };

	w.same = wants_x && !w.fast_x && own->turned.rows > 0;
	if (w.fast_x)
		f43_weight(&own->fast_back, self->parameter[0]->value, true, turned_weight(self, r));
	else if (w.same)
		turn_weight(self->parameter[0]->value, own->s.maps, own->patches.c, kernel_size(own), turned_weight(self, r));
	team_run(r->team, n_parts(&w), backward_part, &w);
	if (!r->parameters)
		return;
	if (w.fast_sums || w.same)
		team_run(r->team, own->s.maps, w.fast_sums ? add_fast : add_turned, &w);
	else
		team_run(r->team, own->patches.c, add_plain, &w);
	if (own->s.bias)
		parts_add(r->shared + sums_size(own), n_parts(&w), part_size(own), own->s.maps, self->parameter[1]->gradient);
}

static const struct op conv_op = { "convolution", conv_shape, conv_forward, conv_backward };

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
