/* The same loops once more for CPUs with AVX-512, chosen when they run. The bits are the same: no sum is reordered (loops that sum have their lanes written
 * out) and no product and sum are joined (-ffp-contract=off). Not target_clones: its resolvers run before a sanitizer is ready. */
#pragma once
#include <stdbool.h>

/* Everything that such a function calls is put into it, and compiled for the wide registers with it. */
#define WIDE __attribute__((flatten, target("avx512f,avx512vl,avx512bw,avx512dq")))

#define NARROW __attribute__((flatten, target("avx2,fma")))
/* Parts of such functions that take constants, and are compiled for them. */
#define WIDE_INLINE __attribute__((always_inline, target("avx512f,avx512vl,avx512bw,avx512dq"))) static inline
#define NARROW_INLINE __attribute__((always_inline, target("avx2,fma"))) static inline

/* The twin of a team_fn, and the one to be run here. */
#define WIDE_TWIN(fn) WIDE static void fn##_wide(void *arg, size_t item, unsigned lane) { fn(arg, item, lane); }
#define WIDEST(fn) (cpu_is_wide() ? fn##_wide : fn)

static inline bool
cpu_is_wide(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}

static inline bool
cpu_is_narrow(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
