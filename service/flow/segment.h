/* Series -> volumes -> probabilities -> masks -> SEG: the one function that sees both DICOM and the network. `segan segment` and the worker call it. */
#pragma once
#include "config/json.h"
#include "config/result_kind.h"
#include "config/seg_syntax.h"
#include "model/manifest.h"
#include "model/segan.h"

#include <stdint.h>

struct segment_channel {
	char channel[33];
	const char *const *paths;
	size_t n_paths;
	const char *const *frames;                   /* (n_paths) of each file the frames that count (dicom/frames.h); NULL: all */
	bool is_registered;                          /* it lies where the first channel does, though its FrameOfReferenceUID is another: a rule says so */
};
struct segment_request {
	const struct manifest *manifest;
	struct segmentor *segmentor;                 /* loaded from it */
	const struct segment_channel *channels;      /* in the manifest's order */
	size_t n_channels;
	const char *identity, *node_id;              /* see dicom/seg.h */
	int64_t created_ms;
	const char *paths[RESULT_N_KINDS];           /* NULL = not made; a kind with several instances: the folder where they go. A report needs a SEG */
	enum seg_syntax syntax;                      /* of the SEGs */
	int64_t memory_mb;                           /* worker_memory_mb, see need.h; 0 = no bound */
	bool empty_report;                           /* the report also where nothing was found */
	bool rejects_strangers;                      /* an input out of distribution is ERR_INPUT, and nothing is made */
	const char *preview_path;                    /* NULL = no PNG */
	const char *probability_path;                /* NULL = no NIfTI */
};
struct segment_output {                          /* one kind of result, as written */
	enum result_kind kind;
	char series_uid[65], sop_uid[65];            /* sop_uid: of the first instance */
	size_t frames, instances;                    /* frames: of a multi-frame instance, else 0 */
};
struct segment_result {
	bool present;                                /* finding: present or none */
	size_t n_segments;
	struct { unsigned number; char label[65]; double volume_ml; } segments[MODEL_MAX_SEGMENTS];
	size_t n_outputs;
	struct segment_output outputs[RESULT_N_KINDS];
	bool has_preview;
	char out_of_distribution[768];               /* which figures of the input are how far outside the training's; "" none */
	int64_t read_ms, prepare_ms, segment_ms, write_ms;
};
/* out->out_of_distribution is set whatever comes back. */
int segment_case(const struct segment_request *r, struct segment_result *out, progress_fn progress, void *arg, struct err *e);

#define SEGMENT_FLAG_OUT_OF_DISTRIBUTION "out_of_distribution"
#define SEGMENT_OUT_OF_DISTRIBUTION "out of distribution"

/* The pieces of a job's JSON that a result holds (DESIGN "HTTP"); caller: json_free. */
struct json *segment_flags_json(const struct segment_result *r);       /* {FLAG: why, in words} */
struct json *segment_segments_json(const struct segment_result *r);
struct json *segment_results_json(const struct segment_result *r);
struct json *segment_timings_json(const struct segment_result *r);
