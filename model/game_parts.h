/* What tests and reference numbers look at after a step (model/verify.c). */
#pragma once
#include "model/game.h"
#include "model/nn/parameters.h"

void game_set_exact(struct game *g);                         /* graph_set_exact, before the first step */
struct parameters *game_segmentor(const struct game *g);     /* values and the step's gradients; borrowed */
struct parameters *game_critic(const struct game *g);        /* NULL: there is none; borrowed */
const float *game_prediction(const struct game *g);          /* the step's training-mode probabilities (n, labels, h, w); borrowed */
