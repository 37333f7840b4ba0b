/* The header of one instance as values, for intake, rules and metadata. Reads no pixel value beyond its digest. */
#pragma once
#include "config/digest.h"
#include "dicom/dicom.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct instance_header {
	char sop_class[DICOM_UID], sop_uid[DICOM_UID], study_uid[DICOM_UID], series_uid[DICOM_UID], transfer_syntax[DICOM_UID];
	char modality[17];
	bool has_pixels;
	bool is_ours;                      /* written by this program (DeviceSerialNumber = our node id is for the caller to compare) */
	char device_serial[65];
	char digest[DIGEST_HEX];           /* of the data set without group 2, as received */
	char content_digest[DIGEST_HEX];   /* of SOP class, study, series, geometry and pixel values: equal in another transfer syntax (DESIGN small print) */
};

struct attributes;
/* A Part 10 file. ERR_INPUT: not DICOM, truncated, a required UID missing or malformed, pixel data shorter than stated: says which tag. caller: attributes_free. */
struct attributes *attributes_load(const char *path, struct err *e);
/* The same for who asks for texts only: the header's digests are "". */
struct attributes *attributes_load_values(const char *path, struct err *e);
/* The header's digest alone, without reading what the header says: is the file still what it was? */
int attributes_digest(const char *path, char hex[DIGEST_HEX], struct err *e);
void attributes_free(struct attributes *a);
const struct instance_header *attributes_header(const struct attributes *a);   /* borrowed */
/* The attribute's text by keyword or "GGGG,EEEE": values joined by '\', trailing spaces cut, in UTF-8. NULL: absent (an empty one is ""). Looked up in the
 * main data set, then in the functional groups: shared, then the first frame's, or, of what tells frames apart (echo, time, stack, kind, ...), every frame's
 * value once. In Enhanced instances EchoTime, InversionTime, ImageType, SequenceName, ScanningSequence, ContrastBolusAgent, AngioFlag, AcquisitionDate and
 * AcquisitionTime are found under the names that those have for them. borrowed until the next call or free. */
const char *attributes_text(struct attributes *a, const char *keyword);
/* Of a multi-frame instance: how many there are (0: single-frame); which one attributes_text speaks of from now on (1..; 0: all, as at first). */
size_t attributes_n_frames(const struct attributes *a);
void attributes_set_frame(struct attributes *a, size_t frame);

#ifdef __cplusplus
}
#endif
