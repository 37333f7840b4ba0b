/* segan model: what is installed, what one model is, whether this build computes what the reference numbers say. What changes models: model_change.c. */
#include "model/registry.h"
#include "model/verify.h"
#include "service/commands/commands.h"
#include "service/commands/model_parts.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

const char model_usage[] =
    "usage: segan model list | show NAME[@VERSION] | add DIR | export RUN DIR | verify FILE.json | rollback NAME\n"
    "                 | promote NAME@VERSION (--evaluation FILE | --force --reason TEXT) | statistics DIR --data SET\n"
    "list:     every installed model; * marks the version in service\n"
    "show:     one model: channels, network, segments, history; and whether its weights are whole\n"
    "add:      checks the model folder DIR (model.json, weights.safetensors: digest, every tensor's name, shape and values) and installs it as NAME/VERSION.\n"
    "          What is in service stays in service, also when the new version is higher\n"
    "export:   the best model of a training (RUN/best), of a folder that holds a model.json, or an installed NAME[@VERSION], checked, as the new folder DIR:\n"
    "          weights.safetensors, which PyTorch loads by name, model.json and what lies beside them\n"
    "verify:   runs a file of reference numbers (the form of tests/golden/*.json) and prints the largest error of every tensor; exit 1 over tolerance\n"
    "promote:  puts a version in service. It takes an evaluation (segan evaluate --model NAME@VERSION --against NAME --data SET --json > FILE) in which its\n"
    "          mean Dice on held-back (test) cases is better than that of the version in service, all cases segmented; or --force with a reason, which is kept\n"
    "rollback: back to what was in service before the last promotion; once more: before the one before\n"
    "statistics: what the training cases of SET are like (size of the head, skull, brightness), into DIR/model.json: by these figures the node knows an input\n"
    "          that is out of distribution. segan train writes them by itself; this is for a model trained before it did\n"
    "  --models DIR      where models are installed and changed. Default $SEGAN_MODELS; else data_dir/models of the configuration, the only folder written to,\n"
    "                    and models_dir and those that came with the program, which are only read\n"
    "  --config FILE     the configuration (default /etc/segand/segand.json)\n"
    "  --evaluation FILE promote: the evaluation\n"
    "  --force           promote: without one\n"
    "  --reason TEXT     promote: why\n"
    "  --data SET        statistics: the data set that the model was trained on\n"
    "  --json            the answer as JSON\n"
    "A model promoted or rolled back is taken up by a node when it starts. History: NAME/history.jsonl in the folder that is written to, a line a change;\n"
    "and, of a node's folder (data_dir/models), the node's audit trail, with the user's name.\n";

static struct json *
model_json(const struct catalog_entry *c)
{
	const struct manifest *m = &c->manifest;
	struct json *v = json_new_object(), *channels = json_new_array(), *segments = json_new_array();

	json_set_string(v, "name", m->name);
	json_set_string(v, "version", m->version);
	json_set_bool(v, "in_service", c->in_service);
	json_set_string(v, "description", m->description);
	for (size_t i = 0; i < m->n_channels; i++)
		json_add_string(channels, m->channels[i]);
	json_set(v, "channels", channels);
	for (size_t i = 0; i < m->n_segments; i++) {
		struct json *s = json_new_object();
		json_set_int(s, "number", m->segments[i].number);
		json_set_string(s, "label", m->segments[i].label);
		json_add(segments, s);
	}
	json_set(v, "segments", segments);
	json_set_string(v, "weights_sha256", m->weights_sha256);
	json_set_string(v, "licence", m->licence);
	return v;
}

static int
list_all(const struct catalog *c, const struct model_options *o)
{
	struct json *array;

	if (o->json) {
		struct json *v = json_new_object();
		array = json_new_array();
		for (size_t i = 0; i < catalog_size(c); i++)
			json_add(array, model_json(catalog_at(c, i)));
		json_set(v, "models", array);
		return command_print_json(v);
	}
	for (size_t i = 0; i < catalog_size(c); i++) {
		const struct catalog_entry *m = catalog_at(c, i);
		printf("%c %s@%s  %s\n", m->in_service ? '*' : ' ', m->manifest.name, m->manifest.version, m->manifest.description);
	}
	for (size_t i = 0; catalog_problem(c, i) != NULL; i++)
		fprintf(stderr, "segan: left out: %s\n", catalog_problem(c, i));
	return EXIT_GOOD;
}

static void
print_model(const struct manifest *m)
{
	printf("%s@%s: %s\n", m->name, m->version, m->description);
	for (size_t i = 0; i < m->n_channels; i++)
		printf("channel   %s\n", m->channels[i]);
	printf("network   %s, width %zu, %zu label map%s, %s skips\n", m->network.kind == NETWORK_SEGAN ? "segan" : "unet", m->network.width, m->network.labels,
	    m->network.labels == 1 ? "" : "s", m->network.skip == SKIP_SUM ? "summed" : "joined");
	printf("input     %s slices at %g mm, skull %s%s\n", m->plane, m->spacing_mm, m->skull_present ? "present" : "stripped", m->mirror ? ", also mirrored" : "");
	for (size_t i = 0; i < m->n_segments; i++) {
		const struct segment_kind *s = &m->segments[i];
		printf("segment   %u %s (%s, %s \"%s\"), threshold %g, pieces under %g ml or %g at their peak removed\n", s->number, s->label, s->type.scheme, s->type.value, s->type.meaning, s->threshold,
		    s->minimum_ml, s->peak);
	}
	printf("licence   %s\nfolder    %s\nweights   sha256 %s\n", m->licence, m->dir, m->weights_sha256);
}

