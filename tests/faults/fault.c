/* Preloaded by tests/faults/faults.py into segand and its worker: makes a call that changes the disk fail at one place of the program. A place is the call and
 * the stack of return addresses above it, so SQLite's and DCMTK's own calls count by who asked for them. Only files below $FAULT_DIR are looked at.
 *   FAULT_RECORD=FILE   every place that is reached is written there, a line each: HASH CALL MODULE+OFFSET...
 *   FAULT_CONTROL=FILE  struct control, shared by all processes of a run: which place (0: every one), what errno, how often, how slow a sync is; counts failures
 * What libc does inside (fwrite's write) is not seen: the outer call is what fails. Not for programs under a sanitizer, which wraps the same calls. */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { DEPTH = 12, OURS = 3 /* site, fails, the wrapper's own frame */, MAX_FD = 4096, SEEN = 4096 };

struct control { uint64_t place; atomic_int error, left, failed, sync_ms; };

static const char *dir;
static size_t dir_length;
static int record_fd = -1;
static struct control *control;
static atomic_bool watched[MAX_FD];             /* descriptors of files below dir */
static atomic_ullong seen[SEEN];                /* places that were written already */
static _Thread_local bool inside;

__attribute__((constructor)) static void
begin(void)
{
	const char *record = getenv("FAULT_RECORD"), *shared = getenv("FAULT_CONTROL");
	void *warm[1];
	int fd;

	inside = true;
	(void)backtrace(warm, 1); /* loads what it needs now */
	if (record != NULL)
		record_fd = open(record, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (shared != NULL && (fd = open(shared, O_RDWR | O_CLOEXEC)) >= 0) {
		control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (control == MAP_FAILED)
			control = NULL;
		close(fd);
	}
	dir = getenv("FAULT_DIR");
	dir_length = dir != NULL ? strlen(dir) : 0;
	inside = false;
}

static bool
is_below(const char *path)
{
	return dir != NULL && path != NULL && strncmp(path, dir, dir_length) == 0 && path[dir_length] == '/';
}

static bool
is_watched(int fd)
{
	return fd >= 0 && fd < MAX_FD && atomic_load(&watched[fd]);
}

static int
note_fd(int fd, bool is_ours)
{
	if (fd >= 0 && fd < MAX_FD)
		atomic_store(&watched[fd], is_ours);
	return fd;
}

static void
write_place(uint64_t hash, const char *call, void *const *frames, int n)
{
	char line[2048];
	size_t used, i = hash % SEEN;
	unsigned long long nobody;

	for (;; i = (i + 1) % SEEN) {
		nobody = 0;
		if (atomic_load(&seen[i]) == hash)
			return;
		if (atomic_compare_exchange_strong(&seen[i], &nobody, hash))
			break;
	}
	used = (size_t)snprintf(line, sizeof line, "%016llx %s", (unsigned long long)hash, call);
	for (int k = OURS; k < n && used < sizeof line - 200; k++) {
		Dl_info info;
		if (dladdr(frames[k], &info) == 0)
			continue;
		used += (size_t)snprintf(line + used, sizeof line - used, " %.100s+0x%zx", strrchr(info.dli_fname, '/') != NULL ? strrchr(info.dli_fname, '/') + 1 : info.dli_fname,
		    (size_t)((char *)frames[k] - (char *)info.dli_fbase));
	}
	line[used++] = '\n';
	if (write(record_fd, line, used) < 0)
		_exit(99);
}

static __attribute__((noinline)) uint64_t
place_of(const char *call)
{
	void *frames[DEPTH + OURS];
	int n = backtrace(frames, DEPTH + OURS);
	uint64_t hash = 0xcbf29ce484222325u;

	for (const char *p = call; *p != 0; p++)
		hash = (hash ^ (unsigned char)*p) * 0x100000001b3u;
	for (int i = OURS; i < n; i++) {
		Dl_info info;
		if (dladdr(frames[i], &info) != 0)
			hash = (hash ^ (uint64_t)((char *)frames[i] - (char *)info.dli_fbase)) * 0x100000001b3u;
	}
	if (record_fd >= 0)
		write_place(hash, call, frames, n);
	return hash;
}

/* True: the caller returns its failure, errno is set. */
static __attribute__((noinline)) bool
fails(const char *call)
{
	bool does = false;

	if (inside || (record_fd < 0 && control == NULL))
		return false;
	inside = true;
	if (record_fd >= 0 || atomic_load(&control->left) > 0) {
		uint64_t place = place_of(call);
		if (control != NULL && control->place == 0)
			does = atomic_load(&control->left) > 0;
		else
			does = control != NULL && control->place == place && atomic_fetch_sub(&control->left, 1) > 0;
	}
	inside = false;
	if (does) {
		atomic_fetch_add(&control->failed, 1);
		errno = atomic_load(&control->error);
	}
	return does;
}

static bool
sync_fails(const char *call)
{
	int ms = control != NULL ? atomic_load(&control->sync_ms) : 0;

	nanosleep(&(struct timespec) { ms / 1000, ms % 1000 * 1000000L }, NULL);
	return fails(call);
}

#define REAL(name) \
	static __typeof__(name) *real; \
	if (real == NULL) \
		real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* ---- by descriptor ---- */

#define WRAP_FD(type, name, declared, given, is_failing) \
	type name declared \
	{ \
		REAL(name); \
		return is_watched(fd) && is_failing(#name) ? -1 : real given; \
	}
WRAP_FD(ssize_t, write, (int fd, const void *bytes, size_t n), (fd, bytes, n), fails)
WRAP_FD(ssize_t, writev, (int fd, const struct iovec *parts, int n), (fd, parts, n), fails)
WRAP_FD(ssize_t, pwrite, (int fd, const void *bytes, size_t n, off_t at), (fd, bytes, n, at), fails)
WRAP_FD(ssize_t, pwrite64, (int fd, const void *bytes, size_t n, off64_t at), (fd, bytes, n, at), fails)
WRAP_FD(int, ftruncate, (int fd, off_t n), (fd, n), fails)
WRAP_FD(int, ftruncate64, (int fd, off64_t n), (fd, n), fails)
WRAP_FD(int, fsync, (int fd), (fd), sync_fails)
WRAP_FD(int, fdatasync, (int fd), (fd), sync_fails)

int
close(int fd)
{
	REAL(close);
	note_fd(fd, false);
	return real(fd);
}

/* ---- by path ---- */

#define WRAP_PATH(type, name, declared, given, path) \
	type name declared \
	{ \
		REAL(name); \
		return is_below(path) && fails(#name) ? -1 : real given; \
	}
WRAP_PATH(int, rename, (const char *from, const char *to), (from, to), to)
WRAP_PATH(int, link, (const char *from, const char *to), (from, to), to)
WRAP_PATH(int, unlink, (const char *path), (path), path)
WRAP_PATH(int, rmdir, (const char *path), (path), path)
WRAP_PATH(int, mkdir, (const char *path, mode_t mode), (path, mode), path)
WRAP_PATH(int, truncate, (const char *path, off_t n), (path, n), path)
WRAP_PATH(int, truncate64, (const char *path, off64_t n), (path, n), path)

/* Opening to read makes nothing, but a descriptor of it may be synced. */
#define WRAP_OPEN(name) \
	int name(const char *path, int flags, ...) \
	{ \
		REAL(name); \
		mode_t mode = 0; \
		va_list ap; \
		va_start(ap, flags); \
		if ((flags & (O_CREAT | O_TMPFILE)) != 0) \
			mode = va_arg(ap, mode_t); \
		va_end(ap); \
		if ((flags & O_CREAT) != 0 && is_below(path) && fails(#name)) \
			return -1; \
		return note_fd(real(path, flags, mode), is_below(path)); \
	}
WRAP_OPEN(open)
WRAP_OPEN(open64)

#define WRAP_TEMPORARY(name, declared, given) \
	int name declared \
	{ \
		REAL(name); \
		return is_below(path) && fails(#name) ? -1 : note_fd(real given, is_below(path)); \
	}
WRAP_TEMPORARY(mkstemp, (char *path), (path))
WRAP_TEMPORARY(mkstemp64, (char *path), (path))
WRAP_TEMPORARY(mkostemp, (char *path, int flags), (path, flags))
WRAP_TEMPORARY(mkostemp64, (char *path, int flags), (path, flags))

/* ---- streams ---- */

#define WRAP_FOPEN(name) \
	FILE *name(const char *path, const char *mode) \
	{ \
		REAL(name); \
		FILE *f; \
		if (strpbrk(mode, "wa+") != NULL && is_below(path) && fails(#name)) \
			return NULL; \
		f = real(path, mode); \
		if (f != NULL) \
			note_fd(fileno(f), is_below(path)); \
		return f; \
	}
WRAP_FOPEN(fopen)
WRAP_FOPEN(fopen64)

size_t
fwrite(const void *bytes, size_t size, size_t n, FILE *f)
{
	REAL(fwrite);
	return is_watched(fileno(f)) && fails("fwrite") ? 0 : real(bytes, size, n, f);
}

int
fflush(FILE *f)
{
	REAL(fflush);
	return f != NULL && is_watched(fileno(f)) && fails("fflush") ? EOF : real(f);
}

int
fclose(FILE *f)
{
	REAL(fclose);
	bool does = is_watched(fileno(f)) && fails("fclose");
	int result, kept = errno;

	note_fd(fileno(f), false);
	result = real(f);
	if (!does)
		return result;
	errno = kept;
	return EOF;
}
