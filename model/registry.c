/* Models are added, promoted and rolled back. A promotion writes the history's line, then the pointer; a rollback the pointer, then the line: whatever a
 * crash between them leaves, the pointer decides, and the next rollback goes to the right version. Changes wait for each other (a lock file in the root). */
#include "model/registry.h"

#include "config/clock.h"
#include "config/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH = 1200, MAX_FILES = 64, MAX_BYTES = 1 << 30, MAX_HISTORY = 4 << 20 };

/* ---- paths and the lock ---- */

static int __attribute__((format(printf, 3, 4)))
path_of(char path[PATH], struct err *e, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(path, PATH, fmt, ap);
	va_end(ap);
	return n >= 0 && n < PATH ? 0 : err_set(e, ERR_INPUT, "the path %.60s... is too long", path);
}

/* A change under way: the lock, and the catalogue as it is under it. */
struct change { const char *root; int fd; struct catalog *catalog; };

static int
take_lock(const char *root, struct err *e)
{
	char path[PATH];
	int fd;

	if (file_make_dirs(root, 0755, e) != 0 || path_of(path, e, "%s/.lock", root) != 0)
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_errno(e, "creating %s", path);
	while (flock(fd, LOCK_EX) != 0)
		if (errno != EINTR) {
			err_errno(e, "locking %s", path);
			close(fd);
			return -1;
		}
	return fd;
}

static int
change_begin(struct change *c, const struct registry *r, struct err *e)
{
	*c = (struct change){ .root = r->roots[0], .fd = take_lock(r->roots[0], e) };
	if (c->fd < 0)
		return -1;
	if ((c->catalog = catalog_open(r->roots, r->n_roots, e)) != NULL)
		return 0;
	close(c->fd);
	return -1;
}

static void
change_end(struct change *c)
{
	catalog_free(c->catalog);
	close(c->fd);
}

static int
make_folder(const struct change *c, const char *name, struct err *e)
{
	char path[PATH];

	return path_of(path, e, "%s/%s", c->root, name) != 0 ? -1 : file_make_dirs(path, 0755, e);
}

/* ---- history and pointer ---- */

static int
history_path(const char *root, const char *name, char path[PATH], struct err *e)
{
	return path_of(path, e, "%s/%s/history.jsonl", root, name);
}

static struct json *
read_history(const char *root, const char *name, struct err *e)
{
	struct json *lines = json_new_array();
	char path[PATH], *text;
	size_t n;

	if (history_path(root, name, path, e) != 0 || !file_exists(path))
		return lines;
	if ((text = file_read(path, MAX_HISTORY, &n, e)) == NULL) {
		json_free(lines);
		return NULL;
	}
	for (char *line = text, *end; *line != '\0'; line = end) {
		struct json_doc *doc;

		end = line + strcspn(line, "\n");
		if ((doc = json_parse(line, (size_t)(end - line), 0, e)) == NULL) {
			err_note(e, "%s", path);
			json_free(lines);
			lines = NULL;
			break;
		}
		json_add(lines, json_copy(json_root(doc)));
		json_doc_free(doc);
		end += *end == '\n';
	}
	free(text);
	return lines;
}

struct json *
registry_history(const struct registry *r, const char *name, struct err *e)
{
	return read_history(r->roots[0], name, e);
}

/* Takes line. The file is replaced as a whole: a torn line cannot be. */
static int
append_history(const struct change *c, const char *name, struct json *line, struct err *e)
{
	char path[PATH], now[CLOCK_TEXT], *text, *old = NULL, *all = NULL;
	size_t n = 0;
	int rc = -1;

	clock_text(clock_ms(), now);
	json_set_string(line, "time", now);
	text = json_print(line, false, e);
	json_free(line);
	if (text == NULL || make_folder(c, name, e) != 0 || history_path(c->root, name, path, e) != 0)
		goto out;
	if (file_exists(path) && (old = file_read(path, MAX_HISTORY, &n, e)) == NULL)
		goto out;
	if (asprintf(&all, "%s%s\n", old != NULL ? old : "", text) < 0) {
		all = NULL;
		err_set(e, ERR_LIMIT, "no memory for the history of %s", name);
		goto out;
	}
	rc = file_write(path, all, strlen(all), e);
out:
	free(text);
	free(old);
	free(all);
	return rc;
}

static struct json *
history_line(const char *action, const struct manifest *m, const char *from)
{
	struct json *line = json_new_object();

	json_set_string(line, "time", NULL);
	json_set_string(line, "action", action);
	json_set_string(line, "version", m->version);
	json_set_string(line, "from", from);
	json_set_string(line, "weights_sha256", m->weights_sha256);
	json_set_string(line, "program", "segan " SEGAN_VERSION);
	return line;
}

static int
set_pointer(const struct change *c, const char *name, const char *version, struct err *e)
{
	char path[PATH], line[70];

	snprintf(line, sizeof line, "%.64s\n", version);
	if (make_folder(c, name, e) != 0 || path_of(path, e, "%s/%s/in-service", c->root, name) != 0)
		return -1;
	return file_write(path, line, strlen(line), e);
}

