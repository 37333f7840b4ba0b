/* A tree of DICOM series and SEGs -> cases, a study at a time. Rules say which series is which channel, as in `segan inspect`; the SEG goes to the series it
 * refers to; of several labels of a study the newest counts. One study's volumes are in memory at a time. */
#include "config/digest.h"
#include "dicom/attributes.h"
#include "model/resample.h"
#include "service/commands/dataset_labels.h"
#include "service/commands/dataset_parts.h"
#include "service/commands/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CANDIDATES = 256 };

struct offered {                       /* a SEG of the study that refers to its channels */
	struct seg_file *seg;
	size_t channel;                /* whose series it refers to */
	unsigned numbers[MODEL_MAX_SEGMENTS];
	uint8_t *masks;                /* (n_segments of the model, slices, rows, cols); NULL until it is read */
};

struct study {
	struct making *making;
	const struct scan *scan;
	const struct manifest *model;
	const char *uid;
	const struct scan_series *filler[MODEL_MAX_CHANNELS];
	struct series *series[MODEL_MAX_CHANNELS];
	float *voxels[MODEL_MAX_CHANNELS]; /* the channel on the grid of the first, as in service/flow/segment.c */
	struct offered *candidates;
	size_t n_candidates, n_segs;   /* n_segs: with those that were refused */
};

static void
study_release(struct study *t)
{
	for (size_t i = 0; i < t->making->n_channels; i++) {
		series_free(t->series[i]);
		free(t->voxels[i]);
	}
	for (size_t i = 0; i < t->n_candidates; i++) {
		seg_read_free(t->candidates[i].seg);
		free(t->candidates[i].masks);
	}
	free(t->candidates);
}

static int
refuse(struct study *t, const char *what, const char *why, struct err *e)
{
	struct err reason;

	err_set(&reason, ERR_INPUT, "%s", why);
	return making_refuse(t->making, what, &reason, e);
}

/* ---- channels ---- */

static int
fill_channels(struct study *t, struct err *e)
{
	for (size_t i = 0; i < t->making->n_channels; i++) {
		const char *channel = t->making->channels[i];
		const struct scan_series *x = scan_filler(t->scan, t->uid, channel);
		if (x == NULL)
			return err_set(e, ERR_INPUT, "no series for channel %s; segan inspect says why", channel);
		if (x->verdict != SERIES_WHOLE)
			return err_set(e, ERR_INPUT, "channel %s, series %s: %s", channel, x->info.series_uid, x->reason.text);
		t->filler[i] = x;
	}
	return 0;
}

static int
take_voxels(struct study *t, size_t channel, struct err *e)
{
	const struct grid *own = series_grid(t->series[channel]), *first = series_grid(t->series[0]);
	const struct voxels stored = series_voxels(t->series[channel]);

	t->voxels[channel] = grid_same(own, first) ? voxels_floats(&stored, grid_voxels(own), e) : resample_volume(own, &stored, first, e);
	series_forget_voxels(t->series[channel]);
	return t->voxels[channel] != NULL ? 0 : err_note(e, "channels %s and %s", t->making->channels[0], t->making->channels[channel]);
}

static int
load_channels(struct study *t, struct err *e)
{
	for (size_t i = 0; i < t->making->n_channels; i++) {
		const struct scan_series *x = t->filler[i];
		if ((t->series[i] = series_load(&(struct series_input) { (const char *const *)x->paths, x->n_paths, x->frames }, e)) == NULL)
			return err_note(e, "channel %s, series %s", t->making->channels[i], x->info.series_uid);
		if (strcmp(series_info(t->series[i])->frame_of_reference, series_info(t->series[0])->frame_of_reference) != 0 && !x->is_registered)
			return err_set(e, ERR_INPUT, "channels %s and %s have different frames of reference (0020,0052)", t->making->channels[0], t->making->channels[i]);
		if (take_voxels(t, i, e) != 0)
			return -1;
	}
	return 0;
}

/* ---- labels ---- */

static bool
has_instance(const struct scan_series *x, const char *sop_uid)
{
	return sop_uid[0] != '\0' && bsearch(sop_uid, x->instances, x->n_paths, sizeof *x->instances, (int (*)(const void *, const void *))strcmp) != NULL;
}

/* The channel whose series the SEG is about; n_channels: none. */
static size_t
channel_of(const struct study *t, const struct seg_file *seg)
{
	size_t i = 0;

	while (i < t->making->n_channels && !has_instance(t->filler[i], seg_read_info(seg)->first_source))
		i++;
	if (i < t->making->n_channels)
		return i;
	for (i = 0; i < t->making->n_channels && !seg_read_refers_to(seg, t->filler[i]->info.series_uid);)
		i++;
	return i;
}

