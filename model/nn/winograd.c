/* Transforms and products of winograd.h. A band of tile rows at a time: v (points, tiles, k), products, m (points, tiles, maps), and the way back with bias,
 * activation and sum. v is made for some tiles and 8 maps at a time: the transform down the columns into lines, then along them. Sides of v and m are
 * a cache line longer than their values, so that the points do not share the sets of a cache. */
#include "model/nn/winograd.h"
#include "model/nn/arena.h"
#include "model/nn/kernel.h"
#include "model/nn/wide.h"

#include <string.h>

/* Maps that are transformed at once. Wider registers gain nothing: it is stores that take the time, and bytes that count there. */
enum { LANES = 8 };
typedef float vec __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));
typedef int bits __attribute__((vector_size(LANES * sizeof(int))));
#define AT(p) (*(vec *)(p))                    /* no function: how a vector is passed depends on the CPU it is compiled for */

enum { SKEW = 16, BAND_FLOATS = 192 * 1024, LEAST_TILES = 48 };
enum { LINES = 8, LINE_PIXELS = 34 };          /* of the tiles that are transformed together: they stay in the L1 cache */

/* What a form reads: pixels down and along that a tile comes from, and their step from one tile to the next; kernels that it is a sum of. */
static const struct form { size_t points, tile, span, step, phases; } forms[] = {
	[WINOGRAD_SAME] = { 6, 4, 6, 4, 1 }, [WINOGRAD_RESIZED] = { 6, 4, 4, 2, 1 }, [WINOGRAD_HALVING] = { 4, 3, 8, 6, 2 },
};

/* Tile rows at once: v and m in the L2 cache, but where the weights are larger than that, half as much as those, which are read once a band; all bands alike. */
static size_t
band(const struct winograd *p)
{
	const size_t points = p->points * p->points, weights = arena_product(points, arena_product(p->k, p->maps));
	const size_t row = arena_product(arena_product(points, p->across), arena_sum(p->k, p->maps)), room = weights / 2 > BAND_FLOATS ? weights / 2 : BAND_FLOATS;
	size_t rows = row >= room ? 1 : room / row, bands;

	if (rows * p->across < LEAST_TILES)
		rows = (LEAST_TILES + p->across - 1) / p->across;
	bands = (p->down + rows - 1) / rows;
	return (p->down + bands - 1) / bands;
}

struct winograd
winograd_plan(enum winograd_form form, size_t rows, size_t cols, size_t k, size_t maps)
{
	const struct form *f = &forms[form];
	struct winograd p = { .form = form, .rows = rows, .cols = cols, .maps = maps, .k = k * f->phases * f->phases, .points = f->points, .tile = f->tile };
	p.down = (rows + p.tile - 1) / p.tile;
	p.across = (cols + p.tile - 1) / p.tile;
	p.band = band(&p);
	return p;
}

/* Floats from one point of v, or m, to the next. */
static size_t
side(const struct winograd *p, size_t values)
{
	return arena_sum(arena_product(p->band * p->across, values), SKEW);
}

enum { RESIZE = 4 * 6 };                       /* values of one tile's resize matrix */

size_t
winograd_scratch(const struct winograd *p)
{
	const size_t v = arena_product(p->points * p->points, side(p, p->k)), m = arena_product(p->points * p->points, side(p, p->maps));

	return arena_sum(arena_rounded(p->across * RESIZE), arena_sum(arena_rounded(v), arena_rounded(m)));
}

size_t
winograd_weights(const struct winograd *p)
{
	return arena_product(p->points * p->points, arena_product(p->k, p->maps));
}

/* ---- weights: G g G' ---- */

/* (points, taps) for the points 0, 1, -1, 2, -2, infinity; and 0, 1, -1, infinity. */
static const double kernel_3[6][3] = { { 1 / 4.0 }, { -1 / 6.0, -1 / 6.0, -1 / 6.0 }, { -1 / 6.0, 1 / 6.0, -1 / 6.0 }, { 1 / 24.0, 1 / 12.0, 1 / 6.0 },
	{ 1 / 24.0, -1 / 12.0, 1 / 6.0 }, { 0, 0, 1 } };
static const double kernel_2[4][3] = { { 1 }, { 0.5, 0.5 }, { 0.5, -0.5 }, { 0, 1 } };

