/* RT Structure Set (PS3.3 A.19): the outlines of every segment, slice by slice, for planning systems. */
#pragma once
#include "dicom/seg.h"

#ifdef __cplusplus
extern "C" {
#endif

/* run: masks and all, as for the SEG; series_number: the structure set's. seg: what seg_write said, named as what the regions come from; NULL: there is no SEG.
 * Writes path whole or not at all. ERR_INPUT when no mask has a voxel. The same request gives the same bytes. out->frames: outlines. */
int rtstruct_write(const struct seg_request *run, const struct seg_result *seg, const char *path, struct seg_result *out, struct err *e);

#ifdef __cplusplus
}
#endif
