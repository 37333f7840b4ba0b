// One file into DCMTK's hands, after scan.c has proven its structure. For this room only.
#pragma once
#include "dicom/scan.h"
#include "dicom/shim.hh"

#include <dcmtk/dcmdata/dctk.h>

// How the pixels of one instance are stored (PS3.3 C.7.6.3, PS3.5 8).
struct pixel_layout {
	size_t rows, cols, samples, frames;
	unsigned bits_allocated, bits_stored, high_bit;
	bool is_signed;
	uint64_t n_bytes;                         // what native pixel data must hold, without padding
};

// Loads the header: values of 64 KiB and more stay in the file, pixel data is taken out of the data set; what stands behind compressed pixel data is left out.
// ERR_INPUT says which tag.
int part10_load(const char *path, DcmFileFormat &file, struct scan *scan, struct err *e);
// The same for a file that scan_file has read: path is what its descriptor was opened by, and stays open.
int part10_load_scanned(const char *path, DcmFileFormat &file, const struct scan *scan, struct err *e);
// Whether the header takes megabytes in memory: who frees it then gives them back (malloc_trim), since nothing else will use them soon.
bool part10_is_large(const struct scan *scan);
// The layout as the data set says it; ERR_INPUT: absent, nonsense, or PixelData shorter than stated.
int part10_layout(DcmItem &item, const struct scan *scan, struct pixel_layout *p, struct err *e);

// The element's whole value as text, trimmed, or false when it is absent, no text or longer than TEXT_MAX. A NUL within stays in the string: nothing is cut off unseen.
bool part10_text(DcmItem &item, const DcmTagKey &tag, OFString &text);
// The same into a fixed array, for codes and identifiers; cut where it does not fit or a NUL stands.
void part10_copy(DcmItem &item, const DcmTagKey &tag, char *to, size_t size);
// A UID into uid; ERR_INPUT naming the tag when it is absent (and required) or malformed; absent and not required: "".
int part10_uid(DcmItem &item, const DcmTagKey &tag, bool is_required, char uid[DICOM_UID], struct err *e);
// One decimal string (PS3.5 6.2), finite, with nothing behind it.
bool part10_number(const OFString &text, double *value);
// n decimal numbers (DS) of which each is finite; false: absent, another count, or no numbers.
bool part10_numbers(DcmItem &item, const DcmTagKey &tag, double *values, size_t n);
