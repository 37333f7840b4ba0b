/* A SEG of a synthetic series, judged by others: tests/tools/seg_check.py (rules, with dciodvfy), seg_readback.py (voxels, bytes), DCMTK's dump and JSON.
 * Series are made by mkoblique.py with pydicom: 45 x 51 and oblique, so that no frame ends on a byte and no axis is plain. */
#include "tests/unit/seg_stage.h"

#include <time.h>

/* Label map of segments that do not overlap, for seg_check.py --expect. */
static void
write_masks(struct study *t)
{
	uint8_t *labels = calloc(1, t->n_voxels);

	assert_non_null(labels);
	for (size_t s = 0; s < t->request.n_segments; s++)
		for (size_t i = 0; i < t->n_voxels; i++)
			if (t->segments[s].mask[i])
				labels[i] = (uint8_t)(s + 1);
	write_bytes(t->labels, labels, t->n_voxels);
	write_bytes(t->raw, t->masks, t->n_voxels * t->request.n_segments);
	free(labels);
}

/* What strangers say: no violation, our voxels, readable by DCMTK's tools. extra: one more option of seg_check.py,
 * "--no-json" where DCMTK's dcm2json does not know the character set, or NULL. */
static void
judge(struct study *t, const char *source_dir, bool is_disjoint, const char *extra)
{
	const char *argv[MAX_ARGS] = { "/usr/bin/python3", "tests/tools/seg_check.py", t->seg_path, source_dir };
	bool has_json = extra == NULL || strcmp(extra, "--no-json") != 0;
	size_t n = 4;

	write_masks(t);
	if (is_disjoint) {
		argv[n++] = "--expect";
		argv[n++] = t->labels;
	}
	argv[n] = has_json ? extra : NULL;
	must_run(argv);
	must_run((const char *const[]){ "/usr/bin/python3", "tests/tools/seg_readback.py", t->seg_path, source_dir, t->raw, NULL });
	must_run((const char *const[]){ "dcmdump", "-q", t->seg_path, NULL });
	if (has_json)
		must_run((const char *const[]){ "dcm2json", t->seg_path, NULL });
}

static void
test_shapes_and_sources(void **state)
{
	(void)state;
	static const struct {
		const char *name, *options[MAX_ARGS - 4];
		double radius[MAX_SEGMENTS], shift;
		size_t n_segments, frames;
		const char *extra;
	} cases[] = {
		{ "plain", { NULL }, { 7, 5, 4 }, 16, 3, 5 + 3 + 3, NULL },
		{ "one-slice", { "--slices", "1", NULL }, { 7, 5 }, 16, 2, 2, NULL },
		{ "one-pixel", { "--slices", "2", "--rows", "21", "--cols", "26", "--axial", NULL }, { 20 }, 16, 1, 2, NULL },
		{ "reversed", { "--reversed", NULL }, { 7, 5 }, 16, 2, 5 + 3, NULL },
		{ "implicit", { "--implicit", "--axial", "--drop", "SliceThickness", "--drop", "SpacingBetweenSlices", NULL }, { 7 }, 0, 1, 5, NULL },
		{ "nested", { NULL }, { 9, 6 }, 0, 2, 5 + 3, NULL },
		{ "absent", { NULL }, { 7, 0, 4 }, 16, 3, 5 + 3, "--allow-empty-segments" },
		{ "even", { "--rows", "48", "--cols", "56", NULL }, { 7, 5 }, 16, 2, 5 + 3, NULL },
		{ "latin", { "--name", "M\xc3\xbcller^\xc3\x84nne", NULL }, { 7 }, 0, 1, 5, NULL },
		{ "utf8", { "--charset", "ISO_IR 192", "--name", "\xd0\x94\xd0\xbc\xd0\xb8\xd1\x82\xd1\x80\xd0\xb8\xd0\xb9", NULL }, { 7, 5, 4 }, 16, 3, 5 + 3 + 3, NULL },
		{ "japanese", { "--charset", "\\ISO 2022 IR 87", "--name", "Yamada^Tarou=\xe5\xb1\xb1\xe7\x94\xb0^\xe5\xa4\xaa\xe9\x83\x8e", NULL }, { 7 }, 0, 1, 5,
			"--no-json" },
		{ "nameless", { "--charset", "", "--set", "PatientID=", "--drop", "PatientBirthDate", "--drop", "StudyID", "--drop", "PositionReferenceIndicator", NULL },
			{ 7 }, 0, 1, 5, NULL },
		{ "lossy", { "--set", "LossyImageCompression=01", NULL }, { 7 }, 0, 1, 5, NULL },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		bool is_disjoint = cases[i].shift > 0 || cases[i].n_segments == 1;
		struct seg_result out;
		struct study t;

		open_study(&t, cases[i].name, cases[i].options, cases[i].radius, cases[i].n_segments, cases[i].shift);
		write_seg(&t, &out);
		assert_int_equal(out.frames, cases[i].frames);
		judge(&t, t.dir, is_disjoint, cases[i].extra);
		assert_string_equal(attribute(t.seg_path, "SegmentsOverlap"), is_disjoint ? "NO" : "YES");
		close_study(&t);
	}
}

