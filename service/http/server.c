/* libmicrohttpd <-> struct request and struct reply. Only this file knows the library. A request is checked by its headers alone before a byte of its body
 * is read: what is refused then is answered at once and the connection closed. Not here: what any address means (routes.c).
 * DESIGN: libmicrohttpd's pool runs on_request, on_completed and every handler; a connection stays on one thread. Handlers may wait for the disk and the
 * database, never for a peer or a job. server.is_ready is the only thing written after the start.
 * What the library 0.9.75 does not do, and is done here (LEADS 5): two lengths in one request are refused, a body that trickles is cut, escapes in a path
 * are decoded after it is split. */
#include "service/http/server.h"

#include "config/clock.h"
#include "config/log.h"
#include "service/flow/node.h"
#include "service/http/media.h"
#include "service/http/origin.h"
#include "service/http/problem.h"
#include "service/http/route.h"

#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum {
	THREADS = 8,
	CONNECTION_MEMORY = 64 << 10,     /* headers up to about this; body pieces of half of it */
	IGNORED_BODY = 64 << 10,          /* of a request whose route has no use for one */
	DRAIN_FACTOR = 4,                 /* a body over its limit is read on to this many limits, so that its sender can read the answer */
	SLOWEST_BYTES_PER_S = 1024        /* a body slower than this is cut after the idle timeout */
};

struct server {
	struct node *node;
	struct workers *workers;
	struct MHD_Daemon *daemon;
	bool on_loopback;
	char bound[320];                  /* "127.0.0.1:8080" */
	unsigned port;
	atomic_bool is_ready;
};

/* One request from its headers to its end. */
struct exchange {
	struct server *server;
	struct request q;
	struct reply r;
	const struct route *route;        /* NULL: none fits */
	char method[16], path[256];       /* for the log */
	int64_t started_ms, body_bytes;
	bool is_answered;                 /* r is the answer, whatever still comes */
};

/* What the headers say about the body and the host: counted, because the library takes the first of several. */
struct framing { unsigned n_length, n_coding, n_host; bool malformed; };

const char *
request_header(const struct request *q, const char *name)
{
	return MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, name);
}

static enum MHD_Result
count_header(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct framing *f = arg;

	(void)kind;
	(void)value;
	f->n_length += strcasecmp(name, "Content-Length") == 0;
	f->n_coding += strcasecmp(name, "Transfer-Encoding") == 0;
	f->n_host += strcasecmp(name, "Host") == 0;
	f->malformed = f->malformed || !*name || strpbrk(name, " \t");
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
	if (f.malformed || f.n_length + f.n_coding > 1)
		problem_set(&x->r, 400, "a malformed header name, or more than one Content-Length or Transfer-Encoding");
	else if (coding && strcasecmp(coding, "chunked") != 0)
		problem_set(&x->r, 501, "the only Transfer-Encoding that is read here is chunked");
	else if (length && request_integer(length, 0, INT64_MAX, &x->q.length) < 0)
		problem_set(&x->r, 400, "Content-Length is not a number");
	else if (f.n_host > 1 || (f.n_host == 0 && strcmp(version, "HTTP/1.0") != 0))
		problem_set(&x->r, 400, "one Host header is needed");
	else
		return true;
	return false;
}

