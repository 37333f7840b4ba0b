/* Rules on series of several files: which file speaks, and which files are the volume. */
#include "tests/unit/flow_test.h"

#include "dicom/series.h"
#include "service/flow/match.h"

enum { MOST = 16 };

/* What came of the files of some folders, in this order, under rules. */
struct outcome {
	struct decision d;
	char chosen[MOST + 1];                  /* of each file: x in, - out; "all": no choice */
	enum series_verdict verdict;
	size_t n_slices;
};

static void
note_choice(const char *const *frames, size_t n, struct outcome *o)
{
	snprintf(o->chosen, sizeof o->chosen, "all");
	for (size_t i = 0; frames != NULL && i < n; i++) {
		o->chosen[i] = frames[i][0] == '\0' ? 'x' : '-';
		o->chosen[i + 1] = '\0';
	}
}

static struct outcome
ask(const char *rule_text, const char *const *names)
{
	char rooms[MOST][SPOOL_PATH], text[2048];
	const char *paths[MOST], *const *frames = NULL;
	struct outcome o = { .verdict = SERIES_BAD };
	struct settings *settings;
	struct series_info info;
	struct err e = { 0 }, reason = { 0 };
	size_t n = 0;

	for (; *names != NULL; names++)
		for (int i = 0; sample(*names, i, rooms[n]), file_exists(rooms[n]); i++, n++)
			paths[n] = rooms[n];
	snprintf(text, sizeof text, "{\"rules\": [%s]}", rule_text);
	if ((settings = settings_parse(text, strlen(text), "test", &e)) == NULL)
		fail_msg("%s", e.text);
	struct rules *rules = rules_compile(settings, &e);
	assert_non_null(rules);
	if (rules_decide_series(rules, paths, n, &o.d, &e) != 0 || rules_frames(rules, o.d.rule, paths, n, &frames, &e) != 0)
		fail_msg("%s", e.text);
	note_choice(frames, n, &o);
	if (o.d.channel[0] != '\0' && series_check(&(struct series_input){ paths, n, frames }, &o.verdict, &info, &reason, &e) != 0)
		fail_msg("%s", e.text);
	o.n_slices = o.d.channel[0] != '\0' ? info.n_slices : 0;
	rules_frames_free(frames, n);
	rules_free(rules);
	settings_free(settings);
	return o;
}

#define NAMES(...) (const char *const[]){ __VA_ARGS__, NULL }
#define LATE "{\"name\": \"late\", \"channel\": \"flair\", \"where\": {\"EchoTime\": [80, 200]}}"
#define ANY "{\"name\": \"any\", \"channel\": \"flair\", \"where\": {\"Modality\": \"MR\"}}"

static void
a_rule_splits_what_shares_places(void **state)
{
	struct outcome o = ask(LATE, NAMES("early", "late"));

	(void)state;
	assert_string_equal(o.d.channel, "flair");
	assert_string_equal(o.chosen, "----xxxx");
	assert_int_equal(o.verdict, SERIES_WHOLE);
	assert_int_equal(o.n_slices, 4);
	assert_string_equal(o.d.reason, "rule late: EchoTime \"90\" is within [80, 200]; so in 4 of 8 files");
	o = ask(LATE, NAMES("late", "early"));
	assert_string_equal(o.chosen, "xxxx----");
	assert_int_equal(o.verdict, SERIES_WHOLE);
	o = ask("{\"name\": \"not-early\", \"channel\": \"flair\", \"where\": {\"Modality\": \"MR\"}, \"not\": {\"EchoTime\": [0, 50]}}", NAMES("early", "late"));
	assert_string_equal(o.chosen, "----xxxx");
}

static void
a_rule_that_means_all_splits_nothing(void **state)
{
	struct outcome o = ask(ANY, NAMES("early", "late"));

	(void)state;
	assert_string_equal(o.chosen, "all");
	assert_int_equal(o.verdict, SERIES_BAD);
	o = ask("{\"name\": \"none\", \"channel\": \"flair\", \"where\": {\"EchoTime\": 300}}", NAMES("early", "late"));
	assert_string_equal(o.d.channel, "");
}

/* Which file comes first does not decide. */
static void
the_rule_that_comes_first_wins(void **state)
{
	static const char both[] = "{\"name\": \"early\", \"channel\": \"t1\", \"where\": {\"EchoTime\": [0, 50]}}, " LATE;
	struct outcome a = ask(both, NAMES("late", "early")), b = ask(both, NAMES("early", "late"));

	(void)state;
	assert_string_equal(a.d.channel, "t1");
	assert_string_equal(a.chosen, "----xxxx");
	assert_string_equal(b.d.channel, "t1");
	assert_string_equal(b.chosen, "xxxx----");
	a = ask("{\"name\": \"last\", \"channel\": \"t1\", \"fallback\": true, \"where\": {\"EchoTime\": 20}}, " LATE, NAMES("early", "late"));
	assert_string_equal(a.d.rule, "late");
}

/* Files that a rule without a channel takes are no part of what a later one takes. */
static void
ignored_files_are_left_out(void **state)
{
	static const char rules[] = "{\"name\": \"phase\", \"channel\": null, \"where\": {\"ImageType\": \"[\\\\\\\\]P$\"}}, " ANY;
	struct outcome o = ask(rules, NAMES("phase", "early"));

	(void)state;
	assert_string_equal(o.d.rule, "any");
	assert_string_equal(o.chosen, "----xxxx");
	assert_int_equal(o.verdict, SERIES_WHOLE);
	o = ask(rules, NAMES("phase"));
	assert_string_equal(o.d.rule, "phase");
}

/* Half a head that the rule fits would look whole: nothing is left out of a series in which no place is taken twice. */
static void
without_a_shared_place_nothing_is_left_out(void **state)
{
	struct outcome o = ask(LATE, NAMES("late", "early-above"));

	(void)state;
	assert_string_equal(o.d.channel, "flair");
	assert_string_equal(o.chosen, "all");
	assert_int_equal(o.verdict, SERIES_WHOLE);
	assert_int_equal(o.n_slices, 8);
	o = ask(LATE, NAMES("early-above", "late")); /* the first file speaks */
	assert_string_equal(o.d.channel, "");
}

/* A repeat of the very same kind stays what it is: a fault. */
static void
a_repeat_is_no_choice(void **state)
{
	struct outcome o = ask(LATE, NAMES("late", "late-again"));

	(void)state;
	assert_string_equal(o.chosen, "all");
	assert_int_equal(o.verdict, SERIES_BAD);
}

int
main(void)
{
	static const char *const specs[] = { "early:n=4,attr=EchoTime/20", "late:n=4,base=1100,attr=EchoTime/90", "late-again:n=4,base=1200,attr=EchoTime/90",
		"early-above:n=4,first=4,base=1300,attr=EchoTime/20", "phase:n=4,base=1400,type=ORIGINAL/PRIMARY/P,attr=EchoTime/20", NULL };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_splits_what_shares_places), cmocka_unit_test(a_rule_that_means_all_splits_nothing), cmocka_unit_test(the_rule_that_comes_first_wins),
		cmocka_unit_test(ignored_files_are_left_out), cmocka_unit_test(without_a_shared_place_nothing_is_left_out), cmocka_unit_test(a_repeat_is_no_choice),
	};

	return RUN_WITH_STUDIES(specs, tests);
}
