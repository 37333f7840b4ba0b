/* One-bit frames (PS3.5 8.1.1, PS3.3 C.8.20.2). Our own, because DCMTK 3.6.7 pads every frame to a byte and hides it on reading back (DICOM.md 0.1).
 * A run is split into the bits up to the next byte border, whole bytes, and the rest; frames of any size may begin at any bit. */
#include "dicom/bits.h"

size_t
bits_bytes(size_t n_bits)
{
	size_t bytes = n_bits / 8 + (n_bits % 8 != 0);

	return bytes + bytes % 2; /* a value has even length (PS3.5 7.1.1) */
}

static void
pack_slowly(const uint8_t *mask, size_t n, size_t bit, uint8_t *packed)
{
	for (size_t i = 0; i < n; i++, bit++)
		packed[bit / 8] = (uint8_t)(packed[bit / 8] | (mask[i] != 0) << bit % 8);
}

void
bits_pack(const uint8_t *mask, size_t n, size_t first_bit, uint8_t *packed)
{
	size_t head = (8 - first_bit % 8) % 8, i;

	if (head > n)
		head = n;
	pack_slowly(mask, head, first_bit, packed);
	packed += (first_bit + head) / 8;
	for (i = head; n - i >= 8; i += 8, packed++) {
		unsigned byte = 0;

		for (unsigned b = 0; b < 8; b++)
			byte |= (unsigned)(mask[i + b] != 0) << b;
		*packed = (uint8_t)byte;
	}
	if (i < n)
		pack_slowly(mask + i, n - i, 0, packed);
}

void
bits_unpack(const uint8_t *packed, size_t first_bit, size_t n, uint8_t *mask)
{
	for (size_t i = 0, bit = first_bit; i < n; i++, bit++)
		mask[i] = packed[bit / 8] >> bit % 8 & 1;
}
