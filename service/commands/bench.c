/* segan bench: ms a slice, GFLOPS against the machine's own sgemm, memory. */
#include "model/segan.h"
#include "model/speed.h"
#include "service/commands/commands.h"
#include "service/commands/common.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const char usage[] =
    "usage: segan bench [--model NAME[@VERSION]] [options]\n"
    "A study of noise, slices of 240 x 240, through every model in service, or the one given: the median of some rounds, about two seconds a model.\n"
    "ms a slice: wall clock, all threads together. GFLOPS: the products and sums of the layers as they are written, whatever way they are computed, so that the\n"
    "network may be faster than the machine's own matrix product (OpenBLAS' sgemm, 512 x 512 x 512 on every thread), which is measured in turns with it.\n"
    "  --model NAME[@VERSION]  an installed model (without @VERSION: the one in service)\n"
    "  --models DIR            where models are installed (default $SEGAN_MODELS, else data_dir/models of the configuration, then those that came with the program)\n"
    "  --config FILE           the configuration (default /etc/segand/segand.json)\n"
    "  --threads N             default: as many as cores\n"
    "  --json                  the figures as JSON\n";

struct options { const char *model, *models, *config; unsigned threads; bool json; };

/* The most memory this process has had, MB. */
static double
peak_mb(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_maxrss / 1024;
}

static void
print_one(const struct manifest *m, const struct speed *s)
{
	printf("%s@%s: %s, width %zu, %zu in, %zu out; %u thread%s, core type %s\n", m->name, m->version, m->network.kind == NETWORK_SEGAN ? "segan" : "unet",
	    m->network.width, m->network.channels, m->network.labels, s->threads, s->threads == 1 ? "" : "s", compute_core());
	printf("  slice    %.2f ms (%zu x %zu, a study of %zu)\n", s->ms, s->side, s->side, s->slices);
	printf("  network  %.1f GFLOPS (%.3f GFLOP a slice), %.2f of sgemm's %.1f GFLOPS\n", s->gflop / s->ms * 1e3, s->gflop, s->gflop / s->ms * 1e3 / s->sgemm_gflops,
	    s->sgemm_gflops);
	printf("  memory   %.0f MB at the peak\n", peak_mb());
}

static struct json *
speed_json(const struct manifest *m, const struct speed *s)
{
	struct json *v = json_new_object();

	json_set_string(v, "name", m->name);
	json_set_string(v, "version", m->version);
	json_set_int(v, "threads", s->threads);
	json_set_int(v, "side", (int64_t)s->side);
	json_set_int(v, "slices", (int64_t)s->slices);
	json_set_number(v, "ms_a_slice", s->ms);
	json_set_number(v, "gflop_a_slice", s->gflop);
	json_set_number(v, "gflops", s->gflop / s->ms * 1e3);
	json_set_number(v, "sgemm_gflops", s->sgemm_gflops);
	json_set_number(v, "peak_mb", peak_mb());
	return v;
}

static int
measure(const struct options *o, const struct manifest *m, struct json *to)
{
	struct speed s;
	struct err e;

	if (speed_measure(m, o->threads, &s, &e) != 0)
		return command_fail(&e);
	if (o->json)
		json_add(to, speed_json(m, &s));
	else
		print_one(m, &s);
	return EXIT_GOOD;
}

static int
measure_all(const struct options *o, const struct catalog *c)
{
	struct json *v = json_new_object(), *models = json_new_array();
	const struct catalog_entry *one;
	struct err e;
	int rc = EXIT_GOOD;

	if (o->model == NULL)
		for (size_t i = 0; i < catalog_size(c) && rc == EXIT_GOOD; i++)
			rc = catalog_at(c, i)->in_service ? measure(o, &catalog_at(c, i)->manifest, models) : EXIT_GOOD;
	else if ((one = catalog_find(c, o->model, &e)) != NULL)
		rc = measure(o, &one->manifest, models);
	else
		rc = command_fail(&e);
	json_set_string(v, "core_type", compute_core());
	json_set(v, "models", models);
	if (o->json && rc == EXIT_GOOD)
		return command_print_json(v);
	json_free(v);
	return rc;
}

/* -1: go on, else the exit status. */
static int
read_options(int argc, char **argv, struct options *o)
{
	static const struct option known[] = { { "model", required_argument, NULL, 'm' }, { "models", required_argument, NULL, 'M' },
		{ "config", required_argument, NULL, 'C' }, { "threads", required_argument, NULL, 't' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	const char *threads = "0";
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1)
		switch (c) {
		case 'm': o->model = optarg; break;
		case 'M': o->models = optarg; break;
		case 'C': o->config = optarg; break;
		case 't': threads = optarg; break;
		case 'j': o->json = true; break;
		case 'h': fputs(usage, stdout); return EXIT_GOOD;
		default: fputs(usage, stderr); return EXIT_USAGE;
		}
	if (optind < argc)
		return command_usage(usage, "%s: not understood", argv[optind]);
	o->threads = (unsigned)strtoul(threads, &end, 10);
	if (*threads < '0' || *threads > '9' || *end != '\0' || strlen(threads) > 4)
		return command_usage(usage, "--threads takes a number");
	return -1;
}

int
command_bench(int argc, char **argv)
{
	struct options o = { 0 };
	struct catalog *c;
	struct err e;
	int rc = read_options(argc, argv, &o);

	if (rc >= 0)
		return rc;
	c = command_catalog(o.models, o.config, &e);
	if (c == NULL)
		return command_fail(&e);
	rc = measure_all(&o, c);
	catalog_free(c);
	return rc;
}
