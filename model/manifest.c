/* model.json -> struct manifest, section by section; each section is a table of keys. Ranges are those a network of this program can have, so what
 * stands behind this reader needs no checks of its own. Does not open the weights (catalog_check does). */
#include "model/manifest.h"
#include "config/json.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows of a table: the key is the member's name, and must be there. */
#define MEMBER(type, member) .key = #member, .offset = offsetof(type, member), .required = true
#define TEXT(type, member) { MEMBER(type, member), .kind = FIELD_STRING, .size = sizeof ((type *)0)->member }
#define WHOLE(type, member, low, high) { MEMBER(type, member), .kind = FIELD_INT, .min = low, .max = high }
#define NUMBER(type, member, low, high) { MEMBER(type, member), .kind = FIELD_DOUBLE, .min = low, .max = high }
#define COUNT_OF(a) (sizeof (a) / sizeof *(a))

/* What is being read, for the words of an error. */
struct reader { const struct json_doc *doc; struct manifest *out; struct err *e; };

static int
wrong(const struct reader *r, const char *where, const char *allowed)
{
	return err_set(r->e, ERR_INPUT, "%s must be %s", where, allowed);
}

static int
read_object(const struct reader *r, const struct json *object, const struct json_field *fields, size_t n, const char *where, void *out)
{
	if (json_type(object) != JSON_OBJECT)
		return wrong(r, where, "an object");
	return json_read_some(r->doc, object, fields, n, where, out, r->e);
}

/* v is one of the n words -> its index; -1 with an error that lists them. */
static int
read_word(const struct reader *r, const struct json *v, const char *where, const char *const *words, size_t n)
{
	char list[256] = "";

	for (size_t i = 0; i < n; i++)
		if (json_text(v) && strcmp(json_text(v), words[i]) == 0)
			return (int)i;
	for (size_t i = 0; i < n; i++)
		snprintf(list + strlen(list), sizeof list - strlen(list), "%s\"%s\"", i ? " or " : "", words[i]);
	return wrong(r, where, list);
}

/* An array of two numbers within [min, max], ascending when asked for. */
static int
read_pair(const struct reader *r, const struct json *v, const char *where, double min, double max, double out[2])
{
	const struct json *item = json_type(v) == JSON_ARRAY && json_size(v) == 2 ? json_first(v) : NULL;

	for (size_t i = 0; i < 2; i++, item = item ? json_next(item) : NULL) {
		out[i] = json_number(item, min - 1);
		if (json_type(item) != JSON_NUMBER || !(out[i] >= min && out[i] <= max)) {
			char allowed[96];
			snprintf(allowed, sizeof allowed, "two numbers from %g to %g", min, max);
			return wrong(r, where, allowed);
		}
	}
	return 0;
}

static int
read_channels(const struct reader *r, const struct json *v)
{
	struct manifest *m = r->out;

	if (json_type(v) != JSON_ARRAY || json_size(v) < 1 || json_size(v) > MODEL_MAX_CHANNELS)
		return wrong(r, "channels", "a list of 1 to 8 names");
	for (const struct json *item = json_first(v); item; item = json_next(item)) {
		const char *text = json_text(item);

		if (!text || text[0] == '\0' || strlen(text) >= sizeof m->channels[0])
			return wrong(r, "channels", "names of 1 to 32 characters");
		for (size_t i = 0; i < m->n_channels; i++)
			if (strcmp(m->channels[i], text) == 0)
				return wrong(r, "channels", "different names");
		memcpy(m->channels[m->n_channels++], text, strlen(text) + 1);
	}
	return 0;
}

