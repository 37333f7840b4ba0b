/* Wrong tokens are counted by address before they are looked at (clients.c); the first of them are logged, the flood behind is not. */
#include "service/http/who.h"

#include "config/clock.h"
#include "config/log.h"
#include "service/flow/audit.h"
#include "service/http/problem.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char cookie_name[] = "segand_session";

bool
who_bearer(const char *header, char token[WHO_TOKEN])
{
	size_t n;

	if (header == NULL || strncasecmp(header, "Bearer", 6) != 0 || header[6] != ' ')
		return false;
	header += 6 + strspn(header + 6, " ");
	n = strcspn(header, " \t");
	if (n >= WHO_TOKEN)
		n = 0;
	snprintf(token, WHO_TOKEN, "%.*s", (int)n, header);
	return true;
}

bool
who_session(const char *at, char id[AUTH_TOKEN])
{
	size_t n_name = sizeof cookie_name - 1;

	while (at != NULL && *at != '\0') {
		at += strspn(at, "; \t");
		if (strncmp(at, cookie_name, n_name) == 0 && at[n_name] == '=') {
			size_t n = strcspn(at + n_name + 1, "; \t");
			snprintf(id, AUTH_TOKEN, "%.*s", n < AUTH_TOKEN ? (int)n : 0, at + n_name + 1);
			return true;
		}
		at += strcspn(at, ";");
	}
	return false;
}

void
who_set_cookie(const struct request *q, const char *id, int64_t seconds, struct reply *r)
{
	char text[REQUEST_TEXT];

	snprintf(text, sizeof text, "%s=%s; Path=/; Max-Age=%lld; HttpOnly; SameSite=Strict%s", cookie_name, id, (long long)seconds, q->gate->is_tls ? "; Secure" : "");
	reply_header(r, "Set-Cookie", text);
}

void
who_sign(const struct request *q, struct audit_entry *a)
{
	a->address = q->client;
	if (q->who[0] != '\0') {
		a->token = q->who;
		a->role = auth_role_name(q->role);
	}
}

/* Whoever is refused: told as an alarm, which is bounded. */
static void
alarm_of(const struct request *q, const struct audit_entry *what)
{
	struct audit_entry a = *what;

	who_sign(q, &a);
	a.action = 'E';
	audit_alarm(q->node, &a);
}

static int
too_many(const struct request *q, struct reply *r)
{
	alarm_of(q, &(const struct audit_entry){ .event = AUDIT_SECURITY_ALERT, .type = AUDIT_NODE, .outcome = AUDIT_SERIOUS, .text = "too many wrong tokens from this address" });
	problem_set(r, 429, "too many wrong tokens came from this address (http.max_token_failures a minute): wait");
	reply_header(r, "Retry-After", "60");
	return -1;
}

static int
unknown(struct request *q, const char *what, struct reply *r)
{
	log_event(LOG_WARN, "http_token_refused", "client=%s", q->client);
	alarm_of(q, &(const struct audit_entry){ .event = AUDIT_USER, .type = AUDIT_LOGIN, .outcome = AUDIT_MINOR, .text = "unknown or revoked token, or an ended session" });
	problem_set(r, 401, "%s", what);
	reply_header(r, "WWW-Authenticate", "Bearer realm=\"segand\", error=\"invalid_token\"");
	return -1;
}

/* tried: what was guessed, a token's digest or a session's. token: the digest of the token that it stands for; NULL: it stands for none. */
static int
look_up(struct request *q, const uint8_t tried[AUTH_DIGEST], const uint8_t *token, const char *what, struct reply *r)
{
	struct auth_token found;
	int64_t now = clock_monotonic_ms();
	struct err e;
	int rc;

	if (!clients_may_try(q->gate->clients, q->caller, tried, now))
		return too_many(q, r);
	rc = token == NULL ? 0 : auth_find(q->gate->auth, token, &found, &e);
	if (rc < 0) {
		problem_set(r, 503, "the node's tokens cannot be read just now: nobody is let in; its log says why");
		return -1;
	}
	clients_tried(q->gate->clients, q->caller, tried, rc == 1, now);
	if (rc == 0)
		return unknown(q, what, r);
	snprintf(q->who, sizeof q->who, "%s", found.name);
	q->role = found.role;
	return 0;
}

int
who_is(struct request *q, const char *token, uint8_t digest[AUTH_DIGEST], struct reply *r)
{
	auth_digest(token, digest);
	return look_up(q, digest, digest, "this token is not known here, or was revoked", r);
}

static int
session_is(struct request *q, const char *id, struct reply *r)
{
	uint8_t tried[AUTH_DIGEST], token[AUTH_DIGEST];
	bool holds = sessions_find(q->gate->sessions, id, clock_monotonic_ms(), token);

	auth_digest(id, tried);
	q->by_cookie = true;
	if (look_up(q, tried, holds ? token : NULL, "this session has ended: POST a token to /api/v1/session", r) == 0)
		return 0;
	if (r->status == 401)
		who_set_cookie(q, "", 0, r);
	return -1;
}

static int
identify(struct request *q, struct reply *r)
{
	char text[WHO_TOKEN];
	uint8_t digest[AUTH_DIGEST];

	if (who_bearer(request_header(q, "Authorization"), text))
		return who_is(q, text, digest, r);
	if (who_session(request_header(q, "Cookie"), text))
		return session_is(q, text, r);
	problem_set(r, 401, "a token is needed here: Authorization: Bearer TOKEN (segan token add makes one)");
	reply_header(r, "WWW-Authenticate", "Bearer realm=\"segand\"");
	return -1;
}

bool
who_may(struct request *q, enum auth_role needs, const char *route, struct reply *r)
{
	if (q->gate->auth == NULL) {
		q->role = AUTH_ADMIN;
		return true;
	}
	q->role = AUTH_NOBODY;
	if (needs == AUTH_NOBODY)
		return true;
	if (identify(q, r) != 0)
		return false;
	if (q->role <= needs)
		return true;
	log_event(LOG_INFO, "http_denied", "client=%s token=%s role=%s needs=%s route=%s", q->client, q->who, auth_role_name(q->role), auth_role_name(needs), route);
	alarm_of(q, &(const struct audit_entry){ .event = AUDIT_SECURITY_ALERT, .type = AUDIT_RESTRICTED, .outcome = AUDIT_MINOR, .text = route });
	problem_set(r, 403, "this needs the role %s; the token %s has the role %s", auth_role_name(needs), q->who, auth_role_name(q->role));
	reply_header(r, "WWW-Authenticate", "Bearer realm=\"segand\", error=\"insufficient_scope\"");
	return false;
}
