/* Bands of images -> frequencies of tiles, and back.
 *
 * Sixteen neighbouring tiles are the lanes of a vector; the tiles of a band are numbered row after row, and vectors go on over the ends of rows. Images
 * come in by phases: phase (i, j) holds pixel (4 row + i, 4 column + j) of every tile. Of the 6x6 inputs of a tile, columns 4 and 5 are phases of their own, the
 * right neighbour's first two; rows 4 and 5 are read off the lower neighbour, `across` tiles further. */
#include "model/nn/f43_own.h"

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

/* ---- phases ---- */

/* columns [x, x + LANES) of a row of w pixels; zero outside it, and without a row */
INLINE lanes
load_columns(const float *row, ptrdiff_t x, ptrdiff_t w)
{
	__mmask16 mask = row ? 0xffff : 0;

	if (x < 0)
		mask = (__mmask16)(mask << -x);
	if (x + LANES > w)
		mask &= x >= w ? 0 : (__mmask16)(0xffff >> (x + LANES - w));
	return (lanes)_mm512_maskz_loadu_ps(mask, (const void *)((uintptr_t)row + (uintptr_t)(x * (ptrdiff_t)sizeof *row)));
}

#define EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#define ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31)

/* 64 pixels -> the four phases of 16 tiles */
INLINE void
deal_phases(const lanes pixels[TILE], lanes phase[TILE])
{
	const lanes even0 = EVEN(pixels[0], pixels[1]), even1 = EVEN(pixels[2], pixels[3]), odd0 = ODD(pixels[0], pixels[1]), odd1 = ODD(pixels[2], pixels[3]);

	phase[0] = EVEN(even0, even1);
	phase[1] = EVEN(odd0, odd1);
	phase[2] = ODD(even0, even1);
	phase[3] = ODD(odd0, odd1);
}

/* The n stacked slices of one map: the first's, and how far the others are. */
struct image { const float *map; size_t step, n; };

/* Pixel row r of the stack; NULL where there is none. above: rows of a slice before its first. */
INLINE const float *
row_of(const struct f43 *p, const struct image *from, size_t r, size_t above)
{
	const size_t slice = r / (p->period * TILE), y = r % (p->period * TILE) - above;

	return slice < from->n && y < p->h ? from->map + slice * from->step + y * p->w : NULL;
}

/* 16 tiles of a row, zero where there is none, from column `x` on -> their four phases */
INLINE void
split_part(const struct f43 *p, const float *row, ptrdiff_t x, lanes phase[TILE])
{
	lanes pixels[TILE];

	for (ptrdiff_t i = 0; row && i < TILE; i++)
		__builtin_prefetch(row + ((ptrdiff_t)(p->h * p->w) + x + i * LANES));    /* the next map's */
	if (row && x >= 0 && x + TILE * LANES <= (ptrdiff_t)p->w)
		for (ptrdiff_t i = 0; i < TILE; i++)
			pixels[i] = *(const lanes *)(row + x + i * LANES);
	else
		for (ptrdiff_t i = 0; i < TILE; i++)
			pixels[i] = load_columns(row, x + i * LANES, (ptrdiff_t)p->w);
	deal_phases(pixels, phase);
}

/* Rows of the inputs from tile row `first` on -> phases; a tile begins a pixel up and left of its outputs. */
static void
split_inputs(const struct f43 *p, const struct image *from, size_t first, float *phases)
{
	const size_t step = f43_phase_step(p);

	for (size_t r = 0; r < p->band * TILE + SIDE - TILE; r++) {
		const float *row = row_of(p, from, first * TILE + r, 1);
		float *to = phases + r % TILE * SIDE * step + r / TILE * p->across, *right = to + TILE * step - 1;    /* a tile's column 4 is the next one's 0 */
		const float before0 = right[0], before1 = right[step];

		for (size_t tile = 0; tile < p->across; tile += LANES) {
			lanes phase[TILE];
			split_part(p, row, (ptrdiff_t)(tile * TILE) - 1, phase);
			for (size_t j = 0; j < TILE; j++)
				*(lanes *)(to + j * step + tile) = phase[j];
			*(lanes *)(right + tile) = phase[0];
			*(lanes *)(right + step + tile) = phase[1];
		}
		right[0] = before0;                /* the row's before, which the first vectors reached */
		right[step] = before1;
		right[p->across] = row && p->w == p->across * TILE ? row[p->w - 1] : 0;
		right[p->across + step] = 0;
	}
}

