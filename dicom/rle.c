/* PackBits (PS3.5 G.3): a byte c, then: 0..127: c + 1 bytes as they are; 129..255: one byte, 257 - c times; 128: nothing. */
#include "dicom/rle.h"

#include <string.h>

enum { HEADER = 64, MAX_PLANES = 15 };

static uint32_t
little_endian(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Bytes written: n_to when the plane is whole. What stands behind (padding) is not looked at. */
static size_t
unpack(const uint8_t *from, size_t n_from, uint8_t *to, size_t n_to)
{
	size_t at = 0, done = 0;

	while (done < n_to && at < n_from) {
		unsigned code = from[at++];
		size_t run = code < 128 ? code + 1 : code > 128 ? 257 - code : 0;
		size_t needed = code < 128 ? run : code > 128;
		if (needed > n_from - at)
			break;
		if (run > n_to - done)
			run = n_to - done;
		if (code < 128)
			memcpy(to + done, from + at, run);
		else if (code > 128)
			memset(to + done, from[at], run);
		at += needed;
		done += run;
	}
	return done;
}

int
rle_decode(const uint8_t *fragment, size_t n, size_t n_planes, size_t plane_bytes, uint8_t *planes, struct err *e)
{
	if (n < HEADER || n_planes > MAX_PLANES || little_endian(fragment) != n_planes)
		return err_set(e, ERR_INPUT, "an RLE frame of %zu bytes is not one of %zu plane%s", n, n_planes, n_planes == 1 ? "" : "s");
	for (size_t i = 0; i < n_planes; i++) {
		size_t begin = little_endian(fragment + 4 + 4 * i), end = i + 1 < n_planes ? little_endian(fragment + 8 + 4 * i) : n;
		if (begin < HEADER || begin > end || end > n)
			return err_set(e, ERR_INPUT, "RLE plane %zu lies outside its frame", i + 1);
		if (unpack(fragment + begin, end - begin, planes + i * plane_bytes, plane_bytes) != plane_bytes)
			return err_set(e, ERR_INPUT, "RLE plane %zu ends early", i + 1);
	}
	return 0;
}