static int
read_network(const struct reader *r, const struct json *v)
{
	static const char *const kinds[] = { [NETWORK_SEGAN] = "segan", [NETWORK_UNET] = "unet" };
	static const char *const skips[] = { [SKIP_SUM] = "sum", [SKIP_CONCAT] = "concat" };
	struct numbers { int64_t width, labels; double leaky_slope, bn_eps; } n = { .leaky_slope = 0.2, .bn_eps = 1e-5 };
	static const struct json_field fields[] = {
		WHOLE(struct numbers, width, 1, 256),
		WHOLE(struct numbers, labels, 1, MODEL_MAX_SEGMENTS),
		{ .key = "leaky_slope", .kind = FIELD_DOUBLE, .offset = offsetof(struct numbers, leaky_slope), .min = 0, .max = 1 },
		{ .key = "bn_eps", .kind = FIELD_DOUBLE, .offset = offsetof(struct numbers, bn_eps), .min = 1e-12, .max = 1 },
	};
	struct network *out = &r->out->network;
	int kind, skip = SKIP_SUM;

	if (read_object(r, v, fields, COUNT_OF(fields), "network", &n) != 0)
		return -1;
	kind = read_word(r, json_get(v, "kind"), "network: kind", kinds, COUNT_OF(kinds));
	if (kind < 0)
		return -1;
	if (json_get(v, "skip"))
		skip = read_word(r, json_get(v, "skip"), "network: skip", skips, COUNT_OF(skips));
	if (skip < 0)
		return -1;
	*out = (struct network){ .kind = (enum network_kind)kind, .skip = (enum network_skip)skip, .channels = r->out->n_channels, .width = (size_t)n.width,
		.labels = (size_t)n.labels, .leaky_slope = n.leaky_slope, .bn_eps = n.bn_eps };
	return 0;
}

static int
read_normalisation(const struct reader *r, const struct json *v)
{
	static const char *const kinds[] = { "percentile-head" };
	static const struct json_field fields[] = {
		NUMBER(struct normalisation, floor_percentile, 0, 50),
		NUMBER(struct normalisation, low_percentile, 0, 100),
		NUMBER(struct normalisation, high_percentile, 0, 100),
	};
	struct normalisation *out = &r->out->normalisation;
	double head[2];

	if (read_object(r, v, fields, COUNT_OF(fields), "normalisation", out) != 0)
		return -1;
	if (read_word(r, json_get(v, "kind"), "normalisation: kind", kinds, COUNT_OF(kinds)) < 0)
		return -1;
	if (read_pair(r, json_get(v, "head_over"), "normalisation: head_over (fraction, percentile)", 0, 100, head) != 0)
		return -1;
	if (read_pair(r, json_get(v, "clip"), "normalisation: clip", -1e6, 1e6, out->clip) != 0)
		return -1;
	out->head_fraction = head[0];
	out->head_percentile = head[1];
	if (out->head_fraction > 1)
		return wrong(r, "normalisation: head_over", "a fraction of at most 1, then a percentile");
	if (out->low_percentile >= out->high_percentile || out->clip[0] >= out->clip[1])
		return wrong(r, "normalisation: low_percentile, high_percentile and clip", "ascending");
	return 0;
}

static int
read_input(const struct reader *r, const struct json *v)
{
	static const char *const planes[] = { "axial" }, *const orientations[] = { "LPS" }, *const skulls[] = { "stripped", "present" };
	struct numbers { double spacing_mm, neighbour_mm; int64_t pad_multiple, neighbours; bool mirror; } n = { .neighbour_mm = MANIFEST_NEIGHBOUR_MM };
	static const struct json_field fields[] = {
		NUMBER(struct numbers, spacing_mm, 0.05, 20),
		WHOLE(struct numbers, pad_multiple, 16, 256),
		{ .key = "neighbours", .kind = FIELD_INT, .offset = offsetof(struct numbers, neighbours), .min = 0, .max = 4 },
		{ .key = "neighbour_mm", .kind = FIELD_DOUBLE, .offset = offsetof(struct numbers, neighbour_mm), .min = MANIFEST_NEIGHBOUR_LEAST_MM,
			.max = MANIFEST_NEIGHBOUR_MOST_MM },
		{ .key = "mirror", .kind = FIELD_BOOL, .offset = offsetof(struct numbers, mirror) },
	};
	struct manifest *m = r->out;
	int skull;

	if (read_object(r, v, fields, COUNT_OF(fields), "input", &n) != 0)
		return -1;
	if (read_word(r, json_get(v, "plane"), "input: plane", planes, COUNT_OF(planes)) < 0)
		return -1;
	if (read_word(r, json_get(v, "orientation"), "input: orientation", orientations, COUNT_OF(orientations)) < 0)
		return -1;
	skull = read_word(r, json_get(v, "skull"), "input: skull", skulls, COUNT_OF(skulls));
	if (skull < 0)
		return -1;
	if (n.pad_multiple % 16 != 0)
		return wrong(r, "input: pad_multiple", "a multiple of 16");
	snprintf(m->plane, sizeof m->plane, "%s", planes[0]);
	m->skull_present = skull == 1;
	m->spacing_mm = n.spacing_mm;
	m->pad_multiple = (size_t)n.pad_multiple;
	m->neighbours = (size_t)n.neighbours;
	m->neighbour_mm = n.neighbour_mm;
	m->mirror = n.mirror;
	m->network.channels = m->n_channels * (1 + 2 * m->neighbours);
	return read_normalisation(r, json_get(v, "normalisation"));
}

