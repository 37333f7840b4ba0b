/* How large a data set may be before it is refused, whoever brings it (RELIABILITY rule 6): settings of the daemon, defaults of the commands, and as wide as
 * can be in a worker, whose files have passed the daemon and whose memory is limited. Plain C. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { BOUNDS_MOST_DEPTH = 256, BOUNDS_MOST_ELEMENTS = 4000000 };

struct dicom_bounds {
	size_t depth;                             /* nested sequences and items; at most BOUNDS_MOST_DEPTH */
	size_t elements;                          /* items count too; at most BOUNDS_MOST_ELEMENTS */
	uint64_t data_set_bytes;                  /* of a deflated one: inflated */
	uint64_t decoded_bytes;                   /* the pixels of one instance, or the volume of a series (4 bytes a voxel), once they are decoded */
};

extern const struct dicom_bounds dicom_bounds_widest;
void dicom_bounds_set(const struct dicom_bounds *b);     /* before there are other threads */
const struct dicom_bounds *dicom_bounds_now(void);       /* borrowed */

#ifdef __cplusplus
}
#endif
