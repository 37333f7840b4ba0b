/* The bytes of a Part 10 file as they are once its data set is inflated (PS3.5 A.5): an offset means the same in every file, deflated or not.
 * A deflated file is read forward; going back begins it again. Plain C, knows no DICOM. For this room only. */
#pragma once
#include "config/err.h"

#include <stdint.h>
#include <zlib.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { BYTES_PIECE = 32768 };

struct bytes {
	int fd;                                   /* the caller's */
	uint64_t deflated;                        /* where the deflated part begins; 0: nothing is deflated */
	uint64_t at, next;                        /* inflating: the next byte that comes out, the next that goes in */
	z_stream z;
	unsigned char in[BYTES_PIECE];
};

void bytes_open(struct bytes *b, int fd);     /* a file of which nothing is deflated */
/* From this offset on it is. *size: of the whole, as if inflated. ERR_INPUT: no sound deflate stream, or one that gives more than
 * `most` bytes. caller: bytes_close. */
int  bytes_inflate_from(struct bytes *b, uint64_t at, uint64_t most, uint64_t *size, struct err *e);
int  bytes_read(struct bytes *b, uint64_t at, void *to, size_t n, size_t *got, struct err *e); /* *got < n: the end */
int  bytes_read_all(struct bytes *b, uint64_t at, void *to, size_t n, struct err *e); /* ERR_INPUT: there are fewer */
void bytes_close(struct bytes *b);            /* not the descriptor */

#ifdef __cplusplus
}
#endif
