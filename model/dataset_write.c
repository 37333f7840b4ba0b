/* Packs cases into a data set. Everything goes into a folder beside the final name, which appears by one rename when all of it is on disk: a full disk,
 * a signal or a crash leaves no data set, at worst a folder NAME.part-XXXXXX. Does not read cases: that is for the caller. */
#include "config/file.h"
#include "model/dataset.h"
#include "model/dataset_parts.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct dataset_writer {
	char dir[1024], part[DATASET_PATH]; /* the final name; where it is written */
	struct dataset_index index;
};

/* ---- beginning and giving up ---- */

static int
check_names(const char *const *channels, size_t n_channels, size_t n_segments, struct err *e)
{
	if (n_channels < 1 || n_channels > MODEL_MAX_CHANNELS || n_segments < 1 || n_segments > MODEL_MAX_SEGMENTS)
		return err_set(e, ERR_INPUT, "a data set has 1 to %d channels and 1 to %d segments", MODEL_MAX_CHANNELS, MODEL_MAX_SEGMENTS);
	for (size_t i = 0; i < n_channels; i++) {
		if (channels[i][0] == '\0' || strlen(channels[i]) > 32)
			return err_set(e, ERR_INPUT, "a channel's name has 1 to 32 characters");
		for (size_t k = 0; k < i; k++)
			if (strcmp(channels[i], channels[k]) == 0)
				return err_set(e, ERR_INPUT, "channel %s is there twice", channels[i]);
	}
	return 0;
}

/* The name without slashes at its end. */
static int
take_name(struct dataset_writer *w, const char *dir, struct err *e)
{
	size_t n = strlen(dir);

	while (n > 1 && dir[n - 1] == '/')
		n--;
	if (n == 0 || n >= sizeof w->dir)
		return err_set(e, ERR_INPUT, "\"%.60s\" is no name for a data set: empty or too long", dir);
	snprintf(w->dir, sizeof w->dir, "%.*s", (int)n, dir);
	if (access(w->dir, F_OK) == 0)
		return err_set(e, ERR_STATE, "%s is there already; a data set is never changed: choose another name or remove it", w->dir);
	snprintf(w->part, sizeof w->part, "%s.part-XXXXXX", w->dir);
	return 0;
}

struct dataset_writer *
dataset_begin(const char *dir, const char *const *channels, size_t n_channels, size_t n_segments, struct err *e)
{
	struct dataset_writer *w;

	if (check_names(channels, n_channels, n_segments, e) != 0)
		return NULL;
	if ((w = calloc(1, sizeof *w)) == NULL) {
		err_set(e, ERR_LIMIT, "no memory");
		return NULL;
	}
	if (take_name(w, dir, e) != 0) {
		free(w);
		return NULL;
	}
	if (mkdtemp(w->part) == NULL) {
		err_errno(e, "making a folder beside %s", w->dir);
		free(w);
		return NULL;
	}
	for (size_t i = 0; i < n_channels; i++)
		snprintf(w->index.channels[i], sizeof w->index.channels[i], "%s", channels[i]);
	w->index.n_channels = n_channels;
	w->index.n_segments = n_segments;
	return w;
}

void
dataset_abandon(struct dataset_writer *w)
{
	struct err unheard; /* the caller gives up for a reason of its own, which is the one to tell */

	if (w == NULL)
		return;
	file_remove_tree(w->part, &unheard);
	dataset_index_release(&w->index);
	free(w);
}

/* ---- one case ---- */

static int
check_image(const char *channel, const float *voxels, size_t n, struct err *e)
{
	float low = voxels[0], high = voxels[0];

	for (size_t i = 0; i < n; i++) {
		if (!isfinite(voxels[i]))
			return err_set(e, ERR_INPUT, "channel %s: voxel %zu is no number", channel, i);
		low = voxels[i] < low ? voxels[i] : low;
		high = voxels[i] > high ? voxels[i] : high;
	}
	return high > low ? 0 : err_set(e, ERR_INPUT, "channel %s: the image is constant", channel);
}

int
dataset_check(const struct dataset_writer *w, const struct dataset_case *c, struct err *e)
{
	size_t voxels = grid_voxels(&c->grid);

	if (voxels == 0 || dataset_case_bytes(&w->index, &c->grid) == 0)
		return err_set(e, ERR_INPUT, "%zu x %zu x %zu is no volume", c->grid.slices, c->grid.rows, c->grid.cols);
	for (size_t i = 0; i < w->index.n_channels; i++)
		if (check_image(w->index.channels[i], c->channel[i], voxels, e) != 0)
			return -1;
	for (size_t i = 0; i < voxels * w->index.n_segments; i++)
		assert(c->truth[i] <= 1);
	return 0;
}

