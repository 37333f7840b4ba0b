/* How a folder of NIfTI cases is laid out: files a channel, mask values a segment, how the patient is found in the folder's name (DESIGN.md, small print
 * "NIfTI layouts"). Built in: plain, lgg, brats2013, brats2020, brats2023; others are JSON files of the same form. */
#pragma once
#include "config/err.h"
#include "model/manifest.h"

#include <stdint.h>

enum { LAYOUT_MAX_PATTERNS = 8, LAYOUT_MAX_CHANNELS = 16, LAYOUT_MAX_VALUE = 255 };

struct layout_files {                                 /* shell patterns for a file's name; the first that fits any file is the one that counts */
	char name[33];                                /* of the channel; "mask" */
	char patterns[LAYOUT_MAX_PATTERNS][65];
	size_t n_patterns;
};

struct layout {
	struct layout_files channels[LAYOUT_MAX_CHANNELS], mask;
	size_t n_channels;
	char labels[MODEL_MAX_SEGMENTS][65];
	size_t n_segments;
	bool is_known[LAYOUT_MAX_VALUE + 1];          /* mask values that the table has, background among them */
	uint16_t segments_of[LAYOUT_MAX_VALUE + 1];   /* bit i: the value belongs to segment i */
	char patient[257];                            /* POSIX extended; its first group, else all that it matches, is the patient */
	bool may_be_empty;                            /* a mask without a voxel is a case too */
};

/* A built-in name, or a file that ends in .json. ERR_NOT_FOUND lists the names; ERR_INPUT names file, key and what is allowed. */
int layout_find(const char *name, struct layout *out, struct err *e);
const struct layout_files *layout_channel(const struct layout *l, const char *channel); /* NULL when the layout has none; borrowed */
