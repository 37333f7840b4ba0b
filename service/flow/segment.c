/* Series -> volumes -> probabilities -> masks -> SEG. This sentence in C, top to bottom: read, prepare, run, mask, write.
 * How network slices go through in small batches: model/infer.c. */
#include "service/flow/segment.h"

#include "config/clock.h"
#include "dicom/seg.h"
#include "dicom/series.h"
#include "model/infer.h"
#include "model/prep.h"
#include "service/flow/nifti.h"
#include "service/flow/preview.h"

#include <stdlib.h>
#include <string.h>

enum { SERIES_NUMBER = 9901 }; /* beyond what scanners count to, so that results sort behind the images */

struct work {
	const struct segment_request *r;
	struct segment_result *out;
	struct series *series[MODEL_MAX_CHANNELS]; /* one a channel */
	const struct grid *grid;                   /* the first channel's: where results live */
	struct prep *prep;
	float *probability[MODEL_MAX_SEGMENTS];    /* one a label map: (slices, rows, cols) of the grid */
	uint8_t *mask[MODEL_MAX_SEGMENTS];         /* one a segment, same shape */
};

static void
work_release(struct work *w)
{
	prep_free(w->prep);
	for (size_t i = 0; i < MODEL_MAX_CHANNELS; i++)
		series_free(w->series[i]);
	for (size_t i = 0; i < MODEL_MAX_SEGMENTS; i++) {
		free(w->probability[i]);
		free(w->mask[i]);
	}
}

static int
read_channels(struct work *w, struct err *e)
{
	const struct segment_request *r = w->r;

	if (r->n_channels != r->manifest->n_channels)
		return err_set(e, ERR_BUG, "model %s takes %zu channels, %zu were given", r->manifest->name, r->manifest->n_channels, r->n_channels);
	for (size_t i = 0; i < r->n_channels; i++) {
		const struct segment_channel *c = &r->channels[i];
		const struct series_info *first, *info;

		if (strcmp(c->channel, r->manifest->channels[i]) != 0)
			return err_set(e, ERR_BUG, "channel %zu of model %s is %s, %s was given", i + 1, r->manifest->name, r->manifest->channels[i], c->channel);
		if ((w->series[i] = series_load(c->paths, c->n_paths, e)) == NULL)
			return err_note(e, "channel %s", c->channel);
		first = series_info(w->series[0]);
		info = series_info(w->series[i]);
		if (strcmp(first->frame_of_reference, info->frame_of_reference) != 0)
			return err_set(e, ERR_INPUT, "channels %s and %s have different frames of reference (0020,0052): series %s and %s cannot be laid over each other",
			    r->channels[0].channel, c->channel, first->series_uid, info->series_uid);
		if (!grid_same(series_grid(w->series[0]), series_grid(w->series[i])))
			return err_set(e, ERR_INPUT, "channels %s and %s lie on different grids (series %s and %s): resampling between series is not supported yet",
			    r->channels[0].channel, c->channel, first->series_uid, info->series_uid);
	}
	w->grid = series_grid(w->series[0]);
	return 0;
}

static int
prepare(struct work *w, struct err *e)
{
	struct volume volumes[MODEL_MAX_CHANNELS];

	for (size_t i = 0; i < w->r->n_channels; i++)
		volumes[i] = (struct volume) { series_grid(w->series[i]), series_voxels(w->series[i]) };
	w->prep = prep_new(w->r->manifest, volumes, w->r->n_channels, e);
	if (w->prep == NULL)
		return err_note(e, "preparing series %s for model %s", series_info(w->series[0])->series_uid, w->r->manifest->name);
	for (size_t i = 0; i < w->r->manifest->network.labels; i++)
		if ((w->probability[i] = calloc(grid_voxels(w->grid), sizeof(float))) == NULL)
			return err_set(e, ERR_LIMIT, "no memory for the probabilities of %zu x %zu x %zu voxels", w->grid->slices, w->grid->rows, w->grid->cols);
	return 0;
}

static int
run_network(struct work *w, progress_fn progress, void *arg, struct err *e)
{
	const struct infer_request r = { .manifest = w->r->manifest, .segmentor = w->r->segmentor, .prep = w->prep, .grid = w->grid, .probability = w->probability };

	return infer_run(&r, progress, arg, e);
}