/* [scheme, value, meaning] of PS3.3 8.8 */
static int
read_code(const struct reader *r, const struct json *v, const char *where, struct code *out)
{
	const struct { char *text; size_t size; } part[3] = {
		{ out->scheme, sizeof out->scheme }, { out->value, sizeof out->value }, { out->meaning, sizeof out->meaning } };
	const struct json *item = json_type(v) == JSON_ARRAY && json_size(v) == 3 ? json_first(v) : NULL;

	for (size_t i = 0; i < 3; i++, item = item ? json_next(item) : NULL) {
		const char *text = json_text(item);
		if (!text || text[0] == '\0' || strlen(text) >= part[i].size)
			return wrong(r, where, "[scheme, value, meaning], of at most 16, 64 and 127 characters");
		memcpy(part[i].text, text, strlen(text) + 1);
	}
	return 0;
}

/* "#rrggbb" */
static int
read_colour(const struct reader *r, const struct json *v, unsigned char rgb[3])
{
	const char *text = json_text(v);

	if (!text || strlen(text) != 7 || text[0] != '#' || strspn(text + 1, "0123456789abcdefABCDEF") != 6)
		return wrong(r, "segments: colour", "\"#rrggbb\"");
	for (size_t i = 0; i < 3; i++) {
		const char two[3] = { text[1 + 2 * i], text[2 + 2 * i], '\0' };
		rgb[i] = (unsigned char)strtoul(two, NULL, 16);
	}
	return 0;
}

static int
read_segment(const struct reader *r, const struct json *v, struct segment_kind *out)
{
	struct numbers { int64_t number, map; } n;
	static const struct json_field integers[] = {
		WHOLE(struct numbers, number, 1, 65535),
		WHOLE(struct numbers, map, 0, MODEL_MAX_SEGMENTS),
	};
	static const struct json_field rest[] = {
		TEXT(struct segment_kind, label),
		NUMBER(struct segment_kind, threshold, 1e-6, 1),
		NUMBER(struct segment_kind, minimum_ml, 0, 1000),
		{ .key = "peak", .kind = FIELD_DOUBLE, .offset = offsetof(struct segment_kind, peak), .min = 0, .max = 1 },
	};

	if (read_object(r, v, integers, COUNT_OF(integers), "segments", &n) != 0 || read_object(r, v, rest, COUNT_OF(rest), "segments", out) != 0)
		return -1;
	if ((size_t)n.map >= r->out->network.labels)
		return wrong(r, "segments: map", "the index of a label map, below network.labels");
	if (out->label[0] == '\0')
		return wrong(r, "segments: label", "a text");
	out->number = (unsigned)n.number;
	out->map = (size_t)n.map;
	if (read_colour(r, json_get(v, "colour"), out->rgb) != 0 || read_code(r, json_get(v, "category"), "segments: category", &out->category) != 0)
		return -1;
	if (read_code(r, json_get(v, "type"), "segments: type", &out->type) != 0)
		return -1;
	return read_code(r, json_get(v, "anatomy"), "segments: anatomy", &out->anatomy);
}

