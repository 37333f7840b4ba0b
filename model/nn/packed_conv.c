/* The convolutions over packed maps: by Winograd's way, but for the image itself, whose few channels go straight: row by row of the output, one product of the
 * maps with the weights, the rows of the left matrix being the patches where they lie; to at most 8 maps two pixels at a time, as one of 16 whose kernel is
 * one pixel wider. */
#include "model/nn/arena.h"
#include "model/nn/kernel.h"
#include "model/nn/winograd.h"

#include <stdint.h>
#include <string.h>

enum { PAIRED_MAPS = 8, LANES = 8 };           /* LANES: what Winograd's transforms take at a time */

enum way { BY_ROWS, BY_PAIRS, BY_WINOGRAD };

struct conv_node {
	struct packed out;
	struct conv s;
	float slope;
	bool resized, has_beside, has_add;
	enum way way;
	struct winograd winograd;
};

static size_t
n_sources(const struct conv_node *own)
{
	return own->has_beside ? 2 : 1;
}

/* Values a pixel of all inputs as they are stored, and maps as they are meant. */
static size_t
stored_in(const struct node *self, size_t sources)
{
	return packed_of(self->in[0])->stored + (sources == 2 ? packed_of(self->in[1])->stored : 0);
}

static bool
come_in_lanes(const struct node *self, size_t sources)
{
	return packed_of(self->in[0])->stored % LANES == 0 && (sources == 1 || packed_of(self->in[1])->stored % LANES == 0);
}

/* The map of the weights that value i of a pixel of input `source` is; SIZE_MAX: none, it is there to fill. */
static size_t
channel_of(const struct node *self, size_t source, size_t i)
{
	const struct packed *in = packed_of(self->in[source]);

	return i >= in->c ? SIZE_MAX : source == 0 ? i : packed_of(self->in[0])->c + i;
}

static int
check_sources(const struct node *self, size_t n_in, struct err *e)
{
	const struct packed *a = packed_of(self->in[0]);

	for (size_t i = 1; i < n_in; i++)
		if (packed_of(self->in[i])->h != a->h || packed_of(self->in[i])->w != a->w || self->in[i]->shape.n != self->in[0]->shape.n)
			return err_set(e, ERR_INPUT, "inputs of different sizes");
	return 0;
}

static void
plan_winograd(struct node *self, size_t rows, size_t cols)
{
	struct conv_node *own = self->settings;
	const enum winograd_form form = own->s.stride == 2 ? WINOGRAD_HALVING : own->resized ? WINOGRAD_RESIZED : WINOGRAD_SAME;

	own->winograd = winograd_plan(form, rows, cols, stored_in(self, n_sources(own)), own->out.stored);
	self->scratch = winograd_scratch(&own->winograd);
}

static int
conv_shape(struct node *self, struct err *e)
{
	struct conv_node *own = self->settings;
	const struct packed *in = packed_of(self->in[0]);
	const bool halving = own->s.kernel == 4 && own->s.stride == 2 && own->s.pad == 1, same = own->s.kernel == 3 && own->s.stride == 1 && own->s.pad == 1;
	size_t h, w;

	if (own->s.maps == 0 || !(halving || same) || (halving && (own->resized || in->h < 2 || in->w < 2)) || (own->has_add && !own->resized))
		return err_set(e, ERR_INPUT, "not a convolution that serves: kernel %zu, stride %zu, padding %zu", own->s.kernel, own->s.stride, own->s.pad);
	if (check_sources(self, n_sources(own), e) != 0)
		return -1;
	own->way = come_in_lanes(self, n_sources(own)) ? BY_WINOGRAD : same && own->s.maps <= PAIRED_MAPS ? BY_PAIRS : BY_ROWS;
	if (own->resized && own->way != BY_WINOGRAD)
		return err_set(e, ERR_INPUT, "maps that are resized come in multiples of %d", LANES);
	h = halving ? in->h / 2 : own->resized ? 2 * in->h : in->h;
	w = halving ? in->w / 2 : own->resized ? 2 * in->w : in->w;
	packed_layout(self, self->in[0]->shape.n, h, w, own->s.maps, packed_stored(own->s.maps));
	if (own->way == BY_WINOGRAD)
		plan_winograd(self, h, w);
	if (own->has_add) {
		const struct packed *add = packed_of(self->in[self->n_in - 1]);
		if (add->h != h || add->w != w || add->stored != own->out.stored || self->in[self->n_in - 1]->shape.n != self->shape.n)
			return err_set(e, ERR_INPUT, "what is added has another size");
	}
	return 0;
}

