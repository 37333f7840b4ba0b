/* Seeded random numbers that depend on nothing but what they are asked for: a stream is named by a seed and two numbers, so sample 5000 of a training
 * is the same whoever computes it, and a resumed run needs no saved generator. SplitMix64 (Steele, Lea, Flood 2014). */
#pragma once
#include <math.h>
#include <stdint.h>

struct random { uint64_t state; };

static inline uint64_t
random_next(struct random *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15U;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

static inline struct random
random_stream(uint64_t seed, uint64_t a, uint64_t b)
{
	struct random r = { seed };

	r.state = random_next(&r) ^ a;
	r.state = random_next(&r) ^ b;
	r.state = random_next(&r);
	return r;
}

static inline double
random_unit(struct random *r)                  /* [0, 1) */
{
	return (double)(random_next(r) >> 11) * 0x1p-53;
}

static inline double
random_between(struct random *r, double low, double high)
{
	return low + (high - low) * random_unit(r);
}

static inline uint64_t
random_below(struct random *r, uint64_t n)     /* 0 ... n-1; n far below 2^53 */
{
	return (uint64_t)(random_unit(r) * (double)n);
}

static inline double
random_normal(struct random *r)                /* mean 0, deviation 1 (Box and Muller 1958) */
{
	double u = 1 - random_unit(r);         /* (0, 1] */

	return sqrt(-2 * log(u)) * cos(2 * M_PI * random_unit(r));
}
