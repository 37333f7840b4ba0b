/* The structure of a Part 10 file, proven sound before DCMTK may read it: DCMTK recurses once a level and trusts what lengths say. For this room only.
 * Knows tags, lengths and nesting (PS3.5 7, PS3.10 7.1), no dictionary and no value but the transfer syntax. Plain C, no DCMTK. */
#pragma once
#include "dicom/dicom.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SCAN_MAX_UNSORTED = 100, SCAN_MAX_HEADER = 128 << 20 /* bytes of all but the largest value */ }; /* what is a setting: bounds.h */

struct scan {
	char transfer_syntax[DICOM_UID];
	bool is_implicit, is_encapsulated;        /* the data set's VRs; the pixel data */
	bool is_big_endian, is_deflated;          /* deflated: all offsets are those of bytes.h, of the file as if it were inflated */
	uint64_t size, data_set;                  /* the file's; where the data set begins */
	bool has_pixels;                          /* PixelData, Float or Double Float PixelData in the main data set */
	bool has_integer_pixels;                  /* it is PixelData */
	bool has_pixel_words;                     /* its VR is OW, or implicit */
	uint64_t pixels, n_pixel_bytes;           /* its value, as stored (padding and, when encapsulated, item tags included) */
	size_t n_elements;
	uint64_t header_bytes;                    /* of all values but the largest, which is mostly the pixels; deflated: but the pixels, all else comes into memory */
};

/* ERR_INPUT: not Part 10, truncated, beyond a bound of bounds.h, ...: says tag and byte. A syntax of another name is taken for an encapsulated one: whether its pixels are
 * read is for the caller (syntax.h). */
int scan_file(int fd, struct scan *s, struct err *e);

#ifdef __cplusplus
}
#endif
