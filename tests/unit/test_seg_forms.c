/* LABELMAP and FRACTIONAL, and each form in each syntax that it may have, judged by others as test_seg.c does; what is compressed is decoded by DCMTK first, because
 * seg_check.py and dciodvfy look into uncompressed objects only. Our own reader gets the masks back from all of them. */
#include "tests/unit/seg_stage.h"

#include "dicom/seg_read.h"
#include "model/fraction.h"

enum { N = MAX_SEGMENTS };
static const char labelmap_class[] = "1.2.840.10008.5.1.4.1.1.66.7", seg_class[] = "1.2.840.10008.5.1.4.1.1.66.4";

/* Probabilities that fall from each ball's middle outwards: .9 inside its mask, .3 in a rim round it. */
static uint8_t *
make_fractions(struct study *t)
{
	uint8_t *all = calloc(t->request.n_segments, t->n_voxels);
	float *p = calloc(t->n_voxels, sizeof *p);

	assert_non_null(all);
	assert_non_null(p);
	for (size_t s = 0; s < t->request.n_segments; s++) {
		uint8_t *f = all + s * t->n_voxels;

		for (size_t i = 0; i < t->n_voxels; i++)
			p[i] = t->segments[s].mask[i] ? 0.9f : i + 2 < t->n_voxels && t->segments[s].mask[i + 2] ? 0.3f : 0;
		fraction_of(p, t->n_voxels, 0.5, f);
		fraction_clean(t->segments[s].mask, t->n_voxels, 0.5, f);
		t->segments[s].fraction = f;
		t->segments[s].threshold = 0.5;
	}
	free(p);
	return all;
}

/* What our reader makes of the file: `want` is (segments, slices, rows, cols) of 0/1. */
static void
must_read_back(const struct study *t, const char *path, const uint8_t *want)
{
	uint8_t *got = calloc(t->request.n_segments, t->n_voxels), *masks[N];
	unsigned numbers[N];
	struct seg_file *s;
	struct err e;

	assert_non_null(got);
	if ((s = seg_read_open(path, &e)) == NULL)
		fail_msg("%s", e.text);
	assert_int_equal(seg_read_info(s)->n_segments, t->request.n_segments);
	assert_int_equal(seg_read_info(s)->origin, SEG_OURS);
	for (size_t i = 0; i < t->request.n_segments; i++) {
		numbers[i] = (unsigned)i + 1;
		masks[i] = got + i * t->n_voxels;
	}
	if (seg_read_masks(s, t->series, numbers, t->request.n_segments, masks, &e) != 0)
		fail_msg("%s", e.text);
	assert_memory_equal(got, want, t->n_voxels * t->request.n_segments);
	seg_read_free(s);
	free(got);
}

/* The masks as a label map has them: segment 2 lies in 1, 3 lies apart. */
static void
disjoin(const struct study *t, uint8_t *masks)
{
	for (size_t i = 0; i < t->n_voxels; i++)
		if (t->segments[1].mask[i])
			masks[i] = 0;
}

/* seg_check.py, the label map that it is to hold, seg_readback.py, DCMTK. */
static void
judge_form(struct study *t, const uint8_t *raw, const uint8_t *labels, const char *want_class)
{
	char decoded[TEXT + 96];
	const char *path = t->seg_path;

	write_bytes(t->raw, raw, t->n_voxels * t->request.n_segments);
	if (t->request.syntax != SEG_EXPLICIT) {
		snprintf(decoded, sizeof decoded, "%s.decoded", t->seg_path);
		must_run((const char *const[]){ t->request.syntax == SEG_RLE ? "dcmdrle" : "dcmconv", "+te", t->seg_path, decoded, NULL });
		path = decoded;
	}
	must_run((const char *const[]){ "/usr/bin/python3", "tests/tools/seg_readback.py", path, t->dir, t->raw, NULL });
	if (labels != NULL)
		write_bytes(t->labels, labels, t->n_voxels);
	if (t->request.syntax == SEG_EXPLICIT) /* the rules; what was decoded differs in nothing but group 2 */
		must_run((const char *const[]){ "/usr/bin/python3", "tests/tools/seg_check.py", path, t->dir, "--allow-empty-segments", labels != NULL ? "--expect" : NULL, t->labels, NULL });
	assert_string_equal(attribute(t->seg_path, "SOPClassUID"), want_class);
}

