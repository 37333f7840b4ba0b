/* Asks a node over HTTP. One request, one JSON answer, bounded; no redirects, no proxies. */
#include "service/http/client.h"

#include "config/file.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ANSWER = 64 << 20, TIMEOUT_S = 60, MAX_TOKEN = 4096 };

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

/* "Authorization: Bearer " and the first line of the file. */
static int
add_token(struct curl_slist **headers, const char *path, struct err *e)
{
	static const char begin[] = "Authorization: Bearer ";
	char line[sizeof begin + MAX_TOKEN];
	struct curl_slist *more;
	size_t n;
	char *text = file_read(path, MAX_TOKEN, &n, e);

	if (text == NULL) {
		e->code = ERR_INPUT;
		return err_note(e, "the token");
	}
	text[strcspn(text, "\r\n")] = '\0';
	snprintf(line, sizeof line, "%s%s", begin, text);
	n = strlen(text);
	free(text);
	if (n == 0)
		return err_set(e, ERR_INPUT, "the token: %s is empty", path);
	more = curl_slist_append(*headers, line);
	explicit_bzero(line, sizeof line);
	if (more == NULL)
		return err_set(e, ERR_LIMIT, "no memory for a request");
	*headers = more;
	return 0;
}

static bool
is_given(const char *path)
{
	return path != NULL && path[0] != '\0';
}

static int
set_access(CURL *curl, const struct client_access *a, struct curl_slist **headers, struct err *e)
{
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (a == NULL)
		return 0;
	if (is_given(a->ca_file))
		curl_easy_setopt(curl, CURLOPT_CAINFO, a->ca_file);
	if (is_given(a->certificate))
		curl_easy_setopt(curl, CURLOPT_SSLCERT, a->certificate);
	if (is_given(a->key))
		curl_easy_setopt(curl, CURLOPT_SSLKEY, a->key);
	if (is_given(a->token_file) && add_token(headers, a->token_file, e) != 0)
		return -1;
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *headers);
	return 0;
}

static struct json_doc *
perform(CURL *curl, const char *url, struct err *e)
{
	char reason[CURL_ERROR_SIZE] = "";
	struct body body = { 0 };
	struct json_doc *answer = NULL;
	long status = 0;
	CURLcode rc;

	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
	rc = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (rc == CURLE_PEER_FAILED_VERIFICATION)
		err_set(e, ERR_PEER, "asking %s: %.200s; --ca-file FILE names who signed its certificate", url, reason);
	else if (rc != CURLE_OK)
		err_set(e, ERR_PEER, "asking %s: %.200s; is segand running there? (--url http[s]://HOST:PORT)", url, reason[0] != 0 ? reason : curl_easy_strerror(rc));
	else if (status < 200 || status > 299)
		explain(status, &body, url, e);
	else if ((answer = json_parse(body.n == 0 ? "" : body.bytes, body.n, 0, e)) == NULL)
		err_set(e, ERR_PEER, "%s answered what is not JSON: is it a segand?", url);
	free(body.bytes);
	return answer;
}

struct json_doc *
client_request(const char *method, const char *url, const struct client_access *a, struct err *e)
{
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = NULL;
	struct json_doc *answer = NULL;

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
	if (set_access(curl, a, &headers, e) == 0)
		answer = perform(curl, url, e);
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	return answer;
}
