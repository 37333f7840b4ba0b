/* The tokens_file: {"tokens": [{"name", "role", "sha256", "created"}]}. Changing it is read, change, replace, under a lock on its folder, so that two
 * commands at once lose nothing; the file keeps its owner, for it is the node that must read it, and root who often writes. */
#include "service/http/auth.h"

#include "config/clock.h"
#include "config/file.h"
#include "config/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 1024, MAX_BYTES = 1 << 20, MAX_TOKENS = 2048 };

struct row { char name[AUTH_NAME], role[16], sha256[2 * AUTH_DIGEST + 1], created[32]; };
#define TEXT(key, member) { key, FIELD_STRING, offsetof(struct row, member), sizeof(((struct row *)0)->member), 0, 0, true, false }
static const struct json_field row_fields[] = { TEXT("name", name), TEXT("role", role), TEXT("sha256", sha256), TEXT("created", created) };
enum { N_ROW = sizeof row_fields / sizeof row_fields[0] };

/* ---- reading ---- */

static bool
name_is_good(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n < AUTH_NAME && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

static int
read_digest(const char *text, uint8_t digest[AUTH_DIGEST])
{
	if (strlen(text) != 2 * AUTH_DIGEST || strspn(text, "0123456789abcdef") != 2 * AUTH_DIGEST)
		return -1;
	for (size_t i = 0; i < AUTH_DIGEST; i++)
		digest[i] = (uint8_t)strtoul((char[]){ text[2 * i], text[2 * i + 1], '\0' }, NULL, 16);
	return 0;
}

static const struct auth_token *
find(const struct auth_list *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->tokens[i].name, name) == 0)
			return &l->tokens[i];
	return NULL;
}

static int
read_one(const struct json_doc *d, const struct json *v, struct auth_list *l, struct err *e)
{
	struct auth_token *t = &l->tokens[l->n];
	struct row r = { .name = "" };

	if (json_read(d, v, row_fields, N_ROW, "tokens", &r, e) != 0)
		return -1;
	if (!name_is_good(r.name) || auth_role_parse(r.role, &t->role) != 0 || read_digest(r.sha256, t->digest) != 0)
		return err_set(e, ERR_INPUT, "line %u: a token has a name (letters, digits, '.', '_', '-'), a role (admin, operator, viewer) and the SHA-256 of its text", json_line(d, v));
	if (find(l, r.name) != NULL)
		return err_set(e, ERR_INPUT, "line %u: two tokens are called %s", json_line(d, v), r.name);
	memcpy(t->name, r.name, sizeof t->name);
	memcpy(t->created, r.created, sizeof t->created);
	l->n++;
	return 0;
}

static int
read_all(const struct json_doc *d, struct auth_list *l, struct err *e)
{
	static const struct json_field known[] = { { "tokens", FIELD_OTHER, 0, 0, 0, 0, true, false } };
	const struct json *list = json_get(json_root(d), "tokens");

	if (json_read(d, json_root(d), known, 1, "", l, e) != 0)
		return -1;
	if (json_type(list) != JSON_ARRAY || json_size(list) > MAX_TOKENS)
		return err_set(e, ERR_INPUT, "\"tokens\" must be a list of at most %d", MAX_TOKENS);
	if ((l->tokens = calloc(json_size(list) + 1, sizeof *l->tokens)) == NULL) /* room for one that is added */
		return err_errno(e, "tokens");
	for (const struct json *v = json_first(list); v != NULL; v = json_next(v))
		if (read_one(d, v, l, e) != 0)
			return -1;
	return 0;
}

void
auth_list_free(struct auth_list *l)
{
	free(l->tokens);
	*l = (struct auth_list){ 0 };
}

int
auth_list_load(const char *path, struct auth_list *out, struct err *e)
{
	struct json_doc *d = NULL;
	struct stat st;
	size_t n;
	char *text = file_read(path, MAX_BYTES, &n, e);
	int rc = -1;

	*out = (struct auth_list){ 0 };
	if (text != NULL && stat(path, &st) == 0 && (st.st_mode & S_IWOTH) != 0) {
		free(text);
		return err_set(e, ERR_STATE, "everybody on this machine may write %s, and so give himself a token: look at what is in it, then chmod o-w it", path);
	}
	if (text == NULL && e->code == ERR_NOT_FOUND)
		return err_set(e, ERR_NOT_FOUND, "there is no file %s yet: make the first token with segan token add NAME --role admin", path);
	if (text != NULL && (d = json_parse(text, n, 0, e)) != NULL)
		rc = read_all(d, out, e);
	if (rc != 0) {
		auth_list_free(out);
		if (text != NULL)
			err_note(e, "%s", path);
	}
	json_doc_free(d);
	free(text);
	return rc;
}

/* ---- writing ---- */

static char *
print(const struct auth_list *l, struct err *e)
{
	struct json *root = json_new_object(), *list = json_new_array();
	char *text;

	json_set(root, "tokens", list);
	for (size_t i = 0; i < l->n; i++) {
		const struct auth_token *t = &l->tokens[i];
		struct json *o = json_new_object();
		char hex[2 * AUTH_DIGEST + 1];
		for (size_t k = 0; k < AUTH_DIGEST; k++)
			snprintf(hex + 2 * k, 3, "%02x", t->digest[k]);
		json_set_string(o, "name", t->name);
		json_set_string(o, "role", auth_role_name(t->role));
		json_set_string(o, "sha256", hex);
		json_set_string(o, "created", t->created);
		json_add(list, o);
	}
	text = json_print(root, true, e);
	json_free(root);
	return text;
}

