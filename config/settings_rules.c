/* Rules: which series is which channel. A rule has "where" (all must hold) and "not" (none may); each is an object whose members are tests of attributes or
 * the groups "all", "any", "not", nested. Whether the dictionary has an attribute, and what decides, service/flow/match.c knows. */
#include "config/settings_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RULES_MAX = 1000, CONDITIONS_MAX = 256 /* of one rule */, NESTING_MAX = 8 };

struct reader {                  /* of one rule */
	const struct json_doc *doc;
	const struct settings *settings;
	size_t n_conditions;
};

static void
release(struct condition_setting *c)
{
	for (size_t i = 0; i < c->n_items; i++)
		release(&c->items[i]);
	free(c->items);
	free(c->written);
	if (c->pattern != NULL)
		regfree(c->pattern);
	free(c->pattern);
}

void
settings_free_rules(struct settings *s)
{
	for (size_t i = 0; i < s->n_rules; i++) {
		release(&s->rules[i].where);
		release(&s->rules[i].unless);
	}
	free(s->rules);
	s->rules = NULL;
	s->n_rules = 0;
}

/* A DICOM keyword ("SeriesDescription"), "GGGG,EEEE", or a computed one ("NumberOfSlices"). */
static bool
is_attribute(const char *key)
{
	static const char hex[] = "0123456789abcdefABCDEF";
	size_t n = strlen(key);

	if (n == 9 && key[4] == ',')
		return strspn(key, hex) == 4 && strspn(key + 5, hex) == 4;
	if (n == 0 || n >= SETTINGS_NAME || !(key[0] >= 'A' && key[0] <= 'Z'))
		return false;
	return strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") == n;
}

static bool
is_bound(const struct json *v)
{
	return v != NULL && (json_type(v) == JSON_NUMBER || json_type(v) == JSON_NULL);
}

static int
read_range(const struct json_doc *d, const struct json *v, const char *where, struct condition_setting *c, struct err *e)
{
	const struct json *low = json_first(v), *high = json_next(low);

	if (json_type(low) == JSON_STRING)
		return settings_refuse(e, d, v, "%s is a list of texts: write one pattern with alternatives, (this|that)", where);
	if (json_size(v) != 2 || !is_bound(low) || !is_bound(high))
		return settings_refuse(e, d, v, "%s must be [min, max], each a number or null", where);
	c->min = json_number(low, -INFINITY);
	c->max = json_number(high, INFINITY);
	return c->min <= c->max ? 0 : settings_refuse(e, d, v, "%s: min %g is larger than max %g", where, c->min, c->max);
}

static int
read_test(const struct reader *r, const struct json *v, const char *place, struct condition_setting *c, struct err *e)
{
	char where[SETTINGS_NAME + 200];
	struct err why = { 0 };

	snprintf(where, sizeof where, "%.150s.%.64s", place, json_key(v));
	if (!is_attribute(json_key(v)))
		return settings_refuse(e, r->doc, v, "%s: '%.64s' is not a DICOM keyword, GGGG,EEEE or NumberOfSlices, and not all, any or not", place, json_key(v));
	snprintf(c->attribute, sizeof c->attribute, "%s", json_key(v));
	c->kind = CONDITION_RANGE;
	switch (json_type(v)) {
	case JSON_STRING:
		c->kind = CONDITION_TEXT;
		c->written = strdup(json_text(v));
		if (c->written == NULL)
			return err_set(e, ERR_LIMIT, "no memory for the settings");
		return settings_compile_pattern(r->settings, c, &why) == 0 ? 0 : settings_refuse(e, r->doc, v, "%s %s", where, why.text);
	case JSON_NUMBER:
		c->min = c->max = json_number(v, 0);
		return 0;
	case JSON_ARRAY:
		return read_range(r->doc, v, where, c, e);
	default:
		return settings_refuse(e, r->doc, v, "%s must be a pattern, a number or [min, max]", where);
	}
}

static int read_group(struct reader *r, const struct json *v, enum condition_kind kind, const char *place, int depth, struct condition_setting *c, struct err *e);

/* A member of a group that is an object. */
static int
read_member(struct reader *r, const struct json *v, const char *place, int depth, struct condition_setting *c, struct err *e)
{
	static const struct { const char *word; enum condition_kind kind; } groups[] = { { "all", CONDITION_ALL }, { "any", CONDITION_ANY }, { "not", CONDITION_NONE } };
	char where[SETTINGS_NAME + 200];

	c->line = json_line(r->doc, v);
	if (++r->n_conditions > CONDITIONS_MAX)
		return settings_refuse(e, r->doc, v, "%s: a rule has at most %d conditions", place, CONDITIONS_MAX);
	for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
		if (strcmp(json_key(v), groups[i].word) == 0) {
			snprintf(where, sizeof where, "%.150s.%s", place, groups[i].word);
			return read_group(r, v, groups[i].kind, where, depth + 1, c, e);
		}
	return read_test(r, v, place, c, e);
}

