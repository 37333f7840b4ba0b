/* safetensors (github.com/huggingface/safetensors, README "Format"): u64 header length, JSON header, then the tensors without a gap. Only F32.
 * Written for files from outside: the header's claims are held against the file's size before any of them is used. */
#include "model/weights.h"
#include "config/digest.h"
#include "config/file.h"
#include "config/json.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TENSORS = 4096, MAX_HEADER = 4 << 20, MAX_FILE = 1 << 30, MAX_NAME = 256 };

struct entry { struct tensor tensor; size_t begin, end; }; /* bytes of the data part */

struct weights {
	struct json_doc *header;       /* owns the names */
	struct entry *entries;         /* in order of the data */
	size_t n;
	float *values;                 /* the data part, aligned */
};

void
weights_free(struct weights *w)
{
	if (!w)
		return;
	json_doc_free(w->header);
	free(w->entries);
	free(w->values);
	free(w);
}

size_t
weights_size(const struct weights *w)
{
	return w->n;
}

const struct tensor *
weights_at(const struct weights *w, size_t i)
{
	assert(i < w->n);
	return &w->entries[i].tensor;
}

const struct tensor *
weights_find(const struct weights *w, const char *name)
{
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->entries[i].tensor.name, name) == 0)
			return &w->entries[i].tensor;
	return NULL;
}

/* A number of the header that must be a whole number from 0 to max. */
static int
whole(const struct json *v, size_t max, size_t *out)
{
	double d = json_number(v, -1);

	if (json_type(v) != JSON_NUMBER || !(d >= 0) || d > (double)max || d != floor(d))
		return -1;
	*out = (size_t)d;
	return 0;
}

static int
read_shape(const struct json *shape, struct tensor *t, struct err *e)
{
	if (json_type(shape) != JSON_ARRAY || json_size(shape) > WEIGHTS_MAX_DIMS)
		return err_set(e, ERR_INPUT, "the tensor %s has no shape of at most %d dimensions", t->name, WEIGHTS_MAX_DIMS);
	t->size = 1;
	for (const struct json *d = json_first(shape); d; d = json_next(d)) {
		if (whole(d, MAX_FILE, &t->dims[t->n_dims]) != 0 || t->dims[t->n_dims] == 0)
			return err_set(e, ERR_INPUT, "the tensor %s has a dimension that is not a positive whole number", t->name);
		if (__builtin_mul_overflow(t->size, t->dims[t->n_dims++], &t->size) || t->size > MAX_FILE / sizeof(float))
			return err_set(e, ERR_INPUT, "the tensor %s is too large", t->name);
	}
	return 0;
}

static int
read_entry(const struct json *v, size_t data_bytes, struct entry *out, struct err *e)
{
	const struct json *offsets = json_get(v, "data_offsets"), *begin;
	const char *dtype = json_text(json_get(v, "dtype"));
	struct tensor *t = &out->tensor;

	t->name = json_key(v);
	if (strlen(t->name) > MAX_NAME || t->name[0] == '\0')
		return err_set(e, ERR_INPUT, "a tensor without a name, or with one over %d bytes", MAX_NAME);
	if (json_type(v) != JSON_OBJECT || json_size(v) != 3)
		return err_set(e, ERR_INPUT, "the tensor %s is not described by dtype, shape and data_offsets", t->name);
	if (!dtype || strcmp(dtype, "F32") != 0)
		return err_set(e, ERR_INPUT, "the tensor %s is not of dtype F32", t->name);
	if (read_shape(json_get(v, "shape"), t, e) != 0)
		return -1;
	if (json_type(offsets) != JSON_ARRAY || json_size(offsets) != 2)
		return err_set(e, ERR_INPUT, "the tensor %s has no pair of data_offsets", t->name);
	begin = json_first(offsets);
	if (whole(begin, data_bytes, &out->begin) != 0 || whole(json_next(begin), data_bytes, &out->end) != 0 || out->begin > out->end)
		return err_set(e, ERR_INPUT, "the tensor %s lies outside the file", t->name);
	if (out->end - out->begin != t->size * sizeof(float))
		return err_set(e, ERR_INPUT, "the tensor %s has %zu bytes, its shape needs %zu", t->name, out->end - out->begin, t->size * sizeof(float));
	return 0;
}

static int
by_begin(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return (x->begin > y->begin) - (x->begin < y->begin);
}

static int
by_name(const void *a, const void *b)
{
	const struct entry *const *x = a, *const *y = b;

	return strcmp((*x)->tensor.name, (*y)->tensor.name);
}

