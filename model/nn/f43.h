/* A 3x3 convolution of stride 1 and padding 1 by Winograd's F(4x4, 3x3) (Lavin and Gray 2016): of every tile of 4x4 outputs the 6x6 inputs and the kernel
 * are transformed, multiplied frequency by frequency, and transformed back: 36 multiplications where the plain way has 144. Forward, and the weight's
 * gradient; the input's gradient is the forward of dY with the kernel turned around. Only on CPUs with AVX-512 (wide.h). The bits of a result
 * depend on nothing but the shapes and values. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct f43 {
	size_t c, maps, h, w;          /* (c, h, w) -> (maps, h, w) */
	size_t stack;                  /* slices done at a time, one below the other, a tile row of zeros between */
	size_t across, down, period;   /* tiles of the stack; tile rows from one slice to the next */
	size_t band, vectors;          /* tile rows done at a time; what they take, in vectors of 16 tiles */
	bool streams;                  /* y is written past the caches */
};

/* For batches of n slices (c, h, w). false, and no vectors: this CPU or such a shape had better go another way. */
bool f43_plan(size_t c, size_t maps, size_t n, size_t h, size_t w, struct f43 *out);
size_t f43_scratch(const struct f43 *p);           /* floats that each thread needs, aligned, content undefined */

size_t f43_weight_size(const struct f43 *p);       /* floats of the transformed weight */
/* weight (maps, c, 3, 3), or turned: (c, maps, 3, 3), whose kernels are taken from back to front. */
void f43_weight(const struct f43 *p, const float *weight, bool turned, float *to);

/* What is done with a sum on its way to y: y = v, or y += v; with bias (maps): v = sum + bias, then slope * v where that is larger (slope 1: none, 0: ReLU). */
struct f43_finish { bool add; const float *bias /* NULL: neither bias nor slope */; float slope; };
/* x (n, c, h, w) -> y (n, maps, h, w), n at most the stack */
void f43_forward(const struct f43 *p, const float *x, size_t n, const float *weight, struct f43_finish f, float *scratch, float *y);

size_t f43_sums_size(const struct f43 *p);         /* floats of the weight's gradient before it is transformed back */
/* sums += those of n slices, at most the stack: x (n, c, h, w), dy (n, maps, h, w). */
void f43_add(const struct f43 *p, const float *x, const float *dy, size_t n, float *scratch, float *sums);
/* The gradient of the kernels of map m, from n_parts sums `stride` apart: gradient (maps, c, 3, 3) += theirs. */
void f43_gradient(const struct f43 *p, const float *sums, size_t n_parts, size_t stride, size_t m, float *gradient);
