/* One JPEG 2000 codestream by OpenJPEG, in its strict mode: what is cut short is an error, not grey pixels. Plain C; the only file with OpenJPEG. */
#pragma once
#include "config/err.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One component of rows x cols; the low 16 bits of each sample, two's complement where the codestream is signed. ERR_INPUT: it cannot be decoded, or is no such image. */
int jpeg2000_decode(const uint8_t *bytes, size_t n, size_t rows, size_t cols, uint16_t *words, struct err *e);

#ifdef __cplusplus
}
#endif