static int
add_candidate(struct study *t, const char *path, struct err *e)
{
	struct offered c = { 0 }, *larger;
	struct err why;

	t->n_segs++;
	if ((c.seg = seg_read_open(path, &why)) == NULL)
		return making_refuse(t->making, path, &why, e);
	if ((c.channel = channel_of(t, c.seg)) == t->making->n_channels || labels_map(c.seg, t->model, c.numbers, &why) != 0 || t->n_candidates == MAX_CANDIDATES) {
		char uid[DICOM_UID];
		if (c.channel == t->making->n_channels)
			err_set(&why, ERR_INPUT, "the SEG refers to none of the series that fill the channels");
		else if (t->n_candidates == MAX_CANDIDATES)
			err_set(&why, ERR_INPUT, "more than %d SEGs in the study", MAX_CANDIDATES);
		snprintf(uid, sizeof uid, "%s", seg_read_info(c.seg)->sop_uid);
		seg_read_free(c.seg);
		return making_refuse(t->making, uid, &why, e);
	}
	if ((larger = realloc(t->candidates, (t->n_candidates + 1) * sizeof *larger)) == NULL) {
		seg_read_free(c.seg);
		return err_set(e, ERR_LIMIT, "no memory for the SEGs of a study");
	}
	t->candidates = larger;
	t->candidates[t->n_candidates++] = c;
	return 0;
}

static int
find_candidates(struct study *t, struct err *e)
{
	for (size_t i = 0; i < scan_size(t->scan); i++) {
		const struct scan_series *x = scan_at(t->scan, i);
		if (strcmp(x->info.study_uid, t->uid) != 0 || strcmp(x->info.modality, "SEG") != 0)
			continue;
		for (size_t k = 0; k < x->n_paths; k++)
			if (add_candidate(t, x->paths[k], e) != 0)
				return -1;
	}
	return 0;
}

static int
read_masks(const struct study *t, struct offered *c, struct err *e)
{
	uint8_t *each[MODEL_MAX_SEGMENTS];
	size_t voxels = grid_voxels(series_grid(t->series[0])), n = t->model->n_segments;

	if (c->masks != NULL)
		return 0;
	if (!grid_same(series_grid(t->series[c->channel]), series_grid(t->series[0])))
		return err_set(e, ERR_INPUT, "the label lies on the grid of channel %s, the data on that of %s", t->making->channels[c->channel], t->making->channels[0]);
	if ((c->masks = calloc(n, voxels)) == NULL)
		return err_set(e, ERR_LIMIT, "no memory for the masks");
	for (size_t i = 0; i < n; i++)
		each[i] = c->masks + i * voxels;
	if (seg_read_masks(c->seg, t->series[c->channel], c->numbers, n, each, e) == 0)
		return 0;
	free(c->masks);
	c->masks = NULL;
	return -1;
}

/* 1: differs from every one of ours on these images, of which there is at least one. -1: cannot be read. */
static int
differs_from_ours(struct study *t, struct offered *c, struct err *e)
{
	size_t n = grid_voxels(series_grid(t->series[0])) * t->model->n_segments, n_ours = 0;

	if (read_masks(t, c, e) != 0)
		return -1;
	for (size_t i = 0; i < t->n_candidates; i++) {
		struct offered *ours = &t->candidates[i];
		if (seg_read_info(ours->seg)->origin != SEG_OURS)
			continue;
		if (read_masks(t, ours, e) != 0)
			return -1;
		n_ours++;
		if (memcmp(ours->masks, c->masks, n) == 0)
			return 0;
	}
	return n_ours > 0;
}

/* 0: it is a label, and its masks are read. */
static int
check_label(struct study *t, struct offered *c, struct err *e)
{
	enum label_kind kind = labels_judge(c->seg, c->numbers, t->model->n_segments);
	int differs;

	if (kind == LABEL_OURS)
		return err_set(e, ERR_INPUT, "our own AUTOMATIC output, neither corrected nor approved: no label");
	if (kind == LABEL_IF_DIFFERENT) {
		if ((differs = differs_from_ours(t, c, e)) < 0)
			return -1;
		if (differs == 0)
			return err_set(e, ERR_INPUT, "AUTOMATIC, and no correction of ours: no label");
	}
	return read_masks(t, c, e);
}

/* The newest label; the others are told. *best NULL: there is none. */
static int
choose_label(struct study *t, const struct offered **best, struct err *e)
{
	*best = NULL;
	for (size_t i = 0; i < t->n_candidates; i++) {
		struct offered *c = &t->candidates[i];
		const struct seg_info *info = seg_read_info(c->seg), *older;
		struct err why;
		if (check_label(t, c, &why) != 0) {
			if (making_refuse(t->making, info->sop_uid, &why, e) != 0)
				return -1;
			continue;
		}
		older = *best == NULL ? NULL : seg_read_info((*best)->seg);
		if (older != NULL && strcmp(info->created, older->created) < 0)
			older = info;
		else
			*best = c;
		if (older != NULL) {
			char text[160];
			snprintf(text, sizeof text, "a newer label of the study counts: %s", seg_read_info((*best)->seg)->sop_uid);
			if (refuse(t, older->sop_uid, text, e) != 0)
				return -1;
		}
	}
	return 0;
}

