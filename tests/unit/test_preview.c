/* The picture by its pixels: left is on the right, front or head is up, whatever way the grid is stored; square pixels; outlines; the slice with the largest area. */
#include "service/flow/preview.h"

#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct picture { size_t width, height; unsigned char *rgb; };

static struct picture
draw(const struct preview_request *r)
{
	png_image image = { .version = PNG_IMAGE_VERSION };
	struct picture p;
	struct err e = { 0 };
	size_t n;
	unsigned char *png = preview_png(r, &n, &e);

	if (png == NULL)
		fail_msg("%s", e.text);
	assert_int_equal(png_image_begin_read_from_memory(&image, png, n), 1);
	image.format = PNG_FORMAT_RGB;
	p = (struct picture) { image.width, image.height, malloc(PNG_IMAGE_SIZE(image)) };
	assert_int_equal(png_image_finish_read(&image, NULL, p.rgb, 0, NULL), 1);
	free(png);
	return p;
}

/* Centre of what is bright or, with colour, of the pixels that are just that. *n: how many. */
static void
centre(const struct picture *p, const unsigned char *colour, double *x, double *y, size_t *n)
{
	*x = *y = 0;
	*n = 0;
	for (size_t j = 0; j < p->height; j++)
		for (size_t i = 0; i < p->width; i++) {
			const unsigned char *c = p->rgb + (j * p->width + i) * 3;
			if (colour != NULL ? memcmp(c, colour, 3) != 0 : c[0] < 128 || c[1] < 128 || c[2] < 128)
				continue;
			*x += (double)i + 0.5;
			*y += (double)j + 0.5;
			++*n;
		}
	*x /= (double)*n;
	*y /= (double)*n;
}

/* ---- the way round ---- */

/* A bright spot on the slice, 0.3 of the width from its middle to where `towards` (LPS) points. */
static void
put_spot(const struct grid *g, float *voxels, const double towards[3])
{
	double middle[3], at[3], index[3];

	memset(voxels, 0, g->rows * g->cols * sizeof *voxels);
	grid_point(g, 0, ((double)g->rows - 1) / 2, ((double)g->cols - 1) / 2, middle);
	for (size_t i = 0; i < 3; i++)
		at[i] = middle[i] + 12 * towards[i];
	grid_index(g, at, index);
	for (size_t j = 0; j < g->rows; j++)
		for (size_t i = 0; i < g->cols; i++)
			if (fabs((double)j - index[1]) <= 3 && fabs((double)i - index[2]) <= 3)
				voxels[j * g->cols + i] = 100;
}

static void
is_the_right_way_round(const double row_dir[3], const double col_dir[3], const double right[3], const double up[3])
{
	struct grid g = { .slices = 1, .rows = 44, .cols = 52, .spacing_mm = { 1, 1, 1 }, .origin_mm = { 5, -7, 11 } };
	float voxels[44 * 52];
	struct preview_request r = { .grid = &g, .voxels = { .real = voxels } };
	struct picture p;
	double x, y;
	size_t n;

	memcpy(g.row_dir, row_dir, sizeof g.row_dir);
	memcpy(g.col_dir, col_dir, sizeof g.col_dir);
	put_spot(&g, voxels, right);
	p = draw(&r);
	centre(&p, NULL, &x, &y, &n);
	assert_true(n > 100);
	if (!(x > (double)p.width * 0.55))
		fail_msg("row (%g %g %g) col (%g %g %g): the right side is at x = %g of %zu", row_dir[0], row_dir[1], row_dir[2], col_dir[0], col_dir[1], col_dir[2], x, p.width);
	free(p.rgb);
	put_spot(&g, voxels, up);
	p = draw(&r);
	centre(&p, NULL, &x, &y, &n);
	if (!(y < (double)p.height * 0.45))
		fail_msg("row (%g %g %g) col (%g %g %g): what is up is at y = %g of %zu", row_dir[0], row_dir[1], row_dir[2], col_dir[0], col_dir[1], col_dir[2], y, p.height);
	free(p.rgb);
}

static void
every_storage_order_of_every_plane(void **state)
{
	static const double left[] = { 1, 0, 0 }, back[] = { 0, 1, 0 }, front[] = { 0, -1, 0 }, head[] = { 0, 0, 1 };
	static const struct { size_t a, b; const double *right, *up; } planes[] = { { 0, 1, left, front }, { 0, 2, left, head }, { 1, 2, back, head } };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (unsigned order = 0; order < 8; order++) {
			double u[3] = { 0 }, v[3] = { 0 };
			u[planes[i].a] = order & 1 ? -1 : 1;
			v[planes[i].b] = order & 2 ? -1 : 1;
			is_the_right_way_round(order & 4 ? v : u, order & 4 ? u : v, planes[i].right, planes[i].up);
		}
}

/* Turned by any angle about each axis: the sides stay the sides up to a half quarter, and exactly there nothing breaks. */
static void
oblique_slices(void **state)
{
	static const double left[] = { 1, 0, 0 }, front[] = { 0, -1, 0 };

	(void)state;
	for (int degrees = -45; degrees <= 45; degrees += 5) {
		double c = cos(degrees * M_PI / 180), s = sin(degrees * M_PI / 180);
		double in_plane[2][3] = { { c, s, 0 }, { -s, c, 0 } }, tilted[2][3] = { { 1, 0, 0 }, { 0, c, s } }, mirrored[2][3] = { { -c, -s, 0 }, { -s, c, 0 } };
		is_the_right_way_round(in_plane[0], in_plane[1], left, front);
		is_the_right_way_round(mirrored[0], mirrored[1], left, front);
		if (degrees > -45 && degrees < 45)
			is_the_right_way_round(tilted[0], tilted[1], left, front);
	}
	/* Both directions run mostly along the same axis of the patient. */
	is_the_right_way_round((double[3]) { 0.72, 0.53, 0.447 }, (double[3]) { -0.69, 0.59, 0.42 }, left, front);
}

