/* The forward passes against PyTorch's numbers, files that lie, and the same bits whatever the threads and the split. */
#include "config/file.h"
#include "model/segan.h"
#include "model/verify.h"
#include "tests/unit/own_folder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *const names[] = { "s1_1c_sum_flat_dice", "s1_1c_sum_layer", "s3_1c_concat_flat_dice", "s3_1c_sum_layer", "unet_1c_layer_batch_dice" };

struct seen { size_t n, n_over; double largest; };

static void
note(void *arg, const struct verify_line *l)
{
	struct seen *s = arg;

	s->n++;
	s->n_over += !l->within;
	s->largest = fmax(s->largest, l->error);
}

/* How often word stands in a file. */
static size_t
count(const char *path, const char *word)
{
	struct err e;
	size_t n;
	char *text = file_read(path, 1 << 24, &n, &e);

	assert_non_null(text);
	n = 0;
	for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
		n++;
	free(text);
	assert_true(n > 0);
	return n;
}

static void
all_references_agree(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct seen seen = { 0 };
		struct err e = { 0 };
		char path[128];
		bool within;

		snprintf(path, sizeof path, "tests/golden/%s.json", names[i]);
		if (verify_file(path, note, &seen, &within, &e) != 0)
			fail_msg("%s", e.text);
		assert_true(within);
		/* logits and probability on both paths; the game on both: probability, three losses, curve, gradients; and on the plain one what a step leaves */
		assert_int_equal(seen.n, 4 + 2 * (5 + count(path, "\"grad.")) + count(path, "\"after."));
		assert_int_equal(seen.n_over, 0);
	}
}

/* A copy of a golden pair; in the json the first `from` becomes `to`, in the numbers float number `at` becomes value. Returns the json's path. */
static const char *
copy_changed(const char *name, const char *from, const char *to, size_t at, float value)
{
	static char path[500];
	struct err e;
	size_t n;
	char *bytes, *place, *changed;

	snprintf(path, sizeof path, "tests/golden/%s.bin", name);
	bytes = file_read(path, 1 << 24, &n, &e);
	assert_non_null(bytes);
	if (at < n / sizeof value)
		memcpy(bytes + at * sizeof value, &value, sizeof value);
	snprintf(path, sizeof path, "%s/r.bin", folder);
	assert_int_equal(file_write(path, bytes, n, &e), 0);
	free(bytes);

	snprintf(path, sizeof path, "tests/golden/%s.json", name);
	bytes = file_read(path, 1 << 24, &n, &e);
	assert_non_null(bytes);
	place = strstr(bytes, from);
	if (!place)
		fail_msg("%s has no %s", path, from);
	changed = malloc(n + strlen(to) + 1);
	assert_non_null(changed);
	n = (size_t)snprintf(changed, n + strlen(to) + 1, "%.*s%s%s", (int)(place - bytes), bytes, to, place + strlen(from));
	snprintf(path, sizeof path, "%s/r.json", folder);
	assert_int_equal(file_write(path, changed, n, &e), 0);
	free(bytes);
	free(changed);
	return path;
}

/* A weight moved, a value that is no number: used, and told as over tolerance. */
static void
other_numbers_do_not_agree(void **state)
{
	static const struct { size_t at; float value; } wrong[] = { { 0, 0.5f }, { 130, 0.01f }, { 3, NAN }, { 380132 / 4 + 77, NAN }, { 412900 / 4, 2 } };

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct seen seen = { 0 };
		struct err e = { 0 };
		bool within = true;

		assert_int_equal(verify_file(copy_changed(names[0], "{", "{", wrong[i].at, wrong[i].value), note, &seen, &within, &e), 0);
		assert_false(within);
		assert_true(seen.n_over > 0);
	}
}

