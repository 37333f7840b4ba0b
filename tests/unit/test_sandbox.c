/* What a worker may not do, tried by a process that has entered the sandbox as a worker does: each deed, and the errno that it met. */
#include "tests/unit/own_folder.h"
#include "tests/unit/sanitizer.h"

#include "service/flow/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char data_dir[400], models_dir[400];

/* A path below data_dir, of three that may be in use at once. */
static const char *
at(const char *name)
{
	static _Thread_local char paths[3][500];
	static _Thread_local unsigned next;
	char *path = paths[next++ % 3];

	snprintf(path, sizeof paths[0], "%s/%s", data_dir, name);
	return path;
}

/* ---- deeds: 0, or the errno ---- */

static int
opens(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int reads_input(void) { return opens(at("spool/a"), O_RDONLY); }
static int reads_another_input(void) { return opens(at("spool/b"), O_RDONLY); }
static int reads_model(void) { return opens(models_dir, O_RDONLY | O_DIRECTORY); }
static int reads_database(void) { return opens(at("segand.db"), O_RDONLY); }
static int reads_accounts(void) { return opens("/etc/passwd", O_RDONLY); }
static int reads_by_its_memory(void) { return opens("/proc/self/mem", O_RDWR); }
static int lists_data(void) { return opens(data_dir, O_RDONLY | O_DIRECTORY); }
static int writes_input(void) { return opens(at("spool/a"), O_WRONLY); }
static int cuts_input(void) { return truncate(at("spool/a"), 0) == 0 ? 0 : errno; }
static int removes_input(void) { return unlink(at("spool/a")) == 0 ? 0 : errno; }
static int makes_input(void) { return opens(at("spool/new"), O_WRONLY | O_CREAT); }
static int makes_output(void) { return opens(at("work/1/seg.dcm"), O_WRONLY | O_CREAT); }
static int makes_output_of_another(void) { return opens(at("work/2/seg.dcm"), O_WRONLY | O_CREAT); }
static int renames_output(void) { return rename(at("work/1/seg.dcm"), at("work/1/seg2.dcm")) == 0 ? 0 : errno; }
static int moves_output_away(void) { return rename(at("work/1/seg2.dcm"), at("spool/c")) == 0 ? 0 : errno; }
static int links(void) { return symlink("/etc/passwd", at("work/1/link")) == 0 ? 0 : errno; }

static int
makes_socket(int family)
{
	int fd = socket(family, SOCK_STREAM, 0);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int calls_out(void) { return makes_socket(AF_INET); }
static int calls_a_neighbour(void) { return makes_socket(AF_UNIX); }

static int
runs_a_program(void)
{
	char *argv[] = { "true", NULL };

	execv("/bin/true", argv);
	return errno;
}

static int
has_a_child_run_a_program(void)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0)
		_exit(runs_a_program());
	return child < 0 || waitpid(child, &status, 0) != child ? -1 : WEXITSTATUS(status);
}

static int signals_the_daemon(void) { return kill(getppid(), 0) == 0 ? 0 : errno; }
static int signals_a_thread_of_the_daemon(void) { return syscall(SYS_tgkill, getppid(), getppid(), 0) == 0 ? 0 : errno; }
static int limits_the_daemon(void) { struct rlimit l; return prlimit(getppid(), RLIMIT_NOFILE, NULL, &l) == 0 ? 0 : errno; }
static int raises_its_memory(void) { struct rlimit l = { RLIM_INFINITY, RLIM_INFINITY }; return setrlimit(RLIMIT_AS, &l) == 0 ? 0 : errno; }
static int signals_itself(void) { return raise(SIGCONT) == 0 ? 0 : errno; }
static int may_be_read(void) { return prctl(PR_GET_DUMPABLE); }
static int may_gain_privileges(void) { return !prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); }

static const struct deed { const char *name; int (*try)(void); int wanted; bool by_landlock; } deeds[] = {
	{ "reads an input", reads_input, 0, true },
	{ "reads a model", reads_model, 0, true },
	{ "makes an output", makes_output, 0, true },
	{ "renames an output", renames_output, 0, true },
	{ "reads the database", reads_database, EACCES, true },
	{ "reads accounts", reads_accounts, EACCES, true },
	{ "writes memory as a file", reads_by_its_memory, EACCES, true },
	{ "lists data_dir", lists_data, EACCES, true },
	{ "writes an input", writes_input, EACCES, true },
	{ "removes an input", removes_input, EACCES, true },
	{ "makes an input", makes_input, EACCES, true },
	{ "moves an output away", moves_output_away, EACCES, true },
	{ "links to another file", links, EACCES, true },
	{ "calls out", calls_out, EPERM, false },
	{ "calls a neighbour", calls_a_neighbour, EPERM, false },
	{ "runs a program", runs_a_program, EPERM, false },
	{ "has a child run a program", has_a_child_run_a_program, EPERM, false },
	{ "signals the daemon", signals_the_daemon, EPERM, false },
	{ "signals a thread of the daemon", signals_a_thread_of_the_daemon, EPERM, false },
	{ "limits the daemon", limits_the_daemon, EPERM, false },
	{ "signals itself", signals_itself, 0, false },
	{ "may be read by others", may_be_read, 0, false },
	{ "may gain privileges", may_gain_privileges, 0, false },
}, deeds_in_a_job[] = {
	{ "reads its input", reads_input, 0, true },
	{ "makes its output", makes_output, 0, true },
	{ "reads another input", reads_another_input, EACCES, true },
	{ "makes another job's output", makes_output_of_another, EACCES, true },
	{ "reads a model", reads_model, EACCES, true },
};

