/* Segmentations read back: those of our own writer, those of a foreign one (tests/tools/mkseg.py, pydicom), odd sizes, every kind, frames in any order;
 * what does not lie on the images is refused; ours is known, and ours with other pixels too. */
#include "config/file.h"
#include "dicom/bits.h"
#include "dicom/dicom.h"
#include "dicom/seg.h"
#include "dicom/seg_read.h"
#include "tests/unit/series_in.h"

#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_ARGS = 24, SEGMENTS = 2 };

extern char **environ;
static char root[256], log_path[300], source_dir[300], raw_path[300], seg_path[300];
static struct series *series;
static uint8_t *masks; /* (SEGMENTS, slices, rows, cols) */
static size_t n_voxels;

static void
must_run(const char *const argv[])
{
	posix_spawn_file_actions_t actions;
	int status = -1;
	pid_t pid;
	size_t n;
	struct err e;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, log_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_adddup2(&actions, 1, 2);
	if (posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ) != 0 || waitpid(pid, &status, 0) != pid || status != 0)
		fail_msg("%s %s: %s", argv[0], argv[1], file_read(log_path, 1 << 20, &n, &e));
	posix_spawn_file_actions_destroy(&actions);
}

/* A foreign SEG of the present masks; options end with NULL. */
static void
write_foreign(const char *const options[])
{
	const char *argv[MAX_ARGS] = { "/usr/bin/python3", "tests/tools/mkseg.py", seg_path, source_dir, raw_path };

	for (size_t n = 5; *options != NULL; n++)
		argv[n] = *options++;
	must_run(argv);
}

static void
write_ours(void)
{
	struct seg_segment segments[SEGMENTS] = {
		{ .number = 1, .label = "Whole tumour", .category = { "SCT", "49755003", "Morph" }, .type = { "SCT", "108369006", "Neoplasm" }, .mask = masks },
		{ .number = 2, .label = "Core", .category = { "SCT", "49755003", "Morph" }, .type = { "SCT", "86049000", "Core" }, .mask = masks + n_voxels },
	};
	struct seg_request r = { .source = series, .segments = segments, .n_segments = SEGMENTS, .identity = "id", .node_id = "node", .model_name = "m",
		.model_version = "1", .weights_sha256 = "31101439c01b240252c62722452e3c609061ba458bf84d5387ffb2af9a87df96", .core_type = "x", .series_number = 5,
		.created_ms = 1769860800123 };
	struct seg_result out;
	struct err e;

	if (seg_write(&r, seg_path, &out, &e) != 0)
		fail_msg("%s", e.text);
}

/* Two balls that overlap, and noise: every byte border is crossed by something. */
static void
fill_masks(const struct grid *g)
{
	uint32_t random = 1;

	for (size_t s = 0; s < SEGMENTS; s++)
		for (size_t z = 0; z < g->slices; z++)
			for (size_t y = 0; y < g->rows; y++)
				for (size_t x = 0; x < g->cols; x++) {
					double dz = ((double)z - 3 - (double)s) * 4, dy = (double)y - 12, dx = (double)x - 14 - 4 * (double)s, d = dz * dz + dy * dy + dx * dx;
					random = random * 1664525 + 1013904223;
					masks[s * n_voxels + (z * g->rows + y) * g->cols + x] = d < 100 || (d < 200 && random >> 31);
				}
}

static void
open_source(const char *rows, const char *cols)
{
	FILE *f;

	snprintf(source_dir, sizeof source_dir, "%s/%sx%s", root, rows, cols);
	must_run((const char *const[]) { "/usr/bin/python3", "tests/tools/mkoblique.py", source_dir, "--rows", rows, "--cols", cols, NULL });
	series = series_in(source_dir);
	n_voxels = grid_voxels(series_grid(series));
	masks = calloc(SEGMENTS, n_voxels);
	assert_non_null(masks);
	fill_masks(series_grid(series));
	f = fopen(raw_path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(masks, 1, SEGMENTS * n_voxels, f), SEGMENTS * n_voxels);
	assert_int_equal(fclose(f), 0);
}

static void
close_source(void)
{
	series_free(series);
	free(masks);
}

static int
set_up(void **state)
{
	(void)state;
	open_source("45", "51");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	close_source();
	return 0;
}

static struct seg_file *
must_open(void)
{
	struct err e;
	struct seg_file *s = seg_read_open(seg_path, &e);

	if (s == NULL)
		fail_msg("%s", e.text);
	return s;
}

