/* See deliver_transfer.h. The token is read for every transfer, so it may be replaced while the node runs. */
#include "service/flow/deliver_transfer.h"

#include "config/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TOKEN = 16 << 10, WHOLE_S = 3600 /* a transfer that trickles ends too */ };

/* RFC 9110 15; the first row that fits. */
static const struct { long from, to; enum transfer_meaning means; const char *help; } meanings[] = {
	{ 200, 299, TRANSFER_DONE, "" },
	{ 401, 401, TRANSFER_REFUSED, ": the token in token_file is missing or not accepted" },
	{ 403, 403, TRANSFER_REFUSED, ": the token in token_file is missing or not accepted" },
	{ 404, 404, TRANSFER_REFUSED, ": is the url right, up to and without /studies?" },
	{ 408, 408, TRANSFER_PASSING, "" },
	{ 425, 425, TRANSFER_PASSING, "" },
	{ 429, 429, TRANSFER_PASSING, "" },
	{ 502, 502, TRANSFER_IN_DOUBT, "" },      /* a gateway lost the service's answer */
	{ 504, 504, TRANSFER_IN_DOUBT, "" },
	{ 500, 599, TRANSFER_PASSING, "" },
};

enum transfer_meaning
transfer_meaning(long status, const char **help)
{
	*help = "";
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
		if (status >= meanings[i].from && status <= meanings[i].to) {
			*help = meanings[i].help;
			return meanings[i].means;
		}
	return TRANSFER_REFUSED;               /* other 4xx; redirects, which are not followed */
}

int
transfer_header(struct transfer *t, const char *text, struct err *e)
{
	struct curl_slist *longer = curl_slist_append(t->headers, text);

	if (longer == NULL)
		return err_set(e, ERR_LIMIT, "no memory for a transfer");
	t->headers = longer;
	return 0;
}

/* "token_file" holds a bearer token on its first line. */
static int
add_token(struct transfer *t, const char *file, struct err *e)
{
	size_t n;
	char *token, *header;
	int rc;

	if (file[0] == '\0')
		return 0;
	if ((token = file_read(file, MAX_TOKEN, &n, e)) == NULL)
		return err_note(e, "reading token_file");
	token[strcspn(token, "\r\n")] = '\0';
	if (asprintf(&header, "Authorization: Bearer %s", token) < 0) {
		rc = err_set(e, ERR_LIMIT, "no memory for a transfer");
	} else {
		rc = transfer_header(t, header, e);
		explicit_bzero(header, strlen(header));
		free(header);
	}
	explicit_bzero(token, n);
	free(token);
	return rc;
}

int
transfer_begin(struct transfer *t, const struct destination_setting *d, const char *url, struct err *e)
{
	*t = (struct transfer) { .curl = curl_easy_init() };
	if (t->curl == NULL)
		return err_set(e, ERR_LIMIT, "no memory for a transfer");
	if (add_token(t, d->token_file, e) != 0)
		return -1;
	curl_easy_setopt(t->curl, CURLOPT_URL, url);
	curl_easy_setopt(t->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(t->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(t->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(t->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(t->curl, CURLOPT_SSL_CIPHER_LIST, "ECDHE+AES:ECDHE+CHACHA20:DHE+AES:!aNULL:!eNULL"); /* of TLS 1.2: forward secrecy */
	curl_easy_setopt(t->curl, CURLOPT_CONNECTTIMEOUT, (long)d->timeout);
	curl_easy_setopt(t->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(t->curl, CURLOPT_LOW_SPEED_TIME, (long)d->timeout);
	curl_easy_setopt(t->curl, CURLOPT_TIMEOUT, (long)WHOLE_S);
	curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, t->reason);
	if (d->ca_file[0] != '\0')
		curl_easy_setopt(t->curl, CURLOPT_CAINFO, d->ca_file);
	return 0;
}

void
transfer_end(struct transfer *t)
{
	curl_easy_cleanup(t->curl);
	curl_slist_free_all(t->headers);
	*t = (struct transfer) { 0 };
}
