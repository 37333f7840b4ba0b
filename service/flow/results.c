/* From masks to files: what each kind of result is given, and what a job's JSON says about it. How each kind looks is decided in dicom/ and preview.c. */
#include "service/flow/results.h"

#include "dicom/capture.h"
#include "dicom/report.h"
#include "dicom/rtstruct.h"
#include "model/measure.h"
#include "service/flow/burn.h"
#include "service/flow/nifti.h"
#include "service/flow/preview.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PATH = 1300, SERIES_NUMBER = 9901 }; /* of the SEG; other kinds count on. Beyond what scanners count to, so that results sort behind the images */

static struct seg_code
seg_code(const struct code *c)
{
	return (struct seg_code) { c->scheme, c->value, c->meaning };
}

static void
add_output(struct segment_result *out, enum result_kind kind, const struct seg_result *written, size_t frames)
{
	struct segment_output *o = &out->outputs[out->n_outputs++];

	*o = (struct segment_output) { .kind = kind, .frames = frames, .instances = 1 };
	memcpy(o->series_uid, written->series_uid, sizeof o->series_uid);
	memcpy(o->sop_uid, written->sop_uid, sizeof o->sop_uid);
}

/* What every kind is made from; segments: room for MODEL_MAX_SEGMENTS, borrowed by the result. */
static struct seg_request
describe_run(const struct results_input *in, const struct segment_result *out, struct seg_segment *segments)
{
	const struct segment_request *r = in->r;
	const struct manifest *m = r->manifest;

	for (size_t i = 0; i < m->n_segments; i++) {
		const struct segment_kind *k = &m->segments[i];
		segments[i] = (struct seg_segment) { .number = k->number, .label = k->label, .category = seg_code(&k->category), .type = seg_code(&k->type),
			.anatomy = seg_code(&k->anatomy), .mask = in->mask[i], .fraction = in->fraction[i], .threshold = k->threshold };
		memcpy(segments[i].rgb, k->rgb, sizeof segments[i].rgb);
	}
	return (struct seg_request) {
		.source = in->series[0], .others = in->series + 1, .n_others = r->n_channels - 1, .segments = segments, .n_segments = m->n_segments,
		.identity = r->identity, .node_id = r->node_id, .model_name = m->name, .model_version = m->version, .weights_sha256 = m->weights_sha256,
		.core_type = compute_core(), .created_ms = r->created_ms,
		.out_of_distribution = out->out_of_distribution[0] != '\0' ? out->out_of_distribution : NULL,
	};
}

/* The forms of the SEG that are asked for. first: the first of them, which is what other results refer to; untouched without one. */
static int
write_segs(struct seg_request *run, const struct segment_request *r, struct seg_result *first, struct segment_result *out, struct err *e)
{
	static const struct { enum result_kind kind; enum seg_form form; } forms[] = { { RESULT_SEG, SEG_BINARY }, { RESULT_LABELMAP, SEG_LABELMAP },
		{ RESULT_FRACTIONAL, SEG_FRACTIONAL } };
	struct seg_result written;

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if (r->paths[forms[i].kind] == NULL)
			continue;
		run->form = forms[i].form;
		run->syntax = r->syntax;
		run->series_number = SERIES_NUMBER + forms[i].kind;
		if (seg_write(run, r->paths[forms[i].kind], &written, e) != 0)
			return -1;
		if (first->frames == 0)
			*first = written;
		add_output(out, forms[i].kind, &written, written.frames);
	}
	return 0;
}

static int
write_report(struct seg_request *run, const char *path, const struct seg_result *seg, struct segment_result *out, struct err *e)
{
	struct report_measure measures[MODEL_MAX_SEGMENTS];
	struct report_request request = { .run = run, .seg = seg, .measures = measures };
	struct seg_result written;

	for (size_t i = 0; seg != NULL && i < run->n_segments; i++) {
		struct measure m;
		if (measure_mask(series_grid(run->source), run->segments[i].mask, &m, e) != 0)
			return -1;
		measures[i] = (struct report_measure) { m.volume_ml, m.long_axis_mm, m.diameter_mm };
	}
	run->series_number = SERIES_NUMBER + RESULT_REPORT;
	if (report_write(&request, path, &written, e) != 0)
		return -1;
	add_output(out, RESULT_REPORT, &written, 0);
	return 0;
}

