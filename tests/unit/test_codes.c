/* Colours against published CIE L*a*b* values of the sRGB primaries under D50 (Bradford); terms against PS3.16. */
#include "dicom/codes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
test_known_colours(void **state)
{
	(void)state;
	static const struct { unsigned char rgb[3]; double lab[3]; } known[] = {
		{ { 0, 0, 0 }, { 0, 0, 0 } },
		{ { 255, 255, 255 }, { 100, 0, 0 } },
		{ { 255, 0, 0 }, { 54.2917, 80.8125, 69.8851 } },
		{ { 0, 255, 0 }, { 87.8181, -79.2873, 80.9902 } },
		{ { 0, 0, 255 }, { 29.5676, 68.2986, -112.0294 } },
		{ { 119, 119, 119 }, { 50.0344, 0, 0 } },
		{ { 1, 1, 1 }, { 0.2742, 0, 0 } }, /* the straight parts of both curves: 24389 / 27 / (255 * 12.92) */
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		uint16_t got[3];

		code_cielab(known[i].rgb, got);
		assert_float_equal(got[0] / 655.35, known[i].lab[0], 0.005);
		assert_float_equal(got[1] / 257.0 - 128, known[i].lab[1], 0.005);
		assert_float_equal(got[2] / 257.0 - 128, known[i].lab[2], 0.005);
	}
}

static void
test_grey_is_exactly_neutral(void **state)
{
	(void)state;
	for (unsigned v = 0; v < 256; v++) {
		unsigned char rgb[3] = { (unsigned char)v, (unsigned char)v, (unsigned char)v };
		uint16_t lab[3];

		code_cielab(rgb, lab);
		assert_int_equal(lab[1], 0x8080); /* PS3.3 C.10.7.1.1: 0x8080 is 0 */
		assert_int_equal(lab[2], 0x8080);
		assert_true(v > 0 || lab[0] == 0);
		assert_true(v < 255 || lab[0] == 0xffff);
	}
}

static void
test_terms_are_complete(void **state)
{
	(void)state;
	for (int t = 0; t < CODE_N_TERMS; t++) {
		const struct seg_code *c = code_of((enum code_term)t);

		assert_string_equal(c->scheme, "DCM");
		assert_non_null(c->value);
		assert_non_null(c->meaning);
	}
	assert_string_equal(code_of(CODE_ARTIFICIAL_INTELLIGENCE)->value, "123110");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_colours),
		cmocka_unit_test(test_grey_is_exactly_neutral),
		cmocka_unit_test(test_terms_are_complete),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
