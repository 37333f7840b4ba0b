/* The critics: what looks at an image masked by a label map, at the prediction's and at the truth's side by side. One critic that sees every label map, or
 * one a label map. Parameters "critic.enc1.conv.weight", with one a label map "critic.0.enc1.conv.weight". */
#pragma once
#include "model/game.h"
#include "model/nn/parameters.h"
#include "model/nn/team.h"

enum { CRITIC_LAYERS = 4 };            /* the masked image itself and three blocks */
enum critic_side { CRITIC_PREDICTION, CRITIC_TRUTH };

struct critic;
/* Those of the settings' network (kind not CRITIC_NONE); all parameters 0. borrows team. caller: critic_free. */
struct critic *critic_new(const struct game_settings *s, struct team *team, struct err *e);
void critic_free(struct critic *c);
struct parameters *critic_parameters(const struct critic *c);              /* borrowed */
void critic_set_exact(struct critic *c);                                   /* graph_set_exact, from the next plan on */
/* Plans for n slices of (h, w). ERR_LIMIT: memory. */
int critic_plan(struct critic *c, size_t n, size_t h, size_t w, struct err *e);
/* Shows the critics the image x (n, channels, h, w) with the label maps (n, labels, h, w), as the prediction or as the truth. */
void critic_show(struct critic *c, enum critic_side side, const float *x, const float *maps);
/* Both sides through the critics, each by its own batch statistics. Returns L, the multi-scale loss (mean over the critics), and begins the gradient of
 * weight x L: of both sides for critic_learn, of the prediction alone for critic_pass_on. */
double critic_compare(struct critic *c, double weight, bool both);
/* Moves the running statistics by those of the last critic_compare, the prediction's first. They have no part in the game: a critic always goes by the batch. */
void critic_move_statistics(struct critic *c, double momentum);
/* After critic_compare: the gradient of the parameters (cleared before), or that of the prediction's label maps, added to dmaps (n, labels, h, w). */
void critic_learn(struct critic *c);
void critic_pass_on(struct critic *c, const float *x, float *dmaps);
