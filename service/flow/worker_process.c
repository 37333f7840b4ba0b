/* One worker process as its feeder sees it. posix_spawn, never fork: the daemon has threads. */
#include "service/flow/worker_process.h"

#include "config/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIECE = 64 << 10, MAX_LINE = 1 << 20 };

extern char **environ;

/* The environment without OpenBLAS's variables, then ours (LEADS: setenv inside the program is too late). caller: free, and the texts at the end. */
static char **
make_environment(const char *core_type, char core[96])
{
	size_t n = 0, k = 0;
	char **env;

	while (environ[n] != NULL)
		n++;
	if ((env = calloc(n + 3, sizeof *env)) == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "OPENBLAS_", 9) != 0)
			env[k++] = environ[i];
	env[k++] = "OPENBLAS_NUM_THREADS=1";
	if (core_type != NULL) {
		snprintf(core, 96, "OPENBLAS_CORETYPE=%s", core_type);
		env[k++] = core;
	}
	return env;
}

static const char *
or_empty(const char *s)
{
	return s == NULL ? "" : s;
}

long long
worker_process_memory_mb(long long wanted_mb)
{
	struct rlimit own;

	if (getrlimit(RLIMIT_AS, &own) != 0 || own.rlim_max == RLIM_INFINITY || own.rlim_max >> 20 >= (rlim_t)wanted_mb)
		return wanted_mb;
	return (long long)(own.rlim_max >> 20);
}

static int
spawn(struct worker_process *p, const struct worker_limits *l, int in, int out)
{
	char parent[24], memory[24], core[96];
	char *argv[] = { "segand", l->mode != NULL ? (char *)l->mode : "--worker", parent, memory, (char *)or_empty(l->data_dir), (char *)or_empty(l->models_dir), NULL };
	char **env = make_environment(l->core_type, core);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int rc;

	if (env == NULL)
		return ENOMEM;
	snprintf(parent, sizeof parent, "%ld", (long)getpid());
	snprintf(memory, sizeof memory, "%lld", worker_process_memory_mb(l->memory_mb));
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	rc = posix_spawn(&p->pid, "/proc/self/exe", &actions, &attributes, argv, env);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	free(env);
	return rc;
}

static void
close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

int
worker_process_start(struct worker_process *p, const struct worker_limits *l, struct err *e)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, rc;

	*p = (struct worker_process) { .to = -1, .from = -1 };
	/* Ours of the ends only: a flag of the open file, which a pipe's two ends do not share. */
	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || fcntl(in[1], F_SETFL, O_NONBLOCK) != 0)
		rc = errno;
	else
		rc = spawn(p, l, in[0], out[1]);
	close_if_open(in[0]);
	close_if_open(out[1]);
	if (rc == 0) {
		p->to = in[1];
		p->from = out[0];
		return 0;
	}
	close_if_open(in[1]);
	close_if_open(out[0]);
	p->pid = 0;
	errno = rc;
	return err_errno(e, "starting a worker process");
}

void
worker_process_kill(struct worker_process *p)
{
	siginfo_t ended;

	if (p->pid == 0)
		return;
	kill(p->pid, SIGKILL);
	while (waitid(P_PID, (id_t)p->pid, &ended, WEXITED | WNOWAIT) != 0 && errno == EINTR)
		;
}

bool
worker_process_lives(const struct worker_process *p)
{
	siginfo_t ended = { .si_pid = 0 };

	return p->pid != 0 && waitid(P_PID, (id_t)p->pid, &ended, WEXITED | WNOWAIT | WNOHANG) == 0 && ended.si_pid == 0;
}

void
worker_process_end(struct worker_process *p, char *how, size_t n_how)
{
	int status = 0;

	if (how != NULL)
		how[0] = '\0';
	if (p->pid == 0)
		return;
	kill(p->pid, SIGKILL);     /* changes nothing where it has ended already */
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (how != NULL && p->is_gone && WIFSIGNALED(status))
		snprintf(how, n_how, "the worker process was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (how != NULL && p->is_gone)
		snprintf(how, n_how, "the worker process ended with status %d", WEXITSTATUS(status));
	close(p->to);
	close(p->from);
	free(p->buffer);
	*p = (struct worker_process) { .to = -1, .from = -1 };
}

/* Until the other side is ready for `events`, or has gone: 0. */
static int
wait_for(int fd, short events, int64_t deadline_ms, struct err *e)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		int64_t left = deadline_ms - clock_monotonic_ms();
		int rc = left <= 0 ? 0 : poll(&p, 1, left > 60000 ? 60000 : (int)left);

		if (rc > 0)
			return 0;
		if (rc < 0 && errno != EINTR)
			return err_errno(e, "waiting for the worker process");
		if (clock_monotonic_ms() >= deadline_ms)
			return err_set(e, ERR_LIMIT, "the worker process said nothing new for too long (job_timeout)");
	}
}

static int
gone(struct worker_process *p, struct err *e)
{
	p->is_gone = true;
	return err_set(e, ERR_PEER, "the worker process is gone");
}

int
worker_process_tell(struct worker_process *p, const char *line, int64_t deadline_ms, struct err *e)
{
	size_t n = strlen(line), done = 0;

	while (done <= n) {                /* the line, then its end */
		ssize_t k = done < n ? write(p->to, line + done, n - done) : write(p->to, "\n", 1);
		if (k >= 0)
			done += (size_t)k;
		else if (errno == EPIPE)
			return gone(p, e);
		else if (errno == EAGAIN && wait_for(p->to, POLLOUT, deadline_ms, e) != 0)
			return -1;
		else if (errno != EAGAIN && errno != EINTR)
			return err_errno(e, "telling the worker process");
	}
	return 0;
}

/* More of what it says into the buffer. */
static int
fill(struct worker_process *p, int64_t deadline_ms, struct err *e)
{
	ssize_t k;

	if (p->room == p->n) {
		char *larger = p->room >= MAX_LINE ? NULL : realloc(p->buffer, p->room + PIECE);
		if (larger == NULL)
			return err_set(e, ERR_LIMIT, "the worker process said a line of over %zu bytes", p->room);
		p->buffer = larger;
		p->room += PIECE;
	}
	if (wait_for(p->from, POLLIN, deadline_ms, e) != 0)
		return -1;
	k = read(p->from, p->buffer + p->n, p->room - p->n);
	if (k == 0)
		return gone(p, e);
	if (k < 0 && errno != EINTR)
		return err_errno(e, "hearing the worker process");
	p->n += k > 0 ? (size_t)k : 0;
	return 0;
}

const char *
worker_process_hear(struct worker_process *p, int64_t deadline_ms, size_t *n, struct err *e)
{
	char *end;

	if (p->said > 0)
		memmove(p->buffer, p->buffer + p->said, p->n - p->said);
	p->n -= p->said;
	p->said = 0;
	while (p->n == 0 || (end = memchr(p->buffer, '\n', p->n)) == NULL)
		if (fill(p, deadline_ms, e) != 0)
			return NULL;
	*end = '\0';
	*n = (size_t)(end - p->buffer);
	p->said = *n + 1;
	return p->buffer;
}
