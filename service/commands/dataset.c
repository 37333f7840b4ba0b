/* segan dataset: packs cases for training and evaluation, and shows what is packed. What is read how: dataset_folders.c (NIfTI), dataset_dicom.c. */
#include "config/clock.h"
#include "dicom/dicom.h"
#include "model/prep.h"
#include "model/recipe.h"
#include "service/commands/commands.h"
#include "service/commands/common.h"
#include "service/commands/dataset_parts.h"
#include "service/flow/match.h"
#include "service/flow/retrieve.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: segan dataset create SET --channels flair[,t1c...] --nifti DIR [--layout NAME|FILE.json]\n"
    "       segan dataset create SET --channels flair[,t1c...] (--dicom DIR | --archive NAME [--query KEY=VALUE...]) [--model NAME[@VERSION]]\n"
    "       segan dataset show SET [--json]\n"
    "create packs images and their masks into the folder SET, which must not exist; segan train and segan evaluate read it. Cases are split by patient; the same\n"
    "patients give the same split. A case that does not fit (missing file or channel, images and mask on different grids, mask value that is not in the table,\n"
    "empty mask, damaged file, slices over 45 degrees from axial) is left out by name, and the rest goes on. SET appears whole or\n"
    "not at all. show compares every file with its digest, and prints the cases, their split, and what was left out and why.\n"
    "  --channels LIST   which images a case has, comma between\n"
    "  --nifti DIR       one folder a case below DIR, with .nii.gz or .nii files\n"
    "  --layout NAME     how such a folder is laid out: plain (default), lgg, brats2013, brats2020, brats2023, or a file that ends in .json:\n"
    "                      {\"channels\": {\"flair\": [\"flair.nii.gz\", \"*_flair.nii.gz\"], \"t1c\": [\"*_t1ce.nii.gz\"]},\n"
    "                       \"mask\": [\"*_seg.nii.gz\"],\n"
    "                       \"segments\": [{\"label\": \"Whole tumour\", \"values\": [1, 2, 4]}, {\"label\": \"Enhancing tumour\", \"values\": [4]}],\n"
    "                       \"background\": [0], \"patient\": \"^[A-Z]+_[0-9]+\", \"empty_mask\": false}\n"
    "                    Names may hold * and ?; the first that fits counts. patient is a POSIX extended regular expression on the folder's name: what it\n"
    "                    matches, or its first group, is the patient. plain: flair.nii.gz, t1.nii.gz, t1c.nii.gz, t2.nii.gz, mask.nii.gz (or *_flair.nii.gz\n"
    "                    ... *_seg.nii.gz), mask value 1 is the segment, the folder's name is the patient.\n"
    "  --dicom DIR       studies with their DICOM Segmentations anywhere below DIR. Rules say which series is which channel (segan inspect shows it); the SEG must\n"
    "                    refer to one of them and lie on its slices. What a person made or changed counts: segments that are MANUAL or SEMIAUTOMATIC, a SEG of\n"
    "                    ours with other pixels, or another program's that differs from ours on the same images. Our own AUTOMATIC output never does. Of several\n"
    "                    labels of a study the newest is taken. The patient is PatientID, of which only a digest is stored.\n"
    "  --model NAME      whose segments the SEGs hold: matched by category, type and modifier codes, else by label (default: the first installed model with\n"
    "                    just these channels)\n"
    "  --models DIR      where models are installed (default $SEGAN_MODELS, else those that came with the program)\n"
    "  --config FILE     rules of this configuration (default /etc/segand/segand.json, else those that came with the program)\n"
    "  --split A,B,C     patients for training, validation and test, in percent (default 70,15,15)\n"
    "  --archive NAME    the same from an archive of the configuration (\"archives\"): a DIMSE peer (C-FIND, C-GET), a DICOMweb service (QIDO-RS, WADO-RS) or a\n"
    "                    folder. Only studies with a SEG are fetched, one at a time, their MR, CT and SEG series, and removed when they are packed;\n"
    "                    each is in the audit trail of the node of the configuration, with the user's name\n"
    "  --query KEY=VALUE which studies of the archive, any number of times: a DICOM keyword, and what it must be, * and ? as in DICOM:\n"
    "                    --query StudyDate=20240101-20241231 --query 'StudyDescription=*BRAIN*'\n"
    "  --json            show: as JSON\n";

