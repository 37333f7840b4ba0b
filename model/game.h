/* The SegAN game: segmentor and critic trained against each other with the multi-scale L1 loss (SEGAN.md "The game"; Xue et al. 2017, Sect. 2). One step is
 * the critic's update (segmentor fixed), then the segmentor's against the updated critic. Deterministic: same bits for the same settings, seed and data,
 * for any number of threads. */
#pragma once
#include "model/manifest.h"

#include <stdint.h>

enum critic_kind { CRITIC_NONE, CRITIC_ONE /* S1-1C, S3-1C */, CRITIC_EACH /* S3-3C: one a label map */ };
enum critic_input { CRITIC_MASK /* the paper: image times label map */, CRITIC_CONCAT /* image and label map side by side */ };
enum layer_mean { LAYER_MEAN /* mean of the layers' means */, FLAT_MEAN /* one mean over all features */ };
enum dice_over { DICE_SLICE, DICE_BATCH };
enum optimiser { OPTIMISER_RMSPROP, OPTIMISER_ADAM };

struct game_settings {
	struct network network;
	enum critic_kind critic;
	enum critic_input critic_input;
	size_t critic_width;           /* 0 = the network's */
	enum layer_mean layer_mean;
	double l1_weight, dice_weight; /* segmentor loss = l1_weight * L1 + dice_weight * soft Dice; without a critic only the latter */
	enum dice_over dice_over;
	enum optimiser optimiser;
	double lr, critic_lr /* 0 = lr */, alpha, beta1, beta2, eps, clip, bn_momentum;
};

struct game_losses { double critic, l1, dice, segmentor; }; /* critic: what it minimises, -L; critic and l1 are nan when there is none */

struct game;
struct game *game_new(const struct game_settings *s, unsigned threads, struct err *e);      /* caller: game_free */
void game_free(struct game *g);
void game_initialise(struct game *g, uint64_t seed);          /* as PyTorch's defaults: uniform in +-1/sqrt(fan in); BatchNorm 1, 0 */
/* x (n, channels, h, w), truth (n, labels, h, w) of 0 and 1; h and w multiples of 16. ERR_LIMIT: memory. ERR_STATE: a loss is not finite (parameters as before the step
 * are lost: go back to a checkpoint). */
int game_step(struct game *g, const float *x, const float *truth, size_t n, size_t h, size_t w, struct game_losses *out, struct err *e);
void game_learning_rate(struct game *g, double factor);       /* of both optimisers' rates, from the next step on */
/* Probabilities by running statistics, (n, labels, h, w). */
int game_probability(struct game *g, const float *x, size_t n, size_t h, size_t w, float *probability, struct err *e);
int game_save(const struct game *g, const char *path, struct err *e);   /* everything that the next step depends on: parameters, statistics, moments, step; safetensors */
int game_load(struct game *g, const char *path, struct err *e);
int game_export(const struct game *g, const char *path, struct err *e); /* the segmentor alone, names as PyTorch has them; safetensors */
int game_start_from(struct game *g, const char *weights, struct err *e); /* a segmentor's weights as the starting point */
