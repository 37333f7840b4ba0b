/* segan train: a model from a packed data set. All the work is model/trainer's; here are options, the words on the screen, and the signals that stop it. */
#include "config/clock.h"
#include "config/file.h"
#include "model/trainer.h"
#include "model/weights.h"
#include "service/commands/commands.h"
#include "service/commands/common.h"

#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: segan train --data SET --out RUN [--from NAME[@VERSION]] [--recipe FILE.json] [--minutes N | --epochs N | --steps N] [--threads N]\n"
    "       segan train --data SET --out RUN --resume [--threads N]\n"
    "Trains segmentor and critic on the cases of SET (segan dataset create) that are for training; those for validation choose the best model.\n"
    "RUN: recipe.json (complete; the same run again), log.csv, curves.svg, checkpoints/, best/ (the best model so far, a folder for segan model add).\n"
    "SIGINT (Ctrl-C) and SIGTERM save and stop; --resume goes on, also after a crash, to the same bits as without the interruption.\n"
    "  --from NAME[@VERSION]  begin with the weights, network, input and segments of an installed model\n"
    "  --models DIR           where models are installed (default $SEGAN_MODELS, else those that came with the program)\n"
    "  --recipe FILE.json     keys that differ from the defaults; recipe.json of any run shows all of them\n"
    "  --minutes N            as many steps as fit: the first 50 are timed, and the number of steps is written into RUN/recipe.json\n"
    "  --epochs N, --steps N  default: what the recipe says, else 10000 steps\n"
    "  --threads N            default: as many as cores; the result is the same for any number\n"
    "Same data, recipe and seed: same bits on processors of one kind.\n";

enum { PLAIN_EVERY_MS = 30000, LINE_EVERY_MS = 200 };

struct options {
	const char *data, *out, *from, *models, *recipe;
	double minutes, epochs, steps;
	unsigned threads;
	bool is_resumed;
};

static atomic_bool interrupted; /* the handler may run on a thread of the network */

static void
on_signal(int number)
{
	(void)number;
	atomic_store(&interrupted, true);
}

/* ---- words on the screen ---- */

struct screen { bool is_terminal; int64_t last_ms; size_t width; };

static void
duration(double seconds, char text[32])
{
	if (!isfinite(seconds))
		snprintf(text, 32, "?");
	else if (seconds < 90)
		snprintf(text, 32, "%.0f s", seconds);
	else
		snprintf(text, 32, "%.0f min", seconds / 60);
}

/* "label value", nothing where it was not measured */
static void
add_number(char *text, size_t size, const char *label, double value)
{
	size_t n = strlen(text);

	if (isfinite(value))
		snprintf(text + n, size - n, "  %s %.4g", label, value);
}

static void
print_line(struct screen *s, const struct trainer_progress *p)
{
	char text[320], left[32];
	size_t n;

	if (p->n_steps > 0)
		snprintf(text, sizeof text, "step %lld of %lld", (long long)p->step, (long long)p->n_steps);
	else
		snprintf(text, sizeof text, "step %lld", (long long)p->step);
	add_number(text, sizeof text, "critic", p->losses.critic);
	add_number(text, sizeof text, "L1", p->losses.l1);
	add_number(text, sizeof text, "Dice loss", p->losses.dice);
	add_number(text, sizeof text, "validation Dice", p->validation_dice);
	add_number(text, sizeof text, "slices/s", p->slices_per_second);
	duration(p->seconds_left, left);
	n = strlen(text);
	if (p->n_steps > 0)
		snprintf(text + n, sizeof text - n, "  %s left", left);
	n = strlen(text);
	if (s->is_terminal)
		printf("\r%s%*s", text, n < s->width ? (int)(s->width - n) : 0, "");
	else
		puts(text);
	s->width = n;
	fflush(stdout);
}