/* ---- add ---- */

static int
copy_file(const char *from, const char *to, struct err *e)
{
	size_t n;
	char *bytes = file_read(from, MAX_BYTES, &n, e);
	int rc;

	if (bytes == NULL)
		return -1;
	rc = file_write(to, bytes, n, e);
	free(bytes);
	return rc;
}

/* The regular files of dir, hidden ones apart; no link is followed, no folder entered. */
static int
copy_files(const char *dir, const char *to, struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	size_t n = 0;
	int rc = 0;

	if (d == NULL)
		return err_errno(e, "opening the folder %s", dir);
	while (rc == 0 && (entry = readdir(d)) != NULL) {
		char source[PATH], target[PATH];
		struct stat st;

		if (entry->d_name[0] == '.')
			continue;
		if (path_of(source, e, "%s/%s", dir, entry->d_name) != 0 || path_of(target, e, "%s/%s", to, entry->d_name) != 0)
			rc = -1;
		else if (lstat(source, &st) != 0)
			rc = err_errno(e, "looking at %s", source);
		else if (S_ISREG(st.st_mode))
			rc = ++n > MAX_FILES ? err_set(e, ERR_INPUT, "%s holds more than %d files: no model folder", dir, MAX_FILES) : copy_file(source, target, e);
	}
	closedir(d);
	return rc;
}

/* Copies to the new folder to, and checks what has come there: what was checked is what is installed. */
static int
copy_checked(const char *dir, const char *to, struct manifest *m, struct err *e)
{
	if (mkdir(to, 0755) != 0)
		return err_errno(e, "creating %s", to);
	if (copy_files(dir, to, e) != 0 || manifest_load(to, m, e) != 0)
		return -1;
	return catalog_check(m, e);
}

/* By way of a hidden name beside it, which no catalogue sees; a name left by a crash is removed first. */
static int
copy_whole(const char *dir, const char *hidden, const char *to, struct manifest *m, struct err *e)
{
	struct err ignored;           /* the first failure is the one to tell */

	if (file_remove_tree(hidden, e) != 0)
		return -1;
	if (copy_checked(dir, hidden, m, e) != 0 || file_commit(hidden, to, e) != 0) {
		file_remove_tree(hidden, &ignored);
		return err_note(e, "copying the model %s", dir);
	}
	snprintf(m->dir, sizeof m->dir, "%s", to);
	return 0;
}

int
registry_copy(const char *dir, const char *to, struct manifest *copied, struct err *e)
{
	char hidden[PATH], place[PATH];
	struct manifest source;
	size_t n = strlen(to);

	while (n > 1 && to[n - 1] == '/')
		n--;
	if (file_exists(to))
		return err_set(e, ERR_STATE, "%s is there already", to);
	if (manifest_load(dir, &source, e) != 0 || path_of(place, e, "%.*s", (int)n, to) != 0 || path_of(hidden, e, "%s.part", place) != 0)
		return -1;
	return copy_whole(dir, hidden, place, copied, e);
}

/* A version that is in service because no higher one is installed must stay so when a higher one comes. */
static int
pin(const struct change *c, const char *name, struct err *e)
{
	struct err absent;
	const struct catalog_entry *serving = catalog_find(c->catalog, name, &absent);

	return serving != NULL ? set_pointer(c, name, serving->manifest.version, e) : 0;
}

static int
install(const struct change *c, const char *dir, const struct manifest *source, struct manifest *added, struct err *e)
{
	char hidden[PATH], to[PATH], name_version[140];
	struct err absent;

	snprintf(name_version, sizeof name_version, "%s@%s", source->name, source->version);
	if (catalog_find(c->catalog, name_version, &absent) != NULL)
		return err_set(e, ERR_STATE, "%s is installed already: a version never changes, give the new one another number (\"version\" in its model.json, or in the recipe)", name_version);
	if (path_of(to, e, "%s/%s/%s", c->root, source->name, source->version) != 0 || path_of(hidden, e, "%s/%s/.%s.part", c->root, source->name, source->version) != 0)
		return -1;
	if (file_exists(to))
		return err_set(e, ERR_STATE, "%s is there and is no model: move it away", to);
	if (make_folder(c, source->name, e) != 0 || pin(c, source->name, e) != 0 || copy_whole(dir, hidden, to, added, e) != 0)
		return -1;
	return append_history(c, source->name, history_line("add", added, NULL), e);
}

int
registry_add(const struct registry *r, const char *dir, struct manifest *added, struct err *e)
{
	struct manifest source;
	struct change c;
	int rc;

	if (manifest_load(dir, &source, e) != 0 || catalog_check(&source, e) != 0 || change_begin(&c, r, e) != 0)
		return -1;
	rc = install(&c, dir, &source, added, e);
	change_end(&c);
	return rc;
}

