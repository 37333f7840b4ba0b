/* Packed cases: what is written reads back, the split, whole or not at all, and a file cut or altered at any byte is refused by name. */
#include "config/file.h"
#include "model/dataset.h"
#include "tests/unit/own_folder.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { SLICES = 2, ROWS = 3, COLS = 5, VOXELS = SLICES * ROWS * COLS, SEGMENTS = 2 };

static char set[300];
static const char *const channels[] = { "flair", "t1c" };
static const struct grid grid = { SLICES, ROWS, COLS, { 5.000001, 0.9, 0.8 }, { -10.25, 1.0 / 3, 7e-7 }, { 1, 0, 0 }, { 0, 0.6, 0.8 } };

static int
set_up(void **state)
{
	assert_int_equal(folder_set_up(state), 0);
	snprintf(set, sizeof set, "%s/set", folder);
	return 0;
}

static size_t
entries(const char *dir)
{
	struct dirent *d;
	DIR *open_dir = opendir(dir);
	size_t n = 0;

	assert_non_null(open_dir);
	while ((d = readdir(open_dir)) != NULL)
		n += d->d_name[0] != '.';
	closedir(open_dir);
	return n;
}

static struct dataset_writer *
begin(void)
{
	struct err e;
	struct dataset_writer *w = dataset_begin(set, channels, 2, SEGMENTS, &e);

	if (w == NULL)
		fail_msg("%s", e.text);
	return w;
}

/* A case whose values tell its number. */
static int
add(struct dataset_writer *w, const char *name, const char *patient, unsigned number, struct err *e)
{
	float flair[VOXELS], t1c[VOXELS];
	uint8_t truth[SEGMENTS * VOXELS] = { 0 };
	struct dataset_case c = { .grid = grid, .channel = { flair, t1c }, .truth = truth };

	for (unsigned i = 0; i < VOXELS; i++) {
		flair[i] = (float)(number * 100 + i);
		t1c[i] = -(float)i / 3;
	}
	truth[number % (SEGMENTS * VOXELS)] = 1;
	snprintf(c.name, sizeof c.name, "%s", name);
	snprintf(c.patient, sizeof c.patient, "%s", patient);
	snprintf(c.creator, sizeof c.creator, "Reader^One");
	return dataset_add(w, &c, e);
}

static void
must_add(struct dataset_writer *w, const char *name, const char *patient, unsigned number)
{
	struct err e;

	if (add(w, name, patient, number, &e) != 0)
		fail_msg("%s", e.text);
}

static void
end(struct dataset_writer *w)
{
	char warning[200];
	struct err e;

	if (dataset_end(w, (struct dataset_shares){ 0.15, 0.15 }, warning, sizeof warning, &e) != 0)
		fail_msg("%s", e.text);
}

static struct dataset *
open_set(void)
{
	struct err e;
	struct dataset *d = dataset_open(set, &e);

	if (d == NULL)
		fail_msg("%s", e.text);
	return d;
}

static void
make_small_set(void)
{
	struct dataset_writer *w = begin();
	struct err e;

	must_add(w, "one", "aa", 1);
	must_add(w, "two", "bb", 2);
	must_add(w, "three", "cc", 3);
	must_add(w, "again", "cc", 4);
	assert_int_equal(dataset_leave_out(w, "four\xff\n", "its mask is empty \xc3", &e), 0);
	end(w);
}

static void
reads_what_was_written(void **state)
{
	struct dataset *d;
	struct err e;
	const char *reason;

	(void)state;
	make_small_set();
	assert_int_equal(entries(folder), 1);
	d = open_set();
	assert_int_equal(dataset_size(d), 4);
	assert_int_equal(dataset_channels(d), 2);
	assert_int_equal(dataset_segments(d), SEGMENTS);
	assert_string_equal(dataset_channel(d, 1), "t1c");
	assert_int_equal(strlen(dataset_digest(d)), 64);
	for (size_t i = 0; i < 4; i++) {
		const struct dataset_case *c = dataset_at(d, i);
		assert_null(c->truth);
		assert_int_equal(dataset_map(d, i, &e), 0);
		assert_int_equal(dataset_map(d, i, &e), 0);
		assert_memory_equal(&c->grid, &grid, sizeof grid); /* every bit of every number */
		assert_true(c->channel[0][7] == (float)((i + 1) * 100 + 7));
		assert_true(c->channel[1][8] == -8.0f / 3);
		assert_int_equal(c->truth[i + 1], 1);
		assert_int_equal(c->truth[i], 0);
		assert_string_equal(c->creator, "Reader^One");
		dataset_unmap(d, i);
		assert_null(c->truth);
		assert_null(c->channel[0]);
		dataset_unmap(d, i);
		assert_int_equal(dataset_map(d, i, &e), 0);
		assert_true(c->channel[0][7] == (float)((i + 1) * 100 + 7));
	}
	assert_string_equal(dataset_at(d, 3)->name, "again");
	assert_int_equal(dataset_left_out_size(d), 1);
	assert_string_equal(dataset_left_out(d, 0, &reason), "four??");
	assert_string_equal(reason, "its mask is empty ?");
	dataset_close(d);
}

