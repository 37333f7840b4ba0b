/* The multi-scale L1 loss (Xue et al. 2017, Sect. 2: what the layers are is model/critic.c's) and the soft Dice loss (SEGAN.md). Long sums run as
 * SIDE sums side by side in float over a block, the blocks in double; parts of the batch as in parts.h. */
#include "model/nn/loss.h"
#include "model/nn/parts.h"
#include "model/nn/wide.h"

#include <assert.h>
#include <math.h>

enum { BLOCK = 256, SIDE = 16 };

static double
total(const float sums[SIDE])
{
	double t = 0;

	for (size_t k = 0; k < SIDE; k++)
		t += sums[k];
	return t;
}

/* sum |a - b| over n values */
static double
difference(const float *a, const float *b, size_t n)
{
	double sum = 0;

	for (size_t block = 0; block < n; block += BLOCK) {
		const size_t end = n - block < BLOCK ? n : block + BLOCK;
		float sums[SIDE] = { 0 };
		size_t i = block;

		for (; i + SIDE <= end; i += SIDE)
			for (size_t k = 0; k < SIDE; k++)
				sums[k] += fabsf(a[i + k] - b[i + k]);
		for (size_t k = 0; i < end; i++, k++)
			sums[k] += fabsf(a[i] - b[i]);
		sum += total(sums);
	}
	return sum;
}

/* to = slope (0 or over) x the sign of a - b; equal values pull nowhere */
static void
signs(const float *restrict a, const float *restrict b, size_t n, float slope, float *restrict to)
{
	for (size_t i = 0; i < n; i++) {
		float d = a[i] - b[i], s = copysignf(slope, d);
		to[i] = d == 0 ? 0 : s;
	}
}

struct l1 { const struct layer *layers; double weight, sums[LOSS_MAX_LAYERS * MAX_PARTS]; };

/* One part of one layer. */
static void
l1_part(void *arg, size_t item, unsigned lane)
{
	struct l1 *w = arg;
	const struct layer *l = &w->layers[item / MAX_PARTS];
	const size_t part = item % MAX_PARTS;
	const float slope = (float)(w->weight * l->share), size = fabsf(slope);

	(void)lane;
	if (part >= parts_of(l->slices))
		return;
	for (size_t at = part_begin(l->slices, part) * l->size, end = part_begin(l->slices, part + 1) * l->size; at < end; at += l->size) {
		w->sums[item] += difference(l->a + at, l->b + at, l->size);
		if (l->da)
			signs(slope < 0 ? l->b + at : l->a + at, slope < 0 ? l->a + at : l->b + at, l->size, size, l->da + at);
		if (l->db)
			signs(slope < 0 ? l->a + at : l->b + at, slope < 0 ? l->b + at : l->a + at, l->size, size, l->db + at);
	}
}

WIDE_TWIN(l1_part)

double
loss_l1(struct team *t, const struct layer *layers, size_t n, double weight)
{
	struct l1 w = { .layers = layers, .weight = weight };
	double loss = 0;

	assert(n <= LOSS_MAX_LAYERS);
	team_run(t, n * MAX_PARTS, WIDEST(l1_part), &w);
	for (size_t item = 0; item < n * MAX_PARTS; item++)
		loss += layers[item / MAX_PARTS].share * w.sums[item];
	return loss;
}

enum { PT, PP, TT, N_SUMS };
static const double smooth = 1e-6;

/* sum p t, p p and t t over n values */
static void
three_sums(const float *p, const float *t, size_t n, double sums[N_SUMS])
{
	sums[PT] = sums[PP] = sums[TT] = 0;
	for (size_t block = 0; block < n; block += BLOCK) {
		const size_t end = n - block < BLOCK ? n : block + BLOCK;
		float pt[SIDE] = { 0 }, pp[SIDE] = { 0 }, tt[SIDE] = { 0 };
		size_t i = block;

		for (; i + SIDE <= end; i += SIDE)
			for (size_t k = 0; k < SIDE; k++) {
				pt[k] += p[i + k] * t[i + k];
				pp[k] += p[i + k] * p[i + k];
				tt[k] += t[i + k] * t[i + k];
			}
		for (size_t k = 0; i < end; i++, k++) {
			pt[k] += p[i] * t[i];
			pp[k] += p[i] * p[i];
			tt[k] += t[i] * t[i];
		}
		sums[PT] += total(pt);
		sums[PP] += total(pp);
		sums[TT] += total(tt);
	}
}

static void
dice_sums(void *arg, size_t item, unsigned lane)
{
	const struct dice *d = arg;

	(void)lane;
	three_sums(d->p + item * d->plane, d->t + item * d->plane, d->plane, d->sums + item * N_SUMS);
}

WIDE_TWIN(dice_sums)

/* d/dp of weight x (1 - (2 sum(p t) + s) / (sum(p^2) + sum(t^2) + s)) = p x by_p + t x by_t, for each (slice, map). */
static void
dice_gradient(void *arg, size_t item, unsigned lane)
{
	const struct dice *d = arg;
	const double *sums = d->over_batch ? d->sums : d->sums + item * N_SUMS;
	const double share = d->over_batch ? d->weight : d->weight / (double)(d->slices * d->maps);
	const double above = 2 * sums[PT] + smooth, below = sums[PP] + sums[TT] + smooth;
	const float by_p = (float)(share * 2 * above / (below * below)), by_t = (float)(share * -2 / below);
	const float *p = d->p + item * d->plane, *t = d->t + item * d->plane;
	float *dp = d->dp + item * d->plane;

	(void)lane;
	for (size_t i = 0; i < d->plane; i++)
		dp[i] = p[i] * by_p + t[i] * by_t;
}

WIDE_TWIN(dice_gradient)

double
loss_dice(struct team *t, const struct dice *d)
{
	const size_t n = d->slices * d->maps;
	struct dice work = *d;
	double dice = 0;

	team_run(t, n, WIDEST(dice_sums), &work);
	for (size_t item = 1; d->over_batch && item < n; item++)
		for (size_t k = 0; k < N_SUMS; k++)
			d->sums[k] += d->sums[item * N_SUMS + k];
	for (size_t item = 0; item < (d->over_batch ? 1 : n); item++) {
		const double *s = d->sums + item * N_SUMS;
		dice += (2 * s[PT] + smooth) / (s[PP] + s[TT] + smooth);
	}
	team_run(t, n, WIDEST(dice_gradient), &work);
	return 1 - dice / (d->over_batch ? 1 : (double)n);
}
