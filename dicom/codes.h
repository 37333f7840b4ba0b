/* Coded terms that this program writes of its own accord (PS3.16), and colours as DICOM wants them. What a segment means comes from the model's manifest. */
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct seg_code { const char *scheme, *value, *meaning; };        /* coding scheme designator, code value, code meaning (PS3.3 8) */

enum code_term {
	CODE_SEGMENTATION,                        /* CID 7203: how a frame was derived */
	CODE_SOURCE_IMAGE,                        /* CID 7202: what the source was for */
	CODE_ARTIFICIAL_INTELLIGENCE,             /* CID 7162: family of an algorithm */
	CODE_PROCESSING_EQUIPMENT,                /* CID 7005: what a contributing equipment did */
	CODE_N_TERMS
};
const struct seg_code *code_of(enum code_term term);              /* borrowed, static */

/* sRGB to a Recommended Display CIELab Value: L*, a*, b* of the ICC profile connection space (D50), scaled to 16 bits (PS3.3 C.10.7.1.1). */
void code_cielab(const unsigned char rgb[3], uint16_t lab[3]);

#ifdef __cplusplus
}
#endif
