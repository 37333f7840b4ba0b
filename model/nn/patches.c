/* Image patches -> matrix columns, and back. Zero padding is written here; the products are the caller's. */
#include "model/nn/patches.h"
#include "model/nn/arena.h"
#include "model/nn/wide.h"

#include <string.h>

/* A piece's matrix stays in a part of the L2 cache, but has columns enough to be worth the packing of the weights, and rows enough to be worth the reading
 * and writing of the sums. */
enum { PIECE_FLOATS = 64 * 1024, LEAST_ROWS = 128, MAX_SIDE = 1 << 20, MAX_KERNEL = 64 };

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t
larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* As many maps as make enough rows, then rows of the output, then maps again. */
static void
plan_piece(struct patches *p)
{
	const size_t kernel = p->kernel * p->kernel;

	p->maps = smaller((LEAST_ROWS + kernel - 1) / kernel, p->c);
	p->band = smaller(PIECE_FLOATS / (p->maps * kernel * p->cols) + 1, p->rows);
	if (p->band == p->rows)
		p->maps = smaller(larger(PIECE_FLOATS / (p->rows * p->cols * kernel) + 1, p->maps), p->c);
}

int
patches_plan(const struct conv *s, struct shape in, struct patches *out, struct err *e)
{
	if (s->kernel == 0 || s->kernel > MAX_KERNEL || s->stride == 0 || s->pad >= s->kernel || s->maps == 0 || in.h > MAX_SIDE || in.w > MAX_SIDE)
		return err_set(e, ERR_INPUT, "not a convolution: kernel %zu, stride %zu, padding %zu", s->kernel, s->stride, s->pad);
	if (in.h + 2 * s->pad < s->kernel || in.w + 2 * s->pad < s->kernel || in.c == 0)
		return err_set(e, ERR_INPUT, "%zu x %zu x %zu is smaller than the kernel", in.c, in.h, in.w);
	*out = (struct patches){ .c = in.c, .h = in.h, .w = in.w, .kernel = s->kernel, .stride = s->stride, .pad = s->pad };
	out->rows = (in.h + 2 * s->pad - s->kernel) / s->stride + 1;
	out->cols = (in.w + 2 * s->pad - s->kernel) / s->stride + 1;
	plan_piece(out);
	return 0;
}

size_t
patches_scratch(const struct patches *p)
{
	return arena_product(arena_product(p->maps, p->kernel * p->kernel), arena_product(p->band, p->cols));
}

struct patches
patches_piece(const struct patches *p, size_t first)
{
	struct patches piece = *p;

	piece.c = smaller(p->maps, p->c - first);
	return piece;
}

/* Output columns [*begin, *end) whose image column x*stride + kx - pad is inside the image. */
static void
inside(const struct patches *p, size_t kx, size_t *begin, size_t *end)
{
	*begin = kx >= p->pad ? 0 : (p->pad - kx + p->stride - 1) / p->stride;
	*end = p->w + p->pad <= kx ? 0 : (p->w + p->pad - kx - 1) / p->stride + 1;
	if (*end > p->cols)
		*end = p->cols;
	if (*begin > *end)
		*begin = *end;
}

/* One output row's values for kernel column kx: image row -> cols floats, zeros outside. */
static void
fill_row(const struct patches *p, const float *image_row, size_t kx, float *to)
{
	size_t begin, end;

	inside(p, kx, &begin, &end);
	memset(to, 0, begin * sizeof *to);
	if (p->stride == 1)
		memcpy(to + begin, image_row + (begin + kx - p->pad), (end - begin) * sizeof *to);
	else
		for (size_t x = begin; x < end; x++)
			to[x] = image_row[x * p->stride + kx - p->pad];
	memset(to + end, 0, (p->cols - end) * sizeof *to);
}

static void
add_row(const struct patches *p, const float *from, size_t kx, float *image_row)
{
	size_t begin, end;

	inside(p, kx, &begin, &end);
	for (size_t x = begin; x < end; x++)
		image_row[x * p->stride + kx - p->pad] += from[x];
}

/* The kernel of the encoders: 4x4, stride 2, padding 1, even width. One image row feeds all four kernel columns, whose rows of the matrix are `step` apart:
 * column 1 is its even pixels, 2 its odd ones, 0 and 3 those one to the left and right. */
