/* DICOM Segmentation (PS3.3 A.51, C.8.20), as DICOM.md 1 says: on the source's own grid, frames only where there is something. Three forms of the same
 * finding, each an object of its own with UIDs of its own; segments have the same numbers, codes, colours and tracking UIDs in all of them. */
#pragma once
#include "config/seg_syntax.h"
#include "dicom/codes.h"
#include "dicom/series.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SEG_LABELMAP_CLASS "1.2.840.10008.5.1.4.1.1.66.7" /* Label Map Segmentation Storage */

enum seg_form {
	SEG_BINARY,                               /* one bit a pixel and segment */
	SEG_LABELMAP,                             /* Label Map Segmentation (Sup 243): a pixel is the number of its segment. Where segments overlap the innermost,
	                                             which is the smallest of the case, has the voxel; the segments' descriptions say so */
	SEG_FRACTIONAL                            /* PROBABILITY, 255 is 1: where what BINARY shows comes from */
};

struct seg_segment {
	unsigned number;                          /* 1.., in order */
	const char *label;
	struct seg_code category, type, anatomy;
	unsigned char rgb[3];                     /* sRGB; written as CIELab */
	const uint8_t *mask;                      /* borrowed; (slices, rows, cols) of the source, 0/1 */
	const uint8_t *fraction;                  /* borrowed; SEG_FRACTIONAL: probabilities of the same shape, 255 is 1 (model/fraction.h); else NULL */
	double threshold;                         /* the probability from which the mask begins; FRACTIONAL says it in words */
};

struct seg_request {
	enum seg_form form;
	enum seg_syntax syntax;                   /* SEG_RLE: not for BINARY, which readers of one-bit RLE understand in two ways */
	const struct series *source;
	const struct series *const *others;       /* further input series, referenced too */
	size_t n_others;
	const struct seg_segment *segments;
	size_t n_segments;
	const char *identity;                     /* text from which every UID derives (DESIGN small print "UIDs of results") */
	const char *node_id;                      /* DeviceSerialNumber */
	const char *model_name, *model_version, *weights_sha256, *core_type;
	const char *out_of_distribution;          /* in words (ASCII), how the images are unlike those that the model was trained on; NULL: they are not */
	unsigned series_number;
	int64_t created_ms;                       /* all dates in the object; UTC */
};

struct seg_result {
	char series_uid[DICOM_UID], sop_uid[DICOM_UID], sop_class[DICOM_UID];
	size_t frames;
};

/* Writes path whole or not at all. ERR_INPUT when no mask has a voxel (no frame to write). The same request gives the same bytes. */
int seg_write(const struct seg_request *r, const char *path, struct seg_result *out, struct err *e);

#ifdef __cplusplus
}
#endif
