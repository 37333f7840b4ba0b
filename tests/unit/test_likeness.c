/* In and out of distribution, by the shipped model's statistics: real heads of several places, positions, spacings and slabs raise no flag; the same heads
 * stripped, at half their size or garbled do, and so does what is no head. */
#include "model/distribution.h"
#include "service/commands/dataset_nifti.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SHIPPED "model/shipped/glioma-flair/1.0.0"
static const char *const heads[] = { "tests/data/lgg/TCGA_CS_4942_19970222/flair.nii.gz", "tests/data/lgg/TCGA_HT_7602_19951103/flair.nii.gz" };
enum { N_HEADS = sizeof heads / sizeof *heads };

static struct manifest shipped;

static struct nifti_volume
read_head(size_t i)
{
	struct nifti_volume v;
	struct err e;

	if (nifti_volume_read(heads[i], &v, &e) != 0)
		fail_msg("%s", e.text);
	return v;
}

static struct likeness
measure(const struct manifest *m, const struct grid *g, const float *voxels)
{
	const struct volume v = { g, { .real = voxels } };
	struct err e = { 0 };
	struct prep *p = prep_new(m, &v, 1, &e);
	struct likeness l;

	if (!p)
		fail_msg("%s", e.text);
	distribution_measure(p, &v, 1, &l);
	prep_free(p);
	return l;
}

/* What the judge says of a volume; "" nothing. */
static const char *
verdict(const struct manifest *m, const struct grid *g, const float *voxels)
{
	static char text[512];
	struct likeness l = measure(m, g, voxels);
	size_t n = distribution_judge(m, &l, text, sizeof text);

	assert_true((n > 0) == (text[0] != '\0'));
	return text;
}

static void
expect(const char *what, const char *said, const char *words)
{
	if (words[0] == '\0' ? said[0] != '\0' : !strstr(said, words))
		fail_msg("%s: \"%s\", wanted \"%s\"", what, said, words[0] ? words : "nothing");
}

/* ---- real heads ---- */

static void
real_heads_are_in(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_HEADS; i++) {
		struct nifti_volume v = read_head(i);
		struct grid slab = v.grid;
		float *slab_voxels = v.voxels + 4 * v.grid.rows * v.grid.cols;

		expect(heads[i], verdict(&shipped, &v.grid, v.voxels), "");
		slab.slices = 12;
		expect("twelve slices of it", verdict(&shipped, &slab, slab_voxels), "");
		free(v.voxels);
	}
}

/* Scanners' numbers have any scale and offset. */
static void
brightness_is_relative(void **state)
{
	struct nifti_volume v = read_head(0);
	struct likeness a = measure(&shipped, &v.grid, v.voxels), b;

	(void)state;
	for (size_t i = 0; i < grid_voxels(&v.grid); i++)
		v.voxels[i] = 16 * v.voxels[i] - 1024;
	b = measure(&shipped, &v.grid, v.voxels);
	for (size_t f = 0; f < LIKENESS_N_FIGURES; f++)
		assert_float_equal(a.figure[f], b.figure[f], 1e-9 * a.figure[f]);
	free(v.voxels);
}

/* Rows to the front, and the whole head elsewhere in the room and turned a little: the patient's left stays left. */
static void
the_frame_is_the_patients(void **state)
{
	const double c = cos(0.2), s = sin(0.2);
	struct nifti_volume v = read_head(0);
	struct likeness a = measure(&shipped, &v.grid, v.voxels), b;
	struct grid turned = v.grid;
	size_t plane = v.grid.rows * v.grid.cols;
	float *reversed = malloc(grid_voxels(&v.grid) * sizeof *reversed);

	(void)state;
	assert_non_null(reversed);
	/* Slices and rows backwards, and the grid says so. */
	for (size_t k = 0; k < v.grid.slices; k++)
		for (size_t r = 0; r < v.grid.rows; r++)
			memcpy(reversed + k * plane + r * v.grid.cols, v.voxels + (v.grid.slices - 1 - k) * plane + (v.grid.rows - 1 - r) * v.grid.cols,
				v.grid.cols * sizeof *reversed);
	grid_point(&v.grid, (double)v.grid.slices - 1, (double)v.grid.rows - 1, 0, turned.origin_mm);
	for (size_t i = 0; i < 3; i++)
		turned.col_dir[i] = -v.grid.col_dir[i];
	b = measure(&shipped, &turned, reversed);
	for (size_t f = 0; f < LIKENESS_N_FIGURES; f++)
		assert_float_equal(a.figure[f], b.figure[f], f == LIKENESS_SKULL_SHARE ? 0.02 : 1e-6 * a.figure[f]); /* rays that hit a voxel's edge */
	/* A head that nods: other axes, the same head. */
	turned = (struct grid){ v.grid.slices, v.grid.rows, v.grid.cols, { v.grid.spacing_mm[0], v.grid.spacing_mm[1], v.grid.spacing_mm[2] }, { 100, -200, 300 },
		{ 1, 0, 0 }, { 0, c, s } };
	expect("a head that nods", verdict(&shipped, &turned, v.voxels), "");
	free(reversed);
	free(v.voxels);
}

