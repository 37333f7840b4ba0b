/* The arithmetic is done in float as PyTorch's is, its factors in double. */
#include "model/nn/optim.h"
#include "model/nn/arena.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SQUARE, MEAN, N_MOMENTS };

struct optim {
	struct parameters *parameters;
	struct optim_settings settings;
	size_t total;                  /* floats of one moment of all parameters */
	size_t offset[PARAMETERS_MAX]; /* of parameter i in it */
	float *moments[N_MOMENTS];     /* (total); NULL: not this kind's */
};

struct optim *
optim_new(struct parameters *p, const struct optim_settings *s, struct err *e)
{
	struct optim *o = calloc(1, sizeof *o);

	if (!o) {
		err_set(e, ERR_LIMIT, "no memory for an optimiser");
		return NULL;
	}
	o->parameters = p;
	o->settings = *s;
	for (size_t i = 0; i < parameters_size(p); i++) {
		o->offset[i] = o->total;
		if (parameters_at(p, i)->kind == PARAMETER_TRAINED)
			o->total = arena_sum(o->total, arena_rounded(parameters_at(p, i)->size));
	}
	for (size_t k = 0; k < (s->kind == OPTIM_ADAM ? 2 : 1); k++) {
		o->moments[k] = arena_new(o->total);
		if (!o->moments[k]) {
			err_set(e, ERR_LIMIT, "no memory for an optimiser of %zu values", o->total);
			optim_free(o);
			return NULL;
		}
	}
	return o;
}

void
optim_free(struct optim *o)
{
	if (!o)
		return;
	for (size_t k = 0; k < N_MOMENTS; k++)
		free(o->moments[k]);
	free(o);
}

void
optim_reset(struct optim *o)
{
	for (size_t k = 0; k < N_MOMENTS; k++)
		if (o->moments[k])
			memset(o->moments[k], 0, o->total * sizeof *o->moments[k]);
}

/* v = alpha v + (1 - alpha) g^2; p -= lr g / (sqrt(v) + eps) */
static void
rmsprop(struct parameter *p, float *square, const struct optim_settings *s, double lr)
{
	const float alpha = (float)s->alpha, rest = (float)(1 - s->alpha), eps = (float)s->eps, rate = (float)lr, *g = p->gradient;

	for (size_t i = 0; i < p->size; i++) {
		square[i] = square[i] * alpha + rest * g[i] * g[i];
		p->value[i] -= rate * (g[i] / (sqrtf(square[i]) + eps));
	}
}

/* m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; p -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps) */
static void
adam(struct parameter *p, float *square, float *mean, const struct optim_settings *s, double lr, uint64_t step)
{
	const float beta1 = (float)s->beta1, rest1 = (float)(1 - s->beta1), beta2 = (float)s->beta2, rest2 = (float)(1 - s->beta2), eps = (float)s->eps;
	const float rate = (float)(lr / (1 - pow(s->beta1, (double)step))), root = (float)sqrt(1 - pow(s->beta2, (double)step)), *g = p->gradient;

	for (size_t i = 0; i < p->size; i++) {
		mean[i] = mean[i] * beta1 + rest1 * g[i];
		square[i] = square[i] * beta2 + rest2 * g[i] * g[i];
		p->value[i] -= rate * (mean[i] / (sqrtf(square[i]) / root + eps));
	}
}

static void
clip_values(struct parameter *p, float limit)
{
	for (size_t i = 0; i < p->size; i++)
		p->value[i] = p->value[i] > limit ? limit : p->value[i] < -limit ? -limit : p->value[i];
}

void
optim_step(struct optim *o, double lr, uint64_t step, double clip)
{
	for (size_t i = 0; i < parameters_size(o->parameters); i++) {
		struct parameter *p = parameters_at(o->parameters, i);

		if (p->kind != PARAMETER_TRAINED)
			continue;
		if (o->settings.kind == OPTIM_ADAM)
			adam(p, optim_moment(o, i, SQUARE), optim_moment(o, i, MEAN), &o->settings, lr, step);
		else
			rmsprop(p, optim_moment(o, i, SQUARE), &o->settings, lr);
		if (clip > 0)
			clip_values(p, (float)clip);
	}
}

float *
optim_moment(const struct optim *o, size_t i, size_t k)
{
	return o->moments[k] && parameters_at(o->parameters, i)->kind == PARAMETER_TRAINED ? o->moments[k] + o->offset[i] : NULL;
}

const char *
optim_moment_name(size_t k)
{
	static const char *const names[N_MOMENTS] = { [SQUARE] = "square", [MEAN] = "mean" };

	return k < N_MOMENTS ? names[k] : NULL;
}