static volatile sig_atomic_t interrupted;

static void
on_interrupt(int signal_number)
{
	(void)signal_number;
	interrupted = 1;
}

int
making_refuse(struct making *m, const char *what, const struct err *why, struct err *e)
{
	if (why->code != ERR_INPUT && why->code != ERR_NOT_FOUND) {
		*e = *why;
		return err_note(e, "%s", what);
	}
	if (m->hidden != NULL && strncmp(what, m->hidden, strlen(m->hidden)) == 0)
		what += strlen(m->hidden) + 1;
	fprintf(stderr, "segan: left out: %s: %s\n", what, why->text);
	return dataset_leave_out(m->writer, what, why->text, e);
}

int
making_add(struct making *m, const struct dataset_case *c, struct err *e)
{
	struct volume volumes[MODEL_MAX_CHANNELS];
	struct prep *prep;
	bool is_resampled;

	if (dataset_check(m->writer, c, e) != 0)
		return -1;
	for (size_t i = 0; i < m->n_channels; i++)
		volumes[i] = (struct volume){ &c->grid, { .real = c->channel[i] } };
	if ((prep = prep_new(m->input, volumes, m->n_channels, e)) == NULL)
		return err_note(e, "no model can be trained on it");
	is_resampled = prep_is_resampled(prep);
	prep_free(prep);
	if (is_resampled)
		return err_set(e, ERR_INPUT, "its slices are not %s: training takes slices as acquired", m->input->plane);
	return dataset_add(m->writer, c, e);
}

int
making_progress(const struct making *m, size_t done, size_t total, struct err *e)
{
	static int64_t began_ms;
	double seconds;

	if (interrupted)
		return err_set(e, ERR_STATE, "interrupted; nothing was written");
	if (m->is_part)
		return 0;
	if (began_ms == 0)
		began_ms = clock_monotonic_ms();
	seconds = (double)(clock_monotonic_ms() - began_ms) / 1000;
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\rpacking: %zu of %zu, %zu packed, %.0f s left %s", done, total, dataset_added(m->writer),
		    seconds / (double)done * (double)(total - done), done == total ? "\n" : "");
	else if (done == total || done % 50 == 0)
		fprintf(stderr, "packing: %zu of %zu, %zu packed\n", done, total, dataset_added(m->writer));
	return 0;
}

/* ---- create ---- */

enum { MAX_KEYS = 32 };

struct create {
	char *dicom;
	const char *set, *nifti, *archive, *channels_text, *split_text, *layout_name, *model, *models_dir, *config;
	bool as_json;                          /* of show */
	char channels[512];
	struct dataset_shares held_back;       /* --split */
	struct scu_key keys[MAX_KEYS];         /* --query; both halves of argv's words */
	size_t n_keys;
	const char *wrong_key;                 /* the first that is no KEY=VALUE */
	struct archive_setting from;           /* --archive */
	struct making making;
	struct recipe recipe;                  /* the default one: making.input is its model's */
	struct layout layout;                  /* --nifti */
	struct settings *settings;             /* --dicom */
	struct catalog *catalog;
	struct rules *rules;
	const struct manifest *manifest;
};

/* Cuts "flair,t1c" at its commas. */
static int
take_channels(struct create *c, const char *text)
{
	struct making *m = &c->making;

	if (strlen(text) >= sizeof c->channels)
		return -1;
	snprintf(c->channels, sizeof c->channels, "%s", text);
	for (char *at = c->channels, *comma; at != NULL; at = comma) {
		if ((comma = strchr(at, ',')) != NULL)
			*comma++ = '\0';
		if (at[0] == '\0' || m->n_channels == MODEL_MAX_CHANNELS)
			return -1;
		m->channels[m->n_channels++] = at;
	}
	return 0;
}

/* "70,15,15": whole percents that make 100; training cannot be without patients. */
static int
take_split(struct create *c, const char *text)
{
	unsigned percent[3];
	char rest;

	if (sscanf(text, "%3u,%3u,%3u%c", &percent[0], &percent[1], &percent[2], &rest) != 3 || percent[0] + percent[1] + percent[2] != 100 || percent[0] == 0)
		return -1;
	c->held_back = (struct dataset_shares){ .validation = percent[1] / 100.0, .test = percent[2] / 100.0 };
	return 0;
}

