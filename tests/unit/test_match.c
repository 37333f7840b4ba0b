/* Rules: what fits, what does not, and what is said about it. */
#include "tests/unit/flow_test.h"

#include "service/flow/match.h"

static struct settings *settings;
static struct rules *rules;

static void
with_rules(const char *text)
{
	char more[3000];
	struct err e = { 0 };

	snprintf(more, sizeof more, "\"rules\": %s,", text);
	settings = make_settings(more);
	rules = rules_compile(settings, &e);
	if (rules == NULL)
		fail_msg("%s", e.text);
}

static void
without_rules(void)
{
	rules_free(rules);
	settings_free(settings);
}

static struct decision
decide(const char *name, size_t n_slices, bool fallback)
{
	char path[SPOOL_PATH];
	struct decision d;
	struct err e = { 0 };

	sample(name, 0, path);
	if (rules_decide(rules, path, n_slices, fallback, &d, &e) != 0)
		fail_msg("%s", e.text);
	assert_null(strchr(d.reason, '\n'));
	return d;
}

static void
the_first_rule_that_fits_wins(void **state)
{
	struct decision d;

	(void)state;
	with_rules("[{\"name\": \"ct\", \"channel\": \"ct\", \"where\": {\"Modality\": \"^CT$\"}},"
		   " {\"name\": \"flair\", \"channel\": \"flair\", \"where\": {\"Modality\": \"^MR$\", \"SeriesDescription\": \"flair\"}},"
		   " {\"name\": \"any\", \"channel\": \"other\", \"where\": {\"Modality\": \"MR\"}}]");
	d = decide("flair", 4, false);
	assert_string_equal(d.channel, "flair");
	assert_string_equal(d.rule, "flair");
	assert_string_equal(d.reason, "rule flair: Modality \"MR\" matches \"^MR$\", SeriesDescription \"AX FLAIR\" matches \"flair\"");
	d = decide("t1", 4, false);
	assert_string_equal(d.channel, "other");
	without_rules();
}

static void
the_reason_says_rule_condition_and_value(void **state)
{
	struct decision d;

	(void)state;
	with_rules("[{\"name\": \"flair\", \"channel\": \"flair\", \"where\": {\"SeriesDescription\": \"flair\"}, \"not\": {\"ImageType\": \"LOCALIZER\"}},"
		   " {\"name\": \"agent\", \"channel\": \"t1c\", \"where\": {\"ContrastBolusAgent\": \".\"}}]");
	d = decide("t1", 4, false);
	assert_string_equal(d.channel, "");
	assert_string_equal(d.rule, "");
	assert_string_equal(d.reason, "rule flair: SeriesDescription \"T1\" does not match \"flair\"; rule agent: ContrastBolusAgent is absent");
	d = decide("localizer", 4, false);
	assert_string_equal(d.channel, "");
	assert_non_null(strstr(d.reason, "rule flair: ImageType \"ORIGINAL\\PRIMARY\\LOCALIZER\" matches \"LOCALIZER\", which the rule excludes"));
	without_rules();
}

static void
an_absent_attribute_fits_nothing(void **state)
{
	(void)state;
	with_rules("[{\"name\": \"a\", \"channel\": \"a\", \"where\": {\"ContrastBolusAgent\": \".*\"}},"
		   " {\"name\": \"b\", \"channel\": \"b\", \"where\": {\"EchoTime\": [null, null]}},"
		   " {\"name\": \"c\", \"channel\": \"c\", \"where\": {\"Modality\": \"MR\"}, \"not\": {\"ContrastBolusAgent\": \".*\", \"EchoTime\": [0, 1000]}}]");
	assert_string_equal(decide("flair", 4, false).channel, "c");
	without_rules();
}

static void
ranges_take_any_value(void **state)
{
	(void)state;
	with_rules("[{\"name\": \"far\", \"channel\": \"far\", \"where\": {\"ImagePositionPatient\": [100, 200]}},"
		   " {\"name\": \"near\", \"channel\": \"near\", \"where\": {\"ImagePositionPatient\": [-50, -45]}}]");
	assert_string_equal(decide("flair", 4, false).channel, "near"); /* the second of three values, on the bound */
	without_rules();
	with_rules("[{\"name\": \"text\", \"channel\": \"text\", \"where\": {\"SeriesDescription\": [0, 100]}}]");
	assert_string_equal(decide("t1", 4, false).channel, "");
	without_rules();
}

