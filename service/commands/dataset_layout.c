/* Layouts are JSON, the built-in ones too: one reader, and whoever needs another has five to copy from. */
#include "service/commands/dataset_layout.h"

#include "config/json.h"

#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(a) (sizeof (a) / sizeof *(a))

static const struct { const char *name, *text; } built_in[] = {
	{ "plain", "{\"channels\": {"
		"\"flair\": [\"flair.nii.gz\", \"flair.nii\", \"*_flair.nii.gz\", \"*_flair.nii\"],"
		"\"t1\": [\"t1.nii.gz\", \"t1.nii\", \"*_t1.nii.gz\", \"*_t1.nii\"],"
		"\"t1c\": [\"t1c.nii.gz\", \"t1c.nii\", \"*_t1c.nii.gz\", \"*_t1ce.nii.gz\", \"*_t1c.nii\", \"*_t1ce.nii\"],"
		"\"t2\": [\"t2.nii.gz\", \"t2.nii\", \"*_t2.nii.gz\", \"*_t2.nii\"]},"
		"\"mask\": [\"mask.nii.gz\", \"mask.nii\", \"*_seg.nii.gz\", \"*_seg.nii\"],"
		"\"segments\": [{\"label\": \"Whole tumour\", \"values\": [1]}], \"patient\": \".+\"}" },
	{ "lgg", "{\"channels\": {\"flair\": [\"flair.nii.gz\"], \"t1\": [\"t1.nii.gz\"], \"t1c\": [\"t1c.nii.gz\"]}, \"mask\": [\"mask.nii.gz\"],"
		"\"segments\": [{\"label\": \"Whole tumour\", \"values\": [1]}], \"patient\": \"^TCGA_[A-Z0-9]+_[A-Z0-9]+\"}" },
	{ "brats2013", "{\"channels\": {\"flair\": [\"Flair_*.nii.gz\"], \"t1\": [\"T1_*.nii.gz\"], \"t1c\": [\"T1c_*.nii.gz\"], \"t2\": [\"T2_*.nii.gz\"]},"
		"\"mask\": [\"OTMultiClass.nii.gz\"],"
		"\"segments\": [{\"label\": \"Whole tumour\", \"values\": [1, 2, 3, 4]}, {\"label\": \"Tumour core\", \"values\": [1, 3, 4]},"
		"{\"label\": \"Enhancing tumour\", \"values\": [4]}], \"patient\": \"^brats_2013_pat[0-9]+\"}" },
	{ "brats2020", "{\"channels\": {\"flair\": [\"*_flair.nii.gz\", \"*_flair.nii\"], \"t1\": [\"*_t1.nii.gz\", \"*_t1.nii\"],"
		"\"t1c\": [\"*_t1ce.nii.gz\", \"*_t1ce.nii\"], \"t2\": [\"*_t2.nii.gz\", \"*_t2.nii\"]}, \"mask\": [\"*_seg.nii.gz\", \"*_seg.nii\"],"
		"\"segments\": [{\"label\": \"Whole tumour\", \"values\": [1, 2, 4]}, {\"label\": \"Tumour core\", \"values\": [1, 4]},"
		"{\"label\": \"Enhancing tumour\", \"values\": [4]}], \"patient\": \".+\"}" },
	{ "brats2023", "{\"channels\": {\"flair\": [\"*-t2f.nii.gz\"], \"t1\": [\"*-t1n.nii.gz\"], \"t1c\": [\"*-t1c.nii.gz\"], \"t2\": [\"*-t2w.nii.gz\"]},"
		"\"mask\": [\"*-seg.nii.gz\"],"
		"\"segments\": [{\"label\": \"Whole tumour\", \"values\": [1, 2, 3]}, {\"label\": \"Tumour core\", \"values\": [1, 3]},"
		"{\"label\": \"Enhancing tumour\", \"values\": [3]}], \"patient\": \"^BraTS-[A-Za-z]+-[0-9]+\"}" },
};

struct top { char patient[257]; bool empty_mask; };
static const struct json_field top_fields[] = {
	{ .key = "channels", .kind = FIELD_OTHER, .required = true }, { .key = "mask", .kind = FIELD_OTHER, .required = true },
	{ .key = "segments", .kind = FIELD_OTHER, .required = true }, { .key = "background", .kind = FIELD_OTHER },
	{ .key = "patient", .kind = FIELD_STRING, .offset = offsetof(struct top, patient), .size = sizeof ((struct top *)0)->patient },
	{ .key = "empty_mask", .kind = FIELD_BOOL, .offset = offsetof(struct top, empty_mask) },
};
struct segment_row { char label[65]; };
static const struct json_field segment_fields[] = {
	{ .key = "label", .kind = FIELD_STRING, .size = sizeof ((struct segment_row *)0)->label, .required = true },
	{ .key = "values", .kind = FIELD_OTHER, .required = true },
};

static int
read_patterns(const struct json *list, const char *name, struct layout_files *out, struct err *e)
{
	if (json_type(list) != JSON_ARRAY || json_size(list) < 1 || json_size(list) > LAYOUT_MAX_PATTERNS || strlen(name) >= sizeof out->name || name[0] == '\0')
		return err_set(e, ERR_INPUT, "%.40s: must be a list of 1 to %d file names (* and ? allowed), the name 1 to 32 characters", name, LAYOUT_MAX_PATTERNS);
	snprintf(out->name, sizeof out->name, "%s", name);
	for (const struct json *item = json_first(list); item != NULL; item = json_next(item)) {
		const char *text = json_text(item);
		if (text == NULL || text[0] == '\0' || strlen(text) >= sizeof out->patterns[0] || strchr(text, '/') != NULL)
			return err_set(e, ERR_INPUT, "%s: each must be a file name of 1 to 64 characters, without folder", name);
		snprintf(out->patterns[out->n_patterns++], sizeof out->patterns[0], "%s", text);
	}
	return 0;
}

