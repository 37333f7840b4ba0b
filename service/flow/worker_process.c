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
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_LINE = 1 << 20 };

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

static int
spawn(struct worker_process *p, const struct worker_limits *l, int in, int out)
{
	char parent[24], memory[24], core[96];
	char *argv[] = { "segand", "--worker", parent, memory, NULL };
	char **env = make_environment(l->core_type, core);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int rc;

	if (env == NULL)
		return ENOMEM;
	snprintf(parent, sizeof parent, "%ld", (long)getpid());
	snprintf(memory, sizeof memory, "%lld", l->memory_mb);
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

int
worker_process_start(struct worker_process *p, const struct worker_limits *l, struct err *e)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };

	*p = (struct worker_process) { .to = -1, .from = -1 };
	if (pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0)
		errno = spawn(p, l, in[0], out[1]);
	if (in[0] >= 0)
		close(in[0]);
	if (out[1] >= 0)
		close(out[1]);
	if (errno != 0 || p->pid <= 0) {
		err_errno(e, "starting a worker process");
		if (in[1] >= 0)
			close(in[1]);
		if (out[0] >= 0)
			close(out[0]);
		p->pid = 0;
		return -1;
	}
	p->to = in[1];
	p->from = out[0];
	return 0;
}

void
worker_process_end(struct worker_process *p, char *how, size_t n_how)
{
	int status = 0;

	if (p->pid == 0)
		return;
	kill(p->pid, SIGKILL);
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (how != NULL && WIFSIGNALED(status))
		snprintf(how, n_how, "the worker process was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (how != NULL)
		snprintf(how, n_how, "the worker process ended with status %d", WEXITSTATUS(status));
	close(p->to);
	close(p->from);
	free(p->buffer);
	*p = (struct worker_process) { .to = -1, .from = -1 };
}

int
worker_process_tell(struct worker_process *p, const char *line, struct err *e)
{
	size_t n = strlen(line), done = 0;

	while (done <= n) {                /* the line, then its end */
		ssize_t k = done < n ? write(p->to, line + done, n - done) : write(p->to, "\n", 1);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_set(e, ERR_PEER, "the worker process does not listen: %s", strerror(errno));
		done += (size_t)k;
	}
	return 0;
}

/* More of what it says into the buffer, until a line end is there. */
static int
fill(struct worker_process *p, int64_t deadline_ms, struct err *e)
{
	struct pollfd fd = { .fd = p->from, .events = POLLIN };
	int64_t left = deadline_ms - clock_monotonic_ms();
	ssize_t k;
	int rc;

	if (p->room - p->n < 4096) {
		char *larger = p->room >= MAX_LINE ? NULL : realloc(p->buffer, p->room + 65536);
		if (larger == NULL)
			return err_set(e, ERR_LIMIT, "the worker process said a line of over %zu bytes", p->room);
		p->buffer = larger;
		p->room += 65536;
	}
	rc = left <= 0 ? 0 : poll(&fd, 1, left > 60000 ? 60000 : (int)left);
	if (rc < 0 && errno != EINTR)
		return err_errno(e, "waiting for the worker process");
	if (rc <= 0)
		return clock_monotonic_ms() < deadline_ms ? 0 : err_set(e, ERR_LIMIT, "the worker process was silent for too long (job_timeout)");
	k = read(p->from, p->buffer + p->n, p->room - p->n);
	if (k == 0 || (k < 0 && errno != EINTR))
		return err_set(e, ERR_PEER, "the worker process is gone");
	p->n += k > 0 ? (size_t)k : 0;
	return 0;
}

const char *
worker_process_hear(struct worker_process *p, int timeout_s, size_t *n, struct err *e)
{
	int64_t deadline_ms = clock_monotonic_ms() + (int64_t)timeout_s * 1000;
	char *end;

	/* The line handed out last still stands in front, its end turned into a 0: drop it. */
	if (p->n > 0 && (end = memchr(p->buffer, '\0', p->n)) != NULL) {
		size_t said = (size_t)(end - p->buffer) + 1;
		memmove(p->buffer, p->buffer + said, p->n - said);
		p->n -= said;
	}
	while (p->n == 0 || (end = memchr(p->buffer, '\n', p->n)) == NULL)
		if (fill(p, deadline_ms, e) != 0)
			return NULL;
	*end = '\0';
	*n = (size_t)(end - p->buffer);
	return p->buffer;
}
