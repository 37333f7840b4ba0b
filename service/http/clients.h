/* What one client address may do: connections at once, requests a second, wrong tokens a minute. A table of fixed size: the address that was away for
 * longest makes room. An IPv6 client is its /64. Knows no HTTP library; times are handed in. Any thread. */
#pragma once
#include "service/http/auth.h"

#include <sys/socket.h>

struct clients_limits { int64_t connections, requests_per_s /* 0 = no bound */, failures_per_min; size_t most_connections /* of all clients */; };

struct clients;
struct client;                                                              /* one address; stays while it has a connection */
struct clients *clients_new(const struct clients_limits *l, struct err *e); /* caller: clients_free */
void clients_free(struct clients *c);

/* A connection begins. false in *fits: it is over the bound, and counts all the same. borrowed from c until clients_leave. NULL: more connections than
 * most_connections, which the caller does not let happen. */
struct client *clients_enter(struct clients *c, const struct sockaddr *address, int64_t now_ms, bool *fits);
void clients_leave(struct clients *c, struct client *who, int64_t now_ms);
bool clients_may_ask(struct clients *c, struct client *who, int64_t now_ms); /* takes one of the requests of this second */
/* Whether a token of this client may be looked at: always one that was right here before, others while it has not guessed too often. */
bool clients_may_try(struct clients *c, struct client *who, const uint8_t token_digest[AUTH_DIGEST], int64_t now_ms);
void clients_tried(struct clients *c, struct client *who, const uint8_t token_digest[AUTH_DIGEST], bool was_right, int64_t now_ms);