/* One kernel, its taps `step` apart in rows of `width`, to the place `at` of every point. */
static void
arrange_one(const struct winograd *p, const float *kernel, size_t width, size_t step, size_t at, float *weights)
{
	const double (*g)[3] = p->points == 6 ? kernel_3 : kernel_2;
	const size_t taps = p->points == 6 ? 3 : 2;
	double half[6][3] = { { 0 } };         /* G g */

	for (size_t i = 0; i < p->points; i++)
		for (size_t x = 0; x < taps; x++)
			for (size_t y = 0; y < taps; y++)
				half[i][x] += g[i][y] * (double)kernel[step * (y * width + x)];
	for (size_t point = 0; point < p->points * p->points; point++) {
		const double *row = half[point / p->points], *column = g[point % p->points];
		weights[point * p->k * p->maps + at] = (float)(row[0] * column[0] + row[1] * column[1] + row[2] * column[2]);
	}
}

void
winograd_arrange(const struct winograd *p, const float *kernel, size_t at, size_t stored, size_t channel, size_t map, float *weights)
{
	const size_t phases = forms[p->form].phases, width = phases == 2 ? 4 : 3;

	for (size_t phase = 0; phase < phases * phases; phase++)
		arrange_one(p, kernel + phase / 2 * width + phase % 2, width, phases,
			kernel_place(p->k, p->maps, at * phases * phases + phase * stored + channel, map), weights);
}

/* ---- inputs: B' d B ---- */

/* Six values at in[], `n` floats on, to six places `step` apart. */
static inline void
six_points(const float *const in[], size_t n, float *out, size_t step)
{
	const vec a = AT(in[0] + n), b = AT(in[1] + n), c = AT(in[2] + n), d = AT(in[3] + n), e = AT(in[4] + n), f = AT(in[5] + n);
	const vec bd = d - 4 * b, ce = e - 4 * c, db = 2 * (d - b), ec = e - c;

	AT(out) = 4 * a - 5 * c + e;
	AT(out + step) = ce + bd;
	AT(out + 2 * step) = ce - bd;
	AT(out + 3 * step) = ec + db;
	AT(out + 4 * step) = ec - db;
	AT(out + 5 * step) = 4 * b - 5 * d + f;
}

static inline void
four_points(const float *const in[], size_t n, float *out, size_t step)
{
	const vec a = AT(in[0] + n), b = AT(in[2] + n), c = AT(in[4] + n), d = AT(in[6] + n);

	AT(out) = a - c;
	AT(out + step) = b + c;
	AT(out + 2 * step) = c - b;
	AT(out + 3 * step) = b - d;
}

/* matrix (6, 4) */
static inline void
resized_points(const float *const in[], size_t n, const float *matrix, float *out, size_t step)
{
	const vec a = AT(in[0] + n), b = AT(in[1] + n), c = AT(in[2] + n), d = AT(in[3] + n);

	for (size_t i = 0; i < 6; i++)
		AT(out + i * step) = matrix[4 * i] * a + matrix[4 * i + 1] * b + matrix[4 * i + 2] * c + matrix[4 * i + 3] * d;
}

/* The six points of tile t from pixels 2t-1 .. 2t+2 of n that are resized to 2n: B' times the rows 4t-1 .. 4t+4 of the resized image in terms of those, rows
 * outside it zero, edges repeated. */
static void
resize_matrix(size_t n, size_t t, float matrix[RESIZE])
{
	static const float points[6][6] = { { 4, 0, -5, 0, 1, 0 }, { 0, -4, -4, 1, 1, 0 }, { 0, 4, -4, -1, 1, 0 }, { 0, -2, -1, 2, 1, 0 },
		{ 0, 2, -1, -2, 1, 0 }, { 0, 4, 0, -5, 0, 1 } };

	memset(matrix, 0, RESIZE * sizeof *matrix);
	for (size_t q = 0; q < 6; q++) {
		const size_t large = 4 * t + q;                        /* row of the resized image, plus 1 */
		size_t near, far;
		if (large == 0 || large > 2 * n)
			continue;
		near = (large - 1) / 2;
		far = large % 2 ? (near > 0 ? near - 1 : 0) : (near + 1 < n ? near + 1 : near);
		for (size_t i = 0; i < 6; i++) {
			matrix[i * 4 + near + 1 - 2 * t] += 0.75f * points[i][q];
			matrix[i * 4 + far + 1 - 2 * t] += 0.25f * points[i][q];
		}
	}
}

/* Row `index` of the source as it is stored, border included; below it the border above, which is as empty. */
static const float *
source_row(const struct winograd_source *s, size_t index)
{
	return s->values + (index <= s->layout->h + 1 ? index * s->layout->row : 0);
}

/* One source's part of a row of tiles. */
struct strip {
	const struct winograd *p;
	const float *rows[8];          /* the source's rows that the tiles come from, at the block of maps */
	size_t stored, width;          /* of the source: values a pixel, pixels a row with its border */
	float down[RESIZE];            /* resize matrix of the row */
};