static int
show(void *arg, const struct trainer_progress *p)
{
	struct screen *s = arg;
	const int64_t now_ms = clock_monotonic_ms();

	if (p->note) {
		printf("%s%s%s\n", s->is_terminal && s->width > 0 ? "\r\033[K" : "", p->step > 0 ? "" : "segan train: ", p->note);
		fflush(stdout);
		s->width = 0;
	} else if (now_ms - s->last_ms >= (s->is_terminal ? LINE_EVERY_MS : PLAIN_EVERY_MS)) {
		print_line(s, p);
		s->last_ms = now_ms;
	}
	return atomic_load(&interrupted);
}

/* ---- the run ---- */

/* Weights to begin with are looked at where they lie: a copy within a run would be named otherwise. */
static int
check_weights(const char *path, const struct manifest *m, struct err *e)
{
	struct weights *w = weights_load(path, m->weights_sha256, e);

	weights_free(w);
	return w != NULL ? 0 : -1;
}

static int
ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* How far apart the slices of the training cases are: the median, which is what the model's neighbours will be. */
static int
slice_distance(const struct dataset *data, double *mm, struct err *e)
{
	double *distances = calloc(dataset_size(data) + 1, sizeof *distances);
	size_t n = 0;

	if (distances == NULL)
		return err_set(e, ERR_LIMIT, "no memory for the slice distances of %zu cases", dataset_size(data));
	for (size_t i = 0; i < dataset_size(data); i++)
		if (dataset_at(data, i)->split == SPLIT_TRAIN)
			distances[n++] = dataset_at(data, i)->grid.spacing_mm[0];
	qsort(distances, n, sizeof *distances, ascending);
	*mm = n > 0 ? fmin(fmax(distances[n / 2], MANIFEST_NEIGHBOUR_LEAST_MM), MANIFEST_NEIGHBOUR_MOST_MM) : MANIFEST_NEIGHBOUR_MM;
	free(distances);
	return 0;
}

/* Defaults, or the installed model's; then the file; then the command line. weights: where to start from, "" nowhere. */
static int
make_recipe(const struct options *o, const struct dataset *data, struct recipe *r, char weights[1100], char from[140], struct err *e)
{
	const char *channels[MODEL_MAX_CHANNELS];
	struct catalog *catalog = NULL;
	const struct catalog_entry *model;
	int result = -1;

	weights[0] = from[0] = '\0';
	for (size_t i = 0; i < dataset_channels(data) && i < MODEL_MAX_CHANNELS; i++)
		channels[i] = dataset_channel(data, i);
	if (o->from != NULL) {
		if ((catalog = command_models(o->models, e)) == NULL || (model = catalog_find(catalog, o->from, e)) == NULL ||
		    recipe_from_model(r, &model->manifest, e) != 0)
			goto out;
		snprintf(weights, 1100, "%s/weights.safetensors", model->manifest.dir);
		if (check_weights(weights, &model->manifest, e) != 0)
			goto out;
		snprintf(from, 140, "%s@%s", model->manifest.name, model->manifest.version);
	} else if (recipe_default(r, channels, dataset_channels(data), dataset_segments(data), e) != 0 || slice_distance(data, &r->model.neighbour_mm, e) != 0) {
		goto out;
	}
	if (o->recipe != NULL && recipe_read(r, o->recipe, e) != 0)
		goto out;
	if (o->minutes > 0 || o->epochs > 0 || o->steps > 0) {
		r->minutes = o->minutes;
		r->epochs = (int64_t)o->epochs;
		r->steps = (int64_t)o->steps;
	}
	result = 0;
out:
	catalog_free(catalog);
	return result;
}

static int
create(const struct options *o, const struct dataset *data, struct err *e)
{
	struct recipe *r = malloc(sizeof *r);
	char weights[1100], from[140];
	int result;

	if (r == NULL)
		return err_set(e, ERR_LIMIT, "no memory for a recipe");
	result = make_recipe(o, data, r, weights, from, e);
	if (result == 0)
		result = trainer_create(o->out, data, r, weights[0] ? weights : NULL, from[0] ? from : NULL, e);
	free(r);
	return result;
}

