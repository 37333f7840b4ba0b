/* model.json: the shipped one reads; each wrong kind of value is refused by key. */
#include "model/manifest.h"
#include "config/file.h"
#include "config/json.h"
#include "tests/unit/own_folder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void
the_shipped_manifest_reads(void **state)
{
	struct manifest m;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(manifest_load("model/shipped/glioma-flair/0.1.0", &m, &e), 0);
	assert_string_equal(m.name, "glioma-flair");
	assert_string_equal(m.version, "0.1.0");
	assert_int_equal(m.n_channels, 1);
	assert_string_equal(m.channels[0], "flair");
	assert_int_equal(m.network.kind, NETWORK_SEGAN);
	assert_int_equal(m.network.skip, SKIP_SUM);
	assert_int_equal(m.network.channels * 1000 + m.network.width * 10 + m.network.labels, 1161);
	assert_true(m.network.leaky_slope == 0.2 && m.network.bn_eps == 1e-5);
	assert_string_equal(m.plane, "axial");
	assert_true(m.spacing_mm == 0.9 && m.skull_present && m.pad_multiple == 16);
	assert_true(m.neighbours == 0 && m.neighbour_mm == MANIFEST_NEIGHBOUR_MM);
	assert_true(m.normalisation.floor_percentile == 0.1 && m.normalisation.head_fraction == 0.1 && m.normalisation.head_percentile == 99);
	assert_true(m.normalisation.low_percentile == 2 && m.normalisation.high_percentile == 98);
	assert_true(m.normalisation.clip[0] == -0.5 && m.normalisation.clip[1] == 2);
	assert_int_equal(m.n_segments, 1);
	assert_int_equal(m.segments[0].number, 1);
	assert_string_equal(m.segments[0].label, "Whole tumour");
	assert_true(m.segments[0].threshold == 0.5 && m.segments[0].minimum_ml == 0);
	assert_int_equal(m.segments[0].rgb[0] << 16 | m.segments[0].rgb[1] << 8 | m.segments[0].rgb[2], 0xe6503c);
	assert_string_equal(m.segments[0].category.value, "49755003");
	assert_string_equal(m.segments[0].type.meaning, "Neoplasm");
	assert_string_equal(m.segments[0].anatomy.scheme, "SCT");
	assert_int_equal(strlen(m.weights_sha256), 64);
}

/* The shipped text with the first `from` replaced by `to`. */
static void
write_changed(const char *from, const char *to)
{
	struct err e;
	char path[300], *text, *at, *changed;
	size_t n;

	text = file_read("model/shipped/glioma-flair/0.1.0/model.json", 1 << 20, &n, &e);
	assert_non_null(text);
	at = strstr(text, from);
	if (!at)
		fail_msg("the shipped manifest has no %s", from);
	changed = malloc(n + strlen(to) + 1);
	assert_non_null(changed);
	snprintf(changed, n + strlen(to) + 1, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	snprintf(path, sizeof path, "%s/model.json", folder);
	assert_int_equal(file_write(path, changed, strlen(changed), &e), 0);
	free(text);
	free(changed);
}

static const struct { const char *from, *to, *words; } wrong[] = {
	{ "\"name\": \"glioma-flair\"", "\"name\": \"../x\"", "name" },
	{ "\"name\": \"glioma-flair\"", "\"name\": 7", "name" },
	{ "\"name\": \"glioma-flair\"", "\"name\": \"\"", "name" },
	{ "\"version\": \"0.1.0\"", "\"version\": \"..\"", "version" },
	{ "\"version\": \"0.1.0\"", "\"versionn\": \"0.1.0\"", "version" },
	{ "\"version\": \"0.1.0\"", "\"version\": \"a/b\"", "version" },
	{ "\"flair\"", "\"flair\", \"flair\"", "channels" },
	{ "\"flair\"", "", "channels" },
	{ "\"flair\"", "\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"", "channels" },
	{ "\"flair\"", "\"a name with much more than thirty-two characters\"", "channels" },
	{ "\"kind\": \"segan\"", "\"kind\": \"resnet\"", "network: kind must be \"segan\" or \"unet\"" },
	{ "\"width\": 16", "\"width\": 0", "width" },
	{ "\"width\": 16", "\"width\": 1e9", "width" },
	{ "\"width\": 16", "\"width\": 16.5", "width" },
	{ "\"labels\": 1", "\"labels\": 17", "labels" },
	{ "\"skip\": \"sum\"", "\"skip\": \"product\"", "network: skip" },
	{ "\"leaky_slope\": 0.2", "\"leaky_slope\": -1", "leaky_slope" },
	{ "\"bn_eps\": 1e-05", "\"bn_eps\": 0", "bn_eps" },
	{ "\"axial\"", "\"sideways\"", "plane" },
	{ "\"LPS\"", "\"RAS\"", "orientation" },
	{ "\"spacing_mm\": 0.9", "\"spacing_mm\": 0", "spacing_mm" },
	{ "\"skull\": \"present\"", "\"skull\": \"maybe\"", "skull" },
	{ "\"pad_multiple\": 16", "\"pad_multiple\": 24", "pad_multiple" },
	{ "\"pad_multiple\": 16", "\"pad_multiple\": 16, \"neighbours\": 5", "neighbours" },
	{ "\"pad_multiple\": 16", "\"pad_multiple\": 16, \"mirror\": 1", "mirror" },
	{ "\"pad_multiple\": 16", "\"pad_multiple\": 16, \"neighbour_mm\": 0", "neighbour_mm" },
	{ "\"percentile-head\"", "\"z-score\"", "normalisation: kind" },
	{ "\"low_percentile\": 2", "\"low_percentile\": 99", "low_percentile" },
	{ "\"high_percentile\": 98", "\"high_percentile\": 101", "high_percentile" },
	{ "-0.5,", "", "clip" },
	{ "-0.5,", "3,", "clip" },
	{ "\"number\": 1", "\"number\": 2", "number" },
	{ "\"map\": 0", "\"map\": 1", "map" },
	{ "\"threshold\": 0.5", "\"threshold\": 0", "threshold" },
	{ "\"minimum_ml\": 0.0", "\"minimum_ml\": -1", "minimum_ml" },
	{ "\"minimum_ml\": 0.0", "\"minimum_ml\": 0.0, \"peak\": 1.5", "peak" },
	{ "#e6503c", "e6503cc", "colour" },
	{ "#e6503c", "#e6503x", "colour" },
	{ "\"49755003\",", "", "category" },
	{ "\"Brain\"", "\"\"", "anatomy" },
	{ "31101439c01b", "31101439c01", "weights_sha256" },
	{ "\"segments\": [", "\"segments\": 1, \"other\": [", "segments" },
	{ "\"input\": {", "\"other\": {", "input" },
	{ "{", "{\"statistics\": 1, ", "statistics must be an object" },
	{ "{", "{\"statistics\": {\"cases\": 0}, ", "cases" },
	{ "{", "{\"statistics\": {\"cases\": 2, \"channels\": {\"flair\": {\"head_ml\": [1]}}}, ", "statistics: channels: a range must be two numbers" },
	{ "{", "{\"statistics\": {\"cases\": 2, \"channels\": {\"flair\": {\"head_ml\": [2, 1]}}}, ", "statistics: channels: a range must be ascending" },
	{ "{", "{,", "line 1" },
};

static void
wrong_values_are_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct manifest m;
		struct err e = { 0 };

		write_changed(wrong[i].from, wrong[i].to);
		if (manifest_load(folder, &m, &e) == 0 || e.code != ERR_INPUT || !strstr(e.text, wrong[i].words) || !strstr(e.text, "model.json"))
			fail_msg("%s -> %s: \"%s\", wanted \"%s\"", wrong[i].from, wrong[i].to, e.text, wrong[i].words);
	}
}