static const struct { const char *from, *to, *words; } lies[] = {
	{ "\"channels\": 1", "\"channels\": 2", "tensor x of shape" },
	{ "\"channels\": 1", "\"channels\": 1e30", "channels" },
	{ "\"channels\": 1", "\"channels\": \"1\"", "channels" },
	{ "\"labels\": 1", "\"labels\": 2", "truth is not of the shape" },
	{ "\"layer_mean\": \"flat\"", "\"layer_mean\": \"both\"", "layer_mean" },
	{ "\"optimizer\": \"rmsprop\"", "\"optimizer\": \"sgd\"", "optimizer" },
	{ "\"lr\": 0.0002", "\"lr\": 0", "lr" },
	{ "\"lr\": 0.0002", "\"lr\": \"fast\"", "lr" },
	{ "\"grad.critic.enc1.conv.bias\"", "\"grad.critic.enc9.conv.bias\"", "grad.critic.enc9.conv.bias has no parameter" },
	{ "\"grad.critic.enc1.conv.bias\"", "\"grad.critic.enc2.bn.running_mean\"", "running_mean has no parameter of its shape" },
	{ "\"critic.enc2.bn.bias\"", "\"critic.enc2.bn.bios\"", "critic.enc2.bn.bias is missing" },
	{ "\"width\": 8", "\"width\": 16", "segmentor.enc1.conv.weight has another shape" },
	{ "\"width\": 8", "\"width\": 0", "width" },
	{ "\"skip\": \"sum\"", "\"skip\": \"none\"", "skip" },
	{ "\"skip\": \"sum\"", "\"skip\": \"concat\"", "segmentor.dec2.conv.weight has another shape" },
	{ "\"skip\"", "\"segmentor\": \"unet\", \"skip\"", "segmentor.down1.conv1.weight is missing" },
	{ "\"skip\"", "\"segmentor\": \"vnet\", \"skip\"", "segmentor" },
	{ "\"bn_eps\": 1e-05", "\"bn_eps\": -1", "bn_eps" },
	{ "\"align_corners\": false", "\"align_corners\": true", "align_corners" },
	{ "\"tensors\": [", "\"tensors\": 0, \"other\": [", "tensors" },
	{ "segmentor.enc1.conv.bias", "segmentor.enc1.conv.weight", "segmentor.enc1.conv.weight is there twice" },
	{ "segmentor.enc3.bn.running_var", "segmentor.enc3.bn.running_vac", "segmentor.enc3.bn.running_var is missing" },
	{ "\"offset\": 512", "\"offset\": 99999996", "segmentor.enc1.conv.bias lies outside" },
	{ "\"offset\": 512", "\"offset\": 513", "multiple of 4" },
	{ "\"offset\": 512", "\"offset\": -4", "offset" },
	{ "\"offset\": 512", "\"offset\": 1e300", "offset" },
	{ "[\n    8\n   ]", "[9000000]", "lies outside" },
	{ "[\n    8\n   ]", "[1000000000,1000000000,1000000000]", "no possible shape" },
	{ "[\n    8\n   ]", "[0]", "no possible shape" },
	{ "[\n    8\n   ]", "[1,1,1,1,8]", "no shape" },
	{ "\"x\",\n   \"shape\": [\n    2,\n    1,\n    64,\n    64\n   ]", "\"x\", \"shape\": [1, 1, 8192, 1]", "too large" },
	{ "\"x\",\n   \"shape\": [\n    2,\n    1,\n    64,\n    64\n   ]", "\"x\", \"shape\": [2, 1, 32, 64]", "truth is not of the shape" },
	{ "\"x\"", "\"y\"", "no tensor x" },
	{ "{", "{{", "line 1" },
};

static void
lying_files_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		struct seen seen = { 0 };
		struct err e = { 0 };
		bool within;

		if (verify_file(copy_changed(names[0], lies[i].from, lies[i].to, SIZE_MAX, 0), note, &seen, &within, &e) == 0 || !strstr(e.text, lies[i].words))
			fail_msg("%s -> %s: \"%s\", wanted \"%s\"", lies[i].from, lies[i].to, e.text, lies[i].words);
		assert_false(within);
	}
}

