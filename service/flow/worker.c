/* Feeds the worker processes.
 * DESIGN: one feeder thread a worker: claims a queued job, gives its process the order, records what comes back. The thread spawns its process and lives
 * until workers_stop, because a worker dies with the thread that started it (PR_SET_PDEATHSIG). `lock` guards each feeder's job and pid against
 * workers_cancel and workers_stop, who kill from other threads; nothing waits while holding it: a process has ended before it is reaped under it. */
#include "service/flow/worker.h"

#include "config/clock.h"
#include "config/file.h"
#include "config/log.h"
#include "db/instances.h"
#include "dicom/attributes.h"
#include "dicom/dicom.h"
#include "service/flow/landlock.h"
#include "service/flow/match.h"
#include "service/flow/node.h"
#include "service/flow/outcome.h"
#include "service/flow/results.h"
#include "service/flow/spool.h"
#include "service/flow/worker_order.h"
#include "service/flow/worker_process.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROGRESS_EVERY_MS = 500 };

struct feeder {
	struct workers *all;
	pthread_t thread;
	struct worker_process process;
	int64_t job;               /* 0 = none; under lock */
};

struct workers {
	struct node *node;
	pthread_mutex_t lock;
	bool stopping;             /* under lock */
	size_t n;
	struct feeder feeders[];
};

/* ---- the order ---- */

/* What to make: the SEG, what the model's settings say, and what its destinations get. */
static void
choose_results(const struct node *n, const struct model_setting *m, struct order *o)
{
	o->results = RESULT_SET(RESULT_SEG);
	if (m == NULL)
		return;
	o->results |= m->results;
	o->empty_report = m->empty_report;
	o->rejects_strangers = m->rejects_strangers;
	for (size_t i = 0; i < m->n_destinations; i++)
		o->results |= settings_destination(n->settings, m->destinations[i])->results;
}

/* A result of other bytes than those that were acknowledged would be wrong, and nobody would see it. */
static int
check_input(const struct node *n, const char *sop_uid, const char *path, struct err *e)
{
	struct instance_row row;
	char digest[DIGEST_HEX];

	if (instances_get(n->db, sop_uid, &row, e) != 0)
		return e->code == ERR_NOT_FOUND ? 0 : -1; /* the worker says which file is not there */
	if (spool_look(path, e) != 0)
		return e->code == ERR_NOT_FOUND ? err_set(e, ERR_IO, "instance %s has lost its spool file: send it again, then retry the job", sop_uid) : -1;
	if (attributes_digest(path, digest, e) != 0) {
		if (e->code != ERR_INPUT)
			return err_note(e, "instance %s", sop_uid);
	} else if (strcmp(digest, row.digest) == 0) {
		return 0;
	}
	return err_set(e, ERR_INPUT, "instance %s was altered on the node's disk since it came: send it again, then retry the job", sop_uid);
}

static int
add_input(const struct node *n, struct order *o, const struct job_input *input, size_t max_inputs, struct err *e)
{
	struct segment_channel *c = o->n_channels > 0 ? &o->channels[o->n_channels - 1] : NULL;
	char path[SPOOL_PATH];

	if (c == NULL || strcmp(c->channel, input->channel) != 0) {
		if (o->n_channels == MODEL_MAX_CHANNELS)
			return err_set(e, ERR_BUG, "the job has more than %d channels", MODEL_MAX_CHANNELS);
		c = &o->channels[o->n_channels++];
		snprintf(c->channel, sizeof c->channel, "%s", input->channel);
		if ((c->paths = calloc(max_inputs, sizeof *c->paths)) == NULL)
			return err_set(e, ERR_LIMIT, "no memory for %zu inputs", max_inputs);
	}
	spool_path(n, input->sop_uid, path);
	if (check_input(n, input->sop_uid, path, e) != 0)
		return -1;
	if ((((const char **)c->paths)[c->n_paths] = strdup(path)) == NULL)
		return err_set(e, ERR_LIMIT, "no memory for %zu inputs", max_inputs);
	c->n_paths++;
	return 0;
}

