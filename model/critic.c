/* The critic of SegAN (Xue et al. 2017, Sect. 2): three blocks of [convolution 4x4 stride 2, BatchNorm but in the first, LeakyReLU]; the loss looks at the
 * output of every block and at the masked image itself. Ours: with a critic a label map, the loss is the mean of theirs.
 *
 * Both sides, prediction and truth, run as one batch of 2n slices; BatchNorm takes them as two groups, so that the numbers are those of two passes. */
#include "model/critic.h"
#include "model/nn/loss.h"
#include "model/nn/ops.h"
#include "model/nn/wide.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_SIDES = 2 };

struct sight { struct graph *graph; struct node *layer[CRITIC_LAYERS]; };     /* of one critic, for the planned size */

struct critic {
	enum critic_kind kind;
	enum critic_input input;
	enum layer_mean mean;
	size_t channels, labels, width;
	double slope, bn_eps;
	struct team *team;
	struct parameters *parameters;
	bool exact;
	size_t n_critics, n_maps;              /* label maps that one critic sees */
	struct sight sights[MODEL_MAX_SEGMENTS];
};

/* "critic.enc2.bn" or, with a critic a label map, "critic.1.enc2.bn" */
struct name { char text[PARAMETER_NAME]; };

static struct name
name(const struct critic *c, size_t k, size_t level, const char *leaf)
{
	struct name n;

	if (c->kind == CRITIC_EACH)
		snprintf(n.text, sizeof n.text, "critic.%zu.enc%zu.%s", k, level, leaf);
	else
		snprintf(n.text, sizeof n.text, "critic.enc%zu.%s", level, leaf);
	return n;
}

static size_t
input_maps(const struct critic *c)
{
	return c->input == CRITIC_MASK ? c->channels * c->n_maps : c->channels + c->n_maps;
}

/* Builds critic k over 2n slices; what goes wrong is told when it is planned. -1: memory. */
static int
build(const struct critic *c, size_t k, struct shape in, struct sight *out, struct err *e)
{
	struct graph *g = out->graph = graph_new(c->parameters, e);
	struct node *x;

	if (!g)
		return -1;
	graph_set_team(g, c->team);
	if (c->exact)
		graph_set_exact(g);
	x = out->layer[0] = graph_input(g, in);
	if (x)
		x->wanted = true;
	for (size_t i = 1; i < CRITIC_LAYERS; i++) {
		struct conv s = { .maps = c->width << (i - 1), .kernel = 4, .stride = 2, .pad = 1, .bias = i == 1 };
		x = node_conv(g, x, s, name(c, k, i, "conv").text);
		if (i > 1)
			x = node_norm_groups(g, x, (struct norm_groups){ N_SIDES, (float)c->slope }, c->bn_eps, name(c, k, i, "bn").text);
		else
			x = node_leaky(g, x, (float)c->slope);
		out->layer[i] = x;
	}
	for (size_t i = 0; x && i < CRITIC_LAYERS; i++)
		out->layer[i]->seeded = true;
	return 0;
}

static void
close_sights(struct critic *c)
{
	for (size_t k = 0; k < c->n_critics; k++) {
		graph_free(c->sights[k].graph);
		c->sights[k] = (struct sight){ 0 };
	}
}

struct critic *
critic_new(const struct game_settings *s, struct team *team, struct err *e)
{
	struct critic *c = calloc(1, sizeof *c);

	assert(s->critic != CRITIC_NONE && s->network.labels <= MODEL_MAX_SEGMENTS);
	if (!c) {
		err_set(e, ERR_LIMIT, "no memory for a critic");
		return NULL;
	}
	*c = (struct critic){ .kind = s->critic, .input = s->critic_input, .mean = s->layer_mean, .channels = s->network.channels, .labels = s->network.labels,
		.width = s->critic_width ? s->critic_width : s->network.width, .slope = s->network.leaky_slope, .bn_eps = s->network.bn_eps, .team = team };
	c->n_critics = c->kind == CRITIC_EACH ? c->labels : 1;
	c->n_maps = c->kind == CRITIC_EACH ? 1 : c->labels;
	c->parameters = parameters_new(e);
	if (c->parameters && critic_plan(c, 1, 16, 16, e) == 0)
		return c;
	critic_free(c);
	return NULL;
}

void
critic_free(struct critic *c)
{
	if (!c)
		return;
	close_sights(c);
	parameters_free(c->parameters);
	free(c);
}

void
critic_set_exact(struct critic *c)
{
	c->exact = true;
}

struct parameters *
critic_parameters(const struct critic *c)
{
	return c->parameters;
}

int
critic_plan(struct critic *c, size_t n, size_t h, size_t w, struct err *e)
{
	close_sights(c);
	/* All are built before the first is planned: the plan closes the list of the parameters' names. */
	for (size_t k = 0; k < c->n_critics; k++)
		if (build(c, k, (struct shape){ N_SIDES * n, input_maps(c), h, w }, &c->sights[k], e) != 0)
			return -1;
	for (size_t k = 0; k < c->n_critics; k++)
		if (graph_plan(c->sights[k].graph, PLAN_TRAIN, e) != 0)
			return err_note(e, "the critic");
	return 0;
}

