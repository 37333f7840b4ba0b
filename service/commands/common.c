/* What subcommands share. */
#include "service/commands/common.h"

#include "config/file.h"
#include "config/utf8.h"
#include "model/segan.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 1024 };

void
command_print_plain(FILE *to, const char *text)
{
	for (size_t left = strlen(text); left > 0;) {
		size_t n = utf8_length(text, left);
		bool is_control = n == 0 || (n == 1 && ((unsigned char)text[0] < 0x20 || text[0] == 0x7F)) || (n == 2 && (unsigned char)text[0] == 0xC2 && (unsigned char)text[1] < 0xA0);
		n = n == 0 ? 1 : n;
		if (is_control)
			fputc('?', to);
		else
			fwrite(text, 1, n, to);
		text += n;
		left -= n;
	}
}

static int
say(const struct err *e, int status)
{
	fputs("segan: ", stderr);
	command_print_plain(stderr, e->text);
	fputc('\n', stderr);
	return status;
}

int
command_fail(const struct err *e)
{
	return say(e, EXIT_FAILED);
}

int
command_config(const struct err *e)
{
	return say(e, EXIT_USAGE);
}

int
command_usage(const char *usage, const char *fmt, ...)
{
	va_list ap;

	fputs("segan: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n%s", usage);
	return EXIT_USAGE;
}

enum { FIRST_LONG = 256 /* getopt's value of the first option of the table: beyond every letter */ };

static const struct command_option *
option_of(int value, const struct command_option *table, size_t n)
{
	if (value >= FIRST_LONG)
		return &table[value - FIRST_LONG];
	for (size_t i = 0; i < n; i++)
		if (table[i].letter != 0 && table[i].letter == value)
			return &table[i];
	return NULL;
}

int
command_options(int argc, char **argv, const struct command_option *table, size_t n, const char *usage, void *out)
{
	struct option known[COMMAND_MAX_OPTIONS + 2] = { { .name = "help", .val = 'h' } };
	char letters[2 * COMMAND_MAX_OPTIONS + 2] = "h";
	size_t n_known = 1;
	int value;

	assert(n <= COMMAND_MAX_OPTIONS);
	for (size_t i = 0; i < n; i++) {
		if (table[i].name != NULL)
			known[n_known++] = (struct option) { table[i].name, table[i].has_argument, NULL, FIRST_LONG + (int)i };
		if (table[i].letter != 0)
			snprintf(letters + strlen(letters), sizeof letters - strlen(letters), "%c%s", table[i].letter, table[i].has_argument ? ":" : "");
	}
	while ((value = getopt_long(argc, argv, letters, known, NULL)) != -1) {
		const struct command_option *o = option_of(value, table, n);
		if (o == NULL) {
			fputs(usage, value == 'h' ? stdout : stderr);
			return value == 'h' ? -1 : EXIT_USAGE;
		}
		if (o->has_argument == required_argument)
			*(const char **)(void *)((char *)out + o->offset) = optarg;
		else
			*(bool *)((char *)out + o->offset) = true;
	}
	return 0;
}

int
command_threads(const char *text, const char *usage, unsigned *threads)
{
	enum { MOST = 1024 };
	unsigned long n = 0;
	char *end = NULL;

	if (text != NULL)
		n = strtoul(text, &end, 10);
	if (text != NULL && (*text < '0' || *text > '9' || *end != '\0' || n > MOST)) {
		command_usage(usage, "--threads takes a number from 0 to %d", MOST);
		return -1;
	}
	*threads = (unsigned)n;
	return 0;
}

int
command_print_json(struct json *v)
{
	struct err e;
	char *text = json_print(v, true, &e);
	int rc = EXIT_GOOD;

	json_free(v);
	if (text == NULL)
		return command_fail(&e);
	if (puts(text) < 0 || fflush(stdout) != 0) {
		err_errno(&e, "writing to stdout");
		rc = command_fail(&e);
	}
	free(text);
	return rc;
}

/* RELATIVE beside the folder of the executable; "" when that is not known. */
static void
beside_executable(const char *relative, char path[PATH_SIZE])
{
	char self[PATH_SIZE / 2];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;

	path[0] = '\0';
	if (n <= 0 || n == (ssize_t)sizeof self - 1) /* perhaps cut */
		return;
	self[n] = '\0';
	if ((slash = strrchr(self, '/')) == NULL)
		return;
	*slash = '\0';
	snprintf(path, PATH_SIZE, "%s/%s", self, relative);
}

