/* Copies and hard links of immutable files. Nothing is synced here: who copies calls file_sync_all when all is there. */
#include "service/commands/copy_tree.h"

#include "config/digest.h"
#include "config/file.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char copy_mark[] = "backup.json";

void
copy_join(char path[COPY_PATH], const char *dir, const char *name)
{
	snprintf(path, COPY_PATH, "%.1536s/%.510s", dir, name);
}

int
copy_check_dir(const char *dir, struct err *e)
{
	return strlen(dir) <= COPY_DIR ? 0 : err_set(e, ERR_INPUT, "the path %.60s... is longer than %d characters", dir, COPY_DIR);
}

static int
make_parent(const char *path, struct err *e)
{
	char dir[COPY_PATH];

	snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
	return file_exists(dir) ? 0 : file_make_dirs(dir, 0700, e);
}

int
copy_one(struct copying *c, const char *path, struct err *e)
{
	char to[COPY_PATH];
	int n = snprintf(to, sizeof to, "%s%s", c->to, path + strlen(c->from));

	if (n < 0 || (size_t)n >= sizeof to)
		return err_set(e, ERR_INPUT, "the path %.60s... is too long", path);
	if (file_exists(to))
		return 0;
	if (make_parent(to, e) != 0)
		return -1;
	if (!(c->link && link(path, to) == 0) && file_copy(path, to, e) != 0)
		return -1;
	c->files++;
	return 0;
}

/* One that is removed while we walk is none. */
static int
copy_walked(void *arg, const char *path, struct err *e)
{
	return copy_one(arg, path, e) == 0 || (e->code == ERR_NOT_FOUND && !file_exists(path)) ? 0 : -1;
}

int
copy_tree(struct copying *c, struct err *e)
{
	return file_exists(c->from) ? file_walk(c->from, copy_walked, c, e) : 0;
}

void
copy_spool_name(const char *dir, const char *sop_uid, char path[COPY_PATH])
{
	char hex[DIGEST_HEX];

	digest_of(sop_uid, strlen(sop_uid), hex);
	snprintf(path, COPY_PATH, "%s/spool/%.2s/%s.dcm", dir, hex, hex);
}

bool
copy_has_size(const char *path, int64_t size)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_size == size;
}

bool
copy_is_empty(const char *dir, const char *const *but, size_t n_but)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	bool is_empty = true;

	while (d != NULL && is_empty && (entry = readdir(d)) != NULL) {
		bool passes = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
		for (size_t i = 0; i < n_but; i++)
			passes = passes || strcmp(entry->d_name, but[i]) == 0;
		is_empty = passes;
	}
	if (d != NULL)
		closedir(d);
	return is_empty;
}