/* What the rule says of the channel's series by which it was taken: which frames it means, and whether they are registered. */
static int
add_rule(const struct node *n, const struct rules *r, struct segment_channel *c, const char *sop_uid, struct err *e)
{
	struct instance_row instance;
	struct series_row series;

	if (instances_get(n->db, sop_uid, &instance, e) != 0 || series_get(n->db, instance.series_uid, &series, e) != 0)
		return e->code == ERR_NOT_FOUND ? 0 : -1; /* the worker says which file is not there */
	if (strcmp(series.channel, c->channel) != 0)
		return 0;
	c->is_registered = rules_registered(r, series.rule);
	return rules_frames(r, series.rule, c->paths, c->n_paths, &c->frames, e);
}

/* inputs: one behind the other by channel. */
static int
add_inputs(const struct node *n, struct order *o, const struct job_input *inputs, size_t n_inputs, struct err *e)
{
	struct rules *r = rules_compile(n->settings, e);
	int rc = r == NULL ? -1 : 0;

	for (size_t i = 0; i < n_inputs && rc == 0; i++) {
		rc = add_input(n, o, &inputs[i], n_inputs, e);
		if (rc == 0 && (i + 1 == n_inputs || strcmp(inputs[i + 1].channel, inputs[i].channel) != 0))
			rc = add_rule(n, r, &o->channels[o->n_channels - 1], inputs[i].sop_uid, e);
	}
	rules_free(r);
	return rc;
}

/* UIDs of results derive from this text: the same job, tried again after a crash, makes the same objects (DESIGN small print). */
static void
identity_of(const struct node *n, const struct job *j, char *text, size_t size)
{
	snprintf(text, size, "%s|%s|%s|%s|%s|case %" PRId64 "|run %" PRId64 "%s%s", db_node_id(n->db), j->study_uid, j->fingerprint == NULL ? "" : j->fingerprint,
	    j->model_digest, dicom_software_version(), j->case_version, j->run, j->epoch[0] == '\0' ? "" : "|epoch ", j->epoch);
}

static int
make_order(const struct node *n, const struct job *j, struct order *o, struct err *e)
{
	char name[140];
	const struct catalog_entry *model;
	struct job_input *inputs = NULL;
	size_t n_inputs = 0;
	int rc = -1;

	*o = (struct order) { .job = j->id, .attempt = j->attempt, .created_ms = j->created_ms, .threads = n->settings->threads };
	choose_results(n, settings_model(n->settings, j->model_name), o);
	o->cpu_seconds = n->settings->job_timeout * sysconf(_SC_NPROCESSORS_ONLN);
	snprintf(name, sizeof name, "%s@%s", j->model_name, j->model_version);
	if ((model = catalog_find(n->catalog, name, e)) == NULL)
		return -1;
	if (strcmp(model->manifest.weights_sha256, j->model_digest) != 0)
		return err_set(e, ERR_NOT_FOUND, "model %s is installed with other weights than when the job was made (sha256 %.16s...): install those again, then retry", name, j->model_digest);
	snprintf(o->model_dir, sizeof o->model_dir, "%s", model->manifest.dir);
	snprintf(o->node_id, sizeof o->node_id, "%s", db_node_id(n->db));
	identity_of(n, j, o->identity, sizeof o->identity);
	spool_work_dir(n, j->id, j->attempt, o->out_dir);
	if (jobs_inputs(n->db, j->id, &inputs, &n_inputs, e) != 0)
		return -1;
	rc = add_inputs(n, o, inputs, n_inputs, e);
	if (rc == 0)
		rc = file_remove_tree(o->out_dir, e) == 0 ? file_make_dirs(o->out_dir, 0700, e) : -1;
	free(inputs);
	return rc;
}

/* ---- the conversation ---- */

