/* Files that survive a crash. The order that makes a file durable: write, fsync of the file, rename, fsync of the folder that names it. */
#include "config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { FILE_PATH_MAX = 4096, FIRST_BLOCK = 4096 };

static int
cannot_open(const char *path, struct err *e)
{
	if (errno == ENOENT || errno == ENOTDIR)
		return err_set(e, ERR_NOT_FOUND, "there is no file %s", path);
	return err_errno(e, "opening %s", path);
}

/* Reads to the end of fd; the buffer is one byte longer than what is in it. */
static char *
read_all(int fd, size_t first, size_t max_bytes, const char *path, size_t *n, struct err *e)
{
	size_t have = first + 1, used = 0;
	char *bytes = malloc(have);

	while (bytes != NULL) {
		ssize_t got = read(fd, bytes + used, have - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			err_errno(e, "reading %s", path);
			break;
		}
		used += (size_t)got;
		if (used > max_bytes) {
			err_set(e, ERR_LIMIT, "%s is longer than the %zu bytes allowed", path, max_bytes);
			break;
		}
		if (got == 0) {
			bytes[used] = 0;
			*n = used;
			return bytes;
		}
		if (used == have) {
			char *longer = realloc(bytes, have * 2); /* have <= max_bytes here */
			if (longer == NULL) {
				err_set(e, ERR_LIMIT, "no memory to read %s", path);
				break;
			}
			bytes = longer;
			have *= 2;
		}
	}
	if (bytes == NULL)
		err_set(e, ERR_LIMIT, "no memory to read %s", path);
	free(bytes);
	return NULL;
}

char *
file_read(const char *path, size_t max_bytes, size_t *n, struct err *e)
{
	struct stat st;
	char *bytes = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		cannot_open(path, e);
		return NULL;
	}
	if (fstat(fd, &st) != 0)
		err_errno(e, "looking at %s", path);
	else if (S_ISREG(st.st_mode) && (size_t)st.st_size > max_bytes)
		err_set(e, ERR_LIMIT, "%s is longer than the %zu bytes allowed", path, max_bytes);
	else
		bytes = read_all(fd, S_ISREG(st.st_mode) ? (size_t)st.st_size : FIRST_BLOCK, max_bytes, path, n, e);
	close(fd);
	return bytes;
}

int
file_read_at(int fd, uint64_t at, void *bytes, size_t n, struct err *e)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = pread(fd, (char *)bytes + done, n - done, (off_t)(at + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? err_errno(e, "reading the file") : err_set(e, ERR_INPUT, "the file became shorter while it was read");
		done += (size_t)got;
	}
	return 0;
}

static int
open_and_sync(const char *path, int flags, int (*sync)(int), struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | flags), result = 0;

	if (fd < 0)
		return cannot_open(path, e);
	if (sync(fd) != 0)
		result = err_errno(e, "making %s safe on disk", path);
	close(fd);
	return result;
}

int
file_sync_dir(const char *dir, struct err *e)
{
	return open_and_sync(dir, O_DIRECTORY, fsync, e);
}

/* The folder that names path: "a/b" -> "a", "b" -> ".", "/b" -> "/", "a/b/" -> "a". */
static int
folder_of(const char *path, char dir[FILE_PATH_MAX], struct err *e)
{
	size_t n = strlen(path);

	if (n >= FILE_PATH_MAX)
		return err_set(e, ERR_INPUT, "the path %.60s... is too long", path);
	while (n > 1 && path[n - 1] == '/')
		n--;
	while (n > 0 && path[n - 1] != '/')
		n--;
	while (n > 1 && path[n - 1] == '/')
		n--;
	if (n == 0)
		snprintf(dir, FILE_PATH_MAX, ".");
	else
		snprintf(dir, FILE_PATH_MAX, "%.*s", (int)n, path);
	return 0;
}

/* Never a device, a pipe or a folder by a file: as root, a rename to /dev/null would succeed. */
static int
may_replace(const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return err_set(e, ERR_INPUT, "%s is there and is not a regular file", path);
	return 0;
}

