/* DESIGN: whatever a function here writes is tried again until the database or the disk takes it, or the node stops: no job stays running for ever. */
#include "service/flow/outcome.h"

#include "config/clock.h"
#include "config/file.h"
#include "config/json.h"
#include "config/log.h"
#include "service/flow/node.h"
#include "service/flow/record.h"
#include "service/flow/results.h"
#include "service/flow/spool.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REST_MS = 5000 /* after a first attempt that disk or memory failed, doubled an attempt */ };

static int
keep_file(const struct node *n, const struct order *o, const char *name, struct err *e)
{
	char from[SPOOL_PATH + RESULT_FILE], to[SPOOL_PATH], dir[SPOOL_PATH];

	snprintf(from, sizeof from, "%s/%s", o->out_dir, name);
	spool_result(n, o->job, name, to);
	if (!file_exists(from) && file_exists(to))
		return 0; /* kept by an earlier try of this loop, or of an attempt that made the same */
	snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(to, '/') - to), to);
	if (file_make_dirs(dir, 0700, e) != 0 || file_commit(from, to, e) != 0)
		return err_note(e, "keeping %s of job %" PRId64, name, o->job);
	return 0;
}

/* Every file before the row that names them: a crash in between makes the same files again. */
static int
keep_files(const struct node *n, const struct order *o, const struct answer *a, struct err *e)
{
	char picture[SPOOL_PATH + RESULT_FILE];
	struct result_file *files = NULL;
	size_t n_files = 0;
	int rc = results_files(a->results, UINT_MAX, &files, &n_files, e);

	for (size_t i = 0; i < n_files && rc == 0; i++)
		rc = keep_file(n, o, files[i].name, e);
	free(files);
	snprintf(picture, sizeof picture, "%s/preview.png", o->out_dir);
	return rc == 0 && file_exists(picture) ? keep_file(n, o, "preview.png", e) : rc;
}

/* A database or disk that fails for a while must not leave a job running for ever: waits, unless the node stops. */
static bool
try_again(struct node *n, const struct job *j, const struct err *why)
{
	if (!err_may_pass(why->code))
		return false;
	log_event(LOG_ERROR, "job_not_recorded", "job=%" PRId64 " retry_ms=%d text=\"%s\"", j->id, OUTCOME_RETRY_MS, why->text);
	return bell_rest(&n->work, OUTCOME_RETRY_MS);
}

/* What is peculiar about a job that is recorded: a line each. */
static void
tell_flags(struct node *n, const struct job *j, const char *flags)
{
	struct err unheard; /* it is in the database, only the line is lost */
	struct json_doc *d = flags == NULL ? NULL : json_parse(flags, strlen(flags), 0, &unheard);

	for (const struct json *f = d == NULL ? NULL : json_first(json_root(d)); f != NULL; f = json_next(f)) {
		log_event(LOG_WARN, "job_flagged", "job=%" PRId64 " study=%s model=%s@%s flag=%s text=\"%s\"", j->id, j->study_uid, j->model_name, j->model_version, json_key(f),
		    json_text(f));
		if (strcmp(json_key(f), SEGMENT_FLAG_OUT_OF_DISTRIBUTION) == 0)
			atomic_fetch_add(&n->n_strangers, 1);
	}
	json_doc_free(d);
}

/* A destination that gets none of the kinds that were made has no delivery. */
static int
add_destination(const struct node *n, const char *name, const struct answer *a, const char **destinations, size_t *n_destinations, struct err *e)
{
	struct result_file *files = NULL;
	size_t n_files = 0;
	int rc = results_files(a->results, settings_destination(n->settings, name)->results, &files, &n_files, e);

	free(files);
	if (n_files > 0)
		destinations[(*n_destinations)++] = name;
	return rc;
}