/* The SEG's two segments are the masks, every voxel. */
static void
reads_the_masks(const unsigned numbers[SEGMENTS])
{
	uint8_t *got = malloc(SEGMENTS * n_voxels);
	struct seg_file *s = must_open();
	struct err e;

	assert_non_null(got);
	if (seg_read_masks(s, series, numbers, SEGMENTS, (uint8_t *[]) { got, got + n_voxels }, &e) != 0)
		fail_msg("%s", e.text);
	assert_memory_equal(got, masks, SEGMENTS * n_voxels);
	free(got);
	seg_read_free(s);
}

static const unsigned one_two[SEGMENTS] = { 1, 2 };

static void
reads_our_own(void **state)
{
	static const struct { const char *rows, *cols; } sizes[] = { { "45", "51" }, { "48", "56" }, { "27", "33" }, { "31", "32" } };

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct seg_file *s;
		close_source();
		open_source(sizes[i].rows, sizes[i].cols);
		write_ours();
		reads_the_masks(one_two);
		s = must_open();
		assert_int_equal(seg_read_info(s)->origin, SEG_OURS);
		assert_true(seg_read_refers_to(s, series_info(series)->series_uid));
		assert_false(seg_read_refers_to(s, "1.2.3"));
		assert_string_equal(seg_read_at(s, 0)->algorithm_type, "AUTOMATIC");
		seg_read_free(s);
	}
}

static void
reads_foreign_kinds(void **state)
{
	static const char *const options[][8] = {
		{ NULL }, { "--implicit", NULL }, { "--kind", "fractional", NULL }, { "--no-positions", NULL }, { "--no-references", NULL },
		{ "--shift", "0.3", NULL }, { "--no-series", NULL }, { "--rle", NULL }, { "--kind", "fractional", "--rle", NULL },
		{ "--rle", "--rle-bytes", NULL }, { "--deflated", NULL }, { "--kind", "fractional", "--deflated", NULL }, { "--dcmjs", "--padded", "--deflated", NULL },
		{ "--big-endian", NULL }, { "--big-endian", "--words", NULL }, { "--kind", "fractional", "--big-endian", NULL },
		{ "--dcmjs", "--padded", NULL }, /* one bit a frame: the length alone does not tell */
	};

	(void)state;
	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		write_foreign(options[i]);
		reads_the_masks(one_two);
	}
	write_foreign((const char *const[]) { "--numbers", "3,700", NULL });
	reads_the_masks((const unsigned[]) { 3, 700 });
}

/* Files of npm's @cornerstonejs/adapters (tests/data/seg/README.md), over the very series that set_up makes. */
static void
reads_what_adapters_wrote(void **state)
{
	static const char *const files[] = { "tests/data/seg/adapters_binary.dcm", "tests/data/seg/adapters_binary_rle.dcm", "tests/data/seg/adapters_labelmap_rle.dcm" };
	struct err e;
	size_t n;
	char *bytes = file_read("tests/data/seg/masks.bits", 1 << 20, &n, &e);

	(void)state;
	assert_non_null(bytes);
	assert_int_equal(n, (SEGMENTS * n_voxels + 7) / 8);
	bits_unpack((const uint8_t *)bytes, 0, SEGMENTS * n_voxels, masks);
	free(bytes);
	for (size_t i = 0; i < 3; i++) {
		bytes = file_read(files[i], 1 << 20, &n, &e);
		assert_non_null(bytes);
		assert_int_equal(file_write(seg_path, bytes, n, &e), 0);
		free(bytes);
		reads_the_masks(one_two);
	}
}

/* 891 bits: five of padding a frame, in any writer's file. */
static void
reads_padded_frames(void **state)
{
	(void)state;
	close_source();
	open_source("27", "33");
	write_foreign((const char *const[]) { "--padded", NULL });
	reads_the_masks(one_two);
	write_foreign((const char *const[]) { NULL });
	reads_the_masks(one_two);
}

static void
reads_label_maps(void **state)
{
	static const char *const kinds[] = { "labelmap", "labelmap16" };

	(void)state;
	for (size_t i = 0; i < n_voxels; i++) /* a voxel has one label: the later segment wins in mkseg.py */
		masks[i] = masks[i] && !masks[n_voxels + i];
	for (size_t i = 0; i < 4; i++) {
		write_foreign((const char *const[]) { "--kind", kinds[i % 2], "--numbers", i % 2 == 0 ? "1,2" : "1,300", i < 2 ? NULL : "--rle", NULL });
		reads_the_masks((const unsigned[]) { 1, i % 2 == 0 ? 2 : 300 });
	}
	write_foreign((const char *const[]) { "--kind", "labelmap16", "--numbers", "1,300", "--big-endian", "--words", NULL });
	reads_the_masks((const unsigned[]) { 1, 300 });
	write_foreign((const char *const[]) { "--kind", "labelmap", "--set", "PhotometricInterpretation=PALETTE COLOR", NULL });
	reads_the_masks(one_two);
}

