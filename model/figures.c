/* Summaries and tests over cases. Medians, intervals: Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, 13.3 (percentile interval). Test:
 * Wilcoxon, Biometrics Bulletin 1, 1945; Lehmann, "Nonparametrics", 1975, for ties. */
#include "model/figures.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

enum { SAMPLES = 10000, EXACT_MAX = 50 };
static const uint64_t SEED = 0x5e6a12018;

static int
ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t
next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* An index below n < 2^32. */
static size_t
index_below(uint64_t *state, size_t n)
{
	return (size_t)((next_random(state) >> 32) * n >> 32);
}

static double
mean(const double *v, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += v[i];
	return sum / (double)n;
}

/* Of sorted values, linear between order statistics as numpy has it. */
static double
percentile(const double *sorted, size_t n, double percent)
{
	double place = percent / 100 * (double)(n - 1);
	size_t below = (size_t)place;

	return below + 1 < n ? sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]) : sorted[n - 1];
}

static void
interval(double *samples, double *low, double *high)
{
	qsort(samples, SAMPLES, sizeof *samples, ascending);
	*low = percentile(samples, SAMPLES, 2.5);
	*high = percentile(samples, SAMPLES, 97.5);
}

/* v: n sorted values. The median of a sample needs no sorting of values: counting how often each was drawn keeps their order. */
static void
bootstrap(const double *v, size_t n, uint32_t *drawn /* (n) */, double *means, double *medians /* (SAMPLES) each */)
{
	uint64_t state = SEED;

	for (size_t k = 0; k < SAMPLES; k++) {
		size_t before = 0, lower = n, i;
		double sum = 0;

		for (i = 0; i < n; i++)
			drawn[i] = 0;
		for (i = 0; i < n; i++)
			drawn[index_below(&state, n)]++;
		for (i = 0; i < n; i++)
			sum += v[i] * drawn[i];
		means[k] = sum / (double)n;
		for (i = 0; before + drawn[i] <= n / 2; before += drawn[i++])   /* i: the value of rank n / 2 */
			if (before + drawn[i] > (n - 1) / 2 && lower == n)
				lower = i;                                       /* the value of rank (n - 1) / 2, where it is another */
		medians[k] = lower == n ? v[i] : (v[lower] + v[i]) / 2;
	}
}

static int
summarise(const double *v, size_t n, struct summary *out, struct err *e)
{
	double *means = calloc(SAMPLES, sizeof *means), *medians = calloc(SAMPLES, sizeof *medians);
	uint32_t *drawn = calloc(n, sizeof *drawn);
	int rc = -1;

	if (!means || !medians || !drawn) {
		err_set(e, ERR_LIMIT, "no memory for the interval of %zu figures", n);
		goto out;
	}
	out->mean = mean(v, n);
	out->median = percentile(v, n, 50);
	out->min = v[0];
	out->max = v[n - 1];
	bootstrap(v, n, drawn, means, medians);
	interval(means, &out->mean_low, &out->mean_high);
	interval(medians, &out->median_low, &out->median_high);
	rc = 0;
out:
	free(means);
	free(medians);
	free(drawn);
	return rc;
}

int
figures_summary(const double *values, size_t n, struct summary *out, struct err *e)
{
	double *v = calloc(n ? n : 1, sizeof *v);
	int rc = 0;

	*out = (struct summary){ .mean = NAN, .mean_low = NAN, .mean_high = NAN, .median = NAN, .median_low = NAN, .median_high = NAN, .min = NAN, .max = NAN };
	if (!v)
		return err_set(e, ERR_LIMIT, "no memory for %zu figures", n);
	for (size_t i = 0; i < n; i++)
		if (!isnan(values[i]))
			v[out->n++] = values[i];
	out->missing = n - out->n;
	if (out->n > 0) {
		qsort(v, out->n, sizeof *v, ascending);
		rc = summarise(v, out->n, out, e);
	}
	free(v);
	return rc;
}

/* ---- Wilcoxon ---- */

struct difference { double size; bool is_positive; size_t twice_rank; };

static int
by_size(const void *a, const void *b)
{
	const struct difference *x = a, *y = b;

	return (x->size > y->size) - (x->size < y->size);
}

/* Ranks from 1, ties share their mean: doubled, so that it is whole. Returns the sum of t^3 - t over groups of t ties. */
static double
rank(struct difference *d, size_t n)
{
	double ties = 0;

	for (size_t i = 0, last; i < n; i = last) {
		for (last = i + 1; last < n && !(d[last].size > d[i].size); last++)
			;
		for (size_t k = i; k < last; k++)
			d[k].twice_rank = i + 1 + last;
		ties += pow((double)(last - i), 3) - (double)(last - i);
	}
	return ties;
}

/* The share of the 2^n ways to give signs whose doubled sum of positive ranks is at most `twice`. */
static double
exact_tail(const struct difference *d, size_t n, size_t twice)
{
	double ways[EXACT_MAX * (EXACT_MAX + 1) + 1] = { 1 }, sum = 0; /* ways[s]: to reach the doubled sum s */

	for (size_t i = 0; i < n; i++)
		for (size_t s = EXACT_MAX * (EXACT_MAX + 1) + 1; s-- > d[i].twice_rank;)
			ways[s] += ways[s - d[i].twice_rank];
	for (size_t s = 0; s <= twice; s++)
		sum += ways[s];
	return ldexp(sum, -(int)n);
}

static void
signed_rank(struct difference *d, struct wilcoxon *out)
{
	const size_t n = out->n;
	size_t plus = 0, minus = 0, smaller;
	double ties, variance, z;

	qsort(d, n, sizeof *d, by_size);
	ties = rank(d, n);
	for (size_t i = 0; i < n; i++)
		*(d[i].is_positive ? &plus : &minus) += d[i].twice_rank;
	out->w_plus = (double)plus / 2;
	out->w_minus = (double)minus / 2;
	smaller = plus < minus ? plus : minus;
	out->is_exact = n <= EXACT_MAX;
	if (out->is_exact) {
		out->p = fmin(1, 2 * exact_tail(d, n, smaller));
		return;
	}
	variance = ((double)n * (double)(n + 1) * (double)(2 * n + 1) - ties / 2) / 24;
	z = ((double)smaller / 2 - (double)n * (double)(n + 1) / 4) / sqrt(variance);
	out->p = fmin(1, erfc(-z / sqrt(2)));
}

int
figures_wilcoxon(const double *differences, size_t n, struct wilcoxon *out, struct err *e)
{
	struct difference *d = calloc(n ? n : 1, sizeof *d);

	*out = (struct wilcoxon){ .p = 1, .is_exact = true };
	if (!d)
		return err_set(e, ERR_LIMIT, "no memory for %zu differences", n);
	for (size_t i = 0; i < n; i++)
		if (differences[i] > 0 || differences[i] < 0)
			d[out->n++] = (struct difference){ fabs(differences[i]), differences[i] > 0, 0 };
	if (out->n > 0)
		signed_rank(d, out);
	free(d);
	return 0;
}