/* Balls of radius 9 and 6 nested, one of 4 apart, and one segment without a voxel would be the fourth: `empty` says which has none. */
static void
open_nested(struct study *t, const char *name, int empty)
{
	double radius[N] = { 9, 6, 4 };

	if (empty >= 0)
		radius[empty] = 0;
	open_study(t, name, (const char *const[]){ NULL }, radius, N, 0);
	if (empty != 2) { /* apart from the others */
		memset(t->masks + 2 * t->n_voxels, 0, t->n_voxels);
		fill_ball(t->masks + 2 * t->n_voxels, series_grid(t->series), 12, radius[2]);
	}
}

static void
test_labelmap(void **state)
{
	(void)state;
	static const enum seg_syntax syntaxes[] = { SEG_EXPLICIT, SEG_RLE, SEG_DEFLATED };
	struct seg_result out;
	struct study t;
	uint8_t *masks, *labels;
	const char *words;

	open_nested(&t, "labelmap", -1);
	masks = calloc(N, t.n_voxels);
	labels = calloc(1, t.n_voxels);
	assert_non_null(masks);
	assert_non_null(labels);
	memcpy(masks, t.masks, N * t.n_voxels);
	disjoin(&t, masks);
	for (size_t s = 0; s < N; s++)
		for (size_t i = 0; i < t.n_voxels; i++)
			labels[i] = masks[s * t.n_voxels + i] ? (uint8_t)(s + 1) : labels[i];
	t.request.form = SEG_LABELMAP;
	for (size_t i = 0; i < sizeof syntaxes / sizeof *syntaxes; i++) {
		t.request.syntax = syntaxes[i];
		write_seg(&t, &out);
		assert_string_equal(out.sop_class, labelmap_class);
		assert_int_equal(out.frames, 5);         /* slices, whatever the number of segments in them */
		judge_form(&t, t.masks, labels, labelmap_class);
		must_read_back(&t, t.seg_path, masks);
	}
	assert_string_equal(attribute(t.seg_path, "SegmentsOverlap"), "NO");
	must_run((const char *const[]){ "dcmdump", "-q", "+L", "+P", "SegmentDescription", t.seg_path, NULL });
	words = strstr(output(), "made disjoint: the innermost has the voxel");
	assert_non_null(words);
	free(masks);
	free(labels);
	close_study(&t);
}

/* The order in which a model counts does not matter: the inner one counted first is not painted over. And where nothing overlaps nothing is said. */
static void
test_the_innermost_has_the_voxel(void **state)
{
	(void)state;
	struct seg_result out;
	struct study t;

	open_study(&t, "inner-first", (const char *const[]){ NULL }, (const double[]){ 4, 9, 6 }, N, 0);
	t.request.form = SEG_LABELMAP;
	write_seg(&t, &out);
	judge_form(&t, t.masks, NULL, labelmap_class);   /* seg_readback.py: the smallest has it */
	close_study(&t);

	open_study(&t, "alike", (const char *const[]){ NULL }, (const double[]){ 6, 6 }, 2, 0);
	t.request.form = SEG_LABELMAP;
	write_seg(&t, &out);
	judge_form(&t, t.masks, NULL, labelmap_class);   /* of two alike the one counted later; the other is declared without a voxel */
	close_study(&t);

	open_study(&t, "apart", (const char *const[]){ NULL }, (const double[]){ 7, 5 }, 2, 16);
	t.request.form = SEG_LABELMAP;
	write_seg(&t, &out);
	judge_form(&t, t.masks, NULL, labelmap_class);
	must_run((const char *const[]){ "dcmdump", "-q", "+L", "+P", "SegmentDescription", t.seg_path, NULL });
	assert_null(strstr(output(), "disjoint"));
	close_study(&t);
}

