/* Reads packed cases. dataset.json is checked whole (version, keys, ranges, its own digest, no patient in two splits) and the size of every case's file
 * with it; a case's bytes are compared with their digest when they are mapped. Does not write: dataset_write.c. Not thread-safe: one thread maps. */
#include "model/dataset.h"
#include "config/utf8.h"
#include "model/dataset_parts.h"

#include <assert.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_CASES = 100000, MAX_SIDE = 65535 };

struct dataset {
	char dir[1024];
	char digest[DIGEST_HEX];
	struct dataset_index index;
	void **maps;                           /* (n_cases); NULL: not mapped */
	bool *is_checked;                      /* (n_cases); its bytes match its digest */
};

static const char *const split_names[DATASET_N_SPLITS] = { "train", "validation", "test" };

#define TEXT(member, is_required) { .key = #member, .kind = FIELD_STRING, .offset = offsetof(struct dataset_case, member), \
	.size = sizeof ((struct dataset_case *)0)->member, .required = is_required }
const struct json_field dataset_case_fields[DATASET_N_CASE_FIELDS] = {
	TEXT(name, true), TEXT(study_uid, true), TEXT(patient, true), TEXT(label_sop_uid, true), TEXT(algorithm_type, true), TEXT(creator, true), TEXT(digest, true),
};

const char *
dataset_split_name(enum dataset_split s)
{
	return split_names[s];
}

/* ---- the index, for both sides ---- */

void
dataset_index_release(struct dataset_index *x)
{
	for (size_t i = 0; i < x->n_left_out; i++) {
		free(x->left_out[i].what);
		free(x->left_out[i].reason);
	}
	free(x->left_out);
	free(x->cases);
	*x = (struct dataset_index) { 0 };
}

void
dataset_clean_text(char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0, length; i < n; i += length) {
		length = utf8_length(text + i, n - i);
		if (length == 0 || (unsigned char)text[i] < 0x20 || text[i] == 0x7F) {
			text[i] = '?';
			length = 1;
		}
	}
}

int
dataset_index_leave_out(struct dataset_index *x, const char *what, const char *reason, struct err *e)
{
	struct left_out *larger = realloc(x->left_out, (x->n_left_out + 1) * sizeof *larger), *last;

	if (larger == NULL)
		return err_set(e, ERR_LIMIT, "no memory for the list of what was left out");
	x->left_out = larger;
	last = &larger[x->n_left_out++];
	last->what = strdup(what);
	last->reason = strdup(reason);
	if (last->what == NULL || last->reason == NULL)
		return err_set(e, ERR_LIMIT, "no memory for the list of what was left out");
	dataset_clean_text(last->what);
	dataset_clean_text(last->reason);
	return 0;
}

size_t
dataset_case_bytes(const struct dataset_index *x, const struct grid *g)
{
	size_t voxels = grid_voxels(g), bytes;

	if (voxels == SIZE_MAX || __builtin_mul_overflow(voxels, x->n_channels * sizeof(float) + x->n_segments, &bytes) || bytes > SIZE_MAX / 2)
		return 0;
	return bytes;
}

void
dataset_case_path(const char *dir, size_t i, char path[DATASET_PATH])
{
	snprintf(path, DATASET_PATH, "%s/%04zu.bin", dir, i);
}

static void
add_text(struct digest *d, const char *text)
{
	digest_add(d, text, strlen(text) + 1);
}

static void
add_number(struct digest *d, double value)
{
	char text[40];

	snprintf(text, sizeof text, "%.17g", value);
	add_text(d, text);
}

static void
add_case(struct digest *d, const struct dataset_case *c)
{
	const struct grid *g = &c->grid;
	const double *const triplets[] = { g->spacing_mm, g->origin_mm, g->row_dir, g->col_dir };

	for (size_t i = 0; i < DATASET_N_CASE_FIELDS; i++)
		add_text(d, (const char *)c + dataset_case_fields[i].offset);
	add_text(d, dataset_split_name(c->split));
	add_number(d, (double)g->slices);
	add_number(d, (double)g->rows);
	add_number(d, (double)g->cols);
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < 3; k++)
			add_number(d, triplets[i][k]);
}

