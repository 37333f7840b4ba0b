/* Optimisers as PyTorch defines them (torch.optim.RMSprop without momentum and centring, torch.optim.Adam without weight decay and amsgrad): one loop
 * over the trained values of a set of parameters, with their gradients. */
#pragma once
#include "model/nn/parameters.h"

#include <stdint.h>

enum optim_kind { OPTIM_RMSPROP, OPTIM_ADAM };
struct optim_settings { enum optim_kind kind; double alpha, beta1, beta2, eps; };

struct optim;
/* Of what is trained in p, which has its gradients planned. borrows p. caller: optim_free. */
struct optim *optim_new(struct parameters *p, const struct optim_settings *s, struct err *e);
void optim_free(struct optim *o);
void optim_reset(struct optim *o);                          /* moments 0 */
/* One update; step counts from 1. clip > 0: every value to [-clip, clip] afterwards. */
void optim_step(struct optim *o, double lr, uint64_t step, double clip);
/* The moments of parameter i of p, in its shape: k = 0 the mean of the squares, 1 that of the gradients (Adam). NULL: there is none. borrowed. */
float *optim_moment(const struct optim *o, size_t i, size_t k);
const char *optim_moment_name(size_t k);                    /* "square", "mean"; NULL behind the last; static */
