/* Trains a model from a packed data set by a recipe. All of a run is in its folder (run_folder.h), so starting, going on after a stop and going on after
 * a crash are one call. Same recipe, data and core type: same bits, whatever the number of threads or interruptions. */
#pragma once
#include "model/dataset.h"
#include "model/recipe.h"

struct trainer_progress {
	int64_t step, n_steps;                     /* n_steps 0: being timed (minutes) */
	struct game_losses losses;                 /* means of the last steps */
	double validation_dice, best_dice;         /* nan: not yet */
	int64_t best_step;
	double slices_per_second, seconds_left;
	const char *note;                          /* something happened, in words; NULL: only the numbers moved */
};
/* After every step. Nonzero: save and stop. */
typedef int (*trainer_progress_fn)(void *arg, const struct trainer_progress *p);

/* Makes the run's folder. start: weights to begin with, from: what they are called; NULL both: from nothing. ERR_STATE: there is a run already. */
int trainer_create(const char *run, const struct dataset *data, const struct recipe *r, const char *start, const char *from, struct err *e);

/* Takes a run back that came to no step, so that its place is free for another try. */
void trainer_discard(const char *run);

struct trainer_result { bool is_stopped; int64_t step, n_steps, best_step; double best_dice; };
/* Goes on with the run from its newest checkpoint (or its beginning) to its end. ERR_STATE: another data set, or a loss that is not finite: the text
 * names the step and the last good checkpoint. *out is filled whatever comes back: step 0 and a failure, it came to no step. */
int trainer_run(const char *run, struct dataset *data, unsigned threads, trainer_progress_fn progress, void *arg, struct trainer_result *out, struct err *e);
