/* GET /api/v1/audit: the audit trail, newest first, for admins. That somebody reads it is an event of it, too (PS3.15 A.5.3.2). */
#include "config/clock.h"
#include "dicom/dicom.h"
#include "service/flow/audit.h"
#include "service/flow/audit_xml.h"
#include "service/flow/node.h"
#include "service/http/handlers.h"
#include "service/http/problem.h"
#include "service/http/who.h"

#include <stdio.h>
#include <string.h>

enum { LIMIT_DEFAULT = 50, LIMIT_MOST = 1000 };

static int
read_filter(const struct request *q, struct audit_filter *f, struct err *e)
{
	const char *since = request_query(q, "since"), *limit = request_query(q, "limit"), *cursor = request_query(q, "cursor");
	int64_t most = LIMIT_DEFAULT;

	f->study_uid = request_query(q, "study");
	if (f->study_uid && !dicom_uid_is_valid(f->study_uid))
		return err_set(e, ERR_INPUT, "study: not a UID");
	if (since && clock_parse(since, &f->since_ms, e) < 0)
		return err_note(e, "since");
	if (limit && request_integer(limit, 1, LIMIT_MOST, &most) < 0)
		return err_set(e, ERR_INPUT, "limit: a number from 1 to %d", LIMIT_MOST);
	if (cursor && request_integer(cursor, 1, INT64_MAX, &f->before_id) < 0)
		return err_set(e, ERR_INPUT, "cursor: what \"next\" said, unchanged");
	f->limit = (size_t)most;
	return 0;
}

static void
set_said(struct json *o, const char *key, const char *text)
{
	json_set_string(o, key, text[0] ? text : NULL);
}

static struct json *
who_json(const struct audit_row *row)
{
	struct json *o = json_new_object();

	set_said(o, "aet", row->aet);
	set_said(o, "address", row->address);
	set_said(o, "token", row->token);
	set_said(o, "role", row->role);
	set_said(o, "user", row->user);
	return o;
}

static struct json *
row_json(const struct audit_row *row, struct err *e)
{
	struct json_doc *objects = json_parse(row->objects, strlen(row->objects), 0, e);
	struct json *o;
	char time[CLOCK_TEXT];

	if (objects == NULL)
		return NULL;
	o = json_new_object();
	clock_text(row->time_ms, time);
	json_set_int(o, "id", row->id);
	json_set_string(o, "time", time);
	json_set_string(o, "event", audit_event_name(row->event));
	json_set_int(o, "code", row->event);
	json_set_string(o, "type", audit_type_name(row->type));
	json_set_string(o, "action", row->action);
	json_set_int(o, "outcome", row->outcome);
	json_set(o, "who", who_json(row));
	set_said(o, "study_uid", row->study_uid);
	if (row->job)
		json_set_int(o, "job", row->job);
	else
		json_set_null(o, "job");
	json_set(o, "objects", json_copy(json_root(objects)));
	set_said(o, "destination", row->destination);
	set_said(o, "text", row->text);
	json_doc_free(objects);
	return o;
}

static struct json *
list_json(struct db *d, const struct audit_filter *f, struct err *e)
{
	struct audit_filter wider = *f;
	struct json *o = NULL, *list;
	struct audit_row *rows;
	size_t n;
	char next[24];

	wider.limit = f->limit + 1;                                /* one more than shown: is there a next page? */
	if (audit_list(d, &wider, &rows, &n, e) < 0)
		return NULL;
	list = json_new_array();
	for (size_t i = 0; i < n && i < f->limit; i++) {
		struct json *row = row_json(&rows[i], e);
		if (!row) {
			json_free(list);
			goto out;
		}
		json_add(list, row);
	}
	o = json_new_object();
	json_set(o, "events", list);
	if (n > f->limit)
		snprintf(next, sizeof next, "%lld", (long long)rows[f->limit - 1].id);
	json_set_string(o, "next", n > f->limit ? next : NULL);
out:
	audit_rows_free(rows, n);
	return o;
}

void
audit_answer(struct request *q, struct reply *r)
{
	struct audit_filter f = { .limit = 0 };
	struct audit_entry reading = { .event = AUDIT_LOG_USED, .action = 'R' };
	struct json *o;
	struct err e;

	if (read_filter(q, &f, &e) < 0 || (o = list_json(q->node->db, &f, &e)) == NULL) {
		problem_error(r, &e);
		return;
	}
	who_sign(q, &reading);
	audit_record(q->node, &reading);
	reply_json(r, 200, o);
}
