/* The operations, but for those that serve (packed.h). Each builder adds one node to a graph; its parameters are "NAME.weight" and so on (SEGAN.md "Networks"). */
#pragma once
#include "model/nn/graph.h"

/* ---- conv.c: cross-correlation, zero padding; weight (maps, c, kernel, kernel), bias (maps) ---- */
struct conv { size_t maps, kernel, stride, pad; bool bias; };
struct node *node_conv(struct graph *g, struct node *x, struct conv s, const char *name);
/* up.c: transposed convolution 2x2 stride 2: weight (c, maps, 2, 2), bias (maps); (2h, 2w) out. */
struct node *node_up_conv(struct graph *g, struct node *x, size_t maps, const char *name);

/* ---- norm.c: BatchNorm over (n, h, w); weight, bias, running_mean, running_var (c) ---- */
struct node *node_norm(struct graph *g, struct node *x, double eps, const char *name);        /* evaluation: the running statistics */
struct node *node_norm_batch(struct graph *g, struct node *x, double eps, const char *name);  /* training: those of this batch */
/* Of each of so many equal groups of slices, and LeakyReLU of the result (slope 1: none, 0: ReLU). */
struct norm_groups { size_t groups; float slope; };
struct node *node_norm_groups(struct graph *g, struct node *x, struct norm_groups s, double eps, const char *name);
/* Moves the running statistics of every node_norm_batch of g towards its last batch: 0.9 old + 0.1 new for momentum 0.1, variance unbiased; group
 * after group, as the passes that they stand for would. */
void norm_move_statistics(struct graph *g, double momentum);

/* ---- pointwise.c ---- */
struct node *node_leaky(struct graph *g, struct node *x, float slope);       /* LeakyReLU; slope 0 is ReLU */
struct node *node_sigmoid(struct graph *g, struct node *x);
struct node *node_sum(struct graph *g, struct node *a, struct node *b);
struct node *node_concat(struct graph *g, struct node *a, struct node *b);   /* maps of a, then of b */

/* ---- resize.c, pool.c ---- */
struct node *node_resize2(struct graph *g, struct node *x);                  /* bilinear x2, half-pixel centres, edges repeated */
struct node *node_max_pool2(struct graph *g, struct node *x);                /* 2x2, h and w even */
