/* /api/v1/models: what is installed, which version of a name is in service, and which folders could not be read. */
#include "model/catalog.h"
#include "service/flow/node.h"
#include "service/http/handlers.h"

static struct json *
segments_json(const struct manifest *m)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < m->n_segments; i++) {
		struct json *o = json_new_object();
		json_set_int(o, "number", m->segments[i].number);
		json_set_string(o, "label", m->segments[i].label);
		json_add(list, o);
	}
	return list;
}

static struct json *
model_json(const struct catalog_entry *entry)
{
	const struct manifest *m = &entry->manifest;
	struct json *o = json_new_object(), *channels = json_new_array();

	for (size_t i = 0; i < m->n_channels; i++)
		json_add_string(channels, m->channels[i]);
	json_set_string(o, "name", m->name);
	json_set_string(o, "version", m->version);
	json_set_bool(o, "in_service", entry->in_service);
	json_set_string(o, "description", m->description);
	json_set_string(o, "licence", m->licence);
	json_set(o, "channels", channels);
	json_set(o, "segments", segments_json(m));
	json_set_string(o, "weights_sha256", m->weights_sha256);
	return o;
}

void
models_answer(struct request *q, struct reply *r)
{
	struct json *o = json_new_object(), *models = json_new_array(), *problems = json_new_array();
	const char *problem;

	for (size_t i = 0; i < catalog_size(q->node->catalog); i++)
		json_add(models, model_json(catalog_at(q->node->catalog, i)));
	for (size_t i = 0; (problem = catalog_problem(q->node->catalog, i)) != NULL; i++)
		json_add_string(problems, problem);
	json_set(o, "models", models);
	json_set(o, "problems", problems);
	reply_json(r, 200, o);
}
