/* Between the files that know libmicrohttpd: server.c (the door), exchange.c (one request from headers to end), admit.c (what its headers alone refuse). Not for
 * others. */
#pragma once
#include "service/http/route.h"
#include "service/http/tls.h"
#include "service/http/watch.h"
#include "service/http/who.h"

#include <microhttpd.h>
#include <stdatomic.h>

struct server {
	struct node *node;
	struct workers *workers;
	struct gate gate;
	struct watch *watch;
	struct tls *tls;                  /* NULL: plain HTTP */
	struct tls_guard guard;
	struct MHD_Daemon *daemon;
	bool is_local_only;               /* on loopback and without tokens: the Host must be this machine */
	char bound[320];                  /* "127.0.0.1:8080" */
	unsigned port;
	atomic_bool is_ready;
};

/* One request from its headers to its end. */
struct exchange {
	struct server *server;
	struct link *link;                /* its connection */
	struct request q;
	struct reply r;
	const struct route *route;        /* NULL: none fits */
	char method[16], path[256];       /* for the log */
	int64_t started_ms, body_bytes;
	bool is_answered;                 /* r is the answer, whatever still comes */
};

/* For MHD_start_daemon: arg is the server. */
enum MHD_Result exchange_on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method, const char *version, const char *body,
                                    size_t *n_body, void **context);
void exchange_on_completed(void *arg, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code);

/* The request's headers against everything that needs no body: false: x->r refuses it. */
bool admit(struct exchange *x, const char *path, const char *version);
int64_t admit_body_limit(const struct exchange *x);                         /* bytes */
