/* Rules are data: conditions on attributes, tried in the order of the settings, the first that fits wins. What is said about a decision quotes what was
 * received (cut, no control characters, never a patient's), so it goes to the database and to whoever asks, not to the log.
 * Not here: which of several series wins a channel (cases.c). */
#include "service/flow/match.h"

#include "dicom/attributes.h"

#include <math.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUOTE_MAX = 96 };

static const char slices_word[] = "NumberOfSlices";

struct rules {
	const struct settings *settings;
	size_t *first;         /* (n_rules) index of a rule's first pattern; its "where" come first, then its "not" */
	regex_t *patterns;     /* (all conditions) compiled where the condition has a pattern */
	bool *is_compiled;
	size_t n;
};

/* ---- compiling ---- */

static int
compile(const struct settings *s, const struct rule_setting *rule, const struct condition_setting *c, regex_t *pattern, bool *is_compiled, struct err *e)
{
	const char *file = s->file[0] != 0 ? s->file : "settings";
	char why[128];
	int code;

	if (strcmp(c->attribute, slices_word) != 0 && !dicom_keyword_is_known(c->attribute))
		return err_set(e, ERR_INPUT, "%s line %u: rule \"%s\": \"%s\" is no DICOM attribute (a keyword as SeriesDescription, \"GGGG,EEEE\", or %s)", file,
		    c->line, rule->name, c->attribute, slices_word);
	if (c->pattern == NULL)
		return 0;
	code = regcomp(pattern, c->pattern, REG_EXTENDED | REG_ICASE | REG_NOSUB);
	if (code != 0) {
		regerror(code, pattern, why, sizeof why);
		return err_set(e, ERR_INPUT, "%s line %u: rule \"%s\": %s: \"%s\" is no POSIX extended regular expression: %s", file, c->line, rule->name,
		    c->attribute, c->pattern, why);
	}
	*is_compiled = true;
	return 0;
}

static const struct condition_setting *
condition_at(const struct rule_setting *rule, size_t i)
{
	return i < rule->n_where ? &rule->where[i] : &rule->unless[i - rule->n_where];
}

struct rules *
rules_compile(const struct settings *s, struct err *e)
{
	struct rules *r = calloc(1, sizeof *r);
	size_t total = 0;

	for (size_t i = 0; i < s->n_rules; i++)
		total += s->rules[i].n_where + s->rules[i].n_unless;
	if (r == NULL || (r->first = calloc(s->n_rules + 1, sizeof *r->first)) == NULL || (r->patterns = calloc(total + 1, sizeof *r->patterns)) == NULL ||
	    (r->is_compiled = calloc(total + 1, sizeof *r->is_compiled)) == NULL) {
		err_set(e, ERR_LIMIT, "no memory for %zu rules", s->n_rules);
		rules_free(r);
		return NULL;
	}
	r->settings = s;
	for (size_t i = 0; i < s->n_rules; i++) {
		const struct rule_setting *rule = &s->rules[i];
		r->first[i] = r->n;
		for (size_t k = 0; k < rule->n_where + rule->n_unless; k++, r->n++)
			if (compile(s, rule, condition_at(rule, k), &r->patterns[r->n], &r->is_compiled[r->n], e) != 0) {
				rules_free(r);
				return NULL;
			}
	}
	return r;
}

void
rules_free(struct rules *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->n; i++)
		if (r->is_compiled[i])
			regfree(&r->patterns[i]);
	free(r->first);
	free(r->patterns);
	free(r->is_compiled);
	free(r);
}

