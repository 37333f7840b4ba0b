/* Where files lie below data_dir. Names are digests of UIDs, so nothing that was received ever chooses a path. Every folder is made at start:
 * the hot path only writes, syncs and renames. Not here: what a file means (intake.c) and when it goes (retain.c). */
#include "service/flow/spool.h"

#include "config/digest.h"
#include "config/file.h"
#include "service/flow/node.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LEAST_MB = 8 /* what results and the database's log may want at once */, AMPLE_MB = 64 };

static int
make(const struct node *n, const char *below, struct err *e)
{
	char path[SPOOL_PATH];

	snprintf(path, sizeof path, "%s/%s", n->settings->data_dir, below);
	return file_make_dirs(path, 0700, e);
}

/* What a crash left there was never acknowledged (tmp) or is computed again (work). */
static int
make_empty(const struct node *n, const char *below, struct err *e)
{
	char path[SPOOL_PATH];

	snprintf(path, sizeof path, "%s/%s", n->settings->data_dir, below);
	if (file_remove_tree(path, e) != 0)
		return -1;
	return file_make_dirs(path, 0700, e);
}

/* One fsync for all of them. */
static int
make_fan_out(const struct node *n, struct err *e)
{
	char path[SPOOL_PATH];

	for (unsigned i = 0; i < SPOOL_FOLDERS; i++) {
		snprintf(path, sizeof path, "%s/spool/%02x", n->settings->data_dir, i);
		if (mkdir(path, 0700) != 0 && errno != EEXIST)
			return err_errno(e, "making %s", path);
	}
	snprintf(path, sizeof path, "%s/spool", n->settings->data_dir);
	return file_sync_dir(path, e);
}

int
spool_prepare(const struct node *n, struct err *e)
{
	static const char *const kept[] = { "", "spool", "results", "models" };

	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
		if (make(n, kept[i], e) != 0)
			return -1;
	if (chmod(n->settings->data_dir, 0700) != 0) /* whoever made it: images of patients are for nobody else on this machine */
		return err_errno(e, "making %s a folder that only its owner may enter", n->settings->data_dir);
	return make_fan_out(n, e) != 0 || make_empty(n, "tmp", e) != 0 || make_empty(n, "work", e) != 0 ? -1 : 0;
}

void
spool_path(const struct node *n, const char *sop_uid, char path[SPOOL_PATH])
{
	char hex[DIGEST_HEX];

	digest_of(sop_uid, strlen(sop_uid), hex);
	snprintf(path, SPOOL_PATH, "%s/spool/%.2s/%s.dcm", n->settings->data_dir, hex, hex);
}

int
spool_look(const char *path, struct err *e)
{
	char folder[SPOOL_PATH];
	struct stat st;

	if (stat(path, &st) == 0)
		return 0;
	snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
	if (errno != ENOENT || stat(folder, &st) != 0)
		return err_errno(e, "looking at %s", path);
	return err_set(e, ERR_NOT_FOUND, "%s is not there", path);
}

unsigned
spool_folder(const char *sop_uid)
{
	char hex[DIGEST_HEX];

	digest_of(sop_uid, strlen(sop_uid), hex);
	hex[2] = 0;
	return (unsigned)strtoul(hex, NULL, 16);
}

int
spool_sync_folder(const struct node *n, unsigned folder, struct err *e)
{
	char path[SPOOL_PATH];

	snprintf(path, sizeof path, "%s/spool/%02x", n->settings->data_dir, folder);
	return file_sync_dir(path, e);
}

void
spool_tmp_dir(const struct node *n, char path[SPOOL_PATH])
{
	snprintf(path, SPOOL_PATH, "%s/tmp", n->settings->data_dir);
}

int
spool_tmp(const struct node *n, char path[SPOOL_PATH], struct err *e)
{
	int fd;

	snprintf(path, SPOOL_PATH, "%s/tmp/XXXXXX", n->settings->data_dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "creating a file in %s/tmp", n->settings->data_dir);
	close(fd);
	return 0;
}

void
spool_result(const struct node *n, int64_t job, const char *name, char path[SPOOL_PATH])
{
	snprintf(path, SPOOL_PATH, "%s/results/%lld/%s", n->settings->data_dir, (long long)job, name);
}

void
spool_work_dir(const struct node *n, int64_t job, int64_t attempt, char path[SPOOL_PATH])
{
	snprintf(path, SPOOL_PATH, "%s/work/%lld.%lld", n->settings->data_dir, (long long)job, (long long)attempt);
}

bool
spool_can_write(const struct node *n)
{
	static const char bytes[4096];
	char path[SPOOL_PATH];
	struct err ignored; /* that it failed is the answer */
	int64_t free_mb = file_free_mb(n->settings->data_dir, &ignored);
	bool can;

	if (free_mb < LEAST_MB || spool_tmp(n, path, &ignored) != 0)
		return false;
	can = file_write(path, bytes, sizeof bytes, &ignored) == 0;
	unlink(path);
	return can;
}

static void
ballast_path(const struct node *n, char path[SPOOL_PATH])
{
	snprintf(path, SPOOL_PATH, "%s/ballast", n->settings->data_dir);
}

void
spool_take_ballast(const struct node *n)
{
	char path[SPOOL_PATH];
	struct err ignored; /* no room, no ballast */
	int fd;

	ballast_path(n, path);
	if (file_exists(path) || file_free_mb(n->settings->data_dir, &ignored) < n->settings->disk_reserve_mb + AMPLE_MB)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (posix_fallocate(fd, 0, SPOOL_BALLAST_MB << 20) != 0)
		unlink(path);
	close(fd);
}

void
spool_drop_ballast(const struct node *n)
{
	char path[SPOOL_PATH];

	ballast_path(n, path);
	unlink(path);
}

int
spool_is_open(const struct node *n, struct err *e)
{
	static const char *const folders[] = { "tmp", "spool" };
	char path[SPOOL_PATH];

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		snprintf(path, sizeof path, "%s/%s/.", n->settings->data_dir, folders[i]); /* a folder, and nothing in its place */
		if (faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) != 0)
			return err_errno(e, "writing into %s/%s", n->settings->data_dir, folders[i]);
	}
	return 0;
}

int
spool_has_room(const struct node *n, struct err *e)
{
	int64_t free_mb = file_free_mb(n->settings->data_dir, e);

	if (free_mb < 0)
		return -1;
	if (free_mb < n->settings->disk_reserve_mb)
		return err_set(e, ERR_LIMIT, "%lld MiB free in %s, disk_reserve_mb is %lld: nothing new is taken until there is room",
		    (long long)free_mb, n->settings->data_dir, (long long)n->settings->disk_reserve_mb);
	return 0;
}