static int
make_masks(struct work *w, struct err *e)
{
	const struct manifest *m = w->r->manifest;

	w->out->n_segments = m->n_segments;
	for (size_t i = 0; i < m->n_segments; i++) {
		size_t n = 0;
		if ((w->mask[i] = malloc(grid_voxels(w->grid))) == NULL)
			return err_set(e, ERR_LIMIT, "no memory for the mask of segment %u", m->segments[i].number);
		if (prep_mask(w->grid, w->probability[m->segments[i].map], &m->segments[i], w->mask[i], &n, e) != 0)
			return -1;
		w->out->segments[i].number = m->segments[i].number;
		memcpy(w->out->segments[i].label, m->segments[i].label, sizeof w->out->segments[i].label);
		w->out->segments[i].volume_ml = (double)n * grid_voxel_ml(w->grid);
		w->out->present |= n > 0;
	}
	return 0;
}

static struct seg_code
seg_code(const struct code *c)
{
	return (struct seg_code) { c->scheme, c->value, c->meaning };
}

static int
write_seg(struct work *w, struct err *e)
{
	const struct manifest *m = w->r->manifest;
	struct seg_segment segments[MODEL_MAX_SEGMENTS];
	struct seg_result written;
	struct seg_request request = {
		.source = w->series[0], .others = (const struct series *const *)(w->series + 1), .n_others = w->r->n_channels - 1,
		.segments = segments, .n_segments = m->n_segments, .identity = w->r->identity, .node_id = w->r->node_id,
		.model_name = m->name, .model_version = m->version, .weights_sha256 = m->weights_sha256, .core_type = compute_core(),
		.series_number = SERIES_NUMBER, .created_ms = w->r->created_ms,
	};

	for (size_t i = 0; i < m->n_segments; i++) {
		const struct segment_kind *k = &m->segments[i];
		segments[i] = (struct seg_segment) { .number = k->number, .label = k->label, .category = seg_code(&k->category), .type = seg_code(&k->type),
			.anatomy = seg_code(&k->anatomy), .mask = w->mask[i] };
		memcpy(segments[i].rgb, k->rgb, sizeof segments[i].rgb);
	}
	if (seg_write(&request, w->r->seg_path, &written, e) != 0)
		return err_note(e, "writing the SEG of series %s", series_info(w->series[0])->series_uid);
	memcpy(w->out->series_uid, written.series_uid, sizeof w->out->series_uid);
	memcpy(w->out->sop_uid, written.sop_uid, sizeof w->out->sop_uid);
	w->out->frames = written.frames;
	return 0;
}

static int
write_results(struct work *w, struct err *e)
{
	const struct segment_request *r = w->r;
	struct preview_request preview = { .grid = w->grid, .voxels = series_voxels(w->series[0]), .n_segments = r->manifest->n_segments };

	if (r->probability_path != NULL && nifti_write(r->probability_path, w->grid, (const float *const *)w->probability, r->manifest->network.labels, e) != 0)
		return -1;
	if (!w->out->present)
		return 0;
	if (r->seg_path != NULL && write_seg(w, e) != 0)
		return -1;
	if (r->preview_path == NULL)
		return 0;
	for (size_t i = 0; i < preview.n_segments; i++) {
		preview.segments[i].mask = w->mask[i];
		memcpy(preview.segments[i].rgb, r->manifest->segments[i].rgb, sizeof preview.segments[i].rgb);
	}
	w->out->has_preview = true;
	return preview_write(&preview, r->preview_path, e);
}

int
segment_case(const struct segment_request *r, struct segment_result *out, progress_fn progress, void *arg, struct err *e)
{
	struct work w = { .r = r, .out = out };
	int64_t t[5] = { clock_monotonic_ms() };
	int rc = -1;

	*out = (struct segment_result) { 0 };
	if (read_channels(&w, e) != 0)
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

	if (r->sop_uid[0] != '\0') {
		struct json *s = json_new_object();
		json_set_string(s, "kind", "seg");
		json_set_string(s, "series_uid", r->series_uid);
		json_set_string(s, "sop_instance_uid", r->sop_uid);
		json_set_int(s, "frames", (int64_t)r->frames);
		json_add(list, s);
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