static void
files_that_are_not_there(void **state)
{
	struct seen seen = { 0 };
	struct err e = { 0 };
	bool within;

	(void)state;
	assert_int_equal(verify_file("/nowhere.json", note, &seen, &within, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(verify_file("README", note, &seen, &within, &e), -1);
}

enum { SLICES = 5, H = 48, W = 80 };

/* The shipped model over fixed slices, `at_once` slices a call. caller: free */
static float *
run_shipped(unsigned threads, size_t at_once)
{
	struct manifest m;
	struct err e = { 0 };
	float *x = malloc(sizeof *x * SLICES * H * W), *y = malloc(sizeof *y * SLICES * H * W);
	struct segmentor *s;
	uint32_t random = 12345;

	assert_non_null(x);
	assert_non_null(y);
	for (size_t i = 0; i < (size_t)SLICES * H * W; i++) {
		random = random * 1664525u + 1013904223u;
		x[i] = (float)(random >> 8) / (float)(1 << 24) * 2.5f - 0.5f;
	}
	for (size_t i = 0; i < (size_t)H * W; i++) {
		x[2 * H * W + i] = x[H * W + i];              /* a slice once more, and two without anything in them: computed once, unless a call has but one */
		x[3 * H * W + i] = x[4 * H * W + i] = -0.5f;
	}
	assert_int_equal(manifest_load("model/shipped/glioma-flair/0.1.0", &m, &e), 0);
	s = segmentor_load(&m, threads, &e);
	assert_non_null(s);
	for (size_t k = 0; k < SLICES; k += at_once) {
		size_t n = SLICES - k < at_once ? SLICES - k : at_once;
		assert_int_equal(segmentor_run(s, x + k * H * W, n, H, W, y + k * H * W, &e), 0);
	}
	segmentor_free(s);
	free(x);
	return y;
}

static void
threads_and_splits_change_no_bit(void **state)
{
	static const struct { unsigned threads; size_t at_once; } ways[] = { { 2, SLICES }, { 3, SLICES }, { 2, 2 }, { 8, SLICES }, { 1, 1 }, { 0, 3 } };
	float *want = run_shipped(1, SLICES);

	(void)state;
	for (size_t i = 0; i < (size_t)SLICES * H * W; i++)
		assert_true(want[i] >= 0 && want[i] <= 1);
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		float *got = run_shipped(ways[i].threads, ways[i].at_once);
		assert_memory_equal(got, want, sizeof *got * SLICES * H * W);
		free(got);
	}
	free(want);
}

/* Another slice size, then the first again: the lanes are planned anew, the bits stay. */
static void
sizes_may_change_between_calls(void **state)
{
	struct manifest m;
	struct err e = { 0 };
	struct segmentor *s;
	float x[16 * 32], first[16 * 32], other[16 * 16], again[16 * 32];

	(void)state;
	for (size_t i = 0; i < 16 * 32; i++)
		x[i] = (float)(i % 17) / 17;
	assert_int_equal(manifest_load("model/shipped/glioma-flair/0.1.0", &m, &e), 0);
	s = segmentor_load(&m, 2, &e);
	assert_non_null(s);
	assert_int_equal(segmentor_threads(s), 2);
	assert_int_equal(segmentor_run(s, x, 0, 16, 32, first, &e), 0);
	assert_int_equal(segmentor_run(s, x, 1, 16, 32, first, &e), 0);
	assert_int_equal(segmentor_run(s, x, 1, 16, 16, other, &e), 0);
	assert_int_equal(segmentor_run(s, x, 1, 16, 32, again, &e), 0);
	assert_memory_equal(first, again, sizeof first);
	segmentor_free(s);
}

static void
core_types_have_names(void **state)
{
	const char *wanted = compute_wanted_core();

	(void)state;
	assert_true(!wanted || strcmp(wanted, "SkylakeX") == 0 || strcmp(wanted, "Haswell") == 0);
	assert_true(strlen(compute_core()) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_references_agree), cmocka_unit_test(other_numbers_do_not_agree), cmocka_unit_test(lying_files_are_refused),
		cmocka_unit_test(files_that_are_not_there), cmocka_unit_test(threads_and_splits_change_no_bit),
		cmocka_unit_test(sizes_may_change_between_calls), cmocka_unit_test(core_types_have_names),
	};

	return cmocka_run_group_tests(tests, folder_set_up, folder_tear_down);
}
