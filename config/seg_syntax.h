/* How a SEG's bytes may be written: words for settings and options. What each is in DICOM is decided in dicom/object.cc. */
#pragma once
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum seg_syntax { SEG_EXPLICIT, SEG_RLE, SEG_DEFLATED, SEG_N_SYNTAXES };

const char *seg_syntax_name(enum seg_syntax s);                              /* static */
bool seg_syntax_parse(const char *name, enum seg_syntax *out);

#ifdef __cplusplus
}
#endif
