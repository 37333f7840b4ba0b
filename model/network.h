/* The networks as builders over model/nn, for the segmentor that serves, for the reference numbers, for training. */
#pragma once
#include "model/manifest.h"
#include "model/nn/graph.h"
#include "model/weights.h"

enum { NETWORK_MULTIPLE = 16 };                /* sides of an input are multiples of this: four halvings */

enum network_form {
	NETWORK_PLAIN,                         /* every operation by itself, BatchNorm by its running statistics: the reference */
	NETWORK_TRAINING,                      /* BatchNorm by the batch */
	NETWORK_SERVING                        /* packed maps, BatchNorm folded into the convolutions, activations fused; parameters by network_fold */
};

/* Adds the segmentor over the image x (n, channels, h, w); the logits (n, labels, h, w). borrowed from g. */
struct node *network_segmentor(struct graph *g, const struct network *network, enum network_form form, struct node *x);
/* Declares and plans the segmentor's parameters without a graph that stays. */
int network_define(struct parameters *p, const struct network *network, enum network_form form, struct err *e);
/* Copies every tensor of p from where find gets it. ERR_INPUT names what is missing or has another shape. */
typedef const struct tensor *(*tensor_find_fn)(const void *source, const char *name);
int network_fill(struct parameters *p, tensor_find_fn find, const void *source, struct err *e);
/* Plain parameters -> serving ones (both planned): weight * g / sqrt(var + eps) and beta - mean * g / sqrt(var + eps), arranged for the operations that serve. */
int network_fold(const struct parameters *plain, struct parameters *serving, const struct network *network, struct err *e);

/* Products and sums, each counted, of the convolutions for one image (channels, h, w). */
int network_flops(const struct network *network, size_t h, size_t w, double *out, struct err *e);

/* The segmentor planned for one input size: write x->value, run graph_forward, read logits->value, probability->value. */
struct network_pass { struct graph *graph; struct node *x, *logits, *probability; };
/* borrows p. caller: network_pass_close */
int network_pass_open(struct network_pass *out, struct parameters *p, const struct network *network, enum network_form form, struct shape x, struct err *e);
void network_pass_close(struct network_pass *pass);
