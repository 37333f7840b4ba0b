/* What the header of a compressed frame says before anything is decoded: JPEG (ITU-T T.81 B), JPEG-LS (T.87 C), JPEG 2000 (T.800 A). Plain C. */
#pragma once
#include "config/err.h"
#include "dicom/syntax.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct codestream {
	size_t rows, cols;
	unsigned components, precision;           /* bits of a sample */
	bool loses;                               /* coded with loss; JPEG 2000: the irreversible transform (a reversible one may still be cut short) */
};

/* One frame, whole. ERR_INPUT: no such codestream, or it does not come to its end marker: truncated. Not for CODING_NATIVE and CODING_RLE. */
int codestream_read(enum syntax_coding coding, const uint8_t *bytes, size_t n, struct codestream *c, struct err *e);
/* Whether a frame begins here: the start marker of these codings. */
bool codestream_begins(enum syntax_coding coding, const uint8_t *bytes, size_t n);

#ifdef __cplusplus
}
#endif
