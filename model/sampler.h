/* What a training step sees: which slices, and how they are moved, mirrored, turned, scaled, brightened and cut out. Sample number i of a training is
 * a function of the recipe's seed, i and the cases, of nothing else: no state to save, same bits for any number of threads. */
#pragma once
#include "model/dataset.h"
#include "model/prep.h"
#include "model/recipe.h"

/* One case, mapped and ready for prep_slice. Its place in its set; NULL: its voxels lie in memory. */
struct prepared { const struct dataset_case *source; struct prep *prep; const struct dataset *set; size_t at; struct likeness likeness[MODEL_MAX_CHANNELS]; };

/* All cases of a split. borrows d and m. *out (*n), caller: prepared_free. No case: *n 0, no error. ERR_INPUT: the set lacks a channel of m. */
int prepared_open(struct dataset *d, const struct manifest *m, enum dataset_split split, struct prepared **out, size_t *n, struct err *e);
void prepared_free(struct prepared *p, size_t n);
void prepared_rest(const struct prepared *p);                /* after use: memory does not grow with what was looked at */

struct sampler;
/* borrows r and the cases. ERR_INPUT: no cases. caller: sampler_free. */
struct sampler *sampler_new(const struct recipe *r, const struct prepared *cases, size_t n, unsigned threads, struct err *e);
void sampler_free(struct sampler *s);
int64_t sampler_epoch(const struct sampler *s);                              /* steps after which as many samples were drawn as there are slices */
/* The batch of a step (0..): x (batch, channels x slices of each, crop, crop), truth (batch, labels, crop, crop) of 0 and 1. */
void sampler_batch(struct sampler *s, int64_t step, float *x, float *truth);
