/* --url alone needs no configuration: a node may be on another machine. */
#include "service/commands/node_address.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* http.bind as one calls it; the certificate is its own authority where it is one that we may read. */
static int
from_settings(const char *config, struct node_address *out, struct err *e)
{
	struct settings *s = command_settings(config, e);
	const char *host, *scheme;

	if (s == NULL)
		return -1;
	host = strcmp(s->http.bind, "0.0.0.0") == 0 ? "127.0.0.1" : strcmp(s->http.bind, "::") == 0 ? "::1" : s->http.bind;
	scheme = s->http.tls_certificate[0] != 0 ? "https" : "http";
	snprintf(out->url, sizeof out->url, strchr(host, ':') != NULL ? "%s://[%s]:%lld" : "%s://%s:%lld", scheme, host, (long long)s->http.port);
	if (access(s->http.tls_certificate, R_OK) == 0)
		memcpy(out->ca, s->http.tls_certificate, sizeof out->ca);
	settings_free(s);
	return 0;
}

int
node_find(const struct node_options *o, struct node_address *out, struct err *e)
{
	memset(out, 0, sizeof *out);
	if (o->url != NULL) {
		size_t n = strlen(o->url);
		snprintf(out->url, sizeof out->url, "%.*s", (int)(n > 0 && o->url[n - 1] == '/' ? n - 1 : n), o->url);
	} else if (from_settings(o->config, out, e) != 0) {
		return -1;
	}
	out->access.token_file = o->token_file != NULL ? o->token_file : getenv("SEGAN_TOKEN_FILE");
	out->access.ca_file = o->ca_file != NULL ? o->ca_file : out->ca;
	out->access.certificate = o->certificate;
	out->access.key = o->key;
	return 0;
}
