/* What tests of results (report, contours, preview) stand on: a study with its SEG, and the standard's own checker. */
#pragma once
#include "tests/unit/study_stage.h"

/* The standard's own checker: no line that says Error. */
static void
must_be_valid(const char *path)
{
	run((const char *const[]) { "dciodvfy", path, NULL });
	if (strncmp(output(), "Error", 5) == 0 || strstr(output(), "\nError") != NULL)
		fail_msg("dciodvfy: %s", output());
}

/* A study, each segment 16 columns beside the one before. The SEG is written where there is a voxel. */
static void
open_result(struct study *t, const char *name, const char *const options[], const double *radius, size_t n_segments)
{
	struct err e;

	open_study(t, name, options, radius, n_segments, 16);
	if (memchr(t->masks, 1, t->n_voxels * n_segments) != NULL && seg_write(&t->request, t->seg_path, &t->seg, &e) != 0)
		fail_msg("%s", e.text);
}