static int
run(const struct options *o, struct dataset *data)
{
	struct screen screen = { .is_terminal = isatty(STDOUT_FILENO) };
	struct sigaction stop = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct trainer_result r;
	struct err e;

	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	if (trainer_run(o->out, data, o->threads, show, &screen, &r, &e) != 0) {
		if (screen.is_terminal && screen.width > 0)
			putchar('\n');
		if (!o->is_resumed && r.step == 0)
			trainer_discard(o->out);
		return command_fail(&e);
	}
	if (screen.is_terminal && screen.width > 0)
		putchar('\n');
	if (r.is_stopped) {
		printf("stopped and saved after step %lld; segan train --data %s --out %s --resume goes on\n", (long long)r.step, o->data, o->out);
		return EXIT_GOOD;
	}
	if (isfinite(r.best_dice))
		printf("finished after %lld steps; best validation Dice %.4f at step %lld; the model: %s/best\n", (long long)r.n_steps, r.best_dice, (long long)r.best_step, o->out);
	else
		printf("finished after %lld steps; no validation cases, so the last model counts: %s/best\n", (long long)r.n_steps, o->out);
	return EXIT_GOOD;
}

static int
train(const struct options *o)
{
	struct err e;
	struct dataset *data = dataset_open(o->data, &e);
	int rc;

	if (data == NULL)
		return command_fail(&e);
	if (!o->is_resumed && create(o, data, &e) != 0)
		rc = e.code == ERR_INPUT && o->recipe != NULL ? command_config(&e) : command_fail(&e);
	else
		rc = run(o, data);
	dataset_close(data);
	return rc;
}

/* Whole text a number within [low, high]? */
static bool
number(const char *text, double low, double high, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return end > text && *end == '\0' && *out >= low && *out <= high;
}

static int
check_options(const struct options *o)
{
	if (o->data == NULL || o->out == NULL)
		return command_usage(usage, "--data SET and --out RUN are needed");
	if ((o->minutes > 0) + (o->epochs > 0) + (o->steps > 0) > 1)
		return command_usage(usage, "of --minutes, --epochs and --steps only one can be given");
	if (o->is_resumed && (o->from != NULL || o->recipe != NULL || o->minutes > 0 || o->epochs > 0 || o->steps > 0))
		return command_usage(usage, "--resume goes on with the run as it was begun: only --data, --out and --threads go with it");
	return EXIT_GOOD;
}

int
command_train(int argc, char **argv)
{
	static const struct option known[] = { { "data", required_argument, NULL, 'd' }, { "out", required_argument, NULL, 'o' }, { "from", required_argument, NULL, 'f' },
		{ "models", required_argument, NULL, 'M' }, { "recipe", required_argument, NULL, 'r' }, { "minutes", required_argument, NULL, 'm' },
		{ "epochs", required_argument, NULL, 'e' }, { "steps", required_argument, NULL, 's' }, { "threads", required_argument, NULL, 't' },
		{ "resume", no_argument, NULL, 'R' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	struct options o = { 0 };
	double threads = 0;
	bool is_good = true;
	int c;

	while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1)
		switch (c) {
		case 'd': o.data = optarg; break;
		case 'o': o.out = optarg; break;
		case 'f': o.from = optarg; break;
		case 'M': o.models = optarg; break;
		case 'r': o.recipe = optarg; break;
		case 'm': is_good &= number(optarg, 1e-3, 1e6, &o.minutes); break;
		case 'e': is_good &= number(optarg, 1, 1e6, &o.epochs) && o.epochs == floor(o.epochs); break;
		case 's': is_good &= number(optarg, 1, 1e9, &o.steps) && o.steps == floor(o.steps); break;
		case 't': is_good &= number(optarg, 0, 64, &threads) && threads == floor(threads); break;
		case 'R': o.is_resumed = true; break;
		case 'h': fputs(usage, stdout); return EXIT_GOOD;
		default: fputs(usage, stderr); return EXIT_USAGE;
		}
	o.threads = (unsigned)threads;
	if (optind < argc)
		return command_usage(usage, "what is \"%s\"?", argv[optind]);
	if (!is_good)
		return command_usage(usage, "--minutes takes a number over 0, --epochs and --steps whole numbers from 1, --threads one from 0 to 64");
	return check_options(&o) != EXIT_GOOD ? EXIT_USAGE : train(&o);
}
