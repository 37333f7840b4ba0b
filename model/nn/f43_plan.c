/* Winograd F(4x4, 3x3): which shapes go this way, in which bands, and what they need. Compiled for every CPU, as it is what keeps the others from f43.c. */
#include "model/nn/f43_own.h"
#include "model/nn/wide.h"

#include <stdint.h>

/* What a band's transforms may take of the caches: to fill vectors, if they are full anyway (or less than the weight, which every band reads once
 * more), of stacked slices. */
enum { BAND_FLOATS = 2048 * 1024, SMALL_BAND_FLOATS = 64 * 1024, STACK_FLOATS = 1024 * 1024, LEAST_STACKS = 3 };
/* What the next pass would find in a cache anyway. */
enum { CACHE_FLOATS = 2048 * 1024 };
/* Where the transforms of images, or of the weight for few tiles, cost more than they save. */
enum { LEAST_C = 4, LEAST_TILES = 16, FEW_KERNELS = 64 * 64 };

static size_t
vectors_of(size_t across, size_t band)
{
	return (band * across + LANES - 1) / LANES;
}

/* What the transforms of so many vectors of tiles take. */
static size_t
band_floats(const struct f43 *p, size_t vectors)
{
	return FREQUENCIES * LANES * vectors * (p->c + p->maps);
}

/* Bands of one slice's rows: as few vectors as there can be, then as few rows. Returns the vectors of a slice. */
static size_t
plan_bands(struct f43 *p)
{
	const size_t weight = FREQUENCIES * p->c * p->maps, small = weight > SMALL_BAND_FLOATS ? weight : SMALL_BAND_FLOATS;
	size_t best = SIZE_MAX;

	p->stack = 1;
	p->down = p->period - 1;
	for (size_t band = 1; band <= p->down; band++) {
		const size_t vectors = vectors_of(p->across, band), all = vectors * ((p->down + band - 1) / band), floats = band_floats(p, vectors);
		if (band > 1 && floats > BAND_FLOATS)
			break;
		if (all < best || (all == best && floats <= small)) {
			best = all;
			p->band = band;
			p->vectors = vectors;
		}
	}
	return best;
}

/* Slices stacked, a row of no tiles between them, where that takes fewer vectors a slice. */
static void
plan_stack(struct f43 *p, size_t n, size_t vectors_alone)
{
	for (size_t stack = 2; stack <= n / LEAST_STACKS; stack++) {
		const size_t rows = stack * p->period - 1, vectors = vectors_of(p->across, rows);
		if (band_floats(p, vectors) > STACK_FLOATS)
			break;
		if (vectors * p->stack < (p->stack == 1 ? vectors_alone : p->vectors) * stack) {
			p->stack = stack;
			p->down = p->band = rows;
			p->vectors = vectors;
		}
	}
}

bool
f43_plan(size_t c, size_t maps, size_t n, size_t h, size_t w, struct f43 *out)
{
	*out = (struct f43){ .c = c, .maps = maps, .h = h, .w = w, .across = (w + TILE - 1) / TILE, .period = (h + TILE - 1) / TILE + 1 };
	if (!cpu_is_wide() || c < LEAST_C)
		return false;
	plan_stack(out, n, plan_bands(out));
	out->streams = w % LANES == 0 && n * maps * h * w > CACHE_FLOATS;
	if (out->down * out->across < LEAST_TILES && c * maps > FEW_KERNELS)
		out->vectors = 0;
	return out->vectors > 0;
}

size_t
f43_scratch(const struct f43 *p)
{
	const size_t t = f43_tiles(p), x = f43_step(f43_padded_c(p), t), y = f43_step(p->maps, t), turned = f43_step(t, f43_padded_c(p));

	return (IN_PHASES + OUT_PHASES) * f43_phase_step(p) + FREQUENCIES * (x + y + turned) + TILE * TILE * t;
}

size_t
f43_weight_size(const struct f43 *p)
{
	return FREQUENCIES * f43_step(p->maps, f43_padded_c(p));
}

size_t
f43_sums_size(const struct f43 *p)
{
	return FREQUENCIES * f43_step(p->maps, f43_padded_c(p));
}
