/* Names, files and folders of a run. A checkpoint or model is made in a folder of its own beside its place and renamed when all its files are safe. */
#include "model/run_folder.h"
#include "config/digest.h"
#include "config/file.h"
#include "config/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_WEIGHTS_BYTES = 1 << 30, KEPT_CHECKPOINTS = 2 };
#define CHECKPOINT_NEW "checkpoints/new"
#define CANDIDATE "candidate"
#define COUNT_OF(a) (sizeof (a) / sizeof *(a))

struct run_path
run_path(const char *run, const char *leaf)
{
	struct run_path p;

	snprintf(p.text, sizeof p.text, "%.1000s/%.150s", run, leaf);
	return p;
}

/* takes v */
static int
write_json(const char *run, const char *leaf, struct json *v, struct err *e)
{
	char *text = json_print(v, true, e);
	int result = text ? file_write(run_path(run, leaf).text, text, strlen(text), e) : -1;

	free(text);
	json_free(v);
	return result;
}

/* ---- the run ---- */

static const struct json_field fact_fields[] = {
	{ .key = "data_digest", .kind = FIELD_STRING, .offset = offsetof(struct run_facts, data_digest), .size = sizeof ((struct run_facts *)0)->data_digest, .required = true },
	{ .key = "core", .kind = FIELD_STRING, .offset = offsetof(struct run_facts, core), .size = sizeof ((struct run_facts *)0)->core, .required = true },
	{ .key = "program", .kind = FIELD_STRING, .offset = offsetof(struct run_facts, program), .size = sizeof ((struct run_facts *)0)->program, .required = true },
	{ .key = "from", .kind = FIELD_STRING, .offset = offsetof(struct run_facts, from), .size = sizeof ((struct run_facts *)0)->from, .nullable = true },
};

static int
copy_start(const char *run, const char *start, struct err *e)
{
	size_t n;
	char *bytes = file_read(start, MAX_WEIGHTS_BYTES, &n, e);
	int result = bytes ? file_write(run_path(run, "start.safetensors").text, bytes, n, e) : -1;

	free(bytes);
	return result;
}

int
run_write_recipe(const char *run, const struct recipe *r, struct err *e)
{
	return write_json(run, "recipe.json", recipe_json(r), e);
}

/* run.json comes last: where it is, the rest is. */
int
run_create(const char *run, const struct recipe *r, const struct run_facts *facts, const char *start, struct err *e)
{
	struct json *v;

	if (strlen(run) > 1000)
		return err_set(e, ERR_INPUT, "the folder's name is too long: %.100s...", run);
	if (file_exists(run_path(run, "run.json").text))
		return err_set(e, ERR_STATE, "%s holds a run: --resume goes on with it, another --out begins a new one", run);
	if (file_make_dirs(run_path(run, "checkpoints").text, 0755, e) != 0 || (start && copy_start(run, start, e) != 0) || run_write_recipe(run, r, e) != 0)
		return -1;
	v = json_new_object();
	json_write(v, fact_fields, COUNT_OF(fact_fields), facts);
	return write_json(run, "run.json", v, e);
}

void
run_discard(const char *run)
{
	static const char *const leaves[] = { "run.json", "recipe.json", "start.safetensors", "log.csv", "curves.svg", "checkpoints", CANDIDATE };
	struct err unheard; /* whoever discards it has a reason of its own to tell */

	for (size_t i = 0; i < COUNT_OF(leaves); i++)
		file_remove_tree(run_path(run, leaves[i]).text, &unheard);
	rmdir(run);
}

