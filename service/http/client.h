/* Asks a node over HTTP (libcurl): what `segan jobs` does. */
#pragma once
#include "config/err.h"
#include "config/json.h"

/* METHOD url. 2xx: the answer's JSON. Else NULL: ERR_NOT_FOUND (404), ERR_STATE (409), ERR_INPUT (4xx), ERR_PEER (others, no connection); the text is
 * the problem's detail. caller: json_doc_free. */
struct json_doc *client_request(const char *method, const char *url, struct err *e);