/* ---- size ---- */

static void
pixels_are_square(void **state)
{
	struct grid g = { .slices = 1, .rows = 40, .cols = 60, .spacing_mm = { 5, 2, 1 }, .row_dir = { 1, 0, 0 }, .col_dir = { 0, 1, 0 } };
	float voxels[40 * 60] = { 0 };
	uint8_t mask[40 * 60] = { 0 };
	struct preview_request r = { .grid = &g, .voxels = { .real = voxels }, .segments = { { .mask = mask, .rgb = { 255, 1, 2 } } }, .n_segments = 1 };
	struct picture p;
	size_t left = SIZE_MAX, right = 0, top = SIZE_MAX, bottom = 0;

	(void)state;
	for (size_t j = 10; j < 20; j++)
		for (size_t i = 30; i < 50; i++) /* 20 mm x 20 mm */
			mask[j * 60 + i] = 1;
	p = draw(&r);
	assert_int_equal(p.width, 384);
	assert_int_equal(p.height, 512); /* 60 mm x 80 mm */
	for (size_t j = 0; j < p.height; j++)
		for (size_t i = 0; i < p.width; i++)
			if (memcmp(p.rgb + (j * p.width + i) * 3, r.segments[0].rgb, 3) == 0) {
				left = i < left ? i : left;
				right = i > right ? i : right;
				top = j < top ? j : top;
				bottom = j > bottom ? j : bottom;
			}
	assert_int_equal(right - left + 1, 128);
	assert_int_equal(bottom - top + 1, 128);
	assert_int_equal(left, 192);
	assert_int_equal(top, 128);
	assert_int_not_equal(memcmp(p.rgb + ((top + bottom) / 2 * p.width + (left + right) / 2) * 3, r.segments[0].rgb, 3), 0); /* an outline, not a filling */
	free(p.rgb);
}

static void
slices_of_any_shape_have_a_picture(void **state)
{
	static const struct { size_t rows, cols; double row_mm, col_mm; } shapes[] = { { 1, 1, 1, 1 }, { 16, 2048, 1, 1 }, { 2048, 16, 1, 1 }, { 3, 3, 1000, 0.001 }, { 513, 17, 0.3, 0.7 } };

	(void)state;
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		struct grid g = { .slices = 1, .rows = shapes[i].rows, .cols = shapes[i].cols, .spacing_mm = { 1, shapes[i].row_mm, shapes[i].col_mm }, .row_dir = { 1, 0, 0 },
			.col_dir = { 0, 1, 0 } };
		float *voxels = calloc(g.rows * g.cols, sizeof *voxels);
		uint8_t *mask = malloc(g.rows * g.cols);
		struct preview_request r = { .grid = &g, .voxels = { .real = voxels }, .segments = { { .mask = mask } }, .n_segments = 1 };
		struct picture p;
		memset(mask, 1, g.rows * g.cols);
		p = draw(&r);
		assert_in_range(p.width, 1, 4096);
		assert_in_range(p.height, 1, 4096);
		free(p.rgb);
		free(voxels);
		free(mask);
	}
}

/* ---- the slice ---- */

static void
the_slice_with_the_largest_area(void **state)
{
	struct grid g = { .slices = 4, .rows = 20, .cols = 20, .spacing_mm = { 1, 1, 1 }, .row_dir = { 1, 0, 0 }, .col_dir = { 0, 1, 0 } };
	float voxels[4 * 400] = { 0 };
	uint8_t first[4 * 400] = { 0 }, second[4 * 400] = { 0 };
	struct preview_request r = { .grid = &g, .voxels = { .real = voxels }, .segments = { { .mask = first, .rgb = { 255, 0, 0 } }, { .mask = second, .rgb = { 0, 255, 0 } } }, .n_segments = 2 };
	struct picture p;
	double x, y;
	size_t n;

	(void)state;
	memset(first, 1, 5);              /* slice 0: 5 */
	memset(first + 2 * 400, 1, 3);    /* slice 2: 3 and 4 */
	memset(second + 2 * 400 + 40, 1, 4);
	memset(second + 3 * 400, 1, 6);   /* slice 3: 6 */
	for (size_t i = 200; i < 400; i++)
		voxels[2 * 400 + i] = 1; /* only there is something bright */
	p = draw(&r);
	centre(&p, NULL, &x, &y, &n);
	assert_true(n > 1000);
	centre(&p, r.segments[0].rgb, &x, &y, &n);
	assert_true(n > 10);
	centre(&p, r.segments[1].rgb, &x, &y, &n);
	assert_true(n > 10);
	free(p.rgb);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_storage_order_of_every_plane), cmocka_unit_test(oblique_slices), cmocka_unit_test(pixels_are_square),
		cmocka_unit_test(slices_of_any_shape_have_a_picture), cmocka_unit_test(the_slice_with_the_largest_area),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