int
run_lock(const char *run, int *fd, struct err *e)
{
	*fd = open(run, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return err_errno(e, "opening the run %s", run);
	if (flock(*fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) /* a file system without locks is no reason not to train */
		return 0;
	close(*fd);
	*fd = -1;
	return err_set(e, ERR_STATE, "another segan train is at work in %s", run);
}

int
run_facts(const char *run, struct run_facts *out, struct err *e)
{
	struct json_doc *d = json_load(run_path(run, "run.json").text, 0, e);
	int result;

	*out = (struct run_facts){ 0 };
	if (!d)
		return err_note(e, "%s is no run of segan train", run);
	result = json_read(d, json_root(d), fact_fields, COUNT_OF(fact_fields), "", out, e);
	if (result != 0)
		err_note(e, "%s/run.json", run);
	json_doc_free(d);
	return result;
}

/* ---- checkpoints ---- */

#define STATE(type, name, member) { .key = name, .kind = type, .offset = offsetof(struct run_state, member), .min = -1e300, .max = 1e300, .required = true, .nullable = true }
static const struct json_field state_fields[] = {
	STATE(FIELD_INT, "step", step), STATE(FIELD_INT, "steps", n_steps), STATE(FIELD_INT, "best_step", best_step), STATE(FIELD_DOUBLE, "best_dice", best_dice),
	STATE(FIELD_DOUBLE, "sum_critic", sums.critic), STATE(FIELD_DOUBLE, "sum_l1", sums.l1), STATE(FIELD_DOUBLE, "sum_dice", sums.dice),
	STATE(FIELD_DOUBLE, "sum_segmentor", sums.segmentor), STATE(FIELD_INT, "summed", n_sums), STATE(FIELD_DOUBLE, "seconds", seconds),
};

static int
begin_folder(const char *run, const char *leaf, struct run_path *dir, struct err *e)
{
	*dir = run_path(run, leaf);
	return file_remove_tree(dir->text, e) != 0 ? -1 : file_make_dirs(dir->text, 0755, e);
}

int
run_checkpoint_begin(const char *run, struct run_path *dir, struct err *e)
{
	return begin_folder(run, CHECKPOINT_NEW, dir, e);
}

void
run_checkpoint_abandon(const char *run)
{
	struct err ignored; /* what is left of it is emptied by the next one */

	file_remove_tree(run_path(run, CHECKPOINT_NEW).text, &ignored);
}

static int
compare_steps(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x < y) - (x > y);
}

enum { MAX_LISTED = 64 };

/* Steps of the checkpoints that are there, newest first. Returns how many. */
static size_t
list_checkpoints(const char *run, int64_t steps[MAX_LISTED])
{
	DIR *dir = opendir(run_path(run, "checkpoints").text);
	struct dirent *d;
	size_t n = 0;

	if (!dir)
		return 0;
	while (n < MAX_LISTED && (d = readdir(dir))) {
		char *end;
		long long step = strncmp(d->d_name, "step-", 5) == 0 ? strtoll(d->d_name + 5, &end, 10) : -1;

		if (step >= 0 && end > d->d_name + 5 && *end == '\0')
			steps[n++] = step;
	}
	closedir(dir);
	qsort(steps, n, sizeof *steps, compare_steps);
	return n;
}

static struct run_path
checkpoint_path(const char *run, int64_t step)
{
	char leaf[64];

	snprintf(leaf, sizeof leaf, "checkpoints/step-%08lld", (long long)step);
	return run_path(run, leaf);
}

static int
remove_old(const char *run, struct err *e)
{
	int64_t steps[MAX_LISTED];
	size_t n = list_checkpoints(run, steps);

	for (size_t i = KEPT_CHECKPOINTS; i < n; i++)
		if (file_remove_tree(checkpoint_path(run, steps[i]).text, e) != 0)
			return -1;
	return 0;
}

int
run_checkpoint_end(const char *run, const struct run_state *s, struct err *e)
{
	struct run_path place = checkpoint_path(run, s->step), made = run_path(run, CHECKPOINT_NEW);
	struct json *v = json_new_object();

	json_write(v, state_fields, COUNT_OF(state_fields), s);
	if (write_json(run, CHECKPOINT_NEW "/state.json", v, e) != 0)
		return -1;
	if (file_exists(place.text)) { /* the same step, so the same bits */
		run_checkpoint_abandon(run);
		return 0;
	}
	if (file_sync_dir(made.text, e) != 0)
		return -1;
	if (rename(made.text, place.text) != 0)
		return err_errno(e, "renaming %s to %s", made.text, place.text);
	return file_sync_dir(run_path(run, "checkpoints").text, e) != 0 ? -1 : remove_old(run, e);
}

int
run_checkpoint_newest(const char *run, struct run_path *dir, struct run_state *s, struct err *e)
{
	int64_t steps[MAX_LISTED];
	struct json_doc *d;
	char path[RUN_PATH + 16];
	int result;

	*dir = (struct run_path){ "" };
	*s = (struct run_state){ .best_dice = NAN, .sums = { NAN, NAN, NAN, NAN } }; /* null is read as "leave it" */
	if (list_checkpoints(run, steps) == 0)
		return 0;
	*dir = checkpoint_path(run, steps[0]);
	snprintf(path, sizeof path, "%s/state.json", dir->text);
	d = json_load(path, 0, e);
	if (!d)
		return -1;
	result = json_read(d, json_root(d), state_fields, COUNT_OF(state_fields), "", s, e);
	if (result == 0 && (s->step < 0 || s->n_steps < s->step || s->step != steps[0]))
		result = err_set(e, ERR_INPUT, "step %lld of %lld does not fit the folder's name", (long long)s->step, (long long)s->n_steps);
	if (result != 0)
		err_note(e, "%s", path);
	json_doc_free(d);
	return result;
}

/* ---- models ---- */

int
run_candidate_begin(const char *run, struct run_path *dir, struct err *e)
{
	return begin_folder(run, CANDIDATE, dir, e);
}

int
run_candidate_manifest(const char *run, struct manifest *m, struct err *e)
{
	snprintf(m->dir, sizeof m->dir, "%.1020s", run_path(run, CANDIDATE).text);
	if (digest_of_file(run_path(run, CANDIDATE "/weights.safetensors").text, 0, m->weights_sha256, e) != 0)
		return -1;
	return write_json(run, CANDIDATE "/model.json", manifest_json(m), e);
}

static struct json *
training_notes(const char *run, const struct recipe *r, const struct run_state *s)
{
	struct run_facts facts;
	struct err ignored; /* notes: a run without its facts is refused elsewhere */
	struct json *v = json_new_object();

	run_facts(run, &facts, &ignored);
	json_set_string(v, "program", facts.program);
	json_set_string(v, "core", facts.core);
	json_set_string(v, "data_digest", facts.data_digest);
	json_set_string(v, "from", facts.from[0] ? facts.from : NULL);
	json_set_int(v, "step", s->step);
	json_set_int(v, "steps", s->n_steps);
	json_set(v, "recipe", recipe_json(r));
	return v;
}

/* What the candidate says of itself already, and how it came to be. */
static int
write_notes(const char *run, const struct recipe *r, const struct run_state *s, double dice, struct err *e)
{
	struct json_doc *d = json_load(run_path(run, CANDIDATE "/model.json").text, 0, e);
	struct json *v, *evaluation = json_new_object();
	int result;

	if (!d) {
		json_free(evaluation);
		return -1;
	}
	v = json_copy(json_root(d));
	json_set_string(evaluation, "data", "the validation cases of the training's data set; they chose the step, so the figure flatters");
	json_set_number(evaluation, "mean_dice", dice);
	json_set(v, "training", training_notes(run, r, s));
	json_set(v, "evaluation", evaluation);
	result = write_json(run, CANDIDATE "/model.json", v, e);
	json_doc_free(d);
	return result;
}

static int
write_card(const char *run, const struct recipe *r, const struct run_state *s, double dice, struct err *e)
{
	char text[4096], figure[64] = "not measured: the data set has no validation cases";
	int n;

	if (isfinite(dice))
		snprintf(figure, sizeof figure, "%.4f", dice);
	n = snprintf(text, sizeof text,
	    "# %s %s\n\n%s\n\nTrained by `segan train`, step %lld of %lld; segmentor `%s`, width %zu. Recipe, data digest and program are in `model.json` under `training`.\n\n"
	    "Mean Dice on the validation cases: %s. These cases chose the step, so the figure flatters: `segan evaluate` on held-back patients says what the model is worth.\n\n"
	    "Licence: %s\n\nResearch use only. Not a medical device.\n",
	    r->model.name, r->model.version, r->model.description, (long long)s->step, (long long)s->n_steps, r->model.network.kind == NETWORK_UNET ? "unet" : "segan",
	    r->model.network.width, figure, r->model.licence);
	return file_write(run_path(run, CANDIDATE "/CARD.md").text, text, (size_t)n, e);
}

int
run_candidate_is_best(const char *run, const struct recipe *r, const struct run_state *s, double dice, struct err *e)
{
	const struct run_path made = run_path(run, CANDIDATE), place = run_path(run, "best");

	if (write_notes(run, r, s, dice, e) != 0 || write_card(run, r, s, dice, e) != 0 || file_sync_dir(made.text, e) != 0)
		return -1;
	/* The old best changes places with the new one in one step. */
	if (file_exists(place.text) && renameat2(AT_FDCWD, made.text, AT_FDCWD, place.text, RENAME_EXCHANGE) == 0)
		return file_sync_dir(run, e) != 0 ? -1 : file_remove_tree(made.text, e);
	if (file_remove_tree(place.text, e) != 0) /* a file system that cannot exchange: for a moment there is no best */
		return -1;
	if (rename(made.text, place.text) != 0)
		return err_errno(e, "renaming %s to %s", made.text, place.text);
	return file_sync_dir(run, e);
}
