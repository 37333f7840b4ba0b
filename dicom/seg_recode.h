/* A SEG of ours in another transfer syntax: the same object, other bytes. In memory. */
#pragma once
#include "config/err.h"
#include "config/seg_syntax.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The file at path as it would be in the syntax. *bytes NULL, and 0: it stays as it is (no SEG; BINARY, and RLE wanted). caller: seg_recode_free. */
int seg_recode(const char *path, enum seg_syntax syntax, char **bytes, size_t *n, struct err *e);
void seg_recode_free(char *bytes);

#ifdef __cplusplus
}
#endif
