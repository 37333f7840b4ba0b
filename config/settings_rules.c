/* Rules: which series is which channel. Patterns are compiled here only to refuse a bad one with its line; service/flow/match.c uses them. */
#include "config/settings_parts.h"

#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERN_MAX = 4096 };

void
settings_free_rules(struct settings *s)
{
	for (size_t i = 0; i < s->n_rules; i++) {
		struct rule_setting *r = &s->rules[i];
		for (size_t k = 0; k < r->n_where; k++)
			free(r->where[k].pattern);
		for (size_t k = 0; k < r->n_unless; k++)
			free(r->unless[k].pattern);
		free(r->where);
		free(r->unless);
	}
	free(s->rules);
	s->rules = NULL;
	s->n_rules = 0;
}

/* A DICOM keyword ("SeriesDescription"), "GGGG,EEEE", or "NumberOfSlices". Whether the dictionary has it, the dicom room knows. */
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

static int
read_pattern(const struct json_doc *d, const struct json *v, const char *where, struct condition_setting *c, struct err *e)
{
	const char *text = json_text(v);
	char reason[128];
	regex_t compiled;
	int bad;

	if (strlen(text) > PATTERN_MAX)
		return settings_refuse(e, d, v, "%s is longer than %d bytes", where, PATTERN_MAX);
	bad = regcomp(&compiled, text, REG_EXTENDED | REG_ICASE | REG_NOSUB);
	if (bad != 0) {
		regerror(bad, &compiled, reason, sizeof reason);
		return settings_refuse(e, d, v, "%s is not a POSIX extended regular expression: %s", where, reason);
	}
	regfree(&compiled);
	c->pattern = strdup(text);
	return c->pattern != NULL ? 0 : err_set(e, ERR_LIMIT, "no memory for the settings");
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
read_condition(const struct json_doc *d, const struct json *v, const char *place, struct condition_setting *c, struct err *e)
{
	char where[200];

	snprintf(where, sizeof where, "%.110s.%.64s", place, json_key(v));
	if (!is_attribute(json_key(v)))
		return settings_refuse(e, d, v, "%s: '%.64s' is not a DICOM keyword, GGGG,EEEE or NumberOfSlices", place, json_key(v));
	snprintf(c->attribute, sizeof c->attribute, "%s", json_key(v));
	c->line = json_line(d, v);
	switch (json_type(v)) {
	case JSON_STRING:
		return read_pattern(d, v, where, c, e);
	case JSON_NUMBER:
		c->min = c->max = json_number(v, 0);
		return 0;
	case JSON_ARRAY:
		return read_range(d, v, where, c, e);
	default:
		return settings_refuse(e, d, v, "%s must be a pattern, a number or [min, max]", where);
	}
}

/* What has been read stays in the rule even on failure: settings_free_rules has it. */
static int
read_conditions(const struct json_doc *d, const struct json *v, const char *place, struct condition_setting **list, size_t *n, struct err *e)
{
	if (json_type(v) != JSON_OBJECT)
		return settings_refuse(e, d, v, "%s must be an object {ATTRIBUTE: pattern or [min, max]}", place);
	*list = calloc(json_size(v) + 1, sizeof **list);
	if (*list == NULL)
		return err_set(e, ERR_LIMIT, "no memory for the settings");
	for (const struct json *m = json_first(v); m != NULL; m = json_next(m))
		if (read_condition(d, m, place, &(*list)[(*n)++], e) != 0)
			return -1;
	return 0;
}

static int
read_rule(const struct json_doc *d, const struct json *v, struct settings *s, struct err *e)
{
	struct rule_setting *r = &s->rules[s->n_rules++];
	const struct json *unless = json_get(v, "not");
	char place[120];

	snprintf(place, sizeof place, "rules[%zu]", s->n_rules - 1);
	r->line = json_line(d, v);
	if (json_read(d, v, settings_tables[TABLE_RULE].fields, settings_tables[TABLE_RULE].n, place, r, e) != 0)
		return -1;
	if (settings_check_name(d, json_get(v, "name"), place, r->name, e) != 0 || settings_check_name(d, json_get(v, "channel"), place, r->channel, e) != 0)
		return -1;
	for (size_t i = 0; i + 1 < s->n_rules; i++)
		if (strcmp(s->rules[i].name, r->name) == 0)
			return settings_refuse(e, d, json_get(v, "name"), "%s: there are two rules named '%s'", place, r->name);
	snprintf(place, sizeof place, "rule '%s' where", r->name);
	if (read_conditions(d, json_get(v, "where"), place, &r->where, &r->n_where, e) != 0)
		return -1;
	if (r->n_where == 0)
		return settings_refuse(e, d, json_get(v, "where"), "%s is empty: it would take every series", place);
	snprintf(place, sizeof place, "rule '%s' not", r->name);
	return unless == NULL ? 0 : read_conditions(d, unless, place, &r->unless, &r->n_unless, e);
}

int
settings_read_rules(const struct json_doc *d, const struct json *v, struct settings *s, struct err *e)
{
	if (json_type(v) != JSON_ARRAY)
		return settings_refuse(e, d, v, "rules must be an array [...]");
	settings_free_rules(s);
	s->rules = calloc(json_size(v) + 1, sizeof *s->rules);
	if (s->rules == NULL)
		return err_set(e, ERR_LIMIT, "no memory for the settings");
	for (const struct json *item = json_first(v); item != NULL; item = json_next(item))
		if (read_rule(d, item, s, e) != 0)
			return -1;
	return 0;
}
