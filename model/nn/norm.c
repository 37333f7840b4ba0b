/* BatchNorm (Ioffe and Szegedy 2015, as PyTorch defines it): y = (x - mean) / sqrt(variance + eps) * weight + bias, a map at a time over (n, h, w).
 * Evaluation takes the running statistics; training those of the batch (variance biased), or of each of several equal groups of slices, which is
 * what several passes in a row would compute; they stay in the node for the backward pass and for the running ones. In training a LeakyReLU behind it is
 * done in the same pass over memory. */
#include "model/nn/ops.h"
#include "model/nn/wide.h"

#include <assert.h>
#include <math.h>

enum { WEIGHT, BIAS, MEAN, VARIANCE };        /* order of the parameters */
enum { HIGH, LOW, SPREAD, SCALE, SHIFT, N_STATISTICS };   /* of a map in a group: mean = HIGH + LOW, variance; y = (x - HIGH) SCALE + SHIFT */
enum { BLOCK = 256, LANES = 16 };             /* values summed in float before a double takes them; independent sums of such a block */

struct norm_node { double eps; size_t groups; float slope; /* of the LeakyReLU behind; 1: none */ };
struct work { const struct node *self; const struct run *run; };

/* y = x * scale + shift over n values */
static void
affine(const float *x, size_t n, float scale, float shift, float *y)
{
	for (size_t i = 0; i < n; i++)
		y[i] = x[i] * scale + shift;
}

static int
norm_shape(struct node *self, struct err *e)
{
	(void)e;                       /* every shape will do */
	self->shape = self->in[0]->shape;
	return 0;
}

/* Map c of every slice, by the running statistics. */
static void
forward_map(void *arg, size_t c, unsigned lane)
{
	const struct node *self = ((const struct work *)arg)->self;
	const struct norm_node *own = self->settings;
	const size_t plane = shape_plane(self->shape);
	double scale = self->parameter[WEIGHT]->value[c] / sqrt(self->parameter[VARIANCE]->value[c] + own->eps);
	double shift = self->parameter[BIAS]->value[c] - self->parameter[MEAN]->value[c] * scale;

	(void)lane;
	for (size_t i = 0; i < self->shape.n; i++) {
		size_t at = (i * self->shape.c + c) * plane;
		affine(self->in[0]->value + at, plane, (float)scale, (float)shift, self->value + at);
	}
}

WIDE_TWIN(forward_map)

static void
norm_forward(const struct node *self, const struct run *r)
{
	struct work w = { self, r };

	team_run(r->team, self->shape.c, WIDEST(forward_map), &w);
}

static const struct op norm_op = { "normalisation", norm_shape, norm_forward, NULL };

/* ---- training ---- */

static int
norm_batch_shape(struct node *self, struct err *e)
{
	const struct norm_node *own = self->settings;

	if (own->groups == 0 || self->in[0]->shape.n % own->groups != 0)
		return err_set(e, ERR_INPUT, "%zu slices are no %zu equal groups", self->in[0]->shape.n, own->groups);
	self->shape = self->in[0]->shape;
	self->n_state = N_STATISTICS * own->groups * self->shape.c;
	return 0;
}

/* Of map c in a group: mean (a float, and what that float lacks), biased variance, and what came of it. borrowed. */
static float *
statistics(const struct node *self, size_t group, size_t c)
{
	return self->state + N_STATISTICS * (group * self->shape.c + c);
}

static size_t
group_slices(const struct node *self)
{
	return self->shape.n / ((const struct norm_node *)self->settings)->groups;
}

/* sum of x - base, and of its square, over n values: LANES sums side by side in a fixed order, a block at a time. */
struct moments { double sum, squares; };

static struct moments
moments_of(const float *x, size_t n, float base)
{
	struct moments m = { 0, 0 };

	for (size_t block = 0; block < n; block += BLOCK) {
		const size_t end = n - block < BLOCK ? n : block + BLOCK;
		float sum[LANES] = { 0 }, squares[LANES] = { 0 };
		size_t i = block;

		for (; i + LANES <= end; i += LANES)
			for (size_t k = 0; k < LANES; k++) {
				float d = x[i + k] - base;
				sum[k] += d;
				squares[k] += d * d;
			}
		for (size_t k = 0; i < end; i++, k++) {
			float d = x[i] - base;
			sum[k] += d;
			squares[k] += d * d;
		}
		for (size_t k = 0; k < LANES; k++) {
			m.sum += sum[k];
			m.squares += squares[k];
		}
	}
	return m;
}

/* Over the slices of a group, around base. */
static struct moments
group_moments(const struct node *self, size_t group, size_t c, float base)
{
	const size_t plane = shape_plane(self->shape), slices = group_slices(self);
	const float *x = self->in[0]->value + (group * slices * self->shape.c + c) * plane;
	struct moments total = { 0, 0 };

	for (size_t i = 0; i < slices; i++, x += self->shape.c * plane) {
		struct moments m = moments_of(x, plane, base);
		total.sum += m.sum;
		total.squares += m.squares;
	}
	return total;
}

