/* OpenBLAS behind few functions. Sizes are those of planned layers, far below the range of blasint. */
#include "model/nn/blas.h"

#include <assert.h>
#include <cblas.h>
#include <limits.h>

void
blas_one_thread(void)
{
	openblas_set_num_threads(1);
}

const char *
blas_core(void)
{
	return openblas_get_corename();
}

enum { EXACT_BLOCK = 64 };                     /* sums at a time */

static blasint
size(size_t n)
{
	assert(n <= INT_MAX);
	return (blasint)n;
}

/* c[first, first + n) of one row */
static void
exact_row(const struct product *p, size_t row, size_t first, size_t n)
{
	const size_t a_step = p->a_turned ? p->lda : 1, b_step = p->b_turned ? p->ldb : 1, b_down = p->b_turned ? 1 : p->ldb;
	const float *a = p->a + row * (p->a_turned ? 1 : p->lda), *b = p->b + first * b_step;
	float *c = p->c + row * p->ldc + first;
	double sums[EXACT_BLOCK];

	for (size_t j = 0; j < n; j++)
		sums[j] = p->beta == 0 ? 0 : (double)p->beta * c[j];
	for (size_t i = 0; i < p->k; i++)
		for (size_t j = 0; j < n; j++)
			sums[j] += (double)a[i * a_step] * b[i * b_down + j * b_step];
	for (size_t j = 0; j < n; j++)
		c[j] = (float)sums[j];
}

void
blas_product(const struct product *p)
{
	for (size_t row = 0; p->exact && row < p->m; row++)
		for (size_t first = 0; first < p->n; first += EXACT_BLOCK)
			exact_row(p, row, first, p->n - first < EXACT_BLOCK ? p->n - first : EXACT_BLOCK);
	if (p->exact)
		return;
	cblas_sgemm(CblasRowMajor, p->a_turned ? CblasTrans : CblasNoTrans, p->b_turned ? CblasTrans : CblasNoTrans, size(p->m), size(p->n), size(p->k), 1.0f,
		p->a, size(p->lda), p->b, size(p->ldb), p->beta, p->c, size(p->ldc));
}
