/* segan evaluate: a model over the held-back cases of a data set, and against another model on the same cases. One case in memory at a time. */
#include "service/commands/evaluation.h"

#include "config/clock.h"
#include "config/file.h"
#include "service/commands/commands.h"
#include "service/commands/common.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: segan evaluate (--model NAME[@VERSION] | --run RUN) --data SET [options]\n"
    "Segments the cases of a data set exactly as the service would and holds the masks against the truth: Dice, precision, sensitivity, HD95 (mm), volume error\n"
    "(ml), a line a case; then mean and median with 95 % intervals. A case that the model cannot segment is named, counts in no figure, and makes exit 1.\n"
    "  --model NAME[@VERSION]    an installed model (without @VERSION: the one in service)\n"
    "  --run RUN                 the best model of a training (RUN/best), or a folder that holds a model.json\n"
    "  --data SET                the folder that segan dataset create made\n"
    "  --split test              which cases: test (default), validation, train or all. Only test is held back: validation cases chose the model\n"
    "  --against NAME[@VERSION]  another installed model on the same cases: differences (the first minus this one), their interval, Wilcoxon's signed-rank test\n"
    "  --csv FILE                a line a case and segment\n"
    "  --html FILE               one page that needs nothing but itself, with the worst, the median and the best case as pictures\n"
    "  --json                    the whole as JSON on stdout; segan model promote --evaluation takes it\n"
    "  --models DIR              where models are installed (default $SEGAN_MODELS, else data_dir/models of the configuration, then those that came with the program)\n"
    "  --config FILE             the configuration (default /etc/segand/segand.json)\n"
    "  --threads N               default: as many as cores; the figures are the same for any number\n"
    "Both masks empty: Dice, precision, sensitivity 1, HD95 0. One empty: 0, and no HD95 (counted apart). HD95 is the larger of the two directed 95th percentiles\n"
    "of the distances between the outlines. Intervals: percentile bootstrap over cases, 10000 samples, one seed: the same cases give the same interval.\n";

struct options {
	const char *model, *run, *data, *split, *against, *csv, *html, *models, *config, *threads_text;
	unsigned threads;
	bool json;
};

static atomic_bool interrupted; /* the handler may run on a thread of the network */

static void
on_interrupt(int signal_number)
{
	(void)signal_number;
	atomic_store(&interrupted, true);
}

/* ---- which model, which cases ---- */

static int
find_models(const struct options *o, struct evaluation *v, struct err *e)
{
	const char *const names[EVALUATION_MODELS] = { o->run == NULL ? o->model : NULL, o->against };
	struct catalog *catalog = NULL;
	int rc = -1;

	if (o->run != NULL && command_run_model(o->run, &v->models[0], e) != 0)
		return -1;
	if ((names[0] != NULL || names[1] != NULL) && (catalog = command_catalog(o->models, o->config, e)) == NULL)
		return -1;
	for (size_t i = 0; i < EVALUATION_MODELS; i++) {
		const struct catalog_entry *found;
		if (names[i] == NULL)
			continue;
		if ((found = catalog_find(catalog, names[i], e)) == NULL)
			goto out;
		v->models[i] = found->manifest;
	}
	v->n_models = o->against != NULL ? 2 : 1;
	rc = 0;
out:
	catalog_free(catalog);
	return rc;
}

static int
open_evaluators(const struct options *o, struct evaluation *v, struct err *e)
{
	const char *channels[MODEL_MAX_CHANNELS];
	const size_t n = dataset_channels(v->data);

	for (size_t i = 0; i < n && i < MODEL_MAX_CHANNELS; i++)
		channels[i] = dataset_channel(v->data, i);
	for (size_t m = 0; m < v->n_models; m++) {
		v->evaluators[m] = evaluator_new(&v->models[m], channels, n, dataset_segments(v->data), o->threads, e);
		if (v->evaluators[m] == NULL)
			return err_note(e, "%s", o->data);
	}
	return 0;
}

static int
choose_cases(const struct options *o, struct evaluation *v, struct err *e)
{
	const size_t n = dataset_size(v->data);

	if ((v->rows = calloc(n + 1, sizeof *v->rows)) == NULL)
		return err_set(e, ERR_LIMIT, "no memory for the figures of %zu cases", n);
	for (size_t i = 0; i < n; i++) {
		const struct dataset_case *c = dataset_at(v->data, i);
		if (strcmp(o->split, "all") == 0 || strcmp(o->split, dataset_split_name(c->split)) == 0)
			v->rows[v->n_rows++] = (struct evaluation_row){ .of = c, .index = i };
	}
	if (v->n_rows == 0)
		return err_set(e, ERR_NOT_FOUND, "%s has %zu cases, none of the split %s: --split all takes every case", o->data, n, o->split);
	return 0;
}

/* ---- running ---- */

static void
show_progress(const struct options *o, size_t done, size_t total, int64_t began_ms)
{
	double seconds = (double)(clock_monotonic_ms() - began_ms) / 1000;

	if (isatty(STDERR_FILENO) && (o->json || !isatty(STDOUT_FILENO)))
		fprintf(stderr, "\revaluating: %zu of %zu cases, %.1f s a case, %.0f s left %s", done, total, seconds / (double)done, seconds / (double)done * (double)(total - done),
		    done == total ? "\n" : "");
}

