/* series: verdicts with their reasons, and voxels against what tests/tools/mkseries.py expects (and pydicom agrees with). */
#include "dicom/series.h"
#include "tests/unit/series_stage.h"

#include <math.h>

enum { MAX = 16 };

struct files {
	char *paths[MAX];
	size_t n;
};

static int
add_file(void *arg, const char *path, struct err *e)
{
	struct files *f = arg;

	(void)e;
	assert_true(f->n < MAX);
	f->paths[f->n++] = strdup(path);
	return 0;
}

static struct files
find(const char *name)
{
	struct files f = { .n = 0 };
	char dir[512];
	struct err e;

	snprintf(dir, sizeof dir, "%s/%s", folder, name);
	assert_int_equal(file_walk(dir, add_file, &f, &e), 0);
	assert_true(f.n > 0);
	return f;
}

static void
drop(struct files *f)
{
	while (f->n > 0)
		free(f->paths[--f->n]);
}

static void
assert_verdict(const char *name, enum series_verdict verdict, const char *words)
{
	struct files f = find(name);
	struct err reason = { 0 }, e = { 0 };
	struct series_info info;
	enum series_verdict got;
	struct series *s;

	if (series_check(&(struct series_input){ (const char *const *)f.paths, f.n, NULL }, &got, &info, &reason, &e) != 0)
		fail_msg("%s: %s", name, e.text);
	if (got != verdict || strstr(reason.text, words) == NULL)
		fail_msg("%s: verdict %d instead of %d, \"%s\" instead of \"%s\"", name, got, verdict, reason.text, words);
	assert_null(strstr(reason.text, "CANARY"));
	s = series_load(&(struct series_input){ (const char *const *)f.paths, f.n, NULL }, &e);
	assert_int_equal(s != NULL, verdict == SERIES_WHOLE);
	if (verdict != SERIES_WHOLE) {
		assert_int_equal(e.code, ERR_INPUT);
		assert_string_equal(e.text, reason.text);
	}
	series_free(s);
	drop(&f);
}

