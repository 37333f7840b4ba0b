/* segan inspect: every series (channel, or why not) and every case (model, or why not). Nothing is run. */
#include "dicom/dicom.h"
#include "service/commands/commands.h"
#include "service/commands/common.h"
#include "service/commands/scan.h"
#include "service/flow/node.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: segan inspect DIR... [--json]\n"
    "Says of every series below the folders which channel it is, by which rule, or why none; and of every study which model could run.\n"
    "  --config FILE  rules and models of this configuration (default /etc/segand/segand.json, else those that came with the program)\n"
    "  --models DIR   where models are installed (default $SEGAN_MODELS, else those that came with the program)\n"
    "  --json         as JSON\n";

struct inspect {
	const char *config, *models_dir;
	bool json;
	struct settings *settings;
	struct catalog *catalog;
	struct rules *rules;
	struct scan *scan;
};

static void
add_series(const struct inspect *in, const struct scan_series *s, struct json *list)
{
	struct json *v = json_new_object();
	char reason[2048];
	bool fills = s->decision.channel[0] != '\0' && scan_filler(in->scan, s->info.study_uid, s->decision.channel) == s;

	scan_explain(in->scan, s, reason, sizeof reason);
	json_set_string(v, "series_uid", s->info.series_uid);
	json_set_string(v, "study_uid", s->info.study_uid);
	json_set_string(v, "description", s->info.description);
	json_set_string(v, "channel", fills ? s->decision.channel : NULL);
	json_set_string(v, "rule", s->decision.rule[0] != '\0' ? s->decision.rule : NULL);
	json_set_string(v, "reason", reason);
	json_add(list, v);
}

/* One study against one model. */
static void
add_case(const struct inspect *in, const char *study_uid, const struct manifest *m, struct json *list)
{
	struct json *v = json_new_object(), *channels = json_new_object();
	const char *state = "complete";
	char model[140], reason[2048] = "every channel is filled and whole";

	snprintf(model, sizeof model, "%s@%s", m->name, m->version);
	for (size_t i = 0; i < m->n_channels; i++) {
		const struct scan_series *s = scan_filler(in->scan, study_uid, m->channels[i]);
		json_set_string(channels, m->channels[i], s == NULL ? NULL : s->info.series_uid);
		if (s == NULL && strcmp(state, "complete") == 0) {
			state = "waiting";
			snprintf(reason, sizeof reason, "no series for channel %s", m->channels[i]);
		} else if (s != NULL && s->verdict != SERIES_WHOLE) {
			state = "rejected";
			snprintf(reason, sizeof reason, "channel %s, series %s: %s", m->channels[i], s->info.series_uid, s->reason.text);
		}
	}
	json_set_string(v, "study_uid", study_uid);
	json_set_string(v, "model", model);
	json_set(v, "channels", channels);
	json_set_string(v, "state", state);
	json_set_string(v, "reason", reason);
	json_add(list, v);
}

static struct json *
report(const struct inspect *in)
{
	struct json *v = json_new_object(), *series = json_new_array(), *cases = json_new_array();

	for (size_t i = 0; i < scan_size(in->scan); i++)
		add_series(in, scan_at(in->scan, i), series);
	for (size_t i = 0; i < scan_size(in->scan); i++) {
		const char *study = scan_at(in->scan, i)->info.study_uid;
		if (i > 0 && strcmp(study, scan_at(in->scan, i - 1)->info.study_uid) == 0)
			continue;
		for (size_t k = 0; k < in->settings->n_models; k++) {
			struct err unused;
			const struct catalog_entry *m = node_find_model(in->catalog, &in->settings->models[k], &unused);
			if (m != NULL)
				add_case(in, study, &m->manifest, cases);
		}
	}
	json_set(v, "series", series);
	json_set(v, "cases", cases);
	return v;
}

static const char *
text_of(const struct json *v, const char *key)
{
	const char *text = json_text(json_get(v, key));

	return text == NULL ? "-" : text;
}

/* before, the member's text, behind */
static void
print_member(const char *before, const struct json *v, const char *key, const char *behind)
{
	fputs(before, stdout);
	command_print_plain(stdout, text_of(v, key));
	fputs(behind, stdout);
}

static void
print_report(const struct json *v)
{
	for (const struct json *s = json_first(json_get(v, "series")); s != NULL; s = json_next(s)) {
		print_member("series ", s, "series_uid", " \"");
		print_member("", s, "description", "\"\n");
		print_member("  channel ", s, "channel", ": ");
		print_member("", s, "reason", "\n");
	}
	for (const struct json *c = json_first(json_get(v, "cases")); c != NULL; c = json_next(c)) {
		print_member("study ", c, "study_uid", "\n");
		print_member("  model ", c, "model", ": ");
		print_member("", c, "state", ", ");
		print_member("", c, "reason", "\n");
	}
}

static void
print_problem(const char *text)
{
	fputs("segan: left out: ", stderr);
	command_print_plain(stderr, text);
	fputc('\n', stderr);
}

static int
inspect(struct inspect *in, char *const *dirs, size_t n)
{
	struct err e;
	struct json *v;

	if ((in->settings = command_settings(in->config, &e)) == NULL || (in->catalog = command_models(in->models_dir, &e)) == NULL || dicom_start(&e) != 0 ||
	    (in->rules = rules_compile(in->settings, &e)) == NULL)
		return command_config(&e);
	if ((in->scan = scan_open(dirs, n, in->rules, &e)) == NULL)
		return command_fail(&e);
	for (size_t i = 0; scan_problem(in->scan, i) != NULL; i++)
		print_problem(scan_problem(in->scan, i));
	for (size_t i = 0; i < in->settings->n_models; i++) /* a model that is not there has no cases */
		if (node_find_model(in->catalog, &in->settings->models[i], &e) == NULL)
			command_fail(&e);
	v = report(in);
	if (in->json)
		return command_print_json(v);
	print_report(v);
	json_free(v);
	return EXIT_GOOD;
}

int
command_inspect(int argc, char **argv)
{
	static const struct command_option options[] = { { "config", required_argument, offsetof(struct inspect, config), 0 },
		{ "models", required_argument, offsetof(struct inspect, models_dir), 0 }, { "json", no_argument, offsetof(struct inspect, json), 0 } };
	struct inspect in = { 0 };
	int rc = command_options(argc, argv, options, sizeof options / sizeof *options, usage, &in);

	if (rc != 0)
		return rc < 0 ? EXIT_GOOD : rc;
	if (optind >= argc)
		return command_usage(usage, "which folder?");
	rc = inspect(&in, argv + optind, (size_t)(argc - optind));
	scan_free(in.scan);
	rules_free(in.rules);
	catalog_free(in.catalog);
	settings_free(in.settings);
	return rc;
}