/* What lies outside an ellipse within the skull is nothing. */
static void
strip(struct nifti_volume *v, const struct likeness *l)
{
	const struct grid *g = &v->grid;
	double a = 0.38 * l->figure[LIKENESS_WIDTH_MM] / g->spacing_mm[2], b = 0.38 * l->figure[LIKENESS_LENGTH_MM] / g->spacing_mm[1];
	double sum[2] = { 0 }, n = 0;

	for (size_t pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < grid_voxels(g); i++) {
			double r = (double)(i / g->cols % g->rows), c = (double)(i % g->cols);

			if (pass == 0 && v->voxels[i] > 30) {
				sum[0] += r;
				sum[1] += c;
				n++;
			} else if (pass == 1 && hypot((r - sum[0] / n) / b, (c - sum[1] / n) / a) > 1) {
				v->voxels[i] = 0;
			}
		}
}

static void
heads_that_are_not_as_they_were(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_HEADS; i++) {
		struct nifti_volume v = read_head(i);
		struct likeness l = measure(&shipped, &v.grid, v.voxels);
		struct grid half = v.grid;

		half.spacing_mm[1] /= 2;
		half.spacing_mm[2] /= 2;
		expect("half its size", verdict(&shipped, &half, v.voxels), " mm wide (left to right); the model's training heads had 130 to 205 mm; head ");
		strip(&v, &l);
		expect("stripped", verdict(&shipped, &v.grid, v.voxels), "no skull to be seen (dark under the scalp in ");
		free(v.voxels);
		v = read_head(i);
		for (size_t k = 0; k < grid_voxels(&v.grid); k++)
			v.voxels[k] = (float)((int)v.voxels[k] * 163 % 256);
		expect("garbled", verdict(&shipped, &v.grid, v.voxels), " mm wide (left to right); the model's");
		free(v.voxels);
	}
}

/* A model without statistics has its word about the skull; one for stripped heads minds a skull. */
static void
the_skull_alone(void **state)
{
	struct nifti_volume v = read_head(0);
	struct likeness l = measure(&shipped, &v.grid, v.voxels);
	struct grid half = v.grid;
	struct manifest m = shipped;

	(void)state;
	m.statistics[0].n_cases = 0;
	half.spacing_mm[1] /= 2;
	half.spacing_mm[2] /= 2;
	expect("a head", verdict(&m, &v.grid, v.voxels), "");
	expect("half its size", verdict(&m, &half, v.voxels), "");
	m.skull_present = false;
	expect("a head for a model of stripped ones", verdict(&m, &v.grid, v.voxels), "a skull to be seen (dark under the scalp in 4");
	expect("a head for a model of stripped ones", verdict(&m, &v.grid, v.voxels), "the model takes skull-stripped heads, which have 0 to 10 %");
	strip(&v, &l);
	expect("stripped", verdict(&m, &v.grid, v.voxels), "");
	m.skull_present = true;
	expect("stripped for a model of whole ones", verdict(&m, &v.grid, v.voxels), "no skull to be seen");
	free(v.voxels);
}

/* ---- no heads ---- */

enum { S = 30, R = 256, C = 256 };
static const struct grid room = { S, R, C, { 5, 0.9, 0.9 }, { -114.75, -114.75, -72.5 }, { 1, 0, 0 }, { 0, 1, 0 } };

typedef double (*paint_fn)(const double mm[3], double noise);