static void
slices_are_counted(void **state)
{
	struct decision d;

	(void)state;
	with_rules("[{\"name\": \"flair\", \"channel\": \"flair\", \"where\": {\"SeriesDescription\": \"flair\", \"NumberOfSlices\": [5, 400]}}]");
	d = decide("flair", 4, false);
	assert_string_equal(d.channel, "");
	assert_non_null(strstr(d.reason, "NumberOfSlices \"4\" is not within [5, 400]"));
	assert_string_equal(decide("flair", 5, false).channel, "flair");
	without_rules();
}

static void
groups_nest(void **state)
{
	static const char text[] = "[{\"name\": \"g\", \"channel\": \"g\", \"where\": {\"any\": [{\"SeriesDescription\": \"flair\", \"EchoTime\": [100, null]},"
				   " {\"SeriesDescription\": \"t1\", \"not\": {\"Modality\": \"CT\", \"EchoTime\": [0, 1]}, \"all\": {\"Modality\": \"M\", \"ImageType\": \"PRIMARY\"}}]},"
				   " \"not\": {\"all\": [{\"Modality\": \"MR\"}, {\"any\": {\"SeriesDescription\": \"^odd\", \"ImageType\": \"LOCALIZER\"}}]}}]";
	struct decision d;

	(void)state;
	with_rules(text);
	d = decide("t1", 4, false);
	assert_string_equal(d.channel, "g");
	assert_string_equal(d.reason, "rule g: SeriesDescription \"T1\" matches \"t1\", Modality \"MR\" does not match \"CT\", EchoTime is absent, Modality \"MR\" matches \"M\", "
				      "ImageType \"ORIGINAL\\PRIMARY\\M\" matches \"PRIMARY\"");
	d = decide("flair", 4, false); /* neither alternative: the first failure of each is said */
	assert_string_equal(d.channel, "");
	assert_string_equal(d.reason, "rule g: EchoTime is absent and SeriesDescription \"AX FLAIR\" does not match \"t1\"");
	d = decide("localizer", 4, false);
	assert_string_equal(d.channel, "");
	without_rules();
	with_rules("[{\"name\": \"n\", \"channel\": \"n\", \"where\": {\"Modality\": \"MR\"}, \"not\": {\"all\": [{\"Modality\": \"MR\"}, {\"any\": {\"EchoTime\": 5, \"ImageType\": \"LOCALIZER\"}}]}}]");
	assert_string_equal(decide("t1", 4, false).channel, "n");
	d = decide("localizer", 4, false);
	assert_string_equal(d.reason, "rule n: Modality \"MR\" matches \"MR\", ImageType \"ORIGINAL\\PRIMARY\\LOCALIZER\" matches \"LOCALIZER\", which the rule excludes");
	without_rules();
}

/* A rule without a channel ends the search, for the fallback rules, too. */
static void
a_rule_may_ignore(void **state)
{
	char path[SPOOL_PATH];
	struct decision d;
	struct err e = { 0 };

	(void)state;
	with_rules("[{\"name\": \"no\", \"channel\": null, \"where\": {\"ImageType\": \"LOCALIZER\"}}, {\"name\": \"never\", \"channel\": null, \"where\": {\"Modality\": \"CT\"}},"
		   " {\"name\": \"t1\", \"channel\": \"t1\", \"where\": {\"SeriesDescription\": \"t1\"}},"
		   " {\"name\": \"flair\", \"channel\": \"flair\", \"fallback\": true, \"where\": {\"SeriesDescription\": \"flair\"}}]");
	sample("localizer", 0, path);
	assert_int_equal(rules_decide_all(rules, path, 4, &d, &e), 0);
	assert_string_equal(d.channel, "");
	assert_string_equal(d.rule, "no");
	assert_string_equal(d.reason, "ignored by rule no: ImageType \"ORIGINAL\\PRIMARY\\LOCALIZER\" matches \"LOCALIZER\"");
	sample("flair", 0, path);
	assert_int_equal(rules_decide_all(rules, path, 4, &d, &e), 0);
	assert_string_equal(d.rule, "flair");
	sample("odd", 0, path); /* nothing fits: what would only have ignored it is not worth a word */
	assert_int_equal(rules_decide_all(rules, path, 4, &d, &e), 0);
	assert_string_equal(d.rule, "");
	assert_int_equal(strncmp(d.reason, "rule t1: ", 9), 0);
	without_rules();
}

