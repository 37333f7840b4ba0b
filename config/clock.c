/* Time in milliseconds since 1970, UTC, and its text by RFC 3339. Local time is nobody's business here. */
#include "config/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static _Atomic int64_t ahead_ms;

static int64_t
read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t
clock_ms(void)
{
	return read_clock(CLOCK_REALTIME) + ahead_ms;
}

void
clock_shift(int64_t ms)
{
	ahead_ms = ms;
}

int64_t
clock_monotonic_ms(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

void
clock_text(int64_t ms, char text[CLOCK_TEXT])
{
	int64_t part = ms % 1000;
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	size_t n;

	if (part < 0) {
		part += 1000;
		seconds--;
	}
	gmtime_r(&seconds, &tm);
	n = strftime(text, CLOCK_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, CLOCK_TEXT - n, ".%03uZ", (unsigned)part % 1000);
}

enum { LEAP_MS = 3600000, SLEW_MS = 2000 };
static const int64_t week_ms = 7 * INT64_C(86400000);

void
clock_watch_begin(struct clock_watch *w, int64_t known_ms)
{
	int64_t now_ms = clock_ms(), latest_ms = known_ms + week_ms;

	*w = (struct clock_watch) { .wall_ms = latest_ms < now_ms ? latest_ms - LEAP_MS : now_ms, .monotonic_ms = clock_monotonic_ms() };
}

bool
clock_is_doubtful(struct clock_watch *w, int64_t monotonic_ms)
{
	int64_t wall_ms = clock_ms();

	if (wall_ms - w->wall_ms > monotonic_ms - w->monotonic_ms + LEAP_MS)
		w->doubt_ms = monotonic_ms + CLOCK_DOUBT_MS;
	w->wall_ms = wall_ms;
	w->monotonic_ms = monotonic_ms;
	return monotonic_ms < w->doubt_ms;
}

int64_t
clock_leap(struct clock_pace *p)
{
	int64_t now_ahead_ms = clock_ms() - clock_monotonic_ms(), leap_ms = p->is_known ? now_ahead_ms - p->ahead_ms : 0;

	*p = (struct clock_pace) { true, now_ahead_ms };
	return leap_ms > SLEW_MS || leap_ms < -SLEW_MS ? leap_ms : 0;
}

static bool
take_digits(const char **p, int n, int low, int high, int *value)
{
	*value = 0;
	for (int i = 0; i < n; i++, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		*value = *value * 10 + (**p - '0');
	}
	return *value >= low && *value <= high;
}

static bool
take_char(const char **p, const char *any_of)
{
	if (**p == 0 || strchr(any_of, **p) == NULL)
		return false;
	(*p)++;
	return true;
}

/* ".1", ".123456": milliseconds, the rest is cut; no fraction is 0. */
static bool
take_fraction(const char **p, int *ms)
{
	int weight = 100;

	*ms = 0;
	if (!take_char(p, "."))
		return true;
	if (**p < '0' || **p > '9')
		return false;
	for (; **p >= '0' && **p <= '9'; (*p)++, weight /= 10)
		*ms += weight * (**p - '0');
	return true;
}

static bool
take_zone(const char **p, int *minutes)
{
	int hours, rest, sign = **p == '-' ? -1 : 1;

	*minutes = 0;
	if (take_char(p, "Zz"))
		return true;
	if (!take_char(p, "+-") || !take_digits(p, 2, 0, 23, &hours) || !take_char(p, ":") || !take_digits(p, 2, 0, 59, &rest))
		return false;
	*minutes = sign * (hours * 60 + rest);
	return true;
}

int
clock_parse(const char *text, int64_t *ms, struct err *e)
{
	const char *p = text;
	int year, month, part, zone;
	struct tm tm = { 0 }, day = { 0 };
	time_t seconds;

	if (!take_digits(&p, 4, 1, 9999, &year) || !take_char(&p, "-") || !take_digits(&p, 2, 1, 12, &month) || !take_char(&p, "-")
		|| !take_digits(&p, 2, 1, 31, &tm.tm_mday) || !take_char(&p, "Tt") || !take_digits(&p, 2, 0, 23, &tm.tm_hour) || !take_char(&p, ":")
		|| !take_digits(&p, 2, 0, 59, &tm.tm_min) || !take_char(&p, ":") || !take_digits(&p, 2, 0, 60, &tm.tm_sec) || !take_fraction(&p, &part)
		|| !take_zone(&p, &zone) || *p != 0)
		return err_set(e, ERR_INPUT, "'%.40s' is not a time like 2026-01-31T12:00:00Z (RFC 3339, with zone)", text);
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	day.tm_year = tm.tm_year;
	day.tm_mon = tm.tm_mon;
	day.tm_mday = tm.tm_mday;
	timegm(&day); /* turns a day that the month does not have into one of the next */
	if (day.tm_mday != tm.tm_mday)
		return err_set(e, ERR_INPUT, "'%.40s': that month has no day %d", text, tm.tm_mday);
	seconds = timegm(&tm);
	*ms = ((int64_t)seconds - (int64_t)zone * 60) * 1000 + part;
	return 0;
}
