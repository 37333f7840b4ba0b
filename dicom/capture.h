/* A colour picture of one slice as a Secondary Capture Image (PS3.3 A.8.1), for archives whose viewer cannot show segmentations. */
#pragma once
#include "dicom/seg.h"

#ifdef __cplusplus
extern "C" {
#endif

struct capture_request {
	const struct seg_request *run;            /* as for the SEG; series_number: the pictures'; masks are not looked at */
	const struct seg_result *seg;             /* what is drawn in it comes from there; NULL: there is no SEG */
	size_t slice;                             /* of the source's grid */
	unsigned number;                          /* 1.. within the series of pictures */
	const unsigned char *rgb;                 /* (rows, cols, 3) of the grid */
};
/* Writes path whole or not at all. The same request gives the same bytes. */
int capture_write(const struct capture_request *r, const char *path, struct seg_result *out, struct err *e);

#ifdef __cplusplus
}
#endif
