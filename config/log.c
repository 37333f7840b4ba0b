/* One event, one line on stderr. Nothing is buffered, so a killed process has said what it said.
 * Text that came from outside may stand in a value: whatever could move a terminal or begin a line is written as \xNN. */
#include "config/log.h"
#include "config/clock.h"
#include "config/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
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

/* C0 and DEL, and their C1 kin U+0080..U+009F, which many terminals obey too. */
static int
is_printable(const char *s, size_t length)
{
	unsigned char first = (unsigned char)s[0];

	if (length == 1)
		return first >= 0x20 && first != 0x7F;
	return length > 1 && !(first == 0xC2 && (unsigned char)s[1] < 0xA0);
}

static size_t
escape(char *to, const char *from, size_t n)
{
	char *start = to;

	for (size_t i = 0; i < n;) {
		size_t length = utf8_length(from + i, n - i);
		if (is_printable(from + i, length)) {
			memcpy(to, from + i, length);
			to += length;
			i += length;
		} else {
			to += snprintf(to, 5, "\\x%02x", (unsigned char)from[i]);
			i++;
		}
	}
	return (size_t)(to - start);
}

void
log_event(enum log_level level, const char *event, const char *fmt, ...)
{
	int keep_errno = errno, n_values;
	char now[CLOCK_TEXT], values[VALUES_MAX], line[LINE_MAX_BYTES];
	size_t n;
	va_list ap;

	if ((int)level < atomic_load(&lowest_level))
		return;
	va_start(ap, fmt);
	n_values = vsnprintf(values, sizeof values, fmt, ap);
	va_end(ap);
	clock_text(clock_ms(), now);
	n = (size_t)snprintf(line, sizeof line - 4 * VALUES_MAX - 1, "%s %s %.64s%s", now, level_names[level], event, n_values > 0 ? " " : "");
	if (n_values > 0)
		n += escape(line + n, values, strlen(values));
	line[n++] = '\n';
	while (write(STDERR_FILENO, line, n) < 0 && errno == EINTR)
		continue;
	errno = keep_errno;
}
