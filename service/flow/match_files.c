/* Rules on a series of several files. One file speaks for all, unless they are multi-frame or share places (echoes, b-values, times, repeats of one slice):
 * then each is asked by itself, the rule that comes first wins the series, and what it does not fit is left out. Where no place is shared nothing is left out:
 * half a head that a rule happened to fit would look whole. */
#include "service/flow/match_parts.h"

#include "dicom/frames.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- places ---- */

static const double SAME_MM = 0.01, SAME_DIRECTION = 1e-3;

struct file {
	double place[9];           /* position, mm; directions of row and column */
	size_t n_frames;           /* 0: single-frame */
	bool fits;                 /* single-frame: the rule means it */
	char *frames;              /* the list for struct series_input */
};

static bool
share_a_place(const struct file *a, const struct file *b)
{
	for (size_t i = 0; i < 9; i++)
		if (!(fabs(a->place[i] - b->place[i]) <= (i < 3 ? SAME_MM : SAME_DIRECTION))) /* not a number: none */
			return false;
	return true;
}

static bool
any_share_a_place(const struct file *files, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = i + 1; k < n; k++)
			if (share_a_place(&files[i], &files[k]))
				return true;
	return false;
}

/* Of single-frame files: one that is meant lies where one does that is not. */
static bool
is_split(const struct file *files, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; files[i].fits && k < n; k++)
			if (!files[k].fits && share_a_place(&files[i], &files[k]))
				return true;
	return false;
}

/* ---- every file ---- */

struct visit {
	const struct rules *rules;
	const struct rule_setting *rule;   /* whose frames are wanted */
	struct decision best;              /* channel "": none yet */
	int place;                         /* of best: fallback rules behind the others */
	size_t n_best;                     /* files that it took */
	bool skips_unreadable;             /* such a file is not asked: whoever loads the series says what is wrong with it */
};

typedef int (*visit_fn)(struct visit *w, struct file *f, struct match_values *v, struct err *e);

static int
visit_all(const char *const *paths, size_t n, struct visit *w, visit_fn fn, struct file *files, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		struct match_values *v = match_values_load(paths[i], n, e);
		files[i].place[0] = NAN;
		rc = v != NULL ? fn(w, &files[i], v, e) : w->skips_unreadable && e->code != ERR_LIMIT ? 0 : -1;
		match_values_free(v);
	}
	return rc;
}

static int
read_place(struct visit *w, struct file *f, struct match_values *v, struct err *e)
{
	(void)w;
	(void)e;
	f->n_frames = match_values_frames(v);
	match_place(v, f->place);
	return 0;
}

static int
place_of(const struct rules *r, const struct decision *d)
{
	const struct rule_setting *rule = NULL;
	int place = rules_place(r, d->rule, &rule);

	return rule != NULL && rule->fallback ? place + (int)r->settings->n_rules : place;
}

static int
decide_file(struct visit *w, struct file *f, struct match_values *v, struct err *e)
{
	struct decision d;
	int place;

	(void)f;
	(void)e;
	match_decide_all(w->rules, v, &d);
	place = place_of(w->rules, &d);
	if (d.channel[0] == 0 || (w->best.channel[0] != 0 && place > w->place))
		return 0;
	if (w->best.channel[0] != 0 && place == w->place) {
		w->n_best++;
		return 0;
	}
	w->best = d;
	w->place = place;
	w->n_best = 1;
	return 0;
}

/* ---- deciding ---- */

static struct file *
new_files(size_t n, struct err *e)
{
	struct file *files = calloc(n + 1, sizeof *files);

	if (files == NULL)
		err_set(e, ERR_LIMIT, "no memory for %zu files", n);
	return files;
}

static void
take_best(const struct visit *w, size_t n, struct decision *out)
{
	size_t used = strlen(w->best.reason);

	*out = w->best;
	if (w->n_best < n)
		snprintf(out->reason + used, sizeof out->reason - used, "; so in %zu of %zu files", w->n_best, n);
}