/* DICOM numbers segments 1, 2, 3 ... in order (PS3.3 C.8.20.2). */
static int
read_segments(const struct reader *r, const struct json *v)
{
	struct manifest *m = r->out;

	if (json_type(v) != JSON_ARRAY || json_size(v) < 1 || json_size(v) > MODEL_MAX_SEGMENTS)
		return wrong(r, "segments", "a list of 1 to 16 objects");
	for (const struct json *item = json_first(v); item; item = json_next(item)) {
		if (read_segment(r, item, &m->segments[m->n_segments]) != 0)
			return -1;
		if (m->segments[m->n_segments].number != m->n_segments + 1)
			return wrong(r, "segments: number", "1, 2, 3 ... in this order");
		m->n_segments++;
	}
	return 0;
}

/* {"cases": n, "channels": {NAME: {FIGURE: [lowest, highest]}}}; absent: the model has none. A figure that is not there is not known. */
static int
read_statistics(const struct reader *r, const struct json *v)
{
	struct manifest *m = r->out;
	struct numbers { int64_t cases; } n;
	static const struct json_field fields[] = { WHOLE(struct numbers, cases, 1, 1000000) };

	for (size_t i = 0; i < m->n_channels; i++)
		m->statistics[i] = likeness_nothing();
	if (!v)
		return 0;
	if (read_object(r, v, fields, COUNT_OF(fields), "statistics", &n) != 0)
		return -1;
	for (size_t i = 0; i < m->n_channels; i++) {
		m->statistics[i].n_cases = (size_t)n.cases;
		for (size_t f = 0; f < LIKENESS_N_FIGURES; f++) {
			const struct json *pair = json_get(json_get(json_get(v, "channels"), m->channels[i]), likeness_key((enum likeness_figure)f));
			double range[2];

			if (!pair)
				continue;
			if (read_pair(r, pair, "statistics: channels: a range", 0, 1e9, range) != 0)
				return -1;
			if (range[0] > range[1])
				return wrong(r, "statistics: channels: a range", "ascending");
			m->statistics[i].low[f] = range[0];
			m->statistics[i].high[f] = range[1];
		}
	}
	return 0;
}

/* Name and version become folders and words of UIDs and URLs. */
static int
check_word(const struct reader *r, const char *text, const char *where)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

	if (text[0] == '\0' || text[0] == '.' || strspn(text, allowed) != strlen(text))
		return wrong(r, where, "letters, digits, '.', '-' and '_', not beginning with '.'");
	return 0;
}

static int
read_manifest(const struct reader *r, const struct json *root)
{
	static const struct json_field fields[] = {
		TEXT(struct manifest, name), TEXT(struct manifest, version), TEXT(struct manifest, description), TEXT(struct manifest, licence),
		TEXT(struct manifest, weights_sha256),
	};

	if (read_object(r, root, fields, COUNT_OF(fields), "the manifest", r->out) != 0)
		return -1;
	if (check_word(r, r->out->name, "name") != 0 || check_word(r, r->out->version, "version") != 0)
		return -1;
	if (strlen(r->out->weights_sha256) != 64 || strspn(r->out->weights_sha256, "0123456789abcdef") != 64)
		return wrong(r, "weights_sha256", "64 hexadecimal digits in lower case");
	if (read_channels(r, json_get(root, "channels")) != 0 || read_network(r, json_get(root, "network")) != 0)
		return -1;
	if (read_input(r, json_get(root, "input")) != 0 || read_segments(r, json_get(root, "segments")) != 0)
		return -1;
	return read_statistics(r, json_get(root, "statistics"));
}

int
manifest_read(const struct json_doc *doc, const struct json *root, struct manifest *out, struct err *e)
{
	*out = (struct manifest){ 0 };
	return read_manifest(&(struct reader){ doc, out, e }, root);
}

int
manifest_load(const char *dir, struct manifest *out, struct err *e)
{
	char path[sizeof out->dir + 16];
	struct json_doc *doc;
	int result;

	*out = (struct manifest){ 0 };
	if (strlen(dir) >= sizeof out->dir)
		return err_set(e, ERR_INPUT, "the folder's name is too long: %.100s...", dir);
	snprintf(path, sizeof path, "%s/model.json", dir);
	doc = json_load(path, 0, e);
	if (!doc)
		return err_note(e, "reading a model");
	result = manifest_read(doc, json_root(doc), out, e);
	if (result != 0)
		err_note(e, "%s", path);
	memcpy(out->dir, dir, strlen(dir) + 1);
	json_doc_free(doc);
	return result;
}