/* The format's own rule: sorted by place, the tensors cover the data part from 0 to its end exactly. */
static int
check_cover(const struct weights *w, size_t data_bytes, struct err *e)
{
	size_t at = 0;

	for (size_t i = 0; i < w->n; at = w->entries[i++].end) {
		if (w->entries[i].begin < at)
			return err_set(e, ERR_INPUT, "the tensor %s overlaps the one before it", w->entries[i].tensor.name);
		if (w->entries[i].begin > at)
			return err_set(e, ERR_INPUT, "there is a hole before the tensor %s", w->entries[i].tensor.name);
	}
	return at == data_bytes ? 0 : err_set(e, ERR_INPUT, "%zu bytes behind the last tensor", data_bytes - at);
}

static int
check_names(const struct weights *w, struct err *e)
{
	const struct entry **sorted = malloc(w->n * sizeof *sorted);
	int result = 0;

	if (!sorted)
		return err_set(e, ERR_LIMIT, "no memory for the weights");
	for (size_t i = 0; i < w->n; i++)
		sorted[i] = &w->entries[i];
	qsort(sorted, w->n, sizeof *sorted, by_name);
	for (size_t i = 1; i < w->n && result == 0; i++)
		if (strcmp(sorted[i - 1]->tensor.name, sorted[i]->tensor.name) == 0)
			result = err_set(e, ERR_INPUT, "the tensor %s is there twice", sorted[i]->tensor.name);
	free(sorted);
	return result;
}

/* Header text -> entries, checked against each other and against the size of the data part. */
static int
read_header(struct weights *w, const char *text, size_t n, size_t data_bytes, struct err *e)
{
	const struct json *root;

	w->header = json_parse(text, n, 0, e);
	if (!w->header)
		return err_note(e, "the header");
	root = json_root(w->header);
	if (json_type(root) != JSON_OBJECT || json_size(root) == 0 || json_size(root) > MAX_TENSORS)
		return err_set(e, ERR_INPUT, "the header is not an object of 1 to %d tensors", MAX_TENSORS);
	w->entries = calloc(json_size(root), sizeof *w->entries);
	if (!w->entries)
		return err_set(e, ERR_LIMIT, "no memory for the weights");
	for (const struct json *v = json_first(root); v; v = json_next(v)) {
		if (strcmp(json_key(v), "__metadata__") == 0)
			continue;
		if (read_entry(v, data_bytes, &w->entries[w->n], e) != 0)
			return -1;
		w->n++;
	}
	if (w->n == 0)
		return err_set(e, ERR_INPUT, "there is no tensor in it");
	qsort(w->entries, w->n, sizeof *w->entries, by_begin);
	return check_names(w, e) != 0 ? -1 : check_cover(w, data_bytes, e);
}

/* Copies the data part (the header's length is any number, so the file's own place may be unaligned) and looks at every value. */
static int
read_values(struct weights *w, const char *data, size_t n, struct err *e)
{
	w->values = malloc(n);
	if (!w->values)
		return err_set(e, ERR_LIMIT, "no memory for %zu bytes of weights", n);
	memcpy(w->values, data, n);
	for (size_t i = 0; i < w->n; i++) {
		struct tensor *t = &w->entries[i].tensor;

		t->values = w->values + w->entries[i].begin / sizeof(float);
		for (size_t j = 0; j < t->size; j++)
			if (!isfinite(t->values[j]))
				return err_set(e, ERR_INPUT, "the tensor %s holds a value that is not a number", t->name);
	}
	return 0;
}

static int
parse(struct weights *w, const char *bytes, size_t n, struct err *e)
{
	uint64_t header = 0;

	if (n < 8)
		return err_set(e, ERR_INPUT, "%zu bytes are no safetensors file", n);
	for (int i = 7; i >= 0; i--)
		header = header << 8 | (unsigned char)bytes[i];
	if (header > MAX_HEADER || header > n - 8)
		return err_set(e, ERR_INPUT, "the header's length does not fit the file: truncated, or no safetensors file");
	if (read_header(w, bytes + 8, (size_t)header, n - 8 - (size_t)header, e) != 0)
		return -1;
	return read_values(w, bytes + 8 + header, n - 8 - (size_t)header, e);
}

static int
check_digest(const char *bytes, size_t n, const char *sha256, struct err *e)
{
	char hex[DIGEST_HEX];

	if (sha256[0] == '\0')
		return 0;
	digest_of(bytes, n, hex);
	return strcmp(hex, sha256) == 0 ? 0 : err_set(e, ERR_INPUT, "its SHA-256 is %s, the manifest says %s: altered or truncated", hex, sha256);
}

struct weights *
weights_load(const char *path, const char *sha256, struct err *e)
{
	struct weights *w = calloc(1, sizeof *w);
	size_t n = 0;
	char *bytes = file_read(path, MAX_FILE, &n, e);

	if (!bytes)
		err_note(e, "the weights");
	else if (!w)
		err_set(e, ERR_LIMIT, "no memory for the weights");
	else if (check_digest(bytes, n, sha256, e) != 0 || parse(w, bytes, n, e) != 0)
		err_note(e, "the weights %s", path);
	else {
		free(bytes);
		return w;
	}
	free(bytes);
	weights_free(w);
	return NULL;
}