static void
take_key(struct create *c, char *text)
{
	char *equals = strchr(text, '=');

	if (equals == NULL || equals == text || equals[1] == '\0' || c->n_keys == MAX_KEYS) {
		c->wrong_key = text;
		return;
	}
	*equals = '\0';
	c->keys[c->n_keys++] = (struct scu_key){ text, equals + 1 };
}

static int
check_layout(struct create *c, struct err *e)
{
	if (layout_find(c->layout_name, &c->layout, e) != 0)
		return -1;
	for (size_t i = 0; i < c->making.n_channels; i++)
		if (layout_channel(&c->layout, c->making.channels[i]) == NULL)
			return err_set(e, ERR_INPUT, "layout %s has no channel %s", c->layout_name, c->making.channels[i]);
	return 0;
}

static bool
has_just_the_channels(const struct create *c, const struct manifest *m)
{
	for (size_t i = 0; i < m->n_channels; i++)
		if (i >= c->making.n_channels || strcmp(m->channels[i], c->making.channels[i]) != 0)
			return false;
	return m->n_channels == c->making.n_channels;
}

static int
find_model(struct create *c, struct err *e)
{
	const struct catalog_entry *entry;
	bool is_filled[MODEL_MAX_SEGMENTS + 1] = { false };

	if (c->model != NULL) {
		if ((entry = catalog_find(c->catalog, c->model, e)) == NULL)
			return -1;
		c->manifest = &entry->manifest;
	}
	for (size_t i = 0; i < catalog_size(c->catalog) && c->manifest == NULL; i++)
		if (has_just_the_channels(c, &catalog_at(c->catalog, i)->manifest))
			c->manifest = &catalog_at(c->catalog, i)->manifest;
	if (c->manifest == NULL)
		return err_set(e, ERR_NOT_FOUND, "no installed model has just the channels %s: which segments? --model NAME", c->channels_text);
	for (size_t i = 0; i < c->manifest->n_segments; i++)
		is_filled[c->manifest->segments[i].map] = true;
	for (size_t i = 0; i < c->manifest->network.labels; i++)
		if (!is_filled[i])
			return err_set(e, ERR_INPUT, "model %s has a map that is no segment: it cannot say what truth it needs", c->manifest->name);
	return 0;
}

static int
prepare_dicom(struct create *c, struct err *e)
{
	if ((c->settings = command_settings(c->config, e)) == NULL || (c->catalog = command_models(c->models_dir, e)) == NULL || dicom_start(e) != 0 ||
	    (c->rules = rules_compile(c->settings, e)) == NULL)
		return -1;
	if (c->archive != NULL && settings_archive(c->settings, c->archive, &c->from, e) != 0)
		return -1;
	if (c->archive != NULL && c->from.type == ARCHIVE_FOLDER) {
		if (c->n_keys > 0)
			return err_set(e, ERR_INPUT, "archive %s is a folder, which cannot be asked: no --query", c->archive);
		c->dicom = c->from.path;
	}
	return find_model(c, e);
}

static int
make(struct create *c, struct err *e)
{
	const struct retrieve_archive archive = { &c->from, c->settings, c->settings != NULL ? c->settings->dicom.max_instance_mb << 20 : 0 };

	if (c->nifti != NULL)
		return making_from_nifti(&c->making, c->nifti, &c->layout, e);
	if (c->dicom != NULL)
		return making_from_dicom(&c->making, c->dicom, c->rules, c->manifest, e);
	return making_from_archive(&c->making, &archive, c->keys, c->n_keys, c->rules, c->manifest, e);
}

