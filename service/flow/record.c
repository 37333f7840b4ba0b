/* A job as JSON beside its results: the columns of its row, its inputs, where it was to go. UIDs only, no attribute of a patient.
 * Not here: whether it arrived anywhere, which only the database knows. */
#include "service/flow/record.h"

#include "config/clock.h"
#include "config/digest.h"
#include "config/file.h"
#include "config/json.h"
#include "service/flow/node.h"
#include "service/flow/results.h"
#include "service/flow/spool.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char record_file[] = "job.json";

#define INT(name) { #name, FIELD_INT, offsetof(struct job, name), 0, 0, 9e15, true, false }
#define TEXT(name) { #name, FIELD_STRING, offsetof(struct job, name), sizeof(((struct job *)0)->name), 0, 0, true, false }
static const struct json_field fields[] = {
	INT(id), TEXT(study_uid), TEXT(model_name), TEXT(model_version), TEXT(model_digest), TEXT(priority), INT(case_version), INT(run), TEXT(epoch), INT(attempt),
	INT(created_ms), INT(started_ms), INT(finished_ms), INT(replaces),
};
enum { N_FIELDS = sizeof fields / sizeof fields[0], MAX_BYTES = 64 << 20 };

static const struct { const char *key; size_t offset; } texts[] = {
	{ "channels", offsetof(struct job, channels) }, { "fingerprint", offsetof(struct job, fingerprint) }, { "finding", offsetof(struct job, finding) },
	{ "flags", offsetof(struct job, flags) }, { "segments", offsetof(struct job, segments) }, { "results", offsetof(struct job, results) },
	{ "timings", offsetof(struct job, timings) },
};
enum { N_TEXTS = sizeof texts / sizeof texts[0] };

static char **
text_of(struct job *j, size_t i)
{
	return (char **)((char *)j + texts[i].offset);
}

/* ---- the files ---- */

static int
digest_result(const struct node *n, int64_t job, const char *name, char hex[DIGEST_HEX], struct err *e)
{
	char path[SPOOL_PATH];

	spool_result(n, job, name, path);
	return digest_of_file(path, 0, hex, e);
}

static int
add_digests(struct json *v, const struct node *n, const struct job *j, struct err *e)
{
	struct json *digests = json_new_object();
	struct result_file *files = NULL;
	size_t n_files = 0;
	int r = results_files(j->results, UINT_MAX, &files, &n_files, e);

	for (size_t i = 0; i < n_files && r == 0; i++) {
		char hex[DIGEST_HEX];
		if ((r = digest_result(n, j->id, files[i].name, hex, e)) == 0)
			json_set_string(digests, files[i].name, hex);
	}
	free(files);
	json_set(v, "digests", digests);
	return r;
}

/* digests: NULL where nobody knows */
static int
check_file(const struct node *n, int64_t job, const char *name, const struct json *digests, struct err *e)
{
	const char *wanted = json_text(json_get(digests, name));
	char hex[DIGEST_HEX];

	if (digest_result(n, job, name, hex, e) != 0) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		return err_set(e, ERR_STATE, "%s of job %lld is lost on the node's disk: `segan jobs retry %lld` computes it anew", name, (long long)job, (long long)job);
	}
	if (wanted == NULL || strcmp(wanted, hex) == 0)
		return 0;
	return err_set(e, ERR_STATE, "%s of job %lld was altered on the node's disk since it was computed: `segan jobs retry %lld` computes it anew", name, (long long)job,
	    (long long)job);
}

int
record_check(const struct node *n, const struct job *j, unsigned kinds, struct err *e)
{
	char path[SPOOL_PATH];
	struct result_file *files = NULL;
	struct json_doc *d;
	struct err lost;
	size_t n_files = 0;
	int r;

	if (results_files(j->results, kinds, &files, &n_files, e) != 0)
		return -1;
	spool_result(n, j->id, record_file, path);
	d = json_load(path, 0, &lost);
	r = d == NULL && err_may_pass(lost.code) ? -1 : 0;
	if (r != 0)
		*e = lost;
	for (size_t i = 0; i < n_files && r == 0; i++)
		r = check_file(n, j->id, files[i].name, d != NULL ? json_get(json_root(d), "digests") : NULL, e);
	json_doc_free(d);
	free(files);
	return r;
}

/* ---- writing ---- */

struct written { const struct node *n; const struct job *job; const struct job_input *inputs; size_t n_inputs; const char *const *destinations; size_t n_destinations; };

