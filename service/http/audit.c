/* GET /api/v1/audit: the audit trail, newest first, for admins. That somebody reads it is an event of it, too (PS3.15 A.5.3.2). */
#include "config/clock.h"
#include "service/flow/audit.h"
#include "service/flow/audit_xml.h"
#include "service/flow/node.h"
#include "service/http/handlers.h"
#include "service/http/page.h"
#include "service/http/problem.h"
#include "service/http/who.h"

#include <stdio.h>
#include <string.h>

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
list_json(struct db *d, const struct page *p, struct err *e)
{
	/* one more than shown: is there a next page? */
	const struct audit_filter f = { .study_uid = p->study_uid, .since_ms = p->since_ms, .before_id = p->before_id, .limit = p->limit + 1 };
	struct json *o = NULL, *list;
	struct audit_row *rows;
	size_t n;

	if (audit_list(d, &f, &rows, &n, e) < 0)
		return NULL;
	list = json_new_array();
	for (size_t i = 0; i < n && i < p->limit; i++) {
		struct json *row = row_json(&rows[i], e);
		if (!row) {
			json_free(list);
			goto out;
		}
		json_add(list, row);
	}
	o = page_json("events", list, n > p->limit, n > p->limit ? rows[p->limit - 1].id : 0);
out:
	audit_rows_free(rows, n);
	return o;
}

void
audit_answer(struct request *q, struct reply *r)
{
	struct page p;
	struct audit_entry reading = { .event = AUDIT_LOG_USED, .action = 'R' };
	struct json *o;
	struct err e;

	if (page_read(q, &p, &e) < 0 || (o = list_json(q->node->db, &p, &e)) == NULL) {
		problem_error(r, &e);
		return;
	}
	who_sign(q, &reading);
	audit_record(q->node, &reading);
	reply_json(r, 200, o);
}
