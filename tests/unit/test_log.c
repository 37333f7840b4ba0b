/* Log lines, read back from a pipe in place of stderr; and the time texts they begin with. */
#include "config/clock.h"
#include "config/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static int kept_stderr, pipe_ends[2];

static void
catch_stderr(void)
{
	kept_stderr = dup(STDERR_FILENO);
	assert_int_equal(pipe(pipe_ends), 0);
	dup2(pipe_ends[1], STDERR_FILENO);
}

/* What was written, "" when nothing. */
static void
release_stderr(char *text, size_t room)
{
	size_t n = 0;
	ssize_t got;

	dup2(kept_stderr, STDERR_FILENO);
	close(kept_stderr);
	close(pipe_ends[1]);
	while ((got = read(pipe_ends[0], text + n, room - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = 0;
	close(pipe_ends[0]);
}

static void
a_line_has_time_level_event_values(void **state)
{
	char text[400];
	int64_t ms;
	struct err e;

	(void)state;
	catch_stderr();
	errno = ENOSPC;
	log_event(LOG_WARN, "job_failed", "job=%d study=%s", 42, "1.2.3");
	assert_int_equal(errno, ENOSPC);
	release_stderr(text, sizeof text);
	assert_string_equal(text + 24, " warn job_failed job=42 study=1.2.3\n");
	text[24] = 0;
	assert_int_equal(clock_parse(text, &ms, &e), 0);
	assert_true(clock_ms() - ms < 60000);
}

static void
a_closed_stderr_changes_nothing(void **state)
{
	(void)state;
	kept_stderr = dup(STDERR_FILENO);
	close(STDERR_FILENO);
	errno = ENOSPC;
	log_event(LOG_ERROR, "x", "y=1"); /* write fails with EBADF */
	assert_int_equal(errno, ENOSPC);
	dup2(kept_stderr, STDERR_FILENO);
	close(kept_stderr);
}

static void
nothing_behind_the_event_leaves_no_space(void **state)
{
	char text[400];

	(void)state;
	catch_stderr();
	log_event(LOG_ERROR, "stop", "%s", "");
	release_stderr(text, sizeof text);
	assert_string_equal(text + 24, " error stop\n");
}

static void
levels_below_are_silent(void **state)
{
	char text[400];
	enum log_level level;

	(void)state;
	catch_stderr();
	log_event(LOG_DEBUG, "a", "x=1");
	log_set_level(LOG_ERROR);
	log_event(LOG_WARN, "b", "x=1");
	log_set_level(LOG_DEBUG);
	log_event(LOG_DEBUG, "c", "x=1");
	log_set_level(LOG_INFO);
	release_stderr(text, sizeof text);
	assert_string_equal(text + 24, " debug c x=1\n");
	assert_int_equal(log_parse_level("warn", &level), 0);
	assert_int_equal(level, LOG_WARN);
	assert_int_equal(log_parse_level("WARN", &level), -1);
}

static void
received_text_cannot_forge_a_line(void **state)
{
	char text[400];

	(void)state;
	catch_stderr();
	log_event(LOG_INFO, "x", "text=\"%s\"", "a\n2026 info b\r\x1b[2J\x7f \xC2\x9B \xC3\xA4 \xFF%n");
	release_stderr(text, sizeof text);
	assert_string_equal(text + 24, " info x text=\"a\\x0a2026 info b\\x0d\\x1b[2J\\x7f \\xc2\\x9b \xC3\xA4 \\xff%n\"\n");
}

/* Whoever reads key=value pairs finds those that the code wrote, with what was received inside. */
static void
received_text_cannot_forge_a_value(void **state)
{
	char text[400];

	(void)state;
	catch_stderr();
	log_event(LOG_INFO, "x", "aet=\"%s\" path=%s n=%04X text=\"%s: %s\"", "A\" job=1", "/a b=c\"\\", 10, "he said \"no\" job=2", "C:\\");
	log_event(LOG_INFO, "y", "%s=%lld z=%zu f=%.1f", "k v", -5LL, (size_t)7, 2.25);
	release_stderr(text, sizeof text);
	assert_string_equal(strchr(text, '\n') + 1 + 24, " info y k\\x20v=-5 z=7 f=2.2\n");
	strchr(text, '\n')[1] = '\0';
	assert_string_equal(text + 24, " info x aet=\"A\\\" job=1\" path=/a\\x20b=c\\x22\\x5c n=000A text=\"he said \\\"no\\\" job=2: C:\\\\\"\n");
}

static void
a_cut_text_keeps_its_end_quote(void **state)
{
	static char values[10000], text[20000];

	(void)state;
	memset(values, 'a', sizeof values - 1);
	catch_stderr();
	log_event(LOG_INFO, "x", "text=\"%s\"", values);
	release_stderr(text, sizeof text);
	assert_string_equal(text + strlen(text) - 3, "a\"\n");
	assert_int_equal(strlen(text), 24 + strlen(" info x text=\"") + 2047 - 6 + 2);
}

static void
the_longest_line_is_one_line(void **state)
{
	static char values[10000], text[20000];

	(void)state;
	memset(values, '\n', sizeof values - 1);
	catch_stderr();
	log_event(LOG_INFO, "x", "v=%s", values);
	release_stderr(text, sizeof text);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	assert_int_equal(strlen(text), 24 + strlen(" info x v=") + 4 * 2045 + 1);
}

static void
times_are_read_and_written(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "1969-12-31T23:59:59.999Z", -1 },
		{ "2026-01-31T12:00:00.1239Z", 1769860800123 },
		{ "2026-01-31t13:30:00+01:30", 1769860800000 },
		{ "2026-01-31T07:00:00-05:00", 1769860800000 },
		{ "2024-02-29T00:00:00Z", 1709164800000 },
		{ "2016-12-31T23:59:60Z", 1483228800000 },
	};
	static const char *const bad[] = { "", "2026-01-31", "2026-01-31T12:00:00", "2026-01-31 12:00:00Z", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
		"2026-01-00T00:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T12:00:00.Z", "2026-01-31T12:00:00Zx", "2026-01-31T12:00:00+1:00", "+026-01-31T12:00:00Z",
		"2026-04-31T12:00:00Z" };
	char text[CLOCK_TEXT];
	struct err e;
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		if (clock_parse(good[i].text, &ms, &e) != 0)
			fail_msg("%s: %s", good[i].text, e.text);
		assert_true(ms == good[i].ms);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (clock_parse(bad[i], &ms, &e) == 0)
			fail_msg("%s: accepted", bad[i]);
		assert_int_equal(e.code, ERR_INPUT);
	}
	clock_text(1769860800123, text);
	assert_string_equal(text, "2026-01-31T12:00:00.123Z");
	clock_text(-1, text);
	assert_string_equal(text, "1969-12-31T23:59:59.999Z");
	clock_text(INT64_MAX, text); /* fits */
	clock_text(INT64_MIN, text);
	assert_true(clock_monotonic_ms() > 0);
}

