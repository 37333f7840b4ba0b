/* Measurement reports, judged by others: tests/tools/report_check.py (templates, references, numbers against the SEG), dciodvfy, dsrdump. */
#include "dicom/report.h"
#include "model/measure.h"
#include "tests/unit/result_stage.h"

static void
write_report(struct study *t, struct seg_result *out)
{
	struct report_measure measures[MAX_SEGMENTS];
	struct report_request r = { .run = &t->request, .seg = t->seg.frames > 0 ? &t->seg : NULL, .measures = measures };
	struct measure m;
	struct err e;

	for (size_t i = 0; i < t->request.n_segments; i++) {
		assert_int_equal(measure_mask(series_grid(t->series), t->segments[i].mask, &m, &e), 0);
		measures[i] = (struct report_measure) { m.volume_ml, m.long_axis_mm, m.diameter_mm };
	}
	if (report_write(&r, t->result_path, out, &e) != 0)
		fail_msg("%s", e.text);
}

static void
judge(const struct study *t)
{
	must_run((const char *const[]) { "/usr/bin/python3", "tests/tools/report_check.py", t->result_path, t->dir, t->seg.frames > 0 ? t->seg_path : NULL, NULL });
	must_run((const char *const[]) { "dsrdump", "-q", t->result_path, NULL });
	must_be_valid(t->result_path);
}

static void
test_what_a_report_says(void **state)
{
	static const struct { const char *name, *options[MAX_ARGS - 4]; double radius[MAX_SEGMENTS]; size_t n_segments; } cases[] = {
		{ "plain", { NULL }, { 7, 5, 4 }, 3 },
		{ "one-slice", { "--slices", "1", NULL }, { 7 }, 1 },
		{ "not-square", { "--slices", "2", "--rows", "21", "--cols", "39", "--axial", NULL }, { 9, 3 }, 2 },
		{ "reversed", { "--reversed", "--implicit", NULL }, { 7, 5 }, 2 },
		{ "one-absent", { NULL }, { 7, 0, 4 }, 3 },
		{ "nothing", { NULL }, { 0, 0, 0 }, 3 },
		{ "utf8", { "--charset", "ISO_IR 192", "--name", "\xd0\x94\xd0\xbc\xd0\xb8\xd1\x82\xd1\x80\xd0\xb8\xd0\xb9", NULL }, { 7, 5, 4 }, 3 },
		{ "nameless", { "--charset", "", "--set", "PatientID=", "--drop", "PatientBirthDate", "--drop", "StudyID", "--drop", "FrameOfReferenceUID", NULL }, { 7 }, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct seg_result out;
		struct study t;

		open_result(&t, cases[i].name, cases[i].options, cases[i].radius, cases[i].n_segments);
		write_report(&t, &out);
		judge(&t);
		if (t.seg.frames > 0)
			assert_string_not_equal(out.series_uid, t.seg.series_uid);
		close_study(&t);
	}
}

/* Two channels: both series are in the library, each once; the same request makes the same bytes, another run other UIDs. */
static void
test_inputs_and_identity(void **state)
{
	char other[TEXT + 32];
	struct seg_result out, again;
	struct series *second;
	struct study t;
	struct err e;
	char *first, *bytes;
	size_t n_first, n;

	(void)state;
	open_result(&t, "both/flair", (const char *const[]) { NULL }, (const double[]) { 7 }, 1);
	snprintf(other, sizeof other, "%s/both/t1c", folder);
	second = make_series(other, (const char *const[]) { "--series", "2", NULL });
	snprintf(t.dir, sizeof t.dir, "%s/both", folder);
	t.request.others = (const struct series *const[]) { second, t.series };
	t.request.n_others = 2;
	snprintf(t.seg_path, sizeof t.seg_path, "%s/both.seg.dcm", folder);       /* not among the sources */
	snprintf(t.result_path, sizeof t.result_path, "%s/both.sr.dcm", folder);
	snprintf(other, sizeof other, "%s/both/flair.seg.dcm", folder);
	assert_int_equal(seg_write(&t.request, t.seg_path, &t.seg, &e), 0);
	unlink(other);
	write_report(&t, &out);
	judge(&t);
	must_run((const char *const[]) { "dsrdump", "-q", t.result_path, NULL });
	first = strstr(output(), "\"Image Library Group\"");
	assert_non_null(first);
	assert_non_null(strstr(first + 1, "\"Image Library Group\""));
	first = file_read(t.result_path, 1 << 20, &n_first, &e);
	write_report(&t, &again);
	bytes = file_read(t.result_path, 1 << 20, &n, &e);
	assert_int_equal(n, n_first);
	assert_memory_equal(bytes, first, n);
	free(bytes);
	free(first);
	t.request.identity = "node/study/instances/model/2";
	write_report(&t, &again);
	assert_string_not_equal(again.sop_uid, out.sop_uid);
	series_free(second);
	close_study(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_what_a_report_says), cmocka_unit_test(test_inputs_and_identity) };

	alarm(240);
	return cmocka_run_group_tests(tests, set_up, folder_tear_down);
}
