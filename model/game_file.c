/* Checkpoints and weights. A checkpoint holds parameters, running statistics ("segmentor.enc1.conv.weight"), the optimisers' moments
 * ("square.segmentor.enc1.conv.weight"), and "game.state": step and learning-rate factor, 64 bits each as four numbers of 16 bits, since a safetensors
 * file of ours has floats only. */
#include "model/game_own.h"
#include "model/weights.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATE_WORDS = 2, STATE_PIECES = 4, STATE = STATE_WORDS * STATE_PIECES, MOST = 6 * PARAMETERS_MAX };
static const char state_name[] = "game.state";

/* Everything that a checkpoint holds, by name. */
struct entry { char name[PARAMETER_NAME + 16]; size_t n_dims; const size_t *dims; size_t size; float *values; };
struct entries { size_t n; struct entry list[MOST]; };

static void
add(struct entries *all, const char *prefix, const struct parameter *p, float *values)
{
	struct entry *t = &all->list[all->n++];

	assert(all->n <= MOST);
	*t = (struct entry){ .n_dims = p->n_dims, .dims = p->dims, .size = p->size, .values = values };
	snprintf(t->name, sizeof t->name, "%s%s%s", prefix, prefix[0] ? "." : "", p->name);
}

static void
add_all(struct entries *all, const struct parameters *p, const struct optim *o)
{
	for (size_t i = 0; i < parameters_size(p); i++) {
		add(all, "", parameters_at(p, i), parameters_at(p, i)->value);
		for (size_t k = 0; o && optim_moment_name(k); k++)
			if (optim_moment(o, i, k))
				add(all, optim_moment_name(k), parameters_at(p, i), optim_moment(o, i, k));
	}
}

/* The checkpoint's tensors but the state. caller: free. */
static struct entries *
entries_of(const struct game *g, struct err *e)
{
	struct entries *all = calloc(1, sizeof *all);

	if (!all) {
		err_set(e, ERR_LIMIT, "no memory for a checkpoint");
		return NULL;
	}
	add_all(all, g->segmentor, g->optim);
	if (g->critic)
		add_all(all, critic_parameters(g->critic), g->critic_optim);
	return all;
}

static void
pack_state(const struct game *g, float state[STATE])
{
	uint64_t words[STATE_WORDS] = { g->step, 0 };

	memcpy(&words[1], &g->factor, sizeof g->factor);
	for (size_t i = 0; i < STATE; i++)
		state[i] = (float)(words[i / STATE_PIECES] >> (16 * (i % STATE_PIECES)) & 0xffff);
}

static int
unpack_state(struct game *g, const float state[STATE], struct err *e)
{
	uint64_t words[STATE_WORDS] = { 0 };
	double factor;

	for (size_t i = 0; i < STATE; i++) {
		if (!(state[i] >= 0 && state[i] <= 0xffff) || state[i] != floorf(state[i]))
			return err_set(e, ERR_INPUT, "%s is not what a checkpoint has", state_name);
		words[i / STATE_PIECES] |= (uint64_t)state[i] << (16 * (i % STATE_PIECES));
	}
	memcpy(&factor, &words[1], sizeof factor);
	if (!(factor >= 0) || !isfinite(factor))
		return err_set(e, ERR_INPUT, "%s has no learning rate", state_name);
	g->step = words[0];
	g->factor = factor;
	return 0;
}

static int
write_entries(const char *path, const struct entries *all, const float *state, struct err *e)
{
	struct tensor *tensors = calloc(all->n + 1, sizeof *tensors);
	size_t n = 0;
	int result;

	if (!tensors)
		return err_set(e, ERR_LIMIT, "no memory for a checkpoint");
	for (; n < all->n; n++) {
		const struct entry *from = &all->list[n];
		tensors[n] = (struct tensor){ .name = from->name, .n_dims = from->n_dims, .size = from->size, .values = from->values };
		memcpy(tensors[n].dims, from->dims, from->n_dims * sizeof *from->dims);
	}
	if (state)
		tensors[n++] = (struct tensor){ .name = state_name, .n_dims = 1, .dims = { STATE }, .size = STATE, .values = state };
	result = weights_write(path, tensors, n, e);
	free(tensors);
	return result;
}

int
game_save(const struct game *g, const char *path, struct err *e)
{
	struct entries *all = entries_of(g, e);
	float state[STATE];
	int result;

	if (!all)
		return -1;
	pack_state(g, state);
	result = write_entries(path, all, state, e);
	free(all);
	return result;
}

int
game_export(const struct game *g, const char *path, struct err *e)
{
	struct entries *all = calloc(1, sizeof *all);
	int result;

	if (!all)
		return err_set(e, ERR_LIMIT, "no memory for the weights");
	add_all(all, g->segmentor, NULL);
	result = write_entries(path, all, NULL, e);
	free(all);
	return result;
}

static int
check_entry(const struct entry *to, const struct tensor *from, struct err *e)
{
	if (!from)
		return err_set(e, ERR_INPUT, "the tensor %s is missing", to->name);
	if (from->n_dims != to->n_dims || memcmp(from->dims, to->dims, to->n_dims * sizeof *to->dims) != 0)
		return err_set(e, ERR_INPUT, "the tensor %s has another shape than this game's", to->name);
	return 0;
}

/* Nothing is taken before all is found to fit. */
static int
take(struct game *g, const struct entries *all, const struct weights *w, struct err *e)
{
	const struct tensor *state = weights_find(w, state_name);

	if (!state || state->size != STATE)
		return err_set(e, ERR_INPUT, "%s is missing: this is no checkpoint", state_name);
	if (weights_size(w) != all->n + 1)
		return err_set(e, ERR_INPUT, "%zu tensors where this game has %zu", weights_size(w), all->n + 1);
	for (size_t i = 0; i < all->n; i++)
		if (check_entry(&all->list[i], weights_find(w, all->list[i].name), e) != 0)
			return -1;
	if (unpack_state(g, state->values, e) != 0)
		return -1;
	for (size_t i = 0; i < all->n; i++)
		memcpy(all->list[i].values, weights_find(w, all->list[i].name)->values, all->list[i].size * sizeof(float));
	return 0;
}

int
game_load(struct game *g, const char *path, struct err *e)
{
	struct entries *all = entries_of(g, e);
	struct weights *w = all ? weights_load(path, "", e) : NULL;
	int result = -1;

	if (w && (result = take(g, all, w, e)) != 0)
		err_note(e, "the checkpoint %s", path);
	weights_free(w);
	free(all);
	return result;
}

static const struct tensor *
find_weight(const void *source, const char *name)
{
	return weights_find(source, name);
}

int
game_start_from(struct game *g, const char *path, struct err *e)
{
	struct weights *w = weights_load(path, "", e);
	int result = -1;

	if (w && (result = network_fill(g->segmentor, find_weight, w, e)) != 0)
		err_note(e, "the weights %s", path);
	weights_free(w);
	return result;
}
