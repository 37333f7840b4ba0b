/* What subcommands share: how they fail, where models and settings are found. */
#pragma once
#include "config/err.h"
#include "config/json.h"
#include "config/settings.h"
#include "model/catalog.h"

#include <getopt.h>
#include <stdio.h>

enum { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Text that came from files or peers: control characters, which a terminal would obey, and broken UTF-8 become "?". */
void command_print_plain(FILE *to, const char *text);

/* "segan: text" on stderr. Return the exit status: 1, 2 (configuration), 2 (usage). */
int command_fail(const struct err *e);
int command_config(const struct err *e);
int command_usage(const char *usage, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The options of a subcommand: required_argument puts its text at the offset of *out, no_argument sets a bool there. */
struct command_option { const char *name /* --NAME; NULL = none */; int has_argument; size_t offset; char letter /* -o; 0 = none */; };
enum { COMMAND_MAX_OPTIONS = 16 };
/* 0: go on with the words from optind; -1: --help was asked for and given; EXIT_USAGE: told. */
int command_options(int argc, char **argv, const struct command_option *table, size_t n, const char *usage, void *out);
/* --threads N. -1: told. */
int command_threads(const char *text /* NULL: as many as cores */, const char *usage, unsigned *threads);

/* Prints v as one JSON document on stdout and frees it. Returns an exit status. */
int command_print_json(struct json *v);

/* The installed models: the folder given, else $SEGAN_MODELS, else ../model/shipped beside the executable's folder, ../share/segand/models beside it,
 * /usr/share/segand/models. caller: catalog_free. */
struct catalog *command_models(const char *models_dir, struct err *e);

/* The same for who changes models or tries new ones, in one order of folders: the folder given, else $SEGAN_MODELS, alone; else data_dir/models of the
 * settings first, their models_dir, and those above. The first folder is the one that is written to; it need not be there. */
enum { COMMAND_MAX_ROOTS = 5, COMMAND_PATH = 1024 };
struct command_roots { char text[COMMAND_MAX_ROOTS][COMMAND_PATH]; const char *roots[COMMAND_MAX_ROOTS]; size_t n; };
int command_roots(const char *models_dir, const char *config, struct command_roots *out, struct err *e);
struct catalog *command_catalog(const char *models_dir, const char *config, struct err *e); /* caller: catalog_free */
/* The model of a training's folder (RUN/best), or of a folder that holds one itself. */
int command_run_model(const char *run, struct manifest *out, struct err *e);

/* --config FILE, else /etc/segand/segand.json where it exists, else the defaults. caller: settings_free. */
struct settings *command_settings(const char *config, struct err *e);

/* Computing needs the right OpenBLAS kernels, chosen before OpenBLAS starts: executes this program once more with OPENBLAS_CORETYPE set where it is not
 * (PERFORMANCE 1). Returns when there is nothing to do. */
void command_use_right_core(char **argv);
