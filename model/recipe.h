/* A training's hyper-parameters as one value, and as JSON text: every key has a default that trains well; recipe_json of what a run used makes the same
 * run again. The JSON is flat, but for "augmentation" and for "channels", "input" and "segments", which are as in model.json. Unknown keys are refused. */
#pragma once
#include "model/game.h"
#include "model/manifest.h"

struct json;

enum lr_schedule { LR_CONSTANT, LR_DROPS, LR_COSINE };
enum draw { DRAW_SLICES /* every slice equally often */, DRAW_CASES /* every case equally often, whatever its number of slices */ };
enum { RECIPE_MAX_DROPS = 8 };

struct augmentation {                  /* of one sample; ranges are drawn from evenly */
	double flip;                   /* probability that left and right are changed */
	double rotate_degrees;         /* at most, either way */
	double scale[2];
	double intensity_scale[2];     /* x -> factor * x ... */
	double intensity_shift;        /* ... + at most this, either way */
	double gamma[2];               /* x -> x^gamma where 0 < x < 1 */
	double noise;                  /* standard deviation, at most */
};

struct recipe {
	struct manifest model;         /* what the model will say of itself: name, channels, network, input, segments */
	struct game_settings game;     /* game.network is model.network */
	enum lr_schedule lr_schedule;
	struct { double at, factor; } drops[RECIPE_MAX_DROPS];   /* from that fraction of the steps on, the first rate times factor */
	size_t n_drops;
	int64_t seed, batch, crop;     /* crop: side of a training image in pixels, a multiple of 16 */
	int64_t steps, epochs;         /* at most one of steps, epochs, minutes is not 0 */
	double minutes;
	int64_t validate_every;        /* steps */
	double checkpoint_minutes;     /* of wall clock; changes no result */
	double ema;                    /* the model is the moving average of the weights over about 1 / (1 - ema) steps; 0: the weights themselves */
	enum draw draw;
	double tumour_fraction;        /* of the samples come from slices with tumour */
	struct augmentation augmentation;
};

/* Defaults for a data set: its channels, and as many label maps as it has truth masks. ERR_INPUT: too many. */
int recipe_default(struct recipe *out, const char *const *channels, size_t n_channels, size_t n_labels, struct err *e);
/* Defaults that go on from an installed model: its network, input and segments, its version with the last number one higher. */
int recipe_from_model(struct recipe *out, const struct manifest *from, struct err *e);
/* Puts what the file says over *r. ERR_INPUT names file, line and key. */
int recipe_read(struct recipe *r, const char *path, struct err *e);
struct json *recipe_json(const struct recipe *r);                           /* complete: every key. caller: json_free */
double recipe_rate(const struct recipe *r, int64_t step, int64_t n_steps);   /* factor of the learning rate in that step (0..) */