/* Gives from its final name; from is already synced. The folder it leaves needs no fsync: at worst a power cut brings the old name back as well. */
static int
rename_and_sync(const char *from, const char *to, struct err *e)
{
	char dir[FILE_PATH_MAX];

	if (may_replace(to, e) != 0 || folder_of(to, dir, e) != 0)
		return -1;
	if (rename(from, to) != 0)
		return err_errno(e, "renaming %s to %s", from, to);
	return file_sync_dir(dir, e);
}

int
file_commit(const char *from, const char *to, struct err *e)
{
	if (open_and_sync(from, 0, fsync, e) != 0)
		return -1;
	return rename_and_sync(from, to, e);
}

/* A new file beside path, with the mode that the umask leaves. A name left by a crash is passed over. */
static int
open_beside(const char *path, char temporary[FILE_PATH_MAX], struct err *e)
{
	static atomic_uint counter;
	int fd = -1;

	do {
		int n = snprintf(temporary, FILE_PATH_MAX, "%s.tmp-%ld-%u", path, (long)getpid(), atomic_fetch_add(&counter, 1));
		if (n < 0 || n >= FILE_PATH_MAX)
			return err_set(e, ERR_INPUT, "the path %.60s... is too long", path);
		fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	} while (fd < 0 && errno == EEXIST);
	if (fd < 0)
		return err_errno(e, "creating %s", path);
	return fd;
}

static int
write_and_sync(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t put = write(fd, bytes, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		bytes += put;
		n -= (size_t)put;
	}
	return fsync(fd);
}

int
file_write(const char *path, const void *bytes, size_t n, struct err *e)
{
	char temporary[FILE_PATH_MAX];
	int fd, result;

	if (may_replace(path, e) != 0)
		return -1;
	fd = open_beside(path, temporary, e);
	if (fd < 0)
		return -1;
	result = write_and_sync(fd, bytes, n);
	if (result != 0)
		err_errno(e, "writing %s", path);
	if (close(fd) != 0 && result == 0)
		result = err_errno(e, "writing %s", path);
	if (result == 0)
		result = rename_and_sync(temporary, path, e);
	if (result != 0)
		unlink(temporary); /* gone already when only the folder's fsync failed */
	return result;
}

/* In the kernel where it can; pages are shared on file systems that know how. */
static int
copy_bytes(int from, int to)
{
	char bytes[1 << 16];
	ssize_t n;

	while ((n = copy_file_range(from, NULL, to, NULL, SSIZE_MAX / 2, 0)) > 0)
		;
	if (n == 0)
		return 0;
	if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return -1;
	for (;;) { /* from where the kernel stopped */
		if ((n = read(from, bytes, sizeof bytes)) <= 0) {
			if (n < 0 && errno == EINTR)
				continue;
			return (int)n;
		}
		for (ssize_t done = 0; done < n;) {
			ssize_t put = write(to, bytes + done, (size_t)(n - done));
			if (put < 0 && errno != EINTR)
				return -1;
			done += put > 0 ? put : 0;
		}
	}
}

int
file_copy(const char *from, const char *to, struct err *e)
{
	struct timespec times[2];
	struct stat st;
	int in = open(from, O_RDONLY | O_CLOEXEC), out, result = 0;

	if (in < 0)
		return cannot_open(from, e);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0) {
		err_errno(e, "creating %s", to);
		close(in);
		return -1;
	}
	if (fstat(in, &st) != 0 || copy_bytes(in, out) != 0) {
		result = err_errno(e, "copying %s to %s", from, to);
	} else {
		times[0] = st.st_atim;
		times[1] = st.st_mtim;
		if (futimens(out, times) != 0)
			result = err_errno(e, "setting the time of %s", to);
	}
	close(in);
	if (close(out) != 0 && result == 0)
		result = err_errno(e, "writing %s", to);
	if (result != 0)
		unlink(to);
	return result;
}

