/* JSON text out. Beyond what JSON asks for, < > & and U+2028, U+2029 are escaped, so that the text may stand inside a page's script. */
#include "config/json_parts.h"
#include "config/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct printer {
	char *text;
	size_t n, room;
	bool failed, pretty;
};

static void print_value(struct printer *p, const struct json *v, unsigned depth);

static void
put(struct printer *p, const char *bytes, size_t n)
{
	if (p->failed)
		return;
	if (p->room - p->n <= n) {
		size_t room = (p->room + n) * 2 + 256;
		char *more = realloc(p->text, room);
		if (more == NULL) {
			p->failed = true;
			return;
		}
		p->text = more;
		p->room = room;
	}
	memcpy(p->text + p->n, bytes, n);
	p->n += n;
	p->text[p->n] = 0;
}

static void
put_text(struct printer *p, const char *text)
{
	put(p, text, strlen(text));
}

/* length 0: a malformed byte, which becomes U+FFFD. */
static void
put_escaped(struct printer *p, const char *s, size_t length)
{
	static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
	unsigned char c = (unsigned char)*s;
	char text[8];
	const char *found = length == 1 ? memchr(plain, c, sizeof plain - 1) : NULL;

	if (found != NULL)
		snprintf(text, sizeof text, "\\%c", letters[found - plain]);
	else if (length == 1 || length == 2)
		snprintf(text, sizeof text, "\\u%04x", length == 1 ? c : (unsigned char)s[1]);
	else if (length == 0)
		snprintf(text, sizeof text, "\xEF\xBF\xBD");
	else
		snprintf(text, sizeof text, "\\u%04x", 0x2000u + ((unsigned char)s[1] & 0x3Fu) * 64 + ((unsigned char)s[2] & 0x3Fu));
	put_text(p, text);
}

static bool
needs_escape(const char *s, size_t length)
{
	unsigned char c = (unsigned char)*s;

	if (length == 1)
		return c < 0x20 || c == 0x7F || strchr("\"\\<>&", c) != NULL;
	if (length == 2)
		return c == 0xC2 && (unsigned char)s[1] < 0xA0; /* C1, which many terminals obey as they do C0 */
	return length == 3 && (memcmp(s, "\xE2\x80\xA8", 3) == 0 || memcmp(s, "\xE2\x80\xA9", 3) == 0);
}

static void
print_string(struct printer *p, const char *s)
{
	size_t n = strlen(s), start = 0;

	put(p, "\"", 1);
	for (size_t i = 0; i < n;) {
		size_t length = utf8_length(s + i, n - i);
		size_t taken = length > 0 ? length : 1;
		if (length == 0 || needs_escape(s + i, length)) {
			put(p, s + start, i - start);
			put_escaped(p, s + i, length);
			start = i + taken;
		}
		i += taken;
	}
	put(p, s + start, n - start);
	put(p, "\"", 1);
}

static void
new_line(struct printer *p, unsigned depth)
{
	if (!p->pretty)
		return;
	put(p, "\n", 1);
	for (unsigned i = 0; i < depth; i++)
		put(p, "  ", 2);
}

/* An array of plain values stays on one line. */
static bool
is_flat(const struct json *v)
{
	for (const struct json *item = json_first(v); item != NULL; item = json_next(item))
		if (json_size(item) > 0)
			return false;
	return json_type(v) == JSON_ARRAY;
}

static void
print_children(struct printer *p, const struct json *v, unsigned depth)
{
	bool is_object = json_type(v) == JSON_OBJECT, one_line = is_flat(v);

	put_text(p, is_object ? "{" : "[");
	for (const struct json *item = json_first(v); item != NULL; item = json_next(item)) {
		if (!one_line)
			new_line(p, depth + 1);
		if (is_object) {
			print_string(p, json_key(item));
			put_text(p, p->pretty ? ": " : ":");
		}
		print_value(p, item, depth + 1);
		if (json_next(item) != NULL)
			put_text(p, one_line && p->pretty ? ", " : ",");
	}
	if (!one_line && json_size(v) > 0)
		new_line(p, depth);
	put_text(p, is_object ? "}" : "]");
}

static void
print_value(struct printer *p, const struct json *v, unsigned depth)
{
	char number[JSON_NUMBER_TEXT];

	if (json_is_broken(v))
		p->failed = true;
	switch (json_type(v)) {
	case JSON_NULL:
		put_text(p, "null");
		break;
	case JSON_BOOL:
		put_text(p, json_bool(v, false) ? "true" : "false");
		break;
	case JSON_NUMBER:
		json_number_text(v, number);
		put_text(p, number);
		break;
	case JSON_STRING:
		print_string(p, json_text(v));
		break;
	case JSON_ARRAY:
	case JSON_OBJECT:
		print_children(p, v, depth);
		break;
	}
}

char *
json_print(const struct json *v, bool pretty, struct err *e)
{
	struct printer p = { .pretty = pretty };

	if (v == NULL) {
		err_set(e, ERR_LIMIT, "no memory for JSON");
		return NULL;
	}
	print_value(&p, v, 0);
	if (pretty)
		put(&p, "\n", 1);
	if (p.failed) {
		free(p.text);
		err_set(e, ERR_LIMIT, "no memory for JSON");
		return NULL;
	}
	return p.text;
}
