/* Where slices lie: order, gaps, doubles, tilt, orientation. Plain C, no DCMTK. Tolerances: DESIGN.md, small print "Verdicts". */
#pragma once
#include "config/grid.h"
#include "dicom/dicom.h"

#ifdef __cplusplus
extern "C" {
#endif

struct slice {                                /* one slice as its header tells; PS3.3 C.7.6.2 */
	char name[DICOM_UID + 20];                /* for reasons: SOP Instance UID, and which frame of a multi-frame instance */
	double position_mm[3], row_dir[3], col_dir[3], spacing_mm[2] /* between rows, between columns */, thickness_mm /* 0 = absent */;
	size_t rows, cols;
};

enum geometry_verdict {
	GEOMETRY_WHOLE,
	GEOMETRY_GAP,                             /* slices are missing or unevenly spaced: more slices may cure it */
	GEOMETRY_DOUBLED,                         /* two slices in one place: more slices cannot cure it, fewer may */
	GEOMETRY_BAD                              /* mixed orientation or size, tilt: nothing can */
};

/* order[i] = index of the i-th slice along the normal (n entries, caller's). On WHOLE the grid is filled (one slice: spacing = thickness, else 1 mm).
 * Else reason says which slices (names, positions) and which tag; on DOUBLED order[0] and order[1] are the two. */
enum geometry_verdict geometry_order(const struct slice *slices, size_t n, size_t *order, struct grid *grid, struct err *reason);

#ifdef __cplusplus
}
#endif
