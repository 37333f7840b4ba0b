/* Who fills a channel: every step of the order decides only where the stronger ones are equal, and the order is one (antisymmetric, transitive). */
#include "service/flow/precedence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int
sign(int x)
{
	return (x > 0) - (x < 0);
}

static void
each_step_decides_where_the_stronger_ones_are_equal(void **state)
{
	/* Each pair differs in what decides and has everything weaker against it. */
	static const struct { struct candidate first, second; enum precedence by; } rows[] = {
		{ { "9", 1, 9, false, true, 9, "1", NULL }, { "1", 99, 0, true, false, 1, "2", NULL }, BY_FALLBACK },
		{ { "9", 1, 9, true, false, 9, "1", NULL }, { "1", 99, 0, true, true, 1, "2", NULL }, BY_STATE },
		{ { "9", 1, 3, false, false, 9, "1", NULL }, { "1", 99, 4, false, false, 1, "2", NULL }, BY_RULE },
		{ { "9", 21, 3, false, true, 9, "1", NULL }, { "1", 20, 3, false, true, 1, "2", NULL }, BY_SLICES },
		{ { "9", 20, 3, false, false, 0.25, "1", NULL }, { "1", 20, 3, false, false, 0.26, "2", NULL }, BY_PIXELS },
		{ { "9", 20, 3, false, false, 9, "1", NULL }, { "1", 20, 3, false, false, 0, "2", NULL }, BY_PIXELS },
		{ { "9", 20, 3, false, false, 0.25, "20240101101500.1", NULL }, { "1", 20, 3, false, false, 0.25000001, "20240101101500", NULL }, BY_TIME },
		{ { "9", 20, 3, false, false, 0, "20240101", NULL }, { "1", 20, 3, false, false, 0, "", NULL }, BY_TIME },
		{ { "1.10", 20, 3, false, false, 0, "", NULL }, { "1.9", 20, 3, false, false, 0, "", NULL }, BY_UID },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		enum precedence by = BY_UID + 1;
		assert_true(precedence_compare(&rows[i].first, &rows[i].second, &by) > 0);
		assert_int_equal(by, rows[i].by);
		by = BY_UID + 1;
		assert_true(precedence_compare(&rows[i].second, &rows[i].first, &by) < 0);
		assert_int_equal(by, rows[i].by);
		assert_int_equal(precedence_compare(&rows[i].first, &rows[i].first, &by), 0);
	}
}

static void
numbers_of_any_size(void **state)
{
	struct candidate many = { .series_uid = "1", .n_slices = INT64_MAX, .place = INT32_MAX }, few = { .series_uid = "1", .n_slices = INT64_MIN, .place = INT32_MAX }, early = { .series_uid = "1", .place = INT32_MIN };
	enum precedence by;

	(void)state;
	assert_true(precedence_compare(&many, &few, &by) > 0);
	assert_true(precedence_compare(&few, &many, &by) < 0);
	assert_true(precedence_compare(&early, &many, &by) > 0);
	assert_true(precedence_compare(&many, &early, &by) < 0);
}

static void
it_is_an_order(void **state)
{
	enum { N = 2 * 2 * 2 * 2 * 2 * 2 * 2 };
	static const char *const uids[] = { "1.2", "1.3" };
	struct candidate c[N];
	enum precedence by;

	(void)state;
	for (unsigned i = 0; i < N; i++)
		c[i] = (struct candidate) { uids[i & 1], i >> 1 & 1, (int)(i >> 2 & 1), i >> 3 & 1, i >> 4 & 1, i >> 5 & 1, "", NULL };
	for (unsigned i = 0; i < N; i++)
		c[i].time[0] = i >> 6 & 1 ? '1' : 0;
	for (size_t a = 0; a < N; a++)
		for (size_t b = 0; b < N; b++) {
			int ab = sign(precedence_compare(&c[a], &c[b], &by));
			assert_int_equal(ab, -sign(precedence_compare(&c[b], &c[a], &by)));
			assert_int_equal(ab == 0, a == b);
			for (size_t d = 0; d < N; d++)
				if (ab > 0 && precedence_compare(&c[b], &c[d], &by) > 0)
					assert_true(precedence_compare(&c[a], &c[d], &by) > 0);
		}
}

static void
the_loser_is_told_why(void **state)
{
	struct candidate a = { "1.2", 20, 1, false, false, 0.5, "2", "first" }, b = { "1.3", 20, 1, false, false, 0.5, "1", "second" };
	char text[200], little[20];

	(void)state;
	precedence_say(&a, &b, "flair", text, sizeof text);
	assert_string_equal(text, "not used: series 1.2 fills channel flair and was acquired later");
	a.pixel_mm2 = 0.25;
	precedence_say(&a, &b, "flair", text, sizeof text);
	assert_string_equal(text, "not used: series 1.2 fills channel flair with pixels of 0.25 mm2 against 0.5 mm2");
	a.place = 0;
	precedence_say(&a, &b, "flair", text, sizeof text);
	assert_string_equal(text, "not used: series 1.2 fills channel flair by rule first, which comes before rule second");
	precedence_say(&a, &b, "flair", little, sizeof little);
	assert_int_equal(strlen(little), sizeof little - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_step_decides_where_the_stronger_ones_are_equal), cmocka_unit_test(numbers_of_any_size), cmocka_unit_test(it_is_an_order),
		cmocka_unit_test(the_loser_is_told_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
