/* Probabilities of the segmentor as it stands: its BatchNorm folded by the running statistics, the very form that serves. Slices are shared among the
 * team's threads, each with a graph of its own. */
#include "model/game_own.h"

#include <assert.h>
#include <string.h>

void
game_close_lanes(struct game *g)
{
	while (g->n_lanes > 0)
		network_pass_close(&g->lanes[--g->n_lanes]);
}

static int
plan_lanes(struct game *g, size_t h, size_t w, struct err *e)
{
	const struct network *network = &g->settings.network;

	if (g->lane_h != h || g->lane_w != w)
		game_close_lanes(g);
	g->lane_h = h;
	g->lane_w = w;
	while (g->n_lanes < team_lanes(g->team) && g->n_lanes < GAME_MAX_LANES) {
		if (network_pass_open(&g->lanes[g->n_lanes], g->serving, network, NETWORK_SERVING, (struct shape){ 1, network->channels, h, w }, e) != 0)
			return err_note(e, "slices of %zu x %zu", h, w);
		g->n_lanes++;
	}
	return 0;
}

struct work { const struct game *game; const float *x; float *probability; };

static void
run_slice(void *arg, size_t k, unsigned lane)
{
	const struct work *w = arg;
	const struct network_pass *pass = &w->game->lanes[lane];
	const size_t in = shape_size(pass->x->shape), out = shape_size(pass->probability->shape);

	memcpy(pass->x->value, w->x + k * in, in * sizeof(float));
	graph_forward(pass->graph);
	memcpy(w->probability + k * out, pass->probability->value, out * sizeof(float));
}

int
game_probability(struct game *g, const float *x, size_t n, size_t h, size_t w, float *probability, struct err *e)
{
	struct work work = { g, x, probability };

	assert(h > 0 && w > 0 && h % NETWORK_MULTIPLE == 0 && w % NETWORK_MULTIPLE == 0);
	if (!g->serving) {
		g->serving = parameters_new(e);
		if (!g->serving || network_define(g->serving, &g->settings.network, NETWORK_SERVING, e) != 0) {
			parameters_free(g->serving);
			g->serving = NULL;
			return -1;
		}
	}
	if (network_fold(g->segmentor, g->serving, &g->settings.network, e) != 0 || plan_lanes(g, h, w, e) != 0)
		return -1;
	team_run(g->team, n, run_slice, &work);
	return 0;
}
