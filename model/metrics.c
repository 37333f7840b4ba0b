/* Overlap by counting; HD95 by the exact Euclidean distance transform of each outline: distances to the nearest outline voxel of the same row, then the
 * lower envelope of parabolas along rows and along slices (Felzenszwalb, Huttenlocher, "Distance Transforms of Sampled Functions", Theory of Computing 8,
 * 2012), with the grid's spacing in the parabolas. All within the box around both masks: what is nearest lies in it. */
#include "model/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The box around both masks: n[0] slices, n[1] rows, n[2] cols from begin on. */
struct box { size_t begin[3], n[3]; };

struct outlines {
	const struct grid *grid;
	struct box box;
	size_t n_voxels;                            /* of the box */
	uint8_t *truth, *result;                    /* (box): 1 on the outline */
	double *squared;                            /* (box): squared distance in mm to the nearest voxel of an outline */
	double *distance;                           /* (box): a list of distances */
	double *heights, *border;                   /* (longest + 1): one line of the transform */
	size_t *apex;                               /* (longest + 1) */
};

struct counts { size_t truth, result, both; };

static struct counts
count(const uint8_t *truth, const uint8_t *result, size_t n)
{
	struct counts c = { 0 };

	for (size_t i = 0; i < n; i++) {
		c.truth += truth[i];
		c.result += result[i];
		c.both += truth[i] & result[i];
	}
	return c;
}

static void
widen(size_t i, size_t axis, size_t low[3], size_t high[3])
{
	low[axis] = i < low[axis] ? i : low[axis];
	high[axis] = i > high[axis] ? i : high[axis];
}

static struct box
box_around(const struct grid *g, const uint8_t *truth, const uint8_t *result)
{
	size_t low[3] = { g->slices, g->rows, g->cols }, high[3] = { 0 };
	struct box b;

	for (size_t s = 0, i = 0; s < g->slices; s++)
		for (size_t r = 0; r < g->rows; r++)
			for (size_t c = 0; c < g->cols; c++, i++) {
				if (!(truth[i] | result[i]))
					continue;
				widen(s, 0, low, high);
				widen(r, 1, low, high);
				widen(c, 2, low, high);
			}
	for (size_t axis = 0; axis < 3; axis++) {
		b.begin[axis] = low[axis];
		b.n[axis] = high[axis] - low[axis] + 1;
	}
	return b;
}

/* Whether the voxel i at (s, r, c), which is in the mask, has a face neighbour that is not. */
static bool
is_border(const struct grid *g, const uint8_t *mask, size_t s, size_t r, size_t c, size_t i)
{
	const size_t plane = g->rows * g->cols;

	if (s == 0 || r == 0 || c == 0 || s + 1 == g->slices || r + 1 == g->rows || c + 1 == g->cols)
		return true;
	return !(mask[i - 1] && mask[i + 1] && mask[i - g->cols] && mask[i + g->cols] && mask[i - plane] && mask[i + plane]);
}

static void
mark_outline(const struct grid *g, const struct box *b, const uint8_t *mask, uint8_t *outline)
{
	size_t at = 0;

	for (size_t s = b->begin[0]; s < b->begin[0] + b->n[0]; s++)
		for (size_t r = b->begin[1]; r < b->begin[1] + b->n[1]; r++)
			for (size_t c = b->begin[2]; c < b->begin[2] + b->n[2]; c++, at++) {
				size_t i = (s * g->rows + r) * g->cols + c;
				outline[at] = mask[i] && is_border(g, mask, s, r, c, i);
			}
}

/* squared of one row: to the nearest outline voxel of that row, infinite where the row has none. */
static void
transform_row(const uint8_t *outline, double *squared, size_t n, double mm)
{
	double away = INFINITY;

	for (size_t i = 0; i < n; i++) {
		away = outline[i] ? 0 : away + 1;
		squared[i] = away;
	}
	away = INFINITY;
	for (size_t i = n; i-- > 0;) {
		away = outline[i] ? 0 : away + 1;
		away = away < squared[i] ? away : squared[i];
		squared[i] = away * mm * (away * mm);
	}
}

/* Where the parabola of height a over voxel p and that of height b over voxel q > p meet, in voxels. */
static double
meeting(double a, size_t p, double b, size_t q, double mm)
{
	return ((b - a) / (mm * mm) + (double)q * (double)q - (double)p * (double)p) / (2 * (double)(q - p));
}