struct catalog *
command_models(const char *models_dir, struct err *e)
{
	char shipped[PATH_SIZE], installed[PATH_SIZE];
	const char *roots[3];
	const char *from_environment = getenv("SEGAN_MODELS");
	size_t n = 0;

	if (models_dir == NULL)
		models_dir = from_environment;
	if (models_dir != NULL) {
		if (!file_exists(models_dir)) {
			err_set(e, ERR_NOT_FOUND, "there is no models folder %s", models_dir);
			return NULL;
		}
		return catalog_open(&models_dir, 1, e);
	}
	beside_executable("../model/shipped", shipped);
	beside_executable("../share/segand/models", installed);
	if (file_exists(shipped))
		roots[n++] = shipped;
	if (file_exists(installed))
		roots[n++] = installed;
	if (file_exists("/usr/share/segand/models"))
		roots[n++] = "/usr/share/segand/models";
	if (n == 0) {
		err_set(e, ERR_NOT_FOUND, "no models folder was found: give one with --models DIR or in SEGAN_MODELS");
		return NULL;
	}
	return catalog_open(roots, n, e);
}

struct settings *
command_settings(const char *config, struct err *e)
{
	if (config == NULL && file_exists("/etc/segand/segand.json"))
		config = "/etc/segand/segand.json";
	return settings_load(config, e);
}

static void
add_root(struct command_roots *r, const char *dir)
{
	snprintf(r->text[r->n], COMMAND_PATH, "%s", dir);
	r->roots[r->n] = r->text[r->n];
	r->n++;
}

int
command_roots(const char *models_dir, const char *config, struct command_roots *out, struct err *e)
{
	char beside[PATH_SIZE];
	struct settings *s;

	out->n = 0;
	if (models_dir == NULL && config == NULL)
		models_dir = getenv("SEGAN_MODELS");
	if (models_dir != NULL) {
		add_root(out, models_dir);
		return 0;
	}
	if ((s = command_settings(config, e)) == NULL)
		return -1;
	snprintf(beside, sizeof beside, "%.1000s/models", s->data_dir);
	add_root(out, beside);
	if (s->models_dir[0] != '\0')
		add_root(out, s->models_dir);
	settings_free(s);
	beside_executable("../model/shipped", beside);
	if (file_exists(beside))
		add_root(out, beside);
	beside_executable("../share/segand/models", beside);
	if (file_exists(beside))
		add_root(out, beside);
	return 0;
}

struct catalog *
command_catalog(const char *models_dir, const char *config, struct err *e)
{
	struct command_roots r;

	if (command_roots(models_dir, config, &r, e) != 0)
		return NULL;
	if (r.n == 1 && !file_exists(r.roots[0])) {
		err_set(e, ERR_NOT_FOUND, "there is no models folder %s", r.roots[0]);
		return NULL;
	}
	return catalog_open(r.roots, r.n, e);
}

int
command_run_model(const char *run, struct manifest *out, struct err *e)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof path, "%.1000s/model.json", run);
	if (file_exists(path))
		return manifest_load(run, out, e);
	snprintf(path, sizeof path, "%.1000s/best", run);
	if (!file_exists(path))
		return err_set(e, ERR_NOT_FOUND, "%s is no folder of a training that has a model yet (RUN/best), and holds no model.json", run);
	return manifest_load(path, out, e);
}

void
command_use_right_core(char **argv)
{
	const char *wanted = compute_wanted_core(), *present = getenv("OPENBLAS_CORETYPE");

	if (wanted == NULL || getenv("SEGAN_CORE_CHOSEN") != NULL || (present != NULL && strcmp(present, wanted) == 0))
		return;
	if (setenv("OPENBLAS_CORETYPE", wanted, 1) != 0 || setenv("OPENBLAS_NUM_THREADS", "1", 1) != 0 || setenv("SEGAN_CORE_CHOSEN", wanted, 1) != 0)
		return;
	execv("/proc/self/exe", argv); /* where it fails we go on with the kernels that OpenBLAS chose: right, only slower */
}
