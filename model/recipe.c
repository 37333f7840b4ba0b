/* Recipes: defaults, reading, writing. One table a kind of value, used both ways. "channels", "input" and "segments" are the manifest's, read by the
 * manifest's reader after the file's keys were laid over the defaults. The defaults are what trained best on our validation patients in an hour or less of
 * one core (README "Retraining"): the U-Net with the slices beside, in the game with SegAN-CAT's loss, Adam as in the authors' code, Dice over the batch. */
#include "model/recipe.h"
#include "config/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BATCH_PIXELS = 1 << 27 };          /* half a gigabyte a channel; the paper's batch has two million */

#define COUNT_OF(a) (sizeof (a) / sizeof *(a))
#define AT(member) .offset = offsetof(struct recipe, member)
#define TEXT(name, member) { .key = name, .kind = FIELD_STRING, AT(member), .size = sizeof ((struct recipe *)0)->member }
#define WHOLE(name, member, low, high) { .key = name, .kind = FIELD_INT, AT(member), .min = low, .max = high }
#define NUMBER(name, member, low, high) { .key = name, .kind = FIELD_DOUBLE, AT(member), .min = low, .max = high }
#define OTHER(name) { .key = name, .kind = FIELD_OTHER }

_Static_assert(sizeof(size_t) == sizeof(int64_t), "the widths are read as 64-bit integers");

static const struct json_field fields[] = {
	TEXT("name", model.name), TEXT("version", model.version), TEXT("description", model.description), TEXT("licence", model.licence),
	OTHER("segmentor"), WHOLE("width", model.network.width, 1, 256), OTHER("skip"), NUMBER("leaky_slope", model.network.leaky_slope, 0, 1),
	NUMBER("bn_eps", model.network.bn_eps, 1e-12, 1), NUMBER("bn_momentum", game.bn_momentum, 1e-6, 1),
	OTHER("critic"), OTHER("critic_input"), WHOLE("critic_width", game.critic_width, 0, 256),
	OTHER("layer_mean"), NUMBER("l1_weight", game.l1_weight, 0, 1e6), NUMBER("dice_weight", game.dice_weight, 0, 1e6), OTHER("dice_over"),
	OTHER("optimiser"), NUMBER("lr", game.lr, 1e-9, 10), NUMBER("critic_lr", game.critic_lr, 0, 10), NUMBER("alpha", game.alpha, 0, 0.999999),
	NUMBER("beta1", game.beta1, 0, 0.999999), NUMBER("beta2", game.beta2, 0, 0.999999), NUMBER("eps", game.eps, 1e-20, 1), NUMBER("clip", game.clip, 1e-6, 1e6),
	OTHER("lr_schedule"), OTHER("lr_drops"),
	WHOLE("seed", seed, 0, 9007199254740991), WHOLE("batch", batch, 1, 1024), WHOLE("crop", crop, 16, 2048),
	WHOLE("steps", steps, 0, 1e9), WHOLE("epochs", epochs, 0, 1e6), NUMBER("minutes", minutes, 0, 1e6),
	WHOLE("validate_every", validate_every, 1, 1e9), NUMBER("checkpoint_minutes", checkpoint_minutes, 0, 1e6), NUMBER("ema", ema, 0, 0.999999),
	OTHER("draw"), NUMBER("tumour_fraction", tumour_fraction, 0, 1),
	OTHER("augmentation"), OTHER("channels"), OTHER("input"), OTHER("segments"),
};

static const struct json_field augmentation_fields[] = {
	NUMBER("flip", augmentation.flip, 0, 1), NUMBER("rotate_degrees", augmentation.rotate_degrees, 0, 180), OTHER("scale"), OTHER("intensity_scale"),
	NUMBER("intensity_shift", augmentation.intensity_shift, 0, 10), OTHER("gamma"), NUMBER("noise", augmentation.noise, 0, 10),
};

static const struct { const char *key; size_t offset; double min, max; } ranges[] = {
	{ "scale", offsetof(struct recipe, augmentation.scale), 0.1, 10 },
	{ "intensity_scale", offsetof(struct recipe, augmentation.intensity_scale), 0, 10 },
	{ "gamma", offsetof(struct recipe, augmentation.gamma), 0.1, 10 },
};

