/* The moving average of a segmentor's parameters and running statistics over the steps of a training: what is validated and shipped. It forgets over
 * about 1 / (1 - decay) steps, less at the beginning (1 + step) / (10 + step), so that the first weights do not linger. */
#pragma once
#include "model/manifest.h"
#include "model/nn/parameters.h"

#include <stdint.h>

struct average;
struct average *average_new(const struct network *network, double decay, struct err *e);  /* caller: average_free */
void average_free(struct average *a);
/* After a step (1..), from the game's parameters, which hold every tensor of the segmentor under the same name. */
void average_add(struct average *a, const struct parameters *game, int64_t step);
int average_save(const struct average *a, const char *path, struct err *e);               /* safetensors, as game_export */
int average_load(struct average *a, const char *path, struct err *e);
