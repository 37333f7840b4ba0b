/* The folder of one training: recipe.json (complete; the same run again), run.json (which data, which program), log.csv, curves.svg, checkpoints/, best/
 * (a ready model). Everything in it appears whole or not at all. */
#pragma once
#include "model/recipe.h"

#include <stdbool.h>

enum { RUN_PATH = 1200 };

/* "RUN/leaf" */
struct run_path { char text[RUN_PATH]; };
struct run_path run_path(const char *run, const char *leaf);

/* What is known about a run from its start. */
struct run_facts { char data_digest[65], core[33], program[33], from[140]; };

/* A new folder; start: weights to begin with, copied into it (NULL: none). ERR_STATE: it exists. */
int run_create(const char *run, const struct recipe *r, const struct run_facts *facts, const char *start, struct err *e);
void run_discard(const char *run);                                           /* takes that back; what else lies in the folder stays */
/* The run is this process' until the descriptor is closed (or the process ends). ERR_STATE: another one trains it. */
int run_lock(const char *run, int *fd, struct err *e);
int run_facts(const char *run, struct run_facts *out, struct err *e);        /* ERR_NOT_FOUND: no run there */
int run_write_recipe(const char *run, const struct recipe *r, struct err *e);

/* Where a training stands, beside the weights. sums: of the steps since the last line of the log. */
struct run_state { int64_t step, n_steps, best_step; double best_dice; struct game_losses sums; int64_t n_sums; double seconds; };

/* A checkpoint is a folder. run_checkpoint_begin empties the place where files are put (dir), run_checkpoint_end adds the state, makes it the newest one
 * and removes all but the two newest. A failure leaves the earlier ones as they were. */
int run_checkpoint_begin(const char *run, struct run_path *dir, struct err *e);
int run_checkpoint_end(const char *run, const struct run_state *s, struct err *e);
void run_checkpoint_abandon(const char *run);
/* The newest: its folder and state. dir->text "" and 0: there is none. */
int run_checkpoint_newest(const char *run, struct run_path *dir, struct run_state *s, struct err *e);

/* The folder in which a model is made, empty; then model.json into it for the weights that lie there (m gets their digest and the folder). */
int run_candidate_begin(const char *run, struct run_path *dir, struct err *e);
int run_candidate_manifest(const char *run, struct manifest *m, struct err *e);
/* The candidate, validated with that Dice (nan: there was nothing to validate on), gets its notes and card and takes the place of best/. */
int run_candidate_is_best(const char *run, const struct recipe *r, const struct run_state *s, double dice, struct err *e);
