/* The transfer syntaxes whose pixels this node reads, one table (PS3.5 A, PS3.6 A): what is negotiated, taken and decoded is what stands here. Plain C. */
#pragma once
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum syntax_coding { CODING_NATIVE, CODING_RLE, CODING_JPEG, CODING_JPEG_LS, CODING_JPEG_2000 };

struct syntax {
	const char *uid, *name;
	enum syntax_coding coding;
	bool is_implicit, is_big_endian, is_deflated; /* of the data set */
	bool may_lose;                            /* a sender that converts to it may change pixel values */
};

const struct syntax *syntax_find(const char *uid); /* borrowed, static; NULL: not read */
const char *syntax_method(enum syntax_coding coding); /* defined term of LossyImageCompressionMethod (PS3.3 C.7.6.1.1.5.1); NULL: loses nothing */

#ifdef __cplusplus
}
#endif
