/* Products of matrices for the network that serves: our own kernels, because its matrices lie in the maps themselves (rows that overlap, as the patches of
 * a convolution do) and are often too narrow for a general library. Every sum runs over k in order in one accumulator, joined with its product where the
 * CPU can: the bits depend on the CPU's kind alone, never on how rows are cut. */
#pragma once
#include <stddef.h>

enum { KERNEL_PANEL = 32, KERNEL_MAX_PARTS = 8 };

/* Rows of a: row r begins at a + r * lda and has k values. */
struct kernel_part { const float *a; size_t lda, k; };

struct kernel {
	const struct kernel_part *parts;       /* side by side they are the m rows of the left matrix */
	size_t n_parts, m, n;                  /* n: columns, 8 or a multiple of 16 */
	const float *b;                        /* (sum of k, n), placed by kernel_place */
	const float *bias;                     /* (n), and then LeakyReLU with slope; NULL: the sums alone */
	float slope, *c;                       /* c (m, n), rows ldc apart */
	size_t ldc;
};

/* c = [parts] * b, or LeakyReLU([parts] * b + bias). */
void kernel_run(const struct kernel *k);
/* Where value (row, col) of b (k, n) is: panels of KERNEL_PANEL columns (the last may have 16 or 8), each row by row. */
size_t kernel_place(size_t k, size_t n, size_t row, size_t col);
