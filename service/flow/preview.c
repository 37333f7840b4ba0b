/* A picture of masks for people. Picks the slice, turns it the way radiologists look at it, makes pixels square, draws outlines.
 * Does not scale for print and knows no fonts: the job's JSON has the numbers. */
#include "service/flow/preview.h"

#include "config/file.h"

#include <math.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT_SIDE = 384, LONG_SIDE_MAX = 4096, DASH = 5 /* picture pixels */, SAMPLE = 1 << 21 /* voxels looked at for the grey window, at most */ };

/* How the picture's axes run through a slice: stored index = flip ? last - i : i, along rows or columns. */
struct view {
	size_t slice;
	bool x_is_row, flip_x, flip_y; /* x_is_row: the picture's horizontal axis is the stored row index */
	size_t width, height;          /* of the picture */
	double step_x, step_y;         /* stored pixels a picture pixel */
	size_t stored_x, stored_y;     /* stored pixels along each picture axis */
};

static size_t
dominant(const double direction[3])
{
	size_t axis = 0;

	for (size_t i = 1; i < 3; i++)
		if (fabs(direction[i]) > fabs(direction[axis]))
			axis = i;
	return axis;
}

static size_t
largest_slice(const struct preview_request *r)
{
	size_t plane = r->grid->rows * r->grid->cols, best = r->grid->slices / 2, most = 0;

	for (size_t k = 0; k < r->grid->slices; k++) {
		size_t area = 0;
		for (size_t s = 0; s < r->n_segments; s++)
			for (size_t i = 0; i < plane; i++)
				area += r->segments[s].mask[k * plane + i];
		if (area > most) {
			most = area;
			best = k;
		}
	}
	return best;
}

/* Axial: x to the patient's left, y to the back. Coronal: x to the left, y to the feet. Sagittal: x to the back, y to the feet. The plane is that of the
 * normal; of the two ways to lay rows and columns on its axes the better one: a picture is turned by quarters only. */
static int
plan_view(const struct preview_request *r, struct view *v, struct err *e)
{
	const struct grid *g = r->grid;
	double normal[3], width_mm, height_mm, mm;
	const double *dx, *dy;
	size_t through, across, down; /* axes of the patient: 0 left, 1 back, 2 head */

	grid_normal(g, normal);
	through = dominant(normal);
	across = through == 0 ? 1 : 0;
	down = through == 2 ? 1 : 2;
	v->slice = largest_slice(r);
	v->x_is_row = fabs(g->col_dir[across] * g->row_dir[down]) > fabs(g->row_dir[across] * g->col_dir[down]);
	dx = v->x_is_row ? g->col_dir : g->row_dir;
	dy = v->x_is_row ? g->row_dir : g->col_dir;
	v->stored_x = v->x_is_row ? g->rows : g->cols;
	v->stored_y = v->x_is_row ? g->cols : g->rows;
	v->flip_x = dx[across] < 0;
	v->flip_y = down == 2 ? dy[2] > 0 : dy[1] < 0;
	width_mm = (double)v->stored_x * (v->x_is_row ? g->spacing_mm[1] : g->spacing_mm[2]);
	height_mm = (double)v->stored_y * (v->x_is_row ? g->spacing_mm[2] : g->spacing_mm[1]);
	mm = fmax(fmin(width_mm, height_mm) / SHORT_SIDE, fmax(width_mm, height_mm) / LONG_SIDE_MAX); /* of one picture pixel */
	if (!(mm > 0) || !isfinite(mm))
		return err_set(e, ERR_INPUT, "preview: slices of %g x %g mm", width_mm, height_mm);
	v->width = (size_t)fmax(1, round(width_mm / mm));
	v->height = (size_t)fmax(1, round(height_mm / mm));
	v->step_x = (double)v->stored_x / (double)v->width;
	v->step_y = (double)v->stored_y / (double)v->height;
	return 0;
}

/* Index into a stored plane of whole stored pixel (x, y) of the view; x and y are clamped to it. */
static size_t
stored_index(const struct preview_request *r, const struct view *v, double x, double y)
{
	size_t ix = x < 0 ? 0 : x >= (double)v->stored_x ? v->stored_x - 1 : (size_t)x;
	size_t iy = y < 0 ? 0 : y >= (double)v->stored_y ? v->stored_y - 1 : (size_t)y;

	if (v->flip_x)
		ix = v->stored_x - 1 - ix;
	if (v->flip_y)
		iy = v->stored_y - 1 - iy;
	return v->x_is_row ? ix * r->grid->cols + iy : iy * r->grid->cols + ix;
}

