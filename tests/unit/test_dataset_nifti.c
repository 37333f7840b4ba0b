/* NIfTI files as volumes: the same grid, voxels and network input, to the bit, as the DICOM series made from them; the orientations; every number kind;
 * what is cut or damaged is refused without a crash and without a word on stderr. */
#include "config/file.h"
#include "dicom/dicom.h"
#include "model/prep.h"
#include "service/commands/dataset_nifti.h"
#include "tests/unit/own_folder.h"
#include "tests/unit/series_in.h"

#include <math.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

extern char **environ;
static char path[300];

static int
set_up(void **state)
{
	assert_int_equal(folder_set_up(state), 0);
	snprintf(path, sizeof path, "%s/x.nii", folder);
	return 0;
}

/* ---- skew: NIfTI and the DICOM made from it ---- */

static struct series *
series_from(const char *nifti)
{
	char option[400], dicom_dir[300];
	char *argv[] = { "/usr/bin/python3", "tests/tools/nifti2dicom.py", dicom_dir, "SKEW", option, "--shuffle", NULL };
	posix_spawn_file_actions_t quiet;
	struct series *s;
	int status = -1;
	struct err e;
	pid_t pid;

	snprintf(dicom_dir, sizeof dicom_dir, "%s/dicom", folder);
	snprintf(option, sizeof option, "flair=%s", nifti);
	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", 1, 0);
	assert_int_equal(posix_spawn(&pid, argv[0], &quiet, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&quiet);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	s = series_in(dicom_dir);
	assert_int_equal(file_remove_tree(dicom_dir, &e), 0);
	return s;
}

static void
same_network_input(const struct volume *a, const struct volume *b)
{
	const struct manifest m = { .n_channels = 1, .plane = "axial", .spacing_mm = 0.83, .pad_multiple = 16,
		.normalisation = { 0.1, 0.1, 99, 2, 98, { -0.5, 2 } } };
	struct err e = { 0 };
	struct prep *p = prep_new(&m, a, 1, &e), *q = prep_new(&m, b, 1, &e);
	size_t n;
	float *x, *y;

	if (p == NULL || q == NULL)
		fail_msg("%s", e.text);
	n = prep_rows(p) * prep_cols(p);
	x = calloc(n, sizeof *x);
	y = calloc(n, sizeof *y);
	assert_int_equal(n, prep_rows(q) * prep_cols(q));
	for (size_t k = 0; k < prep_slices(p); k++) {
		prep_slice(p, k, x);
		prep_slice(q, k, y);
		assert_memory_equal(x, y, n * sizeof *x);
	}
	free(x);
	free(y);
	prep_free(p);
	prep_free(q);
}

static void
gives_what_the_dicom_gives(void **state)
{
	static const char *const cases[] = { "tests/data/lgg/TCGA_CS_4942_19970222/flair.nii.gz", "tests/data/lgg/TCGA_HT_7602_19951103/flair.nii.gz" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct nifti_volume v;
		struct voxels stored;
		struct err e;
		struct series *s = series_from(cases[i]);
		const struct grid *g = series_grid(s);
		if (nifti_volume_read(cases[i], &v, &e) != 0)
			fail_msg("%s", e.text);
		assert_true(grid_same(&v.grid, g));
		assert_memory_equal(v.grid.spacing_mm + 1, g->spacing_mm + 1, 2 * sizeof(double));
		stored = series_voxels(s);
		for (size_t k = 0; k < grid_voxels(g); k++)
			assert_true(v.voxels[k] == voxels_any(&stored, k));
		same_network_input(&(struct volume){ &v.grid, { .real = v.voxels } }, &(struct volume) { g, stored });
		free(v.voxels);
		series_free(s);
	}
}

/* ---- files made here: offsets of the NIfTI-1 header ---- */

enum { DIM = 40, DATATYPE = 70, BITPIX = 72, PIXDIM = 76, VOX_OFFSET = 108, SLOPE = 112, INTER = 116, UNITS = 123, QFORM = 252, SFORM = 254, QUATERN = 256,
	QOFFSET = 268, SROW = 280, MAGIC = 344, AT = 352 };

struct file { unsigned char bytes[4096]; size_t n; };

static void put16(struct file *f, size_t at, int16_t v) { memcpy(f->bytes + at, &v, 2); }
static void put32(struct file *f, size_t at, int32_t v) { memcpy(f->bytes + at, &v, 4); }
static void put_float(struct file *f, size_t at, float v) { memcpy(f->bytes + at, &v, 4); }

/* 3 x 2 x 2 voxels of values 0..11, RAS affine. */
static struct file
small_file(const float srow[3][4])
{
	struct file f = { .n = AT + 12 * 2 };

	put32(&f, 0, 348);
	for (int i = 0; i < 8; i++)
		put16(&f, DIM + 2 * (size_t)i, (int16_t[]){ 3, 3, 2, 2, 1, 1, 1, 1 }[i]);
	put16(&f, DATATYPE, 4);
	put16(&f, BITPIX, 16);
	for (int i = 0; i < 4; i++)
		put_float(&f, PIXDIM + 4 * (size_t)i, (float[]){ 1, 0.5f, 0.75f, 4 }[i]);
	put_float(&f, VOX_OFFSET, AT);
	f.bytes[UNITS] = 2;
	put16(&f, SFORM, 1);
	for (size_t i = 0; i < 12; i++)
		put_float(&f, SROW + 4 * i, srow[i / 4][i % 4]);
	memcpy(f.bytes + MAGIC, "n+1", 4);
	for (int16_t i = 0; i < 12; i++)
		put16(&f, AT + 2 * (size_t)i, i);
	return f;
}

static const float plain_srow[3][4] = { { -0.5f, 0, 0, 10 }, { 0, -0.75f, 0, 20 }, { 0, 0, 4, -30 } };

static void
store(const struct file *f, size_t n)
{
	FILE *to = fopen(path, "wb");

	assert_non_null(to);
	assert_int_equal(fwrite(f->bytes, 1, n, to), n);
	assert_int_equal(fclose(to), 0);
}

static struct nifti_volume
must_read(const struct file *f)
{
	struct nifti_volume v;
	struct err e;

	store(f, f->n);
	if (nifti_volume_read(path, &v, &e) != 0)
		fail_msg("%s", e.text);
	return v;
}

static void
must_refuse(const struct file *f, const char *words)
{
	struct nifti_volume v;
	struct err e = { 0 };

	store(f, f->n);
	assert_int_equal(nifti_volume_read(path, &v, &e), -1);
	assert_null(v.voxels);
	assert_int_equal(e.code, ERR_INPUT);
	if (strstr(e.text, path) == NULL || strstr(e.text, words) == NULL)
		fail_msg("\"%s\" does not hold \"%s\"", e.text, words);
}

static void
near(const double got[3], double a, double b, double c)
{
	assert_true(fabs(got[0] - a) < 1e-6 && fabs(got[1] - b) < 1e-6 && fabs(got[2] - c) < 1e-6);
}

static void
turns_ras_into_lps(void **state)
{
	struct file f = small_file(plain_srow);
	struct nifti_volume v = must_read(&f);

	(void)state;
	assert_int_equal(v.grid.cols, 3);
	assert_int_equal(v.grid.rows, 2);
	assert_int_equal(v.grid.slices, 2);
	near(v.grid.row_dir, 1, 0, 0);
	near(v.grid.col_dir, 0, 1, 0);
	near(v.grid.spacing_mm, 4, 0.75, 0.5);
	near(v.grid.origin_mm, -10, -20, -30);
	for (int i = 0; i < 12; i++)
		assert_true(v.voxels[i] == (float)i);
	free(v.voxels);
}

/* x stored the other way (as most RAS files): rows x columns points down, so the slices are turned end to end. */
static void
slices_ascend_along_the_normal(void **state)
{
	const float srow[3][4] = { { 0.5f, 0, 0, 10 }, { 0, -0.75f, 0, 20 }, { 0, 0, 4, -30 } };
	struct file f = small_file(srow);
	struct nifti_volume v = must_read(&f);
	double normal[3];

	(void)state;
	grid_normal(&v.grid, normal);
	near(normal, 0, 0, -1);
	near(v.grid.origin_mm, -10, -20, -26);
	assert_true(v.voxels[0] == 6 && v.voxels[6] == 0 && v.voxels[11] == 5);
	free(v.voxels);
}

static void
reads_a_quaternion(void **state)
{
	struct file f = small_file(plain_srow);
	struct nifti_volume v;

	(void)state;
	put16(&f, SFORM, 0);
	put16(&f, QFORM, 1);
	put_float(&f, QUATERN + 8, 1); /* half a turn about z: x and y the other way */
	put_float(&f, QOFFSET, 10);
	put_float(&f, QOFFSET + 4, 20);
	put_float(&f, QOFFSET + 8, -30);
	v = must_read(&f);
	near(v.grid.row_dir, 1, 0, 0);
	near(v.grid.col_dir, 0, 1, 0);
	near(v.grid.origin_mm, -10, -20, -30);
	near(v.grid.spacing_mm, 4, 0.75, 0.5);
	free(v.voxels);
}

static void
scales_and_swaps(void **state)
{
	static const struct { size_t at, n, size; } numbers[] = { { 0, 1, 4 }, { DIM, 8, 2 }, { DATATYPE, 2, 2 }, { PIXDIM, 8, 4 }, { VOX_OFFSET, 3, 4 }, { QFORM, 2, 2 },
		{ QUATERN, 18, 4 }, { AT, 12, 2 } };
	struct file f = small_file(plain_srow);
	struct nifti_volume v;

	(void)state;
	put_float(&f, SLOPE, 0.5f);
	put_float(&f, INTER, -2);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		for (size_t k = 0; k < numbers[i].n; k++)
			for (size_t b = 0; b < numbers[i].size / 2; b++) {
				unsigned char *p = f.bytes + numbers[i].at + k * numbers[i].size, swapped = p[b];
				p[b] = p[numbers[i].size - 1 - b];
				p[numbers[i].size - 1 - b] = swapped;
			}
	v = must_read(&f);
	near(v.grid.origin_mm, -10, -20, -30);
	for (int i = 0; i < 12; i++)
		assert_true(v.voxels[i] == (float)i / 2 - 2);
	free(v.voxels);
}

static void
refuses_what_it_cannot_place_or_read(void **state)
{
	const struct file good = small_file(plain_srow);
	struct file f;

	(void)state;
	f = good; put16(&f, SFORM, 0);              must_refuse(&f, "neither sform nor qform");
	f = good; put_float(&f, SROW, NAN);         must_refuse(&f, "orientation");
	f = good; put_float(&f, SROW, 0);           must_refuse(&f, "no size");
	f = good; put_float(&f, SROW + 8, 1);       must_refuse(&f, "sheared");
	f = good; put_float(&f, SROW + 40, 0);      must_refuse(&f, "sheared");
	f = good; put_float(&f, SROW + 4, 0.5f);    must_refuse(&f, "right angle");
	f = good; put16(&f, DATATYPE, 128);         must_refuse(&f, "datatype 128");
	f = good; put16(&f, DIM, 4), put16(&f, DIM + 8, 2); must_refuse(&f, "more than one volume");
	f = good; put16(&f, DIM + 2, -1);           must_refuse(&f, "dim[1] is -1");
	f = good; put16(&f, DIM + 2, 4096), put16(&f, DIM + 4, 4096), put16(&f, DIM + 6, 4096); must_refuse(&f, "voxels");
	f = good; put16(&f, DIM + 2, 4000), put16(&f, DIM + 4, 4000), put16(&f, DIM + 6, 16);   must_refuse(&f, "cannot hold");
	f = good; put_float(&f, VOX_OFFSET, 1e30f); must_refuse(&f, "vox_offset");
	f = good; put_float(&f, VOX_OFFSET, NAN);   must_refuse(&f, "vox_offset");
	f = good; put32(&f, 0, 540);                must_refuse(&f, "NIfTI-2");
	f = good; memcpy(f.bytes + MAGIC, "ni1", 4); must_refuse(&f, "one file");
	f = good; f.bytes[0] = 7;                   must_refuse(&f, "not NIfTI");
}

/* ---- damaged ---- */

static void
cut_anywhere_is_refused(void **state)
{
	struct file f = small_file(plain_srow);
	struct nifti_volume v;
	struct err e;
	size_t n;
	char *packed = file_read("tests/data/lgg/TCGA_CS_4942_19970222/mask.nii.gz", 1 << 20, &n, &e);

	(void)state;
	for (size_t i = 0; i < f.n; i++) {
		store(&f, i);
		assert_int_equal(nifti_volume_read(path, &v, &e), -1);
		assert_int_equal(e.code, ERR_INPUT);
	}
	assert_non_null(packed);
	for (size_t i = 0; i < n; i += i < n - 40 ? 37 : 1) { /* compressed: the last eight bytes are the checksum and the length */
		FILE *to = fopen(path, "wb");
		assert_non_null(to);
		assert_int_equal(fwrite(packed, 1, i, to), i);
		assert_int_equal(fclose(to), 0);
		if (nifti_volume_read(path, &v, &e) == 0)
			fail_msg("cut at byte %zu of %zu: not noticed", i, n);
		assert_int_equal(e.code, ERR_INPUT);
	}
	free(packed);
}

/* Any byte of the header, any value: a volume or a refusal. Sanitizers see the rest. */
static void
survives_any_header(void **state)
{
	const struct file good = small_file(plain_srow);

	(void)state;
	for (size_t i = 0; i < AT; i++)
		for (size_t k = 0; k < 8; k++) {
			struct file f = good;
			struct nifti_volume v;
			struct err e;
			f.bytes[i] ^= (unsigned char)(1U << k);
			store(&f, f.n);
			if (nifti_volume_read(path, &v, &e) == 0)
				free(v.voxels);
			else
				assert_int_equal(e.code, ERR_INPUT);
		}
}

static void
absent_is_not_found(void **state)
{
	struct nifti_volume v;
	struct err e;

	(void)state;
	assert_int_equal(nifti_volume_read(path, &v, &e), -1);
	assert_non_null(strstr(e.text, path));
	assert_int_equal(nifti_volume_read(folder, &v, &e), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, folder_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(gives_what_the_dicom_gives), TEST(turns_ras_into_lps), TEST(slices_ascend_along_the_normal), TEST(reads_a_quaternion), TEST(scales_and_swaps),
		TEST(refuses_what_it_cannot_place_or_read), TEST(cut_anywhere_is_refused), TEST(survives_any_header), TEST(absent_is_not_found),
	};
	struct err e;

	return dicom_start(&e) != 0 || cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
