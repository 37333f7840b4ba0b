/* What f43_plan.c, f43.c (order), f43_tiles.c (images <-> frequencies) and f43_product.c share. The last three are compiled for AVX-512 as a whole, products and
 * sums joined: not even a line of them may run before f43_plan.c, which is compiled for all, has sent other CPUs another way. */
#pragma once
#include "model/nn/f43.h"

enum { LANES = 16, TILE = 4, SIDE = 6, FREQUENCIES = SIDE * SIDE, IN_PHASES = TILE * SIDE, OUT_PHASES = TILE * TILE };

typedef float lanes __attribute__((vector_size(64), may_alias, aligned(4)));
#define INLINE static inline __attribute__((always_inline))
/* Of two vectors: their values by turns, first and second half. */
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

/* Tiles that a band is computed for, with those that fill its last vector. */
static inline size_t
f43_tiles(const struct f43 *p)
{
	return p->vectors * LANES;
}

static inline size_t
f43_padded_c(const struct f43 *p)
{
	return (p->c + LANES - 1) / LANES * LANES;
}

/* From one phase to the next: the band's tiles, the row below, and what whole vectors reach beyond. */
static inline size_t
f43_phase_step(const struct f43 *p)
{
	return ((p->band + 1) * p->across + 3 * LANES) / LANES * LANES;
}

/* From one frequency to the next of (rows, row) values; an odd number of cache lines, for the sets of the cache. row: a multiple of LANES. */
static inline size_t
f43_step(size_t rows, size_t row)
{
	return (rows * row / LANES | 1) * LANES;
}

/* f43_tiles.c: one band, from tile row `first` on, of n slices. phases: zero before the first band. */
struct f43_band { size_t n, first; float *phases /* IN_PHASES or OUT_PHASES steps */; };
void f43_take_inputs(const struct f43 *p, struct f43_band b, const float *x, size_t step, float *to);       /* x -> to (36, c, tiles), `step` a frequency */
void f43_take_gradients(const struct f43 *p, struct f43_band b, const float *dy, float *to);                /* dy -> to (36, maps, tiles) */
/* from (36, maps, tiles) -> y; rows: for TILE * TILE * tiles floats */
void f43_give_outputs(const struct f43 *p, struct f43_band b, const float *from, struct f43_finish f, float *rows, float *y);

/* f43_product.c: c (m, n) = or += a (m, k) * b (k, n); n a multiple of LANES; lda, ldb, ldc: floats from one row to the next. */
struct f43_product { const float *a; size_t lda; const float *b; size_t ldb; size_t k; float *c; size_t ldc; bool add; };
void f43_multiply(size_t m, size_t n, struct f43_product whole);
