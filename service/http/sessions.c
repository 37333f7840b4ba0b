/* /api/v1/session: a browser gives its token once and gets a cookie that no script can read; who am I; good-bye. The token comes in the Authorization header
 * or as {"token": ...}, never in an address, which logs keep. */
#include "config/clock.h"
#include "config/log.h"
#include "service/flow/audit.h"
#include "service/flow/node.h"
#include "service/http/handlers.h"
#include "service/http/json_body.h"
#include "service/http/problem.h"
#include "service/http/who.h"

#include <stdlib.h>
#include <string.h>

static int
session_begin(struct request *q, struct reply *r)
{
	struct json_body *b = calloc(1, sizeof *b);
	struct err e;

	if (q->length > q->node->settings->http.max_json_kb << 10) {
		problem_set(r, 413, "a token is no longer than the %lld KiB of http.max_json_kb", (long long)q->node->settings->http.max_json_kb);
		free(b);
		return -1;
	}
	if (b == NULL || json_body_open(b, q->node->settings, &e) != 0) {
		free(b);
		err_set(&e, ERR_LIMIT, "no memory for a session");
		problem_error(r, &e);
		return -1;
	}
	q->upload = b;
	return 0;
}

static void
session_piece(struct request *q, const char *bytes, size_t n)
{
	json_body_add(q->upload, bytes, n);
}

static void
session_drop(struct request *q)
{
	struct json_body *b = q->upload;

	if (b == NULL)
		return;
	if (b->text != NULL)
		explicit_bzero(b->text, b->n);
	json_body_free(b);
	free(b);
	q->upload = NULL;
}

const struct upload_kind session_upload = { session_begin, session_piece, session_drop };

static void
tell(const struct request *q, struct reply *r)
{
	struct json *o = json_new_object();

	json_set_string(o, "name", q->who[0] != 0 ? q->who : NULL);
	json_set_string(o, "role", auth_role_name(q->role));
	reply_json(r, 200, o);
}

void
session_answer(struct request *q, struct reply *r)
{
	tell(q, r);
}

static int
given_token(const struct request *q, char token[WHO_TOKEN], struct reply *r)
{
	static const struct json_field fields[] = { { "token", FIELD_STRING, 0, WHO_TOKEN, 0, 0, true, false } };
	const struct json_body *b = q->upload;
	struct json_doc *d;
	struct err e;
	int rc;

	if (who_bearer(request_header(q, "Authorization"), token))
		return 0;
	if (b->is_too_large) {
		problem_set(r, 413, "a token is no longer than the %lld KiB of http.max_json_kb", (long long)q->node->settings->http.max_json_kb);
		return -1;
	}
	d = json_body_parse(b, q->node->settings, &e);
	rc = d == NULL ? -1 : json_read(d, json_root(d), fields, 1, "", token, &e);
	json_doc_free(d);
	if (rc != 0)
		problem_set(r, 400, "a session needs a token, as Authorization: Bearer TOKEN or {\"token\": TOKEN}: %s", e.text);
	return rc;
}

static void
record(const struct request *q, enum audit_type type)
{
	struct audit_entry a = { .event = AUDIT_USER, .type = type, .action = 'E' };

	who_sign(q, &a);
	audit_record(q->node, &a);
}

void
session_open_answer(struct request *q, struct reply *r)
{
	int64_t seconds = q->node->settings->http.session_timeout, now = clock_monotonic_ms();
	char token[WHO_TOKEN], id[AUTH_TOKEN];
	uint8_t digest[AUTH_DIGEST];

	if (q->gate->auth == NULL) {
		problem_set(r, 409, "this node has no tokens: everybody on its machine may do everything without a session");
		return;
	}
	if (given_token(q, token, r) != 0)
		return;
	if (who_is(q, token, digest, r) == 0) {
		sessions_open(q->gate->sessions, digest, now, now + seconds * 1000, id);
		log_event(LOG_INFO, "session_opened", "client=%s token=%s role=%s", q->client, q->who, auth_role_name(q->role));
		record(q, AUDIT_LOGIN);
		who_set_cookie(q, id, seconds, r);
		tell(q, r);
	}
	explicit_bzero(token, sizeof token);
}

void
session_end_answer(struct request *q, struct reply *r)
{
	char id[AUTH_TOKEN];

	if (who_session(request_header(q, "Cookie"), id)) {
		sessions_end(q->gate->sessions, id);
		record(q, AUDIT_LOGOUT);
	}
	r->status = 204;
	r->type = NULL;
	if (q->gate->auth != NULL)
		who_set_cookie(q, "", 0, r);
}
