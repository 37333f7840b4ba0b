/* The worker process: orders in on stdin, answers out on stdout. It needs nothing but files: no database, no network, no configuration. It keeps the
 * last model loaded, dies with the daemon, and gives up its rights before it reads the first order. A crash here costs one attempt of one job. */
#include "service/flow/worker.h"

#include "service/flow/sandbox.h"
#include "service/flow/worker_order.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Those who send and ask go first: a core that both want is nearly theirs, one that is free is the worker's as before. */
enum { NICENESS = 10 };

struct loaded {
	FILE *answers;             /* what was stdout */
	struct manifest manifest;  /* of the last order */
	struct segmentor *segmentor;
	int64_t threads, cpu_seconds, memory_mb; /* memory_mb: what this process may have */
};

/* Who comes on may go on: the limit holds from one sign of life to the next, as job_timeout does. */
static int
say_progress(void *arg, size_t done, size_t total)
{
	const struct loaded *l = arg;
	struct err e;

	sandbox_cpu(l->cpu_seconds);
	return sandbox_say(l->answers, answer_progress((double)done / (double)total, &e));
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
		.rejects_strangers = o->rejects_strangers, .memory_mb = l->memory_mb };

	l->cpu_seconds = o->cpu_seconds;
	for (size_t i = 0; i < RESULT_N_KINDS; i++) {
		result_file_name((enum result_kind)i, 1, name);
		snprintf(paths[i], sizeof paths[i], result_kind_is_series((enum result_kind)i) ? "%s" : "%s/%s", o->out_dir, name);
		r.paths[i] = o->results & RESULT_SET(i) ? paths[i] : NULL;
	}
	snprintf(preview, sizeof preview, "%s/preview.png", o->out_dir);
	r.manifest = &l->manifest;
	r.segmentor = l->segmentor;
	return segment_case(&r, result, say_progress, l, e);
}

/* ---- the thread of one order, which may open its inputs and its output folder and nothing else; the model is loaded before ---- */

struct run { struct loaded *loaded; const struct order *order; struct segment_result *result; struct err *e; int rc; };

static int
keep_to_files(const struct order *o, struct err *e)
{
	size_t n = 1, k = 0;
	struct landlock_path *paths;
	int rc;

	for (size_t c = 0; c < o->n_channels; c++)
		n += o->channels[c].n_paths;
	if ((paths = calloc(n, sizeof *paths)) == NULL)
		return err_set(e, ERR_LIMIT, "no memory for %zu paths", n);
	for (size_t c = 0; c < o->n_channels; c++)
		for (size_t i = 0; i < o->channels[c].n_paths; i++)
			paths[k++].path = o->channels[c].paths[i];
	paths[k] = (struct landlock_path) { o->out_dir, true };
	rc = sandbox_files(paths, n, e);
	free(paths);
	return rc;
}

static void *
run_order(void *arg)
{
	struct run *r = arg;

	r->rc = keep_to_files(r->order, r->e) != 0 ? -1 : work(r->loaded, r->order, r->result, r->e);
	return NULL;
}

static int
work_apart(struct loaded *l, const struct order *o, struct segment_result *result, struct err *e)
{
	struct run r = { l, o, result, e, -1 };
	pthread_t thread;

	sandbox_cpu(o->cpu_seconds);
	if (load_model(l, o, e) != 0)
		return -1;
	if (pthread_create(&thread, NULL, run_order, &r) != 0)
		return err_set(e, ERR_LIMIT, "starting the thread of a job failed");
	pthread_join(thread, NULL);
	return r.rc;
}

/* One order. Returns -1 when nobody listens any more. */
static int
obey(struct loaded *l, const char *line, size_t n)
{
	struct order o;
	struct segment_result result = { 0 };
	struct err e, unsaid;
	int rc;

	if (order_parse(line, n, &o, &e) == 0 && work_apart(l, &o, &result, &e) == 0)
		rc = sandbox_say(l->answers, answer_result(&result, &unsaid));
	else
		rc = sandbox_say(l->answers, answer_error(&e, &result, &unsaid));
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
	int status = sandbox_enter(argc, argv, &loaded.answers);

	if (status != 0)
		return status;
	loaded.memory_mb = strtoll(argv[3], NULL, 10);
	setpriority(PRIO_PROCESS, 0, NICENESS); /* of this thread, which those that compute inherit; no harm where it is refused */
	while ((n = getline(&line, &room, stdin)) > 0)
		if (obey(&loaded, line, (size_t)n) != 0)
			break;
	free(line);
	segmentor_free(loaded.segmentor);
	return 0;
}
