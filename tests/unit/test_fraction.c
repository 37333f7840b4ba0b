/* Probabilities in a byte: the threshold keeps its sides, and what clean-up took is gone. */
#include "model/fraction.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static uint8_t
one(float p, double threshold)
{
	uint8_t f = 77;

	fraction_of(&p, 1, threshold, &f);
	return f;
}

static void
a_byte_is_the_nearest(void **state)
{
	(void)state;
	assert_int_equal(one(0, 0.5), 0);
	assert_int_equal(one(1, 0.5), 255);
	assert_int_equal(one(0.25f, 0.5), 64);           /* 63.75 */
	assert_int_equal(one(0.001f, 0.5), 0);
	assert_int_equal(one(0.002f, 0.5), 1);
	assert_int_equal(one(NAN, 0.5), 0);
	assert_int_equal(one(-1, 0.5), 0);
	assert_int_equal(one(2, 0.5), 255);
}

/* Over every threshold and the probabilities round it: as many values lie from the threshold's byte on as probabilities do from the threshold. */
static void
no_probability_changes_sides(void **state)
{
	(void)state;
	for (int t = 0; t <= 1000; t++) {
		double threshold = t / 1000.0;
		int first = (int)(255 * threshold + 0.5);

		first = first < 1 ? 1 : first;
		for (int k = -6; k <= 6; k++) {
			float p = (float)(threshold + k / 1500.0);

			if (p >= 0 && p <= 1 && !(p == 0 && threshold <= 0))
				assert_int_equal(one(p, threshold) >= first, p >= threshold);
		}
	}
}

static void
what_was_dismissed_is_zero(void **state)
{
	static const float p[] = { 0.8f, 0.6f, 0.3f, 0, 0.5f, 0.49999f };
	static const uint8_t mask[] = { 1, 0, 0, 0, 0, 0 }, none[sizeof mask] = { 0 }, wanted[] = { 204, 0, 77, 0, 0, 127 };
	uint8_t f[sizeof mask];

	(void)state;
	fraction_of(p, sizeof f, 0.5, f);
	fraction_clean(mask, sizeof f, 0.5, f);
	assert_memory_equal(f, wanted, sizeof f);
	fraction_clean(none, sizeof f, 0.5, f);
	assert_memory_equal(f, none, sizeof f);          /* a segment that was not found has no frame */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_byte_is_the_nearest), cmocka_unit_test(no_probability_changes_sides), cmocka_unit_test(what_was_dismissed_is_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
