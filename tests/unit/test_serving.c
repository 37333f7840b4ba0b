/* The network that serves against the straightforward one: both kinds, odd widths, the smallest sizes. */
#include "model/network.h"
#include "model/nn/blas.h"
#include "model/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct err error;

static void
must(int rc)
{
	if (rc != 0)
		fail_msg("%s", error.text);
}

/* Every weight at random, running variances positive. */
static void
fill(struct parameters *p)
{
	struct random random = random_stream(7, 0, 0);

	for (size_t i = 0; i < parameters_size(p); i++) {
		struct parameter *one = parameters_at(p, i);
		const size_t fan = one->n_dims == 4 ? one->size / one->dims[0] : 1;
		const bool is_variance = strstr(one->name, "running_var") != NULL;

		for (size_t j = 0; j < one->size; j++)
			one->value[j] = is_variance ? (float)random_between(&random, 0.5, 2) : (float)(random_normal(&random) / sqrt((double)fan));
	}
}

/* Logits of one image by one form. caller: free */
static float *
logits_of(struct parameters *p, const struct network *n, enum network_form form, size_t h, size_t w)
{
	struct random random = random_stream(11, 0, 0);
	const struct shape shape = { 2, n->channels, h, w };
	const size_t size = 2 * n->labels * h * w;
	struct network_pass pass;
	float *copy = malloc(size * sizeof *copy);

	assert_non_null(copy);
	must(network_pass_open(&pass, p, n, form, shape, &error));
	for (size_t i = 0; i < shape_size(shape); i++)
		pass.x->value[i] = (float)random_unit(&random);
	graph_forward(pass.graph);
	memcpy(copy, pass.logits->value, size * sizeof *copy);
	for (size_t i = 0; i < size; i++)
		assert_true(fabs(pass.probability->value[i] - 1 / (1 + exp(-(double)copy[i]))) < 1e-6);
	network_pass_close(&pass);
	return copy;
}

static void
compare(const struct network *n, size_t h, size_t w)
{
	struct parameters *plain = parameters_new(&error), *serving = parameters_new(&error);
	double difference = 0, scale = 0;
	float *want, *got;

	assert_true(plain && serving);
	must(network_define(plain, n, NETWORK_PLAIN, &error));
	must(network_define(serving, n, NETWORK_SERVING, &error));
	fill(plain);
	must(network_fold(plain, serving, n, &error));
	want = logits_of(plain, n, NETWORK_PLAIN, h, w);
	got = logits_of(serving, n, NETWORK_SERVING, h, w);
	for (size_t i = 0; i < 2 * n->labels * h * w; i++) {
		difference = fmax(difference, fabs((double)want[i] - got[i]));
		scale = fmax(scale, fabs(want[i]));
	}
	if (!(difference <= 2e-5 * scale))
		fail_msg("kind %d, skip %d, width %zu, %zu x %zu: differs by %g of %g", (int)n->kind, (int)n->skip, n->width, h, w, difference, scale);
	free(want);
	free(got);
	parameters_free(plain);
	parameters_free(serving);
}

static void
serving_is_the_plain_network(void **state)
{
	static const struct { enum network_kind kind; enum network_skip skip; } kinds[] = { { NETWORK_SEGAN, SKIP_SUM }, { NETWORK_SEGAN, SKIP_CONCAT }, { NETWORK_UNET, SKIP_SUM } };
	static const struct { size_t channels, width, labels, h, w; } cases[] = { { 1, 1, 1, 16, 16 }, { 3, 3, 5, 16, 48 }, { 4, 8, 3, 80, 32 }, { 2, 9, 2, 32, 32 },
		{ 16, 16, 17, 48, 16 } };

	(void)state;
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			const struct network n = { .kind = kinds[k].kind, .skip = kinds[k].skip, .channels = cases[i].channels, .width = cases[i].width,
				.labels = cases[i].labels, .leaky_slope = 0.2, .bn_eps = 1e-5 };
			compare(&n, cases[i].h, cases[i].w);
		}
}

/* Layer by layer on paper: width 16, one channel, one map, 240 x 240. */
static void
flops_are_counted(void **state)
{
	const struct network segan = { .kind = NETWORK_SEGAN, .channels = 1, .width = 16, .labels = 1, .leaky_slope = 0.2, .bn_eps = 1e-5 };
	const struct network unet = { .kind = NETWORK_UNET, .channels = 1, .width = 1, .labels = 1, .leaky_slope = 0.2, .bn_eps = 1e-5 };
	double got;

	(void)state;
	must(network_flops(&segan, 240, 240, &got, &error));
	assert_true(got == 2.0 * (16 * 16 * 14400 + 3 * 32 * 16 * 16 * 3600 + 3 * 64 * 128 * 9 * 900 + 16 * 9 * 57600));
	must(network_flops(&unet, 16, 16, &got, &error));
	/* down 1, 2, 4, 8 maps at 256, 64, 16, 4 pixels; middle 16 at 1; up: transposed, then two */
	assert_true(got == 2.0 * (9 * (2 * 256 + 6 * 64 + 24 * 16 + 96 * 4 + 384) + 4 * (16 * 8 + 8 * 4 * 4 + 4 * 2 * 16 + 2 * 64) +
		9 * (192 * 4 + 48 * 16 + 12 * 64 + 3 * 256) + 256));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(serving_is_the_plain_network), cmocka_unit_test(flops_are_counted) };

	blas_one_thread();                             /* its own threads would look like a race to a sanitizer */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