/* The lower envelope of the parabolas over a line of n voxels, each `stride` from the next; heights that are infinite have no parabola. */
static void
transform_line(const struct outlines *o, double *line, size_t n, size_t stride, double mm)
{
	size_t k = 0, at = 0; /* k parabolas in the envelope: apex[i] from border[i] to border[i + 1] */

	for (size_t q = 0; q < n; q++) {
		double from = -INFINITY;

		o->heights[q] = line[q * stride];
		if (isinf(o->heights[q]))
			continue;
		while (k > 0 && (from = meeting(o->heights[o->apex[k - 1]], o->apex[k - 1], o->heights[q], q, mm)) <= o->border[k - 1])
			k--;
		o->apex[k] = q;
		o->border[k++] = from;
	}
	for (size_t q = 0; q < n && k > 0; q++) {
		double away;

		while (at + 1 < k && o->border[at + 1] < (double)q)
			at++;
		away = ((double)q - (double)o->apex[at]) * mm;
		line[q * stride] = away * away + o->heights[o->apex[at]];
	}
}

static void
transform(const struct outlines *o, const uint8_t *outline)
{
	const double *mm = o->grid->spacing_mm;
	const size_t slices = o->box.n[0], rows = o->box.n[1], cols = o->box.n[2];

	for (size_t row = 0; row < slices * rows; row++)
		transform_row(outline + row * cols, o->squared + row * cols, cols, mm[2]);
	for (size_t s = 0; s < slices; s++)
		for (size_t c = 0; c < cols; c++)
			transform_line(o, o->squared + s * rows * cols + c, rows, cols, mm[1]);
	for (size_t i = 0; i < rows * cols; i++)
		transform_line(o, o->squared + i, slices, rows * cols, mm[0]);
}

static int
ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* 95th percentile of the distances from each voxel of one outline to the other outline. */
static double
directed(const struct outlines *o, const uint8_t *from, const uint8_t *to)
{
	size_t n = 0, below;
	double place;

	transform(o, to);
	for (size_t i = 0; i < o->n_voxels; i++)
		if (from[i])
			o->distance[n++] = sqrt(o->squared[i]);
	qsort(o->distance, n, sizeof *o->distance, ascending);
	place = 0.95 * (double)(n - 1);
	below = (size_t)place;
	return below + 1 < n ? o->distance[below] + (place - (double)below) * (o->distance[below + 1] - o->distance[below]) : o->distance[n - 1];
}

static int
hausdorff(const struct grid *g, const uint8_t *truth, const uint8_t *result, double *hd95_mm, struct err *e)
{
	struct outlines o = { .grid = g, .box = box_around(g, truth, result) };
	size_t longest = g->slices;
	int rc = -1;

	longest = g->rows > longest ? g->rows : longest;
	o.n_voxels = o.box.n[0] * o.box.n[1] * o.box.n[2];
	o.truth = malloc(o.n_voxels);
	o.result = malloc(o.n_voxels);
	o.squared = calloc(o.n_voxels, sizeof *o.squared);
	o.distance = calloc(o.n_voxels, sizeof *o.distance);
	o.heights = calloc(longest + 1, sizeof *o.heights);
	o.border = calloc(longest + 1, sizeof *o.border);
	o.apex = calloc(longest + 1, sizeof *o.apex);
	if (!o.truth || !o.result || !o.squared || !o.distance || !o.heights || !o.border || !o.apex) {
		err_set(e, ERR_LIMIT, "no memory for the distances of %zu voxels", o.n_voxels);
		goto out;
	}
	mark_outline(g, &o.box, truth, o.truth);
	mark_outline(g, &o.box, result, o.result);
	*hd95_mm = fmax(directed(&o, o.truth, o.result), directed(&o, o.result, o.truth));
	rc = 0;
out:
	free(o.truth);
	free(o.result);
	free(o.squared);
	free(o.distance);
	free(o.heights);
	free(o.border);
	free(o.apex);
	return rc;
}

int
metrics_compare(const struct grid *g, const uint8_t *truth, const uint8_t *result, struct metrics *out, struct err *e)
{
	const struct counts c = count(truth, result, grid_voxels(g));
	const double ml = grid_voxel_ml(g);

	*out = (struct metrics){ .truth_ml = (double)c.truth * ml, .result_ml = (double)c.result * ml };
	out->volume_error_ml = out->result_ml - out->truth_ml;
	if (c.truth == 0 && c.result == 0) {
		out->dice = out->precision = out->sensitivity = 1;
		return 0;
	}
	if (c.truth == 0 || c.result == 0) {
		out->hd95_mm = NAN;
		return 0;
	}
	out->dice = 2 * (double)c.both / (double)(c.truth + c.result);
	out->precision = (double)c.both / (double)c.result;
	out->sensitivity = (double)c.both / (double)c.truth;
	return hausdorff(g, truth, result, &out->hd95_mm, e);
}