static int
write_out(int fd, const char *text, size_t n, struct err *e)
{
	while (n > 0) {
		ssize_t written = write(fd, text, n);
		if (written < 0 && errno != EINTR)
			return err_errno(e, "writing the tokens");
		if (written > 0) {
			text += written;
			n -= (size_t)written;
		}
	}
	return 0;
}

/* Whose the file is to be: as it was, or as owner_of. Only root may choose. */
static int
give(int fd, const char *path, const char *owner_of, struct err *e)
{
	struct stat st;

	if (geteuid() != 0 || (stat(path, &st) != 0 && (owner_of == NULL || stat(owner_of, &st) != 0)))
		return 0;
	return fchown(fd, st.st_uid, st.st_gid) == 0 ? 0 : err_errno(e, "giving the tokens to who runs the node");
}

/* 0600 from its first byte on, whatever the umask and whatever the mode was. */
static int
replace(const char *path, const char *owner_of, const struct auth_list *l, struct err *e)
{
	char beside[PATH_SIZE];
	char *text = print(l, e);
	int fd, rc;

	if (text == NULL)
		return -1;
	snprintf(beside, sizeof beside, "%s.new", path);               /* under the lock: left by a crash, if it is there */
	unlink(beside);
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	rc = fd < 0 ? err_errno(e, "creating %s", beside) : 0;
	if (rc == 0)
		rc = write_out(fd, text, strlen(text), e) != 0 || give(fd, path, owner_of, e) != 0 ? -1 : 0;
	if (fd >= 0 && close(fd) != 0 && rc == 0)
		rc = err_errno(e, "%s", beside);
	if (rc == 0)
		rc = file_commit(beside, path, e);
	if (rc != 0 && fd >= 0)
		unlink(beside);
	free(text);
	return rc;
}

/* The folder's descriptor, locked until it is closed. -1: e says why. */
static int
lock_folder(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_SIZE];
	int fd;

	if (strlen(path) + sizeof ".new" > PATH_SIZE)
		return err_set(e, ERR_INPUT, "the path %.60s... is too long", path);
	snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : slash == path ? 1 : (int)(slash - path), slash == NULL ? "." : path);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "the folder of %s", path);
	while (flock(fd, LOCK_EX) != 0)
		if (errno != EINTR) {
			err_errno(e, "locking the folder of %s", path);
			close(fd);
			return -1;
		}
	return fd;
}

static int
add_to(struct auth_list *l, const char *name, enum auth_role role, const char *token, struct err *e)
{
	struct auth_token *t;

	if (find(l, name) != NULL)
		return err_set(e, ERR_STATE, "there is a token called %s already: revoke it first, or take another name", name);
	if (l->n == MAX_TOKENS)
		return err_set(e, ERR_LIMIT, "%d tokens are the most: revoke one first", MAX_TOKENS);
	t = &l->tokens[l->n++];
	snprintf(t->name, sizeof t->name, "%s", name);
	t->role = role;
	auth_digest(token, t->digest);
	clock_text(clock_ms(), t->created);
	return 0;
}

int
auth_add(const char *path, const char *owner_of, const char *name, enum auth_role role, char token[AUTH_TOKEN], struct err *e)
{
	struct auth_list l = { 0 };
	int folder, rc = 0;

	if (!name_is_good(name))
		return err_set(e, ERR_INPUT, "a token's name is 1 to %d letters, digits, '.', '_' and '-'", AUTH_NAME - 1);
	if ((folder = lock_folder(path, e)) < 0)
		return -1;
	if (auth_list_load(path, &l, e) != 0) {
		rc = -1;
		if (e->code == ERR_NOT_FOUND)
			rc = (l.tokens = calloc(1, sizeof *l.tokens)) == NULL ? err_errno(e, "tokens") : 0;
	}
	auth_random(token);
	if (rc == 0 && (rc = add_to(&l, name, role, token, e)) == 0)
		rc = replace(path, owner_of, &l, e);
	auth_list_free(&l);
	close(folder);
	return rc;
}

int
auth_revoke(const char *path, const char *name, struct err *e)
{
	struct auth_list l = { 0 };
	const struct auth_token *t;
	int folder = lock_folder(path, e), rc;

	if (folder < 0)
		return -1;
	rc = auth_list_load(path, &l, e);
	if (rc == 0 && (t = find(&l, name)) == NULL)
		rc = err_set(e, ERR_NOT_FOUND, "there is no token called %.64s in %s", name, path);
	if (rc == 0) {
		size_t at = (size_t)(t - l.tokens);
		memmove(&l.tokens[at], &l.tokens[at + 1], (l.n - at - 1) * sizeof *l.tokens);
		l.n--;
		rc = replace(path, NULL, &l, e);
	}
	auth_list_free(&l);
	close(folder);
	return rc;
}
