/* The one place that calls OpenBLAS. Every call runs on one BLAS thread: the program's own threads work on whole slices, so the bits of a result
 * do not depend on their number (LEADS.md 6: Haswell kernels give other bits for other thread counts and splits). */
#pragma once
#include <stdbool.h>
#include <stddef.h>

void blas_one_thread(void);                /* process-wide; call before the first product */
const char *blas_core(void);               /* name of the kernels in use, "SkylakeX"; static */

/* c (m, n) = a (m, k) * b (k, n) + beta * c, row-major; with a_turned a is stored as (k, m), with b_turned b as (n, k); lda, ldb, ldc: floats from one
 * stored row to the next. exact: every sum in double, rounded once, and slow: what the fast products are measured by. */
struct product { size_t m, n, k; const float *a; bool a_turned; size_t lda; const float *b; bool b_turned; size_t ldb; float beta, *c; size_t ldc; bool exact; };
void blas_product(const struct product *p);