static void
test_further_series_are_referenced(void **state)
{
	(void)state;
	char parent[TEXT + 16], other[TEXT + 32];
	struct seg_result out;
	struct series *second;
	struct study t;

	open_study(&t, "both/flair", (const char *const[]){ NULL }, (const double[]){ 7 }, 1, 0);
	snprintf(other, sizeof other, "%s/both/t1c", folder);
	snprintf(parent, sizeof parent, "%s/both", folder);
	second = make_series(other, (const char *const[]){ "--series", "2", "--set", "LossyImageCompression=01", "--set", "LossyImageCompressionRatio=12.5",
		"--set", "LossyImageCompressionMethod=ISO_14495_1", NULL });
	t.request.others = (const struct series *const[]){ second, t.series }; /* the source itself is not listed twice */
	t.request.n_others = 2;
	write_seg(&t, &out);
	snprintf(t.seg_path, sizeof t.seg_path, "%s/both.seg.dcm", folder); /* not among the sources */
	write_seg(&t, &out);
	judge(&t, parent, true, NULL);
	assert_string_equal(attribute(t.seg_path, "LossyImageCompressionRatio"), "12.5");
	assert_string_equal(attribute(t.seg_path, "LossyImageCompressionMethod"), "ISO_14495_1");
	must_run((const char *const[]){ "dcmdump", "-q", "+L", "+P", "ReferencedSOPInstanceUID", t.seg_path, NULL });
	assert_non_null(strstr(output(), "1.2.826.0.1.3680043.9.1.2.9"));
	series_free(second);
	close_study(&t);
}

static void
test_bad_text_of_the_source_is_carried(void **state)
{
	(void)state;
	char long_id[100], long_name[70000];
	struct seg_result out;
	struct study t;

	snprintf(long_id, sizeof long_id, "PatientID=%080d", 7);
	snprintf(long_name, sizeof long_name, "ReferringPhysicianName=%066000d", 7); /* longer than an element of this kind can be written */
	open_study(&t, "bad-text", (const char *const[]){ "--implicit", "--set", long_id, "--set", long_name, "--set", "PatientBirthDate=1960.02.03x",
		"--set", "PatientWeight=heavy", "--set", "PatientAge=old", "--set", "StudyDescription=" "0123456789012345678901234567890123456789012345678901234567890123456789",
		"--set", "SliceThickness=0", "--drop", "FrameOfReferenceUID", NULL }, (const double[]){ 7 }, 1, 0);
	write_seg(&t, &out);
	assert_string_equal(attribute(t.seg_path, "PatientID"), long_id + strlen("PatientID="));
	assert_string_equal(attribute(t.seg_path, "PatientBirthDate"), "1960.02.03x");
	must_run((const char *const[]){ "dcmdump", "-q", "+P", "ReferringPhysicianName", t.seg_path, NULL });
	assert_non_null(strstr(output(), "PN (no value available)"));
	must_run((const char *const[]){ "dcmdump", "-q", "+P", "SliceThickness", t.seg_path, NULL });
	assert_non_null(strstr(output(), "DS [6.5]"));   /* never 0: then the distance of the slices */
	assert_string_equal(attribute(t.seg_path, "PatientWeight"), "");
	assert_string_equal(attribute(t.seg_path, "StudyDescription"), "");
	assert_true(dicom_uid_is_valid(attribute(t.seg_path, "FrameOfReferenceUID")));
	close_study(&t);

	open_study(&t, "bad-vr", (const char *const[]){ "--set", "PatientID:UN=ACC-0009", "--set", "StudyDate:LO=20240311", "--set", "PatientName:LT=A^B",
		"--set", "PatientWeight:LO=70", NULL }, (const double[]){ 7 }, 1, 0);
	write_seg(&t, &out);
	judge(&t, t.dir, true, NULL);
	assert_string_equal(attribute(t.seg_path, "PatientName"), "A^B");
	close_study(&t);

	/* a name with a byte 0x5c inside a character is two values to dciodvfy, but still the source's name */
	open_study(&t, "kanji", (const char *const[]){ "--charset", "\\ISO 2022 IR 87", "--name", "Bo=\xe5\xb1\xb1\xe7\x94\xb0^\xe3\x81\xbc", NULL }, (const double[]){ 7 }, 1, 0);
	write_seg(&t, &out);
	write_masks(&t);
	must_run((const char *const[]){ "/usr/bin/python3", "tests/tools/seg_readback.py", t.seg_path, t.dir, t.raw, NULL });
	close_study(&t);
}

