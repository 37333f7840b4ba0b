/* The worker protocol, both directions of it, so that neither side knows the other's spelling. */
#include "service/flow/worker_order.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct json_field order_fields[] = {
	{ "job", FIELD_INT, offsetof(struct order, job), 0, 0, 9e15, true, false },
	{ "attempt", FIELD_INT, offsetof(struct order, attempt), 0, 0, 1e9, true, false },
	{ "created_ms", FIELD_INT, offsetof(struct order, created_ms), 0, 0, 9e15, true, false },
	{ "threads", FIELD_INT, offsetof(struct order, threads), 0, 0, 1024, true, false },
	{ "cpu_seconds", FIELD_INT, offsetof(struct order, cpu_seconds), 0, 0, 1e9, true, false },
	{ "model_dir", FIELD_STRING, offsetof(struct order, model_dir), sizeof(((struct order *)0)->model_dir), 0, 0, true, false },
	{ "out_dir", FIELD_STRING, offsetof(struct order, out_dir), sizeof(((struct order *)0)->out_dir), 0, 0, true, false },
	{ "identity", FIELD_STRING, offsetof(struct order, identity), sizeof(((struct order *)0)->identity), 0, 0, true, false },
	{ "node_id", FIELD_STRING, offsetof(struct order, node_id), sizeof(((struct order *)0)->node_id), 0, 0, true, false },
	{ "empty_report", FIELD_BOOL, offsetof(struct order, empty_report), 0, 0, 0, true, false },
	{ "rejects_strangers", FIELD_BOOL, offsetof(struct order, rejects_strangers), 0, 0, 0, true, false },
};

static void
free_texts(const char *const *texts, size_t n)
{
	for (size_t i = 0; texts != NULL && i < n; i++)
		free((char *)texts[i]);
	free((void *)texts);
}

void
order_release(struct order *o)
{
	for (size_t i = 0; i < o->n_channels; i++) {
		free_texts(o->channels[i].paths, o->channels[i].n_paths);
		free_texts(o->channels[i].frames, o->channels[i].n_paths);
	}
	o->n_channels = 0;
}

static struct json *
print_frames(const struct segment_channel *c)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < c->n_paths; i++)
		json_add_string(list, c->frames[i]);
	return list;
}

char *
order_print(const struct order *o, struct err *e)
{
	struct json *v = json_new_object(), *channels = json_new_array(), *results = json_new_array();
	char *text;

	json_set_int(v, "job", o->job);
	json_set_int(v, "attempt", o->attempt);
	json_set_int(v, "created_ms", o->created_ms);
	json_set_int(v, "threads", o->threads);
	json_set_int(v, "cpu_seconds", o->cpu_seconds);
	json_set_string(v, "model_dir", o->model_dir);
	json_set_string(v, "out_dir", o->out_dir);
	json_set_string(v, "identity", o->identity);
	json_set_string(v, "node_id", o->node_id);
	json_set_bool(v, "empty_report", o->empty_report);
	json_set_bool(v, "rejects_strangers", o->rejects_strangers);
	for (size_t i = 0; i < RESULT_N_KINDS; i++)
		if (o->results & RESULT_SET(i))
			json_add_string(results, result_kind_name((enum result_kind)i));
	json_set(v, "results", results);
	for (size_t i = 0; i < o->n_channels; i++) {
		struct json *c = json_new_object(), *files = json_new_array();
		json_set_string(c, "channel", o->channels[i].channel);
		for (size_t k = 0; k < o->channels[i].n_paths; k++)
			json_add_string(files, o->channels[i].paths[k]);
		json_set(c, "files", files);
		if (o->channels[i].frames != NULL)
			json_set(c, "frames", print_frames(&o->channels[i]));
		json_set_bool(c, "registered", o->channels[i].is_registered);
		json_add(channels, c);
	}
	json_set(v, "channels", channels);
	text = json_print(v, false, e);
	json_free(v);
	return text;
}

