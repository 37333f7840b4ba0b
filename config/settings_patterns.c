/* Named pieces of patterns, so that rules need not repeat them: ${NAME} in a rule's pattern or in another piece stands for (its text). A file's pieces are laid
 * over those that ship, by name: a hospital that has another word for contrast changes one piece, not every rule. */
#include "config/settings_parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERNS_MAX = 256, NESTING_MAX = 8, TEXT_MAX = 4096, WHOLE_MAX = 65536 /* bytes: one piece or pattern as written, and with all put in */ };

struct whole {                   /* a pattern that grows as pieces are put in */
	const struct settings *settings;
	char text[WHOLE_MAX];
	size_t n;
};

void
settings_free_patterns(struct settings *s)
{
	for (size_t i = 0; i < s->n_patterns; i++)
		free(s->patterns[i].text);
	free(s->patterns);
	s->patterns = NULL;
	s->n_patterns = 0;
}

static struct pattern_setting *
find(const struct settings *s, const char *name, size_t n)
{
	for (size_t i = 0; i < s->n_patterns; i++)
		if (strlen(s->patterns[i].name) == n && memcmp(s->patterns[i].name, name, n) == 0)
			return &s->patterns[i];
	return NULL;
}

/* ---- putting in ---- */

static int
append(struct whole *w, const char *text, size_t n, struct err *e)
{
	if (n >= sizeof w->text - w->n)
		return err_set(e, ERR_INPUT, "is longer than %d bytes with its ${NAME}s put in", WHOLE_MAX - 1);
	memcpy(w->text + w->n, text, n);
	w->n += n;
	w->text[w->n] = 0;
	return 0;
}

static int
put_in(struct whole *w, const char *text, int depth, struct err *e)
{
	const char *at, *end;

	if (depth > NESTING_MAX)
		return err_set(e, ERR_INPUT, "has ${NAME}s that are nested deeper than %d, or in a circle", NESTING_MAX);
	for (; (at = strstr(text, "${")) != NULL; text = end + 1) {
		const struct pattern_setting *piece;
		end = strchr(at, '}');
		if (end == NULL)
			return err_set(e, ERR_INPUT, "has a \"${\" without its \"}\"");
		piece = find(w->settings, at + 2, (size_t)(end - at - 2));
		if (piece == NULL)
			return err_set(e, ERR_INPUT, "names ${%.*s}, which \"patterns\" does not have", end - at < 80 ? (int)(end - at - 2) : 78, at + 2);
		if (append(w, text, (size_t)(at - text), e) != 0 || append(w, "(", 1, e) != 0 || put_in(w, piece->text, depth + 1, e) != 0 || append(w, ")", 1, e) != 0)
			return -1;
	}
	return append(w, text, strlen(text), e);
}

static int
compile(const struct whole *w, regex_t *compiled, struct err *e)
{
	char reason[128];
	int bad = regcomp(compiled, w->text, REG_EXTENDED | REG_ICASE | REG_NOSUB);

	if (bad == 0)
		return 0;
	regerror(bad, compiled, reason, sizeof reason);
	return err_set(e, ERR_INPUT, "is not a POSIX extended regular expression: %s", reason);
}

/* caller: regfree, when 0. */
static int
compile_text(const struct settings *s, const char *text, regex_t *compiled, struct err *e)
{
	struct whole *w;
	int result = -1;

	if (strlen(text) > TEXT_MAX)
		return err_set(e, ERR_INPUT, "is longer than %d bytes", TEXT_MAX);
	w = malloc(sizeof *w);
	if (w == NULL)
		return err_set(e, ERR_LIMIT, "no memory for the settings");
	w->settings = s;
	w->n = 0;
	w->text[0] = 0;
	if (put_in(w, text, 0, e) == 0)
		result = compile(w, compiled, e);
	free(w);
	return result;
}

int
settings_compile_pattern(const struct settings *s, struct condition_setting *c, struct err *e)
{
	regex_t compiled;

	assert(c->kind == CONDITION_TEXT && c->written != NULL);
	if (compile_text(s, c->written, &compiled, e) != 0)
		return -1;
	if (c->pattern != NULL) {
		regfree(c->pattern);
	} else if ((c->pattern = malloc(sizeof *c->pattern)) == NULL) {
		regfree(&compiled);
		return err_set(e, ERR_LIMIT, "no memory for the settings");
	}
	*c->pattern = compiled;
	return 0;
}

/* ---- reading ---- */

static int
add(const struct json_doc *d, const struct json *v, struct settings *s, struct err *e)
{
	const char *name = json_key(v), *text = json_text(v);
	struct pattern_setting *piece = find(s, name, strlen(name));
	char *copy;

	if (settings_check_name(d, v, "patterns", name, e) != 0)
		return -1;
	if (text == NULL)
		return settings_refuse(e, d, v, "patterns.%s must be a text", name);
	copy = strdup(text);
	if (copy == NULL)
		return err_set(e, ERR_LIMIT, "no memory for the settings");
	if (piece == NULL) {
		piece = &s->patterns[s->n_patterns++];
		snprintf(piece->name, sizeof piece->name, "%s", name);
	}
	free(piece->text);
	piece->text = copy;
	return 0;
}

/* The rules that were read before use the pieces as they are now. */
static int
compile_again(const struct json_doc *d, const struct json *v, struct settings *s, struct condition_setting *c, const char *rule, struct err *e)
{
	struct err why = { 0 };

	if (c->kind == CONDITION_TEXT && settings_compile_pattern(s, c, &why) != 0)
		return settings_refuse(e, d, v, "patterns: with them %s of rule '%s' %s", c->attribute, rule, why.text);
	for (size_t i = 0; i < c->n_items; i++)
		if (compile_again(d, v, s, &c->items[i], rule, e) != 0)
			return -1;
	return 0;
}

int
settings_read_patterns(const struct json_doc *d, const struct json *v, struct settings *s, struct err *e)
{
	struct pattern_setting *more;
	regex_t compiled;

	if (json_type(v) != JSON_OBJECT)
		return settings_refuse(e, d, v, "patterns must be an object {NAME: pattern}");
	if (json_size(v) + s->n_patterns > PATTERNS_MAX)
		return settings_refuse(e, d, v, "patterns: %d are the most, with those that ship", PATTERNS_MAX);
	more = realloc(s->patterns, (s->n_patterns + json_size(v) + 1) * sizeof *more);
	if (more == NULL)
		return err_set(e, ERR_LIMIT, "no memory for the settings");
	memset(more + s->n_patterns, 0, (json_size(v) + 1) * sizeof *more);
	s->patterns = more;
	for (const struct json *m = json_first(v); m != NULL; m = json_next(m))
		if (add(d, m, s, e) != 0)
			return -1;
	for (const struct json *m = json_first(v); m != NULL; m = json_next(m)) {
		struct err why = { 0 };
		if (compile_text(s, json_text(m), &compiled, &why) != 0)
			return settings_refuse(e, d, m, "patterns.%s %s", json_key(m), why.text);
		regfree(&compiled);
	}
	for (size_t i = 0; i < s->n_rules; i++)
		if (compile_again(d, v, s, &s->rules[i].where, s->rules[i].name, e) != 0 || compile_again(d, v, s, &s->rules[i].unless, s->rules[i].name, e) != 0)
			return -1;
	return 0;
}
