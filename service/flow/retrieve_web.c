/* QIDO-RS pages are bounded and parsed whole; WADO-RS answers are multipart/related and go to files as they arrive, in a few kB of memory. */
#include "service/flow/retrieve_web.h"

#include "config/clock.h"
#include "config/json.h"
#include "service/flow/deliver_transfer.h"
#include "service/http/multipart.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE = 200, MAX_PAGES = 1000, MAX_ANSWER = 64 << 20, MAX_INSTANCES = 100000, URL_SIZE = 8192, MAX_VALUES = 40, MAX_IDLE = 1 << 20, PATIENCES = 10 /* of the timeout: a question that has answers for ever ends, too */ };

/* ---- one GET ---- */

/* What the answer's body goes to. begin: status is 2xx, headers are there. An error of either ends the transfer. */
struct receiver {
	int (*begin)(void *arg, const char *content_type, struct err *e);
	int (*bytes)(void *arg, const char *bytes, size_t n, struct err *e);
	void *arg;
	bool is_question;                      /* a page of QIDO-RS: none takes so long */
};
struct get { CURL *curl; const struct receiver *to; bool is_begun, has_failed; struct err why; };

static long
status_of(CURL *curl)
{
	long status = 0;

	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static size_t
take(char *bytes, size_t size, size_t n, void *arg)
{
	struct get *g = arg;
	char *type = NULL;

	if (status_of(g->curl) < 200 || status_of(g->curl) > 299)
		return size * n;                       /* an error's page: the status says it */
	curl_easy_getinfo(g->curl, CURLINFO_CONTENT_TYPE, &type);
	if (!g->is_begun)
		g->has_failed = g->to->begin(g->to->arg, type != NULL ? type : "", &g->why) != 0;
	g->is_begun = true;
	g->has_failed = g->has_failed || g->to->bytes(g->to->arg, bytes, size * n, &g->why) != 0;
	return g->has_failed ? 0 : size * n;
}

/* 501: it does not answer such requests, today or tomorrow. */
static int
explain(long status, struct err *e)
{
	const char *help;
	bool is_final = transfer_meaning(status, &help) == TRANSFER_REFUSED || status == 501;

	return err_set(e, is_final ? ERR_INPUT : ERR_PEER, "answered HTTP %ld%s", status, help);
}

/* *status: 2xx when 0 comes back. */
static int
run(const struct destination_setting *d, const char *url, const char *accept, const struct receiver *to, long *status, struct err *e)
{
	struct transfer t;
	struct get g = { .to = to };
	int rc = transfer_begin(&t, d, url, e);
	CURLcode done;

	if (rc == 0 && (rc = transfer_header(&t, accept, e)) == 0) {
		g.curl = t.curl;
		curl_easy_setopt(t.curl, CURLOPT_HTTPHEADER, t.headers);
		curl_easy_setopt(t.curl, CURLOPT_WRITEFUNCTION, take);
		curl_easy_setopt(t.curl, CURLOPT_WRITEDATA, &g);
		if (to->is_question)
			curl_easy_setopt(t.curl, CURLOPT_TIMEOUT, (long)d->timeout * PATIENCES);
		done = curl_easy_perform(t.curl);
		*status = status_of(t.curl);
		if (g.has_failed)
			*e = g.why;
		else if (done != CURLE_OK)
			err_set(e, ERR_PEER, "%s", t.reason[0] != '\0' ? t.reason : curl_easy_strerror(done));
		else if (*status < 200 || *status > 299)
			explain(*status, e);
		rc = g.has_failed || done != CURLE_OK || *status < 200 || *status > 299 ? -1 : 0;
	}
	transfer_end(&t);
	return rc == 0 ? 0 : err_note(e, "GET %.300s", url);
}

/* ---- QIDO-RS ---- */

struct answer { char *bytes; size_t n; };

static int
begin_answer(void *arg, const char *content_type, struct err *e)
{
	(void)arg, (void)content_type, (void)e; /* what is no JSON is told by the parser */
	return 0;
}

static int
add_answer(void *arg, const char *bytes, size_t n, struct err *e)
{
	struct answer *a = arg;
	char *larger;

	if (n > MAX_ANSWER - a->n)
		return err_set(e, ERR_LIMIT, "an answer over %d bytes: narrow the query", MAX_ANSWER);
	if ((larger = realloc(a->bytes, a->n + n)) == NULL)
		return err_set(e, ERR_LIMIT, "no memory for an answer");
	a->bytes = larger;
	memcpy(a->bytes + a->n, bytes, n);
	a->n += n;
	return 0;
}

/* "0010,0020" is 00100020 in a URL (PS3.18 8.3.4). */
static char *
escape_keyword(const char *keyword)
{
	char text[80];
	size_t n = 0;

	for (; *keyword != '\0' && n < sizeof text - 1; keyword++)
		if (*keyword != ',')
			text[n++] = *keyword;
	text[n] = '\0';
	return curl_easy_escape(NULL, text, 0);
}

/* The attributes that callers ask for by keyword, as DICOM JSON names them (PS3.18 F.2). */
static const struct { const char *keyword, *tag; bool is_extra; /* returned only where includefield names it (PS3.18 10.6.3.3) */ } tags[] = {
	{ "StudyInstanceUID", "0020000D", false }, { "SeriesInstanceUID", "0020000E", false }, { "SOPInstanceUID", "00080018", false }, { "Modality", "00080060", false },
	{ "PatientName", "00100010", false }, { "PatientID", "00100020", false }, { "IssuerOfPatientID", "00100021", true }, { "PatientBirthDate", "00100030", false },
	{ "PatientSex", "00100040", false }, { "StudyDate", "00080020", false }, { "StudyTime", "00080030", false }, { "StudyID", "00200010", false },
	{ "AccessionNumber", "00080050", false },
};

static const char *
extra_tag(const char *keyword)
{
	for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
		if (tags[i].is_extra && strcmp(tags[i].keyword, keyword) == 0)
			return tags[i].tag;
	return NULL;
}

/* keyword=value pairs, percent-encoded. */
static int
query_url(const struct destination_setting *d, const char *path, const struct scu_key *keys, size_t n, size_t offset, char url[URL_SIZE], struct err *e)
{
	int used = snprintf(url, URL_SIZE, "%s/%s?limit=%d&offset=%zu", d->url, path, PAGE, offset);

	for (size_t i = 0; i < n && used < URL_SIZE; i++) {
		char *keyword, *value;
		if (keys[i].value[0] == '\0' && extra_tag(keys[i].keyword) != NULL)
			used += snprintf(url + used, URL_SIZE - (size_t)used, "&includefield=%s", extra_tag(keys[i].keyword));
		if (keys[i].value[0] == '\0')
			continue;
		keyword = escape_keyword(keys[i].keyword);
		value = curl_easy_escape(NULL, keys[i].value, 0);
		if (keyword != NULL && value != NULL)
			used += snprintf(url + used, URL_SIZE - (size_t)used, "&%s=%s", keyword, value);
		else
			used = URL_SIZE;
		curl_free(keyword);
		curl_free(value);
	}
	return used < URL_SIZE ? 0 : err_set(e, ERR_INPUT, "the query is too long");
}

enum { NAME_SIZE = 1024 };

/* The representations of a name (PS3.18 F.2.2) as one value with '=' (PS3.5 6.2.1); "?" where it is longer than any name may be. */
static const char *
name_text(const struct json *value, char text[NAME_SIZE])
{
	const char *parts[3] = { json_text(json_get(value, "Alphabetic")), json_text(json_get(value, "Ideographic")), json_text(json_get(value, "Phonetic")) };
	int n = snprintf(text, NAME_SIZE, "%s=%s=%s", parts[0] != NULL ? parts[0] : "", parts[1] != NULL ? parts[1] : "", parts[2] != NULL ? parts[2] : "");

	if (n >= NAME_SIZE)
		return "?";
	while (n > 0 && text[n - 1] == '=')
		text[--n] = '\0';
	return text;
}

/* name: room for one that is a person's; no query asks for two. */
static const char *
value_of(const struct json *item, const char *keyword, char name[NAME_SIZE])
{
	const struct json *value = NULL;
	const char *text;

	for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
		if (strcmp(tags[i].keyword, keyword) == 0)
			value = json_first(json_get(json_get(item, tags[i].tag), "Value"));
	if (json_type(value) == JSON_OBJECT)
		return name_text(value, name);
	text = json_text(value);
	return text != NULL ? text : "";
}

/* One page. *n_items 0: there is no more. */
static int
find_page(const struct destination_setting *d, const char *url, const struct scu_key *keys, size_t n, scu_found_fn found, void *arg, size_t *n_items, struct err *e)
{
	struct answer body = { 0 };
	const struct receiver to = { begin_answer, add_answer, &body, true };
	struct json_doc *doc = NULL;
	long status = 0;
	int rc = run(d, url, "Accept: application/dicom+json", &to, &status, e);

	*n_items = 0;
	if (rc == 0 && body.n > 0 && status != 204 && (doc = json_parse(body.bytes, body.n, 0, e)) == NULL) {
		e->code = ERR_PEER;
		rc = err_note(e, "the answer to GET %.300s is not JSON", url);
	}
	for (const struct json *item = doc == NULL ? NULL : json_first(json_root(doc)); item != NULL && rc == 0; item = json_next(item), ++*n_items) {
		const char *values[MAX_VALUES];
		char name[NAME_SIZE];
		for (size_t i = 0; i < n; i++)
			values[i] = value_of(item, keys[i].keyword, name);
		rc = found(arg, values, e);
	}
	json_doc_free(doc);
	free(body.bytes);
	if (body.n > MAX_IDLE)
		malloc_trim(0);                    /* else this thread's arena keeps many times the answer's size */
	return rc;
}

/* A service that does not know offset answers the same page for ever: the first value of a page's begin that comes again ends it. */
struct paging { scu_found_fn found; void *arg; char first[DICOM_UID]; bool is_first, is_over; };

static int
found_once(void *arg, const char *const *values, struct err *e)
{
	struct paging *p = arg;

	if (p->is_first) {
		p->is_over = p->is_over || strcmp(p->first, values[0]) == 0;
		snprintf(p->first, sizeof p->first, "%s", values[0]);
	}
	p->is_first = false;
	return p->is_over ? 0 : p->found(p->arg, values, e);
}

int
retrieve_web_find(const struct destination_setting *d, const char *path, const struct scu_key *keys, size_t n, scu_found_fn found, void *arg, struct err *e)
{
	struct paging p = { .found = found, .arg = arg };
	char url[URL_SIZE];
	int64_t until_ms = clock_monotonic_ms() + d->timeout * 1000 * PATIENCES;
	size_t total = 0, n_items = 1;

	if (n > MAX_VALUES)
		return err_set(e, ERR_INPUT, "more than %d keys", MAX_VALUES);
	for (int page = 0; n_items > 0 && !p.is_over; page++, total += n_items) {
		p.is_first = true;
		if (page == MAX_PAGES)
			return err_set(e, ERR_LIMIT, "more than %zu matches: narrow the query", total);
		if (clock_monotonic_ms() > until_ms)
			return err_set(e, ERR_PEER, "GET %.300s/%s: its answers did not end within %d times the \"timeout\" it is given", d->url, path, PATIENCES);
		if (query_url(d, path, keys, n, total, url, e) != 0 || find_page(d, url, keys, n, found_once, &p, &n_items, e) != 0)
			return -1;
	}
	return 0;
}

/* ---- WADO-RS ---- */

struct arriving {
	const struct scu_wanted *w;
	struct multipart *parser;
	size_t n_got;
	int64_t n_bytes;                       /* of the part */
	int fd;                                /* of the part; -1 none */
};

static int
begin_part(void *arg, const struct multipart_head *head, struct err *e)
{
	struct arriving *a = arg;
	char path[1300];

	(void)head;
	if (a->n_got >= MAX_INSTANCES)
		return err_set(e, ERR_LIMIT, "more than %d instances", MAX_INSTANCES);
	snprintf(path, sizeof path, "%.1200s/%06zu.dcm", a->w->dir, a->n_got + 1);
	a->n_bytes = 0;
	a->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	return a->fd >= 0 ? 0 : err_errno(e, "creating %s", path);
}

static int
part_bytes(void *arg, const char *bytes, size_t n, struct err *e)
{
	struct arriving *a = arg;

	a->n_bytes += (int64_t)n;
	if (a->n_bytes > a->w->max_instance_bytes)
		return err_set(e, ERR_LIMIT, "an instance larger than the limit of %lld bytes (dicom.max_instance_mb)", (long long)a->w->max_instance_bytes);
	while (n > 0) {
		ssize_t put = write(a->fd, bytes, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_errno(e, "writing an instance into %s", a->w->dir);
		bytes += put;
		n -= (size_t)put;
	}
	return 0;
}

static int
end_part(void *arg, struct err *e)
{
	struct arriving *a = arg;
	int closing = a->fd;

	a->fd = -1;
	a->n_got++;
	return close(closing) == 0 ? 0 : err_errno(e, "writing an instance into %s", a->w->dir);
}

static int
begin_parts(void *arg, const char *content_type, struct err *e)
{
	static const struct multipart_sink sink = { begin_part, part_bytes, end_part };
	struct arriving *a = arg;
	struct multipart_type type;

	if (multipart_type(content_type, &type, e) != 0) {
		e->code = ERR_PEER;
		return err_note(e, "the archive's answer");
	}
	a->parser = multipart_new(type.boundary, &sink, a, e);
	return a->parser != NULL ? 0 : -1;
}

static int
add_parts(void *arg, const char *bytes, size_t n, struct err *e)
{
	struct arriving *a = arg;

	return multipart_feed(a->parser, bytes, n, e);
}

static int
get_series(const struct destination_setting *d, struct arriving *a, const char *series_uid, struct err *e)
{
	const struct receiver to = { begin_parts, add_parts, a, false };
	char url[URL_SIZE];
	long status = 0;
	int rc;

	snprintf(url, sizeof url, "%s/studies/%s/series/%s", d->url, a->w->study_uid, series_uid);
	rc = run(d, url, "Accept: multipart/related; type=\"application/dicom\"", &to, &status, e);
	if (rc == 0 && a->parser != NULL && multipart_finish(a->parser, e) != 0) {
		e->code = ERR_PEER;
		rc = err_note(e, "series %s broke off", series_uid);
	}
	multipart_free(a->parser);
	a->parser = NULL;
	if (a->fd >= 0)
		close(a->fd);                  /* the error is told already */
	a->fd = -1;
	return rc;
}

int
retrieve_web_get(const struct destination_setting *d, const struct scu_wanted *w, size_t *n_got, struct err *e)
{
	struct arriving a = { .w = w, .fd = -1 };
	int rc = 0;

	for (size_t i = 0; i < w->n_series && rc == 0; i++)
		rc = get_series(d, &a, w->series_uids[i], e);
	*n_got = a.n_got;
	return rc;
}
