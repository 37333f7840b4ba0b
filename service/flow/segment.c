/* Series -> volumes -> probabilities -> masks -> results. This sentence in C, top to bottom: read, prepare, run, mask, write.
 * How network slices go through in small batches: model/infer.c. What is written: results.c. */
#include "service/flow/segment.h"

#include "config/clock.h"
#include "dicom/series.h"
#include "model/distribution.h"
#include "model/fraction.h"
#include "model/infer.h"
#include "model/prep.h"
#include "model/resample.h"
#include "service/flow/need.h"
#include "service/flow/results.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct work {
	const struct segment_request *r;
	struct segment_result *out;
	struct series *series[MODEL_MAX_CHANNELS]; /* one a channel */
	const struct grid *grid;                   /* the first channel's: where results live */
	float *resampled[MODEL_MAX_CHANNELS];      /* the channel on that grid; NULL: it lies there as it is */
	struct prep *prep;
	uint8_t *mask[MODEL_MAX_SEGMENTS];         /* one a segment: (slices, rows, cols) of the grid */
	float *probability[MODEL_MAX_SEGMENTS];    /* one a label map, same shape; NULL: no file of them is asked for */
	uint8_t *fraction[MODEL_MAX_SEGMENTS];     /* one a segment, same shape; NULL: not asked for */
};

static void
work_release(struct work *w)
{
	prep_free(w->prep);
	for (size_t i = 0; i < MODEL_MAX_CHANNELS; i++)
		series_free(w->series[i]);
	for (size_t i = 0; i < MODEL_MAX_CHANNELS; i++)
		free(w->resampled[i]);
	for (size_t i = 0; i < MODEL_MAX_SEGMENTS; i++) {
		free(w->probability[i]);
		free(w->mask[i]);
		free(w->fraction[i]);
	}
}

/* Headers only: what is wrong with them, and what does not fit into memory, costs no pixel. */
static int
open_channels(struct work *w, struct err *e)
{
	const struct segment_request *r = w->r;

	if (r->n_channels != r->manifest->n_channels)
		return err_set(e, ERR_BUG, "model %s takes %zu channels, %zu were given", r->manifest->name, r->manifest->n_channels, r->n_channels);
	for (size_t i = 0; i < r->n_channels; i++) {
		const struct segment_channel *c = &r->channels[i];
		const struct series_info *first, *info;

		if (strcmp(c->channel, r->manifest->channels[i]) != 0)
			return err_set(e, ERR_BUG, "channel %zu of model %s is %s, %s was given", i + 1, r->manifest->name, r->manifest->channels[i], c->channel);
		if ((w->series[i] = series_open(&(struct series_input) { c->paths, c->n_paths, c->frames }, e)) == NULL)
			return err_note(e, "channel %s", c->channel);
		first = series_info(w->series[0]);
		info = series_info(w->series[i]);
		if (strcmp(first->frame_of_reference, info->frame_of_reference) != 0 && !c->is_registered)
			return err_set(e, ERR_INPUT, "channels %s and %s have different frames of reference (0020,0052), %s and %s (series %s and %s); \"registered\": true in the rule of %s would lay them over each other",
			    r->channels[0].channel, c->channel, first->frame_of_reference, info->frame_of_reference, first->series_uid, info->series_uid, c->channel);
	}
	w->grid = series_grid(w->series[0]);
	return need_check(r, w->series, e);
}

/* Voxels, one channel after the other; of one on another grid only what it has on the first one's stays. */
static int
read_channels(struct work *w, struct err *e)
{
	const struct segment_channel *channels = w->r->channels;

	for (size_t i = 0; i < w->r->n_channels; i++) {
		struct series *s = w->series[i];
		struct voxels stored;

		if (series_decode(s, e) != 0)
			return err_note(e, "channel %s", channels[i].channel);
		if (grid_same(w->grid, series_grid(s)))
			continue;
		stored = series_voxels(s);
		if ((w->resampled[i] = resample_volume(series_grid(s), &stored, w->grid, e)) == NULL)
			return err_note(e, "channels %s and %s (series %s and %s)", channels[0].channel, channels[i].channel, series_info(w->series[0])->series_uid,
			    series_info(s)->series_uid);
		series_forget_voxels(s);
	}
	return 0;
}

/* Whether the input is what the model was trained on. */
static int
judge(struct work *w, const struct volume *volumes, struct err *e)
{
	const struct manifest *m = w->r->manifest;
	struct likeness l[MODEL_MAX_CHANNELS];
	char *said = w->out->out_of_distribution;

	distribution_measure(w->prep, volumes, m->n_channels, l);
	if (distribution_judge(m, l, said, sizeof w->out->out_of_distribution) == 0 || !w->r->rejects_strangers)
		return 0;
	return err_set(e, ERR_INPUT, SEGMENT_OUT_OF_DISTRIBUTION ": %s", said);
}

static bool
wants_fractions(const struct work *w)
{
	return w->r->paths[RESULT_FRACTIONAL] != NULL;
}

