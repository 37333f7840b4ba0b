/* Bilinear x2 with half-pixel centres: output 2i lies a quarter left of input i, 2i+1 a quarter right, so the weights are 1/4 and 3/4, edges
 * repeated (PyTorch: interpolate, align_corners=False). Arbitrary sizes are model/prep.c's. */
#include "model/nn/ops.h"
#include "model/nn/arena.h"
#include "model/nn/wide.h"

static int
resize_shape(struct node *self, struct err *e)
{
	struct shape in = self->in[0]->shape;

	if (shape_size(in) == 0)
		return err_set(e, ERR_INPUT, "nothing to resize");
	self->shape = (struct shape){ in.n, in.c, arena_product(in.h, 2), arena_product(in.w, 2) };
	self->scratch = 2 * in.w;
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

struct work { const struct node *self; const struct run *run; };

static void
forward_slice(void *arg, size_t slice, unsigned lane)
{
	const struct work *work = arg;
	const struct shape in = work->self->in[0]->shape;
	const float *x = work->self->in[0]->value + slice * in.c * in.h * in.w;
	float *y = work->self->value + slice * 4 * in.c * in.h * in.w, *mixed = run_scratch(work->run, lane);

	for (size_t plane = 0; plane < in.c; plane++, x += in.h * in.w)
		for (size_t row = 0; row < in.h; row++, y += 4 * in.w) {
			const float *near = x + row * in.w;
			const float *above = row > 0 ? near - in.w : near, *below = row + 1 < in.h ? near + in.w : near;
			resize_row(near, above, in.w, mixed, y);
			resize_row(near, below, in.w, mixed, y + 2 * in.w);
		}
}

WIDE_TWIN(forward_slice)

static void
resize_forward(const struct node *self, const struct run *r)
{
	struct work w = { self, r };

	team_run(r->team, self->shape.n, WIDEST(forward_slice), &w);
}

/* What input row `row` gave to the output rows 2 row - 1 .. 2 row + 2 comes back by the same weights; the edge rows, which stand for what lies
 * outside too, take its share. The same along the row. mixed: 2w floats. */
static void
back_row(const float *dy, size_t row, size_t h, size_t w, bool first, float *mixed, float *dx)
{
	const float *a = dy + 2 * row * 2 * w, *b = a + 2 * w, *above = row > 0 ? a - 2 * w : a, *below = row + 1 < h ? b + 2 * w : b;

	for (size_t x = 0; x < 2 * w; x++)
		mixed[x] = 0.75f * (a[x] + b[x]) + 0.25f * (above[x] + below[x]);
	for (size_t x = 0; x < w; x++) {
		float left = mixed[x > 0 ? 2 * x - 1 : 0], right = mixed[x + 1 < w ? 2 * x + 2 : 2 * w - 1];
		float d = 0.75f * (mixed[2 * x] + mixed[2 * x + 1]) + 0.25f * (left + right);
		dx[x] = first ? d : dx[x] + d;
	}
}

static void
backward_slice(void *arg, size_t slice, unsigned lane)
{
	const struct work *work = arg;
	const struct shape in = work->self->in[0]->shape;
	const float *dy = work->self->gradient + slice * 4 * in.c * in.h * in.w;
	float *dx = node_gradient(work->self, 0, work->run);

	if (!dx)
		return;
	dx += slice * in.c * in.h * in.w;
	for (size_t plane = 0; plane < in.c; plane++, dy += 4 * in.h * in.w)
		for (size_t row = 0; row < in.h; row++, dx += in.w)
			back_row(dy, row, in.h, in.w, work->self->first[0], run_scratch(work->run, lane), dx);
}

WIDE_TWIN(backward_slice)

static void
resize_backward(const struct node *self, const struct run *r)
{
	struct work w = { self, r };

	team_run(r->team, r->slices, WIDEST(backward_slice), &w);
}

static const struct op resize_op = { "resize x2", resize_shape, resize_forward, resize_backward };

struct node *
node_resize2(struct graph *g, struct node *x)
{
	return graph_add(g, &resize_op, 1, &x, NULL, 0);
}
