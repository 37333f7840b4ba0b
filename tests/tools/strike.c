/* Ends segand, its worker or segan by SIGKILL at a named step, without a line in the product: LD_PRELOADed by tests/e2e/crash.sh, it stands before the calls by
 * which anything becomes durable or is answered.
 *   cc -shared -fPIC -o strike.so tests/tools/strike.c
 *   STRIKE_ARM=FILE    steps count while this file exists
 *   STRIKE_LOG=FILE    gets a line a counted step: its name, as "daemon.fsync.tmp": who, which call, on what
 *   STRIKE_DONE=FILE   gets a byte at the strike; where it has one nobody is struck: a worker that follows one that died is not
 *   STRIKE_AT=NAME:N:WHEN    the N-th step of that name since the process's start: before it, "half" (of what is to be written), or after
 * On what: tmp, spool, work, results, db, wal and aside (folders and files below a "data" folder), in and out (sockets that were accepted, connected). */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum when { NEVER, BEFORE, HALF, AFTER };
enum { MAX_FD = 65536 };

static const char *who, *arm;
static char wanted[64];
static long wanted_n;
static enum when wanted_when;
static atomic_long n_met;
static int log_fd = -1, done_fd = -1;
static char sockets[MAX_FD];   /* 'i' accepted, 'o' connected */

__attribute__((constructor)) static void
begin(void)
{
	char exe[PATH_MAX] = "", line[200] = "";
	const char *at = getenv("STRIKE_AT"), *log = getenv("STRIKE_LOG"), *done = getenv("STRIKE_DONE");
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	bool is_segan;

	if (n < 7 || (strcmp(exe + n - 7, "/segand") != 0 && strcmp(exe + n - 6, "/segan") != 0) || fd < 0)
		return;
	is_segan = exe[n - 1] == 'n';
	if ((n = read(fd, line, sizeof line - 1)) <= 0)
		return;
	close(fd);
	n = (ssize_t)strlen(line) + 1;
	who = is_segan ? "segan" : strcmp(line + n, "--worker") == 0 ? "worker" : strcmp(line + n, "--compare") == 0 ? "compare" : "daemon";
	arm = getenv("STRIKE_ARM");
	if (log != NULL)
		log_fd = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (done != NULL) /* both before the sandbox closes the folder */
		done_fd = open(done, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (at != NULL && strchr(at, ':') != NULL && lseek(done_fd, 0, SEEK_END) == 0) {
		snprintf(wanted, sizeof wanted, "%.*s", (int)(strchr(at, ':') - at), at);
		wanted_n = strtol(strchr(at, ':') + 1, NULL, 10);
		at = strrchr(at, ':') + 1;
		wanted_when = strcmp(at, "before") == 0 ? BEFORE : strcmp(at, "half") == 0 ? HALF : AFTER;
	}
}

static const char *
class_of_path(const char *path)
{
	static const struct { const char *part, *name; } known[] = { { "/data/tmp", "tmp" }, { "/data/spool", "spool" }, { "/data/work", "work" }, { "/data/results", "results" },
		{ "/data/segand.db-wal", "wal" }, { "/data/segand.db-shm", NULL }, { "/data/segand.db", "db" }, { "/data/replaced-", "aside" } };

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strstr(path, known[i].part) != NULL)
			return known[i].name;
	return NULL;
}

static const char *
class_of(int fd, char path[PATH_MAX])
{
	char link[40];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	path[n < 0 ? 0 : n] = '\0';
	if (strncmp(path, "socket:", 7) == 0)
		return fd >= 0 && fd < MAX_FD ? sockets[fd] == 'i' ? "in" : sockets[fd] == 'o' ? "out" : NULL : NULL;
	return class_of_path(path);
}

static void
die(void)
{
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGKILL);
}

/* Counts the step. When it is the one: dies, or says when to. */
static enum when
step(const char *call, const char *class)
{
	char name[80];
	int n;

	if (who == NULL || class == NULL || (arm != NULL && access(arm, F_OK) != 0))
		return NEVER;
	n = snprintf(name, sizeof name - 1, "%s.%s.%s", who, call, class);
	if (log_fd >= 0) {
		name[n] = '\n';
		(void)!syscall(SYS_write, log_fd, name, n + 1);
		name[n] = '\0';
	}
	if (wanted_when == NEVER || strcmp(name, wanted) != 0 || atomic_fetch_add(&n_met, 1) + 1 != wanted_n)
		return NEVER;
	(void)!syscall(SYS_write, done_fd, "x", 1);
	if (wanted_when == BEFORE)
		die();
	return wanted_when;
}

