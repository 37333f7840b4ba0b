/* segan segment: the whole of a job on files, with no daemon: finds the series, matches the channels, segments, writes the SEG. */
#include "config/clock.h"
#include "config/digest.h"
#include "dicom/dicom.h"
#include "service/commands/commands.h"
#include "service/commands/common.h"
#include "service/commands/scan.h"
#include "service/flow/job_json.h"
#include "service/flow/node.h"
#include "service/flow/segment.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: segan segment DIR... -o OUT.dcm [options]\n"
    "Finds the series below the folders, matches them to the model's channels, segments, writes a DICOM-SEG.\n"
    "Nothing found in the images: exit 0, no OUT.dcm, finding \"none\".\n"
    "  -o OUT.dcm               the SEG\n"
    "  --model NAME[@VERSION]   which model (default: the first of the configuration, glioma-flair)\n"
    "  --models DIR             where models are installed (default $SEGAN_MODELS, else those that came with the program)\n"
    "  --config FILE            rules of this configuration (default /etc/segand/segand.json, else those that came with the program)\n"
    "  --format binary          OUT.dcm is a SEG with a bit a pixel and segment; or labelmap: a pixel is a segment's number, where segments overlap the\n"
    "                           innermost's; or fractional: probabilities, 255 is 1; or rtstruct: an RT Structure Set\n"
    "  --syntax explicit        how a SEG is written: explicit (VR little endian), deflated, or rle (lossless; labelmap and fractional)\n"
    "  --report SR.dcm          a measurement report (TID 1500): volume and diameters; also where nothing is found\n"
    "  --preview FILE.png       a picture of the slice with the largest area\n"
    "  --probability FILE.nii.gz  the network's probabilities on the grid of the source\n"
    "  --threads N              default: as many as cores; the result is the same for any number\n"
    "  --json                   the result as JSON on stdout\n"
    "Research use only, not a medical device.\n";

struct segment {
	const char *out, *model, *models_dir, *config, *format, *syntax_text, *report, *preview, *probability, *threads_text;
	unsigned threads;
	enum result_kind kind;     /* by format */
	enum seg_syntax syntax;
	bool json;
	struct settings *settings;
	struct catalog *catalog;
	struct rules *rules;
	struct scan *scan;
	struct segmentor *segmentor;
	const struct manifest *manifest;
	char study_uid[DICOM_UID];
	const struct scan_series *filler[MODEL_MAX_CHANNELS];
	struct segment_result result;
};

static atomic_bool interrupted; /* the handler may run on a thread of the network */

static void
on_interrupt(int signal_number)
{
	(void)signal_number;
	atomic_store(&interrupted, true);
}

enum { PLAIN_EVERY_MS = 5000 }; /* between lines where there is no terminal */
struct pace { int64_t began_ms, said_ms; };

static int
show_progress(void *arg, size_t done, size_t total)
{
	struct pace *p = arg;
	int64_t now_ms = clock_monotonic_ms();
	double seconds = (double)(now_ms - p->began_ms) / 1000, rate = seconds > 0 ? (double)done / seconds : 0;
	bool is_terminal = isatty(STDERR_FILENO);

	if (is_terminal || done == total || now_ms - p->said_ms >= PLAIN_EVERY_MS) {
		p->said_ms = now_ms;
		fprintf(stderr, "%ssegmenting: %zu of %zu slices, %.0f a second, %.0f s left%s", is_terminal ? "\r" : "", done, total, rate,
		    rate > 0 ? (double)(total - done) / rate : 0, is_terminal && done < total ? " " : "\n");
	}
	return atomic_load(&interrupted);
}

/* ---- which study ---- */

