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
blas_multiply_transposed(size_t m, size_t n, size_t k, const float *a, const float *b, size_t ldb, float *c)
{
	cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, size(m), size(n), size(k), 1.0f, a, size(m), b, size(ldb), 0.0f, c, size(n));
}
