/* Segmentations that others (or we) wrote, read back onto the grid of a loaded series (PS3.3 A.51, A.51.5.1, C.8.20): BINARY, FRACTIONAL (half of the
 * maximum and more is inside) and LABELMAP (greyscale or PALETTE COLOR: the numbers count, not the colours), uncompressed (big endian too), deflated or RLE Lossless. Frames go to slices by the instance that they refer to and by their plane
 * position; where both are there they must agree. Nothing is resampled: a SEG on another grid is ERR_INPUT. */
#pragma once
#include "dicom/series.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum seg_origin {
	SEG_OTHERS,                               /* says nothing of our Algorithm Parameters (0066,0032) */
	SEG_OURS,                                 /* written by this program, its pixels as they were written */
	SEG_OURS_CHANGED                          /* says it is ours, but the pixels are other ones: a correction */
};

struct seg_term { char scheme[17], value[65]; };      /* "" where it is absent */
struct seg_read_segment {
	unsigned number;
	char label[65];                           /* untrusted UTF-8 */
	struct seg_term category, type, modifier;
	char algorithm_type[17];                  /* MANUAL, SEMIAUTOMATIC, AUTOMATIC; "" */
};

struct seg_info {
	char study_uid[DICOM_UID], series_uid[DICOM_UID], sop_uid[DICOM_UID];
	char creator[65];                         /* ContentCreatorName; untrusted UTF-8 */
	char created[32];                         /* ContentDate and ContentTime as text, to compare */
	char first_source[DICOM_UID];             /* the instance that the first frame refers to; "" */
	enum seg_origin origin;
	size_t n_segments;
};

struct seg_file;
/* Header and frame list; pixels stay in the file. ERR_INPUT: no SEG, compressed, what is missing or makes no sense, which tag. caller: seg_read_free. */
struct seg_file *seg_read_open(const char *path, struct err *e);
void seg_read_free(struct seg_file *s);
const struct seg_info *seg_read_info(const struct seg_file *s);              /* borrowed */
const struct seg_read_segment *seg_read_at(const struct seg_file *s, size_t i); /* borrowed */
bool seg_read_refers_to(const struct seg_file *s, const char *series_uid);   /* in its Referenced Series Sequence */

/* masks[i]: (slices, rows, cols) of the series' grid, filled with 0/1 of segment number numbers[i]. ERR_INPUT: a frame that does not lie on a slice. */
int seg_read_masks(const struct seg_file *s, const struct series *source, const unsigned *numbers, size_t n, uint8_t *const *masks, struct err *e);

#ifdef __cplusplus
}
#endif