/* 0: every channel filled by a whole series. -1: why not. */
static int
fill(struct segment *s, const char *study_uid, struct err *e)
{
	for (size_t i = 0; i < s->manifest->n_channels; i++) {
		const char *channel = s->manifest->channels[i];
		const struct scan_series *x = scan_filler(s->scan, study_uid, channel);
		if (x == NULL)
			return err_set(e, ERR_NOT_FOUND, "study %s has no series for channel %s of model %s; segan inspect says why", study_uid, channel, s->manifest->name);
		if (x->verdict != SERIES_WHOLE)
			return err_set(e, ERR_INPUT, "channel %s, series %s: %s", channel, x->info.series_uid, x->reason.text);
		s->filler[i] = x;
	}
	snprintf(s->study_uid, sizeof s->study_uid, "%s", study_uid);
	return 0;
}

/* The one study that fills the model's channels. Several: the user must say which. */
static int
choose_study(struct segment *s, struct err *e)
{
	size_t fitting = 0, chosen = 0;
	struct err why = { .code = ERR_NOT_FOUND, .text = "there is no DICOM series below the folders given" };

	for (size_t i = 0; i < scan_size(s->scan); i++) {
		struct err this_one;
		if (i > 0 && strcmp(scan_at(s->scan, i)->info.study_uid, scan_at(s->scan, i - 1)->info.study_uid) == 0)
			continue;
		if (fill(s, scan_at(s->scan, i)->info.study_uid, &this_one) == 0) {
			fitting++;
			chosen = i;
		} else if (why.code != ERR_INPUT) { /* a rejected series says more than a missing one */
			why = this_one;
		}
	}
	s->study_uid[0] = '\0'; /* of the last that fits: perhaps not the one */
	if (fitting == 0) {
		*e = why;
		return -1;
	}
	if (fitting > 1)
		return err_set(e, ERR_INPUT, "%zu studies below the folders fit model %s; one OUT.dcm holds one: give the folder of one study", fitting, s->manifest->name);
	return fill(s, scan_at(s->scan, chosen)->info.study_uid, e);
}

/* ---- the job ---- */

/* The place of a node's id is taken by a digest of the options that change the finding (DESIGN small print "UIDs of results"). Format is none of them: the kind
 * of result is in the UIDs of what is written anyway, and what is tracked is the same thing in every form. */
static int
make_identity(const struct segment *s, char node_id[33], char *identity, size_t size, struct err *e)
{
	struct digest *d;
	char hex[DIGEST_HEX], text[300];

	snprintf(text, sizeof text, "segan segment|model=%s@%s", s->manifest->name, s->manifest->version);
	digest_of(text, strlen(text), hex);
	snprintf(node_id, 33, "%.32s", hex);
	if ((d = digest_new(e)) == NULL)
		return -1;
	for (size_t i = 0; i < s->manifest->n_channels; i++) {
		const struct scan_series *x = s->filler[i];
		digest_add(d, s->manifest->channels[i], strlen(s->manifest->channels[i]) + 1);
		for (size_t k = 0; k < x->n_paths; k++)
			digest_add(d, x->instances[k].sop_uid, strlen(x->instances[k].sop_uid) + 1);
		for (size_t k = 0; x->frames != NULL && k < x->n_paths; k++)
			digest_add(d, x->frames[k], strlen(x->frames[k]) + 1);
	}
	digest_hex(d, hex);
	digest_free(d);
	snprintf(identity, size, "%s|%s|%s|%s|%s|case 1|run 1", node_id, s->study_uid, hex, s->manifest->weights_sha256, dicom_software_version());
	return 0;
}

static void
remove_old(const char *path)
{
	struct stat st;

	if (path != NULL && lstat(path, &st) == 0 && S_ISREG(st.st_mode))
		unlink(path);
}