/* A browser must not be made to call us by a page of another site (DESIGN small print "Tokens"). */
static bool
origin_is_ours(struct exchange *x)
{
	const char *host = request_header(&x->q, "Host"), *origin = request_header(&x->q, "Origin");
	bool reads = strcmp(x->method, "GET") == 0 || strcmp(x->method, "HEAD") == 0;

	if (host && !origin_host_is_plain(host))
		problem_set(&x->r, 400, "the Host header is not a host");
	else if (host && x->server->on_loopback && !origin_host_is_local(host, x->server->node->settings->http.bind))
		problem_set(&x->r, 403, "this node answers on its loopback address only: call it by that");
	else if (origin && !reads && (!host || !origin_matches(origin, host)))
		problem_set(&x->r, 403, "a page of another origin may not change anything here");
	else
		return true;
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

static int64_t
body_limit(const struct exchange *x)
{
	return x->route && x->route->upload ? x->server->node->settings->http.max_body_mb << 20 : IGNORED_BODY;
}

static bool
body_is_welcome(struct exchange *x)
{
	if (x->q.length > body_limit(x))
		problem_set(&x->r, 413, "the body is larger than the %lld bytes that are taken here", (long long)body_limit(x));
	else
		return !x->route->upload || x->route->upload->begin(&x->q, &x->r) == 0;
	return false;
}

static void
describe_caller(struct exchange *x)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(x->q.connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const char *host = request_header(&x->q, "Host");

	if (info && info->client_addr) {
		socklen_t n = info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
		if (getnameinfo(info->client_addr, n, x->q.client, sizeof x->q.client, NULL, 0, NI_NUMERICHOST) != 0)
			x->q.client[0] = '\0';
	}
	snprintf(x->q.base, sizeof x->q.base, "http://%.255s", host ? host : x->server->bound);
}

static enum MHD_Result
send_reply(struct exchange *x, bool close_after)
{
	struct reply *r = &x->r;
	struct MHD_Response *response;
	enum MHD_Result queued;

	if (r->fd >= 0) {
		response = MHD_create_response_from_fd64(r->file_size, r->fd);
		if (response)
			r->fd = -1;                                     /* the response's now */
	} else {
		response = MHD_create_response_from_buffer(r->n_body, r->body, r->body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
		if (response)
			r->body = NULL;
	}
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, "Content-Type", r->type);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	for (size_t i = 0; i < r->n_headers; i++)
		MHD_add_response_header(response, r->headers[i].name, r->headers[i].value);
	if (close_after)
		MHD_add_response_header(response, "Connection", "close");
	queued = MHD_queue_response(x->q.connection, r->status, response);
	MHD_destroy_response(response);
	return queued;
}

static struct exchange *
exchange_new(struct server *s, struct MHD_Connection *connection, const char *method, const char *path)
{
	struct exchange *x = calloc(1, sizeof *x);

	if (!x)
		return NULL;
	x->server = s;
	x->started_ms = clock_monotonic_ms();
	x->q.node = s->node;
	x->q.workers = s->workers;
	x->q.connection = connection;
	x->q.is_ready = atomic_load(&s->is_ready);
	snprintf(x->method, sizeof x->method, "%s", method);
	snprintf(x->path, sizeof x->path, "%s", path);
	reply_init(&x->r);
	return x;
}

/* The headers are here. A refusal with a body behind it is sent at once and the body never read; without one it waits for the end, to keep the connection. */
static enum MHD_Result
on_headers(struct exchange *x, const char *path, const char *version)
{
	describe_caller(x);
	x->is_answered = !(framing_is_clear(x, version) && origin_is_ours(x) && route_is_known(x, path) && query_is_known(x) && accept_is_possible(x)
	                   && body_is_welcome(x));
	if (x->is_answered && x->q.length != 0 && x->q.length != -2)
		return send_reply(x, true);
	return MHD_YES;
}

/* A piece of the body. MHD_NO cuts the connection: no answer can be sent in the middle of a body. */
static enum MHD_Result
on_piece(struct exchange *x, const char *bytes, size_t n)
{
	int64_t limit = body_limit(x), elapsed_ms = clock_monotonic_ms() - x->started_ms;

	x->body_bytes += (int64_t)n;
	if (x->body_bytes > limit * DRAIN_FACTOR)
		return MHD_NO;
	if (elapsed_ms > x->server->node->settings->http.idle_timeout * 1000 && x->body_bytes * 1000 < elapsed_ms * SLOWEST_BYTES_PER_S)
		return MHD_NO;
	if (!x->is_answered && x->body_bytes > limit) {
		problem_set(&x->r, 413, "the body is larger than the %lld bytes that are taken here", (long long)limit);
		x->is_answered = true;
	}
	if (!x->is_answered && x->route->upload)
		x->route->upload->piece(&x->q, bytes, n);
	return MHD_YES;
}

static enum MHD_Result
on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method, const char *version, const char *body, size_t *n_body,
           void **context)
{
	struct exchange *x = *context;

	if (!x) {
		*context = x = exchange_new(arg, connection, method, url);
		return x ? on_headers(x, url, version) : MHD_NO;
	}
	if (*n_body > 0) {
		enum MHD_Result result = on_piece(x, body, *n_body);
		*n_body = 0;
		return result;
	}
	if (!x->is_answered)
		x->route->answer(&x->q, &x->r);
	x->is_answered = true;
	return send_reply(x, x->body_bytes > body_limit(x));
}

