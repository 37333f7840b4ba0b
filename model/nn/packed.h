/* Maps as the network holds them when it serves: pixel by pixel, all maps of a pixel side by side, with a border of zeros one pixel wide. So the patch of a
 * convolution is a run of memory a row, a matrix of patches is the maps themselves read with overlapping rows (kernel.h), and every loop runs over
 * maps. Operations of this family have no backward pass; weight and bias are folded (model/network.c), and arranged for their operation once, by
 * packed_prepare, as "NAME.packed". */
#pragma once
#include "model/nn/ops.h"

/* The settings of every node of this family begin with it. value: (n, h + 2, row): border, pixels of `stored` values, border. */
struct packed {
	size_t h, w, c;                /* what is meant: (c, h, w) */
	size_t stored;                 /* values a pixel: c, or packed_stored(c) with zeros behind */
	size_t row;                    /* values from one row to the next */
	void (*prepare)(const struct node *self);  /* weight, bias -> packed; NULL: it has no weights */
};

struct node *node_pack(struct graph *g, struct node *x);                    /* (n, c, h, w) as it is -> packed */
/* Convolution (3x3 or 4x4 stride 2, padding 1), bias, LeakyReLU with slope. */
struct packed_conv {
	struct conv s;
	float slope;
	bool resized;                  /* 3x3: of the maps resized x2 (resize.c's way) */
	struct node *x, *beside;       /* beside: further maps of the same size, behind those of x; NULL: none */
	struct node *add;              /* resized only: added to the result; NULL: nothing */
};
struct node *node_packed_conv(struct graph *g, const struct packed_conv *what, const char *name);
struct node *node_packed_up(struct graph *g, struct node *x, size_t maps, const char *name);     /* up.c's */
struct node *node_packed_pool(struct graph *g, struct node *x);                                  /* pool.c's */
/* The last convolution, 1x1 or, resized, 3x3 with padding 1; no activation; (n, maps, h, w) as it is. slope and add are not used. */
struct node *node_packed_out(struct graph *g, const struct packed_conv *what, const char *name);
struct node *node_packed_sigmoid(struct graph *g, struct node *x);           /* (n, c, h, w) as it is: 1 / (1 + exp(-x)), within 2e-7 */

/* After weights and biases have been set, before the first run: all nodes of g that have weights. */
void packed_prepare(struct graph *g);

/* For operations of the family. */
const struct packed *packed_of(const struct node *x);
/* Sets self's layout, shape: `maps` maps in `stored` values a pixel. */
void packed_layout(struct node *self, size_t n, size_t h, size_t w, size_t maps, size_t stored);
size_t packed_slice(const struct packed *p);                                 /* floats of a slice */
void packed_border(const struct packed *p, float *slice);                    /* makes the border zero */
size_t packed_stored(size_t maps);                                           /* 8, or the next multiple of 16 */
