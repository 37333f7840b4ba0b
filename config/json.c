/* The tree is cJSON's; a struct json is a cJSON that nobody else can look into. Keys are compared case-sensitively throughout.
 * json_scan.c has checked a text before cJSON sees it, so cJSON can fail only for want of memory. */
#include "config/json.h"
#include "config/file.h"
#include "config/json_parts.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Above cJSON's own type bits, copied along by cJSON_Duplicate. */
enum { BROKEN = 1 << 16 };

static const double exact_max = 9007199254740991; /* 2^53 - 1: whole numbers beyond are not all doubles */

struct place {
	const struct json *value;
	unsigned line;
};

struct json_doc {
	cJSON *root;
	struct place *places; /* (n_places), by address */
	size_t n_places;
};

static const cJSON *
inside(const struct json *v)
{
	return (const cJSON *)v;
}

static struct json *
outside(cJSON *v)
{
	return (struct json *)v;
}

/* ---- reading ---- */

static int
by_address(const void *a, const void *b)
{
	const struct json *p = ((const struct place *)a)->value, *q = ((const struct place *)b)->value;

	return p < q ? -1 : p > q;
}

static int
by_key(const void *a, const void *b)
{
	return strcmp(json_key(*(const struct json *const *)a), json_key(*(const struct json *const *)b));
}

/* Gives every value its line, in the order of the text. */
static void
place_all(struct json_doc *d, const struct json *v, const unsigned *lines, size_t n_lines)
{
	assert(d->n_places < n_lines); /* the scan and cJSON saw the same values */
	d->places[d->n_places] = (struct place){ v, lines[d->n_places] };
	d->n_places++;
	for (const struct json *child = json_first(v); child != NULL; child = json_next(child))
		place_all(d, child, lines, n_lines);
}

static int
refuse_doubles_in(const struct json_doc *d, const struct json *object, struct err *e)
{
	size_t n = json_size(object), i = 0;
	const struct json **members = malloc((n + 1) * sizeof *members);
	int result = 0;

	if (members == NULL)
		return err_set(e, ERR_LIMIT, "no memory for JSON");
	for (const struct json *m = json_first(object); m != NULL; m = json_next(m))
		members[i++] = m;
	qsort(members, n, sizeof *members, by_key);
	for (i = 1; i < n && result == 0; i++) {
		unsigned a, b;
		if (by_key(&members[i - 1], &members[i]) != 0)
			continue;
		a = json_line(d, members[i - 1]);
		b = json_line(d, members[i]);
		result = err_set(e, ERR_INPUT, "line %u: key '%.60s' is there twice (first on line %u)", a > b ? a : b, json_key(members[i]), a > b ? b : a);
	}
	free(members);
	return result;
}

static int
refuse_doubles(const struct json_doc *d, struct err *e)
{
	for (size_t i = 0; i < d->n_places; i++)
		if (json_type(d->places[i].value) == JSON_OBJECT && refuse_doubles_in(d, d->places[i].value, e) != 0)
			return -1;
	return 0;
}

static int
build(struct json_doc *d, const char *text, size_t n, const unsigned *lines, size_t n_lines, struct err *e)
{
	d->root = cJSON_ParseWithLengthOpts(text, n, NULL, 0);
	d->places = malloc(n_lines * sizeof *d->places);
	if (d->root == NULL || d->places == NULL)
		return err_set(e, ERR_LIMIT, "no memory for JSON");
	place_all(d, json_root(d), lines, n_lines);
	qsort(d->places, d->n_places, sizeof *d->places, by_address);
	return refuse_doubles(d, e);
}

struct json_doc *
json_parse(const char *text, size_t n, unsigned flags, struct err *e)
{
	struct json_doc *d = NULL;
	char *copy = NULL;
	unsigned *lines = NULL;
	size_t n_lines;
	int result = -1;

	if (n > JSON_MAX_BYTES) {
		err_set(e, ERR_INPUT, "line 1: more than %d bytes of JSON", JSON_MAX_BYTES);
		return NULL;
	}
	copy = malloc(n + 1);
	d = calloc(1, sizeof *d);
	if (copy == NULL || d == NULL) {
		err_set(e, ERR_LIMIT, "no memory for JSON");
		goto out;
	}
	memcpy(copy, text, n);
	copy[n] = 0;
	if (json_scan(copy, n, flags, &lines, &n_lines, e) == 0)
		result = build(d, copy, n, lines, n_lines, e);
out:
	free(lines);
	free(copy);
	if (result != 0) {
		json_doc_free(d);
		return NULL;
	}
	return d;
}

struct json_doc *
json_load(const char *path, unsigned flags, struct err *e)
{
	size_t n;
	char *text = file_read(path, JSON_MAX_BYTES, &n, e);
	struct json_doc *d;

	if (text == NULL)
		return NULL;
	d = json_parse(text, n, flags, e);
	if (d == NULL)
		err_note(e, "%s", path);
	free(text);
	return d;
}

void
json_doc_free(struct json_doc *d)
{
	if (d == NULL)
		return;
	cJSON_Delete(d->root);
	free(d->places);
	free(d);
}

const struct json *
json_root(const struct json_doc *d)
{
	return outside(d->root);
}