static void
on_completed(void *arg, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code)
{
	struct exchange *x = *context;

	(void)arg;
	(void)connection;
	if (!x)
		return;
	if (x->route && x->route->upload)
		x->route->upload->drop(&x->q);
	log_event(LOG_DEBUG, "http", "method=%s path=%s status=%u end=%d bytes=%lld ms=%lld", x->method, x->path, x->r.status, (int)code, (long long)x->body_bytes,
	          (long long)(clock_monotonic_ms() - x->started_ms));
	reply_release(&x->r);
	free(x);
	*context = NULL;
}

/* Paths and queries are decoded by us, after they are split. */
static size_t
keep_escapes(void *arg, struct MHD_Connection *connection, char *text)
{
	(void)arg;
	(void)connection;
	return strlen(text);
}

static void
library_log(void *arg, const char *fmt, va_list ap)
{
	char text[256];

	(void)arg;
	vsnprintf(text, sizeof text, fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	log_event(LOG_DEBUG, "http_library", "text=\"%s\"", text);
}

static bool
is_loopback(const struct sockaddr *a)
{
	if (a->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24 == 127;
	return a->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
}

static struct MHD_Daemon *
start_daemon(struct server *s, const struct sockaddr *address)
{
	const struct settings *set = s->node->settings;
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG | (address->sa_family == AF_INET6 ? MHD_USE_IPv6 : 0);
	unsigned most = (unsigned)set->http.max_connections;

	return MHD_start_daemon(flags, (uint16_t)set->http.port, NULL, NULL, on_request, s,
		MHD_OPTION_EXTERNAL_LOGGER, library_log, NULL,
		MHD_OPTION_SOCK_ADDR, address,
		MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS,
		MHD_OPTION_CONNECTION_LIMIT, most < THREADS ? (unsigned)THREADS : most,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)set->http.idle_timeout,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
		MHD_OPTION_END);
}

static int
bind_and_start(struct server *s, struct err *e)
{
	const struct settings *set = s->node->settings;
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *found;
	char port[16];
	int rc;

	snprintf(port, sizeof port, "%lld", (long long)set->http.port);
	rc = getaddrinfo(set->http.bind, port, &hints, &found);
	if (rc != 0)
		return err_set(e, ERR_INPUT, "http.bind \"%s\": %s", set->http.bind, gai_strerror(rc));
	s->on_loopback = is_loopback(found->ai_addr);
	s->daemon = start_daemon(s, found->ai_addr);
	rc = s->daemon ? 0 : err_errno(e, "http.bind, http.port: listening on %s port %s", set->http.bind, port);
	freeaddrinfo(found);
	if (rc == 0) {
		s->port = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
		snprintf(s->bound, sizeof s->bound, strchr(set->http.bind, ':') ? "[%s]:%u" : "%s:%u", set->http.bind, s->port);
	}
	return rc;
}

struct server *
server_start(struct node *n, struct workers *w, struct err *e)
{
	const struct settings *set = n->settings;
	struct server *s;

	if (set->http.tokens_file[0] || set->http.tls_certificate[0] || set->http.tls_key[0]) {
		err_set(e, ERR_INPUT, "http.tokens_file, tls_certificate and tls_key are not supported by this version: leave them null and bind a loopback address");
		return NULL;
	}
	s = calloc(1, sizeof *s);
	if (!s) {
		err_errno(e, "http server");
		return NULL;
	}
	s->node = n;
	s->workers = w;
	if (bind_and_start(s, e) < 0) {
		free(s);
		return NULL;
	}
	if (!s->on_loopback)
		log_event(LOG_WARN, "http_open_to_all", "bound=%s text=\"anyone who reaches this address may read results and change jobs\"", s->bound);
	return s;
}

unsigned
server_port(const struct server *s)
{
	return s->port;
}

void
server_ready(struct server *s)
{
	atomic_store(&s->is_ready, true);
}

void
server_stop(struct server *s)
{
	if (!s)
		return;
	MHD_stop_daemon(s->daemon);
	free(s);
}
