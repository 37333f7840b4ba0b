/* Limits and rights of a child process: see sandbox.h. Not here: how it is started (worker_process.c), what it is for (worker_main.c, compare_main.c). */
#include "service/flow/sandbox.h"

#include "config/digest.h"
#include "config/log.h"
#include "dicom/bounds.h"
#include "dicom/dicom.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* What would reach beyond the process: sockets, other programs, other processes' memory, signals and limits, kernel doors that no computing needs. */
static int
refuse_calls(scmp_filter_ctx filter)
{
	static const int refused[] = { SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4),
		SCMP_SYS(io_uring_setup) /* sockets by another door */, SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(kill), SCMP_SYS(tkill), SCMP_SYS(rt_sigqueueinfo),
		SCMP_SYS(rt_tgsigqueueinfo), SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_send_signal), SCMP_SYS(pidfd_getfd), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
		SCMP_SYS(process_vm_writev), SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(mount), SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
		SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key) };
	const struct scmp_arg_cmp another_process = { .arg = 0, .op = SCMP_CMP_NE, .datum_a = (scmp_datum_t)getpid() }, not_self = { .arg = 0, .op = SCMP_CMP_NE };
	int rc = 0;

	for (size_t i = 0; i < sizeof refused / sizeof *refused && rc == 0; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
	/* To itself both are allowed: abort() signals, the CPU limit is moved on. */
	if (rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1, another_process);
	if (rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1, not_self);
	return rc;
}

static int
load_filter(struct err *e)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int rc = filter == NULL ? -ENOMEM : refuse_calls(filter);

	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	errno = -rc;
	return rc == 0 ? 0 : err_errno(e, "loading the system call filter");
}

int
sandbox_files(const struct landlock_path *paths, size_t n, struct err *e)
{
	static const char *const system[] = { "/usr/lib", "/lib", "/lib64" };
	enum { N_SYSTEM = sizeof system / sizeof *system };
	struct landlock_path *all = calloc(n + N_SYSTEM, sizeof *all);
	int rc;

	if (all == NULL)
		return err_set(e, ERR_LIMIT, "no memory for %zu paths", n);
	for (size_t i = 0; i < N_SYSTEM; i++)
		all[i].path = system[i];
	for (size_t i = 0; i < n; i++)
		all[N_SYSTEM + i] = paths[i];
	rc = landlock_restrict(all, n + N_SYSTEM, e);
	free(all);
	return rc;
}

/* What libraries read of the system once is read before: the time zone, and what libcrypto is configured with. */
static int
give_up_files(const char *data_dir, const char *models_dir, struct err *e)
{
	static const char *const below[] = { "spool", "tmp", "models", "work" };
	enum { N_BELOW = sizeof below / sizeof *below };
	char text[N_BELOW][1200], hex[DIGEST_HEX];
	struct landlock_path paths[N_BELOW + 1];

	tzset();
	digest_of("", 0, hex);
	for (size_t i = 0; i < N_BELOW; i++) {
		snprintf(text[i], sizeof text[i], "%s/%s", data_dir, below[i]);
		paths[i] = (struct landlock_path) { text[i], strcmp(below[i], "work") == 0 };
	}
	paths[N_BELOW] = (struct landlock_path) { models_dir, false };
	return sandbox_files(paths, N_BELOW + 1, e);
}

/* No files but those, no way out, nothing to be read by others of the same user. */
static int
give_up_rights(char **argv, struct err *e)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
		return err_errno(e, "giving up privileges");
	return give_up_files(argv[4], argv[5], e) != 0 ? -1 : load_filter(e);
}

static int
set_limits(int64_t memory_mb, struct err *e)
{
	struct rlimit memory = { (rlim_t)memory_mb << 20, (rlim_t)memory_mb << 20 }, none = { 0, 0 };

	if (memory_mb > 0 && setrlimit(RLIMIT_AS, &memory) != 0)
		return err_errno(e, "limiting memory to %lld MB", (long long)memory_mb);
	return setrlimit(RLIMIT_CORE, &none) == 0 ? 0 : err_errno(e, "switching core files off");
}

/* The limit counts from the process's start: it is moved on. */
void
sandbox_cpu(int64_t seconds)
{
	struct rusage used;
	struct rlimit limit;

	if (seconds <= 0 || getrusage(RUSAGE_SELF, &used) != 0 || getrlimit(RLIMIT_CPU, &limit) != 0)
		return;
	limit.rlim_cur = (rlim_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec + 1 + seconds);
	setrlimit(RLIMIT_CPU, &limit);
}

int
sandbox_say(FILE *answers, char *line)
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
		err_errno(e, "taking over stdout");
	return answers;
}

int
sandbox_enter(int argc, char **argv, FILE **answers)
{
	struct err e;

	if (argc != 6) {
		fprintf(stderr, "segand %s PARENT MEMORY_MB DATA_DIR MODELS_DIR is started by segand itself\n", argv[1]);
		return 2;
	}
	dicom_bounds_set(&dicom_bounds_widest); /* what comes here has passed the daemon; memory is the limit */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != (pid_t)strtol(argv[2], NULL, 10))
		return 1;                  /* the daemon died before the line above */
	if ((*answers = take_stdout(&e)) != NULL && set_limits(strtoll(argv[3], NULL, 10), &e) == 0 && dicom_start(&e) == 0 && give_up_rights(argv, &e) == 0)
		return 0;
	log_event(LOG_ERROR, "process_start_failed", "process=%s text=\"%s\"", argv[1], e.text);
	return 1;
}