static bool
is_halving(const struct patches *p)
{
	return p->kernel == 4 && p->stride == 2 && p->pad == 1 && p->w == 2 * p->cols;
}

static void
fill_halving(const float *restrict row, size_t cols, size_t step, float *restrict to)
{
	float *restrict left = to, *restrict even = to + step, *restrict odd = to + 2 * step, *restrict right = to + 3 * step;

	left[0] = right[cols - 1] = 0;
	even[0] = row[0];
	for (size_t x = 1; x < cols; x++) {
		float o = row[2 * x - 1], e = row[2 * x];
		odd[x - 1] = left[x] = o;
		even[x] = right[x - 1] = e;
	}
	odd[cols - 1] = row[2 * cols - 1];
}

static void
add_halving(const float *restrict from, size_t cols, size_t step, float *restrict row)
{
	const float *restrict left = from, *restrict even = from + step, *restrict odd = from + 2 * step, *restrict right = from + 3 * step;

	row[0] += even[0];
	row[2 * cols - 1] += odd[cols - 1];
	for (size_t x = 0; x + 1 < cols; x++) {
		row[2 * x + 1] += odd[x] + left[x + 1];
		row[2 * x + 2] += even[x + 1] + right[x];
	}
}

static void
fill_all_halving(const struct patches *p, const float *image, size_t first, size_t n, float *matrix)
{
	const size_t step = n * p->cols;       /* of one row of the matrix */

	for (size_t line = 0; line < p->c * 4; line++, matrix += 4 * step)       /* (c, ky) */
		for (size_t y = 0; y < n; y++) {
			size_t row = (first + y) * 2 + line % 4;                 /* of the padded image */
			float *to = matrix + y * p->cols;

			if (row >= 1 && row < p->h + 1)
				fill_halving(image + (line / 4 * p->h + row - 1) * p->w, p->cols, step, to);
			else
				for (size_t kx = 0; kx < 4; kx++)
					memset(to + kx * step, 0, p->cols * sizeof *to);
		}
}

static void
add_all_halving(const struct patches *p, const float *matrix, size_t first, size_t n, float *image)
{
	const size_t step = n * p->cols;

	for (size_t line = 0; line < p->c * 4; line++, matrix += 4 * step)
		for (size_t y = 0; y < n; y++) {
			size_t row = (first + y) * 2 + line % 4;
			if (row >= 1 && row < p->h + 1)
				add_halving(matrix + y * p->cols, p->cols, step, image + (line / 4 * p->h + row - 1) * p->w);
		}
}

WIDE static void
fill_all_halving_wide(const struct patches *p, const float *image, size_t first, size_t n, float *matrix)
{
	fill_all_halving(p, image, first, n, matrix);
}

WIDE static void
add_all_halving_wide(const struct patches *p, const float *matrix, size_t first, size_t n, float *image)
{
	add_all_halving(p, matrix, first, n, image);
}

void
patches_fill(const struct patches *p, const float *image, size_t first, size_t n, float *matrix)
{
	if (is_halving(p)) {
		WIDEST(fill_all_halving)(p, image, first, n, matrix);
		return;
	}
	for (size_t c = 0; c < p->c; c++)
		for (size_t ky = 0; ky < p->kernel; ky++)
			for (size_t kx = 0; kx < p->kernel; kx++)
				for (size_t y = first; y < first + n; y++, matrix += p->cols) {
					size_t row = y * p->stride + ky;   /* of the padded image */
					if (row < p->pad || row >= p->h + p->pad)
						memset(matrix, 0, p->cols * sizeof *matrix);
					else
						fill_row(p, image + (c * p->h + row - p->pad) * p->w, kx, matrix);
				}
}

void
patches_add(const struct patches *p, const float *matrix, size_t first, size_t n, float *image)
{
	if (is_halving(p)) {
		WIDEST(add_all_halving)(p, matrix, first, n, image);
		return;
	}
	for (size_t c = 0; c < p->c; c++)
		for (size_t ky = 0; ky < p->kernel; ky++)
			for (size_t kx = 0; kx < p->kernel; kx++)
				for (size_t y = first; y < first + n; y++, matrix += p->cols) {
					size_t row = y * p->stride + ky;   /* of the padded image */
					if (row >= p->pad && row < p->h + p->pad)
						add_row(p, matrix, kx, image + (c * p->h + row - p->pad) * p->w);
				}
}
