/* safetensors files: an 8-byte length, a JSON header, float32 tensors. Bounds, overlap, order, shapes and NaN are checked before a value is used. */
#pragma once
#include "config/err.h"

#include <stddef.h>

enum { WEIGHTS_MAX_DIMS = 4 };
struct tensor { const char *name; size_t n_dims, dims[WEIGHTS_MAX_DIMS], size; const float *values; }; /* borrowed from the weights */

struct weights;
struct weights *weights_load(const char *path, const char *sha256 /* "" = not checked */, struct err *e); /* caller: weights_free */
void weights_free(struct weights *w);
size_t weights_size(const struct weights *w);
const struct tensor *weights_at(const struct weights *w, size_t i);          /* borrowed */
const struct tensor *weights_find(const struct weights *w, const char *name); /* NULL when absent; borrowed */
/* Writes a file that weights_load reads: whole or not at all. */
int weights_write(const char *path, const struct tensor *tensors, size_t n, struct err *e);