static int
create(struct create *c)
{
	struct sigaction on_int = { .sa_handler = on_interrupt };
	char warning[256];
	size_t n;
	struct err e;

	if ((c->nifti != NULL ? check_layout(c, &e) : prepare_dicom(c, &e)) != 0 || recipe_default(&c->recipe, c->making.channels, c->making.n_channels, 1, &e) != 0)
		return command_config(&e);
	c->making.input = &c->recipe.model;
	c->making.set = c->set;
	sigaction(SIGINT, &on_int, NULL);
	sigaction(SIGTERM, &on_int, NULL);
	c->making.writer = dataset_begin(c->set, c->making.channels, c->making.n_channels, c->nifti != NULL ? c->layout.n_segments : c->manifest->network.labels, &e);
	if (c->making.writer == NULL)
		return command_fail(&e);
	if (make(c, &e) != 0) {
		dataset_abandon(c->making.writer);
		return command_fail(&e);
	}
	n = dataset_added(c->making.writer);
	if (dataset_end(c->making.writer, c->held_back, warning, sizeof warning, &e) != 0)
		return command_fail(&e);
	if (warning[0] != '\0')
		fprintf(stderr, "segan: warning: %s\n", warning);
	printf("%s: %zu case%s\n", c->set, n, n == 1 ? "" : "s");
	return EXIT_GOOD;
}

/* ---- the command ---- */

static int
run_create(struct create *c)
{
	int rc;

	if (c->channels_text == NULL)
		return command_usage(usage, "which channels? --channels flair");
	if (take_channels(c, c->channels_text) != 0)
		return command_usage(usage, "--channels: names with commas between, at most %d", MODEL_MAX_CHANNELS);
	if (take_split(c, c->split_text) != 0)
		return command_usage(usage, "--split: percents for training, validation and test, as in --split 70,15,15; together 100, some for training");
	if ((c->nifti != NULL) + (c->dicom != NULL) + (c->archive != NULL) != 1)
		return command_usage(usage, "from where? --nifti DIR, --dicom DIR or --archive NAME");
	if (c->wrong_key != NULL)
		return command_usage(usage, "--query %s: KEY=VALUE, a DICOM keyword and what it must be, at most %d", c->wrong_key, MAX_KEYS);
	if (c->n_keys > 0 && c->archive == NULL)
		return command_usage(usage, "--query asks an archive: --archive NAME");
	rc = create(c);
	rules_free(c->rules);
	catalog_free(c->catalog);
	settings_free(c->settings);
	return rc;
}

static int
parse_options(int argc, char **argv, struct create *c)
{
	static const struct option known[] = { { "channels", required_argument, NULL, 'c' }, { "nifti", required_argument, NULL, 'n' },
		{ "dicom", required_argument, NULL, 'd' }, { "layout", required_argument, NULL, 'l' }, { "model", required_argument, NULL, 'm' }, { "split", required_argument, NULL, 's' },
		{ "models", required_argument, NULL, 'M' }, { "config", required_argument, NULL, 'C' }, { "archive", required_argument, NULL, 'a' },
		{ "query", required_argument, NULL, 'q' }, { "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	int option;

	while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1)
		switch (option) {
		case 'c': c->channels_text = optarg; break;
		case 'n': c->nifti = optarg; break;
		case 'd': c->dicom = optarg; break;
		case 'l': c->layout_name = optarg; break;
		case 's': c->split_text = optarg; break;
		case 'm': c->model = optarg; break;
		case 'M': c->models_dir = optarg; break;
		case 'C': c->config = optarg; break;
		case 'a': c->archive = optarg; break;
		case 'q': take_key(c, optarg); break;
		case 'j': c->as_json = true; break;
		case 'h': fputs(usage, stdout); return -1;
		default: fputs(usage, stderr); return EXIT_USAGE;
		}
	return 0;
}

int
command_dataset(int argc, char **argv)
{
	struct create c = { .layout_name = "plain", .split_text = "70,15,15" };
	int rc = parse_options(argc, argv, &c);

	if (rc != 0)
		return rc < 0 ? EXIT_GOOD : rc;
	if (argc - optind != 2)
		return command_usage(usage, argc - optind < 2 ? "create or show, and which data set?" : "too many arguments");
	c.set = argv[optind + 1];
	if (strcmp(argv[optind], "show") == 0)
		return dataset_show(c.set, c.as_json);
	if (strcmp(argv[optind], "create") == 0)
		return run_create(&c);
	return command_usage(usage, "there is no dataset %s", argv[optind]);
}
