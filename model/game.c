/* The game, a step after the other. Order of a step (SEGAN.md "Reference numbers"): the critic's update with the segmentor fixed, then the segmentor's
 * against the updated critic. The segmentor does not change in between, so it runs forward once; its running statistics move twice, as two passes would
 * move them.
 *
 * DESIGN: the team's threads share the slices, maps or layers of one operation at a time (nn/team.h); whoever calls game_step is one of them. What is
 * summed over slices is summed in a fixed order (nn/parts.h). game_save and game_load: model/game_file.c. */
#include "model/game_own.h"
#include "model/nn/blas.h"
#include "model/nn/loss.h"
#include "model/nn/ops.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int
check_settings(const struct game_settings *s, struct err *e)
{
	const struct network *n = &s->network;

	if (n->channels == 0 || n->labels == 0 || n->labels > MODEL_MAX_SEGMENTS || n->width == 0)
		return err_set(e, ERR_INPUT, "no network has %zu channels, width %zu, %zu label maps", n->channels, n->width, n->labels);
	if (!(s->lr > 0) || !(s->critic_lr >= 0) || !(s->eps > 0) || !isfinite(s->lr) || !isfinite(s->critic_lr))
		return err_set(e, ERR_INPUT, "learning rates and eps must be over 0");
	if (!(s->l1_weight >= 0) || !(s->dice_weight >= 0) || s->dice_weight + (s->critic == CRITIC_NONE ? 0 : s->l1_weight) == 0)
		return err_set(e, ERR_INPUT, "the segmentor has no loss: without a critic it needs dice_weight over 0, with one this or l1_weight");
	return 0;
}

static struct optim *
new_optimiser(const struct game_settings *s, struct parameters *p, struct err *e)
{
	static const enum optim_kind kinds[] = { [OPTIMISER_RMSPROP] = OPTIM_RMSPROP, [OPTIMISER_ADAM] = OPTIM_ADAM };

	return optim_new(p, &(struct optim_settings){ kinds[s->optimiser], s->alpha, s->beta1, s->beta2, s->eps }, e);
}

/* The segmentor in training over x. */
static int
plan_segmentor(struct game *g, struct shape x, struct err *e)
{
	graph_free(g->graph);
	g->graph = graph_new(g->segmentor, e);
	if (!g->graph)
		return -1;
	graph_set_team(g->graph, g->team);
	if (g->exact)
		graph_set_exact(g->graph);
	g->x = graph_input(g->graph, x);
	g->probability = node_sigmoid(g->graph, network_segmentor(g->graph, &g->settings.network, NETWORK_TRAINING, g->x));
	if (g->probability)
		g->probability->seeded = true;
	return graph_plan(g->graph, PLAN_TRAIN, e) == 0 ? 0 : err_note(e, "the segmentor");
}

static int
plan_step(struct game *g, struct shape x, struct err *e)
{
	if (g->graph && memcmp(&g->x->shape, &x, sizeof x) == 0)
		return 0;
	free(g->sums);
	g->sums = calloc(x.n, 3 * g->settings.network.labels * sizeof *g->sums);
	if (g->sums && plan_segmentor(g, x, e) == 0 && (!g->critic || critic_plan(g->critic, x.n, x.h, x.w, e) == 0))
		return 0;
	if (!g->sums)
		err_set(e, ERR_LIMIT, "no memory");
	graph_free(g->graph);          /* half a plan is none */
	g->graph = NULL;
	return err_note(e, "planning a step of %zu slices of %zu x %zu", x.n, x.h, x.w);
}

static int
open_parts(struct game *g, unsigned threads, struct err *e)
{
	const struct shape least = { 1, g->settings.network.channels, NETWORK_MULTIPLE, NETWORK_MULTIPLE };

	g->team = team_new(threads, e);
	g->segmentor = g->team ? parameters_new(e) : NULL;
	if (!g->segmentor || plan_segmentor(g, least, e) != 0)
		return -1;
	graph_free(g->graph);          /* it was only for the names */
	g->graph = NULL;
	g->optim = new_optimiser(&g->settings, g->segmentor, e);
	if (!g->optim)
		return -1;
	if (g->settings.critic == CRITIC_NONE)
		return 0;
	g->critic = critic_new(&g->settings, g->team, e);
	g->critic_optim = g->critic ? new_optimiser(&g->settings, critic_parameters(g->critic), e) : NULL;
	return g->critic_optim ? 0 : -1;
}

struct game *
game_new(const struct game_settings *s, unsigned threads, struct err *e)
{
	struct game *g;

	if (check_settings(s, e) != 0)
		return NULL;
	g = calloc(1, sizeof *g);
	if (!g) {
		err_set(e, ERR_LIMIT, "no memory for a game");
		return NULL;
	}
	blas_one_thread();
	g->settings = *s;
	g->factor = 1;
	if (open_parts(g, threads, e) == 0)
		return g;
	game_free(g);
	return NULL;
}

void
game_free(struct game *g)
{
	if (!g)
		return;
	game_close_lanes(g);
	graph_free(g->graph);
	optim_free(g->optim);
	optim_free(g->critic_optim);
	critic_free(g->critic);
	parameters_free(g->segmentor);
	parameters_free(g->serving);
	team_free(g->team);
	free(g->sums);
	free(g);
}

