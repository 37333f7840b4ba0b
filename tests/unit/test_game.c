/* The game: every kind of critic gives the slopes of its loss; the same bits for any number of threads and across a checkpoint; it learns; files that
 * do not fit change nothing. */
#include "config/file.h"
#include "model/critic.h"
#include "model/game_parts.h"
#include "tests/unit/own_folder.h"
#include "tests/unit/sanitizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { N = 3, CHANNELS = 2, H = 32, W = 48, PLANE = H * W, MAX_LABELS = 2 };
static float x[N * CHANNELS * PLANE], truth[N * MAX_LABELS * PLANE];

/* A bright disk in noise, the truth of map 0; its upper half that of map 1. */
static void
paint(size_t labels)
{
	uint32_t random = 1;

	for (size_t i = 0; i < N; i++)
		for (size_t j = 0; j < PLANE; j++) {
			const double dy = (double)(j / W) - 12 - (double)i * 3, dx = (double)(j % W) - 20;
			const bool in = dy * dy + dx * dx < 70;

			for (size_t c = 0; c < CHANNELS; c++) {
				random = random * 1664525u + 1013904223u;
				x[(i * CHANNELS + c) * PLANE + j] = (float)(random >> 8) / (float)(1 << 24) - 0.5f + (in && c == 0 ? 1 : 0);
			}
			for (size_t k = 0; k < labels; k++)
				truth[(i * labels + k) * PLANE + j] = in && (k == 0 || dy < 0);
		}
}

static struct game_settings
settings(enum critic_kind critic, size_t labels)
{
	return (struct game_settings){ .network = { NETWORK_SEGAN, SKIP_SUM, CHANNELS, 4, labels, 0.2, 1e-5 }, .critic = critic, .l1_weight = 1, .dice_weight = 1,
		.dice_over = DICE_BATCH, .lr = 1e-3, .alpha = 0.99, .beta1 = 0.5, .beta2 = 0.999, .eps = 1e-8, .clip = 0.05, .bn_momentum = 0.1 };
}

static const struct variant { enum critic_kind critic; enum critic_input input; enum layer_mean mean; size_t labels; enum optimiser optimiser; enum network_kind kind; } variants[] = {
	{ CRITIC_ONE, CRITIC_MASK, LAYER_MEAN, 1, OPTIMISER_RMSPROP, NETWORK_SEGAN }, { CRITIC_ONE, CRITIC_MASK, FLAT_MEAN, 2, OPTIMISER_ADAM, NETWORK_SEGAN },
	{ CRITIC_EACH, CRITIC_MASK, LAYER_MEAN, 2, OPTIMISER_RMSPROP, NETWORK_UNET }, { CRITIC_EACH, CRITIC_CONCAT, FLAT_MEAN, 2, OPTIMISER_RMSPROP, NETWORK_SEGAN },
	{ CRITIC_ONE, CRITIC_CONCAT, LAYER_MEAN, 2, OPTIMISER_RMSPROP, NETWORK_SEGAN }, { CRITIC_NONE, CRITIC_MASK, LAYER_MEAN, 2, OPTIMISER_ADAM, NETWORK_UNET },
};
enum { N_VARIANTS = sizeof variants / sizeof *variants };

static struct game *
open_game(const struct variant *v, unsigned threads)
{
	struct game_settings s = settings(v->critic, v->labels);
	struct err e;
	struct game *g;

	s.critic_input = v->input;
	s.layer_mean = v->mean;
	s.optimiser = v->optimiser;
	s.network.kind = v->kind;
	g = game_new(&s, threads, &e);
	if (!g)
		fail_msg("%s", e.text);
	game_initialise(g, 7);
	return g;
}

static struct game_losses
step(struct game *g)
{
	struct game_losses l;
	struct err e;

	if (game_step(g, x, truth, N, H, W, &l, &e) != 0)
		fail_msg("%s", e.text);
	return l;
}

static void
same_parameters(const struct parameters *a, const struct parameters *b)
{
	for (size_t i = 0; a && i < parameters_size(a); i++)
		if (memcmp(parameters_at(a, i)->value, parameters_at(b, i)->value, parameters_at(a, i)->size * sizeof(float)) != 0)
			fail_msg("%s differs", parameters_at(a, i)->name);
}

static void
same_game(struct game *a, struct game *b)
{
	same_parameters(game_segmentor(a), game_segmentor(b));
	same_parameters(game_critic(a), game_critic(b));
}

