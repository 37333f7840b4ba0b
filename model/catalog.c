/* The folders of installed models, read once. Does not open weights until it is asked to (catalog_check): a catalogue of many models opens fast. */
#include "model/catalog.h"
#include "config/file.h"
#include "model/segan.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MODELS = 1024, MAX_PROBLEMS = 64, PATH = 1024 };

struct catalog {
	struct catalog_entry *entries;          /* sorted by name, then version, newest first */
	size_t n;
	char *problems[MAX_PROBLEMS];           /* texts */
	size_t n_problems;
};

void
catalog_free(struct catalog *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_problems; i++)
		free(c->problems[i]);
	free(c->entries);
	free(c);
}

/* A text that cannot be kept is one problem less to read, no failure of the catalogue. */
static void __attribute__((format(printf, 2, 3)))
problem(struct catalog *c, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (c->n_problems < MAX_PROBLEMS && (c->problems[c->n_problems] = strdup(text)))
		c->n_problems++;
}

/* The next run of digits, or of other characters, of a version. */
static size_t
run_length(const char *text, bool digits)
{
	return digits ? strspn(text, "0123456789") : strcspn(text, "0123456789");
}

/* Numbers are compared as numbers, whatever their length: 0.10.0 > 0.9.1. */
static int
compare_versions(const char *a, const char *b)
{
	for (bool digits = true; *a || *b; digits = !digits) {
		size_t n = run_length(a, digits), k = run_length(b, digits);
		int order;

		if (digits) {
			size_t za = strspn(a, "0"), zb = strspn(b, "0");
			za = za < n ? za : n;
			zb = zb < k ? zb : k;
			if (n - za != k - zb)
				return n - za < k - zb ? -1 : 1;
			order = strncmp(a + za, b + zb, n - za);
		} else {
			order = strncmp(a, b, n > k ? n : k);
		}
		if (order != 0)
			return order;
		a += n;
		b += k;
	}
	return 0;
}

static int
by_name_newest_first(const void *a, const void *b)
{
	const struct catalog_entry *x = a, *y = b;
	int order = strcmp(x->manifest.name, y->manifest.name);

	return order ? order : compare_versions(y->manifest.version, x->manifest.version);
}

static bool
is_installed(const struct catalog *c, const char *name, const char *version)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->entries[i].manifest.name, name) == 0 && strcmp(c->entries[i].manifest.version, version) == 0)
			return true;
	return false;
}

/* Adds DIR = ROOT/NAME/VERSION, if it is a model; an earlier root's model of that name and version hides it. */
static int
add_version(struct catalog *c, const char *dir, const char *name, const char *version, struct err *e)
{
	struct catalog_entry entry = { 0 }, *grown;
	char path[PATH + 16];
	struct err why;

	snprintf(path, sizeof path, "%s/model.json", dir);
	if (!file_exists(path) || is_installed(c, name, version))
		return 0;
	if (manifest_load(dir, &entry.manifest, &why) != 0) {
		problem(c, "%s", why.text);
		return 0;
	}
	if (strcmp(entry.manifest.name, name) != 0 || strcmp(entry.manifest.version, version) != 0) {
		problem(c, "%s says it is %s@%s, its folder says %s@%s", path, entry.manifest.name, entry.manifest.version, name, version);
		return 0;
	}
	if (c->n == MAX_MODELS)
		return err_set(e, ERR_LIMIT, "more than %d models are installed", MAX_MODELS);
	grown = realloc(c->entries, (c->n + 1) * sizeof *grown);
	if (!grown)
		return err_set(e, ERR_LIMIT, "no memory for the list of models");
	c->entries = grown;
	c->entries[c->n++] = entry;
	return 0;
}

typedef int (*folder_fn)(struct catalog *c, const char *dir, const char *parent, const char *name, struct err *e);

/* Calls fn for every entry of dir that does not begin with '.'. A folder that is not there has none. */
static int
each_entry(struct catalog *c, const char *dir, const char *dir_name, folder_fn fn, struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	int result = 0;

	if (!d) {
		if (errno != ENOENT && errno != ENOTDIR)
			problem(c, "the folder %s cannot be read", dir);
		return 0;
	}
	while (result == 0 && (entry = readdir(d))) {
		char path[PATH];

		if (entry->d_name[0] == '.')
			continue;
		if (snprintf(path, sizeof path, "%s/%s", dir, entry->d_name) >= (int)sizeof path)
			problem(c, "a folder's name below %s is too long", dir);
		else
			result = fn(c, path, dir_name, entry->d_name, e);
	}
	closedir(d);
	return result;
}