/* ---- promote and roll back ---- */

static struct json *
promotion_line(const struct manifest *m, const char *from, const struct promotion *why)
{
	struct json *line = history_line("promote", m, from);

	json_set_string(line, "reason", why->reason);
	if (why->evaluation_sha256 != NULL) {
		struct json *v = json_new_object();
		json_set_string(v, "sha256", why->evaluation_sha256);
		json_set_int(v, "cases", (int64_t)why->cases);
		json_set_number(v, "dice_difference", why->difference);
		json_set_number(v, "low", why->low);
		json_set_number(v, "high", why->high);
		json_set_number(v, "p", why->p);
		json_set(line, "evaluation", v);
	}
	return line;
}

static int
promote(const struct change *c, const char *name_version, const struct promotion *why, struct err *e)
{
	const struct catalog_entry *candidate = catalog_find(c->catalog, name_version, e), *serving;
	const struct manifest *m;

	if (candidate == NULL || catalog_check(&candidate->manifest, e) != 0)
		return -1;
	m = &candidate->manifest;
	if ((serving = catalog_find(c->catalog, m->name, e)) == NULL)
		return -1;
	if (serving == candidate)
		return err_set(e, ERR_STATE, "%s@%s is in service already", m->name, m->version);
	if (why->beaten != NULL && strcmp(why->beaten, serving->manifest.version) != 0)
		return err_set(e, ERR_STATE, "the evaluation is against %s@%s, in service is %s now", m->name, why->beaten, serving->manifest.version);
	if (append_history(c, m->name, promotion_line(m, serving->manifest.version, why), e) != 0)
		return -1;
	return set_pointer(c, m->name, m->version, e);
}

int
registry_promote(const struct registry *r, const char *name_version, const struct promotion *why, struct err *e)
{
	struct change c;
	int rc;

	if (strchr(name_version, '@') == NULL)
		return err_set(e, ERR_INPUT, "%s: which version? NAME@VERSION is promoted", name_version);
	if (change_begin(&c, r, e) != 0)
		return -1;
	rc = promote(&c, name_version, why, e);
	change_end(&c);
	return rc;
}

static bool
says(const struct json *line, const char *key, const char *text)
{
	const char *value = json_text(json_get(line, key));

	return value != NULL && strcmp(value, text) == 0;
}

/* The history as a stack: a promotion pushes, a rollback pops. What the last promotion that holds replaced; NULL when there is none. Promotions on top whose
 * version is not in service do not hold. borrowed from history. */
static const char *
before(const struct json *history, const char *serving)
{
	const struct json **stack = calloc(json_size(history) + 1, sizeof *stack);
	const char *from = NULL;
	size_t n = 0;

	if (stack == NULL)
		return NULL;
	for (const struct json *line = json_first(history); line != NULL; line = json_next(line)) {
		if (says(line, "action", "promote"))
			stack[n++] = line;
		else if (says(line, "action", "rollback") && n > 0)
			n--;
	}
	while (n > 0 && !says(stack[n - 1], "version", serving))
		n--;
	if (n > 0)
		from = json_text(json_get(stack[n - 1], "from"));
	free(stack);
	return from;
}

static int
go_back(const struct change *c, const struct manifest *serving, const char *version, struct err *e)
{
	char name_version[140];
	const struct catalog_entry *earlier;

	snprintf(name_version, sizeof name_version, "%s@%s", serving->name, version);
	if ((earlier = catalog_find(c->catalog, name_version, e)) == NULL || catalog_check(&earlier->manifest, e) != 0)
		return err_note(e, "rolling %s back", serving->name);
	if (set_pointer(c, serving->name, version, e) != 0)
		return -1;
	if (append_history(c, serving->name, history_line("rollback", &earlier->manifest, serving->version), e) != 0)
		return err_note(e, "%s is in service again, but its history was not written", name_version);
	return 0;
}

static int
roll_back(const struct change *c, const char *name, char version[65], struct err *e)
{
	const struct catalog_entry *serving = catalog_find(c->catalog, name, e);
	struct json *history;
	const char *from;
	int rc;

	if (serving == NULL || (history = read_history(c->root, name, e)) == NULL)
		return -1;
	if ((from = before(history, serving->manifest.version)) == NULL) {
		rc = err_set(e, ERR_STATE, "%s@%s was not promoted here: there is nothing to go back to", name, serving->manifest.version);
	} else {
		snprintf(version, 65, "%s", from);
		rc = go_back(c, &serving->manifest, version, e);
	}
	json_free(history);
	return rc;
}

int
registry_rollback(const struct registry *r, const char *name, char version[65], struct err *e)
{
	struct change c;
	int rc;

	if (strchr(name, '@') != NULL)
		return err_set(e, ERR_INPUT, "%s: a model is rolled back by its name alone", name);
	if (change_begin(&c, r, e) != 0)
		return -1;
	rc = roll_back(&c, name, version, e);
	change_end(&c);
	return rc;
}