/* Around the mean of the first slice, so that a large mean costs no digits and one pass will do. */
static void
take_statistics(const struct node *self, size_t group, size_t c)
{
	const size_t plane = shape_plane(self->shape), slices = group_slices(self);
	const double n = (double)slices * (double)plane;
	const float base = (float)(moments_of(self->in[0]->value + (group * slices * self->shape.c + c) * plane, plane, 0).sum / (double)plane);
	const struct moments m = group_moments(self, group, c, base);
	const double mean = base + m.sum / n;
	float *to = statistics(self, group, c);

	to[HIGH] = (float)mean;
	to[LOW] = (float)(mean - to[HIGH]);
	to[SPREAD] = (float)(m.squares / n - m.sum / n * (m.sum / n));
}

/* y = (x - high) * scale + shift over n values, and the LeakyReLU of it, which is the larger of v and slope v */
struct affinity { float high, scale, shift, slope; };

static struct affinity
affinity_of(const struct node *self, const float *s)
{
	return (struct affinity){ s[HIGH], s[SCALE], s[SHIFT], ((const struct norm_node *)self->settings)->slope };
}

static inline float
before_activation(struct affinity a, float x)
{
	return (x - a.high) * a.scale + a.shift;
}

static void
normalise(const float *restrict x, size_t n, struct affinity a, float *restrict y)
{
	for (size_t i = 0; i < n; i++) {
		float v = before_activation(a, x[i]), w = a.slope * v;
		y[i] = v > w ? v : w;
	}
}

static void
batch_forward_map(void *arg, size_t item, unsigned lane)
{
	const struct node *self = ((const struct work *)arg)->self;
	const struct norm_node *own = self->settings;
	const size_t group = item / self->shape.c, c = item % self->shape.c, plane = shape_plane(self->shape), slices = group_slices(self);
	float *s = statistics(self, group, c);
	struct affinity a;

	(void)lane;
	take_statistics(self, group, c);
	s[SCALE] = (float)(self->parameter[WEIGHT]->value[c] / sqrt(s[SPREAD] + own->eps));
	s[SHIFT] = self->parameter[BIAS]->value[c] - s[LOW] * s[SCALE];
	a = affinity_of(self, s);
	for (size_t i = group * slices; i < (group + 1) * slices; i++) {
		size_t at = (i * self->shape.c + c) * plane;
		normalise(self->in[0]->value + at, plane, a, self->value + at);
	}
}

WIDE_TWIN(batch_forward_map)

static void
norm_batch_forward(const struct node *self, const struct run *r)
{
	struct work w = { self, r };

	team_run(r->team, self->shape.c * ((const struct norm_node *)self->settings)->groups, WIDEST(batch_forward_map), &w);
}

/* One map of one slice on the way back. What was before the LeakyReLU is computed once more: quicker than to read y. */
struct back { const float *dy, *x; size_t n; struct affinity forward; };

/* The gradient before the activation. */
static inline float
gradient_before(const struct back *b, size_t i)
{
	const float one = 1;

	return b->dy[i] * (before_activation(b->forward, b->x[i]) > 0 ? one : b->forward.slope);
}

/* sum of d, and of d * (x - mean), d the gradient before the activation; as moments_of. */
static struct moments
moments_with(const struct back *b, float mean)
{
	struct moments m = { 0, 0 };

	for (size_t block = 0; block < b->n; block += BLOCK) {
		const size_t end = b->n - block < BLOCK ? b->n : block + BLOCK;
		float sum[LANES] = { 0 }, products[LANES] = { 0 };
		size_t i = block;

		for (; i + LANES <= end; i += LANES)
			for (size_t k = 0; k < LANES; k++) {
				float d = gradient_before(b, i + k);
				sum[k] += d;
				products[k] += d * (b->x[i + k] - mean);
			}
		for (size_t k = 0; i < end; i++, k++) {
			float d = gradient_before(b, i);
			sum[k] += d;
			products[k] += d * (b->x[i] - mean);
		}
		for (size_t k = 0; k < LANES; k++) {
			m.sum += sum[k];
			m.squares += products[k];
		}
	}
	return m;
}

/* With z = (x - mean) / deviation: dx = weight / deviation * (d - mean of d - z * mean of d z), over n values of a map. */
struct slope { float mean, d, x, shift; };    /* dx = d * slope.d + (x - mean) * slope.x + slope.shift */

static void
pass_on(const struct back *b, struct slope s, bool first, float *restrict dx)
{
	if (first)
		for (size_t i = 0; i < b->n; i++)
			dx[i] = gradient_before(b, i) * s.d + (b->x[i] - s.mean) * s.x + s.shift;
	else
		for (size_t i = 0; i < b->n; i++)
			dx[i] += gradient_before(b, i) * s.d + (b->x[i] - s.mean) * s.x + s.shift;
}

