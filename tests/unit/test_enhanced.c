/* Attributes of Enhanced instances under the names that rules know, and SEGs that refer to frames. */
#include "dicom/attributes.h"
#include "dicom/frames.h"
#include "dicom/seg.h"
#include "dicom/seg_read.h"
#include "dicom/series.h"
#include "tests/unit/series_stage.h"

#include <fcntl.h>

static struct attributes *
load(const char *name)
{
	char path[512];
	struct err e;

	snprintf(path, sizeof path, "%s/%s/000.dcm", folder, name);
	struct attributes *a = attributes_load(path, &e);
	if (a == NULL)
		fail_msg("%s: %s", name, e.text);
	return a;
}

static void
test_attributes(void **state)
{
	static const struct { const char *file, *keyword, *text; } cases[] = {
		{ "e_shuffled", "EchoTime", "120" }, { "e_shuffled", "RepetitionTime", "9000" }, { "e_shuffled", "InversionTime", "2500" },
		{ "e_shuffled", "ScanningSequence", "SE\\IR" }, { "e_shuffled", "SequenceName", "tir2d" }, { "e_shuffled", "AngioFlag", NULL },
		{ "e_shuffled", "ImageType", "ORIGINAL\\PRIMARY\\VOLUME\\NONE" }, { "e_shuffled", "ContrastBolusAgent", NULL }, { "e_agent", "ContrastBolusAgent", "Gadolinium" },
		{ "e_before", "ContrastBolusAgent", NULL }, { "e_shuffled", "AcquisitionDate", "20240311" }, { "e_shuffled", "AcquisitionTime", "101500.000" },
		{ "e_shuffled", "PixelSpacing", "1.5\\1.25" }, { "e_frame", "SliceThickness", "3" }, { "e_echo", "EchoTime", "20\\80" }, { "e_time", "TemporalPositionIndex", "1\\2\\3" },
		{ "e_type", "FrameType", "ORIGINAL\\PRIMARY\\VOLUME\\NONE\\DERIVED\\PRIMARY\\VOLUME\\NONE" }, { "e_bvalue", "DiffusionBValue", "0\\1000" },
		{ "e_legacyecho", "EchoTime", "20\\80" }, { "e_shuffled", "SeriesDescription", "FLAIR t\xc3\xaate" }, { "plain", "EchoTime", NULL }, { "plain", "AcquisitionTime", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct attributes *a = load(cases[i].file);
		const char *text = attributes_text(a, cases[i].keyword);
		if ((text == NULL) != (cases[i].text == NULL) || (text != NULL && strcmp(text, cases[i].text) != 0))
			fail_msg("%s %s: \"%s\" instead of \"%s\"", cases[i].file, cases[i].keyword, text != NULL ? text : "absent", cases[i].text != NULL ? cases[i].text : "absent");
		attributes_free(a);
	}
}

static void
test_attributes_of_a_frame(void **state)
{
	struct attributes *a = load("e_echo");

	(void)state;
	assert_int_equal(attributes_n_frames(a), 10);
	attributes_set_frame(a, 5);
	assert_string_equal(attributes_text(a, "EchoTime"), "20");
	attributes_set_frame(a, 6);
	assert_string_equal(attributes_text(a, "EchoTime"), "80");
	assert_string_equal(attributes_text(a, "RepetitionTime"), "9000");
	assert_string_equal(attributes_text(a, "ImagePositionPatient"), "-40\\-50\\-20");
	attributes_set_frame(a, 11);
	assert_string_equal(attributes_text(a, "EchoTime"), "20\\80");
	attributes_free(a);
	a = load("plain");
	assert_int_equal(attributes_n_frames(a), 0);
	attributes_set_frame(a, 1);
	assert_string_equal(attributes_text(a, "PixelSpacing"), "1.5\\1.25");
	attributes_free(a);
}

static void
assert_frames(const char *name, const char *list, const char *words)
{
	char path[512];
	const char *paths[1] = { path };
	struct err reason = { 0 }, e;
	enum series_verdict verdict;
	struct series_info info;

	snprintf(path, sizeof path, "%s/%s/000.dcm", folder, name);
	if (series_check(&(struct series_input){ paths, 1, &list }, &verdict, &info, &reason, &e) != 0)
		fail_msg("%s", e.text);
	if ((verdict == SERIES_WHOLE) != (words == NULL) || (words != NULL && strstr(reason.text, words) == NULL))
		fail_msg("%s %s: verdict %d, %s", name, list, verdict, reason.text);
	if (words == NULL)
		assert_int_equal(info.n_slices, 5);
}

static void
test_chosen_frames(void **state)
{
	const char *paths[1] = { "" }, *nonsense = "3-1";
	struct err reason, e;
	enum series_verdict verdict;
	struct series_info info;
	char path[512];

	(void)state;
	assert_frames("e_echo", "1-5", NULL);
	assert_frames("e_echo", "6-10", NULL);
	assert_frames("e_echo", "1-6", "doubled position");
	assert_frames("e_echo", "1,3-5", "gap");
	assert_frames("e_echo", "11", "none of the chosen frames");
	assert_frames("e_echo", "", "doubled position");
	assert_frames("e_twostacks", "6-10", NULL);
	snprintf(path, sizeof path, "%s/e_echo/000.dcm", folder);
	paths[0] = path;
	assert_int_equal(series_check(&(struct series_input){ paths, 1, &nonsense }, &verdict, &info, &reason, &e), -1);
	assert_int_equal(e.code, ERR_BUG);
}

static void
test_lists(void **state)
{
	static const struct { const char *list; bool is_valid; } lists[] = { { "", true }, { NULL, true }, { "1", true }, { "1-20,41", true }, { "2,3", true }, { "0", true }, { "0,1", false }, { "0-1", false },
		{ "1,", false }, { ",1", false }, { "3-1", false }, { "2,2", false }, { "1-", false }, { "-1", false }, { "1 2", false }, { "1-3,3", false }, { "x", false } };
	static const bool some[] = { true, true, false, false, true, false, true, true };
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		if (frames_are_valid(lists[i].list) != lists[i].is_valid)
			fail_msg("%s", lists[i].list);
	char *text = frames_print(some, 8, &e);
	assert_string_equal(text, "1-2,5,7-8");
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(frames_hold(text, i + 1), some[i]);
	assert_false(frames_hold(text, 9));
	free(text);
	text = frames_print(some, 2, &e);
	assert_string_equal(text, "");
	assert_true(frames_hold(text, 7));
	free(text);
	text = frames_print(some + 2, 4, &e);
	assert_string_equal(text, "3");
	free(text);
	text = frames_print(some + 2, 2, &e);
	assert_string_equal(text, "0");
	assert_false(frames_hold(text, 1));
	free(text);
}

/* All in one file, frames shuffled; a slice's place in the file is then not its number. */
static struct series *
load_series(const char *name)
{
	char path[512];
	const char *paths[1] = { path };
	struct err e;

	snprintf(path, sizeof path, "%s/%s/000.dcm", folder, name);
	struct series *s = series_load(&(struct series_input){ paths, 1, NULL }, &e);
	if (s == NULL)
		fail_msg("%s: %s", name, e.text);
	return s;
}

static void
test_seg(void **state)
{
	enum { N = 5 * 7 * 9 };
	static uint8_t mask[N], back[N];
	struct series *s = load_series("e_shuffled");
	struct seg_segment segment = { .number = 1, .label = "Lesion", .category = { "SCT", "49755003", "Morphologically Abnormal Structure" },
		.type = { "SCT", "108369006", "Neoplasm" }, .mask = mask };
	struct seg_request r = { .source = s, .segments = &segment, .n_segments = 1, .identity = "test", .node_id = "1", .model_name = "m", .model_version = "1.0.0",
		.weights_sha256 = "0", .core_type = "test", .series_number = 9 };
	struct seg_result made;
	uint8_t *masks[1] = { back };
	char path[512];
	struct err e;

	(void)state;
	for (size_t i = 0; i < N; i++)
		mask[i] = i / 63 != 2 && i * i % 7 < 3;
	snprintf(path, sizeof path, "%s/seg.dcm", folder);
	assert_int_equal(seg_write(&r, path, &made, &e), 0);
	assert_int_equal(made.frames, 4);
	struct seg_file *seg = seg_read_open(path, &e);
	assert_non_null(seg);
	assert_string_equal(seg_read_info(seg)->first_source, "2.25.880010");
	assert_int_equal(seg_read_masks(seg, s, (unsigned[]){ 1 }, 1, masks, &e), 0);
	assert_memory_equal(mask, back, N);
	seg_read_free(seg);
	series_free(s);
}

/* Whatever stands in a byte of the header: an answer, no crash. Every STEP-th byte (a build with ASan may set it to 1), three values each. */
static void
test_any_byte(void **state)
{
	static const unsigned char values[] = { 0x00, 0x7f, 0xff };
	const char *step_text = getenv("STEP");
	size_t n, step = step_text != NULL ? strtoull(step_text, NULL, 10) : 97;
	char path[512];
	const char *paths[1] = { path }, *frames[1] = { "2-4" };
	struct err e, reason;

	(void)state;
	snprintf(path, sizeof path, "%s/e_private/000.dcm", folder);
	char *good = file_read(path, 1 << 20, &n, &e);
	assert_non_null(good);
	snprintf(path, sizeof path, "%s/byte.dcm", folder);
	assert_int_equal(file_write(path, good, n, &e), 0);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (size_t i = 132; i < n; i += step)
		for (size_t k = 0; k < sizeof values; k++) {
			struct series_info info;
			enum series_verdict verdict;
			assert_int_equal(pwrite(fd, &values[k], 1, (off_t)i), 1);
			if (series_check(&(struct series_input){ paths, 1, k == 0 ? frames : NULL }, &verdict, &info, &reason, &e) == 0)
				series_free(series_load(&(struct series_input){ paths, 1, k == 0 ? frames : NULL }, &e));
			struct attributes *a = attributes_load(path, &e);
			if (a != NULL) {
				attributes_text(a, "EchoTime");
				attributes_set_frame(a, attributes_n_frames(a));
				attributes_text(a, "ContrastBolusAgent");
				attributes_text(a, "AcquisitionTime");
			}
			attributes_free(a);
			assert_int_equal(pwrite(fd, &good[i], 1, (off_t)i), 1);
		}
	close(fd);
	free(good);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_attributes), cmocka_unit_test(test_attributes_of_a_frame), cmocka_unit_test(test_chosen_frames),
		cmocka_unit_test(test_lists), cmocka_unit_test(test_seg), cmocka_unit_test(test_any_byte) };

	return cmocka_run_group_tests(tests, make_files, folder_tear_down);
}
