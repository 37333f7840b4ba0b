/* POST /api/v1/rules/test: the rules against a DICOM file, or against every series of a study that is in the spool: which channel, and what each rule says.
 * Nothing is run, nothing is stored: a file that is sent lies in the spool's tmp folder until the answer is made. Values of patient attributes are not said. */
#include "db/instances.h"
#include "dicom/attributes.h"
#include "service/flow/cases.h"
#include "service/flow/node.h"
#include "service/flow/spool.h"
#include "service/http/handlers.h"
#include "service/http/json_body.h"
#include "service/http/problem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct trial {
	bool is_file;
	struct json_body question;       /* the JSON body */
	char path[SPOOL_PATH];           /* the DICOM file, "" = none */
	int fd;
	int64_t max_bytes, n_bytes;
	bool is_too_large;
	struct err broken;               /* ERR_NONE: the body could be kept */
};

/* ---- the body ---- */

static bool
type_is(const char *content_type, const char *wanted)
{
	size_t n = strlen(wanted);

	return content_type != NULL && strncasecmp(content_type, wanted, n) == 0 && strchr("; \t", content_type[n]) != NULL; /* the end is in that set, too */
}

static int
trial_open(struct trial *t, const struct node *node, struct err *e)
{
	if (!t->is_file)
		return json_body_open(&t->question, node->settings, e);
	if (spool_has_room(node, e) != 0 || spool_tmp(node, t->path, e) != 0)
		return -1;
	t->fd = open(t->path, O_WRONLY | O_CLOEXEC);
	return t->fd >= 0 ? 0 : err_errno(e, "keeping the file that is tested");
}

static void
trial_drop(struct request *q)
{
	struct trial *t = q->upload;

	if (t == NULL)
		return;
	if (t->fd >= 0)
		close(t->fd);
	if (t->path[0] != 0)
		unlink(t->path);
	json_body_free(&t->question);
	free(t);
	q->upload = NULL;
}

static int
trial_begin(struct request *q, struct reply *r)
{
	const char *type = request_header(q, "Content-Type"), *encoding = request_header(q, "Content-Encoding");
	bool is_file = type_is(type, "application/dicom");
	struct trial *t;
	struct err e;

	if (!is_file && !type_is(type, "application/json")) {
		problem_set(r, 415, "a DICOM file (application/dicom) or {\"study_uid\": ...} (application/json) is tested here");
		return -1;
	}
	if (encoding != NULL && *encoding != 0 && strcasecmp(encoding, "identity") != 0) {
		problem_set(r, 415, "a body with Content-Encoding is not read here");
		return -1;
	}
	t = calloc(1, sizeof *t);
	if (t == NULL) {
		err_errno(&e, "rules test");
		problem_error(r, &e);
		return -1;
	}
	q->upload = t;
	t->fd = -1;
	t->is_file = is_file;
	t->max_bytes = is_file ? q->node->settings->dicom.max_instance_mb << 20 : q->node->settings->http.max_json_kb << 10;
	if (q->length > t->max_bytes)
		problem_set(r, 413, "the body is larger than the %lld bytes that are taken here", (long long)t->max_bytes);
	else if (trial_open(t, q->node, &e) == 0)
		return 0;
	else
		problem_error(r, &e);
	trial_drop(q);
	return -1;
}

static int
keep(int fd, const char *bytes, size_t n, struct err *e)
{
	while (n > 0) {
		ssize_t written = write(fd, bytes, n);
		if (written < 0 && errno != EINTR)
			return err_errno(e, "keeping the file that is tested");
		if (written > 0) {
			bytes += written;
			n -= (size_t)written;
		}
	}
	return 0;
}

static void
trial_piece(struct request *q, const char *bytes, size_t n)
{
	struct trial *t = q->upload;

	t->n_bytes += (int64_t)n;
	t->is_too_large = t->is_too_large || t->n_bytes > t->max_bytes;
	if (t->is_too_large || t->broken.code != ERR_NONE)
		return;
	if (t->is_file) {
		keep(t->fd, bytes, n, &t->broken);
		return;
	}
	json_body_add(&t->question, bytes, n);
}

const struct upload_kind rules_test_upload = { trial_begin, trial_piece, trial_drop };

/* ---- the answer ---- */

static void
add_rule(void *arg, const struct rule_setting *rule, bool fits, const char *reason)
{
	struct json *o = json_new_object();

	json_set_string(o, "rule", rule->name);
	json_set_string(o, "channel", rule->channel[0] != 0 ? rule->channel : NULL);
	json_set_bool(o, "fallback", rule->fallback);
	json_set_bool(o, "fits", fits);
	json_set_string(o, "reason", reason);
	json_add(arg, o);
}

