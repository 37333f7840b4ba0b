/* Named tensors in one arena. Knows no file format and no network; a linear search by name is enough, as names are asked for while a graph is
 * built, never while it runs. */
#include "model/nn/parameters.h"
#include "model/nn/arena.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct parameters {
	struct parameter *list[PARAMETERS_MAX];
	size_t n;
	float *arena;                  /* every value, each tensor from a multiple of ARENA_ALIGN on */
	float *gradients;              /* in the same places as the values */
	size_t total;                  /* floats of an arena */
};

struct parameters *
parameters_new(struct err *e)
{
	struct parameters *p = calloc(1, sizeof *p);

	if (!p)
		err_set(e, ERR_LIMIT, "no memory for the parameters");
	return p;
}

void
parameters_free(struct parameters *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		free(p->list[i]);
	free(p->arena);
	free(p->gradients);
	free(p);
}

static struct parameter *
parameter_new(const char *name, enum parameter_kind kind, size_t n_dims, const size_t *dims, struct err *e)
{
	struct parameter *t = calloc(1, sizeof *t);

	if (!t) {
		err_set(e, ERR_LIMIT, "no memory for the parameter %s", name);
		return NULL;
	}
	memcpy(t->name, name, strlen(name) + 1);
	t->kind = kind;
	t->n_dims = n_dims;
	t->size = 1;
	for (size_t i = 0; i < n_dims; i++) {
		t->dims[i] = dims[i];
		t->size = arena_product(t->size, dims[i]);
	}
	return t;
}

struct parameter *
parameters_get(struct parameters *p, const char *name, enum parameter_kind kind, size_t n_dims, const size_t *dims, struct err *e)
{
	struct parameter *t = parameters_find(p, name);

	assert(n_dims <= PARAMETER_MAX_DIMS);
	if (t) {
		if (t->n_dims == n_dims && memcmp(t->dims, dims, n_dims * sizeof *dims) == 0)
			return t;
		err_set(e, ERR_INPUT, "the parameter %s is asked for in two shapes", name);
		return NULL;
	}
	if (strlen(name) >= PARAMETER_NAME || p->n == PARAMETERS_MAX || p->arena) {
		err_set(e, ERR_LIMIT, "no room for the parameter %s", name);
		return NULL;
	}
	t = parameter_new(name, kind, n_dims, dims, e);
	if (t)
		p->list[p->n++] = t;
	return t;
}

struct parameter *
parameters_find(const struct parameters *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->list[i]->name, name) == 0)
			return p->list[i];
	return NULL;
}

size_t
parameters_size(const struct parameters *p)
{
	return p->n;
}

struct parameter *
parameters_at(const struct parameters *p, size_t i)
{
	assert(i < p->n);
	return p->list[i];
}

int
parameters_plan(struct parameters *p, struct err *e)
{
	size_t total = 0;

	if (p->arena)
		return 0;
	for (size_t i = 0; i < p->n; i++)
		total = arena_sum(total, arena_rounded(p->list[i]->size));
	p->arena = arena_new(total);
	if (!p->arena)
		return err_set(e, ERR_LIMIT, "no memory for the network's parameters");
	p->total = total;
	total = 0;
	for (size_t i = 0; i < p->n; i++) {
		p->list[i]->value = p->arena + total;
		total += arena_rounded(p->list[i]->size);
	}
	return 0;
}

int
parameters_plan_gradients(struct parameters *p, struct err *e)
{
	assert(p->arena);
	if (p->gradients)
		return 0;
	p->gradients = arena_new(p->total);
	if (!p->gradients)
		return err_set(e, ERR_LIMIT, "no memory for the network's gradients");
	for (size_t i = 0; i < p->n; i++)
		if (p->list[i]->kind == PARAMETER_TRAINED)
			p->list[i]->gradient = p->gradients + (p->list[i]->value - p->arena);
	return 0;
}

void
parameters_clear_gradients(struct parameters *p)
{
	assert(p->gradients);
	memset(p->gradients, 0, p->total * sizeof *p->gradients);
}
