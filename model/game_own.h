/* The game's own: what game.c (steps), game_run.c (probabilities) and game_file.c (files) share. */
#pragma once
#include "model/critic.h"
#include "model/game.h"
#include "model/game_parts.h"
#include "model/network.h"
#include "model/nn/optim.h"

enum { GAME_MAX_LANES = 64 };

struct game {
	struct game_settings settings;
	struct team *team;
	struct parameters *segmentor;
	struct optim *optim;
	struct critic *critic;                 /* NULL: none, nor its optimiser */
	struct optim *critic_optim;
	uint64_t step;                         /* that were begun */
	double factor;                         /* of both learning rates */
	bool exact;
	/* planned for one size of a step; graph NULL: not yet */
	struct graph *graph;                   /* the segmentor in training */
	struct node *x, *probability;
	double *sums;                          /* (n, labels, 3): the Dice term's */
	/* for game_probability */
	struct parameters *serving;            /* folded; NULL: not yet */
	struct network_pass lanes[GAME_MAX_LANES];
	unsigned n_lanes;
	size_t lane_h, lane_w;                 /* what the lanes are planned for */
};

void game_close_lanes(struct game *g);
