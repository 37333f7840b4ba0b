/* segan model: what is installed, what one model is, whether this build computes what the reference numbers say. */
#include "model/verify.h"
#include "service/commands/commands.h"
#include "service/commands/common.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: segan model list | show NAME[@VERSION] | verify FILE.json\n"
    "  --models DIR   where models are installed (default $SEGAN_MODELS, else those that came with the program)\n"
    "  --json         the answer as JSON\n"
    "list:   every installed model; * marks the version in service\n"
    "show:   one model: channels, network, segments; and whether its weights are whole\n"
    "verify: runs a file of reference numbers (the form of tests/golden/*.json) and prints the largest error of every tensor; exit 1 over tolerance\n";

struct options { const char *models; bool json; };

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
list(const struct catalog *c, const struct options *o)
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
	printf("input     %s slices at %g mm, skull %s\n", m->plane, m->spacing_mm, m->skull_present ? "present" : "stripped");
	for (size_t i = 0; i < m->n_segments; i++) {
		const struct segment_kind *s = &m->segments[i];
		printf("segment   %u %s (%s, %s \"%s\"), threshold %g, pieces under %g ml removed\n", s->number, s->label, s->type.scheme, s->type.value, s->type.meaning, s->threshold,
		    s->minimum_ml);
	}
	printf("licence   %s\nfolder    %s\nweights   sha256 %s\n", m->licence, m->dir, m->weights_sha256);
}

static int
show(const struct catalog *c, const char *name, const struct options *o)
{
	struct err e;
	const struct catalog_entry *m = catalog_find(c, name, &e);

	if (m == NULL)
		return command_fail(&e);
	if (catalog_check(&m->manifest, &e) != 0)
		return command_fail(&e);
	if (o->json)
		return command_print_json(model_json(m));
	print_model(&m->manifest);
	puts("weights   whole, every tensor finite and of the right shape");
	return EXIT_GOOD;
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
verify(const char *file, const struct options *o)
{
	struct json *lines = o->json ? json_new_array() : NULL;
	bool within = false;
	struct err e;
	int rc;

	if (verify_file(file, o->json ? collect_line : print_line, lines, &within, &e) != 0) {
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

int
command_model(int argc, char **argv)
{
	static const struct option known[] = { { "models", required_argument, NULL, 'm' }, { "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	struct options o = { 0 };
	struct catalog *catalog;
	struct err e;
	int c, rc;

	while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1)
		switch (c) {
		case 'm': o.models = optarg; break;
		case 'j': o.json = true; break;
		case 'h': fputs(usage, stdout); return EXIT_GOOD;
		default: fputs(usage, stderr); return EXIT_USAGE;
		}
	if (optind + 2 == argc && strcmp(argv[optind], "verify") == 0)
		return verify(argv[optind + 1], &o);
	if (optind >= argc || (strcmp(argv[optind], "list") != 0 && strcmp(argv[optind], "show") != 0) || optind + (argv[optind][0] == 'l' ? 1 : 2) != argc)
		return command_usage(usage, "list, show NAME or verify FILE.json?");
	if ((catalog = command_models(o.models, &e)) == NULL)
		return command_config(&e);
	rc = argv[optind][0] == 'l' ? list(catalog, &o) : show(catalog, argv[optind + 1], &o);
	catalog_free(catalog);
	return rc;
}