/* A list of n texts; *out is the caller's, also where it is incomplete (then NULLs). */
static int
parse_texts(const struct json *list, size_t n, const char *const **out, struct err *e)
{
	char **texts = calloc(n + 1, sizeof *texts);
	size_t i = 0;

	*out = (const char *const *)texts;
	if (texts == NULL)
		return err_set(e, ERR_LIMIT, "no memory for %zu files", n);
	if (json_type(list) != JSON_ARRAY || json_size(list) != n)
		return err_set(e, ERR_INPUT, "a list of %zu texts is wanted", n);
	for (const struct json *f = json_first(list); f != NULL; f = json_next(f)) {
		if (json_text(f) == NULL)
			return err_set(e, ERR_INPUT, "a file is not a text");
		if ((texts[i++] = strdup(json_text(f))) == NULL)
			return err_set(e, ERR_LIMIT, "no memory for %zu files", n);
	}
	return 0;
}

static int
parse_channel(const struct json *c, struct segment_channel *out, struct err *e)
{
	const struct json *files = json_get(c, "files"), *frames = json_get(c, "frames");
	const char *name = json_text(json_get(c, "channel"));

	if (name == NULL || strlen(name) >= sizeof out->channel || json_type(files) != JSON_ARRAY)
		return err_set(e, ERR_INPUT, "worker order: a channel needs a name and files");
	memcpy(out->channel, name, strlen(name) + 1);
	out->is_registered = json_bool(json_get(c, "registered"), false);
	out->n_paths = json_size(files);
	if (parse_texts(files, out->n_paths, &out->paths, e) != 0 || (frames != NULL && parse_texts(frames, out->n_paths, &out->frames, e) != 0))
		return err_note(e, "worker order: channel %s", name);
	return 0;
}

static int
parse_results(const struct json *list, unsigned *out, struct err *e)
{
	enum result_kind kind;

	if (json_type(list) != JSON_ARRAY)
		return err_set(e, ERR_INPUT, "worker order: results must be a list of kinds");
	for (const struct json *item = json_first(list); item != NULL; item = json_next(item)) {
		if (json_text(item) == NULL || !result_kind_parse(json_text(item), &kind))
			return err_set(e, ERR_INPUT, "worker order: a kind of result that is not known");
		*out |= RESULT_SET(kind);
	}
	return 0;
}

int
order_parse(const char *line, size_t n, struct order *out, struct err *e)
{
	struct json_doc *d;
	const struct json *channels;
	int rc = -1;

	*out = (struct order) { 0 };
	if ((d = json_parse(line, n, 0, e)) == NULL)
		return err_note(e, "worker order");
	if (json_read_some(d, json_root(d), order_fields, sizeof order_fields / sizeof *order_fields, "worker order", out, e) != 0 ||
	    parse_results(json_get(json_root(d), "results"), &out->results, e) != 0)
		goto out;
	channels = json_get(json_root(d), "channels");
	if (json_type(channels) != JSON_ARRAY || json_size(channels) == 0 || json_size(channels) > MODEL_MAX_CHANNELS) {
		err_set(e, ERR_INPUT, "worker order: 1 to %d channels are possible", MODEL_MAX_CHANNELS);
		goto out;
	}
	for (const struct json *c = json_first(channels); c != NULL; c = json_next(c))
		if (parse_channel(c, &out->channels[out->n_channels++], e) != 0)
			goto out;
	rc = 0;
out:
	json_doc_free(d);
	return rc;
}

void
answer_release(struct answer *a)
{
	free(a->flags);
	free(a->segments);
	free(a->results);
	free(a->timings);
	a->flags = a->segments = a->results = a->timings = NULL;
}

static char *
print_and_free(struct json *v, struct err *e)
{
	char *text = json_print(v, false, e);

	json_free(v);
	return text;
}

char *
answer_progress(double progress, struct err *e)
{
	struct json *v = json_new_object();

	json_set_number(v, "progress", progress);
	return print_and_free(v, e);
}

