/* Percentiles by radix selection: one pass counts the upper halves of the values' sortable bits, a second one the lower halves within the few upper
 * halves that hold a wanted rank. Exact, two reads of the volume, memory that does not grow with it. */
#include "model/statistics.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BINS = 1 << 16, MAX_RANKS = 2 * STATISTICS_MAX_PERCENTILES };

/* Which values count. */
struct filter { double base, over; };

/* A wanted order statistic, and where the search for it stands. */
struct rank { size_t rank, rest; uint32_t upper; size_t table; float value; };

struct selection {
	size_t *upper;                 /* (BINS) */
	size_t *lower;                 /* (MAX_RANKS, BINS): one table for every upper half in question */
	uint32_t table_upper[MAX_RANKS];
	size_t n_tables;
	struct rank ranks[MAX_RANKS];
	size_t n_ranks;
};

/* Bits that sort as unsigned numbers in the order of the values. */
static inline uint32_t
to_key(float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof bits);
	return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static float
from_key(uint32_t key)
{
	uint32_t bits = key & 0x80000000u ? key & 0x7fffffffu : ~key;
	float v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

static inline bool
counts(struct filter f, float v)
{
	return (double)v - f.base > f.over;
}

/* First pass; returns how many values count, SIZE_MAX when one is not finite. */
static size_t
count_upper(struct selection *s, const struct voxels *voxels, size_t n, struct filter f)
{
	float room[VOXELS_RUN];
	const float *v;
	size_t within = 0;

	for (size_t first = 0, run; first < n; first += run) {
		run = voxels_run(voxels, n, first, room, &v);
		for (size_t i = 0; i < run; i++) {
			if (!isfinite(v[i]))
				return SIZE_MAX;
			if (counts(f, v[i])) {
				s->upper[to_key(v[i]) >> 16]++;
				within++;
			}
		}
	}
	return within;
}

/* The bin of counts that holds the value of that rank; *rest: its rank within the bin. */
static uint32_t
bin_of(const size_t *bins, size_t rank, size_t *rest)
{
	uint32_t bin = 0;

	while (rank >= bins[bin])
		rank -= bins[bin++];
	*rest = rank;
	return bin;
}

static void
choose_tables(struct selection *s)
{
	for (size_t i = 0; i < s->n_ranks; i++) {
		struct rank *r = &s->ranks[i];

		r->upper = bin_of(s->upper, r->rank, &r->rest);
		for (r->table = 0; r->table < s->n_tables && s->table_upper[r->table] != r->upper; r->table++)
			;
		if (r->table == s->n_tables)
			s->table_upper[s->n_tables++] = r->upper;
	}
}

static void
count_lower(struct selection *s, const struct voxels *voxels, size_t n, struct filter f)
{
	float room[VOXELS_RUN];
	const float *v;

	for (size_t first = 0, run; first < n; first += run) {
		run = voxels_run(voxels, n, first, room, &v);
		for (size_t i = 0; i < run; i++) {
			uint32_t key = to_key(v[i]);

			for (size_t t = 0; t < s->n_tables; t++)
				if (key >> 16 == s->table_upper[t] && counts(f, v[i]))
					s->lower[t * BINS + (key & 0xffff)]++;
		}
	}
}

static void
select_values(struct selection *s, const struct voxels *v, size_t n, struct filter f)
{
	choose_tables(s);
	count_lower(s, v, n, f);
	for (size_t i = 0; i < s->n_ranks; i++) {
		struct rank *r = &s->ranks[i];
		size_t last;

		r->value = from_key(r->upper << 16 | bin_of(s->lower + r->table * BINS, r->rest, &last));
	}
}

/* Rank below and above the place of a percentile among n values; returns the fraction between them. */
static double
place(double percent, size_t n, size_t *below, size_t *above)
{
	double at = percent / 100 * (double)(n - 1);

	*below = (size_t)at < n - 1 ? (size_t)at : n - 1;
	*above = *below + 1 < n ? *below + 1 : *below;
	return at - (double)*below;
}

int
statistics_percentiles(const struct voxels *v, size_t n, double base, double over, const double *percent, size_t n_percentiles, double *out,
	size_t *n_within, struct err *e)
{
	const struct filter f = { base, over };
	struct selection s = { .n_ranks = 2 * n_percentiles };
	int result = -1;

	assert(n_percentiles <= STATISTICS_MAX_PERCENTILES);
	s.upper = calloc(BINS, sizeof *s.upper);
	s.lower = calloc((size_t)MAX_RANKS * BINS, sizeof *s.lower);
	if (!s.upper || !s.lower) {
		err_set(e, ERR_LIMIT, "no memory for the statistics of a volume");
		goto out;
	}
	*n_within = count_upper(&s, v, n, f);
	if (*n_within == SIZE_MAX) {
		err_set(e, ERR_INPUT, "a voxel's value is not a number");
		goto out;
	}
	result = 0;
	if (*n_within == 0)
		goto out;
	for (size_t i = 0; i < n_percentiles; i++)
		place(percent[i], *n_within, &s.ranks[2 * i].rank, &s.ranks[2 * i + 1].rank);
	select_values(&s, v, n, f);
	for (size_t i = 0; i < n_percentiles; i++) {
		double low = s.ranks[2 * i].value - base, high = s.ranks[2 * i + 1].value - base;
		size_t below, above;

		out[i] = low + place(percent[i], *n_within, &below, &above) * (high - low);
	}
out:
	free(s.upper);
	free(s.lower);
	return result;
}
