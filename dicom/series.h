/* Files of one series -> one checked volume. Single-frame and Enhanced multi-frame MR and CT, implicit and explicit VR little endian (others: refused in words).
 * Which frames are the volume when a series holds more than one: split.cc. */
#pragma once
#include "config/grid.h"
#include "config/voxels.h"
#include "dicom/dicom.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum series_verdict {
	SERIES_WHOLE,
	SERIES_GAP,                               /* as GEOMETRY_GAP */
	SERIES_BAD,                               /* can never be one volume: doubled position, two patients, studies or frames of reference, mixed orientation, ... */
	SERIES_IGNORED                            /* not an image series that we segment (SR, localizer geometry, colour, secondary capture, ...) */
};

struct series_info {
	char study_uid[DICOM_UID], series_uid[DICOM_UID], modality[17], description[129] /* untrusted UTF-8 */;
	char frame_of_reference[DICOM_UID];       /* of a series that has none: one derived from its UID, equal to no other's */
	size_t n_instances, n_slices;             /* n_slices: of the volume; of the whole series while it is none */
	struct grid grid;                         /* valid for SERIES_WHOLE */
	char chosen[160];                         /* for SERIES_WHOLE: which slices of the series are the volume, and why those; "": all that were given */
};

/* frames: (n) of a multi-frame file those that count (dicom/frames.h), of a single-frame one "" or "0": not at all; NULL: all. */
struct series_input {
	const char *const *paths;
	size_t n;
	const char *const *frames;
};

/* Headers only. -1: a file could not be read (e says which). Else *verdict, and for all but WHOLE reason->text: slice (UID) and tag, never a patient's value. */
int series_check(const struct series_input *in, enum series_verdict *verdict, struct series_info *info, struct err *reason, struct err *e);

struct series;
/* Checks again; ERR_INPUT for every verdict but WHOLE. Its voxels are not there yet, all else is. borrows the paths. caller: series_free. */
struct series *series_open(const struct series_input *in, struct err *e);
int series_decode(struct series *s, struct err *e);                           /* its voxels, 2 bytes each; once. The paths are not needed any more */
void series_forget_voxels(struct series *s);                                  /* gives their memory back */
struct series *series_load(const struct series_input *in, struct err *e);     /* opens and decodes. caller: series_free */
void series_free(struct series *s);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* g++: a function named as a struct; two things in C */
const struct series_info *series_info(const struct series *s);               /* borrowed */
#pragma GCC diagnostic pop
const struct grid *series_grid(const struct series *s);                      /* borrowed */
struct voxels series_voxels(const struct series *s);                         /* what it holds is borrowed; rescaled; MONOCHROME1 inverted */

#ifdef __cplusplus
}
#endif
