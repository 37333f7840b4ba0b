/* Sizes and memory of float arenas. Every tensor begins on a 64-byte border (one cache line, one AVX-512 register). Sums and products saturate at
 * SIZE_MAX, which arena_new refuses: a plan needs no check of its own at every step. */
#pragma once
#include <stddef.h>

enum { ARENA_ALIGN = 64 };

size_t arena_product(size_t a, size_t b);
size_t arena_sum(size_t a, size_t b);
size_t arena_rounded(size_t n_floats);     /* up to a whole number of ARENA_ALIGN bytes */
float *arena_new(size_t n_floats);         /* zeroed; NULL: less memory left than that, or a size that overflowed. caller: free */