/* Words for enumerations that begin at 0; an enumeration is an int here (gcc, clang: all of them are non-negative). */
enum { MAX_WORDS = 3 };
static const struct { const char *key; size_t offset; const char *words[MAX_WORDS]; } choices[] = {
	{ "segmentor", offsetof(struct recipe, model.network.kind), { [NETWORK_SEGAN] = "segan", [NETWORK_UNET] = "unet" } },
	{ "skip", offsetof(struct recipe, model.network.skip), { [SKIP_SUM] = "sum", [SKIP_CONCAT] = "concat" } },
	{ "critic", offsetof(struct recipe, game.critic), { [CRITIC_NONE] = "none", [CRITIC_ONE] = "one", [CRITIC_EACH] = "each" } },
	{ "critic_input", offsetof(struct recipe, game.critic_input), { [CRITIC_MASK] = "mask", [CRITIC_CONCAT] = "concat" } },
	{ "layer_mean", offsetof(struct recipe, game.layer_mean), { [LAYER_MEAN] = "layer", [FLAT_MEAN] = "flat" } },
	{ "dice_over", offsetof(struct recipe, game.dice_over), { [DICE_SLICE] = "slice", [DICE_BATCH] = "batch" } },
	{ "optimiser", offsetof(struct recipe, game.optimiser), { [OPTIMISER_RMSPROP] = "rmsprop", [OPTIMISER_ADAM] = "adam" } },
	{ "lr_schedule", offsetof(struct recipe, lr_schedule), { [LR_CONSTANT] = "constant", [LR_DROPS] = "drops", [LR_COSINE] = "cosine" } },
	{ "draw", offsetof(struct recipe, draw), { [DRAW_SLICES] = "slices", [DRAW_CASES] = "cases" } },
};
_Static_assert(sizeof(enum network_kind) == sizeof(int) && sizeof(enum draw) == sizeof(int), "choices are stored as ints");

/* ---- defaults ---- */

static const struct code finding = { "SCT", "49755003", "Morphologically Abnormal Structure" }, brain = { "SCT", "12738006", "Brain" };
static const struct code neoplasm = { "SCT", "108369006", "Neoplasm" }, enhancing = { "NCIt", "C113842", "Enhancing Lesion" };
static const struct { const char *label; unsigned char rgb[3]; const struct code *type; } regions[] = { /* SEGAN.md: whole, core, enhancing */
	{ "Whole tumour", { 0xe6, 0x50, 0x3c }, &neoplasm },
	{ "Tumour core", { 0xf0, 0xc8, 0x28 }, &neoplasm },
	{ "Enhancing tumour", { 0x32, 0xa0, 0xe6 }, &enhancing },
};

static void
default_segments(struct manifest *m)
{
	m->n_segments = m->network.labels;
	for (size_t i = 0; i < m->n_segments; i++) {
		struct segment_kind *s = &m->segments[i];

		*s = (struct segment_kind){ .number = (unsigned)i + 1, .map = i, .threshold = 0.5, .category = finding, .type = neoplasm, .anatomy = brain,
			.rgb = { (unsigned char)(60 * i), 160, (unsigned char)(255 - 12 * i) } };
		snprintf(s->label, sizeof s->label, "Region %zu", i + 1);
		if (i >= COUNT_OF(regions))
			continue;
		snprintf(s->label, sizeof s->label, "%s", regions[i].label);
		memcpy(s->rgb, regions[i].rgb, sizeof s->rgb);
		s->type = *regions[i].type;
	}
}

static void
default_rest(struct recipe *r)
{
	r->game = (struct game_settings){ .critic = CRITIC_ONE, .critic_input = CRITIC_MASK, .layer_mean = LAYER_MEAN, .l1_weight = 1, .dice_weight = 1,
		.dice_over = DICE_BATCH, .optimiser = OPTIMISER_ADAM, .lr = 4e-4, .alpha = 0.99, .beta1 = 0.5, .beta2 = 0.999, .eps = 1e-8, .clip = 0.05,
		.bn_momentum = 0.1, .network = r->model.network };
	r->lr_schedule = LR_DROPS;
	r->n_drops = 2;
	r->drops[0].at = 0.6;
	r->drops[0].factor = 0.3;
	r->drops[1].at = 0.85;
	r->drops[1].factor = 0.1;
	r->seed = 1;
	r->batch = 12;
	r->crop = 192;
	r->validate_every = 500; /* a validation of 12 heads costs as much as 20 to 30 steps */
	r->checkpoint_minutes = 3;
	r->ema = 0.999;
	r->draw = DRAW_SLICES;
	r->tumour_fraction = 0.5;
	/* strong: 68 patients train as well as with half of it (Dice 0.816 and 0.817), 18 much better (0.45 against 0.29 and 0.39 on new patients) */
	r->augmentation = (struct augmentation){ .flip = 0.5, .rotate_degrees = 15, .scale = { 0.8, 1.25 }, .intensity_scale = { 0.7, 1.3 }, .intensity_shift = 0.2,
		.gamma = { 0.7, 1.5 }, .noise = 0.05 };
}