static double
sphere(const double mm[3], double noise)
{
	return 20 * noise + (mm[0] * mm[0] + mm[1] * mm[1] + mm[2] * mm[2] < 75 * 75 ? 1000 : 0);
}

/* As large as a head, shaded like the field of a coil. */
static double
bottle(const double mm[3], double noise)
{
	double r = hypot(mm[0] / 75, mm[1] / 90);

	return 20 * noise + (r < 1 ? 1000 - 300 * r : 0);
}

static double
only_noise(const double mm[3], double noise)
{
	(void)mm;
	return 1000 * noise;
}

/* Fat, muscle, two bones with a dark rim and bright marrow. */
static double
knee(const double mm[3], double noise)
{
	double v = hypot(mm[0] / 62, mm[1] / 65) < 1 ? 900 : 0, femur = hypot(mm[0] + 20, mm[1] + 8), tibia = hypot(mm[0] - 22, mm[1] + 8);

	if (hypot(mm[0] / 55, mm[1] / 58) < 1)
		v = 300;
	if (femur < 20)
		v = femur < 17 ? 800 : 60;
	if (tibia < 18)
		v = tibia < 15 ? 800 : 60;
	return v + 15 * noise;
}

static float *
painted(const struct grid *g, paint_fn paint)
{
	float *v = malloc(grid_voxels(g) * sizeof *v);
	uint64_t random = 1;

	assert_non_null(v);
	for (size_t i = 0; i < grid_voxels(g); i++) {
		double mm[3];

		grid_point(g, (double)(i / g->cols / g->rows), (double)(i / g->cols % g->rows), (double)(i % g->cols), mm);
		random = random * 6364136223846793005u + 1442695040888963407u;
		v[i] = (float)paint(mm, (double)(random >> 40) / (1 << 24));
	}
	return v;
}

static void
no_heads_are_out(void **state)
{
	static const struct { const char *what; paint_fn paint; const char *words; } things[] = {
		{ "sphere", sphere, "no skull to be seen (dark under the scalp in 0 %" }, { "bottle", bottle, "no skull to be seen" },
		{ "noise", only_noise, "neighbours 2 mm apart differ by 3" }, { "knee", knee, "no skull to be seen" },
	};
	/* Noise over as much room as a head takes: only its grain tells. */
	struct grid small = { S, 180, 180, { 5, 0.9, 0.9 }, { -80.55, -80.55, -72.5 }, { 1, 0, 0 }, { 0, 1, 0 } };
	float *v;

	(void)state;
	for (size_t i = 0; i < sizeof things / sizeof *things; i++) {
		v = painted(&room, things[i].paint);
		expect(things[i].what, verdict(&shipped, &room, v), things[i].words);
		free(v);
	}
	v = painted(&small, only_noise);
	expect("noise of a head's size", verdict(&shipped, &small, v), "neighbours 2 mm apart differ by 3");
	free(v);
}

/* ---- the figures ---- */

static void
sizes_are_those_of_an_ellipse(void **state)
{
	float *v = painted(&room, bottle);
	struct likeness l = measure(&shipped, &room, v);

	(void)state;
	assert_float_equal(l.figure[LIKENESS_WIDTH_MM], 150, 1);
	assert_float_equal(l.figure[LIKENESS_LENGTH_MM], 180, 1);
	assert_float_equal(l.figure[LIKENESS_HEAD_ML], M_PI * 7.5 * 9 * 15, 20);
	assert_true(l.figure[LIKENESS_SKULL_SHARE] == 0);
	assert_float_equal(l.figure[LIKENESS_QUARTER_1] + l.figure[LIKENESS_QUARTER_2] + l.figure[LIKENESS_QUARTER_3] + l.figure[LIKENESS_QUARTER_4], 1, 1e-12);
	free(v);
}

/* A saw of nine millimetres: what lies two apart differs, what lies nine apart does not. */
static double
saw(const double mm[3], double noise)
{
	(void)noise;
	return 100 + 100 * fmod(mm[0] + 500 * 9 + 0.001, 9) / 9;
}

