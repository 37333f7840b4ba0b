/* Recipes: defaults, what is written reads as the same, every wrong value is named with its line, a model's successor, the learning rate. */
#include "model/recipe.h"
#include "config/file.h"
#include "config/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const char *const two[] = { "flair", "t1c" };
static char path[300];

static int
set_up(void **state)
{
	int fd;

	(void)state;
	snprintf(path, sizeof path, "%s/recipe.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	return unlink(path);
}

static int
read_text(struct recipe *r, const char *text, struct err *e)
{
	assert_int_equal(file_write(path, text, strlen(text), e), 0);
	return recipe_read(r, path, e);
}

static struct recipe
defaults(size_t n_channels, size_t n_labels)
{
	struct recipe r;
	struct err e;

	assert_int_equal(recipe_default(&r, two, n_channels, n_labels, &e), 0);
	return r;
}

static void
defaults_fit_the_data(void **state)
{
	struct recipe r = defaults(1, 1);
	struct err e;

	(void)state;
	assert_string_equal(r.model.name, "glioma-flair");
	assert_string_equal(r.model.channels[0], "flair");
	assert_int_equal(r.model.n_segments, 1);
	assert_string_equal(r.model.segments[0].label, "Whole tumour");
	assert_int_equal(r.game.network.labels, 1);
	r = defaults(2, 3);
	assert_string_equal(r.model.name, "glioma-regions");
	assert_int_equal(r.game.network.channels, 6);
	assert_string_equal(r.model.segments[2].label, "Enhancing tumour");
	assert_string_equal(r.model.segments[2].type.scheme, "NCIt");
	assert_int_equal(recipe_default(&r, two, 2, 17, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
}

static void
what_is_written_reads_as_the_same(void **state)
{
	static const char changed[] = "{\"segmentor\": \"unet\", \"width\": 8, \"critic\": \"each\", \"critic_input\": \"concat\", \"layer_mean\": \"flat\", \"dice_over\": \"slice\",\n"
		"\"optimiser\": \"rmsprop\", \"skip\": \"concat\", \"lr\": 2e-5, \"lr_schedule\": \"cosine\", \"lr_drops\": [[0.5, 0.1]], \"seed\": 12345, \"epochs\": 7,\n"
		"\"augmentation\": {\"scale\": [0.7, 1.4], \"gamma\": [0.8, 1.25], \"noise\": 0.05, \"flip\": 0}, \"draw\": \"cases\", \"channels\": [\"t1c\", \"flair\"],\n"
		"\"input\": {\"neighbours\": 1, \"spacing_mm\": 1.1, \"skull\": \"stripped\", \"normalisation\": {\"clip\": [-1, 3]}}, \"ema\": 0, \"name\": \"mine\"}";
	struct recipe r = defaults(2, 3), again = defaults(2, 3);
	struct json *v;
	struct err e = { 0 };
	char *text;

	(void)state;
	if (read_text(&r, changed, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(r.game.network.kind, NETWORK_UNET);
	assert_int_equal(r.game.critic, CRITIC_EACH);
	assert_int_equal(r.game.network.channels, 6);
	assert_true(r.model.normalisation.clip[1] == 3 && r.model.normalisation.low_percentile == 2 && !r.model.skull_present);
	assert_string_equal(r.model.channels[0], "t1c");
	assert_true(r.augmentation.scale[1] == 1.4 && r.augmentation.rotate_degrees == 15);
	v = recipe_json(&r);
	text = json_print(v, true, &e);
	json_free(v);
	if (read_text(&again, text, &e) != 0)
		fail_msg("%s\n%s", e.text, text);
	free(text);
	assert_memory_equal(&again, &r, sizeof r);
}

static const struct { const char *text, *words; } wrong[] = {
	{ "{\n\"lrr\": 1}", "line 2: lrr: unknown key" },
	{ "{\n\n\"critic\": \"two\"}", "line 3: critic must be \"none\" or \"one\" or \"each\"" },
	{ "{\"critic\": 1}", "line 1: critic must be" },
	{ "{\"lr\": \"fast\"}", "line 1: lr must be a number" },
	{ "{\"lr\": -1}", "lr is -1, but must be from" },
	{ "{\"batch\": 0}", "batch is 0" },
	{ "{\"batch\": 2.5}", "batch must be a whole number" },
	{ "{\"crop\": 100}", "multiple of 16" },
	{ "{\"width\": 257}", "width" },
	{ "{\"batch\": 1024, \"crop\": 2048}", "batch x crop x crop" },
	{ "{\"steps\": 5, \"minutes\": 1}", "only one" },
	{ "{\"augmentation\": {\"turn\": 1}}", "augmentation.turn: unknown key" },
	{ "{\"augmentation\": {\n\"scale\": [1.2, 0.8]}}", "line 2: scale must be [low, high]" },
	{ "{\"augmentation\": {\"scale\": 1}}", "scale must be" },
	{ "{\"augmentation\": 1}", "augmentation must be an object" },
	{ "{\"lr_drops\": [[0.8, 0.1], [0.5, 0.1]]}", "lr_drops must be" },
	{ "{\"lr_drops\": [0.8]}", "lr_drops must be" },
	{ "{\"input\": {\n\"spacing\": 1}}", "line 2: input.spacing: unknown key" },
	{ "{\"input\": {\"normalisation\": {\"clop\": 1}}}", "normalisation.clop: unknown key" },
	{ "{\"input\": {\"spacing_mm\": 0}}", "spacing_mm" },
	{ "{\"input\": 7}", "input must be an object" },
	{ "{\"segments\": []}", "segments must be" },
	{ "{\"segments\": [{\"nomber\": 1}]}", "segments.nomber: unknown key" },
	{ "{\"channels\": []}", "channels must be" },
	{ "{\"name\": \"../x\"}", "name must be" },
	{ "{\"critic\": \"none\", \"dice_weight\": 0}", "nothing else to learn from" },
	{ "{\"l1_weight\": 0, \"dice_weight\": 0}", "nothing to learn from" },
	{ "{\"lr\": 1,}", "line 1" },
	{ "[]", "must be an object" },
};

static void
wrong_values_are_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct recipe r = defaults(1, 1);
		struct err e = { 0 };

		if (read_text(&r, wrong[i].text, &e) == 0 || e.code != ERR_INPUT || !strstr(e.text, wrong[i].words) || !strstr(e.text, path))
			fail_msg("%s: \"%s\", wanted \"%s\"", wrong[i].text, e.text, wrong[i].words);
	}
}

static void
a_models_successor_goes_on_from_it(void **state)
{
	static const char *const versions[][2] = { { "0.1.0", "0.1.1" }, { "1.0.9", "1.0.10" }, { "v2", "v3" }, { "beta", "beta.1" } };
	struct manifest m;
	struct recipe r;
	struct err e;

	(void)state;
	assert_int_equal(manifest_load("model/shipped/glioma-flair/0.1.0", &m, &e), 0);
	for (size_t i = 0; i < 4; i++) {
		snprintf(m.version, sizeof m.version, "%s", versions[i][0]);
		assert_int_equal(recipe_from_model(&r, &m, &e), 0);
		assert_string_equal(r.model.version, versions[i][1]);
	}
	assert_string_equal(r.model.name, m.name);
	assert_memory_equal(&r.game.network, &m.network, sizeof m.network);
	memset(m.version, '9', sizeof m.version - 1);
	assert_int_equal(recipe_from_model(&r, &m, &e), -1);
}

static void
the_rate_falls_by_schedule(void **state)
{
	struct recipe r = defaults(1, 1);

	(void)state;
	assert_true(recipe_rate(&r, 0, 100) == 1 && recipe_rate(&r, 59, 100) == 1);
	assert_true(recipe_rate(&r, 60, 100) == 0.3 && recipe_rate(&r, 84, 100) == 0.3);
	assert_true(recipe_rate(&r, 85, 100) == 0.1 && recipe_rate(&r, 99, 100) == 0.1);
	r.lr_schedule = LR_COSINE;
	assert_true(recipe_rate(&r, 0, 100) == 1);
	assert_float_equal(recipe_rate(&r, 50, 100), 0.5, 1e-12);
	assert_true(recipe_rate(&r, 99, 100) < 0.001);
	r.lr_schedule = LR_CONSTANT;
	assert_true(recipe_rate(&r, 99, 100) == 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_fit_the_data), cmocka_unit_test(what_is_written_reads_as_the_same), cmocka_unit_test(wrong_values_are_named),
		cmocka_unit_test(a_models_successor_goes_on_from_it), cmocka_unit_test(the_rate_falls_by_schedule),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