/* The same of the outputs' gradients, which need no neighbours. */
static void
split_outputs(const struct f43 *p, const struct image *from, size_t first, float *phases)
{
	const size_t step = f43_phase_step(p);

	for (size_t r = 0; r < p->band * TILE; r++) {
		const float *row = row_of(p, from, first * TILE + r, 0);
		for (size_t tile = 0; tile < p->across; tile += LANES) {
			lanes phase[TILE];
			split_part(p, row, (ptrdiff_t)(tile * TILE), phase);
			for (size_t j = 0; j < TILE; j++)
				*(lanes *)(phases + (r % TILE * TILE + j) * step + r / TILE * p->across + tile) = phase[j];
		}
	}
}

/* ---- transforms ---- */

/* B' d */
INLINE void
to_inputs(const lanes d[SIDE], lanes t[SIDE])
{
	const lanes p = d[4] - 4 * d[2], q = d[3] - 4 * d[1], r = d[4] - d[2], s = d[3] - d[1];

	t[0] = 4 * d[0] - 5 * d[2] + d[4];
	t[1] = p + q;
	t[2] = p - q;
	t[3] = r + 2 * s;
	t[4] = r - 2 * s;
	t[5] = 4 * d[1] - 5 * d[3] + d[5];
}

/* A d */
INLINE void
to_outputs(const lanes d[TILE], lanes t[SIDE])
{
	const lanes even = d[0] + d[2], odd = d[1] + d[3], even2 = d[0] + 4 * d[2], odd2 = 2 * d[1] + 8 * d[3];

	t[0] = d[0];
	t[1] = even + odd;
	t[2] = even - odd;
	t[3] = even2 + odd2;
	t[4] = even2 - odd2;
	t[5] = d[3];
}

/* A' m */
INLINE void
from_outputs(const lanes m[SIDE], lanes y[TILE])
{
	const lanes s1 = m[1] + m[2], d1 = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];

	y[0] = m[0] + s1 + s2;
	y[1] = d1 + 2 * d2;
	y[2] = s1 + 4 * s2;
	y[3] = d1 + 8 * d2 + m[5];
}

/* 16 tiles of the inputs, phases of their own at `phases` -> 36 vectors, `step` apart */
static void
transform_inputs(const struct f43 *p, const float *phases, size_t step, float *to)
{
	const size_t phase = f43_phase_step(p);
	lanes columns[SIDE][SIDE];             /* [x][frequency down] */

	for (size_t x = 0; x < SIDE; x++) {
		lanes d[SIDE];
		for (size_t y = 0; y < SIDE; y++)
			d[y] = *(const lanes *)(phases + (y % TILE * SIDE + x) * phase + y / TILE * p->across);
		to_inputs(d, columns[x]);
	}
	for (size_t f = 0; f < SIDE; f++) {
		lanes d[SIDE], t[SIDE];
		for (size_t x = 0; x < SIDE; x++)
			d[x] = columns[x][f];
		to_inputs(d, t);
		for (size_t x = 0; x < SIDE; x++)
			*(lanes *)(to + (f * SIDE + x) * step) = t[x];
	}
}

/* The same of the outputs' gradients. */
static void
transform_outputs(const struct f43 *p, const float *phases, size_t step, float *to)
{
	const size_t phase = f43_phase_step(p);
	lanes columns[TILE][SIDE];

	for (size_t x = 0; x < TILE; x++) {
		lanes d[TILE];
		for (size_t y = 0; y < TILE; y++)
			d[y] = *(const lanes *)(phases + (y * TILE + x) * phase);
		to_outputs(d, columns[x]);
	}
	for (size_t f = 0; f < SIDE; f++) {
		lanes d[TILE], t[SIDE];
		for (size_t x = 0; x < TILE; x++)
			d[x] = columns[x][f];
		to_outputs(d, t);
		for (size_t x = 0; x < SIDE; x++)
			*(lanes *)(to + (f * SIDE + x) * step) = t[x];
	}
}