static int
write_rtstruct(struct seg_request *run, const char *path, const struct seg_result *seg, struct segment_result *out, struct err *e)
{
	struct seg_result written;

	run->series_number = SERIES_NUMBER + RESULT_RTSTRUCT;
	if (rtstruct_write(run, seg, path, &written, e) != 0)
		return -1;
	add_output(out, RESULT_RTSTRUCT, &written, 0);
	return 0;
}

static bool
has_finding(const struct seg_request *run, size_t slice, size_t plane)
{
	for (size_t i = 0; i < run->n_segments; i++)
		if (memchr(run->segments[i].mask + slice * plane, 1, plane) != NULL)
			return true;
	return false;
}

/* To capitals: of the small letters burn.c has only those of ml. */
static void
raise_case(char *text)
{
	for (; *text != '\0'; text++)
		*text = (char)toupper((unsigned char)*text);
}

/* A line a segment that was found, and who says so. No name of a patient, no date. Returns how many. */
static size_t
write_legend(const struct seg_request *run, const struct segment_result *found, struct burn_line legend[MODEL_MAX_SEGMENTS + 2])
{
	size_t n = 0;

	for (size_t i = 0; i < found->n_segments; i++) {
		if (found->segments[i].volume_ml <= 0)
			continue;
		snprintf(legend[n].text, sizeof legend[n].text, "%s %.1f", found->segments[i].label, found->segments[i].volume_ml);
		raise_case(legend[n].text);
		snprintf(legend[n].text + strlen(legend[n].text), sizeof legend[n].text - strlen(legend[n].text), " ml");
		memcpy(legend[n++].rgb, run->segments[i].rgb, 3);
	}
	for (int i = 0; i < 2; i++, n++) {
		legend[n] = (struct burn_line) { .rgb = { 255, 255, 255 } };
		snprintf(legend[n].text, sizeof legend[n].text, i == 0 ? "%.30s@%.20s" : "RESEARCH USE ONLY", run->model_name, run->model_version);
		raise_case(legend[n].text);
	}
	return n;
}

/* One image a slice with finding, in the folder. */
static int
write_previews(const struct burn_request *burn, struct capture_request *capture, const char *dir, struct segment_output *o, struct err *e)
{
	const struct grid *g = burn->picture->grid;
	unsigned char *rgb = calloc(g->rows * g->cols, 3);
	int rc = rgb == NULL ? err_set(e, ERR_LIMIT, "no memory for a picture of %zu x %zu", g->rows, g->cols) : 0;

	capture->rgb = rgb;
	for (size_t i = 0; i < g->slices && rc == 0; i++) {
		char name[RESULT_FILE], path[MAX_PATH];
		struct seg_result written;
		if (!has_finding(capture->run, i, g->rows * g->cols))
			continue;
		burn_slice(burn, i, rgb);
		capture->slice = i;
		capture->number = (unsigned)++o->instances;
		result_file_name(RESULT_PREVIEW, o->instances, name);
		snprintf(path, sizeof path, "%s/%s", dir, name);
		rc = capture_write(capture, path, &written, e);
		if (rc == 0 && o->instances == 1) {
			memcpy(o->series_uid, written.series_uid, sizeof o->series_uid);
			memcpy(o->sop_uid, written.sop_uid, sizeof o->sop_uid);
		}
	}
	free(rgb);
	return rc;
}

static int
write_preview_series(struct seg_request *run, const char *dir, const struct seg_result *seg, struct segment_result *out, struct err *e)
{
	struct preview_request picture = { .grid = series_grid(run->source), .voxels = series_voxels(run->source), .n_segments = run->n_segments };
	struct burn_line legend[MODEL_MAX_SEGMENTS + 2];
	struct burn_request burn = { .picture = &picture, .legend = legend, .n_legend = write_legend(run, out, legend) };
	struct capture_request capture = { .run = run, .seg = seg };
	struct segment_output *o = &out->outputs[out->n_outputs++];

	*o = (struct segment_output) { .kind = RESULT_PREVIEW };
	run->series_number = SERIES_NUMBER + RESULT_PREVIEW;
	for (size_t i = 0; i < run->n_segments; i++) {
		picture.segments[i].mask = run->segments[i].mask;
		memcpy(picture.segments[i].rgb, run->segments[i].rgb, 3);
	}
	if (preview_window(&picture.voxels, 0, grid_voxels(picture.grid), burn.range, e) != 0)
		return -1;
	return write_previews(&burn, &capture, dir, o, e);
}