static int
run(struct segment *s, struct err *e)
{
	struct segment_channel channels[MODEL_MAX_CHANNELS] = { 0 };
	char node_id[33], identity[600];
	struct pace pace = { clock_monotonic_ms(), clock_monotonic_ms() };
	struct sigaction on_int = { .sa_handler = on_interrupt };
	const struct model_setting *setting = settings_model(s->settings, s->manifest->name);
	struct segment_request r = { .manifest = s->manifest, .channels = channels, .n_channels = s->manifest->n_channels, .identity = identity, .node_id = node_id,
		.created_ms = clock_ms(), .paths = { [RESULT_REPORT] = s->report }, .syntax = s->syntax, .empty_report = true, .preview_path = s->preview, .probability_path = s->probability,
		.rejects_strangers = setting != NULL && setting->rejects_strangers };

	r.paths[s->kind] = s->out;
	if (make_identity(s, node_id, identity, sizeof identity, e) != 0)
		return -1;
	for (size_t i = 0; i < r.n_channels; i++) {
		snprintf(channels[i].channel, sizeof channels[i].channel, "%s", s->manifest->channels[i]);
		channels[i].paths = (const char *const *)s->filler[i]->paths;
		channels[i].n_paths = s->filler[i]->n_paths;
		channels[i].frames = s->filler[i]->frames;
		channels[i].is_registered = s->filler[i]->is_registered;
	}
	if ((s->segmentor = segmentor_load(s->manifest, s->threads, e)) == NULL)
		return -1;
	r.segmentor = s->segmentor;
	sigaction(SIGINT, &on_int, NULL); /* from here on the checkpoint is between two batches of slices; before, nothing was written */
	if (segment_case(&r, &s->result, show_progress, &pace, e) != 0)
		return -1;
	if (!s->result.present) { /* what an earlier run left there would be taken for this one's */
		remove_old(s->out);
		remove_old(s->preview);
	}
	return 0;
}

/* ---- saying what came of it ---- */

static struct json *
result_json(const struct segment *s, const struct err *failure)
{
	struct json *v = json_new_object(), *channels = json_new_object(), *flags = segment_flags_json(&s->result);
	char model[140];

	json_set_string(v, "state", failure == NULL ? "done" : failure->code == ERR_INPUT || failure->code == ERR_NOT_FOUND ? "rejected" : "failed");
	json_set_string(v, "study_uid", s->study_uid[0] != '\0' ? s->study_uid : NULL);
	if (s->manifest != NULL)
		snprintf(model, sizeof model, "%s@%s", s->manifest->name, s->manifest->version);
	json_set_string(v, "model", s->manifest != NULL ? model : NULL);
	for (size_t i = 0; s->study_uid[0] != '\0' && i < s->manifest->n_channels; i++)
		json_set_string(channels, s->manifest->channels[i], s->filler[i]->info.series_uid);
	json_set(v, "channels", channels);
	json_set_string(v, "reason", NULL); /* its place; job_json_flags fills it */
	json_set_string(v, "finding", failure != NULL ? NULL : s->result.present ? "present" : "none");
	job_json_flags(v, failure == NULL ? NULL : failure->text, flags);
	json_free(flags);
	json_set(v, "segments", segment_segments_json(&s->result));
	json_set(v, "results", segment_results_json(&s->result));
	json_set(v, "timings_ms", segment_timings_json(&s->result));
	json_set_string(v, "output", failure == NULL && s->result.present ? s->out : NULL);
	return v;
}

static void
print_result(const struct segment *s)
{
	const struct segment_result *r = &s->result;

	if (r->out_of_distribution[0] != '\0')
		printf(SEGMENT_OUT_OF_DISTRIBUTION ": %s\n", r->out_of_distribution);
	for (size_t i = 0; i < r->n_segments; i++)
		printf("%s: %.1f ml\n", r->segments[i].label, r->segments[i].volume_ml);
	if (r->present)
		printf(result_kind_is_seg(r->outputs[0].kind) ? "%s: SEG %s, %zu frames\n" : "%s: contours %s\n", s->out, r->outputs[0].sop_uid, r->outputs[0].frames);
	else
		printf("nothing found; no SEG was written\n");
	if (s->report != NULL)
		printf("%s: report\n", s->report);
	printf("read %lld, prepare %lld, segment %lld, write %lld ms\n", (long long)r->read_ms, (long long)r->prepare_ms, (long long)r->segment_ms, (long long)r->write_ms);
}

static const struct catalog_entry *
choose_model(const struct segment *s, struct err *e)
{
	if (s->model == NULL && s->settings->n_models > 0)
		return node_find_model(s->catalog, &s->settings->models[0], e);
	return catalog_find(s->catalog, s->model != NULL ? s->model : "glioma-flair", e);
}