int
recipe_default(struct recipe *out, const char *const *channels, size_t n_channels, size_t n_labels, struct err *e)
{
	struct manifest *m = &out->model;

	*out = (struct recipe){ .model = { .n_channels = n_channels, .description = "Trained by segan train; research use only", .plane = "axial", .version = "1.0.0",
		.spacing_mm = 0.9, .skull_present = true, .pad_multiple = 16, .neighbours = 1, .neighbour_mm = MANIFEST_NEIGHBOUR_MM, .mirror = true, .normalisation = { 0.1, 0.1, 99, 2, 98, { -0.5, 2 } },
		.licence = "as the training data: demonstration, not a medical device",
		.network = { .kind = NETWORK_UNET, .skip = SKIP_SUM, .channels = 3 * n_channels, .width = 8, .labels = n_labels, .leaky_slope = 0.2, .bn_eps = 1e-5 } } };
	if (n_channels < 1 || n_channels > MODEL_MAX_CHANNELS || n_labels < 1 || n_labels > MODEL_MAX_SEGMENTS)
		return err_set(e, ERR_INPUT, "%zu channels and %zu truth masks: a model has 1 to %d and 1 to %d", n_channels, n_labels, MODEL_MAX_CHANNELS, MODEL_MAX_SEGMENTS);
	snprintf(m->name, sizeof m->name, "%s", n_labels == 1 ? "glioma-flair" : "glioma-regions");
	memset(m->weights_sha256, '0', sizeof m->weights_sha256 - 1);
	for (size_t i = 0; i < n_channels; i++)
		snprintf(m->channels[i], sizeof m->channels[i], "%s", channels[i]);
	default_segments(m);
	default_rest(out);
	return 0;
}

/* "1.0.9" -> "1.0.10"; what does not end in a number that can be counted gets ".1" behind it. */
static int
next_version(char *version, size_t size, struct err *e)
{
	char text[128], *digits = version + strlen(version);
	int n;

	while (digits > version && digits[-1] >= '0' && digits[-1] <= '9')
		digits--;
	if (*digits == '\0' || strlen(digits) > 18)
		n = snprintf(text, sizeof text, "%s.1", version);
	else
		n = snprintf(text, sizeof text, "%.*s%llu", (int)(digits - version), version, strtoull(digits, NULL, 10) + 1);
	if (n < 0 || (size_t)n >= size)
		return err_set(e, ERR_INPUT, "the version %s has no successor short enough", version);
	memcpy(version, text, (size_t)n + 1);
	return 0;
}

int
recipe_from_model(struct recipe *out, const struct manifest *from, struct err *e)
{
	*out = (struct recipe){ .model = *from };
	for (size_t i = 0; i < from->n_channels; i++)
		out->model.statistics[i] = likeness_nothing(); /* the new one's cases are others */
	out->model.dir[0] = '\0';
	memset(out->model.weights_sha256, '0', sizeof out->model.weights_sha256 - 1);
	default_rest(out);
	return next_version(out->model.version, sizeof out->model.version, e);
}

/* ---- reading ---- */

/* "line 7: critic must be ..." */
static int
wrong(const struct json_doc *d, const struct json *v, const char *key, const char *allowed, struct err *e)
{
	return err_set(e, ERR_INPUT, "line %u: %s must be %s", json_line(d, v), key, allowed);
}

static int
read_choices(const struct json_doc *d, struct recipe *r, struct err *e)
{
	for (size_t i = 0; i < COUNT_OF(choices); i++) {
		const struct json *v = json_get(json_root(d), choices[i].key);
		char list[128] = "";
		int found = -1;

		for (int k = 0; k < MAX_WORDS && choices[i].words[k]; k++) {
			if (json_text(v) && strcmp(json_text(v), choices[i].words[k]) == 0)
				found = k;
			snprintf(list + strlen(list), sizeof list - strlen(list), "%s\"%s\"", k ? " or " : "", choices[i].words[k]);
		}
		if (v && found < 0)
			return wrong(d, v, choices[i].key, list, e);
		if (v)
			memcpy((char *)r + choices[i].offset, &found, sizeof found);
	}
	return 0;
}

