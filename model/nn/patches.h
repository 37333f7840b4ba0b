/* Patches of an image as columns of a matrix (im2col), some output rows and some of the image's maps at a time: a convolution is then one matrix product
 * a piece. The pieces depend on the layer's shape alone, so neither threads nor batch change a bit. */
#pragma once
#include "model/nn/ops.h"

struct patches {
	size_t c, h, w;                /* the image (c, h, w) */
	size_t kernel, stride, pad;
	size_t rows, cols;             /* output (rows, cols) */
	size_t band, maps;             /* output rows, and maps of the image, a product */
};

/* -1: the image is smaller than the kernel, or numbers that no layer has. */
int patches_plan(const struct conv *s, struct shape in, struct patches *out, struct err *e);
size_t patches_scratch(const struct patches *p);   /* floats of the matrix of one piece */
/* The same of at most p->maps maps of the image, from `first` on. */
struct patches patches_piece(const struct patches *p, size_t first);
/* Output rows [first, first + n) of image (c, h, w) -> matrix (c*kernel*kernel, n*cols). */
void patches_fill(const struct patches *p, const float *image, size_t first, size_t n, float *matrix);
/* The way back: every value of the matrix is added to where patches_fill took it from. */
void patches_add(const struct patches *p, const float *matrix, size_t first, size_t n, float *image);
