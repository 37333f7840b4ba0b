/* Which evaluations allow a promotion. */
#include "config/file.h"
#include "model/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char top[256], path[300];
static struct manifest candidate = { .name = "m", .version = "2", .weights_sha256 = "bb" }, serving = { .name = "m", .version = "1", .weights_sha256 = "aa" };

static int
set_up(void **state)
{
	(void)state;
	snprintf(top, sizeof top, "%s/gate.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (mkdtemp(top) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/evaluation.json", top);
	snprintf(candidate.dir, sizeof candidate.dir, "%s", top);
	return 0;
}

static int
tear_down(void **state)
{
	struct err e;

	(void)state;
	return file_remove_tree(top, &e);
}

static void
write_text(const char *file, const char *text)
{
	struct err e;

	assert_int_equal(file_write(file, text, strlen(text), &e), 0);
}

#define HEAD "{\"data\": {\"digest\": \"d1\"}, \"model\": {\"name\": \"m\", \"version\": \"2\", \"weights_sha256\": \"bb\"}, "
#define AGAINST "\"against\": {\"model\": {\"name\": \"m\", \"version\": \"1\", \"weights_sha256\": \"aa\"}}, "
#define CASE(name, split, ours, theirs) "{\"case\": \"" name "\", \"split\": \"" split "\", \"segments\": " ours ", \"against\": " theirs "}"
#define DICE(x) "[{\"dice\": " x "}]"

/* The gate's answer to this file, with a model.json of these training notes. */
static enum err_code
answer(const char *evaluation, const char *training, struct gate *out)
{
	char model[320];
	struct err e = { 0 };

	snprintf(model, sizeof model, "%s/model.json", top);
	write_text(model, training);
	write_text(path, evaluation);
	return gate_check(path, &candidate, &serving, out, &e) == 0 ? ERR_NONE : e.code;
}

static void
better_means(void **state)
{
	struct gate g;

	(void)state;
	assert_int_equal(answer(HEAD AGAINST "\"cases\": [" CASE("a", "test", DICE("0.9"), DICE("0.7")) ", " CASE("b", "test", DICE("0.5"), DICE("0.6")) "]}", "{}", &g), ERR_NONE);
	assert_int_equal(g.cases, 2);
	assert_float_equal(g.difference, 0.05, 1e-12);
	assert_float_equal(g.low, -0.1, 1e-12);
	assert_float_equal(g.high, 0.2, 1e-12);
	assert_int_equal(strlen(g.sha256), 64);
	assert_int_equal(answer(HEAD AGAINST "\"cases\": [" CASE("a", "test", DICE("0.7"), DICE("0.7")) "]}", "{}", &g), ERR_STATE);
	assert_int_equal(answer(HEAD AGAINST "\"cases\": [" CASE("a", "test", DICE("0.6"), DICE("0.7")) "]}", "{}", &g), ERR_STATE);
	/* over segments first: +0.1 and -0.3 */
	assert_int_equal(answer(HEAD AGAINST "\"cases\": [" CASE("a", "test", "[{\"dice\": 0.8}, {\"dice\": 0.2}]", "[{\"dice\": 0.7}, {\"dice\": 0.5}]") "]}", "{}", &g), ERR_STATE);
	assert_float_equal(g.difference, -0.1, 1e-12);
}

static void
held_back_and_complete(void **state)
{
	struct gate g;

	(void)state;
	assert_int_equal(answer(HEAD AGAINST "\"cases\": [" CASE("a", "test", DICE("0.9"), DICE("0.7")) ", " CASE("b", "train", DICE("0.9"), DICE("0.6")) "]}", "{}", &g), ERR_STATE);
	assert_int_equal(answer(HEAD AGAINST "\"cases\": [" CASE("a", "validation", DICE("0.9"), DICE("0.7")) "]}", "{}", &g), ERR_STATE);
	assert_int_equal(answer(HEAD AGAINST "\"cases\": [" CASE("a", "test", DICE("0.9"), DICE("0.7")) ", " CASE("b", "test", "null", DICE("0.6")) "]}", "{}", &g), ERR_STATE);
	assert_int_equal(answer(HEAD AGAINST "\"cases\": [" CASE("a", "test", DICE("0.9"), DICE("0.7")) ", " CASE("b", "test", DICE("0.1"), "null") "]}", "{}", &g), ERR_NONE);
	assert_int_equal(g.cases, 1);
	assert_int_equal(answer(HEAD AGAINST "\"cases\": []}", "{}", &g), ERR_STATE);
	assert_int_equal(answer(HEAD AGAINST "\"cases\": [" CASE("a", "test", "[{}]", DICE("0.7")) "]}", "{}", &g), ERR_INPUT);
	assert_int_equal(answer(HEAD AGAINST "\"cases\": [" CASE("a", "test", DICE("7"), DICE("0.7")) "]}", "{}", &g), ERR_INPUT);
}

static void
of_the_data_it_was_trained_on(void **state)
{
	static const char good[] = HEAD AGAINST "\"cases\": [" CASE("a", "test", DICE("0.9"), DICE("0.7")) "]}";
	struct gate g;

	(void)state;
	assert_int_equal(answer(good, "{\"training\": {\"data_digest\": \"d1\"}}", &g), ERR_NONE);
	assert_int_equal(answer(good, "{\"training\": {\"data_digest\": \"d2\"}}", &g), ERR_STATE);
}

static void
of_these_models(void **state)
{
	static const char cases[] = "\"cases\": [" CASE("a", "test", DICE("0.9"), DICE("0.7")) "]}";
	static const char *const heads[] = {
		HEAD, "{\"model\": {\"name\": \"m\", \"version\": \"3\", \"weights_sha256\": \"bb\"}, " AGAINST, "{\"model\": {\"name\": \"m\", \"version\": \"2\", \"weights_sha256\": \"cc\"}, " AGAINST,
		HEAD "\"against\": {\"model\": {\"name\": \"m\", \"version\": \"0\", \"weights_sha256\": \"aa\"}}, ", "{" AGAINST, HEAD "\"against\": 7, " };
	struct gate g;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		char text[1000];
		snprintf(text, sizeof text, "%s%s", heads[i], cases);
		assert_int_equal(answer(text, "{}", &g), ERR_INPUT);
	}
	assert_int_equal(answer("[]", "{}", &g), ERR_INPUT);
	assert_int_equal(answer("{", "{}", &g), ERR_INPUT);
	snprintf(path, sizeof path, "%s/nothing", top);
	assert_int_equal(gate_check(path, &candidate, &serving, &g, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(better_means, set_up, tear_down), cmocka_unit_test_setup_teardown(held_back_and_complete, set_up, tear_down),
		cmocka_unit_test_setup_teardown(of_the_data_it_was_trained_on, set_up, tear_down), cmocka_unit_test_setup_teardown(of_these_models, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
