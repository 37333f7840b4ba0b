/* Rules are data: conditions on attributes, tried in the order of the settings, the first that fits wins. What is said about a decision quotes what was
 * received (cut, no control characters, never a patient's), so it goes to the database and to whoever asks, not to the log.
 * Not here: the values (match_values.c), several files of a series (match_files.c), which of several series wins a channel (precedence.c). */
#include "service/flow/match_parts.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUOTE_MAX = 96 };

/* ---- the rules as a whole ---- */

static int
check(const struct settings *s, const struct rule_setting *rule, const struct condition_setting *c, struct err *e)
{
	bool is_test = c->kind == CONDITION_TEXT || c->kind == CONDITION_RANGE;

	if (is_test && !match_attribute_is_known(c->attribute))
		return err_set(e, ERR_INPUT, "%s line %u: rule \"%s\": \"%s\" is no DICOM attribute (a keyword as SeriesDescription, \"GGGG,EEEE\", or one of %s)",
		    s->file[0] != 0 ? s->file : "settings", c->line, rule->name, c->attribute, match_computed_names);
	for (size_t i = 0; i < c->n_items; i++)
		if (check(s, rule, &c->items[i], e) != 0)
			return -1;
	return 0;
}

struct rules *
rules_compile(const struct settings *s, struct err *e)
{
	struct rules *r;

	for (size_t i = 0; i < s->n_rules; i++)
		if (check(s, &s->rules[i], &s->rules[i].where, e) != 0 || check(s, &s->rules[i], &s->rules[i].unless, e) != 0)
			return NULL;
	r = malloc(sizeof *r);
	if (r == NULL)
		err_set(e, ERR_LIMIT, "no memory for the rules");
	else
		r->settings = s;
	return r;
}

void
rules_free(struct rules *r)
{
	free(r);
}

int
rules_place(const struct rules *r, const char *name, const struct rule_setting **rule)
{
	for (size_t i = 0; i < r->settings->n_rules; i++)
		if (strcmp(r->settings->rules[i].name, name) == 0) {
			*rule = &r->settings->rules[i];
			return (int)i;
		}
	return -1;
}

bool
rules_registered(const struct rules *r, const char *name)
{
	const struct rule_setting *rule;

	return rules_place(r, name, &rule) >= 0 && rule->registered;
}

/* ---- deciding ---- */

static bool
any_in_range(const char *text, double min, double max)
{
	for (const char *at = text;;) {
		char *end;
		double value = strtod(at, &end);
		if (end != at && (*end == 0 || *end == '\\' || *end == ' ') && isfinite(value) && value >= min && value <= max)
			return true;
		at = strchr(at, '\\');
		if (at == NULL)
			return false;
		at++;
	}
}

static bool
holds(struct match_values *v, const struct condition_setting *c)
{
	const char *text;
	size_t n = 0;

	switch (c->kind) {
	case CONDITION_TEXT:
		text = match_value(v, c->attribute);
		return text != NULL && regexec(c->pattern, text, 0, NULL, 0) == 0;
	case CONDITION_RANGE:
		text = match_value(v, c->attribute);
		return text != NULL && any_in_range(text, c->min, c->max);
	case CONDITION_ALL:
		while (n < c->n_items && holds(v, &c->items[n]))
			n++;
		return n == c->n_items;
	case CONDITION_ANY:
	case CONDITION_NONE:
		while (n < c->n_items && !holds(v, &c->items[n]))
			n++;
		return (n == c->n_items) == (c->kind == CONDITION_NONE);
	}
	return false;
}

/* ---- frames ---- */

/* Whether a value that is asked for is not the same in all frames. */
static bool
varies(struct match_values *v, const struct condition_setting *c)
{
	char of_all[MATCH_TEXT];
	const char *text;

	for (size_t i = 0; i < c->n_items; i++)
		if (varies(v, &c->items[i]))
			return true;
	if (c->kind != CONDITION_TEXT && c->kind != CONDITION_RANGE)
		return false;
	if ((text = match_value(v, c->attribute)) == NULL)
		return false;
	snprintf(of_all, sizeof of_all, "%s", text);
	match_values_ask(v, 1);
	text = match_value(v, c->attribute);
	match_values_ask(v, 0);
	return text == NULL || strcmp(text, of_all) != 0;
}