static void
test_dates_are_in_the_zone_of_the_source(void **state)
{
	(void)state;
	static const struct { const char *name, *set, *zone, *date, *time; } cases[] = {
		{ "zone-east", "TimezoneOffsetFromUTC=+1245", "+1245", "20260201", "004500.123" },
		{ "zone-west", "TimezoneOffsetFromUTC=-0330", "-0330", "20260131", "083000.123" },
		{ "zone-none", "AccessionNumber=1", "-0500", "20260131", "070000.123" },       /* then the machine's */
		{ "zone-bad", "TimezoneOffsetFromUTC=CET", "-0500", "20260131", "070000.123" },
	};
	setenv("TZ", "XST5", 1);
	tzset();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct seg_result out;
		struct study t;

		open_study(&t, cases[i].name, (const char *const[]){ "--set", cases[i].set, NULL }, (const double[]){ 7 }, 1, 0);
		write_seg(&t, &out);
		assert_string_equal(attribute(t.seg_path, "TimezoneOffsetFromUTC"), cases[i].zone);
		assert_string_equal(attribute(t.seg_path, "ContentDate"), cases[i].date);
		assert_string_equal(attribute(t.seg_path, "SeriesTime"), cases[i].time);
		close_study(&t);
	}
	unsetenv("TZ");
	tzset();
}

static void
test_same_request_same_bytes(void **state)
{
	(void)state;
	struct seg_result a, b;
	struct study t;
	size_t n_first, n_second;
	char *first, *second;
	struct err e;

	open_study(&t, "same", (const char *const[]){ NULL }, (const double[]){ 7, 5 }, 2, 16);
	write_seg(&t, &a);
	first = file_read(t.seg_path, 1 << 20, &n_first, &e);
	write_seg(&t, &b);
	second = file_read(t.seg_path, 1 << 20, &n_second, &e);
	assert_non_null(first);
	assert_non_null(second);
	assert_int_equal(n_first, n_second);
	assert_memory_equal(first, second, n_first);
	assert_string_equal(a.sop_uid, b.sop_uid);
	assert_string_equal(a.sop_uid, attribute(t.seg_path, "SOPInstanceUID"));
	assert_string_equal(a.series_uid, attribute(t.seg_path, "SeriesInstanceUID"));
	assert_string_equal(a.sop_class, "1.2.840.10008.5.1.4.1.1.66.4");
	assert_string_not_equal(a.sop_uid, a.series_uid);
	t.request.identity = "node/study/instances/model/2";
	write_seg(&t, &b);
	assert_string_not_equal(a.sop_uid, b.sop_uid);
	assert_string_not_equal(a.series_uid, b.series_uid);
	must_run((const char *const[]){ "dcmdump", "-q", "+P", "ImplementationVersionName", t.seg_path, NULL });
	assert_non_null(strstr(output(), "[SEGAN_010]"));
	free(first);
	free(second);
	close_study(&t);
}

static void
test_refusals_leave_no_file(void **state)
{
	(void)state;
	struct seg_result out = { .frames = 77 };
	char nowhere[TEXT + 96];
	struct study t;
	struct err e;

	open_study(&t, "refused", (const char *const[]){ NULL }, (const double[]){ 0, 0 }, 2, 16);
	assert_int_equal(seg_write(&t.request, t.seg_path, &out, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_non_null(strstr(e.text, "no segment has a voxel"));
	t.request.n_segments = 0;
	assert_int_equal(seg_write(&t.request, t.seg_path, &out, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	t.masks[t.n_voxels - 1] = 1;                     /* one voxel, the last of all: enough */
	t.request.n_segments = 2;
	t.segments[1].number = 3;
	assert_int_equal(seg_write(&t.request, t.seg_path, &out, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	t.segments[1].number = 2;
	snprintf(nowhere, sizeof nowhere, "%s.not/there.dcm", t.dir);
	assert_int_equal(seg_write(&t.request, nowhere, &out, &e), -1);
	assert_int_equal(e.code, ERR_IO);
	assert_false(file_exists(t.seg_path));
	assert_int_equal(out.frames, 77);                /* untouched */
	write_seg(&t, &out);
	assert_int_equal(out.frames, 1);
	judge(&t, t.dir, true, "--allow-empty-segments");
	close_study(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes_and_sources),
		cmocka_unit_test(test_further_series_are_referenced),
		cmocka_unit_test(test_bad_text_of_the_source_is_carried),
		cmocka_unit_test(test_dates_are_in_the_zone_of_the_source),
		cmocka_unit_test(test_same_request_same_bytes),
		cmocka_unit_test(test_refusals_leave_no_file),
	};
	return cmocka_run_group_tests(tests, set_up, folder_tear_down);
}