/* [low, high] */
static bool
read_pair(const struct json *v, double out[2])
{
	const struct json *first = json_first(v), *second = first ? json_next(first) : NULL;

	if (json_type(v) != JSON_ARRAY || json_size(v) != 2 || json_type(first) != JSON_NUMBER || json_type(second) != JSON_NUMBER)
		return false;
	out[0] = json_number(first, 0);
	out[1] = json_number(second, 0);
	return true;
}

static int
read_augmentation(const struct json_doc *d, const struct json *v, struct recipe *r, struct err *e)
{
	if (!v)
		return 0;
	if (json_read(d, v, augmentation_fields, COUNT_OF(augmentation_fields), "augmentation", r, e) != 0)
		return -1;
	for (size_t i = 0; i < COUNT_OF(ranges); i++) {
		const struct json *range = json_get(v, ranges[i].key);
		char allowed[96];
		double pair[2];

		snprintf(allowed, sizeof allowed, "[low, high], from %g to %g, low first", ranges[i].min, ranges[i].max);
		if (!range)
			continue;
		if (!read_pair(range, pair) || !(pair[0] >= ranges[i].min && pair[0] <= pair[1] && pair[1] <= ranges[i].max))
			return wrong(d, range, ranges[i].key, allowed, e);
		memcpy((char *)r + ranges[i].offset, pair, sizeof pair);
	}
	return 0;
}

static int
read_drops(const struct json_doc *d, const struct json *v, struct recipe *r, struct err *e)
{
	static const char allowed[] = "a list of at most 8 [fraction of the steps, factor of the first rate], fractions ascending within 0 ... 1, factors within 0 ... 1";
	double last = 0;

	if (!v)
		return 0;
	if (json_type(v) != JSON_ARRAY || json_size(v) > RECIPE_MAX_DROPS)
		return wrong(d, v, "lr_drops", allowed, e);
	r->n_drops = 0;
	for (const struct json *item = json_first(v); item; item = json_next(item)) {
		double pair[2];

		if (!read_pair(item, pair) || !(pair[0] >= last && pair[0] <= 1 && pair[1] >= 0 && pair[1] <= 1))
			return wrong(d, v, "lr_drops", allowed, e);
		r->drops[r->n_drops].at = last = pair[0];
		r->drops[r->n_drops++].factor = pair[1];
	}
	return 0;
}

/* Lays from over into, whose keys are all there are. */
static int
overlay(const struct json_doc *d, struct json *into, const struct json *from, const char *where, struct err *e)
{
	struct json *merged;

	for (const struct json *m = json_first(from); m; m = json_next(m)) {
		const struct json *present = json_get(into, json_key(m));

		if (!present)
			return err_set(e, ERR_INPUT, "line %u: %s.%.60s: unknown key", json_line(d, m), where, json_key(m));
		merged = json_type(present) == JSON_OBJECT && json_type(m) == JSON_OBJECT ? json_copy(present) : NULL;
		if (merged && overlay(d, merged, m, json_key(m), e) != 0) {
			json_free(merged);
			return -1;
		}
		json_set(into, json_key(m), merged ? merged : json_copy(m));
	}
	return 0;
}

/* The sections of the manifest: file over defaults, then read as a model.json would be. */
static int
read_model(const struct json_doc *d, struct recipe *r, struct err *e)
{
	const struct json *input = json_get(json_root(d), "input"), *segments = json_get(json_root(d), "segments");
	struct json *model = manifest_json(&r->model), *over = json_copy(json_get(model, "input"));
	const struct json *pattern = json_first(json_get(model, "segments"));
	int result = -1;

	if (input && json_type(input) != JSON_OBJECT) {
		wrong(d, input, "input", "an object", e);
		goto out;
	}
	if (overlay(d, over, input, "input", e) != 0)
		goto out;
	for (const struct json *s = json_type(segments) == JSON_ARRAY ? json_first(segments) : NULL; s; s = json_next(s))
		for (const struct json *m = json_first(s); m; m = json_next(m))
			if (!json_get(pattern, json_key(m))) {
				err_set(e, ERR_INPUT, "line %u: segments.%.60s: unknown key", json_line(d, m), json_key(m));
				goto out;
			}
	json_set(model, "input", over);
	over = NULL;
	if (segments)
		json_set(model, "segments", json_copy(segments));
	if (json_get(json_root(d), "channels"))
		json_set(model, "channels", json_copy(json_get(json_root(d), "channels")));
	result = manifest_read(NULL, model, &r->model, e);
out:
	json_free(over);
	json_free(model);
	return result;
}