static uint64_t
next_random(uint64_t *state)           /* splitmix64 (Steele, Lea, Flood 2014) */
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void
fill(struct parameter *p, float value)
{
	for (size_t i = 0; i < p->size; i++)
		p->value[i] = value;
}

/* PyTorch's defaults. A bias follows its weight in the list and has its fan-in; BatchNorm has vectors only, a convolution's weight four dimensions. */
static void
initialise(struct parameters *all, uint64_t *random)
{
	const struct parameter *weight = NULL;

	for (size_t i = 0; i < parameters_size(all); i++) {
		struct parameter *p = parameters_at(all, i);
		double bound;

		if (p->n_dims == 4)
			weight = p;
		else if (strstr(p->name, ".bn")) {
			fill(p, strstr(p->name, ".weight") || strstr(p->name, ".running_var") ? 1 : 0);
			continue;
		}
		assert(weight);
		bound = 1 / sqrt((double)(weight->size / weight->dims[0]));
		for (size_t j = 0; j < p->size; j++)
			p->value[j] = (float)(bound * (2 * ((double)(next_random(random) >> 11) * 0x1p-53) - 1));
	}
}

void
game_initialise(struct game *g, uint64_t seed)
{
	initialise(g->segmentor, &seed);
	optim_reset(g->optim);
	if (g->critic) {
		initialise(critic_parameters(g->critic), &seed);
		optim_reset(g->critic_optim);
	}
	g->step = 0;
	g->factor = 1;
}

void
game_learning_rate(struct game *g, double factor)
{
	g->factor = factor;
}

/* The critic's update: it climbs L. */
static int
critic_step(struct game *g, double *loss, struct err *e)
{
	const struct game_settings *s = &g->settings;

	*loss = -critic_compare(g->critic, -1, true);
	critic_move_statistics(g->critic, s->bn_momentum);     /* once a step: so the reference numbers have them */
	if (!isfinite(*loss))
		return err_set(e, ERR_STATE, "the critic's loss is not finite in step %llu", (unsigned long long)g->step);
	critic_learn(g->critic);
	optim_step(g->critic_optim, (s->critic_lr > 0 ? s->critic_lr : s->lr) * g->factor, g->step, s->clip);
	return 0;
}

/* The Dice term and its gradient. */
static double
dice_term(struct game *g, const float *truth)
{
	const struct shape s = g->probability->shape;

	return loss_dice(g->team, &(struct dice){ .p = g->probability->value, .t = truth, .dp = g->probability->gradient, .slices = s.n, .maps = s.c,
		.plane = s.h * s.w, .over_batch = g->settings.dice_over == DICE_BATCH, .weight = g->settings.dice_weight, .sums = g->sums });
}

/* The segmentor's update: it descends l1_weight L + dice_weight Dice; the former's gradient comes through the critic. */
static int
segmentor_step(struct game *g, const float *x, const float *truth, struct game_losses *out, struct err *e)
{
	const struct game_settings *s = &g->settings;

	out->dice = dice_term(g, truth);
	out->segmentor = s->dice_weight * out->dice;
	if (g->critic) {
		out->l1 = critic_compare(g->critic, s->l1_weight, false);
		out->segmentor += s->l1_weight * out->l1;
		critic_pass_on(g->critic, x, g->probability->gradient);
	}
	if (!isfinite(out->segmentor))
		return err_set(e, ERR_STATE, "the segmentor's loss is not finite in step %llu", (unsigned long long)g->step);
	parameters_clear_gradients(g->segmentor);
	graph_backward(g->graph, (struct backward){ g->x->shape.n, true, false });
	optim_step(g->optim, s->lr * g->factor, g->step, 0);
	return 0;
}

int
game_step(struct game *g, const float *x, const float *truth, size_t n, size_t h, size_t w, struct game_losses *out, struct err *e)
{
	const struct shape shape = { n, g->settings.network.channels, h, w };

	assert(n > 0 && h > 0 && w > 0 && h % NETWORK_MULTIPLE == 0 && w % NETWORK_MULTIPLE == 0);
	if (plan_step(g, shape, e) != 0)
		return -1;
	*out = (struct game_losses){ .critic = NAN, .l1 = NAN };
	g->step++;
	memcpy(g->x->value, x, shape_size(shape) * sizeof *x);
	graph_forward(g->graph);
	norm_move_statistics(g->graph, g->settings.bn_momentum);
	if (g->critic) {
		norm_move_statistics(g->graph, g->settings.bn_momentum);
		critic_show(g->critic, CRITIC_PREDICTION, x, g->probability->value);
		critic_show(g->critic, CRITIC_TRUTH, x, truth);
		if (critic_step(g, &out->critic, e) != 0)
			return -1;
	}
	return segmentor_step(g, x, truth, out, e);
}

void
game_set_exact(struct game *g)
{
	g->exact = true;
	if (g->critic)
		critic_set_exact(g->critic);
}

struct parameters *
game_segmentor(const struct game *g)
{
	return g->segmentor;
}

struct parameters *
game_critic(const struct game *g)
{
	return g->critic ? critic_parameters(g->critic) : NULL;
}

const float *
game_prediction(const struct game *g)
{
	return g->probability->value;
}
