/* A table of keys fills a C struct from an object. Every complaint names line and key, and what would be right. */
#include "config/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double exact_max = 9007199254740991; /* 2^53 - 1 */

/* "line 12: dicom.port: " or "dicom.port: " when the line is not known. */
static void
describe(const struct json_doc *d, const struct json *v, const char *where, const char *key, char text[256])
{
	unsigned line = json_line(d, v);
	int n = 0;

	if (line > 0)
		n = snprintf(text, 256, "line %u: ", line);
	snprintf(text + n, 256 - (size_t)n, "%.100s%s%.60s", where, *where != 0 ? "." : "", key);
}

static int
read_string(const struct json *v, const struct json_field *f, char *to, const char *place, struct err *e)
{
	const char *text = json_text(v);

	if (text == NULL)
		return err_set(e, ERR_INPUT, "%s must be a string%s", place, f->nullable ? " or null" : "");
	if (strlen(text) >= f->size)
		return err_set(e, ERR_INPUT, "%s is longer than %zu bytes", place, f->size - 1);
	memcpy(to, text, strlen(text) + 1);
	return 0;
}

static int
read_number(const struct json *v, const struct json_field *f, void *to, const char *place, struct err *e)
{
	double value = json_number(v, NAN);
	bool is_int = f->kind == FIELD_INT;

	if (json_type(v) != JSON_NUMBER || (is_int && (value != floor(value) || fabs(value) > exact_max)))
		return err_set(e, ERR_INPUT, "%s must be a %snumber%s", place, is_int ? "whole " : "", f->nullable ? " or null" : "");
	if (!(value >= f->min && value <= f->max))
		return err_set(e, ERR_INPUT, "%s is %.15g, but must be from %.15g to %.15g", place, value, f->min, f->max);
	if (is_int) {
		int64_t whole = (int64_t)value;
		memcpy(to, &whole, sizeof whole);
	} else {
		memcpy(to, &value, sizeof value);
	}
	return 0;
}

static int
read_field(const struct json *v, const struct json_field *f, char *to, const char *place, struct err *e)
{
	bool value;

	if (f->kind == FIELD_OTHER)
		return 0;
	if (json_type(v) == JSON_NULL && f->nullable) {
		if (f->kind == FIELD_STRING)
			*to = 0;
		return 0;
	}
	if (f->kind == FIELD_STRING)
		return read_string(v, f, to, place, e);
	if (f->kind != FIELD_BOOL)
		return read_number(v, f, to, place, e);
	if (json_type(v) != JSON_BOOL)
		return err_set(e, ERR_INPUT, "%s must be true or false", place);
	value = json_bool(v, false);
	memcpy(to, &value, sizeof value);
	return 0;
}

static const struct json_field *
find_field(const struct json_field *fields, size_t n_fields, const char *key)
{
	for (size_t i = 0; i < n_fields; i++)
		if (strcmp(fields[i].key, key) == 0)
			return &fields[i];
	return NULL;
}

int
json_read_some(const struct json_doc *d, const struct json *object, const struct json_field *fields, size_t n_fields, const char *where, void *out, struct err *e)
{
	char place[256];

	if (json_type(object) != JSON_OBJECT) {
		unsigned line = json_line(d, object);
		if (line > 0)
			return err_set(e, ERR_INPUT, "line %u: %.100s must be an object {...}", line, *where != 0 ? where : "the text");
		return err_set(e, ERR_INPUT, "%.100s must be an object {...}", *where != 0 ? where : "the text");
	}
	for (size_t i = 0; i < n_fields; i++) {
		const struct json *v = json_get(object, fields[i].key);
		describe(d, v != NULL ? v : object, where, fields[i].key, place);
		if (v == NULL && fields[i].required)
			return err_set(e, ERR_INPUT, "%s is missing", place);
		if (v != NULL && read_field(v, &fields[i], (char *)out + fields[i].offset, place, e) != 0)
			return -1;
	}
	return 0;
}

int
json_read(const struct json_doc *d, const struct json *object, const struct json_field *fields, size_t n_fields, const char *where, void *out, struct err *e)
{
	char place[256];

	for (const struct json *m = json_type(object) == JSON_OBJECT ? json_first(object) : NULL; m != NULL; m = json_next(m)) {
		if (find_field(fields, n_fields, json_key(m)) != NULL)
			continue;
		describe(d, m, where, json_key(m), place);
		return err_set(e, ERR_INPUT, "%s: unknown key", place);
	}
	return json_read_some(d, object, fields, n_fields, where, out, e);
}

void
json_write(struct json *object, const struct json_field *fields, size_t n_fields, const void *from)
{
	for (size_t i = 0; i < n_fields; i++) {
		const char *member = (const char *)from + fields[i].offset;
		bool on;
		int64_t whole;
		double number;
		switch (fields[i].kind) {
		case FIELD_STRING:
			json_set_string(object, fields[i].key, fields[i].nullable && *member == 0 ? NULL : member);
			break;
		case FIELD_BOOL:
			memcpy(&on, member, sizeof on);
			json_set_bool(object, fields[i].key, on);
			break;
		case FIELD_INT:
			memcpy(&whole, member, sizeof whole);
			json_set_int(object, fields[i].key, whole);
			break;
		case FIELD_DOUBLE:
			memcpy(&number, member, sizeof number);
			json_set_number(object, fields[i].key, number);
			break;
		case FIELD_OTHER:
			break;
		}
	}
}