int
outcome_record(struct node *n, const struct job *j, const struct order *o, const struct answer *a, struct err *e)
{
	const struct model_setting *m = settings_model(n->settings, j->model_name);
	struct job_outcome outcome = { .finding = a->present ? "present" : "none", .flags = a->flags, .segments = a->segments, .results = a->results, .timings = a->timings };
	size_t n_destinations = 0;
	const char **destinations = calloc((m == NULL ? 0 : m->n_destinations) + 1, sizeof *destinations);
	int rc = destinations == NULL ? err_set(e, ERR_LIMIT, "no memory") : 0;

	for (size_t i = 0; m != NULL && i < m->n_destinations && rc == 0; i++)
		rc = add_destination(n, m->destinations[i], a, destinations, &n_destinations, e);
	if (rc != 0) {
		free(destinations);
		return -1;
	}
	do {
		rc = keep_files(n, o, a, e);
		if (rc == 0)
			rc = record_write(n, j, &outcome, destinations, n_destinations, e);
		if (rc == 0)
			rc = jobs_computed(n->db, j->id, j->attempt, &outcome, destinations, n_destinations, e);
	} while (rc != 0 && try_again(n, j, e));
	free(destinations);
	if (rc != 0)
		return -1;
	log_event(LOG_INFO, n_destinations == 0 ? "job_done" : "job_delivering", "job=%" PRId64 " study=%s model=%s@%s attempt=%" PRId64 " finding=%s ms=%" PRId64, j->id,
	    j->study_uid, j->model_name, j->model_version, j->attempt, outcome.finding, clock_ms() - j->started_ms);
	tell_flags(n, j, a->flags);
	bell_ring(&n->deliver);
	bell_ring(&n->retain);
	return 0;
}

/* One line: what became of the job. */
static void
log_failure(const struct node *n, const struct job *j, const struct err *why)
{
	bool is_tried_again = err_may_pass(why->code) && j->attempt < n->settings->max_attempts;
	const char *event = why->code == ERR_INPUT ? "job_rejected" : is_tried_again ? "job_attempt_failed" : "job_failed";

	log_event(why->code == ERR_INPUT || is_tried_again ? LOG_WARN : LOG_ERROR, event, "job=%" PRId64 " study=%s attempt=%" PRId64 " text=\"%s\"", j->id, j->study_uid,
	    j->attempt, why->text);
}

/* Disk and memory seldom come back at once: the next attempt waits, and other jobs go by. */
static int
let_rest(struct node *n, const struct job *j, const struct err *why, struct err *e)
{
	int64_t ms = REST_MS;

	if (why->code != ERR_IO && why->code != ERR_LIMIT)
		return 0;
	for (int64_t i = 1; i < j->attempt && ms < JOB_REST_MAX_MS; i++)
		ms *= 2;
	return jobs_rest(n->db, j->id, j->attempt, clock_ms() + (ms < JOB_REST_MAX_MS ? ms : JOB_REST_MAX_MS), e);
}

/* A disk that is full or fails for an hour must not use up the attempts of the jobs that wait for it. */
static bool
is_disk_to_blame(const struct node *n, const struct err *why)
{
	return (why->code == ERR_LIMIT || why->code == ERR_IO) && !spool_can_write(n);
}

void
outcome_failed(struct node *n, const struct job *j, const struct err *why, const char *flags)
{
	bool is_void = is_disk_to_blame(n, why);
	struct err e;
	int rc;

	do {
		if (why->code == ERR_INPUT && flags != NULL && jobs_flags(n->db, j->id, j->attempt, flags, &e) != 0)
			rc = -1;
		else if (why->code == ERR_INPUT)
			rc = jobs_end(n->db, j->id, JOB_RUNNING, JOB_REJECTED, why->text, &e);
		else if (is_void)
			rc = jobs_interrupted(n->db, j->id, j->attempt, why->text, &e);
		else if ((rc = let_rest(n, j, why, &e)) == 0)
			rc = jobs_attempt_failed(n->db, j->id, j->attempt, err_may_pass(why->code), n->settings->max_attempts, why->text, &e);
	} while (rc != 0 && try_again(n, j, &e));
	if (rc == 0 && is_void) {
		log_event(LOG_ERROR, "job_waits_for_disk", "job=%" PRId64 " study=%s retry_ms=%d text=\"%s\"", j->id, j->study_uid, OUTCOME_RETRY_MS, why->text);
		bell_rest(&n->work, OUTCOME_RETRY_MS);
	} else if (rc == 0) {
		log_failure(n, j, why);
		tell_flags(n, j, flags);
		bell_ring(&n->retain);
	} else if (e.code != ERR_STATE) { /* ERR_STATE: cancelled meanwhile */
		log_event(LOG_ERROR, "job_not_recorded", "job=%" PRId64 " text=\"%s\"", j->id, e.text);
	}
}

void
outcome_give_back(struct node *n, const struct job *j)
{
	struct err e;

	if (jobs_interrupted(n->db, j->id, j->attempt, NULL, &e) == 0)
		log_event(LOG_INFO, "job_interrupted", "job=%" PRId64 " study=%s attempt=%" PRId64, j->id, j->study_uid, j->attempt);
	else if (e.code != ERR_STATE) /* cancelled meanwhile */
		log_event(LOG_WARN, "job_not_recorded", "job=%" PRId64 " text=\"%s\"", j->id, e.text);
}
