/* The effective configuration as JSON, through the tables that read it, so that reading it again gives the same. */
#include "config/settings_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct json *
from_table(enum settings_table_name table, const void *from)
{
	struct json *object = json_new_object();

	json_write(object, settings_tables[table].fields, settings_tables[table].n, from);
	return object;
}

static struct json *
print_dicom(const struct settings *s)
{
	struct json *dicom = from_table(TABLE_DICOM, s), *peers = json_new_object();

	for (size_t i = 0; i < s->dicom.n_peers; i++)
		json_set(peers, s->dicom.peers[i].name, from_table(TABLE_PEER, &s->dicom.peers[i]));
	json_set(dicom, "peers", peers);
	return dicom;
}

static struct json *
print_results(unsigned set)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < RESULT_N_KINDS; i++)
		if (set & RESULT_SET(i))
			json_add_string(list, result_kind_name((enum result_kind)i));
	return list;
}

static struct json *
print_destinations(const struct settings *s)
{
	struct json *list = json_new_object();

	for (size_t i = 0; i < s->n_destinations; i++) {
		const struct destination_setting *to = &s->destinations[i];
		struct json *object = from_table(settings_types[to->type].table, to);
		json_set_string(object, "type", settings_types[to->type].word);
		json_set(object, "results", print_results(to->results));
		json_set_string(object, "seg_syntax", seg_syntax_name(to->seg_syntax));
		json_set(list, to->name, object);
	}
	return list;
}

static struct json *
print_models(const struct settings *s)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < s->n_models; i++) {
		const struct model_setting *m = &s->models[i];
		struct json *object = json_new_object(), *destinations = json_new_array();
		char name[2 * SETTINGS_NAME + 1];
		snprintf(name, sizeof name, "%s%s%s", m->name, m->version[0] != 0 ? "@" : "", m->version);
		json_set_string(object, "name", name);
		for (size_t k = 0; k < m->n_destinations; k++)
			json_add_string(destinations, m->destinations[k]);
		json_set(object, "destinations", destinations);
		json_set(object, "results", print_results(m->results));
		json_set_bool(object, "empty_report", m->empty_report);
		json_set_string(object, "out_of_distribution", m->rejects_strangers ? "reject" : "flag");
		json_add(list, object);
	}
	return list;
}

static struct json *
print_range(const struct condition_setting *c)
{
	struct json *range = json_new_array();

	json_add_number(range, c->min); /* an open end is infinite here, null there */
	json_add_number(range, c->max);
	return range;
}

static struct json *print_conditions(const struct condition_setting *group);

/* An object can say it: no key would stand twice. */
static bool
is_object(const struct condition_setting *c)
{
	for (size_t i = 0; i < c->n_items; i++)
		for (size_t k = 0; k < i; k++)
			if (c->items[i].kind == c->items[k].kind && strcmp(c->items[i].attribute, c->items[k].attribute) == 0)
				return false;
	return c->kind == CONDITION_ALL;
}

/* Every item as an object of its own. */
static struct json *
print_items(const struct condition_setting *group)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < group->n_items; i++) {
		struct condition_setting one = { .kind = CONDITION_ALL, .items = &group->items[i], .n_items = 1 };
		json_add(list, print_conditions(is_object(&group->items[i]) ? &group->items[i] : &one));
	}
	return list;
}

static struct json *
print_conditions(const struct condition_setting *group)
{
	static const char *const words[] = { [CONDITION_ALL] = "all", [CONDITION_ANY] = "any", [CONDITION_NONE] = "not" };
	struct json *object = json_new_object();

	for (size_t i = 0; i < group->n_items; i++) {
		const struct condition_setting *c = &group->items[i];
		if (c->kind == CONDITION_TEXT)
			json_set_string(object, c->attribute, c->written);
		else if (c->kind == CONDITION_RANGE)
			json_set(object, c->attribute, print_range(c));
		else
			json_set(object, words[c->kind], print_items(c));
	}
	return object;
}

static struct json *
print_patterns(const struct settings *s)
{
	struct json *object = json_new_object();

	for (size_t i = 0; i < s->n_patterns; i++)
		json_set_string(object, s->patterns[i].name, s->patterns[i].text);
	return object;
}

static struct json *
print_rules(const struct settings *s)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < s->n_rules; i++) {
		const struct rule_setting *r = &s->rules[i];
		struct json *object = json_new_object();
		json_set_string(object, "name", r->name);
		json_set_string(object, "channel", r->channel[0] != 0 ? r->channel : NULL);
		json_set(object, "where", print_conditions(&r->where));
		json_set(object, "not", print_conditions(&r->unless));
		json_set_bool(object, "fallback", r->fallback);
		json_set_bool(object, "registered", r->registered);
		json_add(list, object);
	}
	return list;
}

char *
settings_print(const struct settings *s, struct err *e)
{
	struct json *root = from_table(TABLE_ROOT, s);
	char *text;

	json_set(root, "dicom", print_dicom(s));
	json_set(root, "http", from_table(TABLE_HTTP, s));
	json_set(root, "retention", from_table(TABLE_RETENTION, s));
	json_set(root, "audit", from_table(TABLE_AUDIT, s));
	json_set(root, "destinations", print_destinations(s));
	json_set(root, "models", print_models(s));
	json_set(root, "archives", s->archives != NULL ? json_copy(s->archives) : json_new_object());
	json_set(root, "patterns", print_patterns(s));
	json_set(root, "rules", print_rules(s));
	text = json_print(root, true, e);
	json_free(root);
	return text;
}
