/* TLS of the HTTP door (GnuTLS, which libmicrohttpd drives): the files are read and checked before the door opens, TLS 1.2 and 1.3 with forward secrecy and
 * authenticated encryption only (RFC 9325), clients' certificates are asked for and verified in the handshake where a CA is named. */
#pragma once
#include "config/settings.h"

struct tls;
/* What http.tls_* name. ERR_INPUT names the setting, the file and what is wrong with it. caller: tls_free, when the door is closed. */
struct tls *tls_load(const struct settings *s, struct err *e);
void tls_free(struct tls *t);
const char *tls_certificate(const struct tls *t);                           /* PEM; borrowed, as the others */
const char *tls_key(const struct tls *t);
const char *tls_client_ca(const struct tls *t);                             /* NULL: clients need no certificate */
extern const char tls_priorities[];
/* Who is told of a client that is refused for its certificate: on any thread; address "": not known. */
struct tls_guard { void (*refused)(void *arg, const char *address, const char *why); void *arg; };
void tls_demand_certificate(void *session, const struct tls_guard *guard);  /* of a connection that begins: no certificate by client_ca, no handshake; borrows guard */
