/* One training step a line read from stdin: prints its seconds. usage: train_step segan|unet WIDTH BATCH CHANNELS LABELS SIDE THREADS */
#include "model/game.h"
#include "model/segan.h"
#include "tests/bench/bench.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float *
noise(size_t n, float threshold)
{
	float *v = malloc(n * sizeof *v);
	uint32_t random = 1;

	for (size_t i = 0; v && i < n; i++) {
		random = random * 1664525u + 1013904223u;
		v[i] = (float)(random >> 8) / (float)(1 << 24);
		if (threshold > 0)
			v[i] = v[i] < threshold;
	}
	return v;
}

int
main(int argc, char **argv)
{
	struct game_settings s = { .network = { .leaky_slope = 0.2, .bn_eps = 1e-5 }, .critic = CRITIC_ONE, .l1_weight = 1, .dice_weight = 1, .lr = 2e-5,
		.alpha = 0.99, .eps = 1e-8, .clip = 0.05, .bn_momentum = 0.1 };
	struct game_losses l;
	size_t v[6];
	struct game *g;
	struct err e;
	float *x, *truth;
	int c;

	if (argc != 8)
		return 2;
	choose_core(argv);
	for (int i = 0; i < 6; i++)
		v[i] = strtoul(argv[i + 2], NULL, 10);
	s.network.kind = strcmp(argv[1], "unet") == 0 ? NETWORK_UNET : NETWORK_SEGAN;
	s.network.width = v[0];
	s.network.channels = v[2];
	s.network.labels = v[3];
	g = game_new(&s, (unsigned)v[5], &e);
	x = noise(v[1] * v[2] * v[4] * v[4], 0);
	truth = noise(v[1] * v[3] * v[4] * v[4], 0.1f);
	if (!g || !x || !truth)
		return 1;
	game_initialise(g, 1);
	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getchar()) != EOF) {
		double began = now();
		if (c != '\n')
			continue;
		if (game_step(g, x, truth, v[1], v[4], v[4], &l, &e) != 0) {
			fprintf(stderr, "%s\n", e.text);
			return 1;
		}
		printf("%.6f\n", now() - began);
	}
	game_free(g);
	free(x);
	free(truth);
	return 0;
}
