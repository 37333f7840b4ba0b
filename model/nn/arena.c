/* Sizes that cannot overflow unseen, and aligned memory for them. */
#include "model/nn/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Large arenas are walked map by map, a page or more apart: with 4 kB pages every step would need another entry of the TLB. */
enum { HUGE_PAGE = 2 << 20, HUGE_FROM = 16 << 20 };

size_t
arena_product(size_t a, size_t b)
{
	size_t r;

	return __builtin_mul_overflow(a, b, &r) ? SIZE_MAX : r;
}

size_t
arena_sum(size_t a, size_t b)
{
	size_t r;

	return __builtin_add_overflow(a, b, &r) ? SIZE_MAX : r;
}

size_t
arena_rounded(size_t n_floats)
{
	const size_t step = ARENA_ALIGN / sizeof(float);

	return n_floats > SIZE_MAX - step ? SIZE_MAX : (n_floats + step - 1) / step * step;
}

float *
arena_new(size_t n_floats)
{
	size_t bytes = arena_product(arena_rounded(n_floats ? n_floats : 1), sizeof(float));
	float *values;

	if (bytes > PTRDIFF_MAX)
		return NULL;
	if (bytes < HUGE_FROM || bytes > PTRDIFF_MAX - HUGE_PAGE)
		values = aligned_alloc(ARENA_ALIGN, bytes);
	else {
		bytes = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
		values = aligned_alloc(HUGE_PAGE, bytes);
		if (values)
			madvise(values, bytes, MADV_HUGEPAGE);   /* a wish: without them it is only slower */
	}
	if (values)
		memset(values, 0, bytes);
	return values;
}
