/* Asks a node over HTTP. One request, one JSON answer, bounded; no redirects, no proxies. */
#include "service/http/client.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ANSWER = 64 << 20, TIMEOUT_S = 60 };

struct body { char *bytes; size_t n; };

static size_t
collect(char *bytes, size_t size, size_t n, void *arg)
{
	struct body *b = arg;
	size_t more = size * n;
	char *larger;

	if (more > MAX_ANSWER - b->n || (larger = realloc(b->bytes, b->n + more)) == NULL)
		return 0;
	b->bytes = larger;
	memcpy(b->bytes + b->n, bytes, more);
	b->n += more;
	return more;
}

static int
explain(long status, const struct body *b, const char *url, struct err *e)
{
	enum err_code code = status == 404 ? ERR_NOT_FOUND : status == 409 ? ERR_STATE : status >= 400 && status < 500 ? ERR_INPUT : ERR_PEER;
	struct err unreadable;
	struct json_doc *d = b->n == 0 ? NULL : json_parse(b->bytes, b->n, 0, &unreadable);
	const char *detail = d == NULL ? NULL : json_text(json_get(json_root(d), "detail"));

	if (detail != NULL)
		err_set(e, code, "%s", detail);
	else
		err_set(e, code, "%s answered HTTP %ld", url, status);
	json_doc_free(d);
	return -1;
}

struct json_doc *
client_request(const char *method, const char *url, struct err *e)
{
	CURL *curl = curl_easy_init();
	struct body body = { 0 };
	struct json_doc *answer = NULL;
	long status = 0;
	CURLcode rc;

	if (curl == NULL) {
		err_set(e, ERR_LIMIT, "no memory for a request");
		return NULL;
	}
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	if (strcmp(method, "POST") == 0)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
	rc = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (rc != CURLE_OK)
		err_set(e, ERR_PEER, "asking %s: %s; is segand running there? (--url http://HOST:PORT)", url, curl_easy_strerror(rc));
	else if (status < 200 || status > 299)
		explain(status, &body, url, e);
	else if ((answer = json_parse(body.n == 0 ? "" : body.bytes, body.n, 0, e)) == NULL)
		err_set(e, ERR_PEER, "%s answered what is not JSON: is it a segand?", url);
	curl_easy_cleanup(curl);
	free(body.bytes);
	return answer;
}
