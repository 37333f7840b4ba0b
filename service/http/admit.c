/* What a request is refused for by its headers alone, in this order: who floods, what two readers could read in two ways, a foreign host, no such address, who may,
 * a foreign page, query, Accept, size of the body. What the library 0.9.75 does not do is done here (LEADS 5): two lengths in one request are refused, escapes
 * in a path are decoded after it is split. */
#include "service/http/exchange.h"

#include "config/clock.h"
#include "service/flow/node.h"
#include "service/http/media.h"
#include "service/http/origin.h"
#include "service/http/problem.h"

#include <string.h>
#include <strings.h>

enum { IGNORED_BODY = 64 << 10 };          /* of a request whose route has no use for one */

/* What the headers say about the body and the host: counted, because the library takes the first of several. */
struct framing { unsigned n_length, n_coding, n_host; size_t n_bytes; bool malformed; };

/* The library hands a value's continuation line (RFC 9112 5.2) to the name: "Content-Length" becomes "Content-Length17", and would count for nothing. */
static bool
is_folded(const char *name)
{
	static const char *const meaning[] = { "Content-Length", "Transfer-Encoding", "Host" };

	for (size_t i = 0; i < sizeof meaning / sizeof *meaning; i++)
		if (strncasecmp(name, meaning[i], strlen(meaning[i])) == 0 && name[strlen(meaning[i])] != '\0')
			return true;
	return false;
}

static bool
has_control(const char *value)
{
	for (; *value != '\0'; value++)
		if (((unsigned char)*value < ' ' && *value != '\t') || *value == 0x7F)
			return true;
	return false;
}

static enum MHD_Result
count_header(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct framing *f = arg;

	(void)kind;
	f->n_bytes += strlen(name) + 4 + (value ? strlen(value) : 0);
	f->n_length += strcasecmp(name, "Content-Length") == 0;
	f->n_coding += strcasecmp(name, "Transfer-Encoding") == 0;
	f->n_host += strcasecmp(name, "Host") == 0;
	f->malformed = f->malformed || !media_is_token(name) || is_folded(name) || (value && has_control(value));
	return MHD_YES;
}

/* A message that a proxy might read otherwise than we do is not read at all (RFC 9112 6.1, 6.3, 3.2). */
static bool
framing_is_clear(struct exchange *x, const char *version)
{
	struct framing f = { .malformed = false };
	const char *length = request_header(&x->q, "Content-Length"), *coding = request_header(&x->q, "Transfer-Encoding");

	MHD_get_connection_values(x->q.connection, MHD_HEADER_KIND, count_header, &f);
	x->q.length = coding ? -1 : -2;
	if (f.n_bytes > (size_t)x->server->node->settings->http.max_header_kb << 10)
		problem_set(&x->r, 431, "the headers are larger than the %lld KiB of http.max_header_kb", (long long)x->server->node->settings->http.max_header_kb);
	else if (f.malformed || f.n_length + f.n_coding > 1)
		problem_set(&x->r, 400, "a malformed header, or more than one Content-Length or Transfer-Encoding");
	else if (coding && strcasecmp(coding, "chunked") != 0)
		problem_set(&x->r, 501, "the only Transfer-Encoding that is read here is chunked");
	else if (length && request_integer(length, 0, INT64_MAX, &x->q.length) < 0)
		problem_set(&x->r, 400, "Content-Length is not a number");
	else if (f.n_host > 1 || (f.n_host == 0 && strcmp(version, "HTTP/1.0") != 0))
		problem_set(&x->r, 400, "one Host header is needed");
	else
		return true;
	x->q.length = -1;                                          /* whatever comes behind is read as nothing (RFC 9112 6.3): answered and closed */
	return false;
}

static bool
asker_may(struct exchange *x)
{
	return who_may(&x->q, x->route->needs, x->route->pattern, &x->r);
}

/* By the number of its connections, and of its requests in this second. */
static bool
client_is_bounded(struct exchange *x)
{
	const char *what = NULL;

	if (watch_is_excess(x->link))
		what = "too many connections come from this address (http.max_connections_per_client)";
	else if (!clients_may_ask(x->server->gate.clients, x->q.caller, clock_monotonic_ms()))
		what = "too many requests come from this address (http.max_requests_per_client a second)";
	if (!what)
		return true;
	problem_set(&x->r, watch_is_excess(x->link) ? 503 : 429, "%s", what);
	reply_header(&x->r, "Retry-After", "1");
	return false;
}

