/* The door: what listens, with which bounds, and when it may open at all. One request: exchange.c.
 * DESIGN: libmicrohttpd's pool runs on_connection and everything of exchange.c; watch.c has a thread of its own. server.is_ready is the only thing of struct
 * server that is written after the start. */
#include "service/http/server.h"

#include "config/clock.h"
#include "config/log.h"
#include "service/flow/audit.h"
#include "service/flow/node.h"
#include "service/http/exchange.h"
#include "service/http/tls.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	THREADS = 8,
	BODY_PIECE = 64 << 10,            /* memory of a connection beside its headers; body pieces of about half of it */
	HEADER_ROOM = 3,                  /* of max_header_kb: somewhat larger headers are refused in our words, larger ones in the library's */
	EXCESS_MS = 1000,                 /* a connection over its client's number has this long to ask, and be refused */
	EXCESS_ANSWERED = 16              /* so many a client; those beyond are closed */
};

/* The log is bounded by the handshakes that max_connections lets happen. */
static void
refuse_client(void *arg, const char *address, const char *why)
{
	log_event(LOG_WARN, "tls_client_refused", "client=%s text=\"%s\"", address, why);
	audit_alarm(((struct server *)arg)->node, &(const struct audit_entry) { .event = AUDIT_SECURITY_ALERT, .type = AUDIT_NODE, .action = 'E', .outcome = AUDIT_MINOR,
		.address = address, .text = why });
}

/* A connection that we cannot keep count of is shut: the library then ends it. */
static void
begin_connection(struct server *s, struct MHD_Connection *connection, void **context)
{
	const struct sockaddr *address = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
	int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	bool fits;
	struct client *client = clients_enter(s->gate.clients, address, clock_monotonic_ms(), &fits);

	*context = client ? watch_begin(s->watch, fd, client, !fits) : NULL;
	if (!*context) {
		if (client)
			clients_leave(s->gate.clients, client, clock_monotonic_ms());
		shutdown(fd, SHUT_RDWR);
	} else if (s->tls) {
		tls_begin(MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)->tls_session, &s->guard);
	}
}

static void
on_connection(void *arg, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode what)
{
	struct server *s = arg;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		begin_connection(s, connection, context);
	} else if (*context) {
		clients_leave(s->gate.clients, watch_client(*context), clock_monotonic_ms());
		watch_end(s->watch, *context);
		*context = NULL;
	}
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

static struct MHD_Daemon *
start_daemon(struct server *s, const struct sockaddr *address)
{
	const struct settings *set = s->node->settings;
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG | (address->sa_family == AF_INET6 ? MHD_USE_IPv6 : 0) | (s->tls ? MHD_USE_TLS : 0);
	unsigned most = (unsigned)set->http.max_connections, of_one = (unsigned)set->http.max_connections_per_client + EXCESS_ANSWERED;
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, (void *)(uintptr_t)tls_show },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)tls_priorities },
		{ s->tls && tls_client_ca(s->tls) ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0, s->tls ? (void *)(uintptr_t)tls_client_ca(s->tls) : NULL },
		{ MHD_OPTION_END, 0, NULL },
	};

	return MHD_start_daemon(flags, (uint16_t)set->http.port, NULL, NULL, exchange_on_request, s,
		MHD_OPTION_EXTERNAL_LOGGER, library_log, NULL,
		MHD_OPTION_SOCK_ADDR, address,
		MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS,
		MHD_OPTION_CONNECTION_LIMIT, most < THREADS ? (unsigned)THREADS : most,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, of_one,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)set->http.idle_timeout,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)BODY_PIECE + (HEADER_ROOM * (size_t)set->http.max_header_kb << 10),
		MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
		MHD_OPTION_NOTIFY_COMPLETED, exchange_on_completed, NULL,
		MHD_OPTION_ARRAY, s->tls ? tls : &tls[3],
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
	s->daemon = start_daemon(s, found->ai_addr);
	rc = s->daemon ? 0 : err_errno(e, "http.bind, http.port: listening on %s port %s", set->http.bind, port);
	freeaddrinfo(found);
	if (rc == 0) {
		s->port = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
		snprintf(s->bound, sizeof s->bound, strchr(set->http.bind, ':') ? "[%s]:%u" : "%s:%u", set->http.bind, s->port);
	}
	return rc;
}