static int
write_picture(const struct results_input *in, struct segment_result *out, struct err *e)
{
	const struct manifest *m = in->r->manifest;
	struct preview_request preview = { .grid = series_grid(in->series[0]), .voxels = series_voxels(in->series[0]), .n_segments = m->n_segments };

	for (size_t i = 0; i < m->n_segments; i++) {
		preview.segments[i].mask = in->mask[i];
		memcpy(preview.segments[i].rgb, m->segments[i].rgb, sizeof preview.segments[i].rgb);
	}
	out->has_preview = true;
	return preview_write(&preview, in->r->preview_path, e);
}

int
results_write(const struct results_input *in, struct segment_result *out, struct err *e)
{
	const struct segment_request *r = in->r;
	struct seg_segment segments[MODEL_MAX_SEGMENTS];
	struct seg_request run = describe_run(in, out, segments);
	struct seg_result first = { 0 }, *seg = &first;

	if (r->probability_path != NULL && nifti_write(r->probability_path, series_grid(in->series[0]), in->probability, r->manifest->network.labels, e) != 0)
		return -1;
	if (!out->present)
		return r->paths[RESULT_REPORT] != NULL && r->empty_report ? write_report(&run, r->paths[RESULT_REPORT], NULL, out, e) : 0;
	if (write_segs(&run, r, &first, out, e) != 0)
		return -1;
	if (first.frames == 0)
		seg = NULL;
	if (seg == NULL && r->paths[RESULT_REPORT] != NULL)
		return err_set(e, ERR_BUG, "a report names the SEG that it measures, and none was made");
	if (r->paths[RESULT_REPORT] != NULL && write_report(&run, r->paths[RESULT_REPORT], seg, out, e) != 0)
		return -1;
	if (r->paths[RESULT_RTSTRUCT] != NULL && write_rtstruct(&run, r->paths[RESULT_RTSTRUCT], seg, out, e) != 0)
		return -1;
	if (r->paths[RESULT_PREVIEW] != NULL && write_preview_series(&run, r->paths[RESULT_PREVIEW], seg, out, e) != 0)
		return -1;
	return r->preview_path == NULL ? 0 : write_picture(in, out, e);
}

/* ---- what a job's JSON says ---- */

/* The instances of an item of the JSON; 0: it is none of ours. */
static size_t
n_instances(const struct json *item, enum result_kind *kind)
{
	const char *name = json_text(json_get(item, "kind"));
	double n = json_number(json_get(item, "instances"), 1);

	if (name == NULL || !result_kind_parse(name, kind) || !(n >= 1 && n <= RESULT_INSTANCES_MAX))
		return 0;
	return result_kind_is_series(*kind) ? (size_t)n : 1;
}

static int
list_files(const struct json *list, unsigned kinds, struct result_file **out, size_t *n, struct err *e)
{
	enum result_kind kind;
	size_t room = 1, position = 0;

	for (const struct json *item = json_first(list); item != NULL; item = json_next(item)) {
		size_t more = n_instances(item, &kind);
		if (more == 0)
			return err_set(e, ERR_BUG, "results of a job: an item that is no result");
		room += more;
	}
	if ((*out = calloc(room, sizeof **out)) == NULL)
		return err_set(e, ERR_LIMIT, "no memory for %zu results", room);
	for (const struct json *item = json_first(list); item != NULL; item = json_next(item)) {
		size_t more = n_instances(item, &kind);
		for (size_t i = 1; i <= more; i++, position++) {
			struct result_file *f = &(*out)[*n];
			if ((kinds & RESULT_SET(kind)) == 0)
				continue;
			f->kind = kind;
			f->position = position;
			result_file_name(kind, i, f->name);
			++*n;
		}
	}
	return 0;
}

int
results_files(const char *json, unsigned kinds, struct result_file **out, size_t *n, struct err *e)
{
	struct json_doc *d;
	int rc;

	*out = NULL;
	*n = 0;
	if (json == NULL || *json == '\0')
		json = "[]";
	if ((d = json_parse(json, strlen(json), 0, e)) == NULL) {
		e->code = ERR_BUG;
		return err_note(e, "results of a job");
	}
	rc = list_files(json_root(d), kinds, out, n, e);
	json_doc_free(d);
	return rc;
}