static void
tells_what_it_says(void **state)
{
	struct seg_file *s;

	(void)state;
	write_foreign((const char *const[]) { "--algorithm", "SEMIAUTOMATIC", "--modifier", "255503000", "--creator", "M\xc3\xbcller^Eva", "--labels", "Tumeur \xc3\xa9,B", NULL });
	s = must_open();
	assert_int_equal(seg_read_info(s)->n_segments, 2);
	assert_int_equal(seg_read_info(s)->origin, SEG_OTHERS);
	assert_string_equal(seg_read_info(s)->creator, "M\xc3\xbcller^Eva");
	assert_string_equal(seg_read_info(s)->created, "20240312 120000");
	assert_string_equal(seg_read_info(s)->study_uid, series_info(series)->study_uid);
	assert_int_not_equal(seg_read_info(s)->first_source[0], '\0');
	assert_string_equal(seg_read_at(s, 0)->label, "Tumeur \xc3\xa9");
	assert_int_equal(seg_read_at(s, 1)->number, 2);
	assert_string_equal(seg_read_at(s, 0)->algorithm_type, "SEMIAUTOMATIC");
	assert_string_equal(seg_read_at(s, 0)->category.value, "49755003");
	assert_string_equal(seg_read_at(s, 0)->type.scheme, "SCT");
	assert_string_equal(seg_read_at(s, 0)->type.value, "108369006");
	assert_string_equal(seg_read_at(s, 0)->modifier.value, "255503000");
	seg_read_free(s);
}

/* One bit of our own object turned: no longer what the program found. */
static void
knows_a_correction(void **state)
{
	struct seg_file *s;
	struct err e;
	size_t n;
	char *bytes;

	(void)state;
	write_ours();
	bytes = file_read(seg_path, 1 << 24, &n, &e);
	assert_non_null(bytes);
	bytes[n - 20] ^= 4; /* PixelData is last */
	assert_int_equal(file_write(seg_path, bytes, n, &e), 0);
	free(bytes);
	s = must_open();
	assert_int_equal(seg_read_info(s)->origin, SEG_OURS_CHANGED);
	seg_read_free(s);
}

/* An archive may compress what we wrote: it stays ours, and not corrected. */
static void
knows_ours_when_compressed(void **state)
{
	struct seg_file *s;

	(void)state;
	write_ours();
	must_run((const char *const[]) { "/usr/bin/python3", "tests/tools/mkseg.py", seg_path, source_dir, raw_path, "--recompress", seg_path, NULL });
	reads_the_masks(one_two);
	s = must_open();
	assert_int_equal(seg_read_info(s)->origin, SEG_OURS);
	seg_read_free(s);
}

static void
cannot_open(const char *const options[], const char *words)
{
	struct err e = { 0 };

	write_foreign(options);
	assert_null(seg_read_open(seg_path, &e));
	assert_int_equal(e.code, ERR_INPUT);
	if (strstr(e.text, words) == NULL)
		fail_msg("\"%s\" does not hold \"%s\"", e.text, words);
}

static void
refuses_what_is_no_sound_seg(void **state)
{
	struct err e = { 0 };

	(void)state;
	cannot_open((const char *const[]) { "--rle", "--set", "NumberOfFrames=3", NULL }, "fragments");
	cannot_open((const char *const[]) { "--rle", "--set", "NumberOfFrames=2000000", NULL }, "too little");
	cannot_open((const char *const[]) { "--set", "NumberOfFrames=3", NULL }, "(7FE0,0010)");
	cannot_open((const char *const[]) { "--set", "NumberOfFrames=3000", NULL }, "(7FE0,0010)");
	cannot_open((const char *const[]) { "--set", "BitsAllocated=8", NULL }, "Bits");
	cannot_open((const char *const[]) { "--set", "SegmentationType=OTHER", NULL }, "(0062,0001)");
	cannot_open((const char *const[]) { "--kind", "fractional", "--set", "MaximumFractionalValue=0", NULL }, "(0062,000E)");
	cannot_open((const char *const[]) { "--numbers", "4,4", NULL }, "(0062,0004) 4 is there twice");
	assert_null(seg_read_open(raw_path, &e));
	assert_int_equal(e.code, ERR_INPUT);
}