static int
check(const struct recipe *r, struct err *e)
{
	if (r->crop % 16 != 0)
		return err_set(e, ERR_INPUT, "crop is %lld, but must be a multiple of 16", (long long)r->crop);
	if (r->batch * r->crop * r->crop > MAX_BATCH_PIXELS)
		return err_set(e, ERR_INPUT, "batch x crop x crop is %lld pixels, but must be at most %d", (long long)(r->batch * r->crop * r->crop), MAX_BATCH_PIXELS);
	if ((r->steps > 0) + (r->epochs > 0) + (r->minutes > 0) > 1)
		return err_set(e, ERR_INPUT, "of steps, epochs and minutes only one can be given");
	if (r->game.critic == CRITIC_NONE && !(r->game.dice_weight > 0))
		return err_set(e, ERR_INPUT, "without a critic, dice_weight must be over 0: there is nothing else to learn from");
	if (r->game.critic != CRITIC_NONE && !(r->game.l1_weight > 0) && !(r->game.dice_weight > 0))
		return err_set(e, ERR_INPUT, "l1_weight and dice_weight are both 0: there is nothing to learn from");
	return 0;
}

int
recipe_read(struct recipe *r, const char *path, struct err *e)
{
	struct json_doc *d = json_load(path, JSON_COMMENTS, e);
	int result = -1;

	if (!d)
		return err_note(e, "reading a recipe");
	if (json_read(d, json_root(d), fields, COUNT_OF(fields), "", r, e) == 0 && read_choices(d, r, e) == 0 &&
	    read_augmentation(d, json_get(json_root(d), "augmentation"), r, e) == 0 && read_drops(d, json_get(json_root(d), "lr_drops"), r, e) == 0 &&
	    read_model(d, r, e) == 0 && check(r, e) == 0) {
		r->game.network = r->model.network;
		result = 0;
	} else {
		err_note(e, "%s", path);
	}
	json_doc_free(d);
	return result;
}

/* ---- writing ---- */

static struct json *
augmentation_json(const struct recipe *r)
{
	struct json *v = json_new_object();

	json_write(v, augmentation_fields, COUNT_OF(augmentation_fields), r);
	for (size_t i = 0; i < COUNT_OF(ranges); i++) {
		double range[2];

		memcpy(range, (const char *)r + ranges[i].offset, sizeof range);
		json_set(v, ranges[i].key, json_new_pair(range[0], range[1]));
	}
	return v;
}

struct json *
recipe_json(const struct recipe *r)
{
	struct json *v = json_new_object(), *drops = json_new_array(), *model = manifest_json(&r->model);

	json_write(v, fields, COUNT_OF(fields), r);
	for (size_t i = 0; i < COUNT_OF(choices); i++) {
		int k;

		memcpy(&k, (const char *)r + choices[i].offset, sizeof k);
		json_set_string(v, choices[i].key, choices[i].words[k]);
	}
	for (size_t i = 0; i < r->n_drops; i++)
		json_add(drops, json_new_pair(r->drops[i].at, r->drops[i].factor));
	json_set(v, "lr_drops", drops);
	json_set(v, "augmentation", augmentation_json(r));
	json_set(v, "channels", json_copy(json_get(model, "channels")));
	json_set(v, "input", json_copy(json_get(model, "input")));
	json_set(v, "segments", json_copy(json_get(model, "segments")));
	json_free(model);
	return v;
}

double
recipe_rate(const struct recipe *r, int64_t step, int64_t n_steps)
{
	const double at = (double)step / (double)n_steps;
	double factor = 1;

	if (r->lr_schedule == LR_COSINE)
		return 0.5 * (1 + cos(M_PI * at));
	for (size_t i = 0; r->lr_schedule == LR_DROPS && i < r->n_drops; i++)
		if (at >= r->drops[i].at)
			factor = r->drops[i].factor;
	return factor;
}
