/* The loop of a training: batch, step, average, now and then a validation, a line of the log, a checkpoint. What a step is: game.c. What it sees:
 * sampler.c. What lies where: run_folder.c. Nothing that a result depends on is taken from the clock, but for the number of steps when minutes were
 * asked for: those are measured on steps that are thrown away, written into the recipe, and the run is then the one of that many steps.
 *
 * Ours, not the paper's: the model is the moving average of the segmentor's weights, and the best of it by validation is what the run gives. */
#include "model/trainer.h"
#include "config/clock.h"
#include "config/file.h"
#include "model/average.h"
#include "model/distribution.h"
#include "model/game_parts.h"
#include "model/run_folder.h"
#include "model/sampler.h"
#include "model/segan.h"
#include "model/train_log.h"
#include "model/validate.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOG_EVERY = 10, TIMED_STEPS = 50, WARM_UP_STEPS = 5, LEAST_STEPS = 100, DEFAULT_STEPS = 10000 };

struct trainer {
	const char *run;
	int lock;                              /* held on the run's folder; -1 not yet */
	struct dataset *data;
	struct recipe recipe;
	unsigned threads;
	trainer_progress_fn progress;
	void *arg;
	struct prepared *train, *validation;
	size_t n_train, n_validation;
	struct sampler *sampler;
	struct game *game;
	struct average *average;               /* NULL: the weights themselves are the model */
	struct train_log *log;
	float *x, *truth;                      /* (batch, channels or labels, crop, crop) */
	struct run_state state;
	struct run_path checkpoint;            /* the newest that is whole; "" none */
	int64_t began_ms, began_step;          /* of this process */
	int64_t line_ms, line_step, checkpoint_ms;
	double seconds_before, validation_dice, slices_per_second;
	bool is_stopped;
};

static double
seconds_since(int64_t ms)
{
	return (double)(clock_monotonic_ms() - ms) / 1000;
}

