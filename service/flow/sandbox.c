/* Limits and rights of a child process: see sandbox.h. Not here: how it is started (worker_process.c), what it is for (worker_main.c, compare_main.c). */
#include "service/flow/sandbox.h"

#include "config/log.h"
#include "dicom/dicom.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

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
	return rc == 0 ? 0 : err_errno(e, "loading the system call filter");
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

	if (argc != 4) {
		fprintf(stderr, "segand %s PARENT MEMORY_MB is started by segand itself\n", argv[1]);
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != (pid_t)strtol(argv[2], NULL, 10))
		return 1;                  /* the daemon died before the line above */
	if ((*answers = take_stdout(&e)) != NULL && set_limits(strtoll(argv[3], NULL, 10), &e) == 0 && dicom_start(&e) == 0 && give_up_rights(&e) == 0)
		return 0;
	log_event(LOG_ERROR, "process_start_failed", "process=%s text=\"%s\"", argv[1], e.text);
	return 1;
}
