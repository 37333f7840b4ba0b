/* /api/v1/series/{uid}/decision: why this series was or was not used, and for each model what its study still lacks. Reads the database only. */
#include "db/instances.h"
#include "db/jobs.h"
#include "dicom/dicom.h"
#include "service/flow/node.h"
#include "service/http/handlers.h"
#include "service/http/problem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A study's series; the array is owned by who made it. */
struct study { const struct series_row *rows; size_t n; };

/* The series that fills a channel, NULL when none does. */
static const struct series_row *
filler(const struct study *s, const char *channel)
{
	for (size_t i = 0; i < s->n; i++)
		if (!s->rows[i].ours && s->rows[i].state != SERIES_STATE_REJECTED && strcmp(s->rows[i].channel, channel) == 0)
			return &s->rows[i];
	return NULL;
}

static struct json *
case_json(struct node *n, const struct study *s, const struct manifest *m, struct err *e)
{
	struct json *o = json_new_object(), *channels = json_new_object(), *missing = json_new_array();
	char model[sizeof m->name + sizeof m->version];
	struct job j;
	int rc;

	snprintf(model, sizeof model, "%s@%s", m->name, m->version);
	json_set_string(o, "model", model);
	for (size_t i = 0; i < m->n_channels; i++) {
		const struct series_row *row = filler(s, m->channels[i]);
		json_set_string(channels, m->channels[i], row ? row->series_uid : NULL);
		if (!row)
			json_add_string(missing, m->channels[i]);
	}
	json_set(o, "channels", channels);
	json_set(o, "missing", missing);
	rc = jobs_latest(n->db, s->rows[0].study_uid, m->name, &j, e);
	if (rc < 0 && e->code != ERR_NOT_FOUND) {
		json_free(o);
		return NULL;
	}
	if (rc == 0) {
		json_set_int(o, "job", j.id);
		job_release(&j);
	} else {
		json_set_null(o, "job");
	}
	return o;
}

/* One entry for every model that the settings put to work. */
static struct json *
cases_json(struct node *n, const struct study *s, struct err *e)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < n->settings->n_models; i++) {
		struct err ignored;                                     /* a model that is not installed is told at start and by /api/v1/models */
		const struct catalog_entry *entry = node_find_model(n->catalog, &n->settings->models[i], &ignored);
		struct json *o;
		if (!entry)
			continue;
		o = case_json(n, s, &entry->manifest, e);
		if (!o) {
			json_free(list);
			return NULL;
		}
		json_add(list, o);
	}
	return list;
}

static struct json *
decision_json(const struct series_row *row, struct json *cases)
{
	struct json *o = json_new_object();

	json_set_string(o, "series_uid", row->series_uid);
	json_set_string(o, "study_uid", row->study_uid);
	json_set_string(o, "modality", row->modality[0] ? row->modality : NULL);
	json_set_int(o, "instances", row->n_instances);
	json_set_string(o, "state", series_state_name(row->state));
	json_set_string(o, "channel", row->channel[0] ? row->channel : NULL);
	json_set_string(o, "rule", row->rule[0] ? row->rule : NULL);
	json_set_string(o, "reason", row->reason[0] ? row->reason : NULL);
	json_set(o, "cases", cases);
	return o;
}

void
series_decision_answer(struct request *q, struct reply *r)
{
	struct series_row row, *rows = NULL;
	struct study study;
	struct json *cases;
	struct err e;

	if (!dicom_uid_is_valid(q->params[0])) {
		problem_set(r, 404, "no series has that UID: it is not one");
		return;
	}
	if (series_get(q->node->db, q->params[0], &row, &e) < 0 || series_of_study(q->node->db, row.study_uid, &rows, &study.n, &e) < 0)
		goto out;
	study.rows = rows;
	cases = study.n > 0 ? cases_json(q->node, &study, &e) : json_new_array();
	free(rows);
	if (!cases)
		goto out;
	reply_json(r, 200, decision_json(&row, cases));
	return;
out:
	problem_error(r, &e);
}
