/* A parameter set of its own, moved towards the game's after each step: value += (1 - d) (new - value). */
#include "model/average.h"
#include "model/network.h"
#include "model/weights.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct average { struct parameters *p; double decay; };

struct average *
average_new(const struct network *network, double decay, struct err *e)
{
	struct average *a = calloc(1, sizeof *a);

	if (!a) {
		err_set(e, ERR_LIMIT, "no memory for averaged weights");
		return NULL;
	}
	a->decay = decay;
	a->p = parameters_new(e);
	if (a->p && network_define(a->p, network, NETWORK_PLAIN, e) == 0)
		return a;
	average_free(a);
	return NULL;
}

void
average_free(struct average *a)
{
	if (!a)
		return;
	parameters_free(a->p);
	free(a);
}

void
average_add(struct average *a, const struct parameters *game, int64_t step)
{
	const double young = (double)(1 + step) / (double)(10 + step), decay = step <= 1 ? 0 : young < a->decay ? young : a->decay;
	const float part = (float)(1 - decay);

	for (size_t i = 0; i < parameters_size(a->p); i++) {
		struct parameter *to = parameters_at(a->p, i);
		const struct parameter *from = parameters_find(game, to->name);

		assert(from && from->size == to->size);
		for (size_t k = 0; k < to->size; k++)
			to->value[k] += part * (from->value[k] - to->value[k]);
	}
}

int
average_save(const struct average *a, const char *path, struct err *e)
{
	const size_t n = parameters_size(a->p);
	struct tensor *tensors = calloc(n, sizeof *tensors);
	int result;

	if (!tensors)
		return err_set(e, ERR_LIMIT, "no memory for a list of tensors");
	for (size_t i = 0; i < n; i++) {
		const struct parameter *from = parameters_at(a->p, i);

		tensors[i] = (struct tensor){ .name = from->name, .n_dims = from->n_dims, .size = from->size, .values = from->value };
		memcpy(tensors[i].dims, from->dims, from->n_dims * sizeof *from->dims);
	}
	result = weights_write(path, tensors, n, e);
	free(tensors);
	return result;
}

static const struct tensor *
find_tensor(const void *source, const char *name)
{
	return weights_find(source, name);
}

int
average_load(struct average *a, const char *path, struct err *e)
{
	struct weights *w = weights_load(path, "", e);
	int result = w ? network_fill(a->p, find_tensor, w, e) : -1;

	weights_free(w);
	return result;
}