/* An object: its members are the items. A list (not of the outermost group): each item is an object of which all members must hold. What has been read
 * stays in the rule even on failure: settings_free_rules has it. */
static int
read_group(struct reader *r, const struct json *v, enum condition_kind kind, const char *place, int depth, struct condition_setting *c, struct err *e)
{
	bool is_list = json_type(v) == JSON_ARRAY && depth > 0;

	c->kind = kind;
	c->line = json_line(r->doc, v);
	if (json_type(v) != JSON_OBJECT && !is_list)
		return settings_refuse(e, r->doc, v, "%s must be an object {ATTRIBUTE: pattern or [min, max]}%s", place, depth > 0 ? " or a list of such" : "");
	if (depth > NESTING_MAX)
		return settings_refuse(e, r->doc, v, "%s is nested deeper than %d", place, NESTING_MAX);
	if (json_size(v) == 0 && depth > 0)
		return settings_refuse(e, r->doc, v, "%s is empty", place);
	if (json_size(v) > CONDITIONS_MAX)
		return settings_refuse(e, r->doc, v, "%s: a rule has at most %d conditions", place, CONDITIONS_MAX);
	c->items = calloc(json_size(v) + 1, sizeof *c->items);
	if (c->items == NULL)
		return err_set(e, ERR_LIMIT, "no memory for the settings");
	for (const struct json *m = json_first(v); m != NULL; m = json_next(m)) {
		struct condition_setting *item = &c->items[c->n_items++];
		if (is_list && json_type(m) != JSON_OBJECT)
			return settings_refuse(e, r->doc, m, "%s: an item of the list must be an object", place);
		if ((is_list ? read_group(r, m, CONDITION_ALL, place, depth, item, e) : read_member(r, m, place, depth, item, e)) != 0)
			return -1;
	}
	return 0;
}

static int
read_names(const struct json_doc *d, const struct json *v, const struct settings *s, const char *place, const struct rule_setting *r, struct err *e)
{
	if (settings_check_name(d, json_get(v, "name"), place, r->name, e) != 0)
		return -1;
	if (json_type(json_get(v, "channel")) != JSON_NULL && settings_check_name(d, json_get(v, "channel"), place, r->channel, e) != 0)
		return -1;
	if (r->channel[0] == 0 && r->fallback)
		return settings_refuse(e, d, v, "%s: a fallback needs a channel", place);
	for (const struct rule_setting *other = s->rules; other < r; other++)
		if (strcmp(other->name, r->name) == 0)
			return settings_refuse(e, d, json_get(v, "name"), "%s: there are two rules named '%s'", place, r->name);
	return 0;
}

static int
read_rule(const struct json_doc *d, const struct json *v, struct settings *s, struct err *e)
{
	struct rule_setting *r = &s->rules[s->n_rules++];
	const struct json *unless = json_get(v, "not");
	struct reader reader = { d, s, 0 };
	char place[120];

	snprintf(place, sizeof place, "rules[%zu]", s->n_rules - 1);
	r->line = json_line(d, v);
	r->unless.kind = CONDITION_NONE;
	if (json_read(d, v, settings_tables[TABLE_RULE].fields, settings_tables[TABLE_RULE].n, place, r, e) != 0 || read_names(d, v, s, place, r, e) != 0)
		return -1;
	snprintf(place, sizeof place, "rule '%s' where", r->name);
	if (read_group(&reader, json_get(v, "where"), CONDITION_ALL, place, 0, &r->where, e) != 0)
		return -1;
	if (r->where.n_items == 0)
		return settings_refuse(e, d, json_get(v, "where"), "%s is empty: it would take every series", place);
	snprintf(place, sizeof place, "rule '%s' not", r->name);
	return unless == NULL ? 0 : read_group(&reader, unless, CONDITION_NONE, place, 0, &r->unless, e);
}

int
settings_read_rules(const struct json_doc *d, const struct json *v, struct settings *s, struct err *e)
{
	if (json_type(v) != JSON_ARRAY)
		return settings_refuse(e, d, v, "rules must be an array [...]");
	if (json_size(v) > RULES_MAX)
		return settings_refuse(e, d, v, "rules: %d are the most", RULES_MAX);
	settings_free_rules(s);
	s->rules = calloc(json_size(v) + 1, sizeof *s->rules);
	if (s->rules == NULL)
		return err_set(e, ERR_LIMIT, "no memory for the settings");
	for (const struct json *item = json_first(v); item != NULL; item = json_next(item))
		if (read_rule(d, item, s, e) != 0)
			return -1;
	return 0;
}