static void
grain_is_that_of_two_millimetres(void **state)
{
	const struct grid fine = { 2, 64, 640, { 5, 0.45, 0.45 }, { -144, -14, 0 }, { 1, 0, 0 }, { 0, 1, 0 } };
	float *v = painted(&room, saw), *w = painted(&fine, saw);
	double a = measure(&shipped, &room, v).figure[LIKENESS_ROUGHNESS], b = measure(&shipped, &fine, w).figure[LIKENESS_ROUGHNESS];

	(void)state;
	assert_float_equal(a, 0.36, 0.04);     /* eight steps of 0.2 and two of 0.8 a tooth, of 0.9 from low to high */
	assert_float_equal(b, a, 0.03);
	free(v);
	free(w);
}

/* More voxels than are looked at: every second row. */
static void
large_volumes_have_the_same_figures(void **state)
{
	const struct grid fine = { 60, 512, 512, { 2.5, 0.45, 0.45 }, { -114.975, -114.975, -73.75 }, { 1, 0, 0 }, { 0, 1, 0 } };
	float *v = painted(&room, bottle), *w = painted(&fine, bottle);
	struct likeness a = measure(&shipped, &room, v), b = measure(&shipped, &fine, w);

	(void)state;
	assert_float_equal(a.figure[LIKENESS_HEAD_ML] / b.figure[LIKENESS_HEAD_ML], 1, 0.01);
	assert_float_equal(a.figure[LIKENESS_WIDTH_MM], b.figure[LIKENESS_WIDTH_MM], 1);
	assert_float_equal(a.figure[LIKENESS_LENGTH_MM], b.figure[LIKENESS_LENGTH_MM], 1);
	free(v);
	free(w);
}

/* Too small for rays: not known, so not judged; its size is. */
static void
what_cannot_be_measured_is_not_judged(void **state)
{
	struct grid g = { 1, 16, 16, { 5, 0.9, 0.9 }, { -6.75, -6.75, 0 }, { 1, 0, 0 }, { 0, 1, 0 } };
	float *v = painted(&g, only_noise);
	struct likeness l = measure(&shipped, &g, v);
	char text[512];

	(void)state;
	assert_true(isnan(l.figure[LIKENESS_SKULL_SHARE]));
	assert_true(distribution_judge(&shipped, &l, text, sizeof text) > 0);
	expect("a crumb", text, "head of 1 ml; the model's training heads had 1476 to 8182 ml");
	assert_null(strstr(text, "skull"));
	free(v);
}

static void
ranges_grow(void **state)
{
	struct likeness_range r = likeness_nothing();
	struct likeness a = { { 100, NAN } }, b = { { 300, 5 } };
	char text[20];

	(void)state;
	assert_int_equal(likeness_judge(&r, &a, text, sizeof text), 0);
	assert_string_equal(text, "");
	likeness_add(&r, &a);
	assert_true(r.low[0] == 100 && r.high[0] == 100 && isnan(r.low[1]));
	likeness_add(&r, &b);
	assert_true(r.low[0] == 100 && r.high[0] == 300 && r.low[1] == 5 && r.high[1] == 5);
	b.figure[0] = 601; /* over twice the highest */
	b.figure[1] = 3.9; /* under 0.8 of the lowest */
	assert_int_equal(likeness_judge(&r, &b, text, sizeof text), 2);
	assert_string_equal(text, "head of 601 ml; the"); /* cut, not beyond its room */
}

/* Of three cases less is known than of a hundred; but not whether they had a skull. */
static void
few_cases_have_wider_margins(void **state)
{
	struct likeness_range r = likeness_nothing();
	struct likeness l = { { NAN, NAN, NAN, 0.05, NAN, 0.55, NAN, NAN, 0.1 } };
	char text[512];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		likeness_add(&r, &l);
	l.figure[LIKENESS_QUARTER_2] = 0.26;
	l.figure[LIKENESS_ROUGHNESS] = 0.21;
	assert_int_equal(likeness_judge(&r, &l, text, sizeof text), 0);
	l.figure[LIKENESS_SKULL_SHARE] = 0.21;
	assert_int_equal(likeness_judge(&r, &l, text, sizeof text), 1);
	expect("a skull", text, "a skull to be seen (dark under the scalp in 21 % of directions)");
	r.n_cases = 100;
	assert_int_equal(likeness_judge(&r, &l, text, sizeof text), 3);
}