static bool
host_is_ours(struct exchange *x)
{
	const char *host = request_header(&x->q, "Host");

	if (host && !origin_host_is_plain(host))
		problem_set(&x->r, 400, "the Host header is not a host");
	else if (host && x->server->is_local_only && !origin_host_is_local(host, x->server->node->settings->http.bind))
		problem_set(&x->r, 403, "this node answers on its loopback address only: call it by that");
	else
		return true;
	return false;
}

/* A browser must not be made to call us by a page of another site (DESIGN small print "Tokens"). Who shows a token in a header knows that he asks. */
static bool
origin_is_ours(struct exchange *x)
{
	const char *host = request_header(&x->q, "Host"), *origin = request_header(&x->q, "Origin"), *site = request_header(&x->q, "Sec-Fetch-Site");
	bool reads = strcmp(x->method, "GET") == 0 || strcmp(x->method, "HEAD") == 0;
	bool is_known = x->q.who[0] && !x->q.by_cookie;

	if (reads || is_known)
		return true;
	if (origin ? host && origin_matches(origin, host) && (!x->server->tls || origin_is_secure(origin)) : !site || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0)
		return true;
	problem_set(&x->r, 403, "a page of another origin may not change anything here");
	return false;
}

static bool
route_is_known(struct exchange *x, const char *path)
{
	char allow[64];

	switch (route_find(routes, n_routes, x->method, path, &x->route, x->q.params, allow)) {
	case ROUTE_FOUND:
		return true;
	case ROUTE_MALFORMED:
		problem_set(&x->r, 400, "the path is malformed");
		break;
	case ROUTE_WRONG_METHOD:
		problem_set(&x->r, 405, "this address takes %s", allow);
		reply_header(&x->r, "Allow", allow);
		break;
	case ROUTE_UNKNOWN:
		problem_set(&x->r, 404, "there is nothing at this address");
		break;
	}
	return false;
}

static bool
key_is_known(const char *keys, const char *key)
{
	size_t n = strlen(key);

	for (const char *at = keys; at && *at; at += strcspn(at, " ") + 1)
		if (strncmp(at, key, n) == 0 && at[n] == ' ')
			return n > 0;
	return false;
}

static enum MHD_Result
take_query(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct exchange *x = arg;
	struct request *q = &x->q;
	char key[sizeof q->query[0].key];

	(void)kind;
	if (route_decode(name, strlen(name), key, sizeof key) < 0 || !key_is_known(x->route->query, key))
		problem_set(&x->r, 400, "a query key that this address does not know");
	else if (request_query(q, key))
		problem_set(&x->r, 400, "%s: given twice", key);
	else if (q->n_query == REQUEST_QUERY || !value || route_decode(value, strlen(value), q->query[q->n_query].value, REQUEST_TEXT) < 0)
		problem_set(&x->r, 400, "%s: malformed or too long", key);
	else
		memcpy(q->query[q->n_query++].key, key, sizeof key);
	return x->r.status ? MHD_NO : MHD_YES;
}

static bool
query_is_known(struct exchange *x)
{
	MHD_get_connection_values(x->q.connection, MHD_GET_ARGUMENT_KIND, take_query, x);
	return x->r.status == 0;
}

static bool
accept_is_possible(struct exchange *x)
{
	const char *const *offers = x->route->produces;
	size_t n = offers[0] ? (offers[1] ? 2 : 1) : 0;

	if (n == 0)
		return true;
	x->q.type = media_accept(request_header(&x->q, "Accept"), offers, n);
	if (!x->q.type)
		problem_set(&x->r, 406, "this address answers with %s%s%s", offers[0], n > 1 ? " or " : "", n > 1 ? offers[1] : "");
	return x->q.type != NULL;
}

int64_t
admit_body_limit(const struct exchange *x)
{
	return x->route && x->route->upload ? x->server->node->settings->http.max_body_mb << 20 : IGNORED_BODY;
}

static bool
body_is_welcome(struct exchange *x)
{
	if (x->q.length > admit_body_limit(x))
		problem_set(&x->r, 413, "the body is larger than the %lld bytes that are taken here", (long long)admit_body_limit(x));
	else
		return !x->route->upload || x->route->upload->begin(&x->q, &x->r) == 0;
	return false;
}

bool
admit(struct exchange *x, const char *path, const char *version)
{
	bool is_read = framing_is_clear(x, version);               /* first, for it finds whether a body follows */

	return is_read && client_is_bounded(x) && host_is_ours(x) && route_is_known(x, path) && asker_may(x) && origin_is_ours(x) && query_is_known(x)
		&& accept_is_possible(x) && body_is_welcome(x);
}
