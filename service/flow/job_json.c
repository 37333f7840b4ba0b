/* The keys and their order are the contract of DESIGN "HTTP". */
#include "service/flow/job_json.h"

#include "config/clock.h"
#include "db/deliveries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
set_time(struct json *o, const char *key, int64_t ms)
{
	char text[CLOCK_TEXT];

	if (ms > 0)
		clock_text(ms, text);
	json_set_string(o, key, ms > 0 ? text : NULL);
}

/* A JSON text of the database as a member; absent: an empty object or array. */
static int
set_stored(struct json *o, const char *key, const char *text, enum json_type type, struct err *e)
{
	struct json_doc *d;

	if (!text || !*text) {
		json_set(o, key, type == JSON_OBJECT ? json_new_object() : json_new_array());
		return 0;
	}
	d = json_parse(text, strlen(text), 0, e);
	if (d && json_type(json_root(d)) != type) {
		json_doc_free(d);
		d = NULL;
		err_set(e, ERR_BUG, "wrong kind of value");
	}
	if (!d) {
		e->code = ERR_BUG;
		return err_note(e, "stored %s", key);
	}
	json_set(o, key, json_copy(json_root(d)));
	json_doc_free(d);
	return 0;
}

void
job_json_flags(struct json *o, const char *reason, const struct json *flags)
{
	struct json *list = json_new_array();

	for (const struct json *f = json_first(flags); f; f = json_next(f))
		json_add_string(list, json_key(f));
	json_set_string(o, "reason", reason ? reason : json_text(json_first(flags)));
	json_set(o, "flags", list);
}

/* An array in rows of older versions, which knew no flag. */
static int
set_flags(struct json *o, const struct job *j, struct err *e)
{
	struct json_doc *d = j->flags && *j->flags ? json_parse(j->flags, strlen(j->flags), 0, e) : NULL;

	if (!d && j->flags && *j->flags) {
		e->code = ERR_BUG;
		return err_note(e, "stored flags");
	}
	job_json_flags(o, j->reason, d && json_type(json_root(d)) == JSON_OBJECT ? json_root(d) : NULL);
	json_doc_free(d);
	return 0;
}

static int
set_deliveries(struct json *o, struct db *db, int64_t job, struct err *e)
{
	struct json *list;
	struct delivery *d;
	size_t n;

	if (deliveries_of_job(db, job, &d, &n, e) < 0)
		return -1;
	list = json_new_array();
	for (size_t i = 0; i < n; i++) {
		struct json *item = json_new_object();
		json_set_string(item, "destination", d[i].destination);
		json_set_string(item, "state", delivery_state_name(d[i].state));
		json_set_int(item, "attempts", d[i].attempts);
		set_time(item, "next_attempt", d[i].state == DELIVERY_WAITING ? d[i].next_attempt_ms : 0);
		json_set_string(item, "last_error", d[i].last_error[0] ? d[i].last_error : NULL);
		json_add(list, item);
	}
	free(d);
	json_set(o, "deliveries", list);
	return 0;
}

struct json *
job_json(struct db *d, const struct job *j, struct err *e)
{
	struct json *o = json_new_object();
	char model[sizeof j->model_name + sizeof j->model_version];

	snprintf(model, sizeof model, "%s@%s", j->model_name, j->model_version);
	json_set_int(o, "id", j->id);
	json_set_string(o, "state", job_state_name(j->state));
	json_set_string(o, "study_uid", j->study_uid);
	json_set_string(o, "model", model);
	if (set_stored(o, "channels", j->channels, JSON_OBJECT, e) < 0)
		goto out;
	json_set_string(o, "priority", j->priority);
	json_set_int(o, "case_version", j->case_version);
	json_set_int(o, "run", j->run);
	json_set_int(o, "attempt", j->attempt);
	set_time(o, "created", j->created_ms);
	set_time(o, "started", j->started_ms);
	set_time(o, "finished", j->finished_ms);
	json_set_number(o, "progress", j->progress);
	json_set_string(o, "reason", NULL); /* its place; set_flags fills it */
	json_set_string(o, "finding", j->finding);
	if (set_flags(o, j, e) < 0 || set_stored(o, "segments", j->segments, JSON_ARRAY, e) < 0
	    || set_stored(o, "results", j->results, JSON_ARRAY, e) < 0 || set_deliveries(o, d, j->id, e) < 0
	    || set_stored(o, "timings_ms", j->timings, JSON_OBJECT, e) < 0)
		goto out;
	if (j->removed_ms)
		set_time(o, "removed", j->removed_ms);
	return o;
out:
	json_free(o);
	err_note(e, "job %lld", (long long)j->id);
	return NULL;
}

struct json *
job_json_by_id(struct db *d, int64_t id, struct err *e)
{
	struct json *o;
	struct job j;

	if (jobs_get(d, id, &j, e) < 0)
		return NULL;
	o = job_json(d, &j, e);
	job_release(&j);
	return o;
}