static void
end_process(struct feeder *f, char *how, size_t n_how)
{
	worker_process_kill(&f->process);
	pthread_mutex_lock(&f->all->lock);
	worker_process_end(&f->process, how, n_how);
	pthread_mutex_unlock(&f->all->lock);
}

/* One that died between two jobs is not held against the next. */
static int
ensure_process(struct feeder *f, struct err *e)
{
	const struct settings *s = f->all->node->settings;
	struct worker_limits limits = { .memory_mb = s->worker_memory_mb, .data_dir = s->data_dir, .models_dir = s->models_dir, .core_type = s->core_type[0] != '\0' ? s->core_type : compute_wanted_core() };
	int rc = 0;

	if (!worker_process_lives(&f->process))
		end_process(f, NULL, 0);
	pthread_mutex_lock(&f->all->lock);
	if (f->all->stopping)
		rc = err_set(e, ERR_LIMIT, "the node is stopping");
	else if (f->process.pid == 0)
		rc = worker_process_start(&f->process, &limits, e);
	pthread_mutex_unlock(&f->all->lock);
	return rc;
}

/* Until the result or the error, or job_timeout without any progress: repeating itself is none. Progress goes to the database now and then; where it cannot,
 * only the progress is lost. */
static int
listen_to(struct feeder *f, const struct job *j, int64_t deadline_ms, struct answer *a, struct err *e)
{
	struct node *n = f->all->node;
	int64_t said_ms = 0;
	double furthest = 0;

	for (;;) {
		size_t len = 0;
		const char *line = worker_process_hear(&f->process, deadline_ms, &len, e);
		if (line == NULL)
			return -1;
		if (answer_parse(line, len, a, e) != 0) {
			answer_release(a);
			return -1;
		}
		if (a->kind != ANSWER_PROGRESS)
			return 0;
		if (a->progress > furthest) {
			furthest = a->progress;
			deadline_ms = clock_monotonic_ms() + n->settings->job_timeout * 1000;
		}
		if (clock_monotonic_ms() - said_ms < PROGRESS_EVERY_MS)
			continue;
		said_ms = clock_monotonic_ms();
		if (jobs_progress(n->db, j->id, j->attempt, a->progress, e) != 0 && e->code == ERR_STATE)
			return err_note(e, "the job was ended meanwhile");
	}
}

/* Runs the attempt in the process. A process that fails in any way is ended; where it ended by itself the error says how. */
static int
converse(struct feeder *f, const struct job *j, const struct order *o, struct answer *a, struct err *e)
{
	int64_t deadline_ms = clock_monotonic_ms() + f->all->node->settings->job_timeout * 1000;
	char *line = order_print(o, e), how[160] = "";
	int rc = -1;

	if (line == NULL || ensure_process(f, e) != 0)
		goto out;
	if (worker_process_tell(&f->process, line, deadline_ms, e) == 0 && listen_to(f, j, deadline_ms, a, e) == 0)
		rc = 0;
	else
		end_process(f, how, sizeof how);
	if (how[0] != '\0')
		err_set(e, ERR_PEER, "%s", how);
out:
	free(line);
	return rc;
}

/* ---- a job ---- */

static void
run_job(struct feeder *f, const struct job *j)
{
	struct node *n = f->all->node;
	struct order o = { 0 };
	struct answer a = { 0 };
	struct err e = { 0 }, ignored;
	bool stopping;

	log_event(LOG_INFO, "job_running", "job=%" PRId64 " study=%s model=%s@%s attempt=%" PRId64, j->id, j->study_uid, j->model_name, j->model_version, j->attempt);
	if (make_order(n, j, &o, &e) == 0 && converse(f, j, &o, &a, &e) == 0) {
		if (a.kind == ANSWER_ERROR)
			e = a.error;
		else if (outcome_record(n, j, &o, &a, &e) == 0)
			e.code = ERR_NONE;
	}
	pthread_mutex_lock(&f->all->lock);
	stopping = f->all->stopping;
	pthread_mutex_unlock(&f->all->lock);
	if (e.code != ERR_NONE && stopping)
		outcome_give_back(n, j);
	else if (e.code != ERR_NONE)
		outcome_failed(n, j, &e, a.kind == ANSWER_ERROR ? a.flags : NULL);
	if (o.out_dir[0] != '\0')
		file_remove_tree(o.out_dir, &ignored); /* what is left there is swept at the next start too */
	answer_release(&a);
	order_release(&o);
}