static unsigned
cores(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

static void
tell(struct trainer *t, const char *note)
{
	const int64_t done = t->state.step - t->began_step;
	const double n = t->state.n_sums > 0 ? (double)t->state.n_sums : NAN;
	const struct trainer_progress p = { .step = t->state.step, .n_steps = t->state.n_steps, .validation_dice = t->validation_dice, .best_dice = t->state.best_dice,
		.best_step = t->state.best_step, .slices_per_second = t->slices_per_second, .note = note,
		.losses = { t->state.sums.critic / n, t->state.sums.l1 / n, t->state.sums.dice / n, t->state.sums.segmentor / n },
		.seconds_left = done > 0 ? seconds_since(t->began_ms) / (double)done * (double)(t->state.n_steps - t->state.step) : NAN };

	if (t->progress && t->progress(t->arg, &p) != 0)
		t->is_stopped = true;
}

/* ---- one step ---- */

static int
not_finite(const struct trainer *t, struct err *e)
{
	const struct err cause = *e;

	return err_set(e, cause.code, "step %lld: %.200s; the last good checkpoint is %.200s; a lower lr may help", (long long)t->state.step + 1, cause.text,
		t->checkpoint.text[0] ? t->checkpoint.text : "none yet");
}

/* The step that failed; the first one makes the networks, and is where memory runs out. */
static int
not_done(const struct trainer *t, struct err *e)
{
	const struct err cause = *e;

	if (cause.code == ERR_STATE)
		return not_finite(t, e);
	if (cause.code == ERR_LIMIT)
		err_set(e, cause.code, "%.300s; a smaller batch (%lld), crop (%lld) or width (%zu) needs less", cause.text, (long long)t->recipe.batch,
			(long long)t->recipe.crop, t->recipe.model.network.width);
	return err_note(e, "step %lld", (long long)t->state.step + 1);
}

static int
step(struct trainer *t, struct err *e)
{
	const struct recipe *r = &t->recipe;
	const size_t crop = (size_t)r->crop;
	struct game_losses losses;
	struct run_state *s = &t->state;

	sampler_batch(t->sampler, s->step, t->x, t->truth);
	game_learning_rate(t->game, s->n_steps > 0 ? recipe_rate(r, s->step, s->n_steps) : 1);
	if (game_step(t->game, t->x, t->truth, (size_t)r->batch, crop, crop, &losses, e) != 0)
		return not_done(t, e);
	s->step++;
	if (t->average)
		average_add(t->average, game_segmentor(t->game), s->step);
	s->sums.critic += losses.critic;
	s->sums.l1 += losses.l1;
	s->sums.dice += losses.dice;
	s->sums.segmentor += losses.segmentor;
	s->n_sums++;
	return 0;
}

/* The present model as a folder, measured on the validation cases. */
static int
measure(struct trainer *t, double *dice, struct err *e)
{
	struct manifest m = t->recipe.model;
	struct run_path dir, weights;

	if (run_candidate_begin(t->run, &dir, e) != 0)
		return -1;
	weights = run_path(dir.text, "weights.safetensors");
	if ((t->average ? average_save(t->average, weights.text, e) : game_export(t->game, weights.text, e)) != 0 || run_candidate_manifest(t->run, &m, e) != 0)
		return -1;
	return validate(&m, t->validation, t->n_validation, t->threads, dice, e);
}

/* Without validation cases the newest is the best. */
static int
validate_now(struct trainer *t, struct err *e)
{
	const int64_t began_ms = clock_monotonic_ms();
	double dice;
	char note[160];

	if (measure(t, &dice, e) != 0)
		return -1;
	t->validation_dice = dice;
	t->line_ms += clock_monotonic_ms() - began_ms;     /* slices a second are those of steps */
	if (t->n_validation == 0 || t->state.best_step == 0 || dice >= t->state.best_dice) {
		t->state.best_dice = dice;
		t->state.best_step = t->state.step;
		if (run_candidate_is_best(t->run, &t->recipe, &t->state, dice, e) != 0)
			return -1;
	}
	if (t->n_validation == 0)
		snprintf(note, sizeof note, "the model is that of step %lld: there is no validation case to choose by", (long long)t->state.step);
	else
		snprintf(note, sizeof note, "validation Dice %.4f, best %.4f at step %lld", dice, t->state.best_dice, (long long)t->state.best_step);
	tell(t, note);
	return 0;
}

static int
add_line(struct trainer *t, double dice, struct err *e)
{
	struct run_state *s = &t->state;
	const double n = (double)s->n_sums, seconds = seconds_since(t->line_ms);
	struct log_line line = { .step = s->step, .lr = t->recipe.game.lr * recipe_rate(&t->recipe, s->step - 1, s->n_steps), .validation_dice = dice,
		.losses = { s->sums.critic / n, s->sums.l1 / n, s->sums.dice / n, s->sums.segmentor / n } };

	if (seconds > 0)
		t->slices_per_second = (double)((s->step - t->line_step) * t->recipe.batch) / seconds;
	line.slices_per_second = t->slices_per_second;
	line.minutes = (t->seconds_before + seconds_since(t->began_ms)) / 60;
	tell(t, NULL);
	s->sums = (struct game_losses){ 0 };
	s->n_sums = 0;
	t->line_ms = clock_monotonic_ms();
	t->line_step = s->step;
	return train_log_add(t->log, &line, e);
}

static int
write_checkpoint(struct trainer *t, struct err *e)
{
	struct run_path dir;
	char leaf[64];

	t->state.seconds = t->seconds_before + seconds_since(t->began_ms);
	if (run_checkpoint_begin(t->run, &dir, e) != 0 || game_save(t->game, run_path(dir.text, "game.safetensors").text, e) != 0 ||
	    (t->average && average_save(t->average, run_path(dir.text, "average.safetensors").text, e) != 0) || run_checkpoint_end(t->run, &t->state, e) != 0) {
		run_checkpoint_abandon(t->run);
		return err_note(e, "writing the checkpoint of step %lld (the last good one is %s)", (long long)t->state.step,
			t->checkpoint.text[0] ? t->checkpoint.text : "none yet");
	}
	snprintf(leaf, sizeof leaf, "checkpoints/step-%08lld", (long long)t->state.step);
	t->checkpoint = run_path(t->run, leaf);
	t->checkpoint_ms = clock_monotonic_ms();
	return 0;
}

static int
train(struct trainer *t, struct err *e)
{
	const struct run_state *s = &t->state;

	while (s->step < s->n_steps && !t->is_stopped) {
		bool is_last, is_measured;

		if (step(t, e) != 0)
			return -1;
		is_last = s->step == s->n_steps;
		is_measured = is_last || s->step % t->recipe.validate_every == 0;
		if (is_measured && validate_now(t, e) != 0)
			return -1;
		if (is_measured || s->step % LOG_EVERY == 0) {
			if (add_line(t, is_measured ? t->validation_dice : NAN, e) != 0 || (is_measured && train_log_draw(t->log, e) != 0))
				return -1;
		} else {
			tell(t, NULL);
		}
		if ((is_last || t->is_stopped || seconds_since(t->checkpoint_ms) >= 60 * t->recipe.checkpoint_minutes) && write_checkpoint(t, e) != 0)
			return -1;
	}
	return train_log_draw(t->log, e);
}

/* ---- beginning ---- */

/* A game at step 0. */
static int
begin_game(struct trainer *t, struct err *e)
{
	const struct run_path start = run_path(t->run, "start.safetensors");

	game_free(t->game);
	average_free(t->average);
	t->average = NULL;
	t->state = (struct run_state){ .best_dice = NAN };
	t->game = game_new(&t->recipe.game, t->threads, e);
	if (!t->game)
		return -1;
	game_initialise(t->game, (uint64_t)t->recipe.seed);
	if (file_exists(start.text) && game_start_from(t->game, start.text, e) != 0)
		return -1;
	if (t->recipe.ema > 0 && !(t->average = average_new(&t->recipe.model.network, t->recipe.ema, e)))
		return -1;
	t->began_ms = t->line_ms = t->checkpoint_ms = clock_monotonic_ms();
	return 0;
}

/* Minutes -> steps: steps and a validation are timed, the rest of the time is filled with their like. */
static int
time_steps(struct trainer *t, struct err *e)
{
	const int64_t began_ms = clock_monotonic_ms();
	int64_t warm_ms = began_ms;
	double a_step, a_validation, dice, n;
	char note[160];

	tell(t, "timing the first 50 steps to see how many fit into the time");
	for (int i = 0; i < TIMED_STEPS && !t->is_stopped; i++) {
		if (step(t, e) != 0)
			return -1;
		if (i + 1 == WARM_UP_STEPS)
			warm_ms = clock_monotonic_ms();
		tell(t, NULL);
	}
	if (t->is_stopped)
		return 0;
	a_step = seconds_since(warm_ms) / (TIMED_STEPS - WARM_UP_STEPS);
	warm_ms = clock_monotonic_ms();
	if (measure(t, &dice, e) != 0)
		return -1;
	a_validation = seconds_since(warm_ms);
	n = (60 * t->recipe.minutes - seconds_since(began_ms)) / (a_step + a_validation / (double)t->recipe.validate_every);
	t->recipe.steps = n > LEAST_STEPS ? (int64_t)n : LEAST_STEPS;
	t->recipe.minutes = 0;
	snprintf(note, sizeof note, "%.3f s a step, %.1f s a validation: %lld steps; the run begins", a_step, a_validation, (long long)t->recipe.steps);
	tell(t, note);
	return run_write_recipe(t->run, &t->recipe, e);
}

static int64_t
steps_of(const struct trainer *t)
{
	const struct recipe *r = &t->recipe;

	return r->epochs > 0 ? r->epochs * sampler_epoch(t->sampler) : r->steps > 0 ? r->steps : DEFAULT_STEPS;
}

static int
go_on(struct trainer *t, struct err *e)
{
	const struct run_path dir = t->checkpoint;

	if (run_checkpoint_newest(t->run, &t->checkpoint, &t->state, e) != 0 || game_load(t->game, run_path(dir.text, "game.safetensors").text, e) != 0 ||
	    (t->average && average_load(t->average, run_path(dir.text, "average.safetensors").text, e) != 0))
		return err_note(e, "going on from a checkpoint (without %s the run goes on from the one before)", dir.text);
	t->seconds_before = t->state.seconds;
	t->began_step = t->line_step = t->state.step;
	t->validation_dice = t->state.best_dice;
	return 0;
}

static int
begin(struct trainer *t, struct err *e)
{
	char note[160];

	if (run_checkpoint_newest(t->run, &t->checkpoint, &t->state, e) != 0 || begin_game(t, e) != 0)
		return -1;
	if (t->checkpoint.text[0]) {
		if (go_on(t, e) != 0)
			return -1;
	} else {
		if (t->recipe.minutes > 0 && (time_steps(t, e) != 0 || (!t->is_stopped && begin_game(t, e) != 0)))
			return -1;
		t->state.n_steps = steps_of(t);
	}
	t->log = t->is_stopped ? NULL : train_log_open(t->run, t->state.step, e);
	if (!t->is_stopped && !t->log)
		return -1;
	snprintf(note, sizeof note, "%zu cases to train on, %zu to validate on, %lld steps, from step %lld", t->n_train, t->n_validation, (long long)t->state.n_steps,
	    (long long)t->state.step);
	tell(t, note);
	return 0;
}

static int
check_facts(struct trainer *t, struct err *e)
{
	struct run_facts facts;
	char note[160];

	if (run_facts(t->run, &facts, e) != 0)
		return -1;
	if (strcmp(facts.data_digest, dataset_digest(t->data)) != 0)
		return err_set(e, ERR_STATE, "%s was begun with another data set (digest %.12s..., this one has %.12s...)", t->run, facts.data_digest, dataset_digest(t->data));
	if (strcmp(facts.core, compute_core()) != 0) {
		snprintf(note, sizeof note, "warning: begun with OpenBLAS kernels %s, going on with %s: other bits than without the interruption", facts.core, compute_core());
		tell(t, note);
	}
	return 0;
}

static int
open_recipe(struct trainer *t, struct err *e)
{
	const char *channels[MODEL_MAX_CHANNELS];
	const size_t n = dataset_channels(t->data);

	for (size_t i = 0; i < n && i < MODEL_MAX_CHANNELS; i++)
		channels[i] = dataset_channel(t->data, i);
	if (recipe_default(&t->recipe, channels, n, dataset_segments(t->data), e) != 0)
		return -1;
	return recipe_read(&t->recipe, run_path(t->run, "recipe.json").text, e);
}

static int
open_data(struct trainer *t, struct err *e)
{
	const struct recipe *r = &t->recipe;
	const size_t pixels = (size_t)(r->batch * r->crop * r->crop);

	if (prepared_open(t->data, &r->model, SPLIT_TRAIN, &t->train, &t->n_train, e) != 0 ||
	    prepared_open(t->data, &r->model, SPLIT_VALIDATION, &t->validation, &t->n_validation, e) != 0)
		return -1;
	distribution_learn(&t->recipe.model, t->train, t->n_train);
	t->sampler = sampler_new(r, t->train, t->n_train, t->threads, e);
	if (!t->sampler)
		return -1;
	t->x = calloc(pixels * r->model.network.channels, sizeof *t->x);
	t->truth = calloc(pixels * r->model.network.labels, sizeof *t->truth);
	return t->x && t->truth ? 0 : err_set(e, ERR_LIMIT, "no memory for a batch of %lld images of %lld x %lld", (long long)r->batch, (long long)r->crop, (long long)r->crop);
}

static void
release(struct trainer *t)
{
	game_free(t->game);
	average_free(t->average);
	train_log_free(t->log);
	sampler_free(t->sampler);
	prepared_free(t->train, t->n_train);
	prepared_free(t->validation, t->n_validation);
	free(t->x);
	free(t->truth);
	if (t->lock >= 0)
		close(t->lock);
	free(t);
}

int
trainer_create(const char *run, const struct dataset *data, const struct recipe *r, const char *start, const char *from, struct err *e)
{
	struct run_facts facts = { .program = "segan " SEGAN_VERSION };

	snprintf(facts.data_digest, sizeof facts.data_digest, "%s", dataset_digest(data));
	snprintf(facts.core, sizeof facts.core, "%s", compute_core());
	snprintf(facts.from, sizeof facts.from, "%s", from ? from : "");
	return run_create(run, r, &facts, start, e);
}

void
trainer_discard(const char *run)
{
	run_discard(run);
}

int
trainer_run(const char *run, struct dataset *data, unsigned threads, trainer_progress_fn progress, void *arg, struct trainer_result *out, struct err *e)
{
	struct trainer *t = calloc(1, sizeof *t);
	int result = -1;

	*out = (struct trainer_result){ .best_dice = NAN };
	if (!t)
		return err_set(e, ERR_LIMIT, "no memory for a trainer");
	*t = (struct trainer){ .run = run, .lock = -1, .data = data, .threads = threads ? threads : cores(), .progress = progress, .arg = arg, .validation_dice = NAN,
		.state.best_dice = NAN, .slices_per_second = NAN };
	if (check_facts(t, e) == 0 && run_lock(run, &t->lock, e) == 0 && open_recipe(t, e) == 0 && open_data(t, e) == 0 && begin(t, e) == 0)
		result = t->is_stopped ? 0 : train(t, e);
	*out = (struct trainer_result){ t->is_stopped && t->state.step < t->state.n_steps, t->log ? t->state.step : 0, t->state.n_steps, t->state.best_step, t->state.best_dice };
	release(t);
	return result;
}
