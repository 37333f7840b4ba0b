/* RLE Lossless frames (PS3.5 annex G): a header of up to 15 offsets, then PackBits. Plain C; knows no DICOM beyond the fragment. */
#pragma once
#include "config/err.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { RLE_MOST = 64 };                       /* bytes that one byte can become: 2 bytes are at most 128 */

/* One frame's fragment -> n_planes planes of plane_bytes each, one after the other, the most significant bytes first. ERR_INPUT: another number of planes,
 * offsets outside, a plane that ends early or is longer. */
int rle_decode(const uint8_t *fragment, size_t n, size_t n_planes, size_t plane_bytes, uint8_t *planes, struct err *e);

/* One plane of bytes -> a fragment with its header, padded to even. to: room for rle_room(n). Returns its length. */
size_t rle_room(size_t n);
size_t rle_encode(const uint8_t *plane, size_t n, uint8_t *to);

#ifdef __cplusplus
}
#endif
