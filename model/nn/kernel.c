/* The forms of the kernel: AVX-512 (up to 12 rows x 32 columns in registers), AVX2 with FMA (6 x 16), both for 8 columns (12 x 8), and for any other CPU. Which one
 * runs is asked of the CPU. */
#include "model/nn/kernel.h"
#include "model/nn/wide.h"

#include <immintrin.h>

enum { WIDE_ROWS = 12, NARROW_ROWS = 6, EIGHT_ROWS = 12, PLAIN_COLS = 8 };

size_t
kernel_place(size_t k, size_t n, size_t row, size_t col)
{
	const size_t first = col / KERNEL_PANEL * KERNEL_PANEL, width = n - first < KERNEL_PANEL ? n - first : KERNEL_PANEL;

	return first * k + row * width + col - first;
}

static size_t
total_k(const struct kernel *k)
{
	size_t sum = 0;

	for (size_t i = 0; i < k->n_parts; i++)
		sum += k->parts[i].k;
	return sum;
}

/* Rows [row, row + rows) x columns [col, col + 16 * vectors) of c; b: that panel. Three rows share a pointer: base, base + lda, base + 2 lda is what an address can say. */
WIDE_INLINE void
block_wide(const struct kernel *k, const float *b, size_t row, size_t col, const size_t rows, const size_t vectors)
{
	__m512 sum[WIDE_ROWS][2];
	float *c = k->c + row * k->ldc + col;

	for (size_t r = 0; r < rows; r++)
		for (size_t v = 0; v < vectors; v++)
			sum[r][v] = _mm512_setzero_ps();
	for (size_t part = 0; part < k->n_parts; part++) {
		const size_t lda = k->parts[part].lda, n = k->parts[part].k;
		const float *a0 = k->parts[part].a + row * lda, *a3 = a0 + 3 * lda, *a6 = a3 + 3 * lda, *a9 = a6 + 3 * lda;
		for (size_t i = 0; i < n; i++, b += 16 * vectors) {
			const __m512 left = _mm512_loadu_ps(b), right = vectors == 2 ? _mm512_loadu_ps(b + 16) : left;
			for (size_t r = 0; r < rows; r++) {
				const float *a = r < 3 ? a0 : r < 6 ? a3 : r < 9 ? a6 : a9;
				const __m512 value = _mm512_set1_ps(a[r % 3 * lda + i]);
				sum[r][0] = _mm512_fmadd_ps(value, left, sum[r][0]);
				if (vectors == 2)
					sum[r][1] = _mm512_fmadd_ps(value, right, sum[r][1]);
			}
		}
	}
	if (k->bias)
		for (size_t v = 0; v < vectors; v++) {
			const __m512 bias = _mm512_loadu_ps(k->bias + col + v * 16), slope = _mm512_set1_ps(k->slope), zero = _mm512_setzero_ps();
			for (size_t r = 0; r < rows; r++) {
				const __m512 y = _mm512_add_ps(sum[r][v], bias);
				sum[r][v] = _mm512_mask_mul_ps(y, _mm512_cmp_ps_mask(y, zero, _CMP_NGT_US), y, slope);
			}
		}
	for (size_t r = 0; r < rows; r++, c += k->ldc) {
		_mm512_storeu_ps(c, sum[r][0]);
		if (vectors == 2)
			_mm512_storeu_ps(c + 16, sum[r][1]);
	}
}