static int
check_name(const struct dataset_writer *w, const char *name, struct err *e)
{
	for (size_t i = 0; i < w->index.n_cases; i++)
		if (strcmp(w->index.cases[i].name, name) == 0)
			return err_set(e, ERR_INPUT, "another case has the name %s", name);
	return 0;
}

static int
write_all(int fd, const void *bytes, size_t n, struct err *e)
{
	for (const char *p = bytes; n > 0;) {
		ssize_t put = write(fd, p, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_errno(e, "writing");
		p += put;
		n -= (size_t)put;
	}
	return 0;
}

static int
write_case(const struct dataset_writer *w, const char *path, const struct dataset_case *c, struct err *e)
{
	size_t voxels = grid_voxels(&c->grid);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666), rc = 0;

	if (fd < 0)
		return err_errno(e, "creating %s", path);
	for (size_t i = 0; i < w->index.n_channels && rc == 0; i++)
		rc = write_all(fd, c->channel[i], voxels * sizeof(float), e);
	if (rc == 0)
		rc = write_all(fd, c->truth, voxels * w->index.n_segments, e);
	if (rc == 0 && fsync(fd) != 0)
		rc = err_errno(e, "making safe on disk");
	close(fd);
	return rc == 0 ? 0 : err_note(e, "%s", path);
}

static int
digest_case(const struct dataset_writer *w, struct dataset_case *c, struct err *e)
{
	size_t voxels = grid_voxels(&c->grid);
	struct digest *d = digest_new(e);

	if (d == NULL)
		return -1;
	for (size_t i = 0; i < w->index.n_channels; i++)
		digest_add(d, c->channel[i], voxels * sizeof(float));
	digest_add(d, c->truth, voxels * w->index.n_segments);
	digest_hex(d, c->digest);
	digest_free(d);
	for (size_t i = 0; i < w->index.n_cases; i++)
		if (strcmp(w->index.cases[i].digest, c->digest) == 0)
			return err_set(e, ERR_INPUT, "the same images and truth as case %s", w->index.cases[i].name);
	return 0;
}

int
dataset_add(struct dataset_writer *w, const struct dataset_case *c, struct err *e)
{
	struct dataset_case added = *c, *larger;
	char path[DATASET_PATH];

	assert(c->name[0] != '\0' && c->patient[0] != '\0' && c->truth != NULL);
	dataset_clean_text(added.name);
	dataset_clean_text(added.creator);
	if (check_name(w, added.name, e) != 0 || dataset_check(w, &added, e) != 0 || digest_case(w, &added, e) != 0)
		return -1;
	if ((larger = realloc(w->index.cases, (w->index.n_cases + 1) * sizeof *larger)) == NULL)
		return err_set(e, ERR_LIMIT, "no memory for another case");
	w->index.cases = larger;
	dataset_case_path(w->part, w->index.n_cases, path);
	if (write_case(w, path, &added, e) != 0) {
		unlink(path);
		return -1;
	}
	memset(added.channel, 0, sizeof added.channel);
	added.truth = NULL;
	larger[w->index.n_cases++] = added;
	return 0;
}

size_t
dataset_added(const struct dataset_writer *w)
{
	return w->index.n_cases;
}

const char *
dataset_part(const struct dataset_writer *w)
{
	return w->part;
}

int
dataset_leave_out(struct dataset_writer *w, const char *what, const char *reason, struct err *e)
{
	return dataset_index_leave_out(&w->index, what, reason, e);
}

/* ---- the split ---- */

static int
compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t
share_of(size_t n_patients, double share)
{
	return share <= 0 ? 0 : (double)n_patients * share < 1 ? 1 : (size_t)lround((double)n_patients * share);
}

/* By rank of the patient's digest, so the same patients give the same split whatever the order they came in; and as digests are spread evenly, a set that
 * grows moves hardly anybody from train to test. */
static int
split(struct dataset_index *x, struct dataset_shares held_back, char *warning, size_t n_warning, struct err *e)
{
	const char **patients = calloc(x->n_cases, sizeof *patients);
	size_t n = 0, n_test, n_back;

	if (patients == NULL)
		return err_set(e, ERR_LIMIT, "no memory for %zu cases", x->n_cases);
	for (size_t i = 0; i < x->n_cases; i++)
		patients[i] = x->cases[i].patient;
	qsort(patients, x->n_cases, sizeof *patients, compare_texts);
	for (size_t i = 0; i < x->n_cases; i++)
		if (n == 0 || strcmp(patients[n - 1], patients[i]) != 0)
			patients[n++] = patients[i];
	n_test = share_of(n, held_back.test);
	n_back = n_test + share_of(n, held_back.validation);
	if (n_back >= n) {
		n_test = n_back = 0;
		snprintf(warning, n_warning, "%zu patient%s: too few to hold any back; all cases are for training, none for validation and test", n, n == 1 ? "" : "s");
	}
	for (size_t i = 0; i < x->n_cases; i++) {
		const char *const key = x->cases[i].patient, **at = bsearch(&key, patients, n, sizeof *patients, compare_texts);
		size_t rank = (size_t)(at - patients);
		x->cases[i].split = rank < n_test ? SPLIT_TEST : rank < n_back ? SPLIT_VALIDATION : SPLIT_TRAIN;
	}
	free(patients);
	return 0;
}