static struct likeness_scale
scale_of(const struct nifti_volume *v)
{
	struct err e = { 0 };
	struct prep *p = prep_new(&shipped, &(struct volume){ &v->grid, { .real = v->voxels } }, 1, &e);
	struct likeness_scale s;

	assert_non_null(p);
	s = prep_scale(p, 0);
	prep_free(p);
	return s;
}

/* Thick sagittal and coronal slices of a real head have its skull: as six rows, or columns, at once. */
static void
thick_slices_of_other_planes(void **state)
{
	enum { THICK = 6 };

	(void)state;
	for (size_t plane = 0; plane < 2 * N_HEADS; plane++) {
		struct nifti_volume v = read_head(plane / 2);
		const struct grid *g = &v.grid;
		const bool is_sagittal = plane % 2;
		/* Sagittal: slices to the left, rows down, columns to the back. Coronal: slices to the back, rows down, columns to the left. */
		struct grid t = { (is_sagittal ? g->cols : g->rows) / THICK, g->slices, is_sagittal ? g->rows : g->cols,
			{ THICK * g->spacing_mm[is_sagittal ? 2 : 1], g->spacing_mm[0], g->spacing_mm[is_sagittal ? 1 : 2] }, { 0, 0, 0 }, { !is_sagittal, is_sagittal, 0 },
			{ 0, 0, -1 } };
		float *out = calloc(grid_voxels(&t), sizeof *out);
		struct likeness l;
		char text[512];

		assert_non_null(out);
		assert_true(g->row_dir[0] * g->row_dir[0] > 0.9);      /* the columns of these files run along x, their rows along y */
		for (size_t k = 0; k < t.slices; k++)
			for (size_t r = 0; r < t.rows; r++)
				for (size_t c = 0; c < t.cols; c++)
					for (size_t i = 0; i < THICK; i++) {
						size_t across = (is_sagittal ? t.slices - 1 - k : k) * THICK + i, slice = g->slices - 1 - r;
						out[(k * t.rows + r) * t.cols + c] += v.voxels[(slice * g->rows + (is_sagittal ? c : across)) * g->cols + (is_sagittal ? across : c)] / THICK;
					}
		likeness_measure(&t, &(struct voxels){ .real = out }, scale_of(&v), &l);
		likeness_judge(&shipped.statistics[0], &l, text, sizeof text);
		expect(is_sagittal ? "sagittal" : "coronal", text, "");
		free(out);
		free(v.voxels);
	}
}

static void
every_channel_counts(void **state)
{
	struct manifest m = { .n_channels = 2, .channels = { "flair", "t1c" } };
	struct prepared cases[2] = { { .likeness = { { { 1000 } }, { { 2000 } } } }, { .likeness = { { { 1500 } }, { { 2500 } } } } };
	struct likeness l[2] = { { { 1200 } }, { { 100 } } };
	char text[512];

	(void)state;
	distribution_learn(&m, cases, 2);
	assert_int_equal(m.statistics[0].n_cases, 2);
	assert_true(m.statistics[1].low[0] == 2000 && m.statistics[1].high[0] == 2500);
	assert_int_equal(distribution_judge(&m, l, text, sizeof text), 1);
	assert_string_equal(text, "channel t1c: head of 100 ml; the model's training heads had 2000 to 2500 ml");
	l[0].figure[0] = 20;
	assert_int_equal(distribution_judge(&m, l, text, sizeof text), 2);
	assert_non_null(strstr(text, "channel flair: head of 20 ml; the model's training heads had 1000 to 1500 ml; channel t1c: "));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_heads_are_in), cmocka_unit_test(brightness_is_relative), cmocka_unit_test(the_frame_is_the_patients),
		cmocka_unit_test(heads_that_are_not_as_they_were), cmocka_unit_test(the_skull_alone), cmocka_unit_test(no_heads_are_out),
		cmocka_unit_test(sizes_are_those_of_an_ellipse), cmocka_unit_test(grain_is_that_of_two_millimetres), cmocka_unit_test(large_volumes_have_the_same_figures),
		cmocka_unit_test(what_cannot_be_measured_is_not_judged), cmocka_unit_test(ranges_grow), cmocka_unit_test(few_cases_have_wider_margins),
		cmocka_unit_test(thick_slices_of_other_planes), cmocka_unit_test(every_channel_counts),
	};
	struct err e;

	if (manifest_load(SHIPPED, &shipped, &e) != 0 || shipped.statistics[0].n_cases == 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
