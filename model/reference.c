/* Reading reference numbers. The file comes from outside: every size and offset is held against its bounds before it is used. */
#include "model/reference.h"
#include "config/file.h"
#include "model/network.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 1 << 30, MAX_TENSORS = 4096, MAX_SIDE = 4096, MAX_BATCH = 1024, MAX_CHANNELS = 64, MAX_LABELS = 16, MAX_WIDTH = 256 };
static const size_t max_first_level = 1 << 26; /* values of one map a width: keeps a pass within a few GB */

void
reference_close(struct reference *r)
{
	json_doc_free(r->doc);
	free(r->values);
	free(r->tensors);
}

const struct tensor *
reference_find(const void *source, const char *name)
{
	const struct reference *r = source;

	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->tensors[i].name, name) == 0)
			return &r->tensors[i];
	return NULL;
}

static int
whole(const struct json *v, double min, double max, size_t *out)
{
	double d = json_number(v, min - 1);

	if (json_type(v) != JSON_NUMBER || !(d >= min && d <= max) || d != floor(d))
		return -1;
	*out = (size_t)d;
	return 0;
}

/* {"name", "shape", "offset"} within the values */
static int
read_tensor(const struct reference *r, const struct json *v, struct tensor *t, struct err *e)
{
	const struct json *shape = json_get(v, "shape");
	size_t offset;

	t->name = json_text(json_get(v, "name"));
	if (!t->name)
		return err_set(e, ERR_INPUT, "a tensor without a name");
	if (reference_find(r, t->name))
		return err_set(e, ERR_INPUT, "the tensor %s is there twice", t->name);
	if (json_type(shape) != JSON_ARRAY || json_size(shape) > WEIGHTS_MAX_DIMS)
		return err_set(e, ERR_INPUT, "the tensor %s has no shape of at most %d dimensions", t->name, WEIGHTS_MAX_DIMS);
	t->size = 1;
	for (const struct json *d = json_first(shape); d; d = json_next(d)) {
		if (whole(d, 1, MAX_BYTES, &t->dims[t->n_dims]) != 0 || __builtin_mul_overflow(t->size, t->dims[t->n_dims], &t->size))
			return err_set(e, ERR_INPUT, "the tensor %s has no possible shape", t->name);
		t->n_dims++;
	}
	if (whole(json_get(v, "offset"), 0, MAX_BYTES, &offset) != 0 || offset % sizeof(float) != 0)
		return err_set(e, ERR_INPUT, "the tensor %s has no offset that is a multiple of 4", t->name);
	offset /= sizeof(float);
	if (offset > r->n_values || t->size > r->n_values - offset)
		return err_set(e, ERR_INPUT, "the tensor %s lies outside the numbers", t->name);
	t->values = r->values + offset;
	return 0;
}

static int
read_tensors(struct reference *r, struct err *e)
{
	const struct json *list = json_get(json_root(r->doc), "tensors");

	if (json_type(list) != JSON_ARRAY || json_size(list) == 0 || json_size(list) > MAX_TENSORS)
		return err_set(e, ERR_INPUT, "\"tensors\" is not a list of 1 to %d tensors", MAX_TENSORS);
	r->tensors = calloc(json_size(list), sizeof *r->tensors);
	if (!r->tensors)
		return err_set(e, ERR_LIMIT, "no memory for the reference");
	for (const struct json *v = json_first(list); v; v = json_next(v)) {
		if (read_tensor(r, v, &r->tensors[r->n], e) != 0)
			return -1;
		r->n++;
	}
	return 0;
}

/* v absent: the first word. */
static int
read_word(const struct json *v, const char *key, const char *const words[2], struct err *e)
{
	for (int i = 0; i < 2; i++)
		if ((!v && i == 0) || (json_text(v) && strcmp(json_text(v), words[i]) == 0))
			return i;
	return err_set(e, ERR_INPUT, "\"%s\" must be \"%s\" or \"%s\"", key, words[0], words[1]);
}