int
dataset_index_digest(const struct dataset_index *x, char hex[DIGEST_HEX], struct err *e)
{
	struct digest *d = digest_new(e);

	if (d == NULL)
		return -1;
	add_text(d, "segan data set");
	add_number(d, DATASET_VERSION);
	for (size_t i = 0; i < x->n_channels; i++)
		add_text(d, x->channels[i]);
	add_number(d, (double)x->n_segments);
	for (size_t i = 0; i < x->n_cases; i++)
		add_case(d, &x->cases[i]);
	for (size_t i = 0; i < x->n_left_out; i++) {
		add_text(d, x->left_out[i].what);
		add_text(d, x->left_out[i].reason);
	}
	digest_hex(d, hex);
	digest_free(d);
	return 0;
}

/* ---- dataset.json ---- */

static int
read_triplet(const struct json *grid, const char *key, double limit, double out[3], struct err *e)
{
	const struct json *v = json_get(grid, key), *item = json_first(v);

	for (size_t i = 0; i < 3; i++, item = item ? json_next(item) : NULL) {
		out[i] = json_number(item, NAN);
		if (json_size(v) != 3 || !(fabs(out[i]) <= limit))
			return err_set(e, ERR_INPUT, "grid.%s must be three numbers up to %g", key, limit);
	}
	return 0;
}

static int
read_grid(const struct json *v, struct grid *g, struct err *e)
{
	const struct json *size = json_get(v, "size"), *item = json_first(size);
	size_t *const sides[] = { &g->slices, &g->rows, &g->cols };

	for (size_t i = 0; i < 3; i++, item = item ? json_next(item) : NULL) {
		double n = json_number(item, 0);
		if (json_size(size) != 3 || !(n >= 1 && n <= MAX_SIDE && n == floor(n)))
			return err_set(e, ERR_INPUT, "grid.size must be three whole numbers from 1 to %d", MAX_SIDE);
		*sides[i] = (size_t)n;
	}
	if (read_triplet(v, "spacing_mm", 1000, g->spacing_mm, e) != 0 || read_triplet(v, "origin_mm", 1e6, g->origin_mm, e) != 0 ||
	    read_triplet(v, "row_dir", 1.001, g->row_dir, e) != 0 || read_triplet(v, "col_dir", 1.001, g->col_dir, e) != 0)
		return -1;
	for (size_t i = 0; i < 3; i++)
		if (!(g->spacing_mm[i] > 0))
			return err_set(e, ERR_INPUT, "grid.spacing_mm must be over 0");
	return 0;
}

static int
read_split(const struct json *v, enum dataset_split *out, struct err *e)
{
	for (int i = 0; i < DATASET_N_SPLITS; i++)
		if (json_text(v) != NULL && strcmp(json_text(v), split_names[i]) == 0) {
			*out = (enum dataset_split)i;
			return 0;
		}
	return err_set(e, ERR_INPUT, "split must be \"train\", \"validation\" or \"test\"");
}

static int
read_cases(struct dataset *d, const struct json_doc *doc, struct err *e)
{
	const struct json *list = json_get(json_root(doc), "cases"), *item = json_first(list);
	size_t n = json_size(list);

	if (json_type(list) != JSON_ARRAY || n == 0 || n > MAX_CASES)
		return err_set(e, ERR_INPUT, "cases must be a list of 1 to %d", MAX_CASES);
	if ((d->index.cases = calloc(n, sizeof *d->index.cases)) == NULL || (d->maps = calloc(n, sizeof *d->maps)) == NULL ||
	    (d->is_checked = calloc(n, sizeof *d->is_checked)) == NULL)
		return err_set(e, ERR_LIMIT, "no memory for %zu cases", n);
	for (size_t i = 0; i < n; i++, item = json_next(item)) {
		struct dataset_case *c = &d->index.cases[i];
		if (json_type(item) != JSON_OBJECT)
			return err_set(e, ERR_INPUT, "cases[%zu] must be an object", i);
		if (json_read_some(doc, item, dataset_case_fields, DATASET_N_CASE_FIELDS, "case", c, e) != 0 || read_split(json_get(item, "split"), &c->split, e) != 0 ||
		    read_grid(json_get(item, "grid"), &c->grid, e) != 0)
			return err_note(e, "cases[%zu]", i);
		d->index.n_cases++;
		if (dataset_case_bytes(&d->index, &c->grid) == 0)
			return err_set(e, ERR_INPUT, "cases[%zu] is too large", i);
	}
	return 0;
}

static int
read_left_out(struct dataset *d, const struct json *list, struct err *e)
{
	if (json_type(list) != JSON_ARRAY)
		return err_set(e, ERR_INPUT, "left_out must be a list");
	for (const struct json *item = json_first(list); item != NULL; item = json_next(item)) {
		const char *what = json_text(json_get(item, "what")), *reason = json_text(json_get(item, "reason"));
		if (what == NULL || reason == NULL)
			return err_set(e, ERR_INPUT, "left_out: each has \"what\" and \"reason\"");
		if (dataset_index_leave_out(&d->index, what, reason, e) != 0)
			return -1;
	}
	return 0;
}