int
file_sync_all(const char *dir, struct err *e)
{
	return open_and_sync(dir, O_DIRECTORY, syncfs, e);
}

static int
make_dir(const char *dir, unsigned mode, struct err *e)
{
	char parent[FILE_PATH_MAX];
	struct stat st;
	int reason;

	if (mkdir(dir, mode) == 0)
		return folder_of(dir, parent, e) != 0 ? -1 : file_sync_dir(parent, e);
	reason = errno;
	if (stat(dir, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	errno = reason == EEXIST ? ENOTDIR : reason;
	return err_errno(e, "making the folder %s", dir);
}

int
file_make_dirs(const char *dir, unsigned mode, struct err *e)
{
	char part[FILE_PATH_MAX];
	size_t n = strlen(dir);

	if (n == 0 || n >= sizeof part)
		return err_set(e, ERR_INPUT, "the path '%.60s' is empty or too long", dir);
	memcpy(part, dir, n + 1);
	for (size_t i = 1; i < n; i++) {
		if (part[i] != '/' || part[i - 1] == '/')
			continue;
		part[i] = 0;
		if (make_dir(part, mode, e) != 0)
			return -1;
		part[i] = '/';
	}
	return make_dir(part, mode, e);
}

bool
file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static int
remove_entry(const FTSENT *entry, struct err *e)
{
	int result;

	switch (entry->fts_info) {
	case FTS_D:
		return 0; /* its content first: it comes again as FTS_DP */
	case FTS_DP:
		result = rmdir(entry->fts_path);
		break;
	case FTS_DNR:
	case FTS_ERR:
		errno = entry->fts_errno;
		result = -1;
		break;
	default:
		result = unlink(entry->fts_path);
	}
	return result == 0 || errno == ENOENT ? 0 : err_errno(e, "removing %s", entry->fts_path);
}

int
file_remove_tree(const char *dir, struct err *e)
{
	char *const roots[] = { (char *)dir, NULL };
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, NULL);
	FTSENT *entry;
	int result = 0;

	if (walk == NULL)
		return err_errno(e, "walking %s", dir);
	while (result == 0 && (errno = 0, entry = fts_read(walk)) != NULL)
		result = remove_entry(entry, e);
	if (result == 0 && errno != 0)
		result = err_errno(e, "walking %s", dir);
	fts_close(walk);
	return result;
}

static int
by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int
walk_entry(const FTSENT *entry, int (*fn)(void *arg, const char *path, struct err *e), void *arg, struct err *e)
{
	switch (entry->fts_info) {
	case FTS_F:
		return fn(arg, entry->fts_path, e);
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		if (entry->fts_errno == ENOENT && entry->fts_level > 0)
			return 0; /* removed while we walked */
		errno = entry->fts_errno;
		if (errno == ENOENT || errno == ENOTDIR)
			return err_set(e, ERR_NOT_FOUND, "there is no file or folder %s", entry->fts_path);
		return err_errno(e, "reading %s", entry->fts_path);
	default:
		return 0;
	}
}

int
file_walk(const char *dir, int (*fn)(void *arg, const char *path, struct err *e), void *arg, struct err *e)
{
	char *const roots[] = { (char *)dir, NULL };
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
	FTSENT *entry;
	int result = 0;

	if (walk == NULL)
		return err_errno(e, "walking %s", dir);
	while (result == 0 && (errno = 0, entry = fts_read(walk)) != NULL)
		result = walk_entry(entry, fn, arg, e);
	if (result == 0 && errno != 0)
		result = err_errno(e, "walking %s", dir);
	fts_close(walk);
	return result;
}

int64_t
file_free_mb(const char *dir, struct err *e)
{
	struct statvfs st;

	if (statvfs(dir, &st) != 0)
		return err_errno(e, "asking for the free space at %s", dir);
	return (int64_t)((unsigned long long)st.f_bavail * st.f_frsize >> 20);
}
