/* The job of one study for one model: made when every channel has a series, queued when every series is complete, taken back when one changes before it ran,
 * rejected when one is, and followed by a new case version when the instances changed after it ran (DESIGN small print "Jobs"). Every move is the
 * database's compare-and-set; a move that came too late is looked at again.
 * What makes a crash harmless: a job is made before the series that calls for it is settled (cases_match with a prospect), and is queued or rejected after. */
#include "service/flow/cases.h"

#include "config/clock.h"
#include "config/digest.h"
#include "config/json.h"
#include "config/log.h"
#include "db/jobs.h"
#include "service/flow/cases_parts.h"
#include "service/flow/node.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct team {                                 /* who fills the channels of a model */
	const struct manifest *model;
	const struct member *of[MODEL_MAX_CHANNELS]; /* in the manifest's order; NULL = nobody */
	bool is_full, is_unsettled, was_unsettled; /* unsettled: a series that fits a channel may still change; was: before the prospect */
	const struct member *rejected;        /* a channel whose best series is rejected; NULL = none */
	struct job_input *inputs;             /* read when they are needed; sorted by channel as the manifest has them, then by UID */
	size_t n_inputs;
	bool has_changed;                     /* an instance came since the study was read: it rang the bell, the next look is soon */
};

static bool
is_unsettled(enum series_state s)
{
	return s == SERIES_STATE_OPEN || s == SERIES_STATE_WAITING;
}

bool
model_takes(const struct manifest *m, const char *channel)
{
	for (size_t i = 0; i < m->n_channels; i++)
		if (strcmp(m->channels[i], channel) == 0)
			return true;
	return false;
}

static void
make_team(const struct study *s, const struct manifest *model, struct team *t)
{
	memset(t, 0, sizeof *t);
	t->model = model;
	t->is_full = true;
	for (size_t c = 0; c < model->n_channels; c++) {
		t->of[c] = study_filler(s, model->channels[c]);
		t->is_full = t->is_full && t->of[c] != NULL;
		if (t->of[c] != NULL && t->of[c]->state == SERIES_STATE_REJECTED)
			t->rejected = t->of[c];
	}
	for (size_t i = 0; i < s->n; i++) {
		const struct member *m = &s->members[i];
		if (m->place < 0 || !model_takes(model, m->decision.channel))
			continue;
		t->is_unsettled = t->is_unsettled || is_unsettled(m->state);
		t->was_unsettled = t->was_unsettled || is_unsettled(m->row.state);
	}
}

/* ---- what a job reads ---- */

static int
add_inputs(struct team *t, const struct study *s, size_t c, struct err *e)
{
	const struct member *m = t->of[c];
	struct instance_row *rows = NULL;
	struct job_input *more;
	size_t n = 0;

	if (instances_of_series(s->node->db, m->row.series_uid, &rows, &n, e) != 0)
		return -1;
	t->has_changed = t->has_changed || n != (size_t)m->row.n_instances;
	more = reallocarray(t->inputs, t->n_inputs + n + 1, sizeof *more);
	if (more == NULL) {
		free(rows);
		return err_set(e, ERR_LIMIT, "no memory for %zu inputs", t->n_inputs + n);
	}
	t->inputs = more;
	for (size_t i = 0; i < n; i++) {
		struct job_input *input = &t->inputs[t->n_inputs++];
		snprintf(input->channel, sizeof input->channel, "%s", t->model->channels[c]);
		memcpy(input->sop_uid, rows[i].sop_uid, sizeof input->sop_uid);
	}
	free(rows);
	return 0;
}

static int
read_inputs(struct team *t, const struct study *s, struct err *e)
{
	if (t->inputs != NULL)
		return 0;
	for (size_t c = 0; c < t->model->n_channels; c++)
		if (add_inputs(t, s, c, e) != 0)
			return -1;
	return 0;
}

static int
fingerprint_of(const struct team *t, const char *model_digest, char hex[DIGEST_HEX], struct err *e)
{
	struct digest *d = digest_new(e);

	if (d == NULL)
		return -1;
	for (size_t i = 0; i < t->n_inputs; i++) {
		digest_add(d, t->inputs[i].channel, strlen(t->inputs[i].channel) + 1);
		digest_add(d, t->inputs[i].sop_uid, strlen(t->inputs[i].sop_uid) + 1);
	}
	digest_add(d, model_digest, strlen(model_digest));
	digest_hex(d, hex);
	digest_free(d);
	return 0;
}