/* Slices are the items of what follows. */
struct view { const struct critic *critic; enum critic_side side; const float *x, *maps; float *dmaps; };

static struct shape
input_shape(const struct critic *c)
{
	return c->sights[0].layer[0]->shape;
}

/* The input of critic k at a slice of the batch: (input maps, h, w). */
static size_t
slice_at(const struct view *v, size_t slice)
{
	const struct shape in = input_shape(v->critic);

	return (v->side == CRITIC_TRUTH ? in.n / N_SIDES + slice : slice) * in.c * in.h * in.w;
}

static void
show_slice(void *arg, size_t slice, unsigned lane)
{
	const struct view *v = arg;
	const struct critic *c = v->critic;
	const size_t plane = shape_plane(input_shape(c));
	const float *x = v->x + slice * c->channels * plane, *maps = v->maps + slice * c->labels * plane;

	(void)lane;
	for (size_t k = 0; k < c->n_critics; k++) {
		float *to = c->sights[k].layer[0]->value + slice_at(v, slice);
		const float *map = maps + k * c->n_maps * plane;

		if (c->input == CRITIC_CONCAT) {
			memcpy(to, x, c->channels * plane * sizeof *to);
			memcpy(to + c->channels * plane, map, c->n_maps * plane * sizeof *to);
			continue;
		}
		for (size_t m = 0; m < c->n_maps; m++, map += plane)
			for (size_t i = 0; i < c->channels; i++, to += plane)
				for (size_t j = 0; j < plane; j++)
					to[j] = x[i * plane + j] * map[j];
	}
}

WIDE_TWIN(show_slice)

void
critic_show(struct critic *c, enum critic_side side, const float *x, const float *maps)
{
	struct view v = { .critic = c, .side = side, .x = x, .maps = maps };

	team_run(c->team, input_shape(c).n / N_SIDES, WIDEST(show_slice), &v);
}

/* What one value of layer i counts in the loss (SEGAN.md "The game"). */
static double
share(const struct critic *c, const struct sight *s, size_t i)
{
	double all = 0;

	if (c->mean == LAYER_MEAN)
		return 1.0 / (double)(c->n_critics * CRITIC_LAYERS * (shape_size(s->layer[i]->shape) / N_SIDES));
	for (size_t j = 0; j < CRITIC_LAYERS; j++)
		all += (double)(shape_size(s->layer[j]->shape) / N_SIDES);
	return 1 / (all * (double)c->n_critics);
}

double
critic_compare(struct critic *c, double weight, bool both)
{
	double loss = 0;

	for (size_t k = 0; k < c->n_critics; k++) {
		const struct sight *s = &c->sights[k];
		struct layer layers[CRITIC_LAYERS];

		graph_forward(s->graph);
		for (size_t i = 0; i < CRITIC_LAYERS; i++) {
			const struct node *node = s->layer[i];
			const size_t slices = node->shape.n / N_SIDES, size = node->shape.c * shape_plane(node->shape), half = slices * size;
			layers[i] = (struct layer){ node->value, node->value + half, node->gradient, both ? node->gradient + half : NULL, slices, size, share(c, s, i) };
		}
		loss += loss_l1(c->team, layers, CRITIC_LAYERS, weight);
	}
	return loss;
}

void
critic_move_statistics(struct critic *c, double momentum)
{
	for (size_t k = 0; k < c->n_critics; k++)
		norm_move_statistics(c->sights[k].graph, momentum);
}

void
critic_learn(struct critic *c)
{
	parameters_clear_gradients(c->parameters);
	for (size_t k = 0; k < c->n_critics; k++)
		graph_backward(c->sights[k].graph, (struct backward){ input_shape(c).n, true, false });
}

/* d(x o map)/d map = x, summed over the channels */
static void
pass_on_slice(void *arg, size_t slice, unsigned lane)
{
	const struct view *v = arg;
	const struct critic *c = v->critic;
	const size_t plane = shape_plane(input_shape(c));
	const float *x = v->x + slice * c->channels * plane;

	(void)lane;
	for (size_t k = 0; k < c->n_critics; k++) {
		const float *from = c->sights[k].layer[0]->gradient + slice_at(v, slice);
		float *to = v->dmaps + (slice * c->labels + k * c->n_maps) * plane;

		if (c->input == CRITIC_CONCAT)
			for (size_t j = 0; j < c->n_maps * plane; j++)
				to[j] += from[c->channels * plane + j];
		else
			for (size_t m = 0; m < c->n_maps; m++, to += plane)
				for (size_t i = 0; i < c->channels; i++, from += plane)
					for (size_t j = 0; j < plane; j++)
						to[j] += x[i * plane + j] * from[j];
	}
}

WIDE_TWIN(pass_on_slice)

void
critic_pass_on(struct critic *c, const float *x, float *dmaps)
{
	struct view v = { .critic = c, .side = CRITIC_PREDICTION, .x = x, .dmaps = dmaps };
	const size_t n = input_shape(c).n / N_SIDES;

	for (size_t k = 0; k < c->n_critics; k++)
		graph_backward(c->sights[k].graph, (struct backward){ n, false, true });
	team_run(c->team, n, WIDEST(pass_on_slice), &v);
}
