/* One instance to one STOW-RS service, a SEG in the syntax that the destination is to get; refused so, once more as it is: nothing is negotiated over HTTP. The answer's body decides where the status does not: 202 and 409 carry a Failed SOP Sequence (0008,1198) with a
 * reason an instance (PS3.18 10.5.3, Annex I). Never follows a redirect: only configured addresses are contacted. */
#include "service/flow/deliver_stow.h"

#include "config/json.h"
#include "dicom/revise.h"
#include "dicom/scu.h"
#include "dicom/seg_recode.h"
#include "service/flow/deliver_transfer.h"
#include "service/flow/deliver_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_ANSWER = 1 << 20 };

struct answer_body { char *bytes; size_t n; };
struct sending { struct transfer http; curl_mime *mime; struct answer_body body; };
struct payload { const char *path, *bytes; size_t n; struct revise_ids ids; };        /* bytes NULL: the file; sop_uid "": it does not tell */

int
stow_start(struct err *e)
{
	return curl_global_init(CURL_GLOBAL_ALL) == 0 ? 0 : err_set(e, ERR_BUG, "libcurl could not be initialised");
}

static size_t
collect(char *bytes, size_t size, size_t n, void *arg)
{
	struct answer_body *b = arg;
	size_t more = size * n;
	char *larger;

	if (more > MAX_ANSWER - b->n)
		return 0;
	if ((larger = realloc(b->bytes, b->n + more + 1)) == NULL)
		return 0;
	b->bytes = larger;
	memcpy(b->bytes + b->n, bytes, more);
	b->n += more;
	b->bytes[b->n] = '\0';
	return more;
}

static int
watch_stop(void *arg, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
	const atomic_bool *stop = arg;

	(void)dltotal, (void)dlnow, (void)ultotal, (void)ulnow;
	return atomic_load(stop);
}

static int
prepare(struct sending *t, const struct destination_setting *d, const struct payload *p, const char *url, const atomic_bool *stop, struct err *e)
{
	CURL *curl;
	curl_mimepart *part;

	if (transfer_begin(&t->http, d, url, e) != 0)
		return -1;
	curl = t->http.curl;
	if ((t->mime = curl_mime_init(curl)) == NULL || (part = curl_mime_addpart(t->mime)) == NULL)
		return err_set(e, ERR_LIMIT, "no memory for a transfer");
	if (p->bytes != NULL && curl_mime_data(part, p->bytes, p->n) != CURLE_OK)
		return err_set(e, ERR_LIMIT, "no memory for a transfer");
	if (p->bytes == NULL && curl_mime_filedata(part, p->path) != CURLE_OK)
		return err_set(e, ERR_INPUT, "cannot read %s", p->path);
	curl_mime_filename(part, NULL);
	curl_mime_type(part, "application/dicom");
	if (transfer_header(&t->http, "Content-Type: multipart/related; type=\"application/dicom\"", e) != 0 ||
	    transfer_header(&t->http, "Accept: application/dicom+json", e) != 0 || transfer_header(&t->http, "Expect:", e) != 0)
		return -1;
	curl_easy_setopt(curl, CURLOPT_MIMEPOST, t->mime);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, t->http.headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &t->body);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, watch_stop);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)(uintptr_t)stop);
	return 0;
}

/* What a DICOM JSON answer says of the instance; -1: nothing, or the body is not one (many answer with nothing). */
struct said {
	int failure;                   /* FailureReason (0008,1197) in the Failed SOP Sequence */
	int warning;                   /* WarningReason (0008,1196) in the Referenced SOP Sequence */
	bool is_of_others;             /* instances are named, and ours is not */
	bool is_page;                  /* XML or HTML that does not say that ours is stored: the page of a login or a proxy, say */
};

/* Its item in a sequence; one that names no instance can only mean ours, for no other was sent. NULL: none, and *others whether there are any. */
static const struct json *
item_of(const struct json *root, const char *sequence, const char *sop_uid, bool *others)
{
	const struct json *list = json_get(json_get(root, sequence), "Value");

	for (const struct json *item = json_first(list); item != NULL; item = json_next(item)) {
		const char *uid = json_text(json_first(json_get(json_get(item, "00081155"), "Value")));
		if (uid == NULL || sop_uid[0] == '\0' || strcmp(uid, sop_uid) == 0)
			return item;
		*others = true;
	}
	return NULL;
}

static int
reason_in(const struct json *item, const char *reason, int otherwise)
{
	double value = item == NULL ? 0 : json_number(json_first(json_get(json_get(item, reason), "Value")), 0);

	return item == NULL ? -1 : value >= 1 && value <= 0xFFFF ? (int)value : otherwise;
}

/* Not what was asked for (Accept). As DICOM XML (PS3.19 A.1) it names our instance, and has no Failed SOP Sequence. */
static bool
is_page(const struct answer_body *b, const char *sop_uid)
{
	const char *text = b->n == 0 ? "" : b->bytes + strspn(b->bytes, "\xef\xbb\xbf \t\r\n");

	return text[0] == '<' && (strstr(text, "00081198") != NULL || strstr(text, sop_uid[0] != '\0' ? sop_uid : "00081199") == NULL);
}