/* Without tokens beyond loopback: not at all. */
static int
check_tokens(const struct settings *set, struct auth *auth, struct err *e)
{
	if (!settings_is_loopback(set->http.bind) && (!auth || auth_count(auth) == 0))
		return err_set(e, ERR_INPUT, "http.bind %s is beyond loopback, and there are no tokens: make the first with segan token add NAME --role admin", set->http.bind);
	return 0;
}

int
server_check(const struct settings *s, struct err *e)
{
	struct tls *tls = NULL;
	struct auth *auth = NULL;
	int rc = 0;

	if (s->http.tls_certificate[0] && (tls = tls_load(s, e)) == NULL)
		rc = -1;
	if (rc == 0 && s->http.tokens_file[0] && (auth = auth_open(s->http.tokens_file, e)) == NULL)
		rc = -1;
	if (rc == 0)
		rc = check_tokens(s, auth, e);
	auth_close(auth);
	tls_free(tls);
	return rc;
}

/* Tokens, sessions, who may how much: what decides before any handler. */
static int
open_gate(struct server *s, struct err *e)
{
	const struct settings *set = s->node->settings;
	const struct clients_limits limits = { .connections = set->http.max_connections_per_client, .requests_per_s = set->http.max_requests_per_client,
		.failures_per_min = set->http.max_token_failures, .most_connections = (size_t)set->http.max_connections + THREADS };
	const struct watch_limits times = { .most = (size_t)set->http.max_connections, .header_ms = set->http.header_timeout * 1000, .idle_ms = set->http.idle_timeout * 1000,
		.request_ms = set->http.request_timeout * 1000, .excess_ms = EXCESS_MS, .may_speak = s->tls == NULL };
	bool is_loopback = settings_is_loopback(set->http.bind);

	if (set->http.tokens_file[0] && (s->gate.auth = auth_open(set->http.tokens_file, e)) == NULL)
		return -1;
	if (check_tokens(set, s->gate.auth, e) != 0)
		return -1;
	if (s->gate.auth && auth_count(s->gate.auth) == 0)
		log_event(LOG_WARN, "no_tokens", "text=\"nobody may do anything before segan token add makes a token\"");
	s->is_local_only = is_loopback && !s->gate.auth;
	s->gate.is_tls = s->tls != NULL;
	if ((s->gate.sessions = sessions_new(e)) == NULL || (s->gate.clients = clients_new(&limits, e)) == NULL)
		return -1;
	return (s->watch = watch_start(&times, e)) ? 0 : -1;
}

static int
start(struct server *s, struct err *e)
{
	if (s->node->settings->http.tls_certificate[0] && (s->tls = tls_load(s->node->settings, e)) == NULL)
		return -1;
	s->guard.tls = s->tls;
	if (open_gate(s, e) != 0 || bind_and_start(s, e) != 0)
		return -1;
	if (!settings_is_loopback(s->node->settings->http.bind) && !s->tls)
		log_event(LOG_WARN, "http_in_clear", "bound=%s text=\"tokens and images can be read on the way: set http.tls_certificate, or keep a TLS proxy in front\"", s->bound);
	return 0;
}

struct server *
server_start(struct node *n, struct workers *w, struct err *e)
{
	struct server *s = calloc(1, sizeof *s);

	if (!s) {
		err_errno(e, "http server");
		return NULL;
	}
	s->node = n;
	s->workers = w;
	s->guard = (struct tls_guard){ .refused = refuse_client, .arg = s };
	if (start(s, e) == 0)
		return s;
	server_stop(s);
	return NULL;
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
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	watch_stop(s->watch);
	clients_free(s->gate.clients);
	sessions_free(s->gate.sessions);
	auth_close(s->gate.auth);
	tls_free(s->tls);
	free(s);
}