/* Called with zeros, which the kernel itself would answer otherwise (the superuser at least). */
static const struct { const char *name; long number; } calls[] = {
#define CALL(name) { #name, SYS_##name }
	CALL(socket), CALL(socketpair), CALL(connect), CALL(bind), CALL(listen), CALL(accept), CALL(accept4), CALL(io_uring_setup), CALL(execve), CALL(execveat), CALL(kill),
	CALL(tkill), CALL(rt_sigqueueinfo), CALL(rt_tgsigqueueinfo), CALL(pidfd_open), CALL(pidfd_send_signal), CALL(pidfd_getfd), CALL(ptrace), CALL(process_vm_readv),
	CALL(process_vm_writev), CALL(unshare), CALL(setns), CALL(mount), CALL(bpf), CALL(perf_event_open), CALL(userfaultfd), CALL(keyctl), CALL(add_key), CALL(request_key),
};

/* ---- the process ---- */

static FILE *answers;

static void
try_all(const struct deed *d, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int met = d[i].try();
		if (met != d[i].wanted && !(d[i].by_landlock && landlock_version() == 0))
			fprintf(answers, "%s: %s instead of %s\n", d[i].name, strerror(met), strerror(d[i].wanted));
	}
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		if (syscall(calls[i].number, 0, 0, 0, 0, 0, 0) == 0 || errno != EPERM)
			fprintf(answers, "calls %s: %s\n", calls[i].name, strerror(errno));
	/* Of version 3 on; before, a file could be cut off. */
	if (landlock_version() >= 3 && cuts_input() != EACCES)
		fprintf(answers, "cuts an input off\n");
}

static void *
job(void *arg)
{
	struct landlock_path paths[] = { { at("spool/a"), false }, { at("work/1"), true }, { at("spool/missing"), false } };
	struct err e;

	(void)arg;
	if (sandbox_files(paths, sizeof paths / sizeof *paths, &e) != 0)
		fprintf(answers, "%s\n", e.text);
	try_all(deeds_in_a_job, sizeof deeds_in_a_job / sizeof *deeds_in_a_job);
	return NULL;
}

/* Two jobs, one behind the other: what the first may not the second may. */
static void
be_a_worker(const char *parent)
{
	char *argv[] = { "segand", "--worker", (char *)parent, "0", data_dir, models_dir, NULL };
	pthread_t thread;

	if (sandbox_enter(6, argv, &answers) != 0)
		_exit(1);
	try_all(deeds, sizeof deeds / sizeof *deeds);
	for (int i = 0; i < 2; i++)
		if (pthread_create(&thread, NULL, job, NULL) != 0 || pthread_join(thread, NULL) != 0)
			_exit(2);
	try_all(deeds, 2);
	fflush(answers);
	_exit(3);
}

static void
a_worker_can_do_nothing_else(void **state)
{
	char parent[24], text[4000];
	int ends[2], status = 0;
	size_t n;
	FILE *said;
	pid_t child;

	(void)state;
	snprintf(parent, sizeof parent, "%ld", (long)getpid());
	assert_int_equal(pipe(ends), 0);
	if ((child = fork()) == 0) {
		dup2(ends[1], STDOUT_FILENO);
		be_a_worker(parent);
	}
	close(ends[1]);
	said = fdopen(ends[0], "r");
	n = fread(text, 1, sizeof text - 1, said);
	text[n] = '\0';
	fclose(said);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (n > 0)
		fail_msg("%s", text);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 3);
}

/* The memory limit is set for good. A sanitizer needs terabytes of address space and cannot live in it. */
static void
memory_is_limited(void **state)
{
	char parent[24];
	int status = 0;
	pid_t child;

	(void)state;
	if (is_sanitized())
		skip();
	snprintf(parent, sizeof parent, "%ld", (long)getpid());
	if ((child = fork()) == 0) {
		char *argv[] = { "segand", "--worker", parent, "512", data_dir, models_dir, NULL };
		struct rlimit l, core;
		int good = sandbox_enter(6, argv, &answers) == 0 && getrlimit(RLIMIT_AS, &l) == 0 && l.rlim_cur == 512u << 20 && l.rlim_max == l.rlim_cur
		    && getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0 && (geteuid() == 0 || raises_its_memory() == EPERM);
		_exit(good ? 3 : 4);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), 3);
}

/* A worker whose daemon has gone does not begin. */
static void
an_orphan_ends(void **state)
{
	int status = 0;
	pid_t child;

	(void)state;
	if ((child = fork()) == 0) {
		char *argv[] = { "segand", "--worker", "1", "0", data_dir, models_dir, NULL };
		_exit(sandbox_enter(6, argv, &answers));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), 1);
}

static int
make_data(void **state)
{
	static const char *const folders[] = { "", "/spool", "/tmp", "/models", "/work", "/work/1", "/work/2" }, *const files[] = { "spool/a", "spool/b", "segand.db" };

	if (folder_set_up(state) != 0)
		return -1;
	snprintf(data_dir, sizeof data_dir, "%s/data", folder);
	snprintf(models_dir, sizeof models_dir, "%s/shipped", folder);
	if (mkdir(models_dir, 0700) != 0)
		return -1;
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		char path[500];
		snprintf(path, sizeof path, "%s%s", data_dir, folders[i]);
		if (mkdir(path, 0700) != 0)
			return -1;
	}
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (opens(at(files[i]), O_WRONLY | O_CREAT) != 0)
			return -1;
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_can_do_nothing_else),
		cmocka_unit_test(memory_is_limited),
		cmocka_unit_test(an_orphan_ends),
	};

	if (is_under_valgrind()) {
		puts("skipped: the sandbox cannot be entered under valgrind");
		return 0;
	}
	return cmocka_run_group_tests(tests, make_data, folder_tear_down);
}
