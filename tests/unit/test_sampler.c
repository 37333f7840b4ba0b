/* What a step sees: a function of the seed and the step alone; images and truth moved together; the decks dealt in the recipe's proportion. Images of two
 * values: 1, and 2 where there is tumour. */
#include "config/file.h"
#include "model/sampler.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { S = 6, R = 64, C = 48, N = S * R * C, CROP = 80, PIXELS = CROP * CROP, MAX_BATCH = 12, N_CASES = 2 };

static const struct grid grid = { S, R, C, { 5, 0.9, 0.9 }, { 0, 0, 0 }, { 1, 0, 0 }, { 0, 1, 0 } };
static const size_t tumour_slices[N_CASES] = { 1, 3 }; /* how many of a case's slices have one */

static float voxels[N_CASES][N];
static uint8_t truth_of[N_CASES][N];
static struct dataset_case sources[N_CASES];
static struct prepared cases[N_CASES];
static struct recipe recipe;
static float x[MAX_BATCH * PIXELS], truth[MAX_BATCH * PIXELS], other_x[MAX_BATCH * PIXELS], other_truth[MAX_BATCH * PIXELS];

/* An L, of another size in each slice that has one. */
static bool
is_tumour(size_t i, size_t s, size_t r, size_t c)
{
	const size_t size = 5 + 3 * i + s;

	return s < tumour_slices[i] && r >= 20 && c >= 10 && r < 20 + size && c < 10 + size && (c < 13 || r < 22);
}

static size_t
area(size_t i, size_t s)
{
	size_t n = 0;

	for (size_t k = 0; k < R * C; k++)
		n += is_tumour(i, s, k / C, k % C);
	return n;
}

static int
set_up(void **state)
{
	static const char *const channels[] = { "flair" };
	struct err e;

	(void)state;
	assert_int_equal(recipe_default(&recipe, channels, 1, 1, &e), 0);
	recipe.model.neighbours = 0;
	recipe.model.network.channels = 1;
	recipe.crop = CROP;
	recipe.batch = 8;
	recipe.model.normalisation.clip[0] = 1;        /* all that is no tumour */
	for (size_t i = 0; i < N_CASES; i++) {
		for (size_t k = 0; k < N; k++) {
			truth_of[i][k] = is_tumour(i, k / (R * C), k / C % R, k % C);
			voxels[i][k] = truth_of[i][k] ? 5000 : (float)(100 + 10 * (k * 7 % 11));
		}
		sources[i] = (struct dataset_case){ .name = "c", .grid = grid, .channel = { voxels[i] }, .truth = truth_of[i] };
		cases[i].source = &sources[i];
		cases[i].prep = prep_new(&recipe.model, &(struct volume){ &grid, { .real = voxels[i] } }, 1, &e);
		assert_non_null(cases[i].prep);
	}
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_CASES; i++)
		prep_free(cases[i].prep);
	return 0;
}

/* Neither moved nor changed, but for the place of the crop. */
static struct recipe
plain(void)
{
	struct recipe r = recipe;

	r.augmentation = (struct augmentation){ .scale = { 1, 1 }, .intensity_scale = { 1, 1 }, .gamma = { 1, 1 } };
	return r;
}

static void
batch(const struct recipe *r, unsigned threads, int64_t step, float *to_x, float *to_truth)
{
	struct err e = { 0 };
	struct sampler *s = sampler_new(r, cases, N_CASES, threads, &e);

	if (!s)
		fail_msg("%s", e.text);
	sampler_batch(s, step, to_x, to_truth);
	sampler_free(s);
}

static size_t
count(const float *one)
{
	size_t n = 0;

	for (size_t i = 0; i < PIXELS; i++) {
		assert_true(one[i] == 0 || one[i] == 1);
		n += one[i] == 1;
	}
	return n;
}