/* A case that the model refuses is part of the result; any other failure ends the evaluation. */
static int
run_case(struct evaluation *v, struct evaluation_row *r, struct err *e)
{
	if (dataset_map(v->data, r->index, e) != 0)
		return -1;
	for (size_t m = 0; m < v->n_models; m++) {
		r->is_done[m] = evaluator_run(v->evaluators[m], r->of, &r->result[m], e) == 0;
		if (r->is_done[m])
			continue;
		if (e->code != ERR_INPUT)
			return err_note(e, "case %s", r->of->name);
		snprintf(r->reason[m], sizeof r->reason[m], "%.255s", e->text);
		v->n_failed[m]++;
	}
	return 0;
}

static int
run_cases(const struct options *o, struct evaluation *v, struct err *e)
{
	const int64_t began_ms = clock_monotonic_ms();

	if (!o->json)
		evaluation_print_head(stdout);
	for (size_t i = 0; i < v->n_rows; i++) {
		if (run_case(v, &v->rows[i], e) != 0)
			return -1;
		dataset_unmap(v->data, v->rows[i].index);
		if (!o->json) {
			evaluation_print_row(stdout, v, &v->rows[i]);
			fflush(stdout);
		}
		show_progress(o, i + 1, v->n_rows, began_ms);
		if (atomic_load(&interrupted))
			return err_set(e, ERR_STATE, "interrupted after %zu of %zu cases; nothing was written", i + 1, v->n_rows);
	}
	return evaluation_sum_up(v, e);
}

/* One form that cannot be written does not keep the others back: the figures took long. */
static int
tell(const struct options *o, const struct evaluation *v)
{
	struct err e;
	int rc = EXIT_GOOD;

	if (o->csv != NULL && evaluation_write_csv(v, o->csv, &e) != 0)
		rc = command_fail(&e);
	if (o->html != NULL && evaluation_write_html(v, o->html, &e) != 0)
		rc = command_fail(&e);
	if (o->json && command_print_json(evaluation_json(v)) != EXIT_GOOD)
		rc = EXIT_FAILED;
	if (!o->json)
		evaluation_print_summary(stdout, v);
	if (fflush(stdout) != 0) {
		err_errno(&e, "writing to stdout");
		rc = command_fail(&e);
	}
	if (v->n_failed[0] + v->n_failed[1] > 0) {
		fprintf(stderr, "segan: %zu of %zu cases could not be segmented\n", v->n_failed[0] > v->n_failed[1] ? v->n_failed[0] : v->n_failed[1], v->n_rows);
		rc = EXIT_FAILED;
	}
	return rc;
}

static int
evaluate(const struct options *o, struct evaluation *v)
{
	struct err e;

	if (find_models(o, v, &e) != 0)
		return command_config(&e);
	if ((v->data = dataset_open(o->data, &e)) == NULL || choose_cases(o, v, &e) != 0 || open_evaluators(o, v, &e) != 0 || run_cases(o, v, &e) != 0)
		return command_fail(&e);
	return tell(o, v);
}

static int
check_options(const struct options *o)
{
	static const char *const splits[] = { "test", "validation", "train", "all" };
	size_t i = 0;

	while (i < sizeof splits / sizeof *splits && strcmp(o->split, splits[i]) != 0)
		i++;
	if (i == sizeof splits / sizeof *splits)
		return command_usage(usage, "--split %s: test, validation, train or all?", o->split);
	if ((o->model == NULL) == (o->run == NULL))
		return command_usage(usage, "which model? --model NAME[@VERSION] or --run RUN");
	if (o->data == NULL)
		return command_usage(usage, "which data? --data SET");
	return 0;
}

/* 0: go on; -1: help was asked for and given; else the exit status. */
static int
parse_options(int argc, char **argv, struct options *o)
{
	static const struct command_option options[] = {
		{ "model", required_argument, offsetof(struct options, model), 0 }, { "run", required_argument, offsetof(struct options, run), 0 },
		{ "data", required_argument, offsetof(struct options, data), 0 }, { "split", required_argument, offsetof(struct options, split), 0 },
		{ "against", required_argument, offsetof(struct options, against), 0 }, { "csv", required_argument, offsetof(struct options, csv), 0 },
		{ "html", required_argument, offsetof(struct options, html), 0 }, { "models", required_argument, offsetof(struct options, models), 0 },
		{ "config", required_argument, offsetof(struct options, config), 0 }, { "threads", required_argument, offsetof(struct options, threads_text), 0 },
		{ "json", no_argument, offsetof(struct options, json), 0 },
	};
	int rc = command_options(argc, argv, options, sizeof options / sizeof *options, usage, o);

	if (rc != 0)
		return rc;
	if (optind < argc)
		return command_usage(usage, "%s: not understood", argv[optind]);
	return command_threads(o->threads_text, usage, &o->threads) != 0 ? EXIT_USAGE : check_options(o);
}

int
command_evaluate(int argc, char **argv)
{
	struct options o = { .split = "test" };
	struct sigaction on_int = { .sa_handler = on_interrupt };
	struct evaluation *v;
	int rc = parse_options(argc, argv, &o);

	if (rc != 0)
		return rc < 0 ? EXIT_GOOD : rc;
	if ((v = calloc(1, sizeof *v)) == NULL) {
		fputs("segan: no memory\n", stderr);
		return EXIT_FAILED;
	}
	sigaction(SIGINT, &on_int, NULL);
	v->set = o.data;
	v->split = o.split;
	rc = evaluate(&o, v);
	for (size_t i = 0; i < EVALUATION_MODELS; i++)
		evaluator_free(v->evaluators[i]);
	dataset_close(v->data);
	free(v->rows);
	free(v);
	return rc;
}