static char *
channels_json(const struct team *t, struct err *e)
{
	struct json *o = json_new_object();
	char *text;

	for (size_t c = 0; c < t->model->n_channels; c++)
		json_set_string(o, t->model->channels[c], t->of[c]->row.series_uid);
	text = json_print(o, false, e);
	json_free(o);
	return text;
}

/* ---- a new case version ---- */

/* When a study comes again that retention has removed, what has come so far is nothing new. Both are sorted alike. */
static int
is_part_of_removed(const struct team *t, const struct study *s, const struct job *j, bool *is_part, struct err *e)
{
	struct job_input *inputs = NULL;
	size_t n = 0, k = 0;

	*is_part = false;
	if (j->removed_ms == 0)
		return 0;
	if (jobs_inputs(s->node->db, j->id, &inputs, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n && k < t->n_inputs; i++)
		k += strcmp(inputs[i].channel, t->inputs[k].channel) == 0 && strcmp(inputs[i].sop_uid, t->inputs[k].sop_uid) == 0;
	free(inputs);
	*is_part = k == t->n_inputs;
	return 0;
}

/* Whether the instances differ from those of a job that had its inputs; with that job's model: another model alone makes no new version. */
static int
inputs_differ(struct team *t, const struct study *s, const struct job *j, bool *differ, struct err *e)
{
	char hex[DIGEST_HEX];
	bool is_part = false;

	*differ = false;
	if (read_inputs(t, s, e) != 0 || fingerprint_of(t, j->model_digest, hex, e) != 0)
		return -1;
	*differ = !t->has_changed && strcmp(hex, j->fingerprint) != 0;
	if (*differ && is_part_of_removed(t, s, j, &is_part, e) != 0)
		return -1;
	*differ = *differ && !is_part;
	return 0;
}

static int64_t
last_instance_ms(const struct team *t)
{
	int64_t last = 0;

	for (size_t c = 0; c < t->model->n_channels; c++)
		if (t->of[c]->row.last_ms > last)
			last = t->of[c]->row.last_ms;
	return last;
}

/* After a job that is no longer ours to change. One that ended before it had inputs is followed when something arrives for it again. */
static int
needs_successor(struct team *t, const struct study *s, const struct job *j, bool *needed, struct err *e)
{
	*needed = false;
	if (j->fingerprint != NULL)
		return t->is_unsettled ? 0 : inputs_differ(t, s, j, needed, e);
	*needed = t->was_unsettled && t->rejected == NULL && (j->state != JOB_CANCELLED || last_instance_ms(t) > j->finished_ms);
	return 0;
}

/* old NULL: the first job of this study and model. */
static int
make_job(struct team *t, const struct study *s, const struct job *old, struct job *made, struct err *e)
{
	struct job j = { .state = JOB_RECEIVING, .priority = "normal", .case_version = old != NULL ? old->case_version + 1 : 1, .run = 1,
		.created_ms = clock_ms(), .replaces = old != NULL ? old->id : 0 };
	int result = -1;

	snprintf(j.study_uid, sizeof j.study_uid, "%s", s->study_uid);
	snprintf(j.model_name, sizeof j.model_name, "%s", t->model->name);
	snprintf(j.model_version, sizeof j.model_version, "%s", t->model->version);
	snprintf(j.model_digest, sizeof j.model_digest, "%s", t->model->weights_sha256);
	if ((j.channels = channels_json(t, e)) == NULL || jobs_create(s->node->db, &j, &j.id, e) != 0)
		goto out;
	log_event(LOG_INFO, "job_receiving", "job=%lld study=%s model=%s@%s case_version=%lld replaces=%lld", (long long)j.id, j.study_uid, j.model_name,
	    j.model_version, (long long)j.case_version, (long long)j.replaces);
	result = jobs_get(s->node->db, j.id, made, e);
out:
	free(j.channels);
	return result;
}

/* ---- moving a receiving job ---- */

static int
reject(const struct study *s, const struct job *j, const char *reason, struct err *e)
{
	if (jobs_end(s->node->db, j->id, JOB_RECEIVING, JOB_REJECTED, reason, e) != 0)
		return e->code == ERR_STATE ? 0 : -1; /* cancelled meanwhile */
	log_event(LOG_INFO, "job_rejected", "job=%lld study=%s", (long long)j->id, s->study_uid);
	return 0;
}

static int
reject_missing(const struct study *s, const struct team *t, const struct job *j, struct err *e)
{
	char reason[160];

	for (size_t c = 0; c < t->model->n_channels; c++)
		if (t->of[c] == NULL) {
			snprintf(reason, sizeof reason, "channel %s: the series that filled it is not used any more, see its decision", t->model->channels[c]);
			return reject(s, j, reason, e);
		}
	return 0;
}

static int
queue(struct team *t, const struct study *s, const struct job *j, const char *channels, struct err *e)
{
	char hex[DIGEST_HEX];

	if (read_inputs(t, s, e) != 0)
		return -1;
	if (t->has_changed)
		return 0;
	if (fingerprint_of(t, j->model_digest, hex, e) != 0)
		return -1;
	if (jobs_queue(s->node->db, j->id, channels, hex, t->inputs, t->n_inputs, "every channel is complete", e) != 0)
		return e->code == ERR_STATE ? 0 : -1;
	log_event(LOG_INFO, "job_queued", "job=%lld study=%s model=%s@%s instances=%zu", (long long)j->id, s->study_uid, j->model_name, j->model_version,
	    t->n_inputs);
	bell_ring(&s->node->work);
	return 0;
}

static int
advance(struct team *t, const struct study *s, const struct job *j, struct err *e)
{
	char reason[1024], *channels = channels_json(t, e);
	int result = 0;

	if (channels == NULL)
		return -1;
	if (j->channels == NULL || strcmp(j->channels, channels) != 0)
		result = jobs_channels(s->node->db, j->id, channels, e);
	if (result != 0) {
		result = e->code == ERR_STATE ? 0 : -1;
	} else if (t->rejected != NULL) {
		snprintf(reason, sizeof reason, "channel %s (rule %s): series %s: %s", t->rejected->decision.channel, t->rejected->decision.rule,
		    t->rejected->row.series_uid, t->rejected->verdict);
		result = reject(s, j, reason, e);
	} else if (!t->is_unsettled) {
		result = queue(t, s, j, channels, e);
	}
	free(channels);
	return result;
}

/* ---- the newest job ---- */

/* A queued job whose instances changed goes back to receiving. *j is read again when a worker was faster. */
static int
take_back(struct team *t, const struct study *s, struct job *j, struct err *e)
{
	bool differ;

	if (inputs_differ(t, s, j, &differ, e) != 0)
		return -1;
	if (!differ)
		return 0;
	if (jobs_unqueue(s->node->db, j->id, "more instances arrived", e) != 0 && e->code != ERR_STATE)
		return -1;
	job_release(j);
	if (jobs_latest(s->node->db, s->study_uid, t->model->name, j, e) != 0)
		return -1;
	if (j->state == JOB_RECEIVING)
		log_event(LOG_INFO, "job_receiving", "job=%lld study=%s cause=\"more instances arrived\"", (long long)j->id, s->study_uid);
	return 0;
}

/* found: *j is the newest job, which may be replaced here. */
static int
follow(struct team *t, const struct study *s, bool found, struct job *j, struct err *e)
{
	bool needed = !found;

	if (!t->is_full)
		return found && j->state == JOB_RECEIVING && !s->is_prospect ? reject_missing(s, t, j, e) : 0;
	if (found && j->state == JOB_QUEUED && !s->is_prospect && take_back(t, s, j, e) != 0)
		return -1;
	if (found && j->state != JOB_RECEIVING && j->state != JOB_QUEUED && needs_successor(t, s, j, &needed, e) != 0)
		return -1;
	if (needed) {
		struct job made;
		if (make_job(t, s, found ? j : NULL, &made, e) != 0)
			return -1;
		if (found)
			job_release(j);
		*j = made;
	}
	return j->state == JOB_RECEIVING && !s->is_prospect ? advance(t, s, j, e) : 0;
}

int
study_follow(struct study *s, const struct model_setting *setting, struct err *e)
{
	const struct catalog_entry *entry = node_find_model(s->node->catalog, setting, e);
	struct team t;
	struct job j = { 0 };
	bool found;
	int result;

	if (entry == NULL)
		return -1;
	make_team(s, &entry->manifest, &t);
	found = jobs_latest(s->node->db, s->study_uid, entry->manifest.name, &j, e) == 0;
	result = !found && e->code != ERR_NOT_FOUND ? -1 : follow(&t, s, found, &j, e);
	job_release(&j);
	free(t.inputs);
	return result;
}

/* ---- jobs that wait ---- */

/* What was written later than now was written before the clock was set back. */
static int64_t
later(int64_t a_ms, int64_t b_ms, int64_t now_ms)
{
	return a_ms > b_ms && a_ms <= now_ms ? a_ms : b_ms;
}

/* Since when it is receiving, while the node was there to receive: a job that was queued once may have become so long after it was made. */
static int
receiving_since(struct node *n, const struct job *j, int64_t now_ms, int64_t *since_ms, struct err *e)
{
	struct job_event *events = NULL;
	size_t count = 0;

	*since_ms = later(j->created_ms, n->even_since_ms, now_ms);
	if (jobs_history(n->db, j->id, &events, &count, e) != 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (strcmp(events[i].state, job_state_name(JOB_RECEIVING)) == 0)
			*since_ms = later(events[i].time_ms, *since_ms, now_ms);
	free(events);
	return 0;
}

static int
expire(struct node *n, const struct job *j, int64_t now_ms, int64_t *next_ms, struct err *e)
{
	int64_t wait_ms = n->settings->study_forcecomplete_trigger * 1000, due_ms = later(j->created_ms, 0, now_ms) + wait_ms;
	char reason[200];

	if (now_ms >= due_ms) { /* perhaps */
		if (receiving_since(n, j, now_ms, &due_ms, e) != 0)
			return -1;
		due_ms += wait_ms;
	}
	if (now_ms < due_ms) {
		if (due_ms < *next_ms)
			*next_ms = due_ms;
		return 0;
	}
	snprintf(reason, sizeof reason, "not complete within study_forcecomplete_trigger (%lld s): a series that fills a channel was still being received",
	    (long long)n->settings->study_forcecomplete_trigger);
	if (jobs_end(n->db, j->id, JOB_RECEIVING, JOB_REJECTED, reason, e) != 0)
		return e->code == ERR_STATE ? 0 : -1;
	log_event(LOG_INFO, "job_rejected", "job=%lld study=%s text=\"%s\"", (long long)j->id, j->study_uid, reason);
	return 0;
}

static int
look_at(struct node *n, const struct rules *r, const struct job *j, bool is_new, int64_t now_ms, int64_t *next_ms, struct err *e)
{
	struct job again;
	int result;

	if (!is_new)
		return expire(n, j, now_ms, next_ms, e);
	if (cases_match(n, r, j->study_uid, NULL, e) != 0 || jobs_get(n->db, j->id, &again, e) != 0)
		return -1;
	result = again.state == JOB_RECEIVING ? expire(n, &again, now_ms, next_ms, e) : 0;
	job_release(&again);
	return result;
}

int
cases_receiving(struct node *n, const struct rules *r, int64_t *seen, int64_t now_ms, int64_t *next_ms, struct err *e)
{
	struct job_filter filter = { .has_state = true, .state = JOB_RECEIVING, .limit = 100 };
	int64_t newest = *seen;
	size_t count;
	int result;

	do {
		struct job *jobs = NULL;
		count = 0;
		result = jobs_list(n->db, &filter, &jobs, &count, e);
		for (size_t i = 0; result == 0 && i < count; i++) {
			newest = jobs[i].id > newest ? jobs[i].id : newest;
			filter.before_id = jobs[i].id;
			result = look_at(n, r, &jobs[i], jobs[i].id > *seen, now_ms, next_ms, e);
		}
		jobs_free(jobs, count);
	} while (result == 0 && count == filter.limit);
	if (result == 0)
		*seen = newest;
	return result;
}