/* ---- the split ---- */

static void
split_counts(size_t n_patients, bool backwards, enum dataset_split of[], size_t counts[3])
{
	struct dataset_writer *w = begin();
	struct err e;
	struct dataset *d;

	for (size_t i = 0; i < 2 * n_patients; i++) {
		size_t number = backwards ? 2 * n_patients - 1 - i : i;
		char name[40], patient[40];
		snprintf(name, sizeof name, "case%zu", number);
		snprintf(patient, sizeof patient, "%02zx", (number / 2 * 151 + 7) % 256);
		must_add(w, name, patient, (unsigned)number);
	}
	end(w);
	d = open_set();
	memset(counts, 0, 3 * sizeof *counts);
	for (size_t i = 0; i < 2 * n_patients; i++) {
		size_t number = strtoul(dataset_at(d, i)->name + 4, NULL, 10);
		of[number] = dataset_at(d, i)->split;
		counts[of[number]]++;
	}
	dataset_close(d);
	assert_int_equal(file_remove_tree(set, &e), 0);
}

static void
splits_by_patient(void **state)
{
	enum { PATIENTS = 40 };
	enum dataset_split forwards[2 * PATIENTS], backwards[2 * PATIENTS];
	size_t counts[3];

	(void)state;
	split_counts(PATIENTS, false, forwards, counts);
	assert_int_equal(counts[SPLIT_TRAIN], 56);
	assert_int_equal(counts[SPLIT_VALIDATION], 12);
	assert_int_equal(counts[SPLIT_TEST], 12);
	split_counts(PATIENTS, true, backwards, counts);
	assert_memory_equal(forwards, backwards, sizeof forwards);
	for (size_t i = 0; i < PATIENTS; i++)
		assert_int_equal(forwards[2 * i], forwards[2 * i + 1]);
	split_counts(3, false, forwards, counts);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(counts[i], 2);
}

static void
too_small_to_split_is_all_training(void **state)
{
	struct dataset_writer *w = begin();
	struct dataset *d;
	struct err e;
	char warning[200] = "";

	(void)state;
	must_add(w, "one", "aa", 1);
	must_add(w, "two", "bb", 2);
	assert_int_equal(dataset_end(w, (struct dataset_shares){ 0.15, 0.15 }, warning, sizeof warning, &e), 0);
	assert_non_null(strstr(warning, "too few"));
	d = open_set();
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(dataset_at(d, i)->split, SPLIT_TRAIN);
	dataset_close(d);
}

/* ---- whole or not at all ---- */

static void
never_touches_what_is_there(void **state)
{
	struct err e = { 0 };

	(void)state;
	make_small_set();
	assert_null(dataset_begin(set, channels, 2, 1, &e));
	assert_int_equal(e.code, ERR_STATE);
	dataset_close(open_set());
	assert_null(dataset_begin(folder, channels, 2, 1, &e));
	assert_int_equal(entries(folder), 1);
}

