/* Who asks, and whether they may: the Authorization header (RFC 6750) or a browser's session against what a route needs. Without a tokens_file everybody
 * is admin, and the door is on loopback. A token's text is in no log and no answer. */
#pragma once
#include "service/http/clients.h"
#include "service/http/request.h"
#include "service/http/session.h"

enum { WHO_TOKEN = 256 };

struct gate {
	struct auth *auth;               /* NULL: no tokens */
	struct sessions *sessions;
	struct clients *clients;
	bool is_tls;
};

struct audit_entry;
void who_sign(const struct request *q, struct audit_entry *a);              /* whose event it is; borrows q */
/* Fills q->who, role and by_cookie. false: *r says 401, 403, 429 or 503. route: for the log. */
bool who_may(struct request *q, enum auth_role needs, const char *route, struct reply *r);
/* A token that was said otherwise than in the header. 0: known, q->who and role are its; -1: *r says why not. */
int  who_is(struct request *q, const char *token, uint8_t digest[AUTH_DIGEST], struct reply *r);
bool who_bearer(const char *authorization, char token[WHO_TOKEN]);          /* of the header's text, NULL = absent; false: no bearer's; too long for any of ours: "" */
bool who_session(const char *cookie, char id[AUTH_TOKEN]);                  /* the same of the Cookie header; false: not there */
void who_set_cookie(const struct request *q, const char *id, int64_t seconds, struct reply *r); /* 0 seconds: the browser forgets it */
