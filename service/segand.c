/* The daemon: a table of contents. What it starts, in which order, and how it stops; everything else is behind the headers named here. */
#include "config/file.h"
#include "config/log.h"
#include "config/settings.h"
#include "dicom/bounds.h"
#include "dicom/dicom.h"
#include "service/flow/audit.h"
#include "service/flow/compare.h"
#include "service/flow/commit.h"
#include "service/flow/deliver.h"
#include "service/flow/dispatch.h"
#include "service/flow/door.h"
#include "service/flow/match.h"
#include "service/flow/node.h"
#include "service/flow/retain.h"
#include "service/flow/worker.h"
#include "service/http/server.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GOOD = 0, FAILED = 1, USAGE = 2 };
enum { STOP_S = 4 }; /* what has not stopped by then is left to the next start, which is recovery */

static const char default_file[] = "/etc/segand/segand.json";

static const char help[] =
    "segand --config FILE [--check]\n"
    "\n"
    "Receives MR series (C-STORE, STOW-RS), segments them and sends DICOM-SEG to the destinations of FILE.\n"
    "\n"
    "  --config FILE   settings, JSON with comments (default /etc/segand/segand.json, else what is compiled in)\n"
    "  --check         reads them, prints what is in effect, starts nothing\n"
    "  --version       prints the version\n"
    "  --help          prints this\n"
    "\n"
    "When all doors are open one line says so: ready http=ADDR:PORT dicom=PORT (https= with TLS). SIGTERM stops within 5 s; a killed daemon goes on where it was.\n"
    "Exit status: 0 good, 1 failed, 2 usage or configuration.\n";

struct daemon {
	struct settings *settings;
	struct rules *rules;
	struct node node;
	bool is_node_open;
	struct audit *audit;
	struct workers *workers;
	struct deliver *deliver;
	struct commit *commit;
	struct dispatch *dispatch;
	struct retain *retain;
	struct server *server;
	struct door *door;
};

/* ---- options ---- */

struct options { const char *config; bool check; };