static enum when
step_fd(const char *call, int fd)
{
	char path[PATH_MAX];
	int kept = errno;
	enum when w = who == NULL ? NEVER : step(call, class_of(fd, path));

	errno = kept;
	return w;
}

static enum when
step_path(const char *call, const char *path)
{
	int kept = errno;
	enum when w = step(call, class_of_path(path));

	errno = kept;
	return w;
}

static size_t
part(enum when w, size_t n)
{
	return w == HALF ? n / 2 : n;
}

static long
ends(enum when w, long result)
{
	if (w != NEVER)
		die();
	return result;
}

/* ---- the calls ---- */

#define EXPORT __attribute__((visibility("default")))

EXPORT ssize_t write(int fd, const void *b, size_t n) { enum when w = step_fd("write", fd); return ends(w, syscall(SYS_write, fd, b, part(w, n))); }
EXPORT ssize_t pwrite(int fd, const void *b, size_t n, off_t at) { enum when w = step_fd("write", fd); return ends(w, syscall(SYS_pwrite64, fd, b, part(w, n), at)); }
EXPORT ssize_t pwrite64(int fd, const void *b, size_t n, off64_t at) { enum when w = step_fd("write", fd); return ends(w, syscall(SYS_pwrite64, fd, b, part(w, n), at)); }
EXPORT ssize_t writev(int fd, const struct iovec *v, int n) { enum when w = step_fd("write", fd); return ends(w, syscall(SYS_writev, fd, v, w == HALF ? 1 : n)); }
EXPORT ssize_t send(int fd, const void *b, size_t n, int flags) { enum when w = step_fd("send", fd); return ends(w, syscall(SYS_sendto, fd, b, part(w, n), flags, NULL, 0)); }
EXPORT ssize_t sendmsg(int fd, const struct msghdr *m, int flags) { enum when w = step_fd("send", fd); return ends(w, syscall(SYS_sendmsg, fd, m, flags)); }
EXPORT int fsync(int fd) { enum when w = step_fd("fsync", fd); return (int)ends(w, syscall(SYS_fsync, fd)); }
EXPORT int fdatasync(int fd) { enum when w = step_fd("fsync", fd); return (int)ends(w, syscall(SYS_fdatasync, fd)); }
EXPORT int ftruncate(int fd, off_t n) { enum when w = step_fd("truncate", fd); return (int)ends(w, syscall(SYS_ftruncate, fd, n)); }
EXPORT int ftruncate64(int fd, off64_t n) { enum when w = step_fd("truncate", fd); return (int)ends(w, syscall(SYS_ftruncate, fd, n)); }
EXPORT int rename(const char *from, const char *to) { enum when w = step_path("rename", to); return (int)ends(w, syscall(SYS_rename, from, to)); }
EXPORT int link(const char *from, const char *to) { enum when w = step_path("link", to); return (int)ends(w, syscall(SYS_link, from, to)); }
EXPORT int unlink(const char *path) { enum when w = step_path("unlink", path); return (int)ends(w, syscall(SYS_unlink, path)); }
EXPORT int unlinkat(int dir, const char *path, int flags) { enum when w = step_fd("unlink", dir); return (int)ends(w, syscall(SYS_unlinkat, dir, path, flags)); }
EXPORT int mkdir(const char *path, mode_t mode) { enum when w = step_path("mkdir", path); return (int)ends(w, syscall(SYS_mkdir, path, mode)); }

/* The worker's answers go through stdio. */
EXPORT int
fflush(FILE *f)
{
	int (*libc)(FILE *) = (int (*)(FILE *))dlsym(RTLD_NEXT, "fflush");
	enum when w = f != NULL && who != NULL && strcmp(who, "worker") == 0 ? step("answer", "daemon") : NEVER;

	return (int)ends(w, libc(f));
}

static int
mark(int fd, char what)
{
	if (fd >= 0 && fd < MAX_FD)
		sockets[fd] = what;
	return fd;
}

EXPORT int accept4(int fd, struct sockaddr *a, socklen_t *n, int flags) { return mark((int)syscall(SYS_accept4, fd, a, n, flags), 'i'); }
EXPORT int accept(int fd, struct sockaddr *a, socklen_t *n) { return mark((int)syscall(SYS_accept, fd, a, n), 'i'); }

EXPORT int
connect(int fd, const struct sockaddr *a, socklen_t n)
{
	enum when w;

	mark(fd, 'o');
	w = step_fd("connect", fd);
	return (int)ends(w, syscall(SYS_connect, fd, a, n));
}
