/* PackBits (PS3.5 G.3): a byte c, then: 0..127: c + 1 bytes as they are; 129..255: one byte, 257 - c times; 128: nothing. */
#include "dicom/rle.h"

#include <string.h>

enum { HEADER = 64, MAX_PLANES = 15, LONGEST = 128 /* bytes that one code stands for */, MOST_PADDING = 3 /* bytes behind a plane */ };

static uint32_t
little_endian(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Bytes written: n_to when the plane is whole. *left: bytes behind it, padding. */
static size_t
unpack(const uint8_t *from, size_t n_from, uint8_t *to, size_t n_to, size_t *left)
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
	*left = n_from - at;
	return done;
}

int
rle_decode(const uint8_t *fragment, size_t n, size_t n_planes, size_t plane_bytes, uint8_t *planes, struct err *e)
{
	if (n < HEADER || n_planes > MAX_PLANES || little_endian(fragment) != n_planes)
		return err_set(e, ERR_INPUT, "an RLE frame of %zu bytes is not one of %zu plane%s", n, n_planes, n_planes == 1 ? "" : "s");
	for (size_t i = 0; i < n_planes; i++) {
		size_t left, begin = little_endian(fragment + 4 + 4 * i), end = i + 1 < n_planes ? little_endian(fragment + 8 + 4 * i) : n;
		if (begin < HEADER || begin > end || end > n)
			return err_set(e, ERR_INPUT, "RLE plane %zu lies outside its frame", i + 1);
		if (unpack(fragment + begin, end - begin, planes + i * plane_bytes, plane_bytes, &left) != plane_bytes)
			return err_set(e, ERR_INPUT, "RLE plane %zu ends early", i + 1);
		if (left > MOST_PADDING)
			return err_set(e, ERR_INPUT, "RLE plane %zu is longer than Rows x Columns", i + 1);
	}
	return 0;
}

/* A code for every 128 bytes is the worst that can be. */
size_t
rle_room(size_t n)
{
	return HEADER + n + n / LONGEST + 2;
}

/* How often the first byte stands there in a row, LONGEST at most. */
static size_t
run_at(const uint8_t *from, size_t n)
{
	size_t run = 1;

	while (run < n && run < LONGEST && from[run] == from[0])
		run++;
	return run;
}

/* Bytes up to the next run of three or more, which is where a run begins to be shorter. */
static size_t
literal_at(const uint8_t *from, size_t n)
{
	size_t count = 1;

	while (count < n && count < LONGEST && !(n - count >= 3 && from[count] == from[count + 1] && from[count] == from[count + 2]))
		count++;
	return count;
}

size_t
rle_encode(const uint8_t *plane, size_t n, uint8_t *to)
{
	size_t at = 0, done = HEADER;

	memset(to, 0, HEADER);
	to[0] = 1;                           /* planes */
	to[4] = HEADER;                      /* where the first begins */
	while (at < n) {
		size_t run = run_at(plane + at, n - at);
		if (run > 2) {
			to[done++] = (uint8_t)(257 - run);
			to[done++] = plane[at];
		} else {
			run = literal_at(plane + at, n - at);
			to[done++] = (uint8_t)(run - 1);
			memcpy(to + done, plane + at, run);
			done += run;
		}
		at += run;
	}
	if (done % 2 != 0)
		to[done++] = 0;
	return done;
}
