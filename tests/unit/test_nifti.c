/* The NIfTI file as nibabel reads it: values, shape, and where each voxel lies. */
#include "service/flow/nifti.h"

#include "config/file.h"
#include "tests/unit/own_folder.h"

#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

extern char **environ;

/* FILE SHAPE then "i j k m value x y z" of voxels: value and RAS place. */
static const char script[] =
    "import sys, numpy as np, nibabel as nib\n"
    "image = nib.load(sys.argv[1]); values = np.asanyarray(image.dataobj)\n"
    "assert values.dtype == np.float32 and 'x'.join(map(str, values.shape)) == sys.argv[2], (values.dtype, values.shape)\n"
    "assert image.header.get_xyzt_units()[0] == 'mm'\n"
    "for text in sys.argv[3:]:\n"
    "    i, j, k, m, value, x, y, z = map(float, text.split()); at = (int(i), int(j), int(k)) + ((int(m),) if values.ndim == 4 else ())\n"
    "    assert values[at] == np.float32(value), (text, values[at])\n"
    "    assert np.allclose(image.affine @ [i, j, k, 1], [x, y, z, 1], atol=1e-3), (text, image.affine)\n";

enum { SLICES = 3, ROWS = 4, COLS = 5, PLANE = ROWS * COLS, N = SLICES * PLANE };

static const struct grid grid = { .slices = SLICES, .rows = ROWS, .cols = COLS, .spacing_mm = { 5.5, 0.9, 1.1 }, .origin_mm = { -100, 50, 25 },
	.row_dir = { 0.96, 0.28, 0 }, .col_dir = { -0.28, 0.96, 0 } };

static void
judge(const char *path, const char *shape, const float *const *maps, size_t n_maps)
{
	static const size_t at[][3] = { { 0, 0, 0 }, { 0, 0, 4 }, { 0, 3, 0 }, { 2, 0, 0 }, { 1, 2, 3 } };
	char texts[2 * 5][256];
	const char *argv[16] = { "/usr/bin/python3", "-c", script, path, shape };
	size_t n = 5;
	int status;
	pid_t pid;

	for (size_t m = 0; m < n_maps; m++)
		for (size_t i = 0; i < 5; i++) {
			double mm[3];
			char *text = texts[n - 5];
			grid_point(&grid, (double)at[i][0], (double)at[i][1], (double)at[i][2], mm);
			snprintf(text, sizeof texts[0], "%zu %zu %zu %zu %.9g %.9g %.9g %.9g", at[i][2], at[i][1], at[i][0], m,
			    (double)maps[m][at[i][0] * PLANE + at[i][1] * COLS + at[i][2]], -mm[0], -mm[1], mm[2]);
			argv[n++] = text;
		}
	assert_int_equal(posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
nibabel_reads_it_back(void **state)
{
	float first[N], second[N];
	const float *const maps[] = { first, second };
	char path[300];
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < N; i++) {
		first[i] = (float)i / 7;
		second[i] = 1 - (float)i / 90;
	}
	snprintf(path, sizeof path, "%s/one.nii.gz", folder);
	if (nifti_write(path, &grid, maps, 1, &e) != 0)
		fail_msg("%s", e.text);
	judge(path, "5x4x3", maps, 1);
	snprintf(path, sizeof path, "%s/two.nii.gz", folder);
	if (nifti_write(path, &grid, maps, 2, &e) != 0)
		fail_msg("%s", e.text);
	judge(path, "5x4x3x2", maps, 2);
}

static void
what_cannot_be_written_leaves_nothing(void **state)
{
	struct grid large = grid;
	float voxels[N] = { 0 };
	const float *const maps[] = { voxels };
	char path[2000], part[300];
	struct stat st;
	struct err e = { 0 };

	(void)state;
	snprintf(path, sizeof path, "%s/no/such/folder.nii.gz", folder);
	assert_int_equal(nifti_write(path, &grid, maps, 1, &e), -1);
	snprintf(part, sizeof part, "%s/pipe.part", folder);
	snprintf(path, sizeof path, "%s/pipe", folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(nifti_write(path, &grid, maps, 1, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	assert_false(file_exists(part));
	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	assert_int_equal(nifti_write(path, &grid, maps, 1, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	large.cols = 40000; /* NIfTI-1 counts in 16 bits */
	snprintf(path, sizeof path, "%s/large.nii.gz", folder);
	assert_int_equal(nifti_write(path, &large, maps, 1, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_false(file_exists(path));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(nibabel_reads_it_back), cmocka_unit_test(what_cannot_be_written_leaves_nothing) };

	return cmocka_run_group_tests(tests, folder_set_up, folder_tear_down);
}