static int
read_channels(struct dataset *d, const struct json *root, struct err *e)
{
	const struct json *list = json_get(root, "channels");
	double segments = json_number(json_get(root, "segments"), 0);

	if (json_number(json_get(root, "version"), 0) != DATASET_VERSION)
		return err_set(e, ERR_INPUT, "not a data set of version %d: make it again with segan dataset create", DATASET_VERSION);
	if (json_size(list) < 1 || json_size(list) > MODEL_MAX_CHANNELS || !(segments >= 1 && segments <= MODEL_MAX_SEGMENTS && segments == floor(segments)))
		return err_set(e, ERR_INPUT, "channels must be 1 to %d names, segments from 1 to %d", MODEL_MAX_CHANNELS, MODEL_MAX_SEGMENTS);
	for (const struct json *item = json_first(list); item != NULL; item = json_next(item)) {
		const char *name = json_text(item);
		if (name == NULL || name[0] == '\0' || strlen(name) >= sizeof d->index.channels[0])
			return err_set(e, ERR_INPUT, "channels must be names of 1 to 32 characters");
		snprintf(d->index.channels[d->index.n_channels++], sizeof d->index.channels[0], "%s", name);
	}
	d->index.n_segments = (size_t)segments;
	return 0;
}

static int
compare_patients(const void *a, const void *b)
{
	const struct dataset_case *x = *(const struct dataset_case *const *)a, *y = *(const struct dataset_case *const *)b;

	return strcmp(x->patient, y->patient);
}

static int
check_split(const struct dataset_index *x, struct err *e)
{
	const struct dataset_case **sorted = calloc(x->n_cases, sizeof *sorted);
	int rc = 0;

	if (sorted == NULL)
		return err_set(e, ERR_LIMIT, "no memory for %zu cases", x->n_cases);
	for (size_t i = 0; i < x->n_cases; i++)
		sorted[i] = &x->cases[i];
	qsort(sorted, x->n_cases, sizeof *sorted, compare_patients);
	for (size_t i = 1; i < x->n_cases && rc == 0; i++)
		if (strcmp(sorted[i]->patient, sorted[i - 1]->patient) == 0 && sorted[i]->split != sorted[i - 1]->split)
			rc = err_set(e, ERR_INPUT, "one patient is in two splits: case %s in %s, case %s in %s", sorted[i - 1]->name,
			    split_names[sorted[i - 1]->split], sorted[i]->name, split_names[sorted[i]->split]);
	free(sorted);
	return rc;
}

static int
check_digest(struct dataset *d, const struct json *root, struct err *e)
{
	const char *stated = json_text(json_get(root, "digest"));

	if (dataset_index_digest(&d->index, d->digest, e) != 0)
		return -1;
	if (stated == NULL || strcmp(stated, d->digest) != 0)
		return err_set(e, ERR_INPUT, "altered: its digest does not match what it says; copy it again, or make the set again");
	return 0;
}

static int
read_index(struct dataset *d, struct err *e)
{
	char path[DATASET_PATH];
	struct json_doc *doc;
	int rc = -1;

	snprintf(path, sizeof path, "%s/dataset.json", d->dir);
	if ((doc = json_load(path, 0, e)) == NULL)
		return -1;
	if (json_type(json_root(doc)) != JSON_OBJECT)
		err_set(e, ERR_INPUT, "must be an object");
	else if (read_channels(d, json_root(doc), e) == 0 && read_cases(d, doc, e) == 0 && read_left_out(d, json_get(json_root(doc), "left_out"), e) == 0 &&
	    check_split(&d->index, e) == 0)
		rc = check_digest(d, json_root(doc), e);
	json_doc_free(doc);
	return rc == 0 ? 0 : err_note(e, "%s", path);
}

/* ---- case files ---- */

