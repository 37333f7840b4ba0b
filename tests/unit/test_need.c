/* What a segmentation takes of memory, measured on a process that does nothing else, against the formula that says so before; and who asks too much is refused
 * before a pixel is read. A sanitizer's build has other memory: there only the refusal counts. */
#include "service/flow/need.h"
#include "dicom/dicom.h"
#include "tests/unit/files_in.h"
#include "tests/unit/own_folder.h"
#include "tests/unit/sanitizer.h"

#include <errno.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { FEW = 4, MANY = 84, SIDE = 512 };
static const char MODEL[] = "model/shipped/glioma-flair/0.1.0";
static const double MB = 1 << 20;

static struct paths few, many;

static void
make(const char *n_slices, struct paths *to)
{
	char dir[300];
	const char *argv[] = { "/usr/bin/python3", "tests/tools/mkbrick.py", dir, n_slices, "512", "NEED", NULL };
	struct err e;
	int status = -1;
	pid_t pid;

	snprintf(dir, sizeof dir, "%s/%s", folder, n_slices);
	assert_int_equal(posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(file_walk(dir, note_path, to, &e), 0);
}

static int
set_up(void **state)
{
	struct err e;

	if (folder_set_up(state) != 0 || dicom_start(&e) != 0)
		return -1;
	make("4", &few);
	make("84", &many);
	return 0;
}

static int
tear_down(void **state)
{
	while (few.n > 0)
		free(few.path[--few.n]);
	while (many.n > 0)
		free(many.path[--many.n]);
	return folder_tear_down(state);
}

/* One request over the slices, with everything behind it. */
static int
segment(const struct paths *p, int64_t memory_mb, double *need, struct err *e)
{
	struct manifest m;
	struct segment_channel channel = { .channel = "flair", .paths = (const char *const *)p->path, .n_paths = p->n };
	struct segment_request r = { .manifest = &m, .channels = &channel, .n_channels = 1, .identity = "need", .node_id = "node", .memory_mb = memory_mb };
	struct segment_result result;
	char seg[300];
	int rc = -1;

	snprintf(seg, sizeof seg, "%s/seg.dcm", folder);
	r.paths[RESULT_SEG] = seg;
	if (manifest_load(MODEL, &m, e) != 0 || (r.segmentor = segmentor_load(&m, 1, e)) == NULL)
		return -1;
	if (need == NULL) {
		rc = segment_case(&r, &result, NULL, NULL, e);
	} else {
		struct series *s = series_open(&(struct series_input){ channel.paths, channel.n_paths, NULL }, e);
		rc = s == NULL ? -1 : need_mb(&r, &s, need, e);
		series_free(s);
	}
	segmentor_free(r.segmentor);
	return rc;
}

/* The most that a process of its own had in memory, bytes. */
static double
peak(const struct paths *p)
{
	struct rusage used;
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct err e = { 0 };
		int rc = segment(p, 0, NULL, &e);
		if (rc != 0)
			fprintf(stderr, "%s\n", e.text);
		_exit(rc != 0);
	}
	while (wait4(pid, &status, 0, &used) < 0)
		assert_int_equal(errno, EINTR);
	assert_int_equal(status, 0);
	return (double)used.ru_maxrss * 1024;
}

static void
a_voxel_takes_its_two_bytes(void **state)
{
	double small, large, a_voxel, need;
	struct err e = { 0 };

	(void)state;
	if (is_sanitized())
		skip();
	small = peak(&few);
	large = peak(&many);
	if (segment(&many, 0, &need, &e) != 0)
		fail_msg("%s", e.text);
	a_voxel = (large - small) / ((double)(MANY - FEW) * SIDE * SIDE);
	print_message("%.0f MB for %d slices, %.0f MB for %d: %.2f bytes a voxel; the formula says %.0f MB\n", small / MB, FEW, large / MB, MANY, a_voxel, need);
	assert_true(a_voxel > 2 && a_voxel < 2.95);  /* 2, the headers, and what was found: with a mask that is all there it would be 3.5, with another copy of the voxels 4.5 */
	assert_true(large / MB < need);
	assert_true(need < 256 + 2.5 * large / MB);  /* and it is no figure out of the air */
}

static void
what_does_not_fit_is_refused_at_once(void **state)
{
	struct err e = { 0 };
	double need;
	char words[100];

	(void)state;
	if (segment(&few, 0, &need, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(segment(&few, (int64_t)need - 1, NULL, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);           /* no retry helps */
	snprintf(words, sizeof words, "needs %.0f MB, worker_memory_mb is %.0f: 4 slices of Rows 512 x Columns 512", need, need - 1);
	if (strstr(e.text, words) == NULL)
		fail_msg("\"%s\", wanted \"%s\"", e.text, words);
	for (size_t i = 0; i < few.n; i++)             /* headers only: without pixels the answer is the same */
		assert_int_equal(truncate(few.path[i], 4096), 0);
}

/* Every kind of result, every channel, and the model's plane count. */
static void
the_formula_grows_with_what_is_asked_for(void **state)
{
	struct err e = { 0 };
	struct manifest m;
	struct segment_channel channel = { .channel = "flair", .paths = (const char *const *)few.path, .n_paths = few.n };
	struct segment_request r = { .manifest = &m, .channels = &channel, .n_channels = 1 };
	struct series *s = series_open(&(struct series_input){ channel.paths, channel.n_paths, NULL }, &e), *two[2] = { s, s };
	const double voxels = FEW * SIDE * SIDE / MB;
	double plain, more;

	(void)state;
	assert_non_null(s);
	assert_int_equal(manifest_load(MODEL, &m, &e), 0);
	assert_non_null(r.segmentor = segmentor_load(&m, 1, &e));
	assert_int_equal(need_mb(&r, &s, &plain, &e), 0);
	r.n_channels = 2;
	assert_int_equal(need_mb(&r, two, &more, &e), 0);
	assert_true(more >= plain + 2 * voxels - 1);
	r.n_channels = 1;
	r.probability_path = "p";
	assert_int_equal(need_mb(&r, &s, &more, &e), 0);
	assert_true(more >= plain + 4 * voxels - 1);
	r.paths[RESULT_FRACTIONAL] = "f";
	plain = more;
	assert_int_equal(need_mb(&r, &s, &more, &e), 0);
	assert_true(more >= plain + voxels - 1);
	segmentor_free(r.segmentor);
	series_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_voxel_takes_its_two_bytes), cmocka_unit_test(the_formula_grows_with_what_is_asked_for),
		cmocka_unit_test(what_does_not_fit_is_refused_at_once) };

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
