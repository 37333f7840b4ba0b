/* The SegAN segmentor in inference.
 *
 * Taken from the paper (Xue et al., Neuroinformatics 2018, "Segmentor"): a fully convolutional encoder and decoder, 4x4 stride-2 convolutions down,
 * bilinear resize and 3x3 convolutions up, LeakyReLU 0.2 and ReLU, BatchNorm, skips between equal sizes, one sigmoid map a label.
 * Ours, after SegAN-CAT (Giacomello et al. 2019): skips are sums by default; no BatchNorm in the first block. Layers: model/network.c.
 * Not here: the critic and the game. When it serves, the critic has no part.
 *
 * DESIGN: segmentor_run starts threads - 1 helpers and works itself; each lane (one a thread) owns a graph planned for one slice and takes whole
 * slices off an atomic counter. Weights are shared and only read. Every slice is computed by the same operations in the same order whichever lane
 * takes it, so neither the number of threads nor the split into calls changes a bit. Nothing is allocated while the slice size stays. */
#include "model/segan.h"
#include "model/network.h"
#include "model/nn/blas.h"
#include "model/weights.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_THREADS = 64, LANE_VALUES = 5, LANE_MAPS = 16 /* values of all layers alive at a time, per pixel and map of the first level, whose maps come in blocks */ };

struct segmentor {
	struct network network;
	struct parameters *parameters;          /* folded */
	unsigned threads;
	size_t h, w;                            /* what the lanes are planned for; 0: nothing yet */
	unsigned n_lanes;
	struct network_pass lanes[MAX_THREADS];
};