/* 36 vectors of 16 tiles -> their four rows, 64 pixels each, `row` apart */
static void
transform_back(const float *from, size_t step, size_t row, float *to)
{
	lanes columns[SIDE][TILE];             /* [frequency across][y] */

	for (size_t f = 0; f < SIDE; f++) {
		lanes m[SIDE];
		for (size_t y = 0; y < SIDE; y++)
			m[y] = *(const lanes *)(from + (y * SIDE + f) * step);
		from_outputs(m, columns[f]);
	}
	for (size_t y = 0; y < TILE; y++) {
		lanes m[SIDE], t[TILE];
		for (size_t f = 0; f < SIDE; f++)
			m[f] = columns[f][y];
		from_outputs(m, t);
		const lanes even_low = LOW(t[0], t[2]), even_high = HIGH(t[0], t[2]), odd_low = LOW(t[1], t[3]), odd_high = HIGH(t[1], t[3]);
		lanes *out = (lanes *)(to + y * row);
		out[0] = LOW(even_low, odd_low);
		out[1] = HIGH(even_low, odd_low);
		out[2] = LOW(even_high, odd_high);
		out[3] = HIGH(even_high, odd_high);
	}
}

/* ---- bands ---- */

void
f43_take_inputs(const struct f43 *p, struct f43_band b, const float *x, size_t step, float *to)
{
	const size_t plane = p->h * p->w;

	for (size_t c = 0; c < p->c; c++) {
		split_inputs(p, &(struct image){ x + c * plane, p->c * plane, b.n }, b.first, b.phases);
		for (size_t v = 0; v < p->vectors; v++)
			transform_inputs(p, b.phases + v * LANES, step, to + c * f43_tiles(p) + v * LANES);
	}
}

void
f43_take_gradients(const struct f43 *p, struct f43_band b, const float *dy, float *to)
{
	const size_t plane = p->h * p->w, step = f43_step(p->maps, f43_tiles(p));

	for (size_t m = 0; m < p->maps; m++) {
		split_outputs(p, &(struct image){ dy + m * plane, p->maps * plane, b.n }, b.first, b.phases);
		for (size_t v = 0; v < p->vectors; v++)
			transform_outputs(p, b.phases + v * LANES, step, to + m * f43_tiles(p) + v * LANES);
	}
}

/* Past the caches, without reading first what is overwritten. */
static void
stream_row(const float *from, size_t w, float *y)
{
	for (size_t x = 0; x < w; x += LANES)
		_mm512_stream_ps(y + x, (__m512)*(const lanes *)(from + x));
}

static void
finish_row(const struct f43 *p, const float *from, struct f43_finish f, float bias, float *y)
{
	const size_t w = p->w;

	if (f.bias)
		for (size_t x = 0; x < w; x++) {
			const float v = from[x] + bias, low = f.slope * v;
			y[x] = v > low ? v : low;
		}
	else if (f.add)
		for (size_t x = 0; x < w; x++)
			y[x] += from[x];
	else if (p->streams && (uintptr_t)y % sizeof(__m512) == 0)
		stream_row(from, w, y);
	else
		memcpy(y, from, w * sizeof *y);
}

void
f43_give_outputs(const struct f43 *p, struct f43_band b, const float *from, struct f43_finish f, float *rows, float *y)
{
	const size_t step = f43_step(p->maps, f43_tiles(p)), row = f43_tiles(p) * TILE, plane = p->h * p->w;

	for (size_t m = 0; m < p->maps; m++) {
		for (size_t v = 0; v < p->vectors; v++)
			transform_back(from + m * f43_tiles(p) + v * LANES, step, row, rows + v * LANES * TILE);
		for (size_t i = 0; i < p->band * TILE; i++) {
			const float *to = row_of(p, &(struct image){ y + m * plane, p->maps * plane, b.n }, b.first * TILE + i, 0);
			if (to)
				finish_row(p, rows + i % TILE * row + i / TILE * p->across * TILE, f, f.bias ? f.bias[m] : 0, y + (to - y));
		}
	}
	_mm_sfence();
}