static int
read_channels(const struct json *v, struct layout *out, struct err *e)
{
	if (json_type(v) != JSON_OBJECT || json_size(v) < 1 || json_size(v) > LAYOUT_MAX_CHANNELS)
		return err_set(e, ERR_INPUT, "channels must be an object of 1 to %d: \"flair\": [\"flair.nii.gz\"]", LAYOUT_MAX_CHANNELS);
	for (const struct json *item = json_first(v); item != NULL; item = json_next(item))
		if (read_patterns(item, json_key(item), &out->channels[out->n_channels++], e) != 0)
			return err_note(e, "channels");
	return 0;
}

/* Mask values, each counted to the segments of `bits`. */
static int
read_values(const struct json *list, const char *where, uint16_t bits, struct layout *out, struct err *e)
{
	if (json_type(list) != JSON_ARRAY || json_size(list) < 1)
		return err_set(e, ERR_INPUT, "%s must be a list of mask values", where);
	for (const struct json *item = json_first(list); item != NULL; item = json_next(item)) {
		double v = json_number(item, -1);
		if (!(v >= 0 && v <= LAYOUT_MAX_VALUE && v == floor(v)) || (bits != 0 && v == 0))
			return err_set(e, ERR_INPUT, "%s: each must be a whole number from %d to %d", where, bits != 0, LAYOUT_MAX_VALUE);
		out->is_known[(size_t)v] = true;
		out->segments_of[(size_t)v] |= bits;
	}
	return 0;
}

static int
read_segments(const struct json_doc *doc, const struct json *list, struct layout *out, struct err *e)
{
	if (json_type(list) != JSON_ARRAY || json_size(list) < 1 || json_size(list) > MODEL_MAX_SEGMENTS)
		return err_set(e, ERR_INPUT, "segments must be a list of 1 to %d", MODEL_MAX_SEGMENTS);
	for (const struct json *item = json_first(list); item != NULL; item = json_next(item)) {
		struct segment_row row = { "" };
		if (json_type(item) != JSON_OBJECT)
			return err_set(e, ERR_INPUT, "segments: each must be an object with \"label\" and \"values\"");
		if (json_read(doc, item, segment_fields, COUNT_OF(segment_fields), "segments", &row, e) != 0 ||
		    read_values(json_get(item, "values"), "segments.values", (uint16_t)(1U << out->n_segments), out, e) != 0)
			return -1;
		memcpy(out->labels[out->n_segments++], row.label, sizeof row.label);
	}
	return 0;
}

static int
check_patient(const char *pattern, struct err *e)
{
	regex_t compiled;
	char why[100];
	int rc = regcomp(&compiled, pattern, REG_EXTENDED);

	if (rc == 0) {
		regfree(&compiled);
		return 0;
	}
	regerror(rc, &compiled, why, sizeof why);
	return err_set(e, ERR_INPUT, "patient: not a regular expression: %s", why);
}

static int
read_layout(const struct json_doc *doc, struct layout *out, struct err *e)
{
	const struct json *root = json_root(doc);
	struct top top = { .patient = ".+" };

	*out = (struct layout) { .is_known[0] = true };
	if (json_type(root) != JSON_OBJECT)
		return err_set(e, ERR_INPUT, "must be an object");
	if (json_read(doc, root, top_fields, COUNT_OF(top_fields), "", &top, e) != 0 || read_channels(json_get(root, "channels"), out, e) != 0 ||
	    read_patterns(json_get(root, "mask"), "mask", &out->mask, e) != 0 || read_segments(doc, json_get(root, "segments"), out, e) != 0)
		return -1;
	if (json_get(root, "background") != NULL && read_values(json_get(root, "background"), "background", 0, out, e) != 0)
		return -1;
	memcpy(out->patient, top.patient, sizeof out->patient);
	out->may_be_empty = top.empty_mask;
	return check_patient(out->patient, e);
}

int
layout_find(const char *name, struct layout *out, struct err *e)
{
	const char *ending = strrchr(name, '.');
	struct json_doc *doc = NULL;
	int rc;

	if (ending != NULL && strcmp(ending, ".json") == 0) {
		if ((doc = json_load(name, JSON_COMMENTS, e)) == NULL)
			return err_note(e, "layout");
	} else {
		for (size_t i = 0; i < COUNT_OF(built_in) && doc == NULL; i++)
			if (strcmp(built_in[i].name, name) == 0 && (doc = json_parse(built_in[i].text, strlen(built_in[i].text), 0, e)) == NULL)
				return err_note(e, "layout %s", name);
		if (doc == NULL)
			return err_set(e, ERR_NOT_FOUND, "there is no layout \"%s\"; there are plain, lgg, brats2013, brats2020, brats2023, or a file that ends in .json",
			    name);
	}
	rc = read_layout(doc, out, e);
	json_doc_free(doc);
	return rc == 0 ? 0 : err_note(e, "layout %s", name);
}

const struct layout_files *
layout_channel(const struct layout *l, const char *channel)
{
	for (size_t i = 0; i < l->n_channels; i++)
		if (strcmp(l->channels[i].name, channel) == 0)
			return &l->channels[i];
	return NULL;
}