static int
read_network(struct reference *r, struct err *e)
{
	static const char *const kinds[2] = { [NETWORK_SEGAN] = "segan", [NETWORK_UNET] = "unet" };
	static const char *const skips[2] = { [SKIP_SUM] = "sum", [SKIP_CONCAT] = "concat" };
	const struct json *root = json_root(r->doc);
	struct network *n = &r->network;
	int kind = read_word(json_get(root, "segmentor"), "segmentor", kinds, e), skip;

	if (kind < 0)
		return -1;
	skip = read_word(json_get(root, "skip"), "skip", skips, e);
	if (skip < 0)
		return -1;
	n->kind = (enum network_kind)kind;
	n->skip = (enum network_skip)skip;
	if (whole(json_get(root, "channels"), 1, MAX_CHANNELS, &n->channels) != 0 || whole(json_get(root, "labels"), 1, MAX_LABELS, &n->labels) != 0 ||
	    whole(json_get(root, "width"), 1, MAX_WIDTH, &n->width) != 0)
		return err_set(e, ERR_INPUT, "\"channels\", \"labels\" and \"width\" must be from 1 to %d, %d and %d", MAX_CHANNELS, MAX_LABELS, MAX_WIDTH);
	n->leaky_slope = json_number(json_get(root, "leaky_slope"), 0.2);
	n->bn_eps = json_number(json_get(root, "bn_eps"), 1e-5);
	if (!(n->leaky_slope >= 0 && n->leaky_slope <= 1) || !(n->bn_eps > 0 && n->bn_eps <= 1))
		return err_set(e, ERR_INPUT, "\"leaky_slope\" must be from 0 to 1, \"bn_eps\" over 0, up to 1");
	if (json_bool(json_get(root, "align_corners"), false))
		return err_set(e, ERR_INPUT, "\"align_corners\" must be false: the network resizes with half-pixel centres");
	return 0;
}

/* v absent: otherwise */
static int
read_number(const struct json *root, const char *key, double otherwise, double least, double most, double *out, struct err *e)
{
	const struct json *v = json_get(root, key);

	*out = json_number(v, otherwise);
	if ((v && json_type(v) != JSON_NUMBER) || !(*out >= least && *out <= most))
		return err_set(e, ERR_INPUT, "\"%s\" must be from %g to %g", key, least, most);
	return 0;
}

