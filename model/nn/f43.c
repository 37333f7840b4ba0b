/* Winograd F(4x4, 3x3). This file alone is compiled for AVX-512 as a whole, products and sums joined: f43_plan sends other CPUs another way.
 *
 * Sixteen neighbouring tiles are the lanes of a vector; the tiles of a band are numbered row after row, and vectors go on over the ends of rows. Images
 * come in by phases: phase (i, j) holds pixel (4 row + i, 4 column + j) of every tile. Of the 6x6 inputs of a tile, columns 4 and 5 are phases of their own, the
 * right neighbour's first two; rows 4 and 5 are read off the lower neighbour, `across` tiles further. */
#include "model/nn/f43.h"
#include "model/nn/arena.h"
#include "model/nn/wide.h"

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 16, TILE = 4, SIDE = 6, FREQUENCIES = SIDE * SIDE, IN_PHASES = TILE * SIDE, OUT_PHASES = TILE * TILE };
enum { ROWS = 8, COLUMNS = 3 };                      /* most of the block of sums that a product holds in registers, columns in vectors */
enum { BAND_FLOATS = 400 * 1024, SMALL_BAND_FLOATS = 64 * 1024 };   /* what a band's transforms may take of the cache, to fill vectors; if they are full anyway */
/* Where the transforms of images, or of the weight for few tiles, cost more than they save. */
enum { LEAST_C = 4, LEAST_TILES = 16, FEW_KERNELS = 64 * 64 };

typedef float lanes __attribute__((vector_size(64), may_alias, aligned(4)));
#define INLINE static inline __attribute__((always_inline))

static size_t
tiles(const struct f43 *p)
{
	return p->vectors * LANES;
}

static size_t
padded_c(const struct f43 *p)
{
	return (p->c + LANES - 1) / LANES * LANES;
}

/* From one phase to the next: the band's tiles, the row below, and what whole vectors reach beyond. */
static size_t
phase_step(const struct f43 *p)
{
	return arena_rounded((p->band + 1) * p->across + 2 * LANES);
}

/* From one frequency to the next; an odd number of cache lines, for the sets of the cache. */
static size_t
frequency_step(size_t rows, size_t row)
{
	size_t lines = rows * row / LANES;

	return (lines + 1 - lines % 2) * LANES;
}

static size_t
vectors_of(size_t across, size_t band)
{
	return (band * across + LANES - 1) / LANES;
}

bool
f43_plan(size_t c, size_t maps, size_t h, size_t w, struct f43 *out)
{
	size_t best = SIZE_MAX;

	*out = (struct f43){ .c = c, .maps = maps, .h = h, .w = w, .across = (w + TILE - 1) / TILE, .down = (h + TILE - 1) / TILE };
	if (!cpu_is_wide() || c < LEAST_C || (out->across * out->down < LEAST_TILES && c * maps > FEW_KERNELS))
		return false;
	for (size_t band = 1; band <= out->down; band++) {
		size_t vectors = vectors_of(out->across, band), all = vectors * ((out->down + band - 1) / band), floats = FREQUENCIES * LANES * vectors * (c + maps);
		if (band > 1 && floats > BAND_FLOATS)
			break;
		if (all < best || (all == best && floats <= SMALL_BAND_FLOATS)) {
			best = all;
			out->band = band;
			out->vectors = vectors;
		}
	}
	return true;
}

static size_t
largest(size_t a, size_t b)
{
	return a > b ? a : b;
}

size_t
f43_scratch(const struct f43 *p)
{
	const size_t phases = (IN_PHASES + OUT_PHASES) * phase_step(p), x = FREQUENCIES * frequency_step(padded_c(p), tiles(p)), y = FREQUENCIES * frequency_step(p->maps, tiles(p));

	return phases + x + y + FREQUENCIES * frequency_step(padded_c(p), tiles(p)) + largest(TILE * TILE * tiles(p), LANES);
}

size_t
f43_weight_size(const struct f43 *p)
{
	return FREQUENCIES * frequency_step(p->maps, (p->c + LANES - 1) / LANES * LANES);
}