/* recorded: what the node keeps of the series; NULL = a file that it does not have. */
static struct json *
series_json(const char *series_uid, const char *study_uid, const struct decision *d, const char *recorded, struct json *rules)
{
	struct json *o = json_new_object();

	json_set_string(o, "series_uid", series_uid);
	json_set_string(o, "study_uid", study_uid);
	json_set_string(o, "channel", d->channel[0] != 0 ? d->channel : NULL);
	json_set_string(o, "rule", d->rule[0] != 0 ? d->rule : NULL);
	json_set_string(o, "reason", d->reason);
	json_set_string(o, "recorded", recorded);
	json_set(o, "rules", rules);
	return o;
}

static int
test_file(const struct trial *t, const struct rules *rules, struct json *list, struct err *e)
{
	struct attributes *a = attributes_load(t->path, e);
	struct json *said = json_new_array();
	struct decision d;

	if (a == NULL || cases_decide_file(rules, t->path, &d, e) != 0 || rules_explain(rules, t->path, 1, add_rule, said, e) != 0) {
		json_free(said);
		if (a != NULL)
			attributes_free(a);
		return -1;
	}
	json_add(list, series_json(attributes_header(a)->series_uid, attributes_header(a)->study_uid, &d, NULL, said));
	attributes_free(a);
	return 0;
}

/* A series whose file cannot be read is told as such: the others still count. */
static int
test_series(const struct node *n, const struct rules *rules, const struct series_row *row, struct json *list, struct err *e)
{
	struct json *said = json_new_array();
	char path[SPOOL_PATH];
	struct decision d;
	struct err unread;

	if (cases_decide(n, rules, row, &d, e) != 0) {
		json_free(said);
		return -1;
	}
	if (!row->ours && cases_file(n, row->series_uid, path, &unread) == 0)
		rules_explain(rules, path, (size_t)row->n_instances, add_rule, said, &unread);
	json_add(list, series_json(row->series_uid, row->study_uid, &d, row->reason[0] != 0 ? row->reason : NULL, said));
	return 0;
}

static int
test_study(const struct node *n, const struct rules *rules, const char *study_uid, struct json *list, struct err *e)
{
	struct series_row *rows = NULL;
	size_t count = 0;
	int result = series_of_study(n->db, study_uid, &rows, &count, e);

	if (result == 0 && count == 0)
		result = err_set(e, ERR_NOT_FOUND, "no series of that study is here");
	for (size_t i = 0; result == 0 && i < count; i++)
		result = test_series(n, rules, &rows[i], list, e);
	free(rows);
	return result;
}

static int
read_question(const struct trial *t, const struct settings *s, char study_uid[DICOM_UID], struct err *e)
{
	static const struct json_field fields[] = { { "study_uid", FIELD_STRING, 0, DICOM_UID, 0, 0, true, false } };
	struct json_doc *d = json_body_parse(&t->question, s, e);
	int result = d == NULL ? -1 : json_read(d, json_root(d), fields, 1, "", study_uid, e);

	json_doc_free(d);
	return result == 0 && !dicom_uid_is_valid(study_uid) ? err_set(e, ERR_INPUT, "study_uid is not a UID") : result;
}

static int
test(const struct trial *t, const struct node *n, struct json *list, struct err *e)
{
	char study_uid[DICOM_UID] = "";
	struct rules *rules;
	int result;

	if (t->broken.code != ERR_NONE) {
		*e = t->broken;
		return -1;
	}
	if (!t->is_file && read_question(t, n->settings, study_uid, e) != 0)
		return -1;
	if ((rules = rules_compile(n->settings, e)) == NULL)
		return -1;
	result = t->is_file ? test_file(t, rules, list, e) : test_study(n, rules, study_uid, list, e);
	rules_free(rules);
	return result;
}

void
rules_test_answer(struct request *q, struct reply *r)
{
	struct trial *t = q->upload;
	struct json *answer, *list;
	struct err e = { 0 };

	if (t->is_too_large) {
		problem_set(r, 413, "the body is larger than the %lld bytes that are taken here", (long long)t->max_bytes);
		return;
	}
	answer = json_new_object();
	list = json_new_array();
	json_set(answer, "series", list);
	if (test(t, q->node, list, &e) == 0) {
		reply_json(r, 200, answer);
		return;
	}
	json_free(answer);
	problem_error(r, &e);
}