static int
segment(struct segment *s, char *const *dirs, size_t n)
{
	const struct catalog_entry *model;
	struct err e;

	if ((s->settings = command_settings(s->config, &e)) == NULL || (s->catalog = command_models(s->models_dir, &e)) == NULL ||
	    (model = choose_model(s, &e)) == NULL || dicom_start(&e) != 0 || (s->rules = rules_compile(s->settings, &e)) == NULL)
		return command_config(&e);
	s->manifest = &model->manifest;
	if ((s->scan = scan_open(dirs, n, s->rules, &e)) == NULL || choose_study(s, &e) != 0 || run(s, &e) != 0) {
		if (s->json)
			command_print_json(result_json(s, &e));
		return command_fail(&e);
	}
	if (s->json)
		return command_print_json(result_json(s, NULL));
	print_result(s);
	return EXIT_GOOD;
}

static bool
find_format(const char *word, enum result_kind *kind)
{
	static const struct { const char *word; enum result_kind kind; } formats[] = { { "binary", RESULT_SEG }, { "labelmap", RESULT_LABELMAP },
		{ "fractional", RESULT_FRACTIONAL }, { "rtstruct", RESULT_RTSTRUCT } };

	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
		if (strcmp(formats[i].word, word) == 0) {
			*kind = formats[i].kind;
			return true;
		}
	return false;
}

static int
parse_options(int argc, char **argv, struct segment *s)
{
	static const struct command_option options[] = {
		{ NULL, required_argument, offsetof(struct segment, out), 'o' }, { "model", required_argument, offsetof(struct segment, model), 0 },
		{ "models", required_argument, offsetof(struct segment, models_dir), 0 }, { "config", required_argument, offsetof(struct segment, config), 0 },
		{ "format", required_argument, offsetof(struct segment, format), 0 }, { "report", required_argument, offsetof(struct segment, report), 0 },
		{ "preview", required_argument, offsetof(struct segment, preview), 0 }, { "probability", required_argument, offsetof(struct segment, probability), 0 },
		{ "syntax", required_argument, offsetof(struct segment, syntax_text), 0 }, { "threads", required_argument, offsetof(struct segment, threads_text), 0 },
		{ "json", no_argument, offsetof(struct segment, json), 0 },
	};
	int rc = command_options(argc, argv, options, sizeof options / sizeof *options, usage, s);

	if (rc != 0)
		return rc;
	if (command_threads(s->threads_text, usage, &s->threads) != 0)
		return EXIT_USAGE;
	if (!find_format(s->format, &s->kind))
		return command_usage(usage, "--format %s: not understood", s->format);
	if (!result_kind_is_seg(s->kind) && s->report != NULL)
		return command_usage(usage, "--report measures a SEG: --format %s writes none", s->format);
	if (!seg_syntax_parse(s->syntax_text, &s->syntax))
		return command_usage(usage, "--syntax %s: not understood", s->syntax_text);
	if (s->syntax != SEG_EXPLICIT && (!result_kind_is_seg(s->kind) || (s->syntax == SEG_RLE && s->kind == RESULT_SEG)))
		return command_usage(usage, "--syntax %s: not for --format %s", s->syntax_text, s->format);
	if (s->out == NULL || optind >= argc)
		return command_usage(usage, "%s", s->out == NULL ? "-o OUT.dcm is missing" : "which folder?");
	return 0;
}

int
command_segment(int argc, char **argv)
{
	struct segment s = { .format = "binary", .syntax_text = "explicit" };
	int rc = parse_options(argc, argv, &s);

	if (rc != 0)
		return rc < 0 ? EXIT_GOOD : rc;
	rc = segment(&s, argv + optind, (size_t)(argc - optind));
	segmentor_free(s.segmentor);
	scan_free(s.scan);
	rules_free(s.rules);
	catalog_free(s.catalog);
	settings_free(s.settings);
	return rc;
}
