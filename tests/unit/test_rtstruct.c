/* Contours of a synthetic oblique series, judged by others: tests/tools/rtstruct_check.py (filled again they are the SEG's masks), dciodvfy, DCMTK's dump. */
#include "dicom/rtstruct.h"
#include "tests/unit/result_stage.h"

static void
judge(const struct study *t)
{
	must_run((const char *const[]) { "/usr/bin/python3", "tests/tools/rtstruct_check.py", t->result_path, t->dir, t->seg_path, NULL });
	must_run((const char *const[]) { "dcmdump", "-q", t->result_path, NULL });
	must_be_valid(t->result_path);
}

/* Holes, holes with an island, ragged borders: what balls do not have. */
static void
make_ragged(struct study *t)
{
	const struct grid *g = series_grid(t->series);
	uint8_t *mask = t->masks;
	unsigned seed = 1;
	struct err e;

	for (size_t i = 0; i < g->slices * g->rows * g->cols; i++) {
		size_t x = i % g->cols, y = i / g->cols % g->rows, d = (x > 25 ? x - 25 : 25 - x) + (y > 20 ? y - 20 : 20 - y);
		seed = seed * 1664525u + 1013904223u;
		mask[i] = d < 3 || (d > 5 && d < 12) || (d < 18 && (seed >> 16) % 3 == 0);
	}
	assert_int_equal(seg_write(&t->request, t->seg_path, &t->seg, &e), 0);
}

static void
test_contours_are_the_masks(void **state)
{
	static const struct { const char *name, *options[MAX_ARGS - 4]; double radius[MAX_SEGMENTS]; size_t n_segments; bool is_ragged; } cases[] = {
		{ "plain", { NULL }, { 7, 5, 4 }, 3, false },
		{ "ragged", { NULL }, { 7 }, 1, true },
		{ "one-slice", { "--slices", "1", NULL }, { 7 }, 1, false },
		{ "reversed", { "--reversed", "--implicit", NULL }, { 7, 5 }, 2, false },
		{ "one-absent", { NULL }, { 7, 0, 4 }, 3, false },
		{ "no-frame", { "--axial", "--drop", "FrameOfReferenceUID", NULL }, { 9 }, 1, false },
		{ "utf8", { "--charset", "ISO_IR 192", "--name", "\xd0\x94\xd0\xbc\xd0\xb8\xd1\x82\xd1\x80\xd0\xb8\xd0\xb9", NULL }, { 7, 5, 4 }, 3, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct seg_result out;
		struct study t;
		struct err e;

		open_result(&t, cases[i].name, cases[i].options, cases[i].radius, cases[i].n_segments);
		if (cases[i].is_ragged)
			make_ragged(&t);
		if (rtstruct_write(&t.request, &t.seg, t.result_path, &out, &e) != 0)
			fail_msg("%s", e.text);
		judge(&t);
		close_study(&t);
	}
}

static void
test_nothing_to_outline(void **state)
{
	struct seg_result out;
	struct study t;
	struct err e;

	(void)state;
	open_result(&t, "nothing", (const char *const[]) { NULL }, (const double[]) { 0 }, 1);
	assert_int_equal(rtstruct_write(&t.request, NULL, t.result_path, &out, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_int_equal(access(t.result_path, F_OK), -1);
	close_study(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_contours_are_the_masks), cmocka_unit_test(test_nothing_to_outline) };

	alarm(240);
	return cmocka_run_group_tests(tests, set_up, folder_tear_down);
}
