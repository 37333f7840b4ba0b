/* A safetensors file. */
#include "tests/fuzz/fuzz.h"

#include "model/weights.h"

#include <math.h>

static void
one(const uint8_t *bytes, size_t n)
{
	struct err e;
	struct weights *w = weights_load(fuzz_file(0, bytes, n), "", &e);

	if (w == NULL)
		return;
	for (size_t i = 0; i < weights_size(w); i++) {
		const struct tensor *t = weights_at(w, i);
		fuzz_must(weights_find(w, t->name) != NULL && t->n_dims <= WEIGHTS_MAX_DIMS);
		for (size_t k = 0; k < t->size; k++)
			fuzz_must(isfinite(t->values[k]));
	}
	weights_free(w);
}

const struct fuzz_target fuzz_weights = { "weights", NULL, one };