static void
threads_change_no_bit(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_VARIANTS; i++) {
		struct game *one = open_game(&variants[i], 1), *two = open_game(&variants[i], 2), *five = open_game(&variants[i], 5);

		paint(variants[i].labels);
		for (int k = 0; k < 3; k++) {
			struct game_losses a = step(one), b = step(two), c = step(five);
			assert_memory_equal(&a, &b, sizeof a);
			assert_memory_equal(&a, &c, sizeof a);
		}
		same_game(one, two);
		same_game(one, five);
		game_free(one);
		game_free(two);
		game_free(five);
	}
}

static const char *
path_of(const char *name)
{
	static char path[400];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static void
a_checkpoint_continues_to_the_same_bits(void **state)
{
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_VARIANTS; i++) {
		struct game *a = open_game(&variants[i], 2), *b = open_game(&variants[i], 2);
		struct game_losses la, lb;

		paint(variants[i].labels);
		step(a);
		game_learning_rate(a, 0.3);
		step(a);
		assert_int_equal(game_save(a, path_of("checkpoint"), &e), 0);
		game_initialise(b, 99);
		step(b);                                 /* traces of another life */
		assert_int_equal(game_load(b, path_of("checkpoint"), &e), 0);
		same_game(a, b);
		for (int k = 0; k < 2; k++) {
			la = step(a);
			lb = step(b);
			assert_memory_equal(&la, &lb, sizeof la);
		}
		same_game(a, b);
		game_free(a);
		game_free(b);
	}
}