unsigned
json_line(const struct json_doc *d, const struct json *v)
{
	struct place wanted = { .value = v };
	const struct place *found;

	if (d == NULL || v == NULL)
		return 0;
	found = bsearch(&wanted, d->places, d->n_places, sizeof *d->places, by_address);
	return found == NULL ? 0 : found->line;
}

enum json_type
json_type(const struct json *v)
{
	if (v == NULL)
		return JSON_NULL;
	switch (inside(v)->type & 0xFF) {
	case cJSON_False:
	case cJSON_True:
		return JSON_BOOL;
	case cJSON_Number:
	case cJSON_Raw: /* json_set_int makes these */
		return JSON_NUMBER;
	case cJSON_String:
		return JSON_STRING;
	case cJSON_Array:
		return JSON_ARRAY;
	case cJSON_Object:
		return JSON_OBJECT;
	default:
		return JSON_NULL;
	}
}

const struct json *
json_get(const struct json *object, const char *key)
{
	if (json_type(object) != JSON_OBJECT)
		return NULL;
	return outside(cJSON_GetObjectItemCaseSensitive(inside(object), key));
}

size_t
json_size(const struct json *v)
{
	size_t n = 0;

	for (const struct json *child = json_first(v); child != NULL; child = json_next(child))
		n++;
	return n;
}

const struct json *
json_first(const struct json *v)
{
	return v == NULL ? NULL : outside(inside(v)->child);
}

const struct json *
json_next(const struct json *v)
{
	return v == NULL ? NULL : outside(inside(v)->next);
}

const char *
json_key(const struct json *v)
{
	return v == NULL ? NULL : inside(v)->string;
}

const char *
json_text(const struct json *v)
{
	return json_type(v) == JSON_STRING ? inside(v)->valuestring : NULL;
}

double
json_number(const struct json *v, double otherwise)
{
	if (json_type(v) != JSON_NUMBER)
		return otherwise;
	return cJSON_IsRaw(inside(v)) ? strtod(inside(v)->valuestring, NULL) : inside(v)->valuedouble;
}

bool
json_bool(const struct json *v, bool otherwise)
{
	return json_type(v) == JSON_BOOL ? cJSON_IsTrue(inside(v)) != 0 : otherwise;
}

/* ---- building ---- */

void
json_number_text(const struct json *v, char text[JSON_NUMBER_TEXT])
{
	double value = json_number(v, 0);

	if (cJSON_IsRaw(inside(v))) {
		snprintf(text, JSON_NUMBER_TEXT, "%s", inside(v)->valuestring);
		return;
	}
	if (value == floor(value) && fabs(value) <= exact_max) {
		snprintf(text, JSON_NUMBER_TEXT, "%.0f", value);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, JSON_NUMBER_TEXT, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			return;
	}
}

bool
json_is_broken(const struct json *v)
{
	return v != NULL && (inside(v)->type & BROKEN) != 0;
}

struct json *
json_new_object(void)
{
	return outside(cJSON_CreateObject());
}

struct json *
json_new_array(void)
{
	return outside(cJSON_CreateArray());
}

struct json *
json_new_pair(double a, double b)
{
	struct json *v = json_new_array();

	json_add_number(v, a);
	json_add_number(v, b);
	return v;
}

void
json_free(struct json *v)
{
	cJSON_Delete((cJSON *)v);
}

void
json_set(struct json *object, const char *key, struct json *child)
{
	cJSON *o = (cJSON *)object, *c = (cJSON *)child;
	bool done;

	if (o == NULL || c == NULL) {
		if (o != NULL)
			o->type |= BROKEN;
		cJSON_Delete(c);
		return;
	}
	if (cJSON_GetObjectItemCaseSensitive(o, key) != NULL)
		done = cJSON_ReplaceItemInObjectCaseSensitive(o, key, c);
	else
		done = cJSON_AddItemToObject(o, key, c);
	if (!done) {
		o->type |= BROKEN;
		cJSON_Delete(c);
	}
}

void
json_add(struct json *array, struct json *child)
{
	cJSON *a = (cJSON *)array, *c = (cJSON *)child;

	if (a != NULL && c != NULL && cJSON_AddItemToArray(a, c))
		return;
	if (a != NULL)
		a->type |= BROKEN;
	cJSON_Delete(c);
}

static struct json *
new_string(const char *text)
{
	return outside(text != NULL ? cJSON_CreateString(text) : cJSON_CreateNull());
}

static struct json *
new_number(double value)
{
	return outside(isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull());
}

void
json_set_string(struct json *object, const char *key, const char *text)
{
	json_set(object, key, new_string(text));
}

void
json_set_number(struct json *object, const char *key, double value)
{
	json_set(object, key, new_number(value));
}

void
json_set_int(struct json *object, const char *key, int64_t value)
{
	char text[32];

	snprintf(text, sizeof text, "%lld", (long long)value);
	json_set(object, key, outside(cJSON_CreateRaw(text)));
}

void
json_set_bool(struct json *object, const char *key, bool value)
{
	json_set(object, key, outside(cJSON_CreateBool(value)));
}

void
json_set_null(struct json *object, const char *key)
{
	json_set(object, key, outside(cJSON_CreateNull()));
}

void
json_add_string(struct json *array, const char *text)
{
	json_add(array, new_string(text));
}

void
json_add_number(struct json *array, double value)
{
	json_add(array, new_number(value));
}

struct json *
json_copy(const struct json *v)
{
	return outside(cJSON_Duplicate(inside(v), 1));
}