int
rules_decide_all(const struct rules *r, const char *path, size_t n_slices, struct decision *out, struct err *e)
{
	struct decision fallback;

	if (rules_decide(r, path, n_slices, false, out, e) != 0)
		return -1;
	if (out->channel[0] != 0)
		return 0;
	if (rules_decide(r, path, n_slices, true, &fallback, e) != 0)
		return -1;
	if (fallback.channel[0] != 0)
		*out = fallback;
	return 0;
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
		"CountryOfResidence", "ResponsiblePerson", "Mother", "MedicalRecordLocator", "0010,", "0008,0050", "0008,0090", "0008,1048", "0008,1050", "0008,1060",
		"0008,1070", "0032,1032" };

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
say_condition(struct decision *d, const struct condition_setting *c, const char *text, bool holds)
{
	char value[QUOTE_MAX + 4], pattern[QUOTE_MAX + 4];

	if (text == NULL) {
		say(d, "%s is absent", c->attribute);
		return;
	}
	quote(text, value);
	say(d, is_identity(c->attribute) ? "%s (not shown)" : "%s \"%s\"", c->attribute, value);
	if (c->pattern == NULL) {
		say(d, " is %swithin [%g, %g]", holds ? "" : "not ", c->min, c->max);
		return;
	}
	quote(c->pattern, pattern);
	say(d, " %s \"%s\"", holds ? "matches" : "does not match", pattern);
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

/* The condition's text in buffer (borrowed, cut to MATCH_TEXT) or NULL when the attribute is absent. */
static const char *
value_of(const struct condition_setting *c, struct attributes *a, size_t n_slices, char buffer[MATCH_TEXT])
{
	const char *text;

	if (strcmp(c->attribute, slices_word) == 0) {
		snprintf(buffer, MATCH_TEXT, "%zu", n_slices);
		return buffer;
	}
	text = attributes_text(a, c->attribute);
	if (text == NULL)
		return NULL;
	snprintf(buffer, MATCH_TEXT, "%s", text);
	return buffer;
}

static bool
condition_holds(const struct rules *r, size_t pattern, const struct condition_setting *c, const char *text)
{
	if (text == NULL)
		return false;
	if (c->pattern == NULL)
		return any_in_range(text, c->min, c->max);
	return regexec(&r->patterns[pattern], text, 0, NULL, 0) == 0;
}

/* Says in d->reason what decided: every condition of a rule that fits, the first that fails of one that does not. */
static bool
rule_fits(const struct rules *r, size_t place, struct attributes *a, size_t n_slices, struct decision *d)
{
	const struct rule_setting *rule = &r->settings->rules[place];
	char buffer[MATCH_TEXT];

	memset(d, 0, sizeof *d);
	say(d, "rule %s: ", rule->name);
	for (size_t i = 0; i < rule->n_where + rule->n_unless; i++) {
		const struct condition_setting *c = condition_at(rule, i);
		const char *text = value_of(c, a, n_slices, buffer);
		bool holds = condition_holds(r, r->first[place] + i, c, text), is_unless = i >= rule->n_where;
		if (holds == is_unless) {
			memset(d, 0, sizeof *d);
			say(d, "rule %s: ", rule->name);
			say_condition(d, c, text, holds);
			say(d, "%s", is_unless ? ", which the rule excludes" : "");
			return false;
		}
		if (is_unless)
			continue;
		say(d, "%s", i > 0 ? ", " : "");
		say_condition(d, c, text, holds);
	}
	say(d, "%s", rule->n_where == 0 ? "nothing that it excludes" : "");
	snprintf(d->channel, sizeof d->channel, "%s", rule->channel);
	snprintf(d->rule, sizeof d->rule, "%s", rule->name);
	return true;
}

static void
decide(const struct rules *r, struct attributes *a, size_t n_slices, bool fallback, struct decision *d)
{
	struct decision one;

	for (size_t i = 0; i < r->settings->n_rules; i++) {
		if (r->settings->rules[i].fallback != fallback)
			continue;
		if (rule_fits(r, i, a, n_slices, &one)) {
			*d = one;
			return;
		}
		say(d, "%s%s", d->reason[0] != 0 ? "; " : "", one.reason);
	}
	if (d->reason[0] == 0)
		say(d, "there is no %srule", fallback ? "fallback " : "");
}

static bool
has_rule(const struct rules *r, bool fallback)
{
	for (size_t i = 0; i < r->settings->n_rules; i++)
		if (r->settings->rules[i].fallback == fallback)
			return true;
	return false;
}

int
rules_decide(const struct rules *r, const char *path, size_t n_slices, bool fallback, struct decision *out, struct err *e)
{
	struct attributes *a = NULL;

	memset(out, 0, sizeof *out);
	if (has_rule(r, fallback) && (a = attributes_load(path, e)) == NULL)
		return -1;
	decide(r, a, n_slices, fallback, out);
	if (a != NULL)
		attributes_free(a);
	return 0;
}