static int
visit_version(struct catalog *c, const char *dir, const char *parent, const char *name, struct err *e)
{
	return add_version(c, dir, parent, name, e);
}

static int
visit_name(struct catalog *c, const char *dir, const char *parent, const char *name, struct err *e)
{
	(void)parent;
	return each_entry(c, dir, name, visit_version, e);
}

/* The first root with ROOT/NAME/in-service decides; version is "" when there is none. */
static void
read_in_service(const char *const *roots, size_t n_roots, const char *name, char *version, size_t size)
{
	version[0] = '\0';
	for (size_t i = 0; i < n_roots; i++) {
		char path[PATH], *text;
		struct err ignored;            /* no such file: the next root */
		size_t n;

		if (snprintf(path, sizeof path, "%s/%s/in-service", roots[i], name) >= (int)sizeof path)
			continue;
		text = file_read(path, 256, &n, &ignored);
		if (!text)
			continue;
		snprintf(version, size, "%.*s", (int)strcspn(text, "\r\n \t"), text);
		free(text);
		return;
	}
}

/* Entries first..last are one name's versions, newest first. */
static void
choose_in_service(struct catalog *c, const char *const *roots, size_t n_roots, size_t first, size_t last)
{
	const char *name = c->entries[first].manifest.name;
	char version[sizeof c->entries->manifest.version];

	read_in_service(roots, n_roots, name, version, sizeof version);
	for (size_t i = first; i <= last; i++)
		if (strcmp(c->entries[i].manifest.version, version) == 0) {
			c->entries[i].in_service = true;
			return;
		}
	if (version[0])
		problem(c, "%s/in-service names the version %s, which is not installed: the highest, %s, is taken", name, version, c->entries[first].manifest.version);
	c->entries[first].in_service = true;
}

struct catalog *
catalog_open(const char *const *roots, size_t n_roots, struct err *e)
{
	struct catalog *c = calloc(1, sizeof *c);

	if (!c) {
		err_set(e, ERR_LIMIT, "no memory for the list of models");
		return NULL;
	}
	for (size_t i = 0; i < n_roots; i++)
		if (each_entry(c, roots[i], "", visit_name, e) != 0) {
			catalog_free(c);
			return NULL;
		}
	if (c->n > 0)
		qsort(c->entries, c->n, sizeof *c->entries, by_name_newest_first);
	for (size_t first = 0, last; first < c->n; first = last + 1) {
		last = first;
		while (last + 1 < c->n && strcmp(c->entries[last + 1].manifest.name, c->entries[first].manifest.name) == 0)
			last++;
		choose_in_service(c, roots, n_roots, first, last);
	}
	return c;
}

size_t
catalog_size(const struct catalog *c)
{
	return c->n;
}

const struct catalog_entry *
catalog_at(const struct catalog *c, size_t i)
{
	assert(i < c->n);
	return &c->entries[i];
}

static bool
is_asked_for(const struct catalog_entry *entry, const char *name)
{
	const char *at = strchr(name, '@');
	size_t n = at ? (size_t)(at - name) : strlen(name);

	if (strlen(entry->manifest.name) != n || strncmp(entry->manifest.name, name, n) != 0)
		return false;
	return at ? strcmp(entry->manifest.version, at + 1) == 0 : entry->in_service;
}

const struct catalog_entry *
catalog_find(const struct catalog *c, const char *name, struct err *e)
{
	char installed[300] = "";

	for (size_t i = 0; i < c->n; i++)
		if (is_asked_for(&c->entries[i], name))
			return &c->entries[i];
	for (size_t i = 0; i < c->n; i++) {
		size_t at = strlen(installed);
		snprintf(installed + at, sizeof installed - at, "%s%s@%s", i ? ", " : "", c->entries[i].manifest.name, c->entries[i].manifest.version);
	}
	err_set(e, ERR_NOT_FOUND, "the model %.130s is not installed; installed: %s", name, c->n ? installed : "none");
	return NULL;
}

const char *
catalog_problem(const struct catalog *c, size_t i)
{
	return i < c->n_problems ? c->problems[i] : NULL;
}

int
catalog_check(const struct manifest *m, struct err *e)
{
	struct segmentor *s = segmentor_load(m, 1, e);   /* loading is the check: digest, names, shapes, values */

	if (!s)
		return -1;
	segmentor_free(s);
	return 0;
}