static void
a_batch_is_a_function_of_seed_and_step(void **state)
{
	struct recipe r = recipe;
	const size_t bytes = (size_t)r.batch * PIXELS * sizeof *x;
	struct sampler *s;
	struct err e;

	(void)state;
	r.augmentation.noise = 0.1;
	s = sampler_new(&r, cases, N_CASES, 1, &e);
	assert_non_null(s);
	for (int64_t step = 0; step < 8; step++) {       /* one sampler, step after step; another, this step only, three threads */
		sampler_batch(s, step, x, truth);
		batch(&r, 3, step, other_x, other_truth);
		assert_memory_equal(x, other_x, bytes);
		assert_memory_equal(truth, other_truth, bytes);
	}
	sampler_batch(s, 6, x, truth);
	assert_memory_not_equal(x, other_x, bytes);
	sampler_free(s);
	r.seed = 2;
	batch(&r, 1, 7, x, truth);
	assert_memory_not_equal(x, other_x, bytes);
}

static void
truth_moves_with_the_image(void **state)
{
	struct recipe r = recipe;
	size_t n_true = 0;

	(void)state;
	r.augmentation.intensity_scale[0] = r.augmentation.intensity_scale[1] = 1;
	r.augmentation.intensity_shift = r.augmentation.noise = 0;
	r.augmentation.gamma[0] = r.augmentation.gamma[1] = 1;
	r.augmentation.rotate_degrees = 180;
	for (int64_t step = 0; step < 8; step++) {
		batch(&r, 1, step, x, truth);
		for (size_t i = 0; i < (size_t)r.batch * PIXELS; i++) {
			if (fabsf(x[i] - 1.5F) > 1e-4F)
				assert_true(truth[i] == (x[i] > 1.5F));
			n_true += truth[i] == 1;
		}
	}
	assert_true(n_true > 500);
}

static void
what_is_not_turned_is_not_resampled(void **state)
{
	struct recipe r = plain();

	(void)state;
	batch(&r, 1, 3, x, truth);
	for (size_t i = 0; i < (size_t)r.batch * PIXELS; i++)
		assert_true(x[i] == 1 + truth[i]);
}

static void
a_mirrored_sample_is_the_other_mirrored(void **state)
{
	struct recipe r = plain();

	(void)state;
	batch(&r, 1, 0, x, truth);
	r.augmentation.flip = 1;
	batch(&r, 1, 0, other_x, other_truth);
	for (size_t i = 0; i < (size_t)r.batch * CROP; i++)
		for (size_t c = 0; c < CROP; c++) {
			assert_true(other_x[i * CROP + c] == x[i * CROP + CROP - 1 - c]);
			assert_true(other_truth[i * CROP + c] == truth[i * CROP + CROP - 1 - c]);
		}
}

static void
a_turn_and_a_scale_are_what_they_say(void **state)
{
	struct recipe r = plain();
	size_t before[8];

	(void)state;
	r.tumour_fraction = 1;
	batch(&r, 1, 0, x, truth);
	for (size_t i = 0; i < 8; i++)
		before[i] = count(truth + i * PIXELS);
	r.crop = 160;                                    /* all of it stays inside */
	r.augmentation.scale[0] = r.augmentation.scale[1] = 2;
	r.batch = 2;
	{
		float *big = calloc(2 * 160 * 160, sizeof *big), *big_truth = calloc(2 * 160 * 160, sizeof *big);

		assert_non_null(big);
		assert_non_null(big_truth);
		batch(&r, 1, 0, big, big_truth);
		for (size_t i = 0; i < 2; i++) {
			size_t n = 0;

			for (size_t k = 0; k < 160 * 160; k++)
				n += big_truth[i * 160 * 160 + k] == 1;
			assert_in_range(n, before[i] * 7 / 2, before[i] * 9 / 2);    /* twice as long, four times the area */
		}
		free(big);
		free(big_truth);
	}
}

/* The middle one is the slice itself; all are moved and brightened as one. */
static void
neighbours_go_in_with_a_slice(void **state)
{
	struct recipe r = recipe;
	float *wide;

	(void)state;
	r.augmentation.noise = 0;                        /* which no two channels share */
	r.batch = 4;
	r.tumour_fraction = 1;
	batch(&r, 1, 0, x, truth);
	recipe.model.neighbours = r.model.neighbours = 1;            /* recipe.model is what the cases were prepared by */
	r.model.network.channels = 3;
	wide = calloc(4 * 3 * PIXELS, sizeof *wide);
	assert_non_null(wide);
	batch(&r, 2, 0, wide, other_truth);
	recipe.model.neighbours = 0;
	assert_memory_equal(truth, other_truth, 4 * PIXELS * sizeof *truth);
	for (size_t i = 0; i < 4; i++) {
		assert_memory_equal(wide + (i * 3 + 1) * PIXELS, x + i * PIXELS, PIXELS * sizeof *x);
		assert_true(wide[i * 3 * PIXELS] == x[i * PIXELS]);  /* a corner: air, changed alike */
		assert_true(memcmp(wide + i * 3 * PIXELS, wide + (i * 3 + 2) * PIXELS, PIXELS * sizeof *x) != 0);
	}
	free(wide);
}