static void
print_history(const struct json *history)
{
	for (const struct json *l = json_first(history); l != NULL; l = json_next(l)) {
		const char *time = json_text(json_get(l, "time")), *action = json_text(json_get(l, "action")), *version = json_text(json_get(l, "version"));
		const char *from = json_text(json_get(l, "from")), *reason = json_text(json_get(l, "reason"));
		const struct json *evaluation = json_get(l, "evaluation");

		printf("history   %s %s %s%s%s", time != NULL ? time : "?", action != NULL ? action : "?", version != NULL ? version : "?", from != NULL ? ", before " : "",
		    from != NULL ? from : "");
		if (evaluation != NULL)
			printf(", Dice %+.4f on %.0f held-back cases", json_number(json_get(evaluation, "dice_difference"), 0), json_number(json_get(evaluation, "cases"), 0));
		printf("%s%s\n", reason != NULL ? ": " : "", reason != NULL ? reason : "");
	}
}

static int
show_one(const struct catalog *c, const struct json *history, const char *name, const struct model_options *o)
{
	struct err e;
	const struct catalog_entry *m = catalog_find(c, name, &e);

	if (m == NULL)
		return command_fail(&e);
	if (catalog_check(&m->manifest, &e) != 0)
		return command_fail(&e);
	if (o->json) {
		struct json *v = model_json(m);
		json_set(v, "history", json_copy(history));
		return command_print_json(v);
	}
	print_model(&m->manifest);
	puts("weights   whole, every tensor finite and of the right shape");
	print_history(history);
	return EXIT_GOOD;
}

static int
list(char *const *words, const struct model_options *o)
{
	struct err e;
	struct catalog *c = command_catalog(o->models, o->config, &e);
	int rc;

	(void)words;
	if (c == NULL)
		return command_config(&e);
	rc = list_all(c, o);
	catalog_free(c);
	return rc;
}

static int
show(char *const *words, const struct model_options *o)
{
	struct err e;
	struct command_roots roots;
	struct catalog *c = command_catalog(o->models, o->config, &e);
	struct json *history = NULL;
	char name[65];
	int rc = EXIT_FAILED;

	if (c == NULL || command_roots(o->models, o->config, &roots, &e) != 0) {
		catalog_free(c);
		return command_config(&e);
	}
	snprintf(name, sizeof name, "%.*s", (int)strcspn(words[0], "@"), words[0]);
	if (catalog_find(c, words[0], &e) == NULL || (history = registry_history(&(struct registry){ roots.roots, roots.n }, name, &e)) == NULL)
		command_fail(&e);
	else
		rc = show_one(c, history, words[0], o);
	json_free(history);
	catalog_free(c);
	return rc;
}

static void
print_line(void *arg, const struct verify_line *l)
{
	(void)arg;
	printf("%-4s %-6s %-44s error %.3g  tolerance %.3g\n", l->within ? "ok" : "FAIL", l->path, l->tensor, l->error, l->tolerance);
}

static void
collect_line(void *arg, const struct verify_line *l)
{
	struct json *v = json_new_object();

	json_set_string(v, "tensor", l->tensor);
	json_set_string(v, "path", l->path);
	json_set_number(v, "error", l->error);
	json_set_number(v, "tolerance", l->tolerance);
	json_set_bool(v, "within", l->within);
	json_add(arg, v);
}

static int
verify(char *const *words, const struct model_options *o)
{
	struct json *lines = o->json ? json_new_array() : NULL;
	bool within = false;
	struct err e;
	int rc;

	if (verify_file(words[0], o->json ? collect_line : print_line, lines, &within, &e) != 0) {
		json_free(lines);
		return command_fail(&e);
	}
	if (o->json) {
		struct json *v = json_new_object();
		json_set_bool(v, "within", within);
		json_set(v, "tensors", lines);
		rc = command_print_json(v);
	} else {
		rc = puts(within ? "all within tolerance" : "OVER TOLERANCE") < 0 ? EXIT_FAILED : EXIT_GOOD;
	}
	return within ? rc : EXIT_FAILED;
}

static const struct verb {
	const char *name;
	int n_words; /* that follow */
	int (*run)(char *const *words, const struct model_options *o);
} verbs[] = {
	{ "list", 0, list }, { "show", 1, show }, { "add", 1, model_add }, { "export", 2, model_export },
	{ "verify", 1, verify }, { "promote", 1, model_promote }, { "rollback", 1, model_rollback }, { "statistics", 1, model_statistics },
};

static const struct command_option options[] = {
	{ "models", required_argument, offsetof(struct model_options, models), 0 }, { "config", required_argument, offsetof(struct model_options, config), 0 },
	{ "evaluation", required_argument, offsetof(struct model_options, evaluation), 0 }, { "reason", required_argument, offsetof(struct model_options, reason), 0 },
	{ "data", required_argument, offsetof(struct model_options, data), 0 },
	{ "force", no_argument, offsetof(struct model_options, force), 0 }, { "json", no_argument, offsetof(struct model_options, json), 0 },
};

int
command_model(int argc, char **argv)
{
	struct model_options o = { 0 };
	int rc = command_options(argc, argv, options, sizeof options / sizeof *options, model_usage, &o);

	if (rc != 0)
		return rc < 0 ? EXIT_GOOD : rc;
	for (size_t i = 0; optind < argc && i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(argv[optind], verbs[i].name) == 0 && optind + 1 + verbs[i].n_words == argc)
			return verbs[i].run(argv + optind + 1, &o);
	return command_usage(model_usage, "list, show NAME, add DIR, export RUN DIR, verify FILE.json, promote NAME@VERSION, rollback NAME or statistics DIR?");
}