/* A monotonic clock of the test's own; the wall clock is moved with it, and leaps. */
static void
a_wall_clock_that_leaps_ahead_is_doubted_for_a_day(void **state)
{
	enum { HOUR = 3600000 };
	static const struct { int64_t at, leap; bool is_doubtful; } steps[] = { { 1, 0, false }, { 25, 0, false }, { 26, -1000, false } /* backwards: nothing gets old */,
		{ 27, 50, true }, { 50, 0, true }, { 52, 0, false }, { 53, 2, true }, { 60, -2, true }, { 78, 0, false } };
	struct clock_watch w;
	int64_t begin, shift = 0;

	(void)state;
	clock_watch_begin(&w, clock_ms());
	begin = w.monotonic_ms;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		shift += steps[i].leap;
		clock_shift((steps[i].at + shift) * HOUR);
		if (clock_is_doubtful(&w, begin + steps[i].at * HOUR) != steps[i].is_doubtful)
			fail_msg("at %d h", (int)steps[i].at);
	}
	clock_shift(0);
	clock_watch_begin(&w, clock_ms() - INT64_C(6) * 24 * HOUR); /* off for six days, for eight, and a clock that was ahead before */
	assert_false(clock_is_doubtful(&w, w.monotonic_ms));
	clock_watch_begin(&w, clock_ms() - INT64_C(8) * 24 * HOUR);
	assert_true(clock_is_doubtful(&w, w.monotonic_ms));
	clock_watch_begin(&w, 0);
	assert_true(clock_is_doubtful(&w, w.monotonic_ms));
	clock_watch_begin(&w, clock_ms() + INT64_C(8000) * 24 * HOUR);
	assert_false(clock_is_doubtful(&w, w.monotonic_ms));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_time_level_event_values), cmocka_unit_test(a_closed_stderr_changes_nothing), cmocka_unit_test(nothing_behind_the_event_leaves_no_space),
		cmocka_unit_test(levels_below_are_silent), cmocka_unit_test(received_text_cannot_forge_a_line), cmocka_unit_test(received_text_cannot_forge_a_value), cmocka_unit_test(a_cut_text_keeps_its_end_quote),
		cmocka_unit_test(the_longest_line_is_one_line),
		cmocka_unit_test(times_are_read_and_written), cmocka_unit_test(a_wall_clock_that_leaps_ahead_is_doubted_for_a_day),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