/* The points down the columns: pixels [first, first + n) of the rows, zeros behind their end -> lines. */
static inline void
fill_lines(const struct strip *s, size_t first, size_t n, float lines[LINES][LINE_PIXELS * LANES])
{
	const size_t line = LINE_PIXELS * LANES, inside = first + n <= s->width ? n : s->width - first;

	for (size_t i = 0; i < inside; i++) {
		const size_t at = (first + i) * s->stored;
		float *out = lines[0] + i * LANES;
		if (s->p->form == WINOGRAD_SAME)
			six_points(s->rows, at, out, line);
		else if (s->p->form == WINOGRAD_RESIZED)
			resized_points(s->rows, at, s->down, out, line);
		else {
			four_points(s->rows, at, out, line);
			four_points(s->rows + 1, at, out + 4 * line, line);
		}
	}
	for (size_t i = 0; i < LINES && inside < n; i++)
		memset(lines[i] + inside * LANES, 0, (n - inside) * LANES * sizeof(float));
}

/* The points along the lines, of the tile whose first pixel is at `in`: to v of the tile. */
static inline void
fill_tile(const struct strip *s, const float *in, const float *matrix, float *v)
{
	const struct winograd *p = s->p;
	const size_t step = side(p, p->k), line = LINE_PIXELS * LANES;
	const float *pixels[8];

	for (size_t i = 0; i < 8; i++)
		pixels[i] = in + i * LANES;
	if (p->form == WINOGRAD_SAME)
		for (size_t i = 0; i < 6; i++)
			six_points(pixels, i * line, v + 6 * i * step, step);
	else if (p->form == WINOGRAD_RESIZED)
		for (size_t i = 0; i < 6; i++)
			resized_points(pixels, i * line, matrix, v + 6 * i * step, step);
	else
		for (size_t i = 0; i < 8; i++) {
			float *to = v + i % 4 * 4 * step + i / 4 * 2 * s->stored;
			four_points(pixels, i * line, to, step);
			four_points(pixels + 1, i * line, to + s->stored, step);
		}
}

/* Tile row t of one source, the first of whose tiles is tile `first` of the band: its values from `at` of k on. Some tiles at a time, whose pixels stay
 * in the cache while their maps are gone through. */
static inline void
fill_tiles(const struct winograd *plan, const struct winograd_source *source, size_t t, size_t first, size_t at, const float *matrices, float *v)
{
	const struct winograd p = *plan;       /* a copy that no store can mean */
	const struct form f = forms[p.form];
	const size_t at_once = (LINE_PIXELS - f.span) / f.step + 1;
	struct strip s = { .p = &p, .stored = source->layout->stored, .width = source->layout->w + 2 };
	const float *rows[8];
	float lines[LINES][LINE_PIXELS * LANES];

	if (p.form == WINOGRAD_RESIZED)
		resize_matrix(source->layout->h, t, s.down);
	for (size_t i = 0; i < f.span; i++)
		rows[i] = source_row(source, f.step * t + i);
	for (size_t x = 0; x < p.across; x += at_once) {
		const size_t n = p.across - x < at_once ? p.across - x : at_once;
		for (size_t block = 0; block < s.stored; block += LANES) {
			for (size_t i = 0; i < f.span; i++)
				s.rows[i] = rows[i] + block;
			fill_lines(&s, x * f.step, (n - 1) * f.step + f.span, lines);
			for (size_t i = 0; i < n; i++)
				fill_tile(&s, lines[0] + i * f.step * LANES, matrices + (x + i) * RESIZE,
					v + (first + x + i) * p.k + at * f.phases * f.phases + block);
		}
	}
}

/* ---- outputs: A' m A, bias, activation, sum ---- */

/* m: the points of a tile, `step` floats apart. */
static inline void
tile_4(const float *m, size_t step, vec out[4][4])
{
	vec half[4][6];

	for (size_t j = 0; j < 6; j++) {
		const float *p = m + j * step;
		const vec u = AT(p + 6 * step), v = AT(p + 12 * step), w = AT(p + 18 * step), x = AT(p + 24 * step);
		half[0][j] = AT(p) + (u + v) + (w + x);
		half[1][j] = (u - v) + 2 * (w - x);
		half[2][j] = (u + v) + 4 * (w + x);
		half[3][j] = (u - v) + 8 * (w - x) + AT(p + 30 * step);
	}
	for (size_t i = 0; i < 4; i++) {
		const vec u = half[i][1], v = half[i][2], w = half[i][3], x = half[i][4];
		out[i][0] = half[i][0] + (u + v) + (w + x);
		out[i][1] = (u - v) + 2 * (w - x);
		out[i][2] = (u + v) + 4 * (w + x);
		out[i][3] = (u - v) + 8 * (w - x) + half[i][5];
	}
}