static void
test_fractional(void **state)
{
	(void)state;
	static const enum seg_syntax syntaxes[] = { SEG_EXPLICIT, SEG_RLE, SEG_DEFLATED };
	struct seg_result out;
	uint8_t *fractions;
	struct study t;

	open_nested(&t, "fractional", -1);
	fractions = make_fractions(&t);
	t.request.form = SEG_FRACTIONAL;
	for (size_t i = 0; i < sizeof syntaxes / sizeof *syntaxes; i++) {
		t.request.syntax = syntaxes[i];
		write_seg(&t, &out);
		assert_int_equal(out.frames, 5 + 3 + 3);
		judge_form(&t, fractions, NULL, seg_class);
		must_read_back(&t, t.seg_path, t.masks);      /* half of the maximum and more is inside */
	}
	assert_string_equal(attribute(t.seg_path, "SegmentationType"), "FRACTIONAL");
	assert_string_equal(attribute(t.seg_path, "SegmentationFractionalType"), "PROBABILITY");
	assert_string_equal(attribute(t.seg_path, "SegmentsOverlap"), "YES");
	must_run((const char *const[]){ "dcmdump", "-q", "+L", "+P", "SegmentDescription", t.seg_path, NULL });
	assert_non_null(strstr(output(), "found from 0.5 on (value 128)"));
	free(fractions);
	close_study(&t);
}

/* One model, one case: segments have the same numbers, names, colours and tracking in all forms, found or not; objects have UIDs of their own. */
static void
test_forms_have_identities_of_their_own(void **state)
{
	(void)state;
	static const char *const kept[] = { "SegmentNumber", "SegmentLabel", "TrackingUID", "RecommendedDisplayCIELabValue" };
	char *said[sizeof kept / sizeof *kept] = { NULL };
	struct seg_result out[3];
	uint8_t *fractions;
	struct study t;

	open_nested(&t, "forms", 1);
	fractions = make_fractions(&t);
	for (unsigned f = 0; f < 3; f++) {
		t.request.form = (enum seg_form)f;
		write_seg(&t, &out[f]);
		judge_form(&t, f == SEG_FRACTIONAL ? fractions : t.masks, NULL, f == SEG_LABELMAP ? labelmap_class : seg_class);
		for (size_t k = 0; k < sizeof kept / sizeof *kept; k++) {
			must_run((const char *const[]){ "dcmdump", "-q", "+L", "+P", kept[k], t.seg_path, NULL });
			assert_non_null(strstr(output(), "\n")); /* three lines: the segment without a voxel is declared */
			if (f == 0)
				said[k] = strdup(output());
			assert_string_equal(output(), said[k]);
		}
	}
	for (unsigned f = 1; f < 3; f++) {
		assert_string_not_equal(out[f].sop_uid, out[f - 1].sop_uid);
		assert_string_not_equal(out[f].series_uid, out[f - 1].series_uid);
	}
	assert_string_not_equal(out[2].sop_uid, out[0].sop_uid);
	for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
		free(said[k]);
	free(fractions);
	close_study(&t);
}

/* Another syntax is the same object: one SOP Instance UID, and what pydicom decodes is equal (judge_form). One-bit RLE is not written at all. */
static void
test_syntaxes_are_one_object(void **state)
{
	(void)state;
	struct seg_result plain, other;
	size_t n_plain, n_other;
	char *bytes;
	struct study t;
	struct err e;

	open_nested(&t, "syntaxes", -1);
	write_seg(&t, &plain);
	bytes = file_read(t.seg_path, 1 << 20, &n_plain, &e);
	free(bytes);
	t.request.syntax = SEG_DEFLATED;
	write_seg(&t, &other);
	bytes = file_read(t.seg_path, 1 << 20, &n_other, &e);
	free(bytes);
	assert_string_equal(plain.sop_uid, other.sop_uid);
	assert_true(n_other < n_plain / 4);
	assert_int_equal(n_other % 2, 0);
	judge_form(&t, t.masks, NULL, seg_class);
	must_read_back(&t, t.seg_path, t.masks);
	file_remove_tree(t.seg_path, &e);
	t.request.syntax = SEG_RLE;
	assert_int_equal(seg_write(&t.request, t.seg_path, &other, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_false(file_exists(t.seg_path));
	close_study(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_labelmap),
		cmocka_unit_test(test_the_innermost_has_the_voxel),
		cmocka_unit_test(test_fractional),
		cmocka_unit_test(test_forms_have_identities_of_their_own),
		cmocka_unit_test(test_syntaxes_are_one_object),
	};

	return cmocka_run_group_tests(tests, set_up, folder_tear_down);
}