/* The same with 256-bit registers: 16 columns at `b`, whose rows are `step` apart. */
NARROW_INLINE void
block_narrow(const struct kernel *k, const float *b, size_t step, size_t row, size_t col, const size_t rows)
{
	__m256 sum[NARROW_ROWS][2];
	float *c = k->c + row * k->ldc + col;

	for (size_t r = 0; r < rows; r++)
		sum[r][0] = sum[r][1] = _mm256_setzero_ps();
	for (size_t part = 0; part < k->n_parts; part++) {
		const size_t lda = k->parts[part].lda, n = k->parts[part].k;
		const float *a0 = k->parts[part].a + row * lda, *a3 = a0 + 3 * lda;
		for (size_t i = 0; i < n; i++, b += step) {
			const __m256 left = _mm256_loadu_ps(b), right = _mm256_loadu_ps(b + 8);
			for (size_t r = 0; r < rows; r++) {
				const __m256 value = _mm256_set1_ps((r < 3 ? a0 : a3)[r % 3 * lda + i]);
				sum[r][0] = _mm256_fmadd_ps(value, left, sum[r][0]);
				sum[r][1] = _mm256_fmadd_ps(value, right, sum[r][1]);
			}
		}
	}
	for (size_t r = 0; r < rows; r++, c += k->ldc)
		for (size_t v = 0; v < 2; v++) {
			__m256 y = sum[r][v];
			if (k->bias) {
				y = _mm256_add_ps(y, _mm256_loadu_ps(k->bias + col + v * 8));
				y = _mm256_blendv_ps(y, _mm256_mul_ps(y, _mm256_set1_ps(k->slope)), _mm256_cmp_ps(y, _mm256_setzero_ps(), _CMP_NGT_US));
			}
			_mm256_storeu_ps(c + v * 8, y);
		}
}

/* 8 columns, all that there are. */
NARROW_INLINE void
block_eight(const struct kernel *k, size_t row, const size_t rows)
{
	const float *b = k->b;
	float *c = k->c + row * k->ldc;
	__m256 sum[EIGHT_ROWS];

	for (size_t r = 0; r < rows; r++)
		sum[r] = _mm256_setzero_ps();
	for (size_t part = 0; part < k->n_parts; part++) {
		const size_t lda = k->parts[part].lda, n = k->parts[part].k;
		const float *a0 = k->parts[part].a + row * lda, *a3 = a0 + 3 * lda, *a6 = a3 + 3 * lda, *a9 = a6 + 3 * lda;
		for (size_t i = 0; i < n; i++, b += 8) {
			const __m256 right = _mm256_loadu_ps(b);
			for (size_t r = 0; r < rows; r++) {
				const float *a = r < 3 ? a0 : r < 6 ? a3 : r < 9 ? a6 : a9;
				sum[r] = _mm256_fmadd_ps(_mm256_set1_ps(a[r % 3 * lda + i]), right, sum[r]);
			}
		}
	}
	for (size_t r = 0; r < rows; r++, c += k->ldc) {
		__m256 y = sum[r];
		if (k->bias) {
			y = _mm256_add_ps(y, _mm256_loadu_ps(k->bias));
			y = _mm256_blendv_ps(y, _mm256_mul_ps(y, _mm256_set1_ps(k->slope)), _mm256_cmp_ps(y, _mm256_setzero_ps(), _CMP_NGT_US));
		}
		_mm256_storeu_ps(c, y);
	}
}

/* One row x 8 columns. */
static inline void
block_plain(const struct kernel *k, const float *b, size_t step, size_t row, size_t col)
{
	float sum[PLAIN_COLS] = { 0 };

	for (size_t part = 0; part < k->n_parts; part++)
		for (size_t i = 0; i < k->parts[part].k; i++, b += step)
			for (size_t j = 0; j < PLAIN_COLS; j++)
				sum[j] += k->parts[part].a[row * k->parts[part].lda + i] * b[j];
	for (size_t j = 0; j < PLAIN_COLS; j++) {
		float y = k->bias ? sum[j] + k->bias[col + j] : sum[j];
		k->c[row * k->ldc + col + j] = !k->bias || y > 0 ? y : k->slope * y;
	}
}

/* rows is 1 to 12; each case is compiled for its number, so that the sums stay in registers. */
#define WIDE_CASE(n) case n: block_wide(k, b, row, col, n, vectors); break;