static unsigned
cores(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

static const struct tensor *
find_weight(const void *source, const char *name)
{
	return weights_find(source, name);
}

/* A tensor of the segmentor that this network does not have means that the file is another network's. */
static int
check_foreign(const struct weights *w, const struct parameters *p, struct err *e)
{
	for (size_t i = 0; i < weights_size(w); i++) {
		const char *name = weights_at(w, i)->name;
		if (strncmp(name, "segmentor.", 10) == 0 && !parameters_find(p, name))
			return err_set(e, ERR_INPUT, "the tensor %s is not part of this network", name);
	}
	return 0;
}

/* Weights file -> plain parameters -> folded ones. */
static int
load_parameters(const struct manifest *m, struct parameters *serving, struct err *e)
{
	struct parameters *plain = parameters_new(e);
	struct weights *w = NULL;
	char path[sizeof m->dir + 32];
	int result = -1;

	if (!plain)
		return -1;
	snprintf(path, sizeof path, "%s/weights.safetensors", m->dir);
	w = weights_load(path, m->weights_sha256, e);
	if (!w)
		goto out;
	if (network_define(plain, &m->network, NETWORK_PLAIN, e) != 0 || network_define(serving, &m->network, NETWORK_SERVING, e) != 0)
		goto out;
	if (check_foreign(w, plain, e) != 0 || network_fill(plain, find_weight, w, e) != 0 || network_fold(plain, serving, &m->network, e) != 0) {
		err_note(e, "%s", path);
		goto out;
	}
	result = 0;
out:
	weights_free(w);
	parameters_free(plain);
	return result;
}

struct segmentor *
segmentor_load(const struct manifest *m, unsigned threads, struct err *e)
{
	struct segmentor *s = calloc(1, sizeof *s);

	if (!s) {
		err_set(e, ERR_LIMIT, "no memory for the segmentor");
		return NULL;
	}
	blas_one_thread();
	s->network = m->network;
	s->threads = threads ? threads : cores();
	if (s->threads > MAX_THREADS)
		s->threads = MAX_THREADS;
	s->parameters = parameters_new(e);
	if (s->parameters && load_parameters(m, s->parameters, e) == 0)
		return s;
	err_note(e, "loading the model %s@%s", m->name, m->version);
	segmentor_free(s);
	return NULL;
}

static void
close_lanes(struct segmentor *s)
{
	while (s->n_lanes > 0)
		network_pass_close(&s->lanes[--s->n_lanes]);
}

void
segmentor_free(struct segmentor *s)
{
	if (!s)
		return;
	close_lanes(s);
	parameters_free(s->parameters);
	free(s);
}

/* Measured: 1.0 (segan, width 16) to 3.6 (unet, width 12) values a map. */
double
segmentor_lane_bytes(const struct network *n, size_t h, size_t w)
{
	const double maps = (double)((n->width + LANE_MAPS - 1) / LANE_MAPS * LANE_MAPS);

	return sizeof(float) * (double)h * (double)w * ((double)n->channels + LANE_VALUES * maps + (double)n->labels);
}

unsigned
segmentor_threads(const struct segmentor *s)
{
	return s->threads;
}

static int
plan_lanes(struct segmentor *s, size_t n, size_t h, size_t w, struct err *e)
{
	if (s->h != h || s->w != w)
		close_lanes(s);
	s->h = h;
	s->w = w;
	while (s->n_lanes < n) {
		struct shape x = { 1, s->network.channels, h, w };
		if (network_pass_open(&s->lanes[s->n_lanes], s->parameters, &s->network, NETWORK_SERVING, x, e) != 0)
			return err_note(e, "slices of %zu x %zu", h, w);
		s->n_lanes++;
	}
	return 0;
}

/* One call of segmentor_run, shared by its lanes. */
struct work { const float *x; float *probability; size_t n; atomic_size_t next; };
struct lane { struct work *work; const struct network_pass *pass; };

/* Slices that are the same as the one before them, as the empty ones above and below a head are, are not computed again. */
static bool
is_repeated(const struct work *w, size_t k, size_t size)
{
	return k > 0 && memcmp(w->x + k * size, w->x + (k - 1) * size, size * sizeof *w->x) == 0;
}

static void
copy_repeated(const struct work *w, size_t in, size_t out)
{
	for (size_t k = 1; k < w->n; k++)
		if (is_repeated(w, k, in))
			memcpy(w->probability + k * out, w->probability + (k - 1) * out, out * sizeof *w->probability);
}

static void *
lane_main(void *arg)
{
	const struct lane *lane = arg;
	const size_t in = shape_size(lane->pass->x->shape), out = shape_size(lane->pass->probability->shape);
	size_t k;

	while ((k = atomic_fetch_add(&lane->work->next, 1)) < lane->work->n) {
		if (is_repeated(lane->work, k, in))
			continue;
		memcpy(lane->pass->x->value, lane->work->x + k * in, in * sizeof(float));
		graph_forward(lane->pass->graph);
		memcpy(lane->work->probability + k * out, lane->pass->probability->value, out * sizeof(float));
	}
	return NULL;
}

int
segmentor_run(struct segmentor *s, const float *x, size_t n, size_t h, size_t w, float *probability, struct err *e)
{
	struct work work = { .x = x, .probability = probability, .n = n };
	struct lane lanes[MAX_THREADS];
	pthread_t helpers[MAX_THREADS];
	size_t n_lanes = n < s->threads ? n : s->threads, n_helpers = 0;

	assert(h > 0 && w > 0 && h % NETWORK_MULTIPLE == 0 && w % NETWORK_MULTIPLE == 0);
	if (plan_lanes(s, n_lanes, h, w, e) != 0)
		return -1;
	for (size_t i = 0; i < n_lanes; i++)
		lanes[i] = (struct lane){ &work, &s->lanes[i] };
	/* A helper that cannot be started is no loss but time: whoever runs takes its slices. */
	while (n_helpers + 1 < n_lanes && pthread_create(&helpers[n_helpers], NULL, lane_main, &lanes[n_helpers + 1]) == 0)
		n_helpers++;
	if (n_lanes > 0)
		lane_main(&lanes[0]);
	while (n_helpers > 0)
		pthread_join(helpers[--n_helpers], NULL);
	copy_repeated(&work, s->network.channels * h * w, s->network.labels * h * w);
	return 0;
}

const char *
compute_wanted_core(void)
{
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd"))
		return "SkylakeX";
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? "Haswell" : NULL;
}

const char *
compute_core(void)
{
	return blas_core();
}