size_t
f43_sums_size(const struct f43 *p)
{
	return FREQUENCIES * frequency_step(p->maps, padded_c(p));
}

/* ---- the product ---- */

/* c (rows, columns vectors) = or += a (rows, k) * b (k, columns vectors) */
struct block { const float *a; size_t lda; const float *b; size_t ldb; size_t k; float *c; size_t ldc; bool add; };

INLINE void
put(float *to, lanes sum, bool add)
{
	if (add)
		sum += *(lanes *)to;
	*(lanes *)to = sum;
}

/* Written out row by row: compilers keep an array of sums in memory, or half of it. */
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define ZERO(i) lanes sum##i##0 = { 0 }, sum##i##1 = { 0 }, sum##i##2 = { 0 };
#define ADD(i) if (i < rows) { sum##i##0 += a[i * lda] * b0; if (columns > 1) sum##i##1 += a[i * lda] * b1; if (columns > 2) sum##i##2 += a[i * lda] * b2; }
#define PUT(i) if (i < rows) { put(c + i * ldc, sum##i##0, add); if (columns > 1) put(c + i * ldc + LANES, sum##i##1, add); \
	if (columns > 2) put(c + i * ldc + 2 * LANES, sum##i##2, add); }

INLINE void
multiply_block(const struct block *p, size_t rows, size_t columns)
{
	const float *a = p->a, *b = p->b;
	const size_t lda = p->lda, ldb = p->ldb, ldc = p->ldc;
	const bool add = p->add;
	float *const c = p->c;

	EACH_ROW(ZERO)
	for (size_t k = p->k; k > 0; k--, a++, b += ldb) {
		const lanes b0 = *(const lanes *)b, b1 = *(const lanes *)(b + (columns > 1) * LANES), b2 = *(const lanes *)(b + (columns > 2) * 2 * LANES);
		EACH_ROW(ADD)
	}
	EACH_ROW(PUT)
}

typedef void block_fn(const struct block *p);
#define BLOCK(rows, columns) static void multiply_##rows##_##columns(const struct block *p) { multiply_block(p, rows, columns); }
BLOCK(8, 3) BLOCK(8, 2) BLOCK(8, 1) BLOCK(4, 3) BLOCK(4, 2) BLOCK(4, 1) BLOCK(1, 3) BLOCK(1, 2) BLOCK(1, 1)

/* c (m, n) = or += a (m, k) * b (k, n); n a multiple of LANES */
static void
multiply(size_t m, size_t n, struct block whole)
{
	static block_fn *const fns[3][COLUMNS] = { { multiply_8_1, multiply_8_2, multiply_8_3 }, { multiply_4_1, multiply_4_2, multiply_4_3 },
		{ multiply_1_1, multiply_1_2, multiply_1_3 } };
	struct block p = whole;

	for (size_t j = 0, columns; j < n; j += columns * LANES) {
		size_t left = (n - j) / LANES;
		columns = left == 4 ? 2 : left < COLUMNS ? left : COLUMNS;
		for (size_t i = 0, rows; i < m; i += rows) {
			rows = m - i >= ROWS ? ROWS : m - i >= 4 ? 4 : 1;
			p.a = whole.a + i * whole.lda;
			p.b = whole.b + j;
			p.c = whole.c + i * whole.ldc + j;
			fns[rows == ROWS ? 0 : rows == 4 ? 1 : 2][columns - 1](&p);
		}
	}
}

/* ---- phases ---- */

/* columns [x, x + LANES) of a row of w pixels; zero outside it */
INLINE lanes
load_columns(const float *row, ptrdiff_t x, ptrdiff_t w, bool inside)
{
	__mmask16 mask = inside ? 0xffff : 0;

	if (x < 0)
		mask = (__mmask16)(mask << -x);
	if (x + LANES > w)
		mask &= x >= w ? 0 : (__mmask16)(0xffff >> (x + LANES - w));
	return (lanes)_mm512_maskz_loadu_ps(mask, (const void *)((uintptr_t)row + (uintptr_t)(x * (ptrdiff_t)sizeof *row)));
}

#define EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#define ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31)
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

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

/* Row y of an image (h, w), zero where it has none, from column `x` on: the four phases of 16 tiles. */
INLINE void
split_part(const struct f43 *p, const float *image, ptrdiff_t y, ptrdiff_t x, lanes phase[TILE])
{
	const ptrdiff_t w = (ptrdiff_t)p->w;
	const bool inside = y >= 0 && y < (ptrdiff_t)p->h;
	const float *row = image + (inside ? y * w : 0);
	lanes pixels[TILE];

	if (inside && x >= 0 && x + TILE * LANES <= w)
		for (ptrdiff_t i = 0; i < TILE; i++) {
			pixels[i] = *(const lanes *)(row + x + i * LANES);
			__builtin_prefetch(row + x + i * LANES + p->h * p->w);     /* the next map's */
		}
	else
		for (ptrdiff_t i = 0; i < TILE; i++)
			pixels[i] = load_columns(row, x + i * LANES, w, inside);
	deal_phases(pixels, phase);
}

/* Rows of the inputs from tile row `first` on -> phases; a tile begins a pixel up and left of its outputs. */
static void
split_inputs(const struct f43 *p, const float *image, size_t first, float *phases)
{
	const size_t step = phase_step(p);

	for (size_t r = 0; r < p->band * TILE + SIDE - TILE; r++) {
		const ptrdiff_t y = (ptrdiff_t)(first * TILE + r) - 1;
		float *to = phases + r % TILE * SIDE * step + r / TILE * p->across, *right = to + TILE * step - 1;    /* a tile's column 4 is the next one's 0 */
		const float before0 = right[0], before1 = right[step];

		for (size_t tile = 0; tile < p->across; tile += LANES) {
			lanes phase[TILE];
			split_part(p, image, y, (ptrdiff_t)(tile * TILE) - 1, phase);
			for (size_t j = 0; j < TILE; j++)
				*(lanes *)(to + j * step + tile) = phase[j];
			*(lanes *)(right + tile) = phase[0];
			*(lanes *)(right + step + tile) = phase[1];
		}
		right[0] = before0;                /* the row's before, which the first vectors reached */
		right[step] = before1;
		right[p->across] = y >= 0 && y < (ptrdiff_t)p->h && p->w == p->across * TILE ? image[((size_t)y + 1) * p->w - 1] : 0;
		right[p->across + step] = 0;
	}
}

/* The same of the outputs' gradients, which need no neighbours. */
static void
split_outputs(const struct f43 *p, const float *image, size_t first, float *phases)
{
	const size_t step = phase_step(p);

	for (size_t r = 0; r < p->band * TILE; r++)
		for (size_t tile = 0; tile < p->across; tile += LANES) {
			lanes phase[TILE];
			split_part(p, image, (ptrdiff_t)(first * TILE + r), (ptrdiff_t)(tile * TILE), phase);
			for (size_t j = 0; j < TILE; j++)
				*(lanes *)(phases + (r % TILE * TILE + j) * step + r / TILE * p->across + tile) = phase[j];
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
	const size_t phase = phase_step(p);
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
	const size_t phase = phase_step(p);
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

/* ---- forward ---- */

/* One kernel by G on both sides; from back to front when turned. */
static void
transform_kernel(const float *kernel, bool turned, size_t step, float *to)
{
	static const float g[SIDE][3] = { { 1 / 4.0f, 0, 0 }, { -1 / 6.0f, -1 / 6.0f, -1 / 6.0f }, { -1 / 6.0f, 1 / 6.0f, -1 / 6.0f },
		{ 1 / 24.0f, 1 / 12.0f, 1 / 6.0f }, { 1 / 24.0f, -1 / 12.0f, 1 / 6.0f }, { 0, 0, 1 } };
	float half[SIDE][3];

	for (size_t f = 0; f < SIDE; f++)
		for (size_t x = 0; x < 3; x++) {
			half[f][x] = 0;
			for (size_t y = 0; y < 3; y++)
				half[f][x] += g[f][y] * kernel[turned ? 8 - (y * 3 + x) : y * 3 + x];
		}
	for (size_t f = 0; f < FREQUENCIES; f++)
		to[f * step] = half[f / SIDE][0] * g[f % SIDE][0] + half[f / SIDE][1] * g[f % SIDE][1] + half[f / SIDE][2] * g[f % SIDE][2];
}

void
f43_weight(const struct f43 *p, const float *weight, bool turned, float *to)
{
	const size_t step = frequency_step(p->maps, padded_c(p));

	for (size_t m = 0; m < p->maps; m++)
		for (size_t c = 0; c < p->c; c++)
			transform_kernel(weight + (turned ? c * p->maps + m : m * p->c + c) * 9, turned, step, to + m * padded_c(p) + c);
}

/* The bands's inputs -> (36, c, tiles) */
static void
take_inputs(const struct f43 *p, const float *x, size_t first, float *phases, float *to)
{
	const size_t step = frequency_step(padded_c(p), tiles(p));

	for (size_t c = 0; c < p->c; c++) {
		split_inputs(p, x + c * p->h * p->w, first, phases);
		for (size_t v = 0; v < p->vectors; v++)
			transform_inputs(p, phases + v * LANES, step, to + c * tiles(p) + v * LANES);
	}
}

static void
finish_row(const float *from, size_t w, struct f43_finish f, float bias, float *y)
{
	if (f.bias)
		for (size_t x = 0; x < w; x++) {
			const float v = from[x] + bias, low = f.slope * v;
			y[x] = v > low ? v : low;
		}
	else if (f.add)
		for (size_t x = 0; x < w; x++)
			y[x] += from[x];
	else
		memcpy(y, from, w * sizeof *y);
}

/* (36, maps, tiles) -> the band's outputs */
static void
give_outputs(const struct f43 *p, const float *from, size_t first, struct f43_finish f, float *rows, float *y)
{
	const size_t step = frequency_step(p->maps, tiles(p)), row = tiles(p) * TILE;

	for (size_t m = 0; m < p->maps; m++) {
		for (size_t v = 0; v < p->vectors; v++)
			transform_back(from + m * tiles(p) + v * LANES, step, row, rows + v * LANES * TILE);
		for (size_t i = 0; i < p->band * TILE && first * TILE + i < p->h; i++)
			finish_row(rows + i % TILE * row + i / TILE * p->across * TILE, p->w, f, f.bias ? f.bias[m] : 0, y + (m * p->h + first * TILE + i) * p->w);
	}
}

void
f43_forward(const struct f43 *p, const float *x, const float *weight, struct f43_finish f, float *scratch, float *y)
{
	const size_t in_step = frequency_step(padded_c(p), tiles(p)), out_step = frequency_step(p->maps, tiles(p)), u_step = frequency_step(p->maps, padded_c(p));
	float *phases = scratch, *in = phases + IN_PHASES * phase_step(p), *out = in + FREQUENCIES * in_step, *rows = out + FREQUENCIES * out_step;

	memset(phases, 0, IN_PHASES * phase_step(p) * sizeof *phases);
	for (size_t first = 0; first < p->down; first += p->band) {
		take_inputs(p, x, first, phases, in);
		for (size_t i = 0; i < FREQUENCIES; i++)
			multiply(p->maps, tiles(p), (struct block){ weight + i * u_step, padded_c(p), in + i * in_step, tiles(p), p->c, out + i * out_step, tiles(p), false });
		give_outputs(p, out, first, f, rows, y);
	}
}

/* ---- the weight's gradient ---- */

/* Value 16 i + j goes where 2 i + j / 8 and 2 (j % 8) + i / 8 say: the bits of its place turn by one. */
INLINE void
deal(const lanes from[LANES], lanes to[LANES])
{
	for (size_t i = 0; i < LANES / 2; i++) {
		to[2 * i] = LOW(from[i], from[i + 8]);
		to[2 * i + 1] = HIGH(from[i], from[i + 8]);
	}
}

/* 16 rows of 16 values, `from_row` apart -> its transpose */
static void
transpose(const float *from, size_t from_row, float *to, size_t to_row)
{
	lanes a[LANES], b[LANES];

	for (size_t i = 0; i < LANES; i++)
		a[i] = *(const lanes *)(from + i * from_row);
	deal(a, b);
	deal(b, a);
	deal(a, b);
	deal(b, a);
	for (size_t i = 0; i < LANES; i++)
		*(lanes *)(to + i * to_row) = a[i];
}

/* (36, c, tiles) -> (36, tiles, c) */
static void
transpose_inputs(const struct f43 *p, const float *from, float *to)
{
	const size_t c = padded_c(p), n = tiles(p), from_step = frequency_step(c, n), to_step = frequency_step(n, c);

	for (size_t f = 0; f < FREQUENCIES; f++)
		for (size_t i = 0; i < c; i += LANES)
			for (size_t t = 0; t < n; t += LANES)
				transpose(from + f * from_step + i * n + t, n, to + f * to_step + t * c + i, c);
}

/* The outputs' gradients of the band -> (36, maps, tiles) */
static void
take_gradients(const struct f43 *p, const float *dy, size_t first, float *phases, float *to)
{
	const size_t step = frequency_step(p->maps, tiles(p));

	for (size_t m = 0; m < p->maps; m++) {
		split_outputs(p, dy + m * p->h * p->w, first, phases);
		for (size_t v = 0; v < p->vectors; v++)
			transform_outputs(p, phases + v * LANES, step, to + m * tiles(p) + v * LANES);
	}
}

void
f43_add(const struct f43 *p, const float *x, const float *dy, float *scratch, float *sums)
{
	const size_t c = padded_c(p), n = tiles(p), x_step = frequency_step(c, n), y_step = frequency_step(p->maps, n), turned_step = frequency_step(n, c);
	const size_t sum_step = frequency_step(p->maps, c);
	float *phases = scratch, *out_phases = phases + IN_PHASES * phase_step(p), *in = out_phases + OUT_PHASES * phase_step(p);
	float *out = in + FREQUENCIES * x_step, *turned = out + FREQUENCIES * y_step;

	memset(phases, 0, (IN_PHASES + OUT_PHASES) * phase_step(p) * sizeof *phases);    /* what is behind the last tile counts nothing */
	for (size_t f = 0; f < FREQUENCIES; f++)
		memset(in + f * x_step + p->c * n, 0, (c - p->c) * n * sizeof *in);
	for (size_t first = 0; first < p->down; first += p->band) {
		take_inputs(p, x, first, phases, in);
		transpose_inputs(p, in, turned);
		take_gradients(p, dy, first, out_phases, out);
		for (size_t f = 0; f < FREQUENCIES; f++)
			multiply(p->maps, c, (struct block){ out + f * y_step, n, turned + f * turned_step, c, n, sums + f * sum_step, c, true });
	}
}

/* G' s */
INLINE void
to_kernel(const lanes s[SIDE], lanes k[3])
{
	const lanes even = s[1] + s[2], odd = s[2] - s[1], even2 = s[3] + s[4], odd2 = s[3] - s[4];

	k[0] = s[0] / 4 - even / 6 + even2 / 24;
	k[1] = odd / 6 + odd2 / 12;
	k[2] = s[5] - even / 6 + even2 / 6;
}

void
f43_gradient(const struct f43 *p, const float *sums, size_t n_parts, size_t stride, size_t m, float *gradient)
{
	const size_t step = frequency_step(p->maps, padded_c(p));

	for (size_t first = 0; first < p->c; first += LANES) {
		lanes half[3][SIDE], kernel[9];
		for (size_t x = 0; x < SIDE; x++) {
			lanes s[SIDE], k[3];
			for (size_t y = 0; y < SIDE; y++) {
				const float *from = sums + (y * SIDE + x) * step + m * padded_c(p) + first;
				s[y] = *(const lanes *)from;
				for (size_t part = 1; part < n_parts; part++)
					s[y] += *(const lanes *)(from + part * stride);
			}
			to_kernel(s, k);
			for (size_t y = 0; y < 3; y++)
				half[y][x] = k[y];
		}
		for (size_t y = 0; y < 3; y++)
			to_kernel(half[y], kernel + 3 * y);
		for (size_t c = first; c < p->c && c < first + LANES; c++)
			for (size_t k = 0; k < 9; k++)
				gradient[(m * p->c + c) * 9 + k] += kernel[k][c - first];
	}
}