static void
files_that_do_not_fit_change_nothing(void **state)
{
	struct game *a = open_game(&variants[0], 1), *b = open_game(&variants[1], 1), *fresh = open_game(&variants[1], 1);
	struct err e;
	size_t n;
	char *bytes;

	(void)state;
	assert_int_equal(game_save(a, path_of("other"), &e), 0);
	assert_int_equal(game_load(b, path_of("other"), &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_int_equal(game_export(b, path_of("weights"), &e), 0);
	assert_int_equal(game_load(b, path_of("weights"), &e), -1);
	assert_non_null(strstr(e.text, "no checkpoint"));
	assert_int_equal(game_start_from(b, path_of("other"), &e), -1);
	assert_int_equal(game_save(b, path_of("cut"), &e), 0);
	bytes = file_read(path_of("cut"), 1 << 24, &n, &e);
	assert_non_null(bytes);
	assert_int_equal(file_write(path_of("cut"), bytes, n - 4, &e), 0);
	free(bytes);
	assert_int_equal(game_load(b, path_of("cut"), &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_int_equal(game_load(b, path_of("nothing"), &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	same_game(b, fresh);
	game_free(a);
	game_free(b);
	game_free(fresh);
}

static void
exported_weights_give_the_same_probabilities(void **state)
{
	static float p[N * PLANE], q[N * PLANE];
	struct game *a = open_game(&variants[0], 2), *b = open_game(&variants[0], 3);
	struct err e;

	(void)state;
	paint(1);
	for (int k = 0; k < 3; k++)
		step(a);
	assert_int_equal(game_probability(a, x, N, H, W, p, &e), 0);
	assert_int_equal(game_export(a, path_of("weights"), &e), 0);
	assert_int_equal(game_start_from(b, path_of("weights"), &e), 0);
	assert_int_equal(game_probability(b, x, N, H, W, q, &e), 0);
	assert_memory_equal(p, q, sizeof p);
	step(a);
	assert_int_equal(game_probability(a, x, N, H, W, q, &e), 0);       /* the weights of now, not those of the first call */
	assert_true(memcmp(p, q, sizeof p) != 0);
	game_free(a);
	game_free(b);
}

static void
it_learns(void **state)
{
	const int steps = is_under_valgrind() ? 1 : 60; /* an hour there, to no other effect on memory */

	(void)state;
	for (size_t i = 0; i < N_VARIANTS; i++) {
		struct game *g = open_game(&variants[i], 2);
		struct game_losses first, last;

		paint(variants[i].labels);
		first = last = step(g);
		for (int k = 0; k < steps; k++)
			last = step(g);
		if ((!(last.dice < 0.9 * first.dice) && !is_under_valgrind()) || (variants[i].critic == CRITIC_NONE) != isnan(last.critic))
			fail_msg("variant %zu: Dice loss %g -> %g", i, first.dice, last.dice);
		game_free(g);
	}
}

/* L of critics over label maps; and its gradients by both ways that it has. */
static void
critics_give_the_slopes_of_their_loss(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_VARIANTS; i++) {
		static float maps[N * MAX_LABELS * PLANE], dmaps[N * MAX_LABELS * PLANE];
		struct game *g = variants[i].critic == CRITIC_NONE ? NULL : open_game(&variants[i], 1);
		struct game_settings s = settings(variants[i].critic, variants[i].labels);
		struct parameters *from = g ? game_critic(g) : NULL;
		struct critic *c;
		struct err e;
		double along = 0, slope = 0, above = 0;

		if (!g)
			continue;
		s.critic_input = variants[i].input;
		s.layer_mean = variants[i].mean;
		c = critic_new(&s, NULL, &e);
		assert_non_null(c);
		for (size_t k = 0; k < parameters_size(from); k++)
			memcpy(parameters_at(critic_parameters(c), k)->value, parameters_at(from, k)->value, parameters_at(from, k)->size * sizeof(float));
		paint(variants[i].labels);
		for (size_t k = 0; k < N * variants[i].labels * PLANE; k++)
			maps[k] = (float)(k * 7 % 31) / 31;
		critic_set_exact(c);
		assert_int_equal(critic_plan(c, N, H, W, &e), 0);
		critic_show(c, CRITIC_TRUTH, x, truth);
		critic_show(c, CRITIC_PREDICTION, x, maps);
		assert_true(critic_compare(c, 1, true) > 0.01);
		memset(dmaps, 0, sizeof dmaps);
		critic_pass_on(c, x, dmaps);
		critic_learn(c);
		/* along the gradient of the maps, a little each way */
		for (size_t k = 0; k < N * variants[i].labels * PLANE; k++)
			along += (double)dmaps[k] * dmaps[k];
		for (int sign = 1; sign >= -1; sign -= 2) {
			static float moved[N * MAX_LABELS * PLANE];
			for (size_t k = 0; k < N * variants[i].labels * PLANE; k++)
				moved[k] = maps[k] + (float)(sign * 1e-3 / sqrt(along)) * dmaps[k];
			critic_show(c, CRITIC_PREDICTION, x, moved);
			if (sign > 0)
				above = critic_compare(c, 1, true);
			else
				slope = (above - critic_compare(c, 1, true)) / 2e-3;
		}
		if (!(fabs(slope - sqrt(along)) <= 0.01 * sqrt(along)))
			fail_msg("variant %zu: slope %g, gradient %g", i, slope, sqrt(along));
		critic_free(c);
		game_free(g);
	}
}

static void
losses_that_are_no_numbers_stop_it(void **state)
{
	struct game *g = open_game(&variants[0], 1);
	struct game_losses l;
	struct err e;

	(void)state;
	paint(1);
	x[5] = NAN;
	assert_int_equal(game_step(g, x, truth, N, H, W, &l, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_non_null(strstr(e.text, "step 1"));
	game_free(g);
}

static void
settings_that_cannot_be_are_refused(void **state)
{
	struct game_settings s[5];
	struct err e;

	(void)state;
	for (size_t i = 0; i < 5; i++)
		s[i] = settings(CRITIC_ONE, 1);
	s[0].lr = 0;
	s[1].network.labels = 0;
	s[2].l1_weight = s[2].dice_weight = 0;
	s[3].critic = CRITIC_NONE;
	s[3].dice_weight = 0;
	s[4].critic_lr = NAN;
	for (size_t i = 0; i < 5; i++) {
		assert_null(game_new(&s[i], 1, &e));
		assert_int_equal(e.code, ERR_INPUT);
	}
}

static void
sizes_may_change_between_steps(void **state)
{
	struct game *g = open_game(&variants[0], 2);
	struct game_losses l;
	struct err e;

	(void)state;
	paint(1);
	step(g);
	assert_int_equal(game_step(g, x, truth, 1, 16, 32, &l, &e), 0);
	step(g);
	game_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_change_no_bit), cmocka_unit_test(a_checkpoint_continues_to_the_same_bits),
		cmocka_unit_test(files_that_do_not_fit_change_nothing), cmocka_unit_test(exported_weights_give_the_same_probabilities), cmocka_unit_test(it_learns),
		cmocka_unit_test(critics_give_the_slopes_of_their_loss), cmocka_unit_test(losses_that_are_no_numbers_stop_it),
		cmocka_unit_test(settings_that_cannot_be_are_refused), cmocka_unit_test(sizes_may_change_between_steps),
	};

	return cmocka_run_group_tests(tests, folder_set_up, folder_tear_down);
}