int
rules_decide_series(const struct rules *r, const char *const *paths, size_t n, struct decision *out, struct err *e)
{
	struct visit w = { .rules = r, .skips_unreadable = true };
	struct file *files;
	int rc;

	if (n == 0)
		return err_set(e, ERR_NOT_FOUND, "the series has no instance");
	if ((files = new_files(n, e)) == NULL)
		return -1;
	rc = rules_decide_all(r, paths[0], n, out, e);
	if (rc == 0 && n > 1)
		rc = visit_all(paths, n, &w, read_place, files, e);
	if (rc == 0 && n > 1 && (files[0].n_frames > 0 || any_share_a_place(files, n)))
		rc = visit_all(paths, n, &w, decide_file, files, e);
	if (rc == 0 && w.best.channel[0] != 0)
		take_best(&w, n, out);
	free(files);
	return rc;
}

/* ---- which frames ---- */

/* fits: (n frames) */
static void
ask_each(const struct rule_setting *rule, struct match_values *v, size_t n, bool *fits)
{
	bool is_asked = match_rule_varies(rule, v);

	for (size_t i = 0; i < n; i++) {
		if (is_asked)
			match_values_ask(v, i + 1);
		fits[i] = !is_asked && i > 0 ? fits[0] : match_rule_holds(rule, v);
	}
	match_values_ask(v, 0);
}

/* Whether a rule without a channel that comes before takes the file, with other frames than the one that was asked about or without. */
static bool
is_ignored(const struct visit *w, struct match_values *v)
{
	for (const struct rule_setting *rule = w->rules->settings->rules; rule < w->rule; rule++)
		if (rule->channel[0] == 0 && !rule->fallback && match_rule_holds(rule, v))
			return true;
	return false;
}

static int
choose_frames(struct visit *w, struct file *f, struct match_values *v, struct err *e)
{
	size_t n = match_values_frames(v), n_asked = n > 0 ? n : 1;
	bool *fits = calloc(n_asked, sizeof *fits);

	if (fits == NULL)
		return err_set(e, ERR_LIMIT, "no memory for %zu frames", n);
	f->n_frames = n;
	match_place(v, f->place);
	if (!is_ignored(w, v))
		ask_each(w->rule, v, n_asked, fits);
	f->fits = fits[0];
	f->frames = frames_print(fits, n_asked, e);
	free(fits);
	return f->frames == NULL ? -1 : 0;
}

/* Whether some frames are meant and others are not, and those are to be left out. */
static bool
is_choice(const struct file *files, size_t n)
{
	bool has_fitting = false, has_others = false;

	for (size_t i = 0; i < n; i++) {
		has_fitting = has_fitting || strcmp(files[i].frames, "0") != 0;
		has_others = has_others || files[i].frames[0] != '\0';
	}
	return has_fitting && has_others && (files[0].n_frames > 0 || is_split(files, n));
}

static const char *const *
take_lists(struct file *files, size_t n, struct err *e)
{
	const char **lists = calloc(n, sizeof *lists);

	if (lists == NULL)
		err_set(e, ERR_LIMIT, "no memory for the frames of %zu files", n);
	for (size_t i = 0; lists != NULL && i < n; i++) {
		lists[i] = files[i].frames;
		files[i].frames = NULL;
	}
	return lists;
}

int
rules_frames(const struct rules *r, const char *rule, const char *const *paths, size_t n, const char *const **frames, struct err *e)
{
	struct visit w = { .rules = r };
	struct file *files;
	int rc;

	*frames = NULL;
	if (n == 0 || rules_place(r, rule, &w.rule) < 0)
		return 0;
	if ((files = new_files(n, e)) == NULL)
		return -1;
	rc = visit_all(paths, n, &w, choose_frames, files, e);
	if (rc == 0 && is_choice(files, n))
		rc = (*frames = take_lists(files, n, e)) != NULL ? 0 : -1;
	for (size_t i = 0; i < n; i++)
		free(files[i].frames);
	free(files);
	return rc;
}

void
rules_frames_free(const char *const *frames, size_t n)
{
	for (size_t i = 0; frames != NULL && i < n; i++)
		free((char *)frames[i]);
	free((void *)frames);
}