static int
read_rates(const struct json *root, struct game_settings *s, struct err *e)
{
	const struct { const char *key; double otherwise, least, most, *out; } numbers[] = {
		{ "dice_weight", 0, 0, 1e6, &s->dice_weight }, { "l1_weight", 1, 0, 1e6, &s->l1_weight }, { "lr", 2e-5, 1e-12, 10, &s->lr },
		{ "critic_lr", 0, 0, 10, &s->critic_lr }, { "clip", 0, 0, 1e6, &s->clip }, { "alpha", 0.99, 0, 1, &s->alpha }, { "eps", 1e-8, 1e-30, 1, &s->eps },
		{ "beta1", 0.9, 0, 1, &s->beta1 }, { "beta2", 0.999, 0, 1, &s->beta2 }, { "bn_momentum", 0.1, 0, 1, &s->bn_momentum },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (read_number(root, numbers[i].key, numbers[i].otherwise, numbers[i].least, numbers[i].most, numbers[i].out, e) != 0)
			return -1;
	return 0;
}

/* How the critics look is also told by their names and shapes, so a file need not say it. */
static void
guess_critics(const struct reference *r, struct game_settings *s)
{
	const struct tensor *one = reference_find(r, "critic.enc1.conv.weight"), *each = reference_find(r, "critic.0.enc1.conv.weight"), *first = one ? one : each;
	const size_t maps = one ? r->network.labels : 1;

	s->critic = one ? CRITIC_ONE : each ? CRITIC_EACH : CRITIC_NONE;
	if (!first || first->n_dims != 4)
		return;
	s->critic_width = first->dims[0];
	if (first->dims[1] != r->network.channels * maps && first->dims[1] == r->network.channels + maps)
		s->critic_input = CRITIC_CONCAT;
}

static int
read_game(struct reference *r, struct err *e)
{
	static const char *const means[2] = { [LAYER_MEAN] = "layer", [FLAT_MEAN] = "flat" }, *const overs[2] = { [DICE_SLICE] = "slice", [DICE_BATCH] = "batch" };
	static const char *const optimisers[2] = { [OPTIMISER_RMSPROP] = "rmsprop", [OPTIMISER_ADAM] = "adam" };
	static const char *const inputs[2] = { [CRITIC_MASK] = "mask", [CRITIC_CONCAT] = "concat" };
	const struct json *root = json_root(r->doc);
	const struct tensor *truth = reference_find(r, "truth");
	struct game_settings *s = &r->game;
	int mean, over, optimiser, input;

	if (!truth)
		return 0;
	*s = (struct game_settings){ .network = r->network };
	guess_critics(r, s);
	if ((mean = read_word(json_get(root, "layer_mean"), "layer_mean", means, e)) < 0 ||
	    (over = read_word(json_get(root, "dice_over"), "dice_over", overs, e)) < 0 ||
	    (optimiser = read_word(json_get(root, "optimizer"), "optimizer", optimisers, e)) < 0 ||
	    (input = read_word(json_get(root, "critic_input"), "critic_input", inputs, e)) < 0 || read_rates(root, s, e) != 0)
		return -1;
	s->layer_mean = (enum layer_mean)mean;
	s->dice_over = (enum dice_over)over;
	s->optimiser = (enum optimiser)optimiser;
	if (json_get(root, "critic_input"))
		s->critic_input = (enum critic_input)input;
	if (truth->n_dims != 4 || truth->dims[0] != r->x->dims[0] || truth->dims[1] != r->network.labels || truth->dims[2] != r->x->dims[2] ||
	    truth->dims[3] != r->x->dims[3])
		return err_set(e, ERR_INPUT, "the tensor truth is not of the shape that x and \"labels\" give");
	if (truth->dims[2] % NETWORK_MULTIPLE || truth->dims[3] % NETWORK_MULTIPLE)
		return err_set(e, ERR_INPUT, "training numbers are for sides that %d divides", NETWORK_MULTIPLE);
	r->truth = truth;
	return 0;
}

static int
check_input(struct reference *r, struct err *e)
{
	const struct tensor *x = r->x = reference_find(r, "x");

	if (!x || x->n_dims != 4 || x->dims[1] != r->network.channels)
		return err_set(e, ERR_INPUT, "there is no tensor x of shape (batch, %zu, height, cols)", r->network.channels);
	if (x->dims[0] > MAX_BATCH || x->dims[2] > MAX_SIDE || x->dims[3] > MAX_SIDE ||
	    x->dims[0] * x->dims[2] * x->dims[3] > max_first_level / r->network.width)
		return err_set(e, ERR_INPUT, "x is too large for a reference: %zu slices of %zu x %zu at width %zu", x->dims[0], x->dims[2], x->dims[3],
			r->network.width);
	return 0;
}

/* NAME.json -> NAME.bin beside it */
static int
load_values(struct reference *r, const char *json_path, struct err *e)
{
	char path[4096];
	size_t n = strlen(json_path), bytes;

	if (n < 5 || strcmp(json_path + n - 5, ".json") != 0 || n >= sizeof path)
		return err_set(e, ERR_INPUT, "a reference is NAME.json with NAME.bin beside it");
	snprintf(path, sizeof path, "%.*s.bin", (int)(n - 5), json_path);
	r->values = (float *)(void *)file_read(path, MAX_BYTES, &bytes, e);
	r->n_values = r->values ? bytes / sizeof(float) : 0;
	return r->values ? 0 : -1;
}

int
reference_open(struct reference *r, const char *json_path, struct err *e)
{
	r->doc = json_load(json_path, 0, e);
	if (!r->doc || load_values(r, json_path, e) != 0)
		return -1;
	return read_tensors(r, e) != 0 || read_network(r, e) != 0 || check_input(r, e) != 0 ? -1 : read_game(r, e);
}
