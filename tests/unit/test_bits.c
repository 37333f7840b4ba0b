/* Bits of frames against a version that is written in another way: whole bytes added up from the stream by place values. */
#include "dicom/bits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 64 };

/* The stream as PS3.5 words it: the first pixel is the least significant bit of the first byte. */
static void
pack_by_division(const uint8_t *stream, size_t n, uint8_t bytes[MOST])
{
	memset(bytes, 0, MOST);
	for (size_t byte = 0; byte * 8 < n; byte++) {
		unsigned value = 0, weight = 1;

		for (size_t i = byte * 8; i < n && i < byte * 8 + 8; i++, weight *= 2)
			value += stream[i] * weight;
		bytes[byte] = (uint8_t)value;
	}
}

static void
fill(uint8_t *mask, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1103515245u + 12345u;
		mask[i] = seed >> 16 & 1;
	}
}

static void
test_sizes_are_even(void **state)
{
	(void)state;
	assert_int_equal(bits_bytes(0), 0);
	assert_int_equal(bits_bytes(1), 2);
	assert_int_equal(bits_bytes(16), 2);
	assert_int_equal(bits_bytes(17), 4);
	assert_int_equal(bits_bytes(45 * 51 * 21), 6026); /* 6025 bytes and one of padding */
	assert_int_equal(bits_bytes(SIZE_MAX), SIZE_MAX / 8 + 1);
}

static void
test_every_mask_at_every_bit(void **state)
{
	(void)state;
	for (size_t n = 0; n <= 12; n++)
		for (size_t first = 0; first <= 17; first++)
			for (unsigned pattern = 0; pattern < 1u << n; pattern++) {
				uint8_t stream[MOST] = { 0 }, want[MOST], got[MOST] = { 0 }, back[MOST];

				for (size_t i = 0; i < n; i++)
					stream[first + i] = pattern >> i & 1;
				pack_by_division(stream, first + n, want);
				bits_pack(stream + first, n, first, got);
				assert_memory_equal(got, want, MOST);
				memset(back, 7, sizeof back);
				bits_unpack(got, first, n, back);
				assert_memory_equal(back, stream + first, n);
				assert_int_equal(back[n], 7); /* not one voxel more */
			}
}

static void
test_frames_follow_without_a_gap(void **state)
{
	(void)state;
	for (size_t size = 1; size <= 41; size++) { /* voxels a frame */
		size_t n_frames = 8 * MOST / size, n = n_frames * size;
		uint8_t stream[8 * MOST], want[MOST], got[MOST] = { 0 }, back[8 * MOST];

		fill(stream, n, (unsigned)size);
		pack_by_division(stream, n, want);
		for (size_t f = 0; f < n_frames; f++)
			bits_pack(stream + f * size, size, f * size, got);
		assert_memory_equal(got, want, MOST);
		for (size_t f = 0; f < n_frames; f++)
			bits_unpack(got, f * size, size, back + f * size);
		assert_memory_equal(back, stream, n);
	}
}

static void
test_any_value_but_0_is_set(void **state)
{
	(void)state;
	uint8_t mask[11] = { 255, 0, 1, 2, 128, 0, 0, 64, 255, 0, 3 }, got[2] = { 0 };

	bits_pack(mask, 11, 0, got);
	assert_int_equal(got[0], 0x9d);
	assert_int_equal(got[1], 0x05);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_are_even),
		cmocka_unit_test(test_every_mask_at_every_bit),
		cmocka_unit_test(test_frames_follow_without_a_gap),
		cmocka_unit_test(test_any_value_but_0_is_set),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
