/* The answer to a STOW request: Store Instances Response Module (PS3.18 I.2) in the DICOM JSON model (PS3.18 F.2). Knows nothing of how the instances came. */
#include "service/http/stow.h"

#include "service/http/problem.h"

#include <stdio.h>
#include <string.h>

unsigned
stow_item_status(const struct stow_item *item, enum err_code code)
{
	if (code == ERR_INPUT)
		return item->sop_uid[0] ? 409 : 400;
	return (unsigned)err_http_status(code);
}

/* An attribute with one value. Takes value. */
static void
put(struct json *set, const char *tag, const char *vr, struct json *values)
{
	struct json *attribute = json_new_object();

	json_set_string(attribute, "vr", vr);
	if (values)
		json_set(attribute, "Value", values);
	json_set(set, tag, attribute);
}

static void
put_text(struct json *set, const char *tag, const char *vr, const char *text)
{
	struct json *values = json_new_array();

	json_add_string(values, text);
	put(set, tag, vr, values);
}

static void
put_number(struct json *set, const char *tag, const char *vr, unsigned value)
{
	struct json *values = json_new_array();

	json_add_number(values, value);
	put(set, tag, vr, values);
}

static struct json *
item_json(const struct request *q, const struct stow_item *item)
{
	struct json *set = json_new_object();
	char url[512];

	if (item->sop_class[0])
		put_text(set, "00081150", "UI", item->sop_class);       /* ReferencedSOPClassUID */
	if (item->sop_uid[0])
		put_text(set, "00081155", "UI", item->sop_uid);         /* ReferencedSOPInstanceUID */
	if (item->reason) {
		put_number(set, "00081197", "US", item->reason);        /* FailureReason */
		return set;
	}
	snprintf(url, sizeof url, "%s/dicom-web/studies/%s/series/%s/instances/%s", q->base, item->study_uid, item->series_uid, item->sop_uid);
	put_text(set, "00081190", "UR", url);                           /* RetrieveURL */
	return set;
}

/* The study that all stored instances belong to; NULL when there is not exactly one. */
static const char *
common_study(const struct stow_item *items, size_t n)
{
	const char *study = NULL;

	for (size_t i = 0; i < n; i++) {
		if (items[i].reason)
			continue;
		if (study && strcmp(study, items[i].study_uid) != 0)
			return NULL;
		study = items[i].study_uid;
	}
	return study;
}

enum list { FAILED, STORED, OTHER, N_LISTS };

static enum list
list_of(const struct stow_item *item)
{
	if (!item->reason)
		return STORED;
	return item->sop_uid[0] ? FAILED : OTHER;
}

static struct json *
report_json(const struct request *q, const struct stow_item *items, size_t n)
{
	/* FailedSOPSequence, ReferencedSOPSequence, OtherFailuresSequence */
	static const char *const tags[N_LISTS] = { [FAILED] = "00081198", [STORED] = "00081199", [OTHER] = "0008119A" };
	struct json *lists[N_LISTS] = { NULL }, *set = json_new_object();
	const char *study = common_study(items, n);

	for (size_t i = 0; i < n; i++) {
		enum list list = list_of(&items[i]);
		if (!lists[list])
			lists[list] = json_new_array();
		json_add(lists[list], item_json(q, &items[i]));
	}
	if (study) {
		char url[512];
		snprintf(url, sizeof url, "%s/dicom-web/studies/%s", q->base, study);
		put_text(set, "00081190", "UR", url);
	}
	for (size_t i = 0; i < N_LISTS; i++)
		if (lists[i])
			put(set, tags[i], "SQ", lists[i]);
	return set;
}

static unsigned
report_status(const struct stow_item *items, size_t n)
{
	unsigned common = 0;
	size_t n_stored = 0;
	bool differ = false, may_pass = false;

	for (size_t i = 0; i < n; i++) {
		if (!items[i].reason) {
			n_stored++;
			continue;
		}
		differ = differ || (common && common != items[i].status);
		common = items[i].status;
		may_pass = may_pass || common >= 500;
	}
	if (n_stored > 0)
		return n_stored == n ? 200 : 202;
	if (!differ)
		return common;
	return may_pass ? 503 : 409;
}

/* A header's text must not end its line or its quotes, whatever a part held. */
static void
set_warning(struct reply *r, const char *why)
{
	char text[REQUEST_TEXT];

	snprintf(text, sizeof text, "299 segand \"%.200s", why);
	for (char *c = text + strlen("299 segand \""); *c; c++)
		if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
			*c = '\'';
	strncat(text, "\"", sizeof text - strlen(text) - 1);
	reply_header(r, "Warning", text);
}

void
stow_report(const struct request *q, const struct stow_item *items, size_t n, const char *why, struct reply *r)
{
	unsigned status = report_status(items, n);

	reply_json(r, status, report_json(q, items, n));
	if (r->status != status)
		return;                                                 /* no memory: a problem is there instead */
	if (q->type)
		r->type = q->type;
	if (*why)
		set_warning(r, why);
	if (status == 503)
		reply_header(r, "Retry-After", "60");
}
