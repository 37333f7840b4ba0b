/* The bounds of data sets: each at its value and one below, over the bound the reason names the setting; and memory is back to the level before. */
#include "dicom/attributes.h"
#include "dicom/bounds.h"
#include "dicom/series.h"
#include "tests/unit/series_stage.h"

#include <malloc.h>

static struct dicom_bounds usual;

static void
load(const char *name, const char *refusal)
{
	char path[400];
	struct err e = { 0 };
	struct attributes *a;

	snprintf(path, sizeof path, "%s/%s/000.dcm", folder, name);
	a = attributes_load(path, &e);
	if ((a == NULL) != (refusal != NULL) || (refusal != NULL && (e.code != ERR_INPUT || strstr(e.text, refusal) == NULL)))
		fail_msg("%s: %s", name, a != NULL ? "taken" : e.text);
	attributes_free(a);
}

static void
set(struct dicom_bounds b)
{
	dicom_bounds_set(&b);
}

/* `shallow`: 20 sequences with an item each, and the data set itself. */
static void
depth(void **state)
{
	struct dicom_bounds b = usual;

	(void)state;
	b.depth = 41;
	set(b);
	load("shallow", NULL);
	b.depth = 40;
	set(b);
	load("shallow", "nested more than 40 levels deep (dicom.max_depth)");
	load("good", NULL);
	set(dicom_bounds_widest);
	load("deep", "nested more than 256 levels deep");
	load("deepdefined", "nested more than 256 levels deep");
	set(usual);
}

static void
elements(void **state)
{
	struct dicom_bounds b = usual;
	char words[64];

	(void)state;
	for (b.elements = 1; b.elements < 100; b.elements++) {
		struct err e = { 0 };
		char path[400];
		snprintf(path, sizeof path, "%s/good/000.dcm", folder);
		set(b);
		struct attributes *a = attributes_load(path, &e);
		if (a != NULL) {
			attributes_free(a);
			break;
		}
		snprintf(words, sizeof words, "more than %zu elements (dicom.max_elements)", b.elements);
		assert_non_null(strstr(e.text, words));
	}
	assert_in_range(b.elements, 30, 60); /* as many as it has, and no more */
	set(usual);
	load("flood", "more than 400000 elements");
}

static void
inflated(void **state)
{
	struct dicom_bounds b = usual;

	(void)state;
	b.data_set_bytes = 400;
	set(b);
	load("deflated", "inflates to more than 0 MiB (dicom.max_instance_mb)");
	load("good", NULL);
	set(usual);
	load("deflated", NULL);
}

static struct err
verdict_of(const char *name, size_t n, enum series_verdict *verdict)
{
	char paths[8][400];
	const char *list[8];
	struct series_info info;
	struct err reason = { 0 }, e;

	for (size_t i = 0; i < n; i++) {
		snprintf(paths[i], sizeof paths[i], "%s/%s/%03zu.dcm", folder, name, i);
		list[i] = paths[i];
	}
	if (series_check(&(struct series_input){ list, n, NULL }, verdict, &info, &reason, &e) != 0)
		fail_msg("%s: %s", name, e.text);
	struct series *s = series_load(&(struct series_input){ list, n, NULL }, &e);
	assert_int_equal(s == NULL, *verdict != SERIES_WHOLE);
	series_free(s);
	return reason;
}

/* plain: five slices of 7x9, 4 bytes a voxel; e_one: an Enhanced instance of one frame, 2 bytes a pixel. */
static void
decoded(void **state)
{
	struct dicom_bounds b = usual;
	enum series_verdict verdict;
	struct err reason;

	(void)state;
	b.decoded_bytes = 5 * 7 * 9 * 4;
	set(b);
	verdict_of("plain", 5, &verdict);
	assert_int_equal(verdict, SERIES_WHOLE);
	b.decoded_bytes--;
	set(b);
	reason = verdict_of("plain", 5, &verdict);
	assert_int_equal(verdict, SERIES_BAD);
	assert_non_null(strstr(reason.text, "5 slices of Rows 7 x Columns 9"));
	assert_non_null(strstr(reason.text, "dicom.max_decoded_mb"));
	b.decoded_bytes = 7 * 9 * 2 - 1;
	set(b);
	reason = verdict_of("e_one", 1, &verdict);
	assert_int_equal(verdict, SERIES_BAD);
	assert_non_null(strstr(reason.text, "1 frames of Rows 7 x Columns 9"));
	set(usual);
}

/* Of the process, not of the allocator: a pass after the first leaves not a byte. */
static void
memory_is_back(void **state)
{
	static const char *const names[] = { "deep", "deepopen", "deepdefined", "flood", "unsorted", "bomb", "endless", "huge", "frames", "random", "shallow", "good", "deflated" };
	size_t level = 0;

	(void)state;
	for (int pass = 0; pass < 3; pass++) {
		for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
			struct err e;
			char path[400];
			snprintf(path, sizeof path, "%s/%s/000.dcm", folder, names[i]);
			attributes_free(attributes_load(path, &e));
		}
		if (pass == 1)
			level = mallinfo2().uordblks + mallinfo2().hblkhd;
	}
	assert_int_equal(mallinfo2().uordblks + mallinfo2().hblkhd, level); /* 0 under the sanitizers, whose own leak check tells */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(depth), cmocka_unit_test(elements), cmocka_unit_test(inflated), cmocka_unit_test(decoded), cmocka_unit_test(memory_is_back),
	};
	struct err e;

	if (dicom_start(&e) != 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	usual = *dicom_bounds_now();
	return cmocka_run_group_tests(tests, make_files, folder_tear_down);
}
