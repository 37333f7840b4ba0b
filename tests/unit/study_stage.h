/* What tests of SEGs and of what is made beside them stand on: a synthetic oblique series of 45 x 51 (tests/tools/mkoblique.py, pydicom), balls as segments, a
 * request over them, and other people's programs to judge. For one test program each. */
#pragma once
#include "dicom/dicom.h"
#include "dicom/seg.h"
#include "tests/unit/own_folder.h"
#include "tests/unit/series_in.h"

#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_ARGS = 24, MAX_SEGMENTS = 3, TEXT = 512 };

extern char **environ;
static char log_path[TEXT];

struct study { /* one generated series, its masks, the request over them, and the SEG once a test has written it */
	char dir[TEXT + 32], seg_path[TEXT + 64], result_path[TEXT + 64], raw[TEXT + 64], labels[TEXT + 64]; /* raw, labels: for the judges of masks */
	struct series *series;
	uint8_t *masks; /* (segments, slices, rows, cols) */
	size_t n_voxels;
	struct seg_segment segments[MAX_SEGMENTS];
	struct seg_request request;
	struct seg_result seg;
};

/* Runs a program, its output to the log. Returns its exit status. */
static int
run(const char *const argv[])
{
	posix_spawn_file_actions_t actions;
	int status = -1;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, log_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_adddup2(&actions, 1, 2);
	if (posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ) == 0 && waitpid(pid, &status, 0) == pid)
		status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	posix_spawn_file_actions_destroy(&actions);
	return status;
}

/* The log of the last run; static. */
static const char *
output(void)
{
	static char *text;
	struct err e;
	size_t n;

	free(text);
	text = file_read(log_path, 1 << 20, &n, &e);
	return text != NULL ? text : "";
}

static void
must_run(const char *const argv[])
{
	if (run(argv) != 0)
		fail_msg("%s %s: %s", argv[0], argv[1], output());
}

static struct series *
make_series(const char *dir, const char *const options[])
{
	const char *argv[MAX_ARGS] = { "/usr/bin/python3", "tests/tools/mkoblique.py", dir };

	for (size_t n = 3; *options != NULL && n + 1 < MAX_ARGS; n++)
		argv[n] = *options++;
	must_run(argv);
	return series_in(dir);
}

/* A ball of voxels round the middle slice, moved along the columns; the middle slice has some of it at any radius over 0. */
static void
fill_ball(uint8_t *mask, const struct grid *g, double shift, double radius)
{
	for (size_t z = 0; z < g->slices; z++)
		for (size_t y = 0; y < g->rows; y++)
			for (size_t x = 0; x < g->cols; x++) {
				double dz = ((double)z - (double)(g->slices / 2)) * 3, dy = (double)y - 20, dx = (double)x - 25 - shift;

				mask[(z * g->rows + y) * g->cols + x] = dz * dz + dy * dy + dx * dx < radius * radius;
			}
}

/* Makes a series and, for each radius, a segment; segment i is moved by i * shift columns: 0 nests them, 16 sets them apart. */
static void
open_study(struct study *t, const char *name, const char *const options[], const double *radius, size_t n_segments, double shift)
{
	static const char *const labels[MAX_SEGMENTS] = { "Whole tumour", "Tumour core", "\xc3\x89l\xc3\xa9ment" };
	const struct grid *g;

	memset(t, 0, sizeof *t);
	snprintf(t->dir, sizeof t->dir, "%s/%s", folder, name);
	snprintf(t->seg_path, sizeof t->seg_path, "%s.seg.dcm", t->dir);
	snprintf(t->result_path, sizeof t->result_path, "%s.result.dcm", t->dir);
	snprintf(t->raw, sizeof t->raw, "%s.masks", t->dir);
	snprintf(t->labels, sizeof t->labels, "%s.labels", t->dir);
	t->series = make_series(t->dir, options);
	g = series_grid(t->series);
	t->n_voxels = g->slices * g->rows * g->cols;
	assert_non_null(t->masks = calloc(n_segments, t->n_voxels));
	for (size_t i = 0; i < n_segments; i++) {
		fill_ball(t->masks + i * t->n_voxels, g, (double)i * shift - 8, radius[i]);
		t->segments[i] = (struct seg_segment) { .number = (unsigned)i + 1, .label = labels[i], .rgb = { 230, (unsigned char)(80 * i), 60 }, .mask = t->masks + i * t->n_voxels,
			.category = { "SCT", "49755003", "Morphologically Abnormal Structure" }, .type = { "SCT", "108369006", "Neoplasm" },
			.anatomy = { "SCT", "12738006", "Brain" } };
	}
	t->request = (struct seg_request) { .source = t->series, .segments = t->segments, .n_segments = n_segments, .identity = "node/study/instances/model/1",
		.node_id = "0123456789abcdef", .model_name = "glioma-flair", .model_version = "0.1.0", .core_type = "SkylakeX", .series_number = 1001,
		.weights_sha256 = "31101439c01b240252c62722452e3c609061ba458bf84d5387ffb2af9a87df96", .created_ms = 1769860800123 /* 2026-01-31T12:00:00.123Z */ };
}

static void
close_study(struct study *t)
{
	series_free(t->series);
	free(t->masks);
}

static int
set_up(void **state)
{
	struct err e;

	if (folder_set_up(state) != 0)
		return -1;
	snprintf(log_path, sizeof log_path, "%s/log", folder);
	return dicom_start(&e);
}
