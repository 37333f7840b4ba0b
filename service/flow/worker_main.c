/* The worker process: orders in on stdin, answers out on stdout. It needs nothing but files: no database, no network, no configuration. It keeps the
 * last model loaded, dies with the daemon, and gives up its rights before it reads the first order. A crash here costs one attempt of one job. */
#include "service/flow/worker.h"

#include "config/file.h"
#include "config/log.h"
#include "dicom/dicom.h"
#include "service/flow/worker_order.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

struct loaded {
	FILE *answers;             /* what was stdout: stray words of a library go to stderr instead */
	struct manifest manifest;  /* of the last order */
	struct segmentor *segmentor;
	int64_t threads;
};

/* No socket, no other program, no signal to and no look into other processes. What remains is files, with the rights of the daemon's user. */
static int
give_up_rights(struct err *e)
{
	static const int refused[] = { SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4),
		SCMP_SYS(io_uring_setup) /* sockets by another door */, SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(kill), SCMP_SYS(pidfd_send_signal), SCMP_SYS(pidfd_getfd),
		SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev) };
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int rc = filter == NULL ? -ENOMEM : 0;

	for (size_t i = 0; i < sizeof refused / sizeof *refused && rc == 0; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
	if (rc == 0)
		rc = seccomp_load(filter); /* sets PR_SET_NO_NEW_PRIVS */
	seccomp_release(filter);
	errno = -rc;
	return rc == 0 ? 0 : err_errno(e, "worker: loading the system call filter");
}

static int
set_limits(int64_t memory_mb, struct err *e)
{
	struct rlimit memory = { (rlim_t)memory_mb << 20, (rlim_t)memory_mb << 20 }, none = { 0, 0 };

	if (memory_mb > 0 && setrlimit(RLIMIT_AS, &memory) != 0)
		return err_errno(e, "worker: limiting memory to %lld MB", (long long)memory_mb);
	return setrlimit(RLIMIT_CORE, &none) == 0 ? 0 : err_errno(e, "worker: switching core files off");
}

/* The limit counts from the process's start, so every order moves it on. Beyond it the process ends by SIGXCPU. */
static void
arm_cpu_limit(int64_t seconds)
{
	struct rusage used;
	struct rlimit limit;

	if (seconds <= 0 || getrusage(RUSAGE_SELF, &used) != 0 || getrlimit(RLIMIT_CPU, &limit) != 0)
		return;
	limit.rlim_cur = (rlim_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec + 1 + seconds);
	setrlimit(RLIMIT_CPU, &limit);
}

/* takes line */
static int
say(FILE *answers, char *line)
{
	int rc;

	if (line == NULL)
		return -1;
	rc = fprintf(answers, "%s\n", line) < 0 || fflush(answers) != 0 ? -1 : 0;
	free(line);
	return rc;
}

static FILE *
take_stdout(struct err *e)
{
	int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	FILE *answers = fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ? NULL : fdopen(fd, "w");

	if (answers == NULL)
		err_errno(e, "worker: taking over stdout");
	return answers;
}

static int
say_progress(void *arg, size_t done, size_t total)
{
	struct err e;

	return say(arg, answer_progress((double)done / (double)total, &e));
}

static int
load_model(struct loaded *l, const struct order *o, struct err *e)
{
	struct manifest m;

	if (manifest_load(o->model_dir, &m, e) != 0)
		return -1;
	if (l->segmentor != NULL && strcmp(m.weights_sha256, l->manifest.weights_sha256) == 0 && strcmp(m.dir, l->manifest.dir) == 0 && l->threads == o->threads) {
		l->manifest = m;
		return 0;
	}
	segmentor_free(l->segmentor);
	l->manifest = m;
	l->threads = o->threads;
	l->segmentor = segmentor_load(&l->manifest, (unsigned)o->threads, e);
	return l->segmentor == NULL ? -1 : 0;
}

static int
work(struct loaded *l, const struct order *o, struct segment_result *result, struct err *e)
{
	char paths[RESULT_N_KINDS][sizeof o->out_dir + RESULT_FILE], preview[sizeof o->out_dir + RESULT_FILE], name[RESULT_FILE];
	struct segment_request r = { .channels = o->channels, .n_channels = o->n_channels, .identity = o->identity, .node_id = o->node_id,
		.created_ms = o->created_ms, .preview_path = preview, .empty_report = o->empty_report,
		.rejects_strangers = o->rejects_strangers };

	arm_cpu_limit(o->cpu_seconds);
	for (size_t i = 0; i < RESULT_N_KINDS; i++) {
		result_file_name((enum result_kind)i, 1, name);
		snprintf(paths[i], sizeof paths[i], result_kind_is_series((enum result_kind)i) ? "%s" : "%s/%s", o->out_dir, name);
		r.paths[i] = o->results & RESULT_SET(i) ? paths[i] : NULL;
	}
	snprintf(preview, sizeof preview, "%s/preview.png", o->out_dir);
	if (load_model(l, o, e) != 0)
		return -1;
	r.manifest = &l->manifest;
	r.segmentor = l->segmentor;
	return segment_case(&r, result, say_progress, l->answers, e);
}

/* One order. Returns -1 when nobody listens any more. */
static int
obey(struct loaded *l, const char *line, size_t n)
{
	struct order o;
	struct segment_result result = { 0 };
	struct err e, unsaid;
	int rc;

	if (order_parse(line, n, &o, &e) == 0 && work(l, &o, &result, &e) == 0)
		rc = say(l->answers, answer_result(&result, &unsaid));
	else
		rc = say(l->answers, answer_error(&e, &result, &unsaid));
	order_release(&o);
	return rc;
}

int
worker_main(int argc, char **argv)
{
	struct loaded loaded = { 0 };
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	struct err e;

	if (argc != 4) {
		fprintf(stderr, "segand --worker PARENT MEMORY_MB is started by segand itself\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != (pid_t)strtol(argv[2], NULL, 10))
		return 1;                  /* the daemon died before the line above */
	if ((loaded.answers = take_stdout(&e)) == NULL || set_limits(strtoll(argv[3], NULL, 10), &e) != 0 || dicom_start(&e) != 0 || give_up_rights(&e) != 0) {
		log_event(LOG_ERROR, "worker_start_failed", "text=\"%s\"", e.text);
		return 1;
	}
	while ((n = getline(&line, &room, stdin)) > 0)
		if (obey(&loaded, line, (size_t)n) != 0)
			break;
	free(line);
	segmentor_free(loaded.segmentor);
	return 0;
}