bool
match_rule_holds(const struct rule_setting *rule, struct match_values *v)
{
	return holds(v, &rule->where) && holds(v, &rule->unless);
}

bool
match_rule_varies(const struct rule_setting *rule, struct match_values *v)
{
	return varies(v, &rule->where) || varies(v, &rule->unless);
}

/* A rule with a channel fits a multi-frame file of which it fits one frame by itself; that one is then asked about. */
static bool
fits_a_frame(const struct rule_setting *rule, struct match_values *v)
{
	size_t n = rule->channel[0] != 0 ? match_values_frames(v) : 0;

	if (n == 0 || !match_rule_varies(rule, v))
		return false;
	for (size_t i = 1; i <= n; i++) {
		match_values_ask(v, i);
		if (match_rule_holds(rule, v))
			return true;
	}
	match_values_ask(v, 0);
	return false;
}

/* ---- saying why ---- */

static void
say(struct decision *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
say(struct decision *d, const char *fmt, ...)
{
	size_t n = strlen(d->reason);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->reason + n, sizeof d->reason - n, fmt, ap);
	va_end(ap);
}

/* Attributes whose value identifies a person: what decided is said, the value is not. */
static bool
is_identity(const char *attribute)
{
	static const char *const heads[] = { "Patient", "OtherPatient", "IssuerOfPatient", "AccessionNumber", "IssuerOfAccession", "ReferringPhysician",
		"PerformingPhysician", "RequestingPhysician", "NameOfPhysician", "OperatorsName", "EthnicGroup", "Occupation", "MilitaryRank", "RegionOfResidence",
		"CountryOfResidence", "ResponsiblePerson", "Mother", "MedicalRecordLocator", "Physician", "BranchOfService", "AdditionalPatient", "CurrentPatient",
		"LastMenstrual", "Pregnancy", "StudyID", "AdmissionID", "IssuerOfAdmission", "ServiceEpisode", "RequestedProcedureID", "ScheduledProcedureStepID", "PlacerOrder",
		"FillerOrder", "0010,", "0008,0050", "0008,0090", "0008,1048", "0008,1050", "0008,1060", "0008,1070", "0020,0010", "0032,1032", "0038,", "0040,0009", "0040,1001",
		"0040,2016", "0040,2017" };

	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
		if (strncmp(attribute, heads[i], strlen(heads[i])) == 0)
			return true;
	return false;
}

/* text as it may be shown: at most QUOTE_MAX bytes, whole UTF-8 characters, no control characters and no quote. */
static void
quote(const char *text, char out[QUOTE_MAX + 4])
{
	size_t n = strlen(text), k;
	bool is_cut = n > QUOTE_MAX;

	if (is_cut)
		for (n = QUOTE_MAX; n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80; n--)
			;
	for (k = 0; k < n; k++)
		out[k] = (unsigned char)text[k] < 0x20 || text[k] == 0x7f || text[k] == '"' ? '?' : text[k];
	snprintf(out + k, QUOTE_MAX + 4 - k, "%s", is_cut ? "..." : "");
}

static void
say_test(struct decision *d, struct match_values *v, const struct condition_setting *c, bool is_held)
{
	char value[QUOTE_MAX + 4], pattern[QUOTE_MAX + 4];
	const char *text = match_value(v, c->attribute);

	if (text == NULL) {
		say(d, "%s is absent", c->attribute);
		return;
	}
	quote(text, value);
	say(d, is_identity(c->attribute) ? "%s (not shown)" : "%s \"%s\"", c->attribute, value);
	if (c->kind == CONDITION_RANGE) {
		say(d, " is %swithin [%g, %g]", is_held ? "" : "not ", c->min, c->max);
		return;
	}
	quote(c->written, pattern);
	say(d, " %s \"%s\"", is_held ? "matches" : "does not match", pattern);
}

