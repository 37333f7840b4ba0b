/* JSON text <-> values and C structs. cJSON holds the tree; what it does not know is checked here: comments (allowed on demand), line numbers,
 * duplicate keys, bad UTF-8, depth, size, trailing text. Strict RFC 8259 otherwise. Others build and read JSON through this header only. */
#pragma once
#include "config/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json;     /* one value; a tree is owned by its root */
struct json_doc; /* a parsed text: root and line numbers */

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

enum { JSON_COMMENTS = 1 /* allow // and block comments */, JSON_DEPTH_SHIFT = 8 };
#define JSON_DEPTH(n) ((unsigned)(n) << JSON_DEPTH_SHIFT) /* of what a stranger sends: at most n levels, n from 1 to JSON_MAX_DEPTH */
enum { JSON_MAX_DEPTH = 64, JSON_MAX_BYTES = 64 << 20, JSON_MAX_VALUES = 1 << 20 };

/* ---- reading ---- */
/* Parses n bytes (no terminator needed). NULL: ERR_INPUT with "line N: what". caller: json_doc_free. */
struct json_doc *json_parse(const char *text, size_t n, unsigned flags, struct err *e);
struct json_doc *json_load(const char *path, unsigned flags, struct err *e); /* a file; errors name path and line */
void json_doc_free(struct json_doc *d);
const struct json *json_root(const struct json_doc *d);                     /* borrowed from d */
unsigned json_line(const struct json_doc *d, const struct json *v);         /* 1-based line where v (or its key) begins; 0 when unknown */

enum json_type json_type(const struct json *v);                             /* v NULL: JSON_NULL */
const struct json *json_get(const struct json *object, const char *key);    /* NULL when absent or not an object; case-sensitive; borrowed */
size_t json_size(const struct json *v);                                     /* members of an object, items of an array, else 0 */
const struct json *json_first(const struct json *v);                        /* first child, in order of the text; NULL when none */
const struct json *json_next(const struct json *v);                         /* next sibling */
const char *json_key(const struct json *v);                                 /* a member's key; NULL for an item; borrowed */
const char *json_text(const struct json *v);                                /* a string's value; NULL when not a string; borrowed */
double json_number(const struct json *v, double otherwise);
bool json_bool(const struct json *v, bool otherwise);

/* ---- a table of keys ---- */
enum json_field_kind { FIELD_STRING, FIELD_BOOL, FIELD_INT, FIELD_DOUBLE, FIELD_OTHER /* a key that the caller reads and writes itself */ };
struct json_field {
	const char *key;
	enum json_field_kind kind;
	size_t offset;        /* of the member in the struct: char[size], bool, int64_t, double */
	size_t size;          /* FIELD_STRING: sizeof the char array */
	double min, max;      /* FIELD_INT, FIELD_DOUBLE */
	bool required;
	bool nullable;        /* null is taken as "" (FIELD_STRING) or leaves the default */
};
/* Fills *out from an object; keys that are absent leave *out as it was.
 * ERR_INPUT names line (0 or d NULL: none), `where` ("" for the root) and key: unknown key, wrong type, out of range, too long. */
int json_read(const struct json_doc *d, const struct json *object, const struct json_field *fields, size_t n_fields, const char *where, void *out, struct err *e);
/* As json_read, but members that the table does not know are left to the caller. */
int json_read_some(const struct json_doc *d, const struct json *object, const struct json_field *fields, size_t n_fields, const char *where, void *out, struct err *e);
/* The way back: sets every key of the table in object. */
void json_write(struct json *object, const struct json_field *fields, size_t n_fields, const void *from);

/* ---- building; memory that runs out is noticed by json_print, which then fails ---- */
struct json *json_new_object(void);                                         /* caller: json_free, or given to a parent */
struct json *json_new_array(void);
struct json *json_new_pair(double a, double b);                             /* [a, b], as ranges are written */
void json_free(struct json *v);
void json_set(struct json *object, const char *key, struct json *child);    /* takes child; replaces what was under key */
void json_set_string(struct json *object, const char *key, const char *text /* NULL: null */); /* bad UTF-8 bytes become U+FFFD */
void json_set_number(struct json *object, const char *key, double value);   /* a value that is not finite becomes null */
void json_set_int(struct json *object, const char *key, int64_t value);     /* exact over the whole range */
void json_set_bool(struct json *object, const char *key, bool value);
void json_set_null(struct json *object, const char *key);
void json_add(struct json *array, struct json *child);                      /* takes child */
void json_add_string(struct json *array, const char *text);
void json_add_number(struct json *array, double value);
struct json *json_copy(const struct json *v);                               /* caller: json_free */
char *json_print(const struct json *v, bool pretty, struct err *e);         /* caller: free; one line when not pretty */
