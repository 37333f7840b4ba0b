/* model.json: what a model takes, how its input is prepared, what its maps mean. Values only. Unknown kinds are refused, unknown keys are not
 * (training writes notes there). ERR_INPUT names file, key and what is allowed. */
#pragma once
#include "config/err.h"
#include "model/likeness.h"

#include <stdbool.h>
#include <stddef.h>

#define MANIFEST_NEIGHBOUR_MM 5.0             /* of a model.json that does not say */
#define MANIFEST_NEIGHBOUR_LEAST_MM 0.05
#define MANIFEST_NEIGHBOUR_MOST_MM 50.0
enum { MODEL_TEXT = 128, MODEL_MAX_CHANNELS = 8, MODEL_MAX_SEGMENTS = 16 };

struct code { char scheme[17], value[65], meaning[MODEL_TEXT]; }; /* coding scheme designator, code value, code meaning (PS3.3 8) */

enum network_kind { NETWORK_SEGAN, NETWORK_UNET };
enum network_skip { SKIP_SUM, SKIP_CONCAT };
struct network {                       /* SEGAN.md "Networks" */
	enum network_kind kind;
	enum network_skip skip;
	size_t channels, width, labels;    /* inputs (channels of the model x slices of each), maps of the first level, label maps */
	double leaky_slope, bn_eps;
};

struct normalisation {                 /* kind "percentile-head", SEGAN.md last section */
	double floor_percentile;           /* subtracted first */
	double head_fraction, head_percentile; /* head = voxels over head_fraction x that percentile */
	double low_percentile, high_percentile, clip[2];
};

struct segment_kind {                  /* one segment of every result: number, code and colour never change from case to case */
	unsigned number;                   /* 1.. */
	size_t map;                        /* which label map of the network */
	char label[65];
	double threshold, minimum_ml;      /* probability >= threshold; smaller connected pieces are removed */
	double peak;                       /* and those that reach this probability nowhere (hysteresis); 0: all stay */
	unsigned char rgb[3];              /* sRGB */
	struct code category, type, anatomy;
};

struct manifest {
	char dir[1024];                    /* the model's folder */
	char name[65], version[65], description[512], licence[256];
	char channels[MODEL_MAX_CHANNELS][33];
	size_t n_channels;
	struct network network;
	char plane[17];                    /* "axial" */
	double spacing_mm;                 /* in plane */
	bool skull_present;
	size_t pad_multiple;
	size_t neighbours;                 /* 2.5-D: slices below and above that go in with each slice, at the edge the last one again; 0: the slice alone */
	double neighbour_mm;               /* how far apart the slices of the model's training were: a series that is resampled into the model's plane, where slices
	                                    * may lie closer, takes its neighbours about so far away. Of slices as acquired they are the ones beside. MANIFEST_NEIGHBOUR_MM when not said */
	bool mirror;                       /* each slice goes in as it is and mirrored left to right: the mean of both counts */
	struct normalisation normalisation;
	struct segment_kind segments[MODEL_MAX_SEGMENTS];
	size_t n_segments;
	struct likeness_range statistics[MODEL_MAX_CHANNELS]; /* of the training's cases, one a channel; n_cases 0: the model has none */
	char weights_sha256[65];
};

int manifest_load(const char *dir, struct manifest *out, struct err *e);   /* reads DIR/model.json; does not open the weights */
/* The same from a parsed text; out->dir is "". Errors name the key. */
struct json;
struct json_doc;
int manifest_read(const struct json_doc *doc, const struct json *root, struct manifest *out, struct err *e);
struct json *manifest_json(const struct manifest *m);                      /* what model.json holds; reading it gives m again. caller: json_free */
struct json *manifest_statistics_json(const struct manifest *m);           /* its "statistics". caller: json_free */