static void
computed_values(void **state)
{
	static const struct { const char *sample, *rule; bool fits; } rows[] = {
		{ "flair", "\"Plane\": \"^axial$\"", true }, { "sagittal", "\"Plane\": \"^sagittal$\"", true }, { "coronal", "\"Plane\": \"^coronal$\"", true },
		{ "noplane", "\"Plane\": \".*\"", false }, { "nonsense", "\"Plane\": \".*\"", false }, { "frames", "\"NumberOfSlices\": 36", true },
		{ "after", "\"SecondsAfterContrast\": [90, 91]", true }, { "before", "\"SecondsAfterContrast\": -3600", true },
		{ "midnight", "\"SecondsAfterContrast\": 120", true }, { "flair", "\"SecondsAfterContrast\": [null, null]", false },
		{ "nonsense", "\"SecondsAfterContrast\": [null, null]", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[200];
		snprintf(text, sizeof text, "[{\"name\": \"x\", \"channel\": \"x\", \"where\": {%s}}]", rows[i].rule);
		with_rules(text);
		if ((decide(rows[i].sample, 3, false).channel[0] != 0) != rows[i].fits)
			fail_msg("%s, %s", rows[i].sample, rows[i].rule);
		without_rules();
	}
}

static void
remember_rule(void *arg, const struct rule_setting *rule, bool fits, const char *reason)
{
	char *text = arg;
	size_t n = strlen(text);

	snprintf(text + n, 600 - n, "%s %d %s|", rule->name, fits, reason);
}

static void
every_rule_is_explained(void **state)
{
	char path[SPOOL_PATH], text[600] = "";
	struct err e = { 0 };

	(void)state;
	with_rules("[{\"name\": \"a\", \"channel\": null, \"where\": {\"Modality\": \"CT\"}}, {\"name\": \"b\", \"channel\": \"b\", \"fallback\": true, \"where\": {\"Modality\": \"MR\"}},"
		   " {\"name\": \"c\", \"channel\": \"c\", \"where\": {\"Modality\": \"MR\"}, \"not\": {\"SeriesDescription\": \"t1\"}}]");
	sample("t1", 0, path);
	assert_int_equal(rules_explain(rules, path, 4, remember_rule, text, &e), 0);
	assert_string_equal(text, "a 0 rule a: Modality \"MR\" does not match \"CT\"|b 1 rule b: Modality \"MR\" matches \"MR\"|"
				  "c 0 rule c: SeriesDescription \"T1\" matches \"t1\", which the rule excludes|");
	assert_int_equal(rules_explain(rules, "tests/unit/test_match.c", 4, remember_rule, text, &e), -1);
	without_rules();
}

static void
fallback_rules_are_asked_apart(void **state)
{
	(void)state;
	with_rules("[{\"name\": \"mpr\", \"channel\": \"flair\", \"fallback\": true, \"where\": {\"SeriesDescription\": \"flair\"}}]");
	assert_string_equal(decide("flair", 4, false).channel, "");
	assert_string_equal(decide("flair", 4, false).reason, "there is no rule");
	assert_string_equal(decide("flair", 4, true).channel, "flair");
	without_rules();
}

static void
a_patient_is_never_quoted(void **state)
{
	struct decision d;

	(void)state;
	with_rules("[{\"name\": \"a\", \"channel\": \"a\", \"where\": {\"PatientName\": \"^nobody\"}},"
		   " {\"name\": \"b\", \"channel\": \"b\", \"where\": {\"0010,0020\": \"^nobody\"}},"
		   " {\"name\": \"c\", \"channel\": \"c\", \"where\": {\"AccessionNumber\": \"CANARY\"}, \"not\": {\"PatientBirthDate\": \"1960\"}},"
		   " {\"name\": \"d\", \"channel\": \"d\", \"where\": {\"AccessionNumber\": \"CANARY\"}}]");
	d = decide("t1", 4, false);
	assert_string_equal(d.channel, "d");
	assert_non_null(strstr(d.reason, "AccessionNumber (not shown) matches"));
	without_rules();
	with_rules("[{\"name\": \"a\", \"channel\": \"a\", \"where\": {\"PatientName\": \"^nobody\"}},"
		   " {\"name\": \"b\", \"channel\": \"b\", \"where\": {\"0010,0020\": \"^nobody\"}},"
		   " {\"name\": \"c\", \"channel\": \"c\", \"where\": {\"Modality\": \"MR\"}, \"not\": {\"PatientBirthDate\": \"1960\"}}]");
	d = decide("t1", 4, false);
	assert_string_equal(d.channel, "");
	assert_null(strstr(d.reason, "CANARY"));
	assert_null(strstr(d.reason, "19600203"));
	without_rules();
}

static void
received_text_is_cut_and_cleaned(void **state)
{
	struct decision d;

	(void)state;
	with_rules("[{\"name\": \"flair\", \"channel\": \"flair\", \"where\": {\"SeriesDescription\": \"flair\"}}]");
	d = decide("odd", 4, false);
	assert_null(strpbrk(d.reason, "\n\r\t\033"));
	assert_non_null(strstr(d.reason, "<script>"));
	assert_non_null(strstr(d.reason, "..."));
	without_rules();
}

static void
refused(const char *text, const char *rule, const char *what)
{
	char more[1000];
	struct err e = { 0 };

	snprintf(more, sizeof more, "\"rules\": %s,", text);
	settings = make_settings(more);
	assert_null(rules_compile(settings, &e));
	assert_int_equal(e.code, ERR_INPUT);
	assert_non_null(strstr(e.text, rule));
	assert_non_null(strstr(e.text, what));
	assert_non_null(strstr(e.text, "line 2"));
	settings_free(settings);
}

static void
bad_rules_are_named(void **state)
{
	(void)state;
	refused("[\n{\"name\": \"x1\", \"channel\": \"flair\", \"where\": {\"SeriesDescripton\": \"flair\"}}]", "x1", "SeriesDescripton");
	refused("[\n{\"name\": \"x2\", \"channel\": \"flair\", \"where\": {\"Modality\": \"MR\"}, \"not\": {\"SeriesDescriptions\": \"flair\"}}]", "x2", "SeriesDescriptions");
}

static void
a_file_that_cannot_be_read_is_an_error(void **state)
{
	struct decision d;
	struct err e = { 0 };

	(void)state;
	with_rules("[{\"name\": \"flair\", \"channel\": \"flair\", \"where\": {\"Modality\": \"MR\"}}]");
	assert_int_equal(rules_decide(rules, "tests/unit/test_match.c", 1, false, &d, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	without_rules();
}

int
main(void)
{
	static const char *const specs[] = { "flair:text=AX+FLAIR", "t1:text=T1", "localizer:text=flair,type=ORIGINAL/PRIMARY/LOCALIZER",
		"odd:text=<script>\"x\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		"sagittal:n=1,attr=ImageOrientationPatient/0+0.9+-0.1+0+-0.1+-0.9", "coronal:n=1,attr=ImageOrientationPatient/0.8+0+-0.6+0+0+-1", "noplane:n=1,attr=ImageOrientationPatient/",
		"nonsense:n=1,attr=ImageOrientationPatient/1+0+0+1+0+0;ContrastBolusStartTime/xy;AcquisitionTime/10", "frames:n=1,attr=NumberOfFrames/12;Rows/2;Columns/2",
		"after:n=1,attr=ContrastBolusStartTime/101500;AcquisitionTime/101630.25", "before:n=1,attr=ContrastBolusStartTime/1115;AcquisitionTime/1015",
		"midnight:n=1,attr=ContrastBolusStartTime/235900;AcquisitionTime/000100.000000", NULL };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_rule_that_fits_wins),
		cmocka_unit_test(the_reason_says_rule_condition_and_value),
		cmocka_unit_test(an_absent_attribute_fits_nothing),
		cmocka_unit_test(ranges_take_any_value),
		cmocka_unit_test(slices_are_counted),
		cmocka_unit_test(groups_nest),
		cmocka_unit_test(a_rule_may_ignore),
		cmocka_unit_test(computed_values),
		cmocka_unit_test(every_rule_is_explained),
		cmocka_unit_test(fallback_rules_are_asked_apart),
		cmocka_unit_test(a_patient_is_never_quoted),
		cmocka_unit_test(received_text_is_cut_and_cleaned),
		cmocka_unit_test(bad_rules_are_named),
		cmocka_unit_test(a_file_that_cannot_be_read_is_an_error),
	};

	return RUN_WITH_STUDIES(specs, tests);
}
