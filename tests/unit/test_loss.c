/* Losses and optimisers: by hand, by differences, and against what PyTorch's own optimisers gave. */
#include "model/nn/loss.h"
#include "model/nn/optim.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void
close_to(double got, double want)
{
	if (!(fabs(got - want) <= 1e-6 * fmax(1, fabs(want))))
		fail_msg("%.9g, wanted %.9g", got, want);
}

static void
l1_by_hand(void **state)
{
	const float a[4] = { 1, 2, 3, -4 }, b[4] = { 3, 2, 1, -5 }, c[2] = { 0, 10 }, d[2] = { 1, 4 };
	float da[4], db[4], dc[2];
	const struct layer layers[2] = { { a, b, da, db, 2, 2, 0.25 }, { c, d, dc, NULL, 1, 2, 0.5 } };

	(void)state;
	close_to(loss_l1(NULL, layers, 2, -2), 0.25 * 5 + 0.5 * 7);
	assert_memory_equal(da, ((float[]){ 0.5f, 0, -0.5f, -0.5f }), sizeof da);
	assert_memory_equal(db, ((float[]){ -0.5f, 0, 0.5f, 0.5f }), sizeof db);
	assert_memory_equal(dc, ((float[]){ 1, -1 }), sizeof dc);
	assert_true(isnan(loss_l1(NULL, &(struct layer){ (float[]){ NAN }, b, NULL, NULL, 1, 1, 1 }, 1, 1)));
}

enum { SLICES = 3, MAPS = 2, PLANE = 300 };

static double
dice_of(const float *p, const float *t, float *dp, bool over_batch)
{
	double sums[3 * SLICES * MAPS];

	return loss_dice(NULL, &(struct dice){ p, t, dp, SLICES, MAPS, PLANE, over_batch, 1, sums });
}

static void
dice_gradient_is_its_slope(void **state)
{
	static float p[SLICES * MAPS * PLANE], t[SLICES * MAPS * PLANE], dp[SLICES * MAPS * PLANE], unused[SLICES * MAPS * PLANE];

	(void)state;
	for (size_t i = 0; i < SLICES * MAPS * PLANE; i++) {
		p[i] = (float)(i * 37 % 101) / 101;
		t[i] = i % 7 < 3 && i / PLANE != 2;      /* one (slice, map) without truth */
	}
	for (int over_batch = 0; over_batch < 2; over_batch++) {
		assert_true(dice_of(p, t, dp, over_batch) > 0.1);
		for (size_t i = 5; i < SLICES * MAPS * PLANE; i += 97) {
			const float was = p[i];
			double above, below;

			p[i] = was + 0.0625f;
			above = dice_of(p, t, unused, over_batch);
			p[i] = was - 0.0625f;
			below = dice_of(p, t, unused, over_batch);
			p[i] = was;
			if (!(fabs((above - below) / 0.125 - dp[i]) <= 1e-2 * fabs(dp[i]) + 1e-6))
				fail_msg("%zu: slope %g, gradient %g", i, (above - below) / 0.125, (double)dp[i]);
		}
	}
}

static void
dice_at_its_ends(void **state)
{
	static float p[SLICES * MAPS * PLANE], t[SLICES * MAPS * PLANE], dp[SLICES * MAPS * PLANE];

	(void)state;
	close_to(dice_of(p, t, dp, false), 0);           /* nothing there, nothing found */
	close_to(dice_of(p, t, dp, true), 0);
	for (size_t i = 0; i < SLICES * MAPS * PLANE; i++)
		p[i] = t[i] = i % 2;
	close_to(dice_of(p, t, dp, false), 0);
	memset(t, 0, sizeof t);
	close_to(dice_of(p, t, dp, true), 1);
}

/* Three steps on three values; torch.optim gave the wanted ones. */
static void
moves_as_pytorch(const struct optim_settings *s, double clip, const float want[3])
{
	static const float gradients[3][3] = { { 0.5f, -1, 0 }, { 0.25f, 2, -1e-4f }, { -1, 0.5f, 3 } };
	struct err e;
	struct parameters *p = parameters_new(&e);
	struct parameter *t = parameters_get(p, "a.weight", PARAMETER_TRAINED, 1, &(size_t){ 3 }, &e);
	struct parameter *fixed = parameters_get(p, "a.running_mean", PARAMETER_STATISTIC, 1, &(size_t){ 1 }, &e);
	struct optim *o;

	assert_int_equal(parameters_plan(p, &e), 0);
	assert_int_equal(parameters_plan_gradients(p, &e), 0);
	memcpy(t->value, (float[]){ 1, -2, 0.5f }, 12);
	fixed->value[0] = 7;
	o = optim_new(p, s, &e);
	assert_non_null(o);
	for (uint64_t step = 1; step <= 3; step++) {
		memcpy(t->gradient, gradients[step - 1], 12);
		optim_step(o, 0.1, step, step == 3 ? clip : 0);
	}
	for (size_t i = 0; i < 3; i++)
		close_to(t->value[i], want[i]);
	assert_true(fixed->value[0] == 7);
	assert_null(optim_moment(o, 1, 0));
	assert_non_null(optim_moment(o, 0, 0));
	optim_free(o);
	parameters_free(p);
}

static void
optimisers_move_as_pytorch(void **state)
{
	(void)state;
	moves_as_pytorch(&(struct optim_settings){ OPTIM_RMSPROP, .alpha = 0.9, .eps = 1e-3 }, 0, (const float[3]){ 0.820247889f, -2.04321337f, 0.193798661f });
	moves_as_pytorch(&(struct optim_settings){ OPTIM_ADAM, .beta1 = 0.5, .beta2 = 0.9, .eps = 1e-3 }, 0, (const float[3]){ 0.877519608f, -2.01676035f, 0.412199914f });
	moves_as_pytorch(&(struct optim_settings){ OPTIM_RMSPROP, .alpha = 0.9, .eps = 1e-3 }, 0.25, (const float[3]){ 0.25f, -0.25f, 0.193798661f });
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(l1_by_hand), cmocka_unit_test(dice_gradient_is_its_slope), cmocka_unit_test(dice_at_its_ends),
		cmocka_unit_test(optimisers_move_as_pytorch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