char *
answer_result(const struct segment_result *r, struct err *e)
{
	struct json *v = json_new_object(), *result = json_new_object();

	json_set_bool(result, "present", r->present);
	json_set(result, "flags", segment_flags_json(r));
	json_set(result, "segments", segment_segments_json(r));
	json_set(result, "results", segment_results_json(r));
	json_set(result, "timings", segment_timings_json(r));
	json_set(v, "result", result);
	return print_and_free(v, e);
}

char *
answer_error(const struct err *error, const struct segment_result *r, struct err *e)
{
	struct json *v = json_new_object(), *x = json_new_object();

	json_set_string(x, "code", err_name(error->code));
	json_set_string(x, "text", error->text);
	if (r->out_of_distribution[0] != '\0')
		json_set(x, "flags", segment_flags_json(r));
	json_set(v, "error", x);
	return print_and_free(v, e);
}

/* {FLAG: why}; both are texts. */
static int
parse_flags(const struct json *flags, struct answer *out, struct err *e)
{
	bool are_texts = json_type(flags) == JSON_OBJECT;

	for (const struct json *f = json_first(flags); f != NULL; f = json_next(f))
		are_texts &= json_text(f) != NULL;
	if (!are_texts)
		return err_set(e, ERR_PEER, "worker answer: flags without their reasons");
	return (out->flags = json_print(flags, false, e)) == NULL ? -1 : 0;
}

static int
parse_result(const struct json *result, struct answer *out, struct err *e)
{
	out->kind = ANSWER_RESULT;
	out->present = json_bool(json_get(result, "present"), false);
	if (json_type(json_get(result, "segments")) != JSON_ARRAY || json_type(json_get(result, "results")) != JSON_ARRAY || json_type(json_get(result, "timings")) != JSON_OBJECT)
		return err_set(e, ERR_PEER, "worker answer: a result without segments, results or timings");
	if (parse_flags(json_get(result, "flags"), out, e) != 0 || (out->segments = json_print(json_get(result, "segments"), false, e)) == NULL || (out->results = json_print(json_get(result, "results"), false, e)) == NULL ||
	    (out->timings = json_print(json_get(result, "timings"), false, e)) == NULL)
		return -1;
	return 0;
}

static int
parse_error(const struct json *error, struct answer *out, struct err *e)
{
	const char *code = json_text(json_get(error, "code")), *text = json_text(json_get(error, "text"));
	enum err_code found = ERR_BUG;

	for (enum err_code c = ERR_INPUT; c < ERR_N_CODES; c++)
		if (code != NULL && strcmp(code, err_name(c)) == 0)
			found = c;
	out->kind = ANSWER_ERROR;
	err_set(&out->error, found, "%s", text == NULL ? "the worker gave no reason" : text);
	return json_get(error, "flags") == NULL ? 0 : parse_flags(json_get(error, "flags"), out, e);
}

static int
parse_progress(double progress, struct answer *out, struct err *e)
{
	if (!(progress >= 0 && progress <= 1))
		return err_set(e, ERR_PEER, "worker answer: progress %g", progress);
	out->progress = progress;
	return 0;
}

int
answer_parse(const char *line, size_t n, struct answer *out, struct err *e)
{
	struct json_doc *d;
	const struct json *root;
	int rc = 0;

	*out = (struct answer) { 0 };
	if ((d = json_parse(line, n, 0, e)) == NULL) {
		if (e->code == ERR_INPUT)
			e->code = ERR_PEER; /* it is the process that is broken, not the images */
		return err_note(e, "worker answer");
	}
	root = json_root(d);
	if (json_get(root, "result") != NULL)
		rc = parse_result(json_get(root, "result"), out, e);
	else if (json_get(root, "error") != NULL)
		rc = parse_error(json_get(root, "error"), out, e);
	else if (json_type(json_get(root, "progress")) == JSON_NUMBER)
		rc = parse_progress(json_number(json_get(root, "progress"), 0), out, e);
	else
		rc = err_set(e, ERR_PEER, "worker answer: neither progress nor result nor error");
	json_doc_free(d);
	return rc;
}
