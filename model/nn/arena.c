/* Sizes that cannot overflow unseen, and aligned memory for them. */
#include "model/nn/arena.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
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

/* malloc promises more than there is, and who then fills it is killed without a word, perhaps with a neighbour. Unknown is yes. */
static bool
may_fit(size_t bytes)
{
	FILE *f = bytes < HUGE_FROM ? NULL : fopen("/proc/meminfo", "re");
	unsigned long long available_kb = ULLONG_MAX;
	char line[128];

	if (!f)
		return true;
	while (fgets(line, sizeof line, f) && sscanf(line, "MemAvailable: %llu", &available_kb) != 1)
		continue;
	fclose(f);
	return bytes / 1024 <= available_kb;
}

float *
arena_new(size_t n_floats)
{
	size_t bytes = arena_product(arena_rounded(n_floats ? n_floats : 1), sizeof(float));
	float *values;

	if (bytes > PTRDIFF_MAX || !may_fit(bytes))
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