/* ---- dataset.json ---- */

static void
set_triplet(struct json *v, const char *key, const double triplet[3])
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < 3; i++)
		json_add_number(list, triplet[i]);
	json_set(v, key, list);
}

static struct json *
grid_json(const struct grid *g)
{
	struct json *v = json_new_object();

	set_triplet(v, "size", (double[]){ (double)g->slices, (double)g->rows, (double)g->cols });
	set_triplet(v, "spacing_mm", g->spacing_mm);
	set_triplet(v, "origin_mm", g->origin_mm);
	set_triplet(v, "row_dir", g->row_dir);
	set_triplet(v, "col_dir", g->col_dir);
	return v;
}

static struct json *
index_json(const struct dataset_index *x, const char *digest)
{
	struct json *v = json_new_object(), *channels = json_new_array(), *cases = json_new_array(), *left_out = json_new_array();

	json_set_int(v, "version", DATASET_VERSION);
	json_set_string(v, "digest", digest);
	for (size_t i = 0; i < x->n_channels; i++)
		json_add_string(channels, x->channels[i]);
	json_set(v, "channels", channels);
	json_set_int(v, "segments", (int64_t)x->n_segments);
	for (size_t i = 0; i < x->n_cases; i++) {
		struct json *c = json_new_object();
		json_write(c, dataset_case_fields, DATASET_N_CASE_FIELDS, &x->cases[i]);
		json_set_string(c, "split", dataset_split_name(x->cases[i].split));
		json_set(c, "grid", grid_json(&x->cases[i].grid));
		json_add(cases, c);
	}
	json_set(v, "cases", cases);
	for (size_t i = 0; i < x->n_left_out; i++) {
		struct json *l = json_new_object();
		json_set_string(l, "what", x->left_out[i].what);
		json_set_string(l, "reason", x->left_out[i].reason);
		json_add(left_out, l);
	}
	json_set(v, "left_out", left_out);
	return v;
}

static int
write_index(const struct dataset_writer *w, struct err *e)
{
	char path[DATASET_PATH + 20], digest[DIGEST_HEX], *text;
	struct json *v;
	size_t n;
	int rc;

	if (dataset_index_digest(&w->index, digest, e) != 0)
		return -1;
	v = index_json(&w->index, digest);
	text = json_print(v, true, e);
	json_free(v);
	if (text == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/dataset.json", w->part);
	n = strlen(text);
	while (n > 0 && text[n - 1] == '\n') /* the last byte closes the object: a file cut by one is noticed too */
		n--;
	rc = file_write(path, text, n, e);
	free(text);
	return rc;
}

/* mkdtemp made the folder for its owner alone; it becomes what mkdir would have made. */
static int
publish(const struct dataset_writer *w, struct err *e)
{
	mode_t mask = umask(0);
	char parent[sizeof w->dir];
	char *slash;

	umask(mask);
	if (chmod(w->part, 0777 & ~mask) != 0 || file_sync_dir(w->part, e) != 0)
		return err_errno(e, "finishing %s", w->part);
	if (rename(w->part, w->dir) != 0) /* onto a folder that came meanwhile, unless it is empty: refused by the system */
		return err_errno(e, "renaming %s to %s", w->part, w->dir);
	snprintf(parent, sizeof parent, "%s", w->dir);
	if ((slash = strrchr(parent, '/')) == NULL)
		return file_sync_dir(".", e);
	slash[slash == parent] = '\0';
	return file_sync_dir(parent, e);
}

int
dataset_end(struct dataset_writer *w, struct dataset_shares held_back, char *warning, size_t n_warning, struct err *e)
{
	int rc;

	if (n_warning > 0)
		warning[0] = '\0';
	if (w->index.n_cases == 0)
		rc = w->index.n_left_out == 0 ? err_set(e, ERR_INPUT, "no case was found for the data set") :
		    err_set(e, ERR_INPUT, "no case could be used; the first, %s: %s", w->index.left_out[0].what, w->index.left_out[0].reason);
	else
		rc = split(&w->index, held_back, warning, n_warning, e) != 0 || write_index(w, e) != 0 || publish(w, e) != 0 ? -1 : 0;
	dataset_abandon(w); /* the part folder is gone when all went well */
	return rc;
}
