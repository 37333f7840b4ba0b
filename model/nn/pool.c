/* Maximum over 2x2 pieces. */
#include "model/nn/ops.h"
#include "model/nn/wide.h"

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

struct work { const struct node *self; const struct run *run; };

static void
forward_slice(void *arg, size_t slice, unsigned lane)
{
	const struct node *self = ((const struct work *)arg)->self;
	const size_t w = self->in[0]->shape.w, rows = self->shape.c * self->shape.h;

	(void)lane;
	for (size_t r = slice * rows; r < (slice + 1) * rows; r++) {
		const float *a = self->in[0]->value + 2 * r * w, *b = a + w;   /* two rows in */
		float *out = self->value + r * self->shape.w;
		for (size_t x = 0; x < self->shape.w; x++)
			out[x] = larger(larger(a[2 * x], a[2 * x + 1]), larger(b[2 * x], b[2 * x + 1]));
	}
}

WIDE_TWIN(forward_slice)

static void
pool_forward(const struct node *self, const struct run *r)
{
	struct work w = { self, r };

	team_run(r->team, self->shape.n, WIDEST(forward_slice), &w);
}

/* Of a 2x2 piece a[0] a[1] b[0] b[1] with maximum top, the first that has it gets the gradient (as in PyTorch). */
static inline void
hand_back(const float *a, const float *b, float top, float dy, float out[4])
{
	const bool is0 = a[0] == top, is1 = !is0 && a[1] == top, is2 = !is0 && !is1 && b[0] == top;

	out[0] = is0 ? dy : 0;
	out[1] = is1 ? dy : 0;
	out[2] = is2 ? dy : 0;
	out[3] = is0 || is1 || is2 ? 0 : dy;
}

static inline void
put(float *to, float v, bool first)
{
	*to = first ? v : *to + v;
}

static void
backward_slice(void *arg, size_t slice, unsigned lane)
{
	const struct work *work = arg;
	const struct node *self = work->self;
	const size_t w = self->in[0]->shape.w, rows = self->shape.c * self->shape.h;
	const bool first = self->first[0];
	float *gradient = node_gradient(self, 0, work->run);

	(void)lane;
	for (size_t r = slice * rows; gradient && r < (slice + 1) * rows; r++) {
		const float *a = self->in[0]->value + 2 * r * w, *b = a + w, *y = self->value + r * self->shape.w, *dy = self->gradient + r * self->shape.w;
		float *da = gradient + 2 * r * w, *db = da + w;
		for (size_t x = 0; x < self->shape.w; x++) {
			float d[4];
			hand_back(a + 2 * x, b + 2 * x, y[x], dy[x], d);
			put(da + 2 * x, d[0], first);
			put(da + 2 * x + 1, d[1], first);
			put(db + 2 * x, d[2], first);
			put(db + 2 * x + 1, d[3], first);
		}
	}
}

WIDE_TWIN(backward_slice)

static void
pool_backward(const struct node *self, const struct run *r)
{
	struct work w = { self, r };

	team_run(r->team, r->slices, WIDEST(backward_slice), &w);
}

static const struct op pool_op = { "maximum 2x2", pool_shape, pool_forward, pool_backward };

struct node *
node_max_pool2(struct graph *g, struct node *x)
{
	return graph_add(g, &pool_op, 1, &x, NULL, 0);
}