static int
prepare(struct work *w, struct err *e)
{
	struct volume volumes[MODEL_MAX_CHANNELS];

	for (size_t i = 0; i < w->r->n_channels; i++)
		volumes[i] = (struct volume) { w->grid, w->resampled[i] != NULL ? (struct voxels) { .real = w->resampled[i] } : series_voxels(w->series[i]) };
	w->prep = prep_new(w->r->manifest, volumes, w->r->n_channels, e);
	if (w->prep == NULL)
		return err_note(e, "preparing series %s for model %s", series_info(w->series[0])->series_uid, w->r->manifest->name);
	if (judge(w, volumes, e) != 0)
		return -1;
	for (size_t i = 0; i < w->r->manifest->n_segments; i++)
		if ((w->mask[i] = calloc(grid_voxels(w->grid), 1)) == NULL)
			return err_set(e, ERR_LIMIT, "no memory for the masks of %zu x %zu x %zu voxels", w->grid->slices, w->grid->rows, w->grid->cols);
	for (size_t i = 0; w->r->probability_path != NULL && i < w->r->manifest->network.labels; i++)
		if ((w->probability[i] = calloc(grid_voxels(w->grid), sizeof(float))) == NULL)
			return err_set(e, ERR_LIMIT, "no memory for the probabilities of %zu x %zu x %zu voxels", w->grid->slices, w->grid->rows, w->grid->cols);
	for (size_t i = 0; i < w->r->manifest->n_segments && wants_fractions(w); i++)
		if ((w->fraction[i] = calloc(grid_voxels(w->grid), 1)) == NULL)
			return err_set(e, ERR_LIMIT, "no memory for the fractions of %zu x %zu x %zu voxels", w->grid->slices, w->grid->rows, w->grid->cols);
	return 0;
}

static int
run_network(struct work *w, progress_fn progress, void *arg, struct err *e)
{
	const struct infer_request r = { .manifest = w->r->manifest, .segmentor = w->r->segmentor, .prep = w->prep, .grid = w->grid, .mask = w->mask,
		.probability = w->r->probability_path != NULL ? w->probability : NULL, .fraction = wants_fractions(w) ? w->fraction : NULL };

	return infer_run(&r, progress, arg, e);
}

static int
make_masks(struct work *w, struct err *e)
{
	const struct manifest *m = w->r->manifest;

	w->out->n_segments = m->n_segments;
	for (size_t i = 0; i < m->n_segments; i++) {
		size_t n = 0;
		if (prep_mask_finish(w->grid, &m->segments[i], w->mask[i], &n, e) != 0)
			return -1;
		if (wants_fractions(w))
			fraction_clean(w->mask[i], grid_voxels(w->grid), m->segments[i].threshold, w->fraction[i]);
		w->out->segments[i].number = m->segments[i].number;
		memcpy(w->out->segments[i].label, m->segments[i].label, sizeof w->out->segments[i].label);
		w->out->segments[i].volume_ml = (double)n * grid_voxel_ml(w->grid);
		w->out->present |= n > 0;
	}
	return 0;
}

static int
write_results(struct work *w, struct err *e)
{
	const struct results_input in = { w->r, (const struct series *const *)w->series, (const float *const *)w->probability, (const uint8_t *const *)w->mask,
		(const uint8_t *const *)w->fraction };

	return results_write(&in, w->out, e);
}

int
segment_case(const struct segment_request *r, struct segment_result *out, progress_fn progress, void *arg, struct err *e)
{
	struct work w = { .r = r, .out = out };
	int64_t t[5] = { clock_monotonic_ms() };
	int rc = -1;

	*out = (struct segment_result) { 0 };
	if (open_channels(&w, e) != 0 || read_channels(&w, e) != 0)
		goto out;
	t[1] = clock_monotonic_ms();
	if (prepare(&w, e) != 0)
		goto out;
	t[2] = clock_monotonic_ms();
	if (run_network(&w, progress, arg, e) != 0 || make_masks(&w, e) != 0)
		goto out;
	t[3] = clock_monotonic_ms();
	if (write_results(&w, e) != 0)
		goto out;
	t[4] = clock_monotonic_ms();
	out->read_ms = t[1] - t[0];
	out->prepare_ms = t[2] - t[1];
	out->segment_ms = t[3] - t[2];
	out->write_ms = t[4] - t[3];
	rc = 0;
out:
	work_release(&w);
	return rc;
}

struct json *
segment_flags_json(const struct segment_result *r)
{
	struct json *flags = json_new_object();
	char why[sizeof r->out_of_distribution + 32];

	snprintf(why, sizeof why, SEGMENT_OUT_OF_DISTRIBUTION ": %s", r->out_of_distribution);
	if (r->out_of_distribution[0] != '\0')
		json_set_string(flags, SEGMENT_FLAG_OUT_OF_DISTRIBUTION, why);
	return flags;
}

struct json *
segment_segments_json(const struct segment_result *r)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < r->n_segments; i++) {
		struct json *s = json_new_object();
		json_set_int(s, "number", r->segments[i].number);
		json_set_string(s, "label", r->segments[i].label);
		json_set_number(s, "volume_ml", (double)(int64_t)(r->segments[i].volume_ml * 1000 + 0.5) / 1000);
		json_add(list, s);
	}
	return list;
}

struct json *
segment_results_json(const struct segment_result *r)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < r->n_outputs; i++) {
		const struct segment_output *o = &r->outputs[i];
		struct json *item = json_new_object();
		json_set_string(item, "kind", result_kind_name(o->kind));
		json_set_string(item, "series_uid", o->series_uid);
		json_set_string(item, "sop_instance_uid", o->sop_uid);
		if (o->frames > 0)
			json_set_int(item, "frames", (int64_t)o->frames);
		if (result_kind_is_series(o->kind))
			json_set_int(item, "instances", (int64_t)o->instances);
		json_add(list, item);
	}
	return list;
}

struct json *
segment_timings_json(const struct segment_result *r)
{
	struct json *t = json_new_object();

	json_set_int(t, "read", r->read_ms);
	json_set_int(t, "prepare", r->prepare_ms);
	json_set_int(t, "segment", r->segment_ms);
	json_set_int(t, "write", r->write_ms);
	return t;
}
