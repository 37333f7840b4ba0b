/* The strict reader in front of cJSON, which takes more than RFC 8259 and knows no lines: grammar, UTF-8, control characters, surrogates,
 * range of numbers, depth, number of values, text behind the end. It builds nothing; duplicate keys are found on the tree (json.c). */
#include "config/json_parts.h"
#include "config/utf8.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX = 60 /* characters; cJSON's own buffer holds 63 */ };

struct scan {
	char *text;
	size_t n, at;
	unsigned line, depth, max_depth, flags;
	unsigned *lines; /* (n_lines) */
	size_t n_lines, room;
	struct err *e;
};

static int scan_value(struct scan *s);

static int fail(struct scan *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int
fail(struct scan *s, const char *fmt, ...)
{
	char what[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	return err_set(s->e, ERR_INPUT, "line %u: %s", s->line, what);
}

static int
peek(const struct scan *s)
{
	return s->at < s->n ? (unsigned char)s->text[s->at] : -1;
}

static int
unexpected(struct scan *s, const char *wanted)
{
	int c = peek(s);

	if (c < 0)
		return fail(s, "the text ends where %s should be", wanted);
	if (c > 0x20 && c < 0x7F)
		return fail(s, "'%c' where %s should be", c, wanted);
	return fail(s, "byte 0x%02x where %s should be", c, wanted);
}

static int
record_line(struct scan *s)
{
	if (s->n_lines == JSON_MAX_VALUES)
		return fail(s, "more than %d values", JSON_MAX_VALUES);
	if (s->n_lines == s->room) {
		size_t room = s->room == 0 ? 64 : s->room * 2;
		unsigned *more = realloc(s->lines, room * sizeof *more);
		if (more == NULL)
			return err_set(s->e, ERR_LIMIT, "no memory for JSON");
		s->lines = more;
		s->room = room;
	}
	s->lines[s->n_lines++] = s->line;
	return 0;
}

/* One comment, from its first slash on, becomes spaces. */
static int
blank_comment(struct scan *s)
{
	bool is_block = s->at + 1 < s->n && s->text[s->at + 1] == '*';
	size_t start = s->at, end = s->n;
	unsigned first_line = s->line;

	if (!(s->flags & JSON_COMMENTS))
		return fail(s, "'/': comments are not allowed here");
	if (!is_block && (s->at + 1 >= s->n || s->text[s->at + 1] != '/'))
		return fail(s, "a single '/': a comment begins with // or /*");
	for (s->at += 2; s->at < s->n; s->at++) {
		if (s->text[s->at] == '\n' && !is_block)
			break;
		if (s->text[s->at] == '\n')
			s->line++;
		if (is_block && s->text[s->at] == '/' && s->text[s->at - 1] == '*' && s->at > start + 2) {
			s->at++;
			break;
		}
	}
	if (is_block && (s->at < start + 4 || s->text[s->at - 1] != '/' || s->text[s->at - 2] != '*')) {
		s->line = first_line;
		return fail(s, "a comment that does not end");
	}
	end = s->at;
	memset(s->text + start, ' ', end - start);
	return 0;
}

static int
skip_space(struct scan *s)
{
	for (;;) {
		switch (peek(s)) {
		case '\n':
			s->line++;
			s->at++;
			break;
		case ' ':
		case '\t':
		case '\r':
			s->at++;
			break;
		case '/':
			if (blank_comment(s) != 0)
				return -1;
			break;
		default:
			return 0;
		}
	}
}

static int
take_hex4(struct scan *s, unsigned *value)
{
	*value = 0;
	for (int i = 0; i < 4; i++, s->at++) {
		int c = peek(s);
		unsigned digit;
		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (unsigned)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			digit = (unsigned)(c - 'A' + 10);
		else
			return unexpected(s, "a hexadecimal digit of \\u");
		*value = *value << 4 | digit;
	}
	return 0;
}

/* Behind the backslash. */
static int
scan_escape(struct scan *s)
{
	unsigned high, low;
	int c = peek(s);

	if (c <= 0 || strchr("\"\\/bfnrtu", c) == NULL)
		return unexpected(s, "one of \"\\/bfnrtu behind a backslash");
	s->at++;
	if (c != 'u')
		return 0;
	if (take_hex4(s, &high) != 0)
		return -1;
	if (high == 0)
		return fail(s, "\\u0000 in a string");
	if (high >= 0xDC00 && high <= 0xDFFF)
		return fail(s, "\\u%04x: the second half of a surrogate pair without the first", high);
	if (high < 0xD800 || high > 0xDBFF)
		return 0;
	if (s->n - s->at < 2 || s->text[s->at] != '\\' || s->text[s->at + 1] != 'u')
		return fail(s, "\\u%04x: the first half of a surrogate pair without the second", high);
	s->at += 2;
	if (take_hex4(s, &low) != 0)
		return -1;
	if (low < 0xDC00 || low > 0xDFFF)
		return fail(s, "\\u%04x: the first half of a surrogate pair without the second", high);
	return 0;
}

static int
scan_string(struct scan *s)
{
	s->at++;
	for (;;) {
		int c = peek(s);
		size_t length;
		if (c < 0)
			return fail(s, "a string that does not end");
		if (c < 0x20)
			return fail(s, "control character 0x%02x in a string: a string ends on its line", c);
		if (c == '"') {
			s->at++;
			return 0;
		}
		if (c == '\\') {
			s->at++;
			if (scan_escape(s) != 0)
				return -1;
			continue;
		}
		length = utf8_length(s->text + s->at, s->n - s->at);
		if (length == 0)
			return fail(s, "byte 0x%02x in a string is not UTF-8", c);
		s->at += length;
	}
}

static int
take_digits(struct scan *s)
{
	size_t start = s->at;

	while (peek(s) >= '0' && peek(s) <= '9')
		s->at++;
	return s->at > start ? 0 : unexpected(s, "a digit");
}

static int
scan_number(struct scan *s)
{
	size_t start = s->at;
	char number[NUMBER_MAX + 1];

	if (peek(s) == '-')
		s->at++;
	if (peek(s) == '0')
		s->at++; /* nothing but . or e may follow a leading zero */
	else if (take_digits(s) != 0)
		return -1;
	if (peek(s) == '.') {
		s->at++;
		if (take_digits(s) != 0)
			return -1;
	}
	if (peek(s) == 'e' || peek(s) == 'E') {
		s->at++;
		if (peek(s) == '+' || peek(s) == '-')
			s->at++;
		if (take_digits(s) != 0)
			return -1;
	}
	if (s->at - start > NUMBER_MAX)
		return fail(s, "a number of more than %d characters", NUMBER_MAX);
	memcpy(number, s->text + start, s->at - start);
	number[s->at - start] = 0;
	return isfinite(strtod(number, NULL)) ? 0 : fail(s, "the number %s is too large", number);
}

static int
scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if (s->n - s->at < n || memcmp(s->text + s->at, word, n) != 0)
		return unexpected(s, "a value");
	s->at += n;
	return 0;
}

/* The key and the colon of one member. */
static int
scan_key(struct scan *s)
{
	if (peek(s) != '"')
		return unexpected(s, "a key in quotes");
	if (record_line(s) != 0 || scan_string(s) != 0 || skip_space(s) != 0)
		return -1;
	if (peek(s) != ':')
		return unexpected(s, "':'");
	s->at++;
	return skip_space(s);
}

/* From the opening bracket to behind the closing one. */
static int
scan_children(struct scan *s, bool is_object)
{
	int close = is_object ? '}' : ']';

	if (++s->depth > s->max_depth)
		return fail(s, "more than %u levels deep", s->max_depth);
	s->at++;
	if (skip_space(s) != 0)
		return -1;
	for (bool first = true; first ? peek(s) != close : true; first = false) {
		if ((is_object ? scan_key(s) : record_line(s)) != 0 || scan_value(s) != 0 || skip_space(s) != 0)
			return -1;
		if (peek(s) == close)
			break;
		if (peek(s) != ',')
			return unexpected(s, is_object ? "',' or '}'" : "',' or ']'");
		s->at++;
		if (skip_space(s) != 0)
			return -1;
	}
	s->at++;
	s->depth--;
	return 0;
}

static int
scan_value(struct scan *s)
{
	switch (peek(s)) {
	case '{':
		return scan_children(s, true);
	case '[':
		return scan_children(s, false);
	case '"':
		return scan_string(s);
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
		return scan_number(s);
	default:
		return unexpected(s, "a value");
	}
}

int
json_scan(char *text, size_t n, unsigned flags, unsigned **lines, size_t *n_lines, struct err *e)
{
	struct scan s = { .text = text, .n = n, .line = 1, .flags = flags, .max_depth = flags >> JSON_DEPTH_SHIFT, .e = e };
	int result = 0;

	if (s.max_depth == 0)
		s.max_depth = JSON_MAX_DEPTH;
	if (n > JSON_MAX_BYTES)
		return err_set(e, ERR_INPUT, "line 1: more than %d bytes of JSON", JSON_MAX_BYTES);
	if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
		return fail(&s, "a byte order mark: save the text as UTF-8 without it");
	if (skip_space(&s) != 0 || record_line(&s) != 0 || scan_value(&s) != 0 || skip_space(&s) != 0)
		result = -1;
	else if (s.at < n)
		result = unexpected(&s, "the end of the text");
	if (result != 0) {
		free(s.lines);
		return -1;
	}
	*lines = s.lines;
	*n_lines = s.n_lines;
	return 0;
}
