/* How well a model folder does on prepared cases: mean over the cases of the volumetric Dice, by the very path that serves. */
#pragma once
#include "model/sampler.h"

/* m: of the folder (m->dir), its preprocessing as the cases were prepared. Of each case the mean over the segments; both empty: 1. n 0: nan. */
int validate(const struct manifest *m, const struct prepared *cases, size_t n, unsigned threads, double *mean_dice, struct err *e);