static inline void
tile_3(const float *m, size_t step, vec out[4][4])
{
	vec half[3][4];

	for (size_t j = 0; j < 4; j++) {
		const float *p = m + j * step;
		const vec u = AT(p + 4 * step), v = AT(p + 8 * step);
		half[0][j] = AT(p) + (u + v);
		half[1][j] = u - v;
		half[2][j] = (u + v) - AT(p + 12 * step);
	}
	for (size_t i = 0; i < 3; i++) {
		const vec u = half[i][1], v = half[i][2];
		out[i][0] = half[i][0] + (u + v);
		out[i][1] = u - v;
		out[i][2] = (u + v) - half[i][3];
	}
}

/* A pixel's sums at y, its bias at b; add: NULL or what is added. */
static inline void
finish(const vec *sum, const float *b, float slope, const float *add, float *y)
{
	const vec v = *sum + AT(b), small = slope * v;
	const bits positive = v > 0, either = ((bits)v & positive) | ((bits)small & ~positive);

	AT(y) = (vec)either;
	if (add)
		AT(y) += AT(add);
}

/* Tile row t of the output, the first of whose tiles is tile `first` of the band. */
static inline void
put_tiles(const struct winograd *plan, const float *m, size_t t, size_t first, const struct winograd_target *target)
{
	const struct winograd p = *plan;       /* copies that no store can mean */
	const struct winograd_target to = *target;
	const size_t step = side(&p, p.maps), rows = p.rows - t * p.tile < p.tile ? p.rows - t * p.tile : p.tile;
	const size_t row = to.layout->row, stored = to.layout->stored;
	vec out[4][4];

	for (size_t x = 0; x < p.across; x++) {
		const size_t cols = p.cols - x * p.tile < p.tile ? p.cols - x * p.tile : p.tile, corner = (t * p.tile + 1) * row + (x * p.tile + 1) * stored;
		for (size_t map = 0; map < p.maps; map += LANES) {
			if (p.tile == 4)
				tile_4(m + (first + x) * p.maps + map, step, out);
			else
				tile_3(m + (first + x) * p.maps + map, step, out);
			for (size_t i = 0; i < rows; i++)
				for (size_t j = 0; j < cols; j++) {
					const size_t at = corner + i * row + j * stored + map;
					finish(&out[i][j], to.bias + map, to.slope, to.add ? to.add + at : NULL, to.values + at);
				}
		}
	}
}

/* ---- the whole ---- */

struct job {
	const struct winograd *p;
	const struct winograd_source *sources;
	size_t n_sources;
	const float *weights;
	const struct winograd_target *to;
	float *matrices, *v, *m;
};

static void
multiply(const struct job *j, size_t tiles)
{
	const struct winograd *p = j->p;

	for (size_t point = 0; point < p->points * p->points; point++)
		kernel_run(&(struct kernel){ .parts = &(struct kernel_part){ j->v + point * side(p, p->k), p->k, p->k }, .n_parts = 1, .m = tiles, .n = p->maps,
			.b = j->weights + point * p->k * p->maps, .c = j->m + point * side(p, p->maps), .ldc = p->maps });
}

/* The band that begins with tile row `first`. */
static void
run_band(void *arg, size_t first, unsigned lane)
{
	const struct job *j = arg;
	const struct winograd *p = j->p;
	const size_t n = p->down - first < p->band ? p->down - first : p->band;

	(void)lane;
	for (size_t t = 0; t < n; t++)
		for (size_t i = 0, at = 0; i < j->n_sources; at += j->sources[i++].layout->stored)
			fill_tiles(p, &j->sources[i], first + t, t * p->across, at, j->matrices, j->v);
	multiply(j, n * p->across);
	for (size_t t = 0; t < n; t++)
		put_tiles(p, j->m, first + t, t * p->across, j->to);
}

WIDE_TWIN(run_band)

NARROW static void
run_band_narrow(void *arg, size_t first, unsigned lane)
{
	run_band(arg, first, lane);
}

void
winograd_run(const struct winograd *p, const struct winograd_source *sources, size_t n_sources, const float *weights, const struct winograd_target *to,
	float *scratch)
{
	struct job j = { .p = p, .sources = sources, .n_sources = n_sources, .weights = weights, .to = to, .matrices = scratch };

	j.v = j.matrices + arena_rounded(p->across * RESIZE);
	j.m = j.v + arena_rounded(p->points * p->points * side(p, p->k));
	for (size_t x = 0; p->form == WINOGRAD_RESIZED && x < p->across; x++)
		resize_matrix(sources[0].layout->w, x, j.matrices + x * RESIZE);
	for (size_t first = 0; first < p->down; first += p->band) {
		if (cpu_is_wide())
			run_band_wide(&j, first, 0);
		else if (cpu_is_narrow())
			run_band_narrow(&j, first, 0);
		else
			run_band(&j, first, 0);
	}
}
