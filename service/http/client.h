/* Asks a node over HTTP (libcurl): what `segan jobs` does. */
#pragma once
#include "config/err.h"
#include "config/json.h"

/* How a node knows us, and we it. "" = not given; a certificate that does not fit is never accepted. */
struct client_access { const char *token_file, *ca_file, *certificate, *key; };

/* METHOD url. a may be NULL. 2xx: the answer's JSON. Else NULL: ERR_NOT_FOUND (404), ERR_STATE (409), ERR_INPUT (4xx, a file of a that cannot be read), ERR_PEER (others, no connection); the text is
 * the problem's detail. caller: json_doc_free. */
struct json_doc *client_request(const char *method, const char *url, const struct client_access *a, struct err *e);