/* ---- the case ---- */

static int
find_patient(const char *path, struct dataset_case *c, struct err *e)
{
	struct attributes *a = attributes_load(path, e);
	const char *id;

	if (a == NULL)
		return err_note(e, "%s", path);
	id = attributes_text(a, "PatientID");
	if (id != NULL && id[0] != '\0')
		digest_of(id, strlen(id), c->patient);
	attributes_free(a);
	return c->patient[0] != '\0' ? 0 : err_set(e, ERR_INPUT, "PatientID (0010,0020) is missing or empty: no split by patient");
}

static int
add_case(struct study *t, const struct offered *label, struct err *e)
{
	const struct seg_info *info = seg_read_info(label->seg);
	size_t voxels = grid_voxels(series_grid(t->series[0])), n = t->model->n_segments;
	struct dataset_case c = { .grid = *series_grid(t->series[0]) };
	uint8_t *truth;
	int rc;

	snprintf(c.name, sizeof c.name, "%s", t->uid);
	snprintf(c.study_uid, sizeof c.study_uid, "%s", t->uid);
	snprintf(c.label_sop_uid, sizeof c.label_sop_uid, "%s", info->sop_uid);
	snprintf(c.algorithm_type, sizeof c.algorithm_type, "%s", labels_algorithm_type(label->seg, label->numbers[0]));
	snprintf(c.creator, sizeof c.creator, "%s", info->creator);
	if (find_patient(t->filler[0]->paths[0], &c, e) != 0)
		return -1;
	if (memchr(label->masks, 1, n * voxels) == NULL)
		return err_set(e, ERR_INPUT, "the label %s is empty", info->sop_uid);
	if ((truth = calloc(t->model->network.labels, voxels)) == NULL)
		return err_set(e, ERR_LIMIT, "no memory for the masks");
	for (size_t i = 0; i < n; i++)
		memcpy(truth + t->model->segments[i].map * voxels, label->masks + i * voxels, voxels);
	for (size_t i = 0; i < t->making->n_channels; i++)
		c.channel[i] = t->voxels[i];
	c.truth = truth;
	rc = making_add(t->making, &c, e);
	free(truth);
	return rc;
}

/* -1 only when the making must end. */
static int
make_case(struct study *t, struct err *e)
{
	const struct offered *label = NULL;
	struct err why;

	if (fill_channels(t, &why) != 0)
		return making_refuse(t->making, t->uid, &why, e);
	if (find_candidates(t, e) != 0)
		return -1;
	if (t->n_candidates == 0)
		return refuse(t, t->uid, t->n_segs == 0 ? "no SEG in the study" : "none of its SEGs is a label", e);
	if (load_channels(t, &why) != 0)
		return making_refuse(t->making, t->uid, &why, e);
	if (choose_label(t, &label, e) != 0)
		return -1;
	if (label == NULL)
		return refuse(t, t->uid, "none of its SEGs is a label", e);
	return add_case(t, label, &why) == 0 ? 0 : making_refuse(t->making, t->uid, &why, e);
}

static int
make_cases(struct making *m, const struct scan *scan, const struct manifest *model, struct err *e)
{
	for (size_t i = 0; i < scan_size(scan); i++) {
		struct study t = { .making = m, .scan = scan, .model = model, .uid = scan_at(scan, i)->info.study_uid };
		int rc;
		if (i > 0 && strcmp(t.uid, scan_at(scan, i - 1)->info.study_uid) == 0)
			continue;
		rc = make_case(&t, e);
		study_release(&t);
		if (rc != 0 || making_progress(m, i + 1, scan_size(scan), e) != 0)
			return -1;
	}
	return 0;
}

/* "PATH: why" */
static int
refuse_file(struct making *m, const char *problem, struct err *e)
{
	const char *end = strstr(problem, ": ");
	char path[1024];
	struct err why;

	snprintf(path, sizeof path, "%.*s", end == NULL ? 0 : (int)(end - problem), problem);
	err_set(&why, ERR_INPUT, "%s", end == NULL ? problem : end + 2);
	return making_refuse(m, path, &why, e);
}

int
making_from_dicom(struct making *m, char *dir, const struct rules *r, const struct manifest *model, struct err *e)
{
	struct scan *scan = scan_open(&dir, 1, r, e);
	int rc = 0;

	if (scan == NULL)
		return -1;
	for (size_t i = 0; rc == 0 && scan_problem(scan, i) != NULL; i++)
		rc = refuse_file(m, scan_problem(scan, i), e);
	if (rc == 0 && scan_size(scan) == 0)
		rc = err_set(e, ERR_NOT_FOUND, "there is no DICOM series below %s", dir);
	if (rc == 0)
		rc = make_cases(m, scan, model, e);
	scan_free(scan);
	return rc;
}