/* The tests that decided: all that made a group what it is, or the first that was enough. */
static void
explain(struct decision *d, struct match_values *v, const struct condition_setting *c)
{
	bool is_held = holds(v, c), items_hold = c->kind == CONDITION_NONE ? !is_held : is_held; /* those that are worth a word */
	bool says_all = c->kind == CONDITION_ANY ? !is_held : is_held;
	const char *before = "";

	if (c->kind == CONDITION_TEXT || c->kind == CONDITION_RANGE) {
		say_test(d, v, c, is_held);
		return;
	}
	for (size_t i = 0; i < c->n_items; i++) {
		if (holds(v, &c->items[i]) != items_hold)
			continue;
		say(d, "%s", before);
		explain(d, v, &c->items[i]);
		before = is_held ? ", " : " and ";
		if (!says_all)
			break;
	}
	if (c->kind == CONDITION_NONE && !is_held)
		say(d, ", which the rule excludes");
}

/* Says in d->reason what decided: every condition of a rule that fits, the first that fails of one that does not. */
static bool
rule_fits(const struct rule_setting *rule, struct match_values *v, struct decision *d)
{
	bool by_frame = !match_rule_holds(rule, v) && fits_a_frame(rule, v), fits = holds(v, &rule->where);

	memset(d, 0, sizeof *d);
	if (fits && !holds(v, &rule->unless)) {
		say(d, "rule %s: ", rule->name);
		explain(d, v, &rule->unless);
		return false;
	}
	say(d, "%srule %s: ", fits && rule->channel[0] == 0 ? "ignored by " : "", rule->name);
	explain(d, v, &rule->where);
	if (by_frame)
		match_values_ask(v, 0);
	if (!fits)
		return false;
	snprintf(d->channel, sizeof d->channel, "%s", rule->channel);
	snprintf(d->rule, sizeof d->rule, "%s", rule->name);
	return true;
}

/* Of rules that would only have ignored the series nothing is said. */
static void
decide(const struct rules *r, struct match_values *v, bool fallback, struct decision *d)
{
	struct decision one;

	memset(d, 0, sizeof *d);
	for (size_t i = 0; i < r->settings->n_rules; i++) {
		const struct rule_setting *rule = &r->settings->rules[i];
		if (rule->fallback != fallback)
			continue;
		if (rule_fits(rule, v, &one)) {
			*d = one;
			return;
		}
		if (rule->channel[0] != 0)
			say(d, "%s%s", d->reason[0] != 0 ? "; " : "", one.reason);
	}
	if (d->reason[0] == 0)
		say(d, "there is no %srule", fallback ? "fallback " : "");
}

void
match_decide_all(const struct rules *r, struct match_values *v, struct decision *d)
{
	struct decision fallback;

	decide(r, v, false, d);
	if (d->rule[0] != 0)
		return;
	decide(r, v, true, &fallback);
	if (fallback.rule[0] != 0)
		*d = fallback;
}

int
rules_decide(const struct rules *r, const char *path, size_t n_instances, bool fallback, struct decision *out, struct err *e)
{
	struct match_values *v = match_values_load(path, n_instances, e);

	if (v == NULL)
		return -1;
	decide(r, v, fallback, out);
	match_values_free(v);
	return 0;
}

int
rules_decide_all(const struct rules *r, const char *path, size_t n_instances, struct decision *out, struct err *e)
{
	struct match_values *v = match_values_load(path, n_instances, e);

	if (v == NULL)
		return -1;
	match_decide_all(r, v, out);
	match_values_free(v);
	return 0;
}

int
rules_explain(const struct rules *r, const char *path, size_t n_instances, rules_each each, void *arg, struct err *e)
{
	struct match_values *v = match_values_load(path, n_instances, e);
	struct decision d;

	if (v == NULL)
		return -1;
	for (size_t i = 0; i < r->settings->n_rules; i++) {
		bool fits = rule_fits(&r->settings->rules[i], v, &d);
		each(arg, &r->settings->rules[i], fits, d.reason);
	}
	match_values_free(v);
	return 0;
}
