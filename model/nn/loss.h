/* Losses with their gradients, summed in an order that no number of threads changes. */
#pragma once
#include "model/nn/team.h"

#include <stdbool.h>
#include <stddef.h>

enum { LOSS_MAX_LAYERS = 8 };

/* Two feature maps of equal shape to be compared; share: what one |a - b| counts in the loss. */
struct layer { const float *a, *b; float *da, *db /* written: gradients; NULL: not wanted */; size_t slices, size /* values a slice */; double share; };
/* sum over layers of share x sum |a - b|; the gradients are those of weight x that. n <= LOSS_MAX_LAYERS. */
double loss_l1(struct team *t, const struct layer *layers, size_t n, double weight);

/* Soft Dice of probabilities p and truth t, (slices, maps, plane) each: 1 - mean over (slice, map) of (2 sum(p t) + 1e-6) / (sum(p^2) + sum(t^2) + 1e-6),
 * or with over_batch all slices and maps in the sums at once. */
struct dice {
	const float *p, *t;
	float *dp;                     /* written: the gradient of weight x loss */
	size_t slices, maps, plane;
	bool over_batch;
	double weight;
	double *sums;                  /* 3 * slices * maps: room to work in */
};
double loss_dice(struct team *t, const struct dice *d);