/* ---- straight ---- */

/* Pixels of a patch's row; columns of the right matrix. */
static size_t
patch_pixels(const struct conv_node *own)
{
	return own->way == BY_PAIRS ? own->s.kernel + own->s.stride : own->s.kernel;
}

static size_t
columns(const struct conv_node *own)
{
	return own->way == BY_PAIRS ? 2 * own->out.stored : own->out.stored;
}

/* Row y of one slice of the output. */
static void
straight_row(const struct node *self, size_t slice, size_t y)
{
	const struct conv_node *own = self->settings;
	const struct packed *out = &own->out;
	const size_t pixels = own->way == BY_PAIRS ? 2 : 1, n = columns(own), k = own->s.kernel * patch_pixels(own) * stored_in(self, n_sources(own));
	struct kernel_part parts[KERNEL_MAX_PARTS];
	size_t n_parts = 0;

	for (size_t ky = 0; ky < own->s.kernel; ky++)
		for (size_t i = 0; i < n_sources(own); i++) {
			const struct packed *in = packed_of(self->in[i]);
			parts[n_parts++] = (struct kernel_part){ self->in[i]->value + slice * packed_slice(in) + (y * own->s.stride + ky) * in->row,
				pixels * own->s.stride * in->stored, patch_pixels(own) * in->stored };
		}
	kernel_run(&(struct kernel){ .parts = parts, .n_parts = n_parts, .m = (out->w + pixels - 1) / pixels, .n = n, .b = self->parameter[2]->value,
		.bias = self->parameter[2]->value + k * n, .slope = own->slope, .c = self->value + slice * packed_slice(out) + (y + 1) * out->row + out->stored, .ldc = n });
}

/* weight (maps, c, kernel, kernel) -> rows (ky, input, pixel, value), columns (pixel, map). */
static void
arrange_straight(const struct node *self, float *packed)
{
	const struct conv_node *own = self->settings;
	const size_t kernel = own->s.kernel, n = columns(own), k = kernel * patch_pixels(own) * stored_in(self, n_sources(own));
	const float *weight = self->parameter[0]->value;
	size_t row = 0, c = self->parameter[0]->dims[1];

	for (size_t ky = 0; ky < kernel; ky++)
		for (size_t i = 0; i < n_sources(own); i++)
			for (size_t at = 0; at < patch_pixels(own) * packed_of(self->in[i])->stored; at++, row++) {
				const size_t pixel = at / packed_of(self->in[i])->stored, channel = channel_of(self, i, at % packed_of(self->in[i])->stored);
				for (size_t col = 0; col < n; col++) {
					const size_t map = col % own->out.stored, kx = pixel - col / own->out.stored * own->s.stride;
					if (map < own->s.maps && kx < kernel && channel != SIZE_MAX)
						packed[kernel_place(k, n, row, col)] = weight[((map * c + channel) * kernel + ky) * kernel + kx];
				}
			}
}

/* ---- Winograd ---- */