static void
unknown_keys_are_notes(void **state)
{
	struct manifest m;
	struct err e = { 0 };

	(void)state;
	write_changed("\"skip\": \"sum\"", "\"skip\": \"concat\", \"note\": {\"anything\": [1]}");
	assert_int_equal(manifest_load(folder, &m, &e), 0);
	assert_int_equal(m.network.skip, SKIP_CONCAT);
}

static void
what_is_written_reads_as_the_same(void **state)
{
	struct manifest m, again;
	struct err e = { 0 };
	struct json_doc *doc;
	struct json *v;
	char *text;

	(void)state;
	write_changed("\"pad_multiple\": 16", "\"pad_multiple\": 32, \"neighbours\": 2, \"neighbour_mm\": 1.5, \"mirror\": true");
	assert_int_equal(manifest_load(folder, &m, &e), 0);
	assert_true(m.neighbour_mm == 1.5);
	m.segments[0].peak = 0.9;
	assert_int_equal(m.statistics[0].n_cases, 0);
	assert_true(isnan(m.statistics[0].low[LIKENESS_HEAD_ML]));
	m.statistics[0].n_cases = 7;
	m.statistics[0].low[LIKENESS_HEAD_ML] = 912.5;
	m.statistics[0].high[LIKENESS_HEAD_ML] = 1903;
	m.statistics[0].low[LIKENESS_ROUGHNESS] = m.statistics[0].high[LIKENESS_ROUGHNESS] = 0.0625;
	v = manifest_json(&m);
	text = json_print(v, true, &e);
	json_free(v);
	assert_non_null(text);
	doc = json_parse(text, strlen(text), 0, &e);
	free(text);
	assert_non_null(doc);
	if (manifest_read(doc, json_root(doc), &again, &e) != 0)
		fail_msg("%s", e.text);
	json_doc_free(doc);
	assert_string_equal(again.dir, "");
	assert_int_equal(again.network.channels, 5);
	memcpy(again.dir, m.dir, sizeof m.dir);
	assert_memory_equal(&again, &m, sizeof m);
}

static void
no_file_is_not_found(void **state)
{
	struct manifest m;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(manifest_load("/nowhere/at/all", &m, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_non_null(strstr(e.text, "/nowhere/at/all"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_shipped_manifest_reads), cmocka_unit_test(wrong_values_are_named),
		cmocka_unit_test(unknown_keys_are_notes), cmocka_unit_test(what_is_written_reads_as_the_same), cmocka_unit_test(no_file_is_not_found),
	};

	return cmocka_run_group_tests(tests, folder_set_up, folder_tear_down);
}
