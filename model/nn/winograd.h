/* Winograd's convolution over packed maps: tiles of the output from sums at a few points, where a product of a tile and a kernel is one multiplication a
 * point (Lavin, Gray 2016). 3x3: tiles of 4x4 from 6x6 points, 2.25 multiplications an output for 9. 4x4 stride 2, as four 2x2 kernels over
 * every other pixel: tiles of 3x3 from 4x4 points, 7.1 for 16. A resize x2 before it is part of the transform: a tile then comes from 4x4 pixels. */
#pragma once
#include "model/nn/packed.h"

enum winograd_form { WINOGRAD_SAME, WINOGRAD_RESIZED, WINOGRAD_HALVING };

enum { WINOGRAD_MAX_POINTS = 36 };

struct winograd {
	enum winograd_form form;
	size_t rows, cols, maps;       /* of the output; maps as stored: a multiple of 8 */
	size_t k;                      /* values of a tile at a point: all stored maps in, HALVING four times */
	size_t points, tile;           /* along a side: 6 and 4, or 4 and 3 */
	size_t down, across, band;     /* tiles; rows of tiles that are worked on at once */
};

/* An input's maps of one slice; `stored` is a multiple of 8. */
struct winograd_source { const struct packed *layout; const float *values; };
/* What becomes of the sums: + bias (maps), LeakyReLU, + add (laid out like to; NULL: nothing). */
struct winograd_target { const struct packed *layout; float *values; const float *bias, *add; float slope; };

struct winograd winograd_plan(enum winograd_form form, size_t rows, size_t cols, size_t k, size_t maps);
size_t winograd_scratch(const struct winograd *p);                           /* floats to work in */
size_t winograd_weights(const struct winograd *p);                           /* floats of the arranged weights */
/* Puts one kernel (3x3, or 4x4) into its places: of map `map` and the value `channel` of an input with `stored` values a pixel that begins at `at` of k. */
void winograd_arrange(const struct winograd *p, const float *kernel, size_t at, size_t stored, size_t channel, size_t map, float *weights);
/* One slice. sources: their maps lie side by side in k. */
void winograd_run(const struct winograd *p, const struct winograd_source *sources, size_t n_sources, const float *weights, const struct winograd_target *to,
	float *scratch);
