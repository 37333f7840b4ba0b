/* RLE Lossless frames (PS3.5 annex G): the standard's own kinds of run, planes, and fragments that lie. */
#include "dicom/rle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { HEADER = 64 };

/* A frame of one plane of these packed bytes. */
static size_t
frame(uint8_t *to, const uint8_t *packed, size_t n)
{
	memset(to, 0, HEADER);
	to[0] = 1;
	to[4] = HEADER;
	memcpy(to + HEADER, packed, n);
	return HEADER + n;
}

static void
unpacks_runs_and_literals(void **state)
{
	static const uint8_t packed[] = { 2, 7, 8, 9, 128, 254, 5, 0, 1, 255, 3, 0 }, wanted[] = { 7, 8, 9, 5, 5, 5, 1, 3, 3 };
	uint8_t fragment[128], got[sizeof wanted];
	struct err e;

	(void)state;
	assert_int_equal(rle_decode(fragment, frame(fragment, packed, sizeof packed), 1, sizeof got, got, &e), 0);
	assert_memory_equal(got, wanted, sizeof wanted);
}

static void
unpacks_planes(void **state)
{
	static const uint8_t packed[] = { 253, 1, 3, 10, 20, 30, 40 }, wanted[] = { 1, 1, 1, 1, 10, 20, 30, 40 };
	uint8_t fragment[128], got[sizeof wanted];
	struct err e;
	size_t n = frame(fragment, packed, sizeof packed);

	(void)state;
	fragment[0] = 2;
	fragment[8] = HEADER + 2;
	assert_int_equal(rle_decode(fragment, n, 2, 4, got, &e), 0);
	assert_memory_equal(got, wanted, sizeof wanted);
}

static void
a_run_does_not_pass_the_plane(void **state)
{
	static const uint8_t packed[] = { 129, 9 };
	uint8_t fragment[128], got[4] = { 0, 0, 0, 77 };
	struct err e;

	(void)state;
	assert_int_equal(rle_decode(fragment, frame(fragment, packed, sizeof packed), 1, 3, got, &e), 0);
	assert_int_equal(got[2], 9);
	assert_int_equal(got[3], 77);
}

static void
refuses_what_lies(void **state)
{
	static const uint8_t early[] = { 0, 1 }, cut[] = { 9, 1, 2 }, run[] = { 200 };
	uint8_t fragment[128], got[16];
	struct err e = { 0 };
	size_t n;

	(void)state;
	assert_int_equal(rle_decode(fragment, frame(fragment, early, sizeof early), 1, 2, got, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_int_equal(rle_decode(fragment, frame(fragment, cut, sizeof cut), 1, 10, got, &e), -1);
	assert_int_equal(rle_decode(fragment, frame(fragment, run, sizeof run), 1, 2, got, &e), -1);
	n = frame(fragment, early, sizeof early);
	assert_int_equal(rle_decode(fragment, n, 2, 1, got, &e), -1);
	assert_int_equal(rle_decode(fragment, 10, 1, 1, got, &e), -1);
	fragment[4] = 10;
	assert_int_equal(rle_decode(fragment, n, 1, 1, got, &e), -1);
	fragment[4] = 200;
	assert_int_equal(rle_decode(fragment, n, 1, 1, got, &e), -1);
}

/* Any bytes behind a sound header: an answer, and nothing outside the arrays (the sanitizers look). */
static void
survives_anything(void **state)
{
	uint32_t random = 1;
	struct err e;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		size_t n = HEADER + (size_t)(random >> 26);
		uint8_t *fragment = calloc(1, n), *got = malloc(32);
		fragment[0] = 1;
		fragment[4] = HEADER;
		for (size_t k = HEADER; k < n; k++)
			fragment[k] = (uint8_t)((random = random * 1664525 + 1013904223) >> 24);
		rle_decode(fragment, n, 1, 32, got, &e);
		free(fragment);
		free(got);
	}
}

/* Planes of runs of every length and of none, and what has no run at all: back to the byte, within the room. */
static void
encodes_what_decodes_to_the_same(void **state)
{
	enum { N = 4000 };
	uint8_t plane[N], got[N], *fragment = malloc(rle_room(N));
	unsigned seed = 1;
	struct err e;

	(void)state;
	assert_non_null(fragment);
	for (unsigned longest = 1; longest <= 300; longest += longest < 10 ? 1 : 37) {
		for (size_t n = 1; n <= N; n += n < 300 ? 1 : 1231) {
			size_t length;

			for (size_t at = 0; at < n; ) {
				size_t run = 1 + (seed >> 16) % longest;
				seed = seed * 1103515245U + 12345U;
				for (size_t k = 0; k < run && at < n; k++, at++)
					plane[at] = (uint8_t)(seed >> 24);
			}
			length = rle_encode(plane, n, fragment);
			assert_true(length <= rle_room(n));
			assert_int_equal(length % 2, 0);
			if (rle_decode(fragment, length, 1, n, got, &e) != 0)
				fail_msg("%s", e.text);
			assert_memory_equal(got, plane, n);
		}
	}
	memset(plane, 7, N);
	assert_int_equal(rle_encode(plane, N, fragment), HEADER + 2 * ((N + 127) / 128)); /* as short as the coding allows */
	free(fragment);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unpacks_runs_and_literals), cmocka_unit_test(unpacks_planes), cmocka_unit_test(a_run_does_not_pass_the_plane),
		cmocka_unit_test(refuses_what_lies), cmocka_unit_test(survives_anything),
		cmocka_unit_test(encodes_what_decodes_to_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
