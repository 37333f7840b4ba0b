/* One event, one line on stderr. Nothing is buffered, so a killed process has said what it said.
 * Text that came from outside may stand in a value: whatever could move a terminal, begin a line, end the value's quotes or begin another key is escaped. That
 * needs to know what is the format's and what is a value's, so the format is walked here, one conversion at a time. */
#include "config/log.h"
#include "config/clock.h"
#include "config/utf8.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { VALUES_MAX = 2048, LINE_MAX_BYTES = CLOCK_TEXT + 128 + 4 * VALUES_MAX };

static const char *const level_names[] = { "debug", "info", "warn", "error" };
static atomic_int lowest_level = LOG_INFO;

void
log_set_level(enum log_level lowest)
{
	atomic_store(&lowest_level, (int)lowest);
}

int
log_parse_level(const char *word, enum log_level *level)
{
	for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
		if (strcmp(level_names[i], word) != 0)
			continue;
		*level = (enum log_level)i;
		return 0;
	}
	return -1;
}

/* ---- a line ---- */

struct line {
	char text[LINE_MAX_BYTES];
	size_t n;
	size_t left;                              /* bytes of values that may still come, before they are escaped */
	bool is_quoted;                           /* between the quotes of a value */
};

/* C0 and DEL, and their C1 kin U+0080..U+009F, which many terminals obey too. */
static bool
is_printable(const char *s, size_t length)
{
	unsigned char first = (unsigned char)s[0];

	if (length == 1)
		return first >= 0x20 && first != 0x7F;
	return length > 1 && !(first == 0xC2 && (unsigned char)s[1] < 0xA0);
}

/* What is no format of ours: between quotes it cannot end them, without them it can neither begin another key=value nor quotes. */
static void
put_value(struct line *l, const char *from, size_t n)
{
	const char *special = l->is_quoted ? "\"\\" : "\" \\";

	n = n < l->left ? n : l->left;
	l->left -= n;
	for (size_t i = 0; i < n;) {
		size_t length = utf8_length(from + i, n - i);
		if (!is_printable(from + i, length) || (length == 1 && !l->is_quoted && strchr(special, from[i]) != NULL)) {
			l->n += (size_t)snprintf(l->text + l->n, 5, "\\x%02x", (unsigned char)from[i]);
			i++;
			continue;
		}
		if (length == 1 && strchr(special, from[i]) != NULL)
			l->text[l->n++] = '\\';
		memcpy(l->text + l->n, from + i, length);
		l->n += length;
		i += length;
	}
}

/* The fixed text of a format. */
static void
put_literal(struct line *l, const char *from, size_t n)
{
	n = n < l->left ? n : l->left;
	l->left -= n;
	for (size_t i = 0; i < n; i++)
		l->is_quoted ^= from[i] == '"';
	memcpy(l->text + l->n, from, n);
	l->n += n;
}

/* One conversion of printf, without its %: flags, width and precision as they stand, then d i u x X c s and f g with none, l, ll or z. */
static size_t
put_conversion(struct line *l, const char *from, va_list *ap)
{
	size_t at = strspn(from, "-+ #0123456789."), size = strspn(from + at, "lz"), n = at + size + 1;
	char spec[16], value[VALUES_MAX];
	bool is_long = size > 0, is_signed = strchr("dic", from[n - 1]) != NULL;

	assert(from[n - 1] != '\0' && strchr("diuxXcsfg", from[n - 1]) != NULL && n + 2 < sizeof spec);
	snprintf(spec, sizeof spec, "%%%.*s", (int)n, from);
	if (from[n - 1] == 's')
		snprintf(value, sizeof value, spec, va_arg(*ap, const char *));
	else if (from[n - 1] == 'f' || from[n - 1] == 'g')
		snprintf(value, sizeof value, spec, va_arg(*ap, double));
	else if (is_long && is_signed) /* l, ll and z are of one size (asserted below) */
		snprintf(value, sizeof value, spec, va_arg(*ap, long long));
	else if (is_long)
		snprintf(value, sizeof value, spec, va_arg(*ap, unsigned long long));
	else
		snprintf(value, sizeof value, spec, va_arg(*ap, int));
	put_value(l, value, strlen(value));
	return n;
}
_Static_assert(sizeof(long) == sizeof(long long) && sizeof(size_t) == sizeof(long long), "one va_arg serves l, ll and z");

static void
put_values(struct line *l, const char *fmt, va_list *ap)
{
	while (*fmt != '\0') {
		size_t n = strcspn(fmt, "%");
		put_literal(l, fmt, n);
		fmt += n;
		if (*fmt == '%')
			fmt += 1 + put_conversion(l, fmt + 1, ap);
	}
	if (l->is_quoted)                         /* cut within them */
		l->text[l->n++] = '"';
}

void
log_event(enum log_level level, const char *event, const char *fmt, ...)
{
	struct line l = { .left = VALUES_MAX - 1 };
	int keep_errno = errno;
	char now[CLOCK_TEXT];
	size_t head;
	va_list ap;

	if ((int)level < atomic_load(&lowest_level))
		return;
	clock_text(clock_ms(), now);
	head = l.n = (size_t)snprintf(l.text, sizeof l.text, "%s %s %.64s ", now, level_names[level], event);
	va_start(ap, fmt);
	put_values(&l, fmt, &ap);
	va_end(ap);
	l.n -= l.n == head; /* nothing behind the event, not even a blank */
	l.text[l.n++] = '\n';
	while (write(STDERR_FILENO, l.text, l.n) < 0 && errno == EINTR)
		continue;
	errno = keep_errno;
}
