/* DICOM Segmentation, BINARY (PS3.3 A.51, C.8.20), as DICOM.md 1 says: masks on the source's own grid, frames only where there is something. */
#pragma once
#include "dicom/codes.h"
#include "dicom/series.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct seg_segment {
	unsigned number;                          /* 1.., in order */
	const char *label;
	struct seg_code category, type, anatomy;
	unsigned char rgb[3];                     /* sRGB; written as CIELab */
	const uint8_t *mask;                      /* borrowed; (slices, rows, cols) of the source, 0/1 */
};

struct seg_request {
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