static void
arrange_winograd(const struct node *self, float *packed)
{
	const struct conv_node *own = self->settings;
	const size_t size = own->s.kernel * own->s.kernel, c = self->parameter[0]->dims[1];

	for (size_t i = 0, at = 0; i < n_sources(own); at += packed_of(self->in[i++])->stored)
		for (size_t map = 0; map < own->s.maps; map++)
			for (size_t v = 0; v < packed_of(self->in[i])->c; v++)
				winograd_arrange(&own->winograd, self->parameter[0]->value + (map * c + channel_of(self, i, v)) * size, at,
					packed_of(self->in[i])->stored, v, map, packed);
}

static void
winograd_slice(const struct node *self, size_t slice, float *scratch)
{
	const struct conv_node *own = self->settings;
	const size_t at = slice * packed_slice(&own->out);
	struct winograd_source sources[2];
	const struct winograd_target to = { &own->out, self->value + at, self->parameter[2]->value + winograd_weights(&own->winograd),
		own->has_add ? self->in[self->n_in - 1]->value + at : NULL, own->slope };

	for (size_t i = 0; i < n_sources(own); i++)
		sources[i] = (struct winograd_source){ packed_of(self->in[i]), self->in[i]->value + slice * packed_slice(packed_of(self->in[i])) };
	winograd_run(&own->winograd, sources, n_sources(own), self->parameter[2]->value, &to, scratch);
}

/* ---- either ---- */

static void
conv_forward(const struct node *self, const struct run *r)
{
	const struct conv_node *own = self->settings;

	for (size_t slice = 0; slice < self->shape.n; slice++) {
		for (size_t y = 0; own->way != BY_WINOGRAD && y < own->out.h; y++)
			straight_row(self, slice, y);
		if (own->way == BY_WINOGRAD)
			winograd_slice(self, slice, run_scratch(r, 0));
		packed_border(&own->out, self->value + slice * packed_slice(&own->out));
	}
}

static void
conv_prepare(const struct node *self)
{
	const struct conv_node *own = self->settings;
	struct parameter *packed = self->parameter[2];
	const size_t n = own->way == BY_WINOGRAD ? own->out.stored : columns(own);

	memset(packed->value, 0, packed->size * sizeof *packed->value);
	if (own->way == BY_WINOGRAD)
		arrange_winograd(self, packed->value);
	else
		arrange_straight(self, packed->value);
	for (size_t col = 0; col < n; col++)
		if (col % own->out.stored < own->s.maps)
			packed->value[packed->size - n + col] = self->parameter[1]->value[col % own->out.stored];
}

static const struct op conv_op = { "packed convolution", conv_shape, conv_forward, NULL };

static size_t
packed_size(const struct node *self)
{
	const struct conv_node *own = self->settings;

	if (own->way == BY_WINOGRAD)
		return arena_sum(winograd_weights(&own->winograd), own->out.stored);
	return arena_product(arena_product(own->s.kernel * patch_pixels(own), stored_in(self, n_sources(own))) + 1, columns(own));
}

struct node *
node_packed_conv(struct graph *g, const struct packed_conv *what, const char *name)
{
	struct conv_node own = { .out.prepare = conv_prepare, .s = what->s, .slope = what->slope, .resized = what->resized, .has_beside = what->beside,
		.has_add = what->add };
	struct node *in[3] = { what->x }, *node;
	size_t n_in = 1, size;

	if (what->beside)
		in[n_in++] = what->beside;
	if (what->add)
		in[n_in++] = what->add;
	node = graph_add(g, &conv_op, n_in, in, &own, sizeof own);
	if (!node)
		return NULL;
	graph_use(g, node, PARAMETER_TRAINED, name, "weight", 4, (size_t[]){ what->s.maps, packed_of(what->x)->c + (what->beside ? packed_of(what->beside)->c : 0),
		what->s.kernel, what->s.kernel });
	graph_use(g, node, PARAMETER_TRAINED, name, "bias", 1, &what->s.maps);
	size = packed_size(node);
	graph_use(g, node, PARAMETER_DERIVED, name, "packed", 1, &size);
	return node;
}