/* The open file of case i, of the size that the index says; -1. */
static int
open_case(const struct dataset *d, size_t i, struct err *e)
{
	char path[DATASET_PATH];
	size_t expected = dataset_case_bytes(&d->index, &d->index.cases[i].grid);
	struct stat st;
	int fd;

	dataset_case_path(d->dir, i, path);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0 || fstat(fd, &st) != 0) {
		err_errno(e, "opening %s (case %s)", path, d->index.cases[i].name);
		e->code = access(path, F_OK) != 0 ? ERR_INPUT : e->code;
	} else if (!S_ISREG(st.st_mode) || (size_t)st.st_size != expected) {
		err_set(e, ERR_INPUT, "%s (case %s) is cut or altered: %lld bytes, not %zu; copy it again, or make the set again", path, d->index.cases[i].name,
		    (long long)st.st_size, expected);
	} else {
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

struct dataset *
dataset_open(const char *dir, struct err *e)
{
	struct dataset *d;

	if (strlen(dir) >= sizeof d->dir) {
		err_set(e, ERR_INPUT, "the path %.60s... is too long", dir);
		return NULL;
	}
	if ((d = calloc(1, sizeof *d)) == NULL) {
		err_set(e, ERR_LIMIT, "no memory");
		return NULL;
	}
	snprintf(d->dir, sizeof d->dir, "%s", dir);
	if (read_index(d, e) != 0)
		goto out;
	for (size_t i = 0; i < d->index.n_cases; i++) {
		int fd = open_case(d, i, e);
		if (fd < 0)
			goto out;
		close(fd);
	}
	return d;
out:
	err_note(e, "data set %s", dir);
	dataset_close(d);
	return NULL;
}

void
dataset_close(struct dataset *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->index.n_cases; i++)
		dataset_unmap(d, i);
	free(d->maps);
	free(d->is_checked);
	dataset_index_release(&d->index);
	free(d);
}

/* Read, not mapped: mapped pages would count as memory of the process. */
static int
check_case(struct dataset *d, size_t i, struct err *e)
{
	char path[DATASET_PATH], hex[DIGEST_HEX];

	dataset_case_path(d->dir, i, path);
	if (digest_of_file(path, 0, hex, e) != 0)
		return -1;
	if (strcmp(hex, d->index.cases[i].digest) != 0)
		return err_set(e, ERR_INPUT, "case %s (%04zu.bin) is altered: its digest does not match; copy it again, or make the set again", d->index.cases[i].name, i);
	d->is_checked[i] = true;
	return 0;
}

int
dataset_map(struct dataset *d, size_t i, struct err *e)
{
	struct dataset_case *c = &d->index.cases[i];
	size_t bytes = dataset_case_bytes(&d->index, &c->grid), voxels = grid_voxels(&c->grid);
	void *map;
	int fd;

	if (d->maps[i] != NULL)
		return 0;
	if ((!d->is_checked[i] && check_case(d, i, e) != 0) || (fd = open_case(d, i, e)) < 0)
		return err_note(e, "data set %s", d->dir);
	map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return err_errno(e, "mapping case %s of data set %s", c->name, d->dir);
	d->maps[i] = map;
	for (size_t k = 0; k < d->index.n_channels; k++)
		c->channel[k] = (const float *)map + k * voxels;
	c->truth = (const uint8_t *)map + d->index.n_channels * voxels * sizeof(float);
	return 0;
}

void
dataset_unmap(struct dataset *d, size_t i)
{
	struct dataset_case *c = &d->index.cases[i];

	if (d->maps[i] == NULL)
		return;
	munmap(d->maps[i], dataset_case_bytes(&d->index, &c->grid));
	d->maps[i] = NULL;
	memset(c->channel, 0, sizeof c->channel);
	c->truth = NULL;
}

void
dataset_rest(const struct dataset *d, size_t i)
{
	/* Advice: when it is not taken, nothing is lost but memory. */
	if (d->maps[i] != NULL)
		(void)madvise(d->maps[i], dataset_case_bytes(&d->index, &d->index.cases[i].grid), MADV_DONTNEED);
}

/* ---- what is in it ---- */

size_t dataset_channels(const struct dataset *d) { return d->index.n_channels; }
size_t dataset_segments(const struct dataset *d) { return d->index.n_segments; }
const char *dataset_digest(const struct dataset *d) { return d->digest; }
size_t dataset_size(const struct dataset *d) { return d->index.n_cases; }
size_t dataset_left_out_size(const struct dataset *d) { return d->index.n_left_out; }

const char *
dataset_channel(const struct dataset *d, size_t i)
{
	assert(i < d->index.n_channels);
	return d->index.channels[i];
}

const struct dataset_case *
dataset_at(const struct dataset *d, size_t i)
{
	assert(i < d->index.n_cases);
	return &d->index.cases[i];
}

const char *
dataset_left_out(const struct dataset *d, size_t i, const char **reason)
{
	assert(i < d->index.n_left_out);
	*reason = d->index.left_out[i].reason;
	return d->index.left_out[i].what;
}