static bool
take(struct feeder *f, int64_t job)
{
	bool go;

	pthread_mutex_lock(&f->all->lock);
	f->job = job;
	go = !f->all->stopping;
	pthread_mutex_unlock(&f->all->lock);
	return go;
}

/* How long there is nothing to claim: until the bell (-1), or until a job that rests may be tried. */
static int64_t
idle_ms(const struct node *n, const struct err *claim)
{
	int64_t next = INT64_MAX, now = clock_ms();
	struct err e;

	if (claim->code != ERR_NOT_FOUND || jobs_next_ms(n->db, &next, &e) != 0)
		return OUTCOME_RETRY_MS;
	return next == INT64_MAX ? -1 : next <= now ? 0 : next - now < JOB_REST_MAX_MS ? next - now : JOB_REST_MAX_MS;
}

static void *
feed(void *arg)
{
	struct feeder *f = arg;
	struct node *n = f->all->node;
	unsigned long seen = 0;
	int64_t wait_ms = 0;

	while (take(f, 0) && bell_wait(&n->work, &seen, wait_ms)) {
		struct job j;
		struct err e;

		if (jobs_claim(n->db, &j, &e) == 0) {
			if (take(f, j.id))
				run_job(f, &j);
			else
				outcome_give_back(n, &j);
			job_release(&j);
			wait_ms = 0;
			continue;
		}
		if (e.code != ERR_NOT_FOUND)
			log_event(LOG_ERROR, "job_claim_failed", "text=\"%s\"", e.text);
		wait_ms = idle_ms(n, &e);
	}
	end_process(f, NULL, 0);
	return NULL;
}

struct workers *
workers_start(struct node *n, struct err *e)
{
	size_t count = (size_t)n->settings->workers;
	struct workers *w = calloc(1, sizeof *w + count * sizeof *w->feeders);

	if (w == NULL) {
		err_set(e, ERR_LIMIT, "no memory for %zu workers", count);
		return NULL;
	}
	w->node = n;
	pthread_mutex_init(&w->lock, NULL);
	log_event(LOG_INFO, "worker_sandbox", "seccomp=yes landlock=%d memory_mb=%" PRId64 "%s", landlock_version(), (int64_t)worker_process_memory_mb(n->settings->worker_memory_mb),
	    landlock_version() == 0 ? " text=\"this kernel has no Landlock: a worker may open what the daemon's user may\"" : "");
	for (; w->n < count; w->n++) {
		struct feeder *f = &w->feeders[w->n];
		f->all = w;
		f->process = (struct worker_process) { .to = -1, .from = -1 };
		if (pthread_create(&f->thread, NULL, feed, f) != 0) {
			err_set(e, ERR_LIMIT, "starting the thread of worker %zu failed", w->n + 1);
			workers_stop(w);
			return NULL;
		}
	}
	return w;
}

void
workers_stop(struct workers *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	for (size_t i = 0; i < w->n; i++)
		if (w->feeders[i].process.pid > 0)
			kill(w->feeders[i].process.pid, SIGKILL);
	pthread_mutex_unlock(&w->lock);
	bell_stop(&w->node->work);
	for (size_t i = 0; i < w->n; i++)
		pthread_join(w->feeders[i].thread, NULL);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

void
workers_cancel(struct workers *w, int64_t job)
{
	pthread_mutex_lock(&w->lock);
	for (size_t i = 0; i < w->n; i++)
		if (w->feeders[i].job == job && w->feeders[i].process.pid > 0)
			kill(w->feeders[i].process.pid, SIGKILL);
	pthread_mutex_unlock(&w->lock);
}
