/* One-bit frames (PS3.5 8.1.1, PS3.3 C.8.20.2): bit i of the whole multi-frame stream is byte i/8, bit i%8, LSB first; no padding between frames. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

size_t bits_bytes(size_t n_bits);                                            /* packed size, rounded up to even */
void bits_pack(const uint8_t *mask, size_t n, size_t first_bit, uint8_t *packed); /* mask 0/1; packed starts zeroed */
void bits_unpack(const uint8_t *packed, size_t first_bit, size_t n, uint8_t *mask);

#ifdef __cplusplus
}
#endif