static void
leaves_nothing_when_given_up(void **state)
{
	struct dataset_writer *w = begin();
	struct err e;
	char warning[100];

	(void)state;
	must_add(w, "one", "aa", 1);
	dataset_abandon(w);
	assert_int_equal(entries(folder), 0);
	w = begin();
	assert_int_equal(dataset_leave_out(w, "one", "no mask", &e), 0);
	assert_int_equal(dataset_end(w, (struct dataset_shares){ 0.15, 0.15 }, warning, sizeof warning, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_non_null(strstr(e.text, "no mask"));
	assert_int_equal(entries(folder), 0);
}

static void
full_disk_leaves_nothing(void **state)
{
	struct rlimit before, tight;
	struct err e = { 0 };
	struct dataset_writer *w = begin();

	(void)state;
	must_add(w, "one", "aa", 1);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	tight = (struct rlimit) { 100, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	assert_int_equal(add(w, "two", "bb", 2, &e), -1);
	assert_true(err_may_pass(e.code));
	assert_int_equal(dataset_added(w), 1);
	assert_int_equal(dataset_end(w, (struct dataset_shares){ 0.15, 0.15 }, NULL, 0, &e), -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(entries(folder), 0);
}

static void
refuses_a_case_that_cannot_be_used(void **state)
{
	struct dataset_writer *w = begin();
	float flair[VOXELS] = { 1 }, flat[VOXELS] = { 0 };
	uint8_t truth[SEGMENTS * VOXELS] = { 1 };
	struct dataset_case c = { .name = "x", .patient = "aa", .grid = grid, .channel = { flair, flat }, .truth = truth };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(dataset_add(w, &c, &e), -1);
	assert_non_null(strstr(e.text, "t1c: the image is constant"));
	flat[3] = NAN;
	assert_int_equal(dataset_add(w, &c, &e), -1);
	assert_non_null(strstr(e.text, "t1c: voxel 3"));
	flat[3] = 2;
	assert_int_equal(dataset_add(w, &c, &e), 0);
	flair[0] = 2;
	assert_int_equal(dataset_add(w, &c, &e), -1);
	assert_non_null(strstr(e.text, "name x"));
	flair[0] = 1;
	snprintf(c.name, sizeof c.name, "y");
	assert_int_equal(dataset_add(w, &c, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_non_null(strstr(e.text, "same images and truth as case x"));
	assert_int_equal(dataset_added(w), 1);
	dataset_abandon(w);
}

/* ---- cut and altered ---- */

static char *
load(const char *path, size_t *n)
{
	struct err e;
	char *bytes = file_read(path, 1 << 20, n, &e);

	assert_non_null(bytes);
	return bytes;
}

static void
store(const char *path, const char *bytes, size_t n)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void
is_refused(const char *file, size_t at)
{
	struct err e = { 0 };
	struct dataset *d = dataset_open(set, &e);

	if (d != NULL)
		fail_msg("%s, byte %zu: not noticed", file, at);
	if (e.code != ERR_INPUT || strstr(e.text, file) == NULL)
		fail_msg("%s, byte %zu: %s", file, at, e.text);
}

static void
cut_anywhere_is_refused(void **state)
{
	static const char *const files[] = { "dataset.json", "0000.bin", "0003.bin" };

	(void)state;
	make_small_set();
	for (size_t f = 0; f < 3; f++) {
		char path[400];
		size_t n;
		snprintf(path, sizeof path, "%s/%s", set, files[f]);
		char *bytes = load(path, &n);
		for (size_t i = 0; i < n; i++) {
			store(path, bytes, i);
			is_refused(files[f], i);
		}
		unlink(path);
		struct err e;
		assert_null(dataset_open(set, &e));
		store(path, bytes, n);
		free(bytes);
		dataset_close(open_set());
	}
}

static void
altered_anywhere_is_refused(void **state)
{
	char path[400], *bytes;
	size_t n;
	struct err e = { 0 };

	(void)state;
	make_small_set();
	snprintf(path, sizeof path, "%s/dataset.json", set);
	bytes = load(path, &n);
	for (size_t i = 0; i < n; i++) {
		bytes[i] ^= 1;
		store(path, bytes, n);
		is_refused("dataset.json", i);
		bytes[i] ^= 1;
	}
	store(path, bytes, n);
	free(bytes);
	snprintf(path, sizeof path, "%s/0001.bin", set);
	bytes = load(path, &n);
	for (size_t i = 0; i < n; i += 3) {
		struct dataset *d;
		bytes[i] ^= 16;
		store(path, bytes, n);
		d = open_set();
		assert_int_equal(dataset_map(d, 0, &e), 0);
		assert_int_equal(dataset_map(d, 1, &e), -1);
		assert_int_equal(e.code, ERR_INPUT);
		assert_non_null(strstr(e.text, "case two (0001.bin) is altered"));
		dataset_close(d);
		bytes[i] ^= 16;
	}
	free(bytes);
}

/* "again" and "three" are one patient. */
static void
patient_in_two_splits_is_refused(void **state)
{
	char path[400], text[8192], *bytes, *at;
	const char *had;
	struct dataset *d;
	size_t n;
	struct err e = { 0 };

	(void)state;
	make_small_set();
	d = open_set();
	had = dataset_split_name(dataset_at(d, 3)->split);
	dataset_close(d);
	snprintf(path, sizeof path, "%s/dataset.json", set);
	bytes = load(path, &n);
	at = strstr(strstr(strstr(bytes, "\"again\""), "\"split\""), had);
	assert_non_null(at);
	snprintf(text, sizeof text, "%.*s%s%s", (int)(at - bytes), bytes, strcmp(had, "train") == 0 ? "test" : "train", at + strlen(had));
	store(path, text, strlen(text));
	free(bytes);
	assert_null(dataset_open(set, &e));
	assert_non_null(strstr(e.text, "one patient is in two splits"));
}

static void
stranger_is_refused(void **state)
{
	char path[400];
	struct err e = { 0 };

	(void)state;
	assert_null(dataset_open(set, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	make_small_set();
	snprintf(path, sizeof path, "%s/dataset.json", set);
	store(path, "{\"version\": 2}", 14);
	assert_null(dataset_open(set, &e));
	assert_non_null(strstr(e.text, "version 1"));
	store(path, "[]", 2);
	assert_null(dataset_open(set, &e));
	assert_int_equal(e.code, ERR_INPUT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, folder_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_what_was_written), TEST(splits_by_patient), TEST(too_small_to_split_is_all_training), TEST(never_touches_what_is_there),
		TEST(leaves_nothing_when_given_up), TEST(full_disk_leaves_nothing), TEST(refuses_a_case_that_cannot_be_used), TEST(cut_anywhere_is_refused),
		TEST(altered_anywhere_is_refused), TEST(patient_in_two_splits_is_refused), TEST(stranger_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