static void
tumour_is_drawn_as_often_as_asked(void **state)
{
	static const double fractions[] = { 0, 0.25, 0.5, 1 };

	(void)state;
	for (size_t f = 0; f < 4; f++) {
		struct recipe r = plain();
		size_t n = 0;

		r.tumour_fraction = fractions[f];
		for (int64_t step = 0; step < 3; step++) {
			batch(&r, 1, step, x, truth);
			for (size_t i = 0; i < 8; i++)
				n += count(truth + i * PIXELS) > 0;
		}
		assert_int_equal(n, (size_t)(24 * fractions[f]));
	}
}

/* How often each slice with tumour is in a batch, told by its area. */
static void
count_slices(size_t n, size_t of_case[N_CASES], size_t of_slice[N_CASES][S])
{
	memset(of_case, 0, N_CASES * sizeof *of_case);
	memset(of_slice, 0, N_CASES * sizeof *of_slice);
	for (size_t i = 0; i < n; i++) {
		size_t a = count(truth + i * PIXELS);

		for (size_t k = 0; k < N_CASES; k++)
			for (size_t s = 0; s < tumour_slices[k]; s++)
				if (area(k, s) == a) {
					of_case[k]++;
					of_slice[k][s]++;
				}
	}
}

static void
a_pass_has_every_slice_once_or_every_case_once(void **state)
{
	struct recipe r = plain();
	size_t of_case[N_CASES], of_slice[N_CASES][S];

	(void)state;
	r.tumour_fraction = 1;
	r.batch = 4;                                     /* as many as there are */
	for (int64_t step = 0; step < 3; step++) {
		batch(&r, 1, step, x, truth);
		count_slices(4, of_case, of_slice);
		for (size_t k = 0; k < N_CASES; k++)
			for (size_t s = 0; s < tumour_slices[k]; s++)
				assert_int_equal(of_slice[k][s], 1);
		r.draw = DRAW_CASES;
		batch(&r, 1, step, x, truth);
		count_slices(4, of_case, of_slice);
		assert_int_equal(of_case[0], 2);
		assert_int_equal(of_case[1], 2);
		r.draw = DRAW_SLICES;
	}
}

static void
intensities_change_within_their_ranges(void **state)
{
	struct recipe r = plain();
	bool is_changed = false;

	(void)state;
	r.augmentation.intensity_scale[0] = 0.5;
	r.augmentation.intensity_shift = 0.25;
	batch(&r, 1, 0, x, truth);
	for (size_t i = 0; i < 8; i++) {
		float low = x[i * PIXELS];

		for (size_t k = 0; k < PIXELS; k++) {
			float v = x[i * PIXELS + k];
			assert_true(v >= 0.5F * (1 + truth[i * PIXELS + k]) - 0.25F - 1e-5F && v <= 1 + truth[i * PIXELS + k] + 0.25F + 1e-5F);
			assert_true(truth[i * PIXELS + k] == 1 || v == low);     /* one change a sample */
		}
		is_changed |= fabsf(low - 1) > 0.05F;
	}
	assert_true(is_changed);
}

static void
no_case_is_an_error(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_null(sampler_new(&recipe, cases, 0, 1, &e));
	assert_int_equal(e.code, ERR_INPUT);
}

static void
an_epoch_is_as_many_samples_as_slices(void **state)
{
	struct err e;
	struct sampler *s = sampler_new(&recipe, cases, N_CASES, 1, &e);

	(void)state;
	assert_non_null(s);
	assert_int_equal(sampler_epoch(s), (2 * S + 7) / 8);
	sampler_free(s);
}

/* ---- a set on disk ---- */

enum { BIG_SLICES = 24, BIG_SIDE = 192, BIG = BIG_SLICES * BIG_SIDE * BIG_SIDE, FEW = 2, MANY = 3 * FEW };

