/* Measurement report (PS3.16 TID 1500) as a Comprehensive 3D SR (PS3.3 A.35.13): volume and largest diameters of every segment of a SEG. */
#pragma once
#include "dicom/seg.h"

#ifdef __cplusplus
extern "C" {
#endif

struct report_measure { double volume_ml, long_axis_mm, diameter_mm; };       /* all 0: this segment was not found */
struct report_request {
	const struct seg_request *run;            /* of the SEG; series_number: the report's; its masks are not looked at */
	const struct seg_result *seg;             /* what seg_write said; NULL: nothing was found, there is no SEG */
	const struct report_measure *measures;    /* one a segment; NULL without a SEG */
};
/* Writes path whole or not at all. The same request gives the same bytes. */
int report_write(const struct report_request *r, const char *path, struct seg_result *out, struct err *e);

#ifdef __cplusplus
}
#endif