static struct said
read_answer(const struct answer_body *b, const char *sop_uid)
{
	struct said said = { .failure = -1, .warning = -1, .is_page = is_page(b, sop_uid) };
	struct err e;
	struct json_doc *d = b->n == 0 ? NULL : json_parse(b->bytes, b->n, 0, &e);
	const struct json *root, *failed, *referenced;
	bool others = false;

	if (d == NULL)
		return said;
	root = json_root(d);
	if (json_type(root) == JSON_ARRAY)
		root = json_first(root);
	failed = item_of(root, "00081198", sop_uid, &others);
	referenced = item_of(root, "00081199", sop_uid, &others);
	said.failure = reason_in(failed, "00081197", 0x0110); /* a failure that gives no reason: processing failure */
	said.warning = reason_in(referenced, "00081196", -1);
	said.is_of_others = others && failed == NULL && referenced == NULL;
	json_doc_free(d);
	return said;
}

/* The reasons are statuses of C-STORE (PS3.18 I.2.2). */
static enum stow_outcome
outcome_of_reason(int reason)
{
	static const enum stow_outcome outcomes[] = { [SCU_NOT_SENT] = STOW_PASSING, [SCU_STORED] = STOW_REFUSED /* listed as failed all the same */, [SCU_REFUSED] = STOW_REFUSED,
		[SCU_PASSING] = STOW_PASSING, [SCU_IN_DOUBT] = STOW_IN_DOUBT };

	return outcomes[scu_meaning((unsigned)reason)];
}

static void
judge(const struct sending *t, const char *sop_uid, const char *path, struct stow_result *out)
{
	static const enum stow_outcome outcomes[] = { [TRANSFER_DONE] = STOW_STORED, [TRANSFER_REFUSED] = STOW_REFUSED, [TRANSFER_PASSING] = STOW_PASSING,
		[TRANSFER_IN_DOUBT] = STOW_IN_DOUBT };
	long status = 0;
	curl_off_t retry_after = 0;
	struct said said = read_answer(&t->body, sop_uid);
	char words[DELIVER_WORDS];
	const char *help;

	deliver_words(t->body.bytes, t->body.n, path, words);
	curl_easy_getinfo(t->http.curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(t->http.curl, CURLINFO_RETRY_AFTER, &retry_after);
	out->retry_after_s = (int64_t)retry_after;
	out->outcome = said.failure >= 0 ? outcome_of_reason(said.failure) : outcomes[transfer_meaning(status, &help)];
	if (out->outcome == STOW_STORED && (said.is_of_others || said.is_page))
		out->outcome = STOW_IN_DOUBT;
	if (said.failure >= 0)
		snprintf(out->text, sizeof out->text, "answered HTTP %ld with failure reason 0x%04X", status, (unsigned)said.failure);
	else if (out->outcome != STOW_STORED)
		snprintf(out->text, sizeof out->text, "answered HTTP %ld%s%s%s%s", status, help, said.is_of_others ? ", about other instances than the one it was sent" :
		    said.is_page && out->outcome == STOW_IN_DOUBT ? ", with a page that does not say that the instance is stored: is the url a STOW-RS service's, and reached without a login?" : "",
		    words[0] != '\0' ? ": " : "", words);
	else if (said.warning >= 0)
		snprintf(out->text, sizeof out->text, "stored with a warning, reason 0x%04X", (unsigned)said.warning);
}

static void
store(const struct destination_setting *d, const struct payload *p, const atomic_bool *stop, struct stow_result *out)
{
	struct sending t = { 0 };
	char url[SETTINGS_PATH + 16];
	struct err e;
	CURLcode rc;

	*out = (struct stow_result) { .outcome = STOW_PASSING };
	snprintf(url, sizeof url, "%s/studies", d->url); /* settings: no "/" at its end. Without the study's UID: every service knows this form */
	if (prepare(&t, d, p, url, stop, &e) != 0) {
		out->outcome = e.code == ERR_INPUT ? STOW_REFUSED : STOW_PASSING; /* a token may come back, a lost result not */
		memcpy(out->text, e.text, sizeof out->text);
	} else if ((rc = curl_easy_perform(t.http.curl)) == CURLE_OK) {
		judge(&t, p->ids.sop_uid, p->path, out);
	} else {
		curl_off_t sent = 0;
		curl_easy_getinfo(t.http.curl, CURLINFO_SIZE_UPLOAD_T, &sent);
		out->outcome = sent > 0 ? STOW_IN_DOUBT : STOW_PASSING;
		snprintf(out->text, sizeof out->text, "POST %.240s: %.240s", url, t.http.reason[0] != '\0' ? t.http.reason : curl_easy_strerror(rc));
	}
	curl_mime_free(t.mime);
	transfer_end(&t.http);
	free(t.body.bytes);
}

void
stow_store(const struct destination_setting *d, const char *path, const atomic_bool *stop, struct stow_result *out)
{
	struct payload p = { .path = path };
	char *bytes = NULL;
	struct err e;

	if (revise_read_ids(path, &p.ids, &e) != 0)
		p.ids.sop_uid[0] = '\0';
	if (d->seg_syntax != SEG_EXPLICIT && seg_recode(path, d->seg_syntax, &bytes, &p.n, &e) == 0 && bytes != NULL) {
		p.bytes = bytes;
		store(d, &p, stop, out);
		seg_recode_free(bytes);
		if (out->outcome != STOW_REFUSED)
			return;
		p.bytes = NULL;
	}
	store(d, &p, stop, out);             /* a file that could not be written anew too: the words are then those of the file */
}