/* kB of mapped files in memory of this process: what grew with the set. (What is freed stays with a sanitizer for a while, so the whole would not do.) */
static long
resident_kb(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*d %*d %ld", &pages), 1);
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void
make_set(const char *dir, size_t n)
{
	static const char *const channels[] = { "flair" };
	static float image[BIG];
	static uint8_t mask[BIG];
	struct dataset_case c = { .grid = { BIG_SLICES, BIG_SIDE, BIG_SIDE, { 5, 0.9, 0.9 }, { 0, 0, 0 }, { 1, 0, 0 }, { 0, 1, 0 } }, .channel = { image }, .truth = mask };
	struct dataset_writer *w;
	struct err e = { 0 };
	char warning[200];

	assert_non_null(w = dataset_begin(dir, channels, 1, 1, &e));
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < BIG; k++) {
			image[k] = (float)((k * 7 + i) % 1000);
			mask[k] = k % 5000 < 40;
		}
		snprintf(c.name, sizeof c.name, "case%zu", i);
		snprintf(c.patient, sizeof c.patient, "%zu", i);
		if (dataset_add(w, &c, &e) != 0)
			fail_msg("%s", e.text);
	}
	assert_int_equal(dataset_end(w, (struct dataset_shares){ 0, 0 }, warning, sizeof warning, &e), 0);
}

/* In memory while a training on a set of n cases stands after 30 batches, which look at all of it. The first batch is in *first_x. */
static long
resident_with(const char *dir, size_t n, float *first_x)
{
	static float image[MAX_BATCH * PIXELS], labels[MAX_BATCH * PIXELS];
	struct prepared *all = NULL;
	struct sampler *s = NULL;
	struct dataset *d;
	struct err e = { 0 };
	size_t n_found = 0;
	long kb;

	make_set(dir, n);
	if (!(d = dataset_open(dir, &e)) || prepared_open(d, &recipe.model, SPLIT_TRAIN, &all, &n_found, &e) != 0 || !(s = sampler_new(&recipe, all, n_found, 1, &e)))
		fail_msg("%s", e.text);
	assert_int_equal(n_found, n);
	sampler_batch(s, 0, first_x, labels);
	for (int64_t step = 1; step < 30; step++)
		sampler_batch(s, step, image, labels);
	kb = resident_kb();
	sampler_batch(s, 0, image, labels);            /* what rested is read again as it was */
	assert_memory_equal(image, first_x, (size_t)recipe.batch * PIXELS * sizeof *image);
	sampler_free(s);
	prepared_free(all, n_found);
	dataset_close(d);
	assert_int_equal(file_remove_tree(dir, &e), 0);
	return kb;
}

static void
memory_does_not_grow_with_the_set(void **state)
{
	static float first[MAX_BATCH * PIXELS];
	const long a_case_kb = BIG * 5 / 1024;
	char dir[256], set[300];
	struct err e;
	long few, many;

	(void)state;
	snprintf(dir, sizeof dir, "%s/sampler.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(dir));
	snprintf(set, sizeof set, "%s/set", dir);
	few = resident_with(set, FEW, first);
	many = resident_with(set, MANY, first);
	if (many - few >= a_case_kb)
		fail_msg("%d cases of %ld kB: %ld kB in memory; %d cases: %ld kB", FEW, a_case_kb, few, MANY, many);
	assert_int_equal(file_remove_tree(dir, &e), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch_is_a_function_of_seed_and_step), cmocka_unit_test(truth_moves_with_the_image), cmocka_unit_test(what_is_not_turned_is_not_resampled),
		cmocka_unit_test(a_mirrored_sample_is_the_other_mirrored), cmocka_unit_test(a_turn_and_a_scale_are_what_they_say),
		cmocka_unit_test(neighbours_go_in_with_a_slice), cmocka_unit_test(tumour_is_drawn_as_often_as_asked), cmocka_unit_test(a_pass_has_every_slice_once_or_every_case_once),
		cmocka_unit_test(intensities_change_within_their_ranges), cmocka_unit_test(no_case_is_an_error), cmocka_unit_test(an_epoch_is_as_many_samples_as_slices),
		cmocka_unit_test(memory_does_not_grow_with_the_set),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
