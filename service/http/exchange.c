/* One request: libmicrohttpd's callbacks <-> struct request and struct reply. A request is checked by its headers alone before a byte of its body is read
 * (admit.c): what is refused then is answered at once and the connection closed. Not here: what any address means (routes.c).
 * DESIGN: libmicrohttpd's pool runs both callbacks and every handler; a connection stays on one thread. Handlers may wait for the disk and the database, never for
 * a peer or a job. A body that trickles is cut here, which the library does not do (LEADS 5). Behind a chunked body the connection is closed: the library takes
 * line feeds alone and anything in extensions for a chunk's line, where a proxy may see other chunks, and then another request behind them. */
#include "service/http/exchange.h"

#include "config/clock.h"
#include "config/log.h"
#include "service/flow/node.h"
#include "service/http/problem.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { DRAIN_FACTOR = 4 };                 /* a body over its limit is read on to this many limits, so that its sender can read the answer */

const char *
request_header(const struct request *q, const char *name)
{
	return MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, name);
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
	snprintf(x->q.base, sizeof x->q.base, "http%s://%.255s", x->server->tls ? "s" : "", host ? host : x->server->bound);
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
	if (r->type)
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
	x->q.gate = &s->gate;
	x->link = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
	x->q.caller = watch_client(x->link);
	x->q.is_ready = atomic_load(&s->is_ready);
	snprintf(x->method, sizeof x->method, "%s", method);
	snprintf(x->path, sizeof x->path, "%s", path);
	reply_init(&x->r);
	return x;
}

/* Whether somebody whom we do not know takes his time: a body at an open door counts as headers do. */
static bool
is_stranger(const struct exchange *x)
{
	return !x->is_answered && x->q.gate->auth != NULL && x->q.who[0] == '\0' && x->q.length != 0 && x->q.length != -2;
}

/* The headers are here. A refusal with a body behind it is sent at once and the body never read; without one it waits for the end, to keep the connection. */
static enum MHD_Result
on_headers(struct exchange *x, const char *path, const char *version)
{
	describe_caller(x);
	x->is_answered = !admit(x, path, version);
	if (!is_stranger(x))
		watch_request(x->server->watch, x->link);
	if (x->is_answered && x->q.length != 0 && x->q.length != -2)
		return send_reply(x, true);
	return MHD_YES;
}

/* A piece of the body. MHD_NO cuts the connection: no answer can be sent in the middle of a body. */
static enum MHD_Result
on_piece(struct exchange *x, const char *bytes, size_t n)
{
	const struct settings *set = x->server->node->settings;
	int64_t limit = admit_body_limit(x), elapsed_ms = clock_monotonic_ms() - x->started_ms;

	x->body_bytes += (int64_t)n;
	if (x->body_bytes > limit * DRAIN_FACTOR)
		return MHD_NO;
	if (elapsed_ms > set->http.idle_timeout * 1000 && x->body_bytes * 1000 < elapsed_ms * set->http.min_body_rate) {
		watch_say_late(x->server->watch, x->link);
		return MHD_NO;
	}
	if (!x->is_answered && x->body_bytes > limit) {
		problem_set(&x->r, 413, "the body is larger than the %lld bytes that are taken here", (long long)limit);
		x->is_answered = true;
	}
	if (!x->is_answered && x->route->upload)
		x->route->upload->piece(&x->q, bytes, n);
	return MHD_YES;
}

enum MHD_Result
exchange_on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method, const char *version, const char *body,
                    size_t *n_body, void **context)
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
	if (is_stranger(x))
		watch_request(x->server->watch, x->link);
	if (!x->is_answered)
		x->route->answer(&x->q, &x->r);
	x->is_answered = true;
	return send_reply(x, x->body_bytes > admit_body_limit(x) || x->q.length == -1 || watch_is_excess(x->link));
}

void
exchange_on_completed(void *arg, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code)
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
	watch_done(x->server->watch, x->link);
	reply_release(&x->r);
	free(x);
	*context = NULL;
}