WIDE_INLINE void
rows_wide(const struct kernel *k, const float *b, size_t row, size_t col, size_t rows, const size_t vectors)
{
	switch (rows) {
	WIDE_CASE(1) WIDE_CASE(2) WIDE_CASE(3) WIDE_CASE(4) WIDE_CASE(5) WIDE_CASE(6) WIDE_CASE(7) WIDE_CASE(8) WIDE_CASE(9) WIDE_CASE(10) WIDE_CASE(11) WIDE_CASE(12)
	default: break;
	}
}

#define NARROW_CASE(n) case n: block_narrow(k, b, step, row, col, n); break;

NARROW_INLINE void
rows_narrow(const struct kernel *k, const float *b, size_t step, size_t row, size_t col, size_t rows)
{
	switch (rows) {
	NARROW_CASE(1) NARROW_CASE(2) NARROW_CASE(3) NARROW_CASE(4) NARROW_CASE(5) NARROW_CASE(6)
	default: break;
	}
}

#define EIGHT_CASE(n) case n: block_eight(k, row, n); break;

NARROW_INLINE void
rows_eight(const struct kernel *k, size_t row, size_t rows)
{
	switch (rows) {
	EIGHT_CASE(1) EIGHT_CASE(2) EIGHT_CASE(3) EIGHT_CASE(4) EIGHT_CASE(5) EIGHT_CASE(6) EIGHT_CASE(7) EIGHT_CASE(8) EIGHT_CASE(9) EIGHT_CASE(10) EIGHT_CASE(11)
	EIGHT_CASE(12)
	default: break;
	}
}

/* Block `i` of n rows cut into `blocks` that differ by one at most. */
static inline size_t
cut(size_t n, size_t blocks, size_t i)
{
	return i * n / blocks;
}

WIDE static void
run_wide(const struct kernel *k)
{
	const size_t sum = total_k(k), blocks = (k->m + WIDE_ROWS - 1) / WIDE_ROWS;

	for (size_t col = 0; col < k->n; col += KERNEL_PANEL)
		for (size_t i = 0; i < blocks; i++) {
			const size_t row = cut(k->m, blocks, i), rows = cut(k->m, blocks, i + 1) - row;
			if (k->n - col >= KERNEL_PANEL)
				rows_wide(k, k->b + col * sum, row, col, rows, 2);
			else
				rows_wide(k, k->b + col * sum, row, col, rows, 1);
		}
}

/* Floats from one row of the panel that holds column col to the next. */
static inline size_t
panel_step(const struct kernel *k, size_t col)
{
	const size_t behind = k->n - col / KERNEL_PANEL * KERNEL_PANEL;

	return behind < KERNEL_PANEL ? behind : KERNEL_PANEL;
}

NARROW static void
run_narrow(const struct kernel *k)
{
	const size_t sum = total_k(k), blocks = (k->m + NARROW_ROWS - 1) / NARROW_ROWS;

	for (size_t col = 0; col < k->n; col += 16)
		for (size_t i = 0; i < blocks; i++) {
			const size_t row = cut(k->m, blocks, i);
			rows_narrow(k, k->b + kernel_place(sum, k->n, 0, col), panel_step(k, col), row, col, cut(k->m, blocks, i + 1) - row);
		}
}

NARROW static void
run_eight(const struct kernel *k)
{
	const size_t blocks = (k->m + EIGHT_ROWS - 1) / EIGHT_ROWS;

	for (size_t i = 0; i < blocks; i++) {
		const size_t row = cut(k->m, blocks, i);
		rows_eight(k, row, cut(k->m, blocks, i + 1) - row);
	}
}

static void
run_plain(const struct kernel *k)
{
	const size_t sum = total_k(k);

	for (size_t col = 0; col < k->n; col += PLAIN_COLS)
		for (size_t row = 0; row < k->m; row++)
			block_plain(k, k->b + kernel_place(sum, k->n, 0, col), panel_step(k, col), row, col);
}

void
kernel_run(const struct kernel *k)
{
	if (cpu_is_narrow() && k->n == 8)
		run_eight(k);
	else if (cpu_is_wide())
		run_wide(k);
	else if (cpu_is_narrow())
		run_narrow(k);
	else
		run_plain(k);
}