static char *
print(const struct written *w, struct err *e)
{
	struct json *v = json_new_object(), *read = json_new_array(), *to = json_new_array();
	char *text = NULL;

	json_write(v, fields, N_FIELDS, w->job);
	for (size_t i = 0; i < N_TEXTS; i++)
		json_set_string(v, texts[i].key, *text_of((struct job *)w->job, i));
	for (size_t i = 0; i < w->n_inputs; i++) {
		struct json *input = json_new_array();
		json_add_string(input, w->inputs[i].channel);
		json_add_string(input, w->inputs[i].sop_uid);
		json_add(read, input);
	}
	for (size_t i = 0; i < w->n_destinations; i++)
		json_add_string(to, w->destinations[i]);
	json_set(v, "inputs", read);
	json_set(v, "destinations", to);
	if (add_digests(v, w->n, w->job, e) == 0)
		text = json_print(v, false, e);
	json_free(v);
	return text;
}

int
record_write(const struct node *n, const struct job *j, const struct job_outcome *o, const char *const *destinations, size_t n_destinations, struct err *e)
{
	struct job computed = *j; /* borrows its texts */
	struct job_input *inputs = NULL;
	char path[SPOOL_PATH], dir[SPOOL_PATH], *text;
	size_t n_inputs = 0;
	int r = -1;

	computed.finished_ms = clock_ms();
	computed.finding = (char *)o->finding;
	computed.flags = (char *)o->flags;
	computed.segments = (char *)o->segments;
	computed.results = (char *)o->results;
	computed.timings = (char *)o->timings;
	if (jobs_inputs(n->db, j->id, &inputs, &n_inputs, e) != 0)
		return -1;
	spool_result(n, j->id, record_file, path);
	snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
	text = print(&(const struct written) { n, &computed, inputs, n_inputs, destinations, n_destinations }, e);
	if (text != NULL && file_make_dirs(dir, 0700, e) == 0)
		r = file_write(path, text, strlen(text), e);
	free(text);
	free(inputs);
	return r == 0 ? 0 : err_note(e, "keeping the record of job %lld", (long long)j->id);
}

/* ---- reading ---- */

static int
no_memory(struct err *e)
{
	return err_set(e, ERR_LIMIT, "no memory for the record of a job");
}

static int
read_texts(const struct json *v, struct job *j, struct err *e)
{
	for (size_t i = 0; i < N_TEXTS; i++) {
		const char *text = json_text(json_get(v, texts[i].key));
		if (text != NULL && (*text_of(j, i) = strdup(text)) == NULL)
			return no_memory(e);
	}
	return 0;
}

static int
read_inputs(const struct json *list, struct record *r, struct err *e)
{
	r->inputs = calloc(json_size(list) + 1, sizeof *r->inputs);
	if (r->inputs == NULL)
		return no_memory(e);
	for (const struct json *item = json_first(list); item != NULL; item = json_next(item)) {
		const char *channel = json_text(json_first(item)), *uid = json_text(json_size(item) == 2 ? json_next(json_first(item)) : NULL);
		struct job_input *input = &r->inputs[r->n_inputs];
		if (channel == NULL || uid == NULL || strlen(channel) >= sizeof input->channel || strlen(uid) >= sizeof input->sop_uid)
			return err_set(e, ERR_INPUT, "\"inputs\" has an item that is none");
		snprintf(input->channel, sizeof input->channel, "%s", channel);
		snprintf(input->sop_uid, sizeof input->sop_uid, "%s", uid);
		r->n_inputs++;
	}
	return 0;
}

static int
read_destinations(const struct json *list, struct record *r, struct err *e)
{
	r->destinations = calloc(json_size(list) + 1, sizeof *r->destinations);
	if (r->destinations == NULL)
		return no_memory(e);
	for (const struct json *item = json_first(list); item != NULL; item = json_next(item)) {
		if (json_text(item) == NULL)
			return err_set(e, ERR_INPUT, "\"destinations\" has an item that is no name");
		if ((r->destinations[r->n_destinations] = strdup(json_text(item))) == NULL)
			return no_memory(e);
		r->n_destinations++;
	}
	return 0;
}

int
record_read(const char *path, struct record *out, struct err *e)
{
	char *text;
	struct json_doc *d;
	size_t n = 0;
	int r;

	memset(out, 0, sizeof *out);
	text = file_read(path, MAX_BYTES, &n, e);
	if (text == NULL)
		return -1;
	d = json_parse(text, n, 0, e);
	free(text);
	r = d == NULL ? -1 : json_read_some(d, json_root(d), fields, N_FIELDS, "", &out->job, e);
	if (r == 0)
		r = read_texts(json_root(d), &out->job, e);
	if (r == 0)
		r = read_inputs(json_get(json_root(d), "inputs"), out, e);
	if (r == 0)
		r = read_destinations(json_get(json_root(d), "destinations"), out, e);
	json_doc_free(d);
	return r == 0 ? 0 : err_note(e, "%s", path);
}

void
record_release(struct record *r)
{
	job_release(&r->job);
	free(r->inputs);
	for (size_t i = 0; i < r->n_destinations; i++)
		free(r->destinations[i]);
	free(r->destinations);
	memset(r, 0, sizeof *r);
}
