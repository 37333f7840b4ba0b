/* TLS of the HTTP door (GnuTLS, which libmicrohttpd drives): the files are read and checked before the door opens, TLS 1.2 and 1.3 with forward secrecy and
 * authenticated encryption only (RFC 9325), clients' certificates are asked for and verified in the handshake where a CA is named. */
#pragma once
#include "config/settings.h"

#include <gnutls/abstract.h>

struct tls;
/* What http.tls_* name; certificate and key are read again when their files have changed, the CA is not. Borrows s. ERR_INPUT names the setting, the file and what is wrong with it. caller: tls_free, when the door is closed. */
struct tls *tls_load(const struct settings *s, struct err *e);
void tls_free(struct tls *t);
const char *tls_client_ca(const struct tls *t);                             /* PEM; NULL: clients need no certificate; borrowed */
extern const char tls_priorities[];
/* What the handshakes of a server share. Who is told of a client that is refused for its certificate: on any thread; address "": not known. */
struct tls_guard { struct tls *tls; void (*refused)(void *arg, const char *address, const char *why); void *arg; };
void tls_begin(void *session, const struct tls_guard *guard);               /* of a connection: where there is a client_ca, no certificate by it, no handshake; borrows guard */
/* For MHD_OPTION_HTTPS_CERT_CALLBACK2: what the files of certificate and key hold now, or held when they could be used last. */
extern gnutls_certificate_retrieve_function3 tls_show;
