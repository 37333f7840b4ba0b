/* Which segments of a SEG are which maps of a model, and whether the SEG counts as a label (DESIGN.md, "Training from the archive"). */
#pragma once
#include "dicom/seg_read.h"
#include "model/manifest.h"

/* numbers[i]: the SEG's segment number for segment i of the model: a match of category, type and modifier that is the only one on both sides, else the only
 * one of its label. ERR_INPUT names the segment of the model that has none, or more than one. */
int labels_map(const struct seg_file *seg, const struct manifest *m, unsigned numbers[MODEL_MAX_SEGMENTS], struct err *e);

enum label_kind {
	LABEL_YES,                     /* MANUAL or SEMIAUTOMATIC, or ours with other pixels */
	LABEL_OURS,                    /* what this program found, unchanged: never one */
	LABEL_IF_DIFFERENT             /* AUTOMATIC by somebody: a correction where it differs from ours on the same images */
};
enum label_kind labels_judge(const struct seg_file *seg, const unsigned *numbers, size_t n);
const char *labels_algorithm_type(const struct seg_file *seg, unsigned number);   /* borrowed */
