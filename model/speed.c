/* Rounds of a study of noise through the segmentor, each followed by a round of matrix products on as many threads. What else the machine does
 * meets both; medians. */
#include "model/speed.h"
#include "model/network.h"
#include "model/nn/blas.h"
#include "model/nn/team.h"
#include "model/random.h"
#include "model/segan.h"

#include <stdlib.h>
#include <time.h>

enum { SIDE = 240, SLICES_A_THREAD = 4, PRODUCT = 512, MOST_ROUNDS = 64, LEAST_ROUNDS = 5 };
static const double long_enough_s = 2;

struct bench {
	struct segmentor *segmentor;
	struct team *team;
	size_t slices;
	float *x, *y;                  /* (slices, channels, SIDE, SIDE), (slices, labels, SIDE, SIDE) */
	float *matrices;               /* (threads, 3, PRODUCT, PRODUCT) */
};

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void
multiply(void *arg, size_t item, unsigned lane)
{
	const struct bench *b = arg;
	float *a = b->matrices + item * 3 * PRODUCT * PRODUCT;

	(void)lane;
	blas_product(&(struct product){ .m = PRODUCT, .n = PRODUCT, .k = PRODUCT, .a = a, .lda = PRODUCT, .b = a + PRODUCT * PRODUCT, .ldb = PRODUCT,
		.c = a + 2 * PRODUCT * PRODUCT, .ldc = PRODUCT });
}

static int
compare_doubles(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(double *v, size_t n)
{
	qsort(v, n, sizeof *v, compare_doubles);
	return v[n / 2];
}

static int
rounds(const struct bench *b, struct speed *out, struct err *e)
{
	const double begin = now_s();
	double network[MOST_ROUNDS], product[MOST_ROUNDS];
	size_t n = 0;

	if (segmentor_run(b->segmentor, b->x, b->slices, SIDE, SIDE, b->y, e) != 0)      /* not counted: memory is met for the first time */
		return -1;
	team_run(b->team, out->threads, multiply, (void *)b);
	while (n < MOST_ROUNDS && (n < LEAST_ROUNDS || now_s() - begin < long_enough_s)) {
		double t = now_s();
		if (segmentor_run(b->segmentor, b->x, b->slices, SIDE, SIDE, b->y, e) != 0)
			return -1;
		network[n] = now_s() - t;
		t = now_s();
		team_run(b->team, out->threads, multiply, (void *)b);
		product[n++] = now_s() - t;
	}
	out->ms = median(network, n) / (double)b->slices * 1e3;
	out->sgemm_gflops = 2e-9 * PRODUCT * PRODUCT * PRODUCT * out->threads / median(product, n);
	return 0;
}

static int
fill(struct bench *b, const struct network *network, unsigned threads, struct err *e)
{
	const size_t plane = SIDE * SIDE, n_x = b->slices * network->channels * plane, n_matrices = (size_t)threads * 3 * PRODUCT * PRODUCT;
	struct random random = random_stream(1, 0, 0);

	b->x = malloc(n_x * sizeof *b->x);
	b->y = malloc(b->slices * network->labels * plane * sizeof *b->y);
	b->matrices = malloc(n_matrices * sizeof *b->matrices);
	b->team = team_new(threads, e);
	if (!b->x || !b->y || !b->matrices || !b->team)
		return err_set(e, ERR_LIMIT, "no memory for %zu slices", b->slices);
	for (size_t i = 0; i < n_x; i++)
		b->x[i] = (float)random_unit(&random);
	for (size_t i = 0; i < n_matrices; i++)
		b->matrices[i] = (float)random_unit(&random);
	return 0;
}

int
speed_measure(const struct manifest *m, unsigned threads, struct speed *out, struct err *e)
{
	struct bench b = { .segmentor = segmentor_load(m, threads, e) };
	int rc = -1;

	if (!b.segmentor)
		return -1;
	*out = (struct speed){ .threads = segmentor_threads(b.segmentor), .side = SIDE };
	out->slices = b.slices = (size_t)SLICES_A_THREAD * out->threads;
	if (network_flops(&m->network, SIDE, SIDE, &out->gflop, e) != 0)
		goto out;
	out->gflop *= 1e-9;
	if (fill(&b, &m->network, out->threads, e) == 0)
		rc = rounds(&b, out, e);
out:
	segmentor_free(b.segmentor);
	team_free(b.team);
	free(b.x);
	free(b.y);
	free(b.matrices);
	return rc;
}