static void
does_not_fit(const char *const options[], const char *words)
{
	uint8_t *got = malloc(SEGMENTS * n_voxels);
	struct err e = { 0 };
	struct seg_file *s;

	write_foreign(options);
	s = must_open();
	assert_int_equal(seg_read_masks(s, series, one_two, SEGMENTS, (uint8_t *[]) { got, got + n_voxels }, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	if (strstr(e.text, words) == NULL)
		fail_msg("\"%s\" does not hold \"%s\"", e.text, words);
	free(got);
	seg_read_free(s);
}

static void
refuses_what_lies_elsewhere(void **state)
{
	struct series *mine = series;

	(void)state;
	does_not_fit((const char *const[]) { "--shift", "3", NULL }, "(0020,0032) lies on no slice");
	does_not_fit((const char *const[]) { "--shift", "6.5", NULL }, "but lies on slice");
	does_not_fit((const char *const[]) { "--wrong-reference", NULL }, "refers to slice");
	does_not_fit((const char *const[]) { "--no-references", "--set", "FrameOfReferenceUID=1.2.3", NULL }, "(0020,0052)");
	does_not_fit((const char *const[]) { "--no-references", "--no-positions", NULL }, "neither");
	free(masks);
	write_foreign((const char *const[]) { NULL });
	open_source("48", "56"); /* the SEG is of 45 x 51 */
	struct err e = { 0 };
	struct seg_file *s = must_open();
	assert_int_equal(seg_read_masks(s, series, one_two, 1, (uint8_t *[]) { masks }, &e), -1);
	assert_non_null(strstr(e.text, "Rows x Columns"));
	seg_read_free(s);
	series_free(mine);
}

/* Cut anywhere: a refusal, never a crash, never masks. */
static void
cut_anywhere_is_refused(void **state)
{
	struct err e;
	size_t n;
	char *bytes;

	(void)state;
	write_ours();
	bytes = file_read(seg_path, 1 << 24, &n, &e);
	assert_non_null(bytes);
	for (size_t i = 0; i < n; i += i < 1000 || i > n - 200 ? 7 : 211) {
		struct seg_file *s;
		assert_int_equal(truncate(seg_path, 0), 0);
		assert_int_equal(file_write(seg_path, bytes, i, &e), 0);
		s = seg_read_open(seg_path, &e);
		if (s != NULL)
			fail_msg("cut at byte %zu of %zu: not noticed", i, n);
		assert_int_equal(e.code, ERR_INPUT);
	}
	free(bytes);
}

/* Any byte another one: masks or a refusal; the sanitizers see the rest. */
static void
survives_any_byte(void **state)
{
	static const char *const files[] = { "tests/data/seg/adapters_binary.dcm", "tests/data/seg/adapters_labelmap_rle.dcm" };
	uint8_t *got = malloc(SEGMENTS * n_voxels);
	struct err e;
	size_t n;

	(void)state;
	assert_non_null(got);
	for (size_t f = 0; f < 2; f++) {
		char *bytes = file_read(files[f], 1 << 20, &n, &e);
		assert_non_null(bytes);
		for (size_t i = 0; i < n; i += 11) {
			struct seg_file *s;
			bytes[i] ^= (char)(i % 255 + 1);
			assert_int_equal(file_write(seg_path, bytes, n, &e), 0);
			bytes[i] ^= (char)(i % 255 + 1);
			if ((s = seg_read_open(seg_path, &e)) == NULL) {
				assert_int_equal(e.code, ERR_INPUT);
				continue;
			}
			if (seg_read_masks(s, series, one_two, SEGMENTS, (uint8_t *[]) { got, got + n_voxels }, &e) != 0)
				assert_int_equal(e.code, ERR_INPUT);
			seg_read_free(s);
		}
		free(bytes);
	}
	free(got);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_our_own), TEST(reads_foreign_kinds), TEST(reads_what_adapters_wrote), TEST(reads_padded_frames), TEST(reads_label_maps), TEST(tells_what_it_says), TEST(knows_a_correction), TEST(knows_ours_when_compressed),
		TEST(refuses_what_is_no_sound_seg), TEST(refuses_what_lies_elsewhere), TEST(cut_anywhere_is_refused), TEST(survives_any_byte),
	};
	struct err e;
	int failed;

	snprintf(root, sizeof root, "%s/seg_read.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (mkdtemp(root) == NULL || dicom_start(&e) != 0)
		return 1;
	snprintf(log_path, sizeof log_path, "%s/log", root);
	snprintf(raw_path, sizeof raw_path, "%s/masks.raw", root);
	snprintf(seg_path, sizeof seg_path, "%s/seg.dcm", root);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	return file_remove_tree(root, &e) != 0 || failed != 0;
}
