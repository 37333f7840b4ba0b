/* Series -> volumes -> probabilities -> masks -> SEG: the one function that sees both DICOM and the network. `segan segment` and the worker call it. */
#pragma once
#include "config/json.h"
#include "model/manifest.h"
#include "model/segan.h"

#include <stdint.h>

struct segment_channel { char channel[33]; const char *const *paths; size_t n_paths; };
struct segment_request {
	const struct manifest *manifest;
	struct segmentor *segmentor;                 /* loaded from it */
	const struct segment_channel *channels;      /* in the manifest's order */
	size_t n_channels;
	const char *identity, *node_id;              /* see dicom/seg.h */
	int64_t created_ms;
	const char *seg_path;                        /* NULL = no SEG */
	const char *preview_path;                    /* NULL = no PNG */
	const char *probability_path;                /* NULL = no NIfTI */
};
struct segment_result {
	bool present;                                /* finding: present or none */
	size_t n_segments;
	struct { unsigned number; char label[65]; double volume_ml; } segments[MODEL_MAX_SEGMENTS];
	char series_uid[65], sop_uid[65];            /* of the SEG; "" when none */
	size_t frames;
	bool has_preview;
	int64_t read_ms, prepare_ms, segment_ms, write_ms;
};
int segment_case(const struct segment_request *r, struct segment_result *out, progress_fn progress, void *arg, struct err *e);

/* The pieces of a job's JSON that a result holds (DESIGN "HTTP"); caller: json_free. */
struct json *segment_segments_json(const struct segment_result *r);
struct json *segment_results_json(const struct segment_result *r);
struct json *segment_timings_json(const struct segment_result *r);
