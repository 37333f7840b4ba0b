/* The SegAN segmentor in inference. What is taken from the paper (Xue et al. 2017, Sect. 2) and what not stands at the top of model/segan.c. */
#pragma once
#include "model/manifest.h"

typedef int (*progress_fn)(void *arg, size_t done, size_t total); /* nonzero: stop */

struct segmentor;
/* Reads and checks the weights of m. threads 0 = one a core. Same bits for any number of threads. caller: segmentor_free. */
struct segmentor *segmentor_load(const struct manifest *m, unsigned threads, struct err *e);
void segmentor_free(struct segmentor *s);
/* x (n, channels, h, w) -> probability (n, labels, h, w), both the caller's; h and w multiples of 16. ERR_LIMIT: memory. Not for two threads at once. */
int segmentor_run(struct segmentor *s, const float *x, size_t n, size_t h, size_t w, float *probability, struct err *e);
double segmentor_lane_bytes(const struct network *n, size_t h, size_t w); /* what a thread of it needs at most beside the weights */
unsigned segmentor_threads(const struct segmentor *s);           /* slices worth giving to one call: a multiple of this */

/* Compute core type: which OpenBLAS kernels (PERFORMANCE.md 1, LEADS.md 6). */
const char *compute_wanted_core(void);   /* "SkylakeX", "Haswell" or NULL (leave unset): what OPENBLAS_CORETYPE should be on this CPU; static */
const char *compute_core(void);          /* what OpenBLAS really uses; static */