static void
test_verdicts(void **state)
{
	static const struct { const char *name; enum series_verdict verdict; const char *words; } cases[] = {
		{ "plain", SERIES_WHOLE, "" }, { "reversed", SERIES_WHOLE, "" }, { "shuffled", SERIES_WHOLE, "" }, { "one", SERIES_WHOLE, "" }, { "two", SERIES_WHOLE, "" },
		{ "gap", SERIES_GAP, "1 slice is missing" }, { "uneven", SERIES_GAP, "unevenly spaced" },
		{ "double", SERIES_BAD, "a repeated acquisition" }, { "doubleecho", SERIES_BAD, "they differ in EchoTime (0018,0081): 20, 80" },
		{ "doubletime", SERIES_BAD, "they differ in TemporalPositionIdentifier (0020,0100): 1, 2" },
		{ "doublebvalue", SERIES_BAD, "they differ in DiffusionBValue (0018,9087): 0, 1000" }, { "doublenumber", SERIES_BAD, "AcquisitionNumber (0020,0012): 1, 2" },
		{ "doubletype", SERIES_BAD, "ImageType (0008,0008): ORIGINAL\\PRIMARY\\M, ORIGINAL\\PRIMARY\\P" }, { "mixed", SERIES_BAD, "mixed orientation" }, { "tilt", SERIES_BAD, "gantry tilt" },
		{ "sizes", SERIES_BAD, "PixelSpacing (0028,0030)" },
		{ "patients", SERIES_BAD, "two patients: PatientID (0010,0020)" }, { "issuers", SERIES_BAD, "two patients" }, { "studies", SERIES_BAD, "two studies" },
		{ "serieses", SERIES_BAD, "two series" }, { "references", SERIES_BAD, "two frames of reference" }, { "noreference", SERIES_BAD, "two frames of reference" },
		{ "noreferences", SERIES_WHOLE, "" },
		{ "localizer", SERIES_IGNORED, "LOCALIZER" }, { "planes", SERIES_IGNORED, "three planes" }, { "colour", SERIES_IGNORED, "colour" },
		{ "sr", SERIES_IGNORED, "SOPClassUID (0008,0016)" }, { "sc", SERIES_IGNORED, "SecondaryCapture" }, { "onebit", SERIES_IGNORED, "one bit" },
		{ "float", SERIES_IGNORED, "floating-point" }, { "onescreen", SERIES_BAD, "of the same series is an image" },
		{ "rle", SERIES_WHOLE, "" }, { "frames2", SERIES_BAD, "NumberOfFrames (0028,0008)" },
		{ "noposition", SERIES_BAD, "2.25.7001: ImagePositionPatient (0020,0032)" }, { "noorientation", SERIES_BAD, "2.25.7001: ImageOrientationPatient (0020,0037)" },
		{ "nospacing", SERIES_BAD, "2.25.7001: PixelSpacing (0028,0030)" }, { "badcosines", SERIES_BAD, "2.25.7001: ImageOrientationPatient (0020,0037)" },
		{ "nodirections", SERIES_BAD, "2.25.7000: ImageOrientationPatient (0020,0037) is no pair of unit vectors" },
		{ "nopixelsize", SERIES_BAD, "2.25.7000: PixelSpacing (0028,0030) is no pair of positive lengths" },
		{ "badreference", SERIES_BAD, "instance 2.25.7000: FrameOfReferenceUID (0020,0052) is no valid UID" },
		{ "long", SERIES_BAD, "PixelData (7FE0,0010) holds 190 bytes" }, { "badslope", SERIES_BAD, "2.25.7002: RescaleSlope (0028,1053) is 0" },
		{ "conversion", SERIES_IGNORED, "ConversionType (0008,0064)" }, { "burned", SERIES_IGNORED, "BurnedInAnnotation (0028,0301)" },
		{ "bits32", SERIES_BAD, "BitsAllocated (0028,0100) is 32" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_verdict(cases[i].name, cases[i].verdict, cases[i].words);
}

static void
test_multiframe_verdicts(void **state)
{
	static const struct { const char *name; enum series_verdict verdict; const char *words; } cases[] = {
		{ "e_lost", SERIES_GAP, "InConcatenationTotalNumber (0020,9163) is 3, 2 of its instances" }, { "e_gap", SERIES_GAP, "1 slice is missing" },
		{ "e_echo", SERIES_BAD, "they differ in EffectiveEchoTime (0018,9082): 20, 80" }, { "e_time", SERIES_BAD, "they differ in TemporalPositionIndex (0020,9128): 1, 2, 3" },
		{ "e_bvalue", SERIES_BAD, "they differ in DiffusionBValue (0018,9087): 0, 1000; in DiffusionDirectionality (0018,9075): NONE, ISOTROPIC" },
		{ "e_legacyecho", SERIES_BAD, "they differ in EchoTime (0018,0081): 20, 80" }, { "e_kinds", SERIES_BAD, "they differ in FrameType (0008,9007): DERIVED_A" },
		{ "e_again", SERIES_BAD, "a repeated acquisition" }, { "e_twofiles", SERIES_BAD, "they differ in EffectiveEchoTime (0018,9082): 120, 80" },
		{ "e_private", SERIES_BAD, "(2005,1010): FIRST, SECOND" },
		{ "e_twostacks", SERIES_BAD, "2 stacks are whole volumes and nothing says which one is meant: StackID (0020,9056) 1 (5 slices), 2 (5 slices)" },
		{ "e_apart", SERIES_BAD, "2 stacks are whole volumes" }, { "e_nostack", SERIES_GAP, "none of 2 stacks is a whole volume; StackID (0020,9056) 1: gap" },
		{ "e_planes", SERIES_IGNORED, "three planes" }, { "e_localizer", SERIES_IGNORED, "LOCALIZER" },
		{ "e_singles", SERIES_BAD, "two kinds of image: SOPClassUID (0008,0016)" },
		{ "e_count", SERIES_BAD, "PerFrameFunctionalGroupsSequence (5200,9230) has 4 items, NumberOfFrames (0028,0008) is 5" },
		{ "e_nogroups", SERIES_BAD, "PerFrameFunctionalGroupsSequence (5200,9230) is missing" },
		{ "e_noposition", SERIES_BAD, "2.25.880010 frame 3: the functional group PlanePositionSequence (0020,9113) is missing" },
		{ "e_noorientation", SERIES_BAD, "frame 1: the functional group PlaneOrientationSequence (0020,9116) is missing" },
		{ "e_nomeasures", SERIES_BAD, "frame 1: the functional group PixelMeasuresSequence (0028,9110) is missing" },
		{ "e_nonumber", SERIES_BAD, "2.25.880010 frame 2: ImagePositionPatient (0020,0032)" }, { "e_badslope", SERIES_BAD, "frame 4: RescaleSlope (0028,1053) is 0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_verdict(cases[i].name, cases[i].verdict, cases[i].words);
}

static void
test_voxels(void **state)
{
	static const char *const names[] = { "plain", "implicit", "ct", "signed", "signedfull", "eight", "high", "mono1", "mono1signed", "rescaled", "shuffled", "one", "two",
		"noreferences", "e_shuffled", "e_frame", "e_ct", "e_legacy", "e_legacyct", "e_eight", "e_mono1", "e_one", "e_parts", "e_files", "e_phase", "e_type", "e_badstack",
		"e_scout", "e_slabs", "e_noscale",
		"rle", "bigendian", "bigeight", "padding", "paddingrange", "paddingsigned", "paddingmono1", "paddingct", "paddingall", 
		"highpad" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct files f = find(names[i]);
		char path[512];
		struct err e;
		size_t n;
		struct series *s = series_load(&(struct series_input){ (const char *const *)f.paths, f.n, NULL }, &e);

		snprintf(path, sizeof path, "%s/%s.f32", folder, names[i]);
		char *expected = file_read(path, 1 << 20, &n, &e);
		if (s == NULL || expected == NULL)
			fail_msg("%s: %s", names[i], e.text);
		assert_int_equal(n, grid_voxels(series_grid(s)) * sizeof(float));
		const struct voxels voxels = series_voxels(s);
		for (size_t k = 0; k < n / sizeof(float); k++)
			if (voxels_any(&voxels, k) != ((const float *)expected)[k])
				fail_msg("%s: voxel %zu is %g instead of %g", names[i], k, voxels_any(&voxels, k), ((const float *)expected)[k]);
		free(expected);
		series_free(s);
		drop(&f);
	}
}

static void
test_chosen(void **state)
{
	static const struct { const char *name, *chosen; } cases[] = { { "plain", "" }, { "e_shuffled", "" }, { "e_slabs", "" },
		{ "e_phase", "5 of 10 frames: ComplexImageComponent (0008,9208) MAGNITUDE" }, { "e_type", "5 of 10 frames: FrameType (0008,9007) ORIGINAL" },
		{ "e_scout", "5 of 6 frames: StackID (0020,9056) 1" }, { "e_badstack", "5 of 10 frames: StackID (0020,9056) 2" } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct files f = find(cases[i].name);
		struct series_info info;
		enum series_verdict verdict;
		struct err reason, e;
		assert_int_equal(series_check(&(struct series_input){ (const char *const *)f.paths, f.n, NULL }, &verdict, &info, &reason, &e), 0);
		assert_string_equal(info.chosen, cases[i].chosen);
		drop(&f);
	}
}

static void
test_info_and_grid(void **state)
{
	struct files f = find("shuffled");
	struct series_info info;
	enum series_verdict verdict;
	struct err reason, e;

	(void)state;
	assert_int_equal(series_check(&(struct series_input){ (const char *const *)f.paths, f.n, NULL }, &verdict, &info, &reason, &e), 0);
	assert_string_equal(info.study_uid, "2.25.1");
	assert_string_equal(info.series_uid, "2.25.2");
	assert_string_equal(info.modality, "MR");
	assert_string_equal(info.description, "FLAIR t\xc3\xaate");
	assert_string_equal(info.frame_of_reference, "2.25.3");
	assert_int_equal(info.n_instances, 5);
	assert_int_equal(info.n_slices, 5);
	assert_true(info.grid.slices == 5 && info.grid.rows == 7 && info.grid.cols == 9);
	assert_true(fabs(info.grid.spacing_mm[0] - 4) < 1e-6 && info.grid.spacing_mm[1] == 1.5 && info.grid.spacing_mm[2] == 1.25);
	assert_true(info.grid.origin_mm[0] == -40 && info.grid.origin_mm[1] == -50 && info.grid.origin_mm[2] == -20);
	drop(&f);
	f = find("noreferences");
	assert_int_equal(series_check(&(struct series_input){ (const char *const *)f.paths, f.n, NULL }, &verdict, &info, &reason, &e), 0);
	assert_true(dicom_uid_is_valid(info.frame_of_reference));
	drop(&f);
}

/* What cannot be read at all is no verdict: which file, and why. */
static void
test_unreadable(void **state)
{
	static const char *const names[] = { "text", "short", "uiddots", "deep", "frames", "e_immense" };
	struct series_info info;
	enum series_verdict verdict;
	struct err reason, e;

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct files f = find(names[i]);
		assert_int_equal(series_check(&(struct series_input){ (const char *const *)f.paths, f.n, NULL }, &verdict, &info, &reason, &e), -1);
		assert_int_equal(e.code, ERR_INPUT);
		assert_non_null(strstr(e.text, "000.dcm"));
		assert_null(series_load(&(struct series_input){ (const char *const *)f.paths, f.n, NULL }, &e));
		drop(&f);
	}
	assert_int_equal(series_check(&(struct series_input){ NULL, 0, NULL }, &verdict, &info, &reason, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	series_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts), cmocka_unit_test(test_multiframe_verdicts), cmocka_unit_test(test_voxels), cmocka_unit_test(test_info_and_grid), cmocka_unit_test(test_chosen), cmocka_unit_test(test_unreadable),
	};

	return cmocka_run_group_tests(tests, make_files, folder_tear_down);
}
