/* How much memory a case takes at most, said before any of it is taken: what cannot fit ends at once and names the figure that would do. In MB:
 *     256                   the program, its libraries and the model
 *   + 1/8 an instance       its header, and what results say of it
 *   + 2 bytes a voxel       of every channel, as stored; 4 more of the first channel's voxels for each channel on another grid
 *   + 1 byte a voxel        of the first channel for each segment: its mask; 1 more for `fractional`, 4 for --probability
 *   + 1/8 byte a voxel      for each segment: a SEG of it, `labelmap` and `fractional` 1 byte
 *   + the network           infer_need: what its threads hold, and of a series that is resampled into the model's plane all probabilities, 4 bytes a pixel */
#pragma once
#include "dicom/series.h"
#include "service/flow/segment.h"

/* series: one a channel, opened. */
int need_mb(const struct segment_request *r, struct series *const *series, double *mb, struct err *e);
/* ERR_INPUT when that is over r->memory_mb. */
int need_check(const struct segment_request *r, struct series *const *series, struct err *e);
