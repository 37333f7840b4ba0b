/* In or out of distribution: what training writes into a model's manifest of its cases, and what serving asks of a new one. */
#pragma once
#include "model/prep.h"
#include "model/sampler.h"

/* channels: those that p was made from; out: one a channel. */
void distribution_measure(const struct prep *p, const struct volume *channels, size_t n_channels, struct likeness *out);
/* The statistics of m become those of the cases. */
void distribution_learn(struct manifest *m, const struct prepared *cases, size_t n_cases);
/* 0: l, one a channel of m, is what m was trained on, as far as these figures can tell. Else how many figures lie far outside, and text says which, how
 * far. Without statistics the manifest's word about the skull is all there is to judge by. */
size_t distribution_judge(const struct manifest *m, const struct likeness *l, char *text, size_t size);