/* -1: go on; else the exit status. */
static int
read_options(int argc, char **argv, struct options *o)
{
	static const struct option known[] = { { "config", required_argument, NULL, 'c' }, { "check", no_argument, NULL, 'k' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' }, { NULL, 0, NULL, 0 } };
	int which;

	while ((which = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (which) {
		case 'c':
			o->config = optarg;
			break;
		case 'k':
			o->check = true;
			break;
		case 'h':
			fputs(help, stdout);
			return GOOD;
		case 'v':
			printf("%s\n", dicom_software_version());
			return GOOD;
		default:
			fputs("segand --help says how to call it\n", stderr);
			return USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "segand takes no argument \"%s\"; segand --help says how to call it\n", argv[optind]);
		return USAGE;
	}
	if (o->config == NULL && file_exists(default_file))
		o->config = default_file;
	return -1;
}

/* ---- start, in order; stop, in reverse ---- */

/* What is wrong with the settings: exit 2. */
static int
configure(struct daemon *d, const char *file, struct err *e)
{
	enum log_level level;

	d->settings = settings_load(file, e);
	if (d->settings == NULL)
		return -1;
	if (log_parse_level(d->settings->log_level, &level) == 0) /* settings know no other words */
		log_set_level(level);
	if (dicom_start(e) != 0)
		return -1;
	d->rules = rules_compile(d->settings, e);
	return d->rules != NULL ? 0 : -1;
}

static void
set_bounds(const struct settings *s)
{
	dicom_bounds_set(&(struct dicom_bounds){ .depth = (size_t)s->dicom.max_depth, .elements = (size_t)s->dicom.max_elements,
		.data_set_bytes = (uint64_t)s->dicom.max_instance_mb << 20, .decoded_bytes = (uint64_t)s->dicom.max_decoded_mb << 20 });
}

static int
start(struct daemon *d, struct err *e)
{
	set_bounds(d->settings);
	if (node_open(&d->node, d->settings, e) != 0)
		return -1;
	d->is_node_open = true;
	if ((d->audit = audit_start(&d->node, e)) == NULL)
		return -1;
	if ((d->workers = workers_start(&d->node, e)) == NULL)
		return -1;
	if ((d->deliver = deliver_start(&d->node, e)) == NULL)
		return -1;
	if ((d->commit = commit_start(&d->node, e)) == NULL)
		return -1;
	if ((d->dispatch = dispatch_start(&d->node, d->rules, e)) == NULL)
		return -1;
	if ((d->retain = retain_start(&d->node, e)) == NULL)
		return -1;
	if ((d->server = server_start(&d->node, d->workers, e)) == NULL)
		return -1;
	if ((d->door = door_start(&d->node, e)) == NULL)
		return -1;
	server_ready(d->server);
	printf(strchr(d->settings->http.bind, ':') != NULL ? "ready http%s=[%s]:%u dicom=%u\n" : "ready http%s=%s:%u dicom=%u\n", d->settings->http.tls_certificate[0] != 0 ? "s" : "",
		d->settings->http.bind, server_port(d->server), door_port(d->door));
	if (fflush(stdout) != 0)
		return err_errno(e, "writing the ready line");
	log_event(LOG_INFO, "started", "version=\"%s\" node=%s", dicom_software_version(), db_node_id(d->node.db));
	return 0;
}

/* Where a peer holds a delivery up its thread uses the node: the process ends without closing it, the next start takes the delivery up. */
static void
stop(struct daemon *d, int status)
{
	bool is_all_stopped = true;

	if (d->door != NULL)
		door_stop(d->door);
	if (d->server != NULL)
		server_stop(d->server);
	if (d->retain != NULL)
		retain_stop(d->retain);
	if (d->dispatch != NULL)
		dispatch_stop(d->dispatch);
	if (d->deliver != NULL)
		is_all_stopped = deliver_stop(d->deliver);
	if (d->commit != NULL)
		is_all_stopped = commit_stop(d->commit) && is_all_stopped;
	if (d->workers != NULL)
		workers_stop(d->workers);
	audit_stop(d->audit);
	if (!is_all_stopped)
		_exit(status);
	audit_free(d->audit);
	if (d->is_node_open)
		node_close(&d->node);
	rules_free(d->rules);
	settings_free(d->settings);
}

/* ---- signals ----
 * A handler and not sigwait: OpenBLAS starts threads before main does anything, they block no signal, and a SIGTERM that the kernel gives to one of them
 * would end the process by its default action. Our own threads have both signals blocked, so none of their calls is interrupted. */

static sem_t end_asked;
static atomic_int end_signal; /* two signals may come on two threads at once */

/* The time that stopping may take runs from here: a signal during a long start counts too. */
static void
ask_end(int signal_number)
{
	int kept = errno;

	if (atomic_exchange(&end_signal, signal_number) == 0)
		alarm(STOP_S);
	sem_post(&end_asked);
	errno = kept;
}

/* Crash-only: what is acknowledged is durable, so leaving in the middle loses nothing. */
static void
give_up_stopping(int signal_number)
{
	(void)signal_number;
	_exit(GOOD);
}

/* Before any thread of ours: they inherit the mask. */
static void
take_signals(sigset_t *ends)
{
	struct sigaction end = { .sa_handler = ask_end, .sa_flags = SA_RESTART }, give_up = { .sa_handler = give_up_stopping };

	sem_init(&end_asked, 0, 0);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGALRM, &give_up, NULL);
	sigemptyset(ends);
	sigaddset(ends, SIGTERM);
	sigaddset(ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, ends, NULL);
}

static void
wait_for_end(const sigset_t *ends)
{
	pthread_sigmask(SIG_UNBLOCK, ends, NULL);
	while (sem_wait(&end_asked) != 0 && errno == EINTR)
		;
	pthread_sigmask(SIG_BLOCK, ends, NULL);
}

/* ---- main ---- */

/* Patients' data are for our user alone, and not for a core file: who wants one raises the soft limit of the running process (prlimit). */
static void
keep_to_ourselves(void)
{
	struct rlimit core;

	umask(077);
	if (getrlimit(RLIMIT_CORE, &core) != 0)
		return;
	core.rlim_cur = 0;
	(void)setrlimit(RLIMIT_CORE, &core); /* lowering a soft limit cannot fail */
}

static int
print_settings(const struct daemon *d)
{
	struct err e;
	char *text = settings_print(d->settings, &e);

	if (text == NULL) {
		fprintf(stderr, "segand: %s\n", e.text);
		return FAILED;
	}
	puts(text);
	free(text);
	if (node_check_models(d->settings, &e) != 0 || server_check(d->settings, &e) != 0) /* of this machine, not of the file: said, not judged */
		fprintf(stderr, "segand: warning: it would not start here: %s\n", e.text);
	return GOOD;
}

static int
run(struct daemon *d, const sigset_t *ends)
{
	struct err e;

	if (node_check_models(d->settings, &e) != 0 || server_check(d->settings, &e) != 0) {
		fprintf(stderr, "segand: %s\n", e.text);
		return USAGE;
	}
	if (start(d, &e) != 0) {
		log_event(LOG_ERROR, "start_failed", "text=\"%s\"", e.text);
		return FAILED;
	}
	wait_for_end(ends);
	log_event(LOG_INFO, "stopping", "signal=%d", atomic_load(&end_signal));
	return GOOD;
}

int
main(int argc, char **argv)
{
	struct options o = { 0 };
	struct daemon d = { 0 };
	sigset_t ends;
	struct err e;
	int status;

	if (argc > 1 && strcmp(argv[1], "--worker") == 0)
		return worker_main(argc, argv);
	if (argc > 1 && strcmp(argv[1], "--compare") == 0)
		return compare_main(argc, argv);
	if ((status = read_options(argc, argv, &o)) != -1)
		return status;
	keep_to_ourselves();
	take_signals(&ends);
	if (configure(&d, o.config, &e) != 0) {
		fprintf(stderr, "segand: %s\n", e.text);
		status = e.code == ERR_INPUT || e.code == ERR_NOT_FOUND ? USAGE : FAILED;
	} else {
		status = o.check ? print_settings(&d) : run(&d, &ends);
	}
	stop(&d, status);
	return status;
}
