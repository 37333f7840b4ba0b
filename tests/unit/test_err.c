/* The error value, and the one table of what a code means outside (ARCHITECTURE 5). */
#include "config/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void
the_table_is_the_contract(void **state)
{
	static const struct {
		enum err_code code;
		const char *name;
		int http;
		unsigned dimse;
		bool may_pass;
	} rows[] = {
		{ ERR_INPUT, "input", 400, 0xC000, false }, { ERR_NOT_FOUND, "not_found", 404, 0xC000, false }, { ERR_STATE, "state", 409, 0x0110, false },
		{ ERR_LIMIT, "limit", 503, 0xA700, true }, { ERR_IO, "io", 503, 0xA700, true }, { ERR_PEER, "peer", 502, 0x0110, true },
		{ ERR_BUG, "bug", 500, 0x0110, false },
	};

	(void)state;
	assert_int_equal(sizeof rows / sizeof rows[0], ERR_N_CODES - 1);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_string_equal(err_name(rows[i].code), rows[i].name);
		assert_int_equal(err_http_status(rows[i].code), rows[i].http);
		assert_int_equal(err_dimse_status(rows[i].code), rows[i].dimse);
		assert_int_equal(err_may_pass(rows[i].code), rows[i].may_pass);
	}
}

static void
set_and_note_build_a_chain(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(err_set(&e, ERR_INPUT, "slice %d is missing", 7), -1);
	assert_int_equal(err_note(&e, "reading %s", "1.2.3"), -1);
	assert_int_equal(err_note(&e, "job 42"), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_string_equal(e.text, "job 42: reading 1.2.3: slice 7 is missing");
}

static void
long_texts_are_cut_not_overrun(void **state)
{
	struct err e;
	char longest[2000];

	(void)state;
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = 0;
	err_set(&e, ERR_BUG, "%s", longest);
	assert_int_equal(strlen(e.text), sizeof e.text - 1);
	assert_string_equal(e.text + sizeof e.text - 5, "x...");
	err_note(&e, "%s", longest);
	assert_int_equal(strlen(e.text), sizeof e.text - 1);
	errno = EIO;
	err_errno(&e, "%s", longest);
	assert_int_equal(strlen(e.text), sizeof e.text - 1);
}

static void
a_cut_text_ends_at_a_word(void **state)
{
	struct err e;
	char text[700];

	(void)state;
	for (size_t n = 480; n < 520; n++) { /* words of 6 letters, so that the end falls on each of them once */
		memset(text, 'y', n);
		for (size_t i = 6; i < n; i += 7)
			text[i] = ' ';
		text[n] = 0;
		err_set(&e, ERR_BUG, "%s", text);
		if (n < sizeof e.text) {
			assert_string_equal(e.text, text);
			continue;
		}
		assert_string_equal(e.text + strlen(e.text) - 9, "yyyyyy...");
		assert_int_equal((strlen(e.text) - 3) % 7, 6);
		assert_true(strlen(e.text) > sizeof e.text - 12);
	}
	for (size_t n = 0; n < 600; n += 2) /* no word ends: a character does */
		memcpy(text + n, "\xC3\xA4", 2);
	text[600] = 0;
	err_set(&e, ERR_BUG, "%s", text);
	assert_int_equal((strlen(e.text) - 3) % 2, 0);
	err_set(&e, ERR_BUG, "%s", e.text); /* its own text */
	assert_int_equal((strlen(e.text) - 3) % 2, 0);
}

static void
errno_is_told_and_judged(void **state)
{
	static const struct {
		int number;
		enum err_code code;
	} rows[] = { { ENOSPC, ERR_LIMIT }, { EDQUOT, ERR_LIMIT }, { ENOMEM, ERR_LIMIT }, { EMFILE, ERR_LIMIT }, { EIO, ERR_IO }, { EACCES, ERR_IO } };
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		errno = rows[i].number;
		assert_int_equal(err_errno(&e, "writing %s", "f"), -1);
		assert_int_equal(e.code, rows[i].code);
	}
	errno = ENOSPC;
	err_errno(&e, "writing f");
	assert_string_equal(e.text, "writing f: No space left on device");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_the_contract), cmocka_unit_test(set_and_note_build_a_chain), cmocka_unit_test(long_texts_are_cut_not_overrun),
		cmocka_unit_test(a_cut_text_ends_at_a_word), cmocka_unit_test(errno_is_told_and_judged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
