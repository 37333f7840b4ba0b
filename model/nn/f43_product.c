/* Products of small matrices whose sums stay in registers: a library's packing would cost as much as these take. */
#include "model/nn/f43_own.h"

enum { ROWS = 8, COLUMNS = 3 };        /* most of the block of sums that is held in registers, columns in vectors */

INLINE void
put(float *to, lanes sum, bool add)
{
	if (add)
		sum += *(lanes *)to;
	*(lanes *)to = sum;
}

/* Written out row by row: compilers keep an array of sums in memory, or half of it. */
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define ZERO(i) lanes sum##i##0 = { 0 }, sum##i##1 = { 0 }, sum##i##2 = { 0 };
#define ADD(i) if (i < rows) { sum##i##0 += a[i * lda] * b0; if (columns > 1) sum##i##1 += a[i * lda] * b1; if (columns > 2) sum##i##2 += a[i * lda] * b2; }
#define PUT(i) if (i < rows) { put(c + i * ldc, sum##i##0, add); if (columns > 1) put(c + i * ldc + LANES, sum##i##1, add); \
	if (columns > 2) put(c + i * ldc + 2 * LANES, sum##i##2, add); }

INLINE void
multiply_block(const struct f43_product *p, size_t rows, size_t columns)
{
	const float *a = p->a, *b = p->b;
	const size_t lda = p->lda, ldb = p->ldb, ldc = p->ldc;
	const bool add = p->add;
	float *const c = p->c;

	EACH_ROW(ZERO)
	for (size_t k = p->k; k > 0; k--, a++, b += ldb) {
		const lanes b0 = *(const lanes *)b, b1 = *(const lanes *)(b + (columns > 1) * LANES), b2 = *(const lanes *)(b + (columns > 2) * 2 * LANES);
		EACH_ROW(ADD)
	}
	EACH_ROW(PUT)
}

typedef void block_fn(const struct f43_product *p);
#define BLOCK(rows, columns) static void multiply_##rows##_##columns(const struct f43_product *p) { multiply_block(p, rows, columns); }
BLOCK(8, 3) BLOCK(8, 2) BLOCK(8, 1) BLOCK(4, 3) BLOCK(4, 2) BLOCK(4, 1) BLOCK(1, 3) BLOCK(1, 2) BLOCK(1, 1)

void
f43_multiply(size_t m, size_t n, struct f43_product whole)
{
	static block_fn *const fns[3][COLUMNS] = { { multiply_8_1, multiply_8_2, multiply_8_3 }, { multiply_4_1, multiply_4_2, multiply_4_3 },
		{ multiply_1_1, multiply_1_2, multiply_1_3 } };
	struct f43_product p = whole;

	for (size_t j = 0, columns; j < n; j += columns * LANES) {
		size_t left = (n - j) / LANES;
		columns = left == 4 ? 2 : left < COLUMNS ? left : COLUMNS;
		for (size_t i = 0, rows; i < m; i += rows) {
			rows = m - i >= ROWS ? ROWS : m - i >= 4 ? 4 : 1;
			p.a = whole.a + i * whole.lda;
			p.b = whole.b + j;
			p.c = whole.c + i * whole.ldc + j;
			fns[rows == ROWS ? 0 : rows == 4 ? 1 : 2][columns - 1](&p);
		}
	}
}