static int
compare_floats(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

int
preview_window(const struct voxels *voxels, size_t first, size_t n, float range[2], struct err *e)
{
	size_t every = 1 + n / SAMPLE, m = (n + every - 1) / every;
	float *sorted = malloc(m * sizeof *sorted);

	if (sorted == NULL)
		return err_set(e, ERR_LIMIT, "preview: no memory");
	for (size_t i = 0; i < m; i++)
		sorted[i] = voxels_any(voxels, first + i * every);
	qsort(sorted, m, sizeof *sorted, compare_floats);
	range[0] = sorted[m / 100];
	range[1] = sorted[m - 1 - m / 200];
	free(sorted);
	return 0;
}

unsigned char
preview_grey(double value, const float range[2])
{
	value = range[1] > range[0] ? (value - (double)range[0]) / (double)(range[1] - range[0]) * 255 : 0;
	return value < 0 ? 0 : value > 255 ? 255 : (unsigned char)value;
}

static double
stored_value(const struct preview_request *r, const struct view *v, double x, double y)
{
	return (double)voxels_at(&r->voxels, v->slice, v->slice * r->grid->rows * r->grid->cols + stored_index(r, v, x, y));
}

static unsigned char
grey(const struct preview_request *r, const struct view *v, double x, double y, const float range[2])
{
	double fx = floor(x), fy = floor(y), ax = x - fx, ay = y - fy, value;

	value = (1 - ay) * ((1 - ax) * stored_value(r, v, fx, fy) + ax * stored_value(r, v, fx + 1, fy)) +
	    ay * ((1 - ax) * stored_value(r, v, fx, fy + 1) + ax * stored_value(r, v, fx + 1, fy + 1));
	return preview_grey(value, range);
}

static bool
inside(const struct preview_request *r, const struct view *v, size_t segment, size_t px, size_t py)
{
	const uint8_t *mask = r->segments[segment].mask + v->slice * r->grid->rows * r->grid->cols;

	return mask[stored_index(r, v, ((double)px + 0.5) * v->step_x, ((double)py + 0.5) * v->step_y)] != 0;
}

/* A pixel of the mask with a pixel outside it within two picture pixels. */
static bool
on_outline(const struct preview_request *r, const struct view *v, size_t segment, size_t px, size_t py)
{
	static const int step[][2] = { { -1, 0 }, { 1, 0 }, { 0, -1 }, { 0, 1 }, { -2, 0 }, { 2, 0 }, { 0, -2 }, { 0, 2 } };

	if (!inside(r, v, segment, px, py))
		return false;
	for (size_t i = 0; i < sizeof step / sizeof *step; i++) {
		ptrdiff_t x = (ptrdiff_t)px + step[i][0], y = (ptrdiff_t)py + step[i][1];
		if (x < 0 || y < 0 || x >= (ptrdiff_t)v->width || y >= (ptrdiff_t)v->height || !inside(r, v, segment, (size_t)x, (size_t)y))
			return true;
	}
	return false;
}

static int
paint(const struct preview_request *r, const struct view *v, unsigned char *rgb /* (height, width, 3) */, struct err *e)
{
	const size_t n = r->grid->rows * r->grid->cols;
	float range[2] = { 0, 0 };

	if (preview_window(&r->voxels, v->slice * n, n, range, e) != 0)
		return -1;
	for (size_t y = 0; y < v->height; y++)
		for (size_t x = 0; x < v->width; x++) {
			unsigned char *p = rgb + (y * v->width + x) * 3;
			memset(p, grey(r, v, ((double)x + 0.5) * v->step_x - 0.5, ((double)y + 0.5) * v->step_y - 0.5, range), 3);
			for (size_t s = 0; s < r->n_segments; s++)
				if (on_outline(r, v, s, x, y) && !(r->segments[s].is_dashed && (x + y) / DASH % 2))
					memcpy(p, r->segments[s].rgb, 3);
		}
	return 0;
}

static unsigned char *
encode(const struct view *v, const unsigned char *rgb, size_t *n, struct err *e)
{
	png_image image = { .version = PNG_IMAGE_VERSION, .width = (png_uint_32)v->width, .height = (png_uint_32)v->height, .format = PNG_FORMAT_RGB };
	png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
	unsigned char *bytes = malloc(size);

	if (bytes == NULL) {
		err_set(e, ERR_LIMIT, "preview: no memory");
		return NULL;
	}
	if (!png_image_write_to_memory(&image, bytes, &size, 0, rgb, 0, NULL)) {
		err_set(e, ERR_BUG, "preview: %s", image.message);
		free(bytes);
		return NULL;
	}
	*n = size;
	return bytes;
}

unsigned char *
preview_png(const struct preview_request *r, size_t *n, struct err *e)
{
	struct view v;
	unsigned char *rgb, *png = NULL;

	if (plan_view(r, &v, e) != 0)
		return NULL;
	if ((rgb = malloc(v.width * v.height * 3)) == NULL) {
		err_set(e, ERR_LIMIT, "preview: no memory");
		return NULL;
	}
	if (paint(r, &v, rgb, e) == 0)
		png = encode(&v, rgb, n, e);
	free(rgb);
	return png;
}

int
preview_write(const struct preview_request *r, const char *path, struct err *e)
{
	size_t n;
	unsigned char *png = preview_png(r, &n, e);
	int rc;

	if (png == NULL)
		return err_note(e, "%s", path);
	rc = file_write(path, png, n, e);
	free(png);
	return rc;
}
