/* OpenBLAS behind three functions. Sizes are those of planned layers, far below the range of blasint. */
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

static blasint
size(size_t n)
{
	assert(n <= INT_MAX);
	return (blasint)n;
}

void
blas_multiply(size_t m, size_t n, size_t k, const float *a, const float *b, float beta, float *c, size_t ldc)
{
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, size(m), size(n), size(k), 1.0f, a, size(k), b, size(n), beta, c, size(ldc));
}

void
blas_product(const struct product *p)
{
	cblas_sgemm(CblasRowMajor, p->a_turned ? CblasTrans : CblasNoTrans, p->b_turned ? CblasTrans : CblasNoTrans, size(p->m), size(p->n), size(p->k), 1.0f,
		p->a, size(p->lda), p->b, size(p->ldb), p->beta, p->c, size(p->ldc));
}
