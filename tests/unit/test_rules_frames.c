/* Rules on multi-frame files: the frames that a rule means, and that they are a volume. */
#include "dicom/series.h"
#include "service/flow/match.h"
#include "tests/unit/series_stage.h"

/* The frames that the rules {where} choose of a file: "all" when there is no choice, "no rule" when it does not fit. */
static void
assert_choice(const char *name, const char *conditions, const char *wanted, enum series_verdict verdict)
{
	char path[512], text[1024], got[256] = "no rule";
	const char *paths[1] = { path }, *const *frames = NULL;
	struct settings *settings;
	struct series_info info;
	struct decision d;
	struct err e, reason = { 0 };
	enum series_verdict judged = SERIES_BAD;

	snprintf(path, sizeof path, "%s/%s/000.dcm", folder, name);
	snprintf(text, sizeof text, "{\"rules\": [{\"name\": \"r\", \"channel\": \"flair\", %s}]}", conditions);
	if ((settings = settings_parse(text, strlen(text), "test", &e)) == NULL)
		fail_msg("%s", e.text);
	struct rules *rules = rules_compile(settings, &e);
	assert_non_null(rules);
	assert_int_equal(rules_decide_all(rules, path, 1, &d, &e), 0);
	if (d.channel[0] != '\0') {
		assert_int_equal(rules_frames(rules, d.rule, paths, 1, &frames, &e), 0);
		snprintf(got, sizeof got, "%s", frames == NULL ? "all" : frames[0]);
		assert_int_equal(series_check(&(struct series_input){ paths, 1, frames }, &judged, &info, &reason, &e), 0);
	}
	if (strcmp(got, wanted) != 0 || judged != verdict)
		fail_msg("%s, %s: \"%s\" (%d, %s; %s) instead of \"%s\" (%d)", name, conditions, got, judged, d.reason, reason.text, wanted, verdict);
	rules_frames_free(frames, 1);
	rules_free(rules);
	settings_free(settings);
}

static void
test_frames(void **state)
{
	(void)state;
	assert_choice("e_echo", "\"where\": {\"EchoTime\": [60, 100]}", "6-10", SERIES_WHOLE);
	assert_choice("e_echo", "\"where\": {\"EffectiveEchoTime\": 20}", "1-5", SERIES_WHOLE);
	assert_choice("e_echo", "\"where\": {\"Modality\": \"MR\"}", "all", SERIES_BAD);
	assert_choice("e_echo", "\"where\": {\"EchoTime\": [10, 100]}", "all", SERIES_BAD);
	assert_choice("e_echo", "\"where\": {\"EchoTime\": [200, 300]}", "no rule", SERIES_BAD);
	assert_choice("e_echo", "\"where\": {\"any\": [{\"EchoTime\": 80}, {\"EchoTime\": 90}]}", "6-10", SERIES_WHOLE);
	assert_choice("e_time", "\"where\": {\"TemporalPositionIndex\": 2}", "6-10", SERIES_WHOLE);
	assert_choice("e_time", "\"where\": {\"TemporalPositionIndex\": [1, 2]}", "1-10", SERIES_BAD);
	assert_choice("e_legacyecho", "\"where\": {\"EchoTime\": [60, 100]}", "6-10", SERIES_WHOLE);
	assert_choice("e_kinds", "\"where\": {\"FrameType\": \"derived_b\"}", "6-10", SERIES_WHOLE);
	assert_choice("e_twostacks", "\"where\": {\"StackID\": \"^2$\"}", "6-10", SERIES_WHOLE);
	assert_choice("e_echo", "\"where\": {\"Modality\": \"MR\"}, \"not\": {\"EchoTime\": 20}", "6-10", SERIES_WHOLE);
	assert_choice("e_echo", "\"where\": {\"Modality\": \"MR\"}, \"not\": {\"EchoTime\": [10, 100]}", "no rule", SERIES_BAD);
	assert_choice("e_twostacks", "\"where\": {\"Plane\": \"axial\"}", "1-5", SERIES_WHOLE);
	assert_choice("e_twostacks", "\"where\": {\"Plane\": \"sagittal\"}", "6-10", SERIES_WHOLE);
	assert_choice("e_twostacks", "\"where\": {\"Plane\": \"coronal\"}", "no rule", SERIES_BAD);
	assert_choice("e_shuffled", "\"where\": {\"EchoTime\": [60, 200], \"Plane\": \"axial\"}", "all", SERIES_WHOLE);
	assert_choice("plain", "\"where\": {\"Modality\": \"MR\"}", "all", SERIES_WHOLE);
	/* no frame fits by itself: all */
	assert_choice("e_bvalue", "\"where\": {\"DiffusionBValue\": 0, \"DiffusionDirectionality\": \"ISOTROPIC\"}", "all", SERIES_BAD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_frames) };

	return cmocka_run_group_tests(tests, make_files, folder_tear_down);
}
