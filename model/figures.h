/* Statistics over cases: summaries with bootstrap intervals, paired differences. Deterministic: one seed, the same bits on every machine. */
#pragma once
#include "config/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Values that are nan are left out and counted. With none left every number but missing is nan. */
struct summary {
	size_t n, missing;
	double mean, mean_low, mean_high;           /* low, high: 95 % interval, percentile bootstrap, 10000 samples of n with replacement */
	double median, median_low, median_high;
	double min, max;
};
int figures_summary(const double *values, size_t n, struct summary *out, struct err *e);

/* Wilcoxon's signed-rank test that differences are symmetric about 0, two-sided. Differences of 0 (and nan) are left out; equal ones share their mean
 * rank. Up to 50 of them p is exact (ties included), beyond by the normal approximation with the variance that ties leave. */
struct wilcoxon { size_t n; double w_plus, w_minus /* sums of ranks */, p /* 1 with n 0 */; bool is_exact; };
int figures_wilcoxon(const double *differences, size_t n, struct wilcoxon *out, struct err *e);