static struct back
back_at(const struct node *self, const float *s, size_t at)
{
	return (struct back){ self->gradient + at, self->in[0]->value + at, shape_plane(self->shape), affinity_of(self, s) };
}

/* Map c of one group: the gradient of the input; what it adds to those of weight and bias. */
static struct moments
backward_group(const struct work *w, size_t group, size_t c)
{
	const struct node *self = w->self;
	const size_t plane = shape_plane(self->shape), slices = group_slices(self), step = self->shape.c * plane;
	const size_t begin = (group * slices * self->shape.c + c) * plane;
	const double n = (double)slices * (double)plane;
	const float *s = statistics(self, group, c);
	const double inverse = 1 / sqrt(s[SPREAD] + ((const struct norm_node *)self->settings)->eps), scale = self->parameter[WEIGHT]->value[c] * inverse;
	float *dx = node_gradient(self, 0, w->run);
	struct moments total = { 0, 0 };
	struct slope slope;

	for (size_t i = 0; i < slices; i++) {
		struct back b = back_at(self, s, begin + i * step);
		struct moments m = moments_with(&b, s[HIGH]);
		total.sum += m.sum;
		total.squares += (m.squares - m.sum * s[LOW]) * inverse;
	}
	slope = (struct slope){ .mean = s[HIGH], .d = (float)scale, .x = (float)(-scale * inverse * total.squares / n) };
	slope.shift = (float)(-scale * total.sum / n - slope.x * s[LOW]);
	for (size_t i = 0; dx && i < slices; i++) {
		struct back b = back_at(self, s, begin + i * step);
		pass_on(&b, slope, self->first[0], dx + begin + i * step);
	}
	return total;
}

static void
backward_map(void *arg, size_t c, unsigned lane)
{
	const struct work *w = arg;
	const size_t groups = w->run->slices / group_slices(w->self);
	double weight = 0, bias = 0;

	(void)lane;
	for (size_t group = 0; group < groups; group++) {
		struct moments m = backward_group(w, group, c);
		weight += m.squares;
		bias += m.sum;
	}
	if (!w->run->parameters)
		return;
	w->self->parameter[WEIGHT]->gradient[c] += (float)weight;
	w->self->parameter[BIAS]->gradient[c] += (float)bias;
}

WIDE_TWIN(backward_map)

static void
norm_batch_backward(const struct node *self, const struct run *r)
{
	struct work w = { self, r };

	team_run(r->team, self->shape.c, WIDEST(backward_map), &w);
}

static const struct op norm_batch_op = { "normalisation over the batch", norm_batch_shape, norm_batch_forward, norm_batch_backward };

static struct node *
add(struct graph *g, const struct op *op, struct node *x, struct norm_node own, const char *name)
{
	struct node *node = graph_add(g, op, 1, &x, &own, sizeof own);
	size_t c = x ? x->shape.c : 0;

	graph_use(g, node, PARAMETER_TRAINED, name, "weight", 1, &c);
	graph_use(g, node, PARAMETER_TRAINED, name, "bias", 1, &c);
	graph_use(g, node, PARAMETER_STATISTIC, name, "running_mean", 1, &c);
	graph_use(g, node, PARAMETER_STATISTIC, name, "running_var", 1, &c);
	return node;
}

struct node *
node_norm(struct graph *g, struct node *x, double eps, const char *name)
{
	return add(g, &norm_op, x, (struct norm_node){ eps, 1, 1 }, name);
}

struct node *
node_norm_batch(struct graph *g, struct node *x, double eps, const char *name)
{
	return node_norm_groups(g, x, (struct norm_groups){ 1, 1 }, eps, name);
}

struct node *
node_norm_groups(struct graph *g, struct node *x, struct norm_groups s, double eps, const char *name)
{
	assert(s.slope >= 0 && s.slope <= 1);
	return add(g, &norm_batch_op, x, (struct norm_node){ eps, s.groups, s.slope }, name);
}

static void
move(float *running, double batch, double momentum)
{
	*running = (float)((1 - momentum) * *running + momentum * batch);
}

void
norm_move_statistics(struct graph *g, double momentum)
{
	for (size_t i = 0; i < graph_size(g); i++) {
		struct node *node = graph_at(g, i);

		if (node->op != &norm_batch_op)
			continue;
		for (size_t item = 0; item < node->shape.c * ((const struct norm_node *)node->settings)->groups; item++) {
			const size_t c = item % node->shape.c;
			const double n = (double)group_slices(node) * (double)shape_plane(node->shape);
			const float *s = statistics(node, item / node->shape.c, c);
			move(&node->parameter[MEAN]->value[c], (double)s[HIGH] + s[LOW], momentum);
			move(&node->parameter[VARIANCE]->value[c], n > 1 ? s[SPREAD] * n / (n - 1) : s[SPREAD], momentum);
		}
	}
}
