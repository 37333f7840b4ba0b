/* Named tensors of a network. A name is an identity: asking twice for it gives the same tensor, so every graph built over one set (one a thread,
 * one a batch size, a critic run twice) shares its weights. Names and shapes are those of the weights file. */
#pragma once
#include "config/err.h"

#include <stddef.h>

enum { PARAMETER_MAX_DIMS = 4, PARAMETER_NAME = 96, PARAMETERS_MAX = 1024 };

/* What an optimiser moves, what the forward pass itself moves (running statistics), and what is made of others for an operation that serves. */
enum parameter_kind { PARAMETER_TRAINED, PARAMETER_STATISTIC, PARAMETER_DERIVED };

struct parameter {
	char name[PARAMETER_NAME];
	enum parameter_kind kind;
	size_t n_dims, dims[PARAMETER_MAX_DIMS], size;
	float *value;                  /* (dims); NULL until parameters_plan */
	float *gradient;               /* (dims); NULL until parameters_plan_gradients, and for statistics */
};

struct parameters;
struct parameters *parameters_new(struct err *e);                            /* caller: parameters_free */
void parameters_free(struct parameters *p);
/* The tensor of that name, made when it is new. NULL: another shape under a known name, a new name after the plan, too many. borrowed. */
struct parameter *parameters_get(struct parameters *p, const char *name, enum parameter_kind kind, size_t n_dims, const size_t *dims, struct err *e);
struct parameter *parameters_find(const struct parameters *p, const char *name); /* NULL when absent; borrowed */
size_t parameters_size(const struct parameters *p);
struct parameter *parameters_at(const struct parameters *p, size_t i);       /* in the order of asking; borrowed */
/* One arena for all values, each tensor 64-byte aligned, all zero. Once; a second call changes nothing. ERR_LIMIT: memory. */
int parameters_plan(struct parameters *p, struct err *e);
/* The same for the gradients of what is trained, after parameters_plan. */
int parameters_plan_gradients(struct parameters *p, struct err *e);
void parameters_clear_gradients(struct parameters *p);
