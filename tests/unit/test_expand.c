/* Files that become a thousand times as much when they are read (tests/tools/mkexpand.py): each reading in a process of its own, whose memory the kernel tells. What
 * the headers promise is read, and takes its own size and little more; what promises less or more than it is, is refused for less. */
#include "dicom/attributes.h"
#include "dicom/bounds.h"
#include "dicom/series.h"
#include "tests/unit/made_folder.h"
#include "tests/unit/sanitizer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { SLICES = 3, SIDE = 2048, MIB = 1 << 20, LITTLE = 8 /* MiB beside what is asked for */, A_SLICE = SIDE * SIDE * 2 / MIB };

static int read_series(const char *name, const char *refusal);

/* What every process has sooner or later, the dictionary above all, is there before any is measured. */
static int
make_files(void **state)
{
	return folder_made_by(state, "tests/tools/mkexpand.py") == 0 ? read_series("rlewrong", "too little") : -1;
}

/* 0: as it should be. A refusal NULL: none. */
typedef int reading(const char *name, const char *refusal);

static int
judge(const char *name, bool is_taken, const char *refusal, const struct err *e)
{
	if (refusal == NULL ? is_taken : !is_taken && e->code == ERR_INPUT && strstr(e->text, refusal) != NULL)
		return 0;
	fprintf(stderr, "%s: %s\n", name, is_taken ? "read" : e->text);
	return 1;
}

/* As a worker does: all voxels are 7. */
static int
read_series(const char *name, const char *refusal)
{
	char paths[SLICES][400];
	const char *list[SLICES];
	struct series_input in = { .paths = list };
	struct series *s;
	struct err e = { 0 };
	int rc;

	for (; in.n < SLICES; in.n++) {
		snprintf(paths[in.n], sizeof paths[in.n], "%s/%s/%zu.dcm", folder, name, in.n);
		if (!file_exists(paths[in.n]))
			break;
		list[in.n] = paths[in.n];
	}
	s = series_load(&in, &e);
	rc = judge(name, s != NULL, refusal, &e);
	if (s != NULL) {
		const struct voxels v = series_voxels(s);
		const struct grid *g = series_grid(s);
		for (size_t i = 0; rc == 0 && i < g->slices * g->rows * g->cols; i++)
			rc = voxels_any(&v, i) != 7;
	}
	series_free(s);
	return rc;
}

/* As the daemon does when it arrives. */
static int
read_first(const char *name, const char *refusal)
{
	char path[400];
	struct err e = { 0 };
	struct attributes *a;
	int rc;

	snprintf(path, sizeof path, "%s/%s/0.dcm", folder, name);
	a = attributes_load(path, &e);
	rc = judge(name, a != NULL, refusal, &e);
	attributes_free(a);
	return rc;
}

/* The most that a process of its own takes, MiB. */
static double
peak(reading *read, const char *name, const char *refusal)
{
	struct rusage used;
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(read == NULL ? 0 : read(name, refusal));
	while (wait4(pid, &status, 0, &used) < 0)
		assert_int_equal(errno, EINTR);
	assert_int_equal(status, 0);
	return (double)used.ru_maxrss / 1024;
}

static void
takes(reading *read, const char *name, const char *refusal, double most_mib)
{
	double at_rest = peak(NULL, NULL, NULL), taken = peak(read, name, refusal) - at_rest;

	if (taken > most_mib + LITTLE && !is_sanitized())
		fail_msg("%s: %.0f MiB for what is %.0f", name, taken, most_mib);
}

/* Each way of coding: the volume; and of one slice the decoder's bytes, words, and numbers of twice their size. */
static void
as_much_as_it_is(void **state)
{
	static const char *const names[] = { "deflated", "jls", "rle" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		takes(read_first, names[i], NULL, A_SLICE);
		takes(read_series, names[i], NULL, A_SLICE * (SLICES + 4));
	}
}

static void
less_or_more_than_it_says(void **state)
{
	struct dicom_bounds usual = *dicom_bounds_now(), b = usual;

	(void)state;
	takes(read_series, "jlswrong", "2048", 0);
	takes(read_series, "rlewrong", "too little for 1 frames of 16384x16384", 0);
	b.decoded_bytes = (SLICES * 2 * A_SLICE - 1) * (uint64_t)MIB;
	dicom_bounds_set(&b);
	takes(read_series, "jls", "dicom.max_decoded_mb", A_SLICE);
	b = usual;
	b.data_set_bytes = (A_SLICE - 1) * MIB;
	dicom_bounds_set(&b);
	takes(read_series, "deflated", "inflates to more than 7 MiB (dicom.max_instance_mb)", 0);
	dicom_bounds_set(&usual);
}

/* What is no pixels would come into memory: 160 MiB out of 160 kB, of each that comes at the same time. */
static void
much_beside_the_pixels(void **state)
{
	struct dicom_bounds usual = *dicom_bounds_now();

	(void)state;
	takes(read_first, "swollen", "bytes of attributes", 0);
	dicom_bounds_set(&dicom_bounds_widest);
	takes(read_series, "swollen", "bytes of attributes", 0);
	dicom_bounds_set(&usual);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(as_much_as_it_is), cmocka_unit_test(less_or_more_than_it_says), cmocka_unit_test(much_beside_the_pixels) };

	alarm(300);
	return cmocka_run_group_tests(tests, make_files, folder_tear_down);
}
