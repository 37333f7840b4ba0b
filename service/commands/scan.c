/* Folders -> series -> channels. */
#include "service/commands/scan.h"

#include "config/file.h"
#include "dicom/attributes.h"
#include "dicom/same.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PROBLEMS = 1000 };

struct scan {
	struct scan_series *series;
	size_t n;
	char **problems;
	size_t n_problems;
};

static struct scan_series *
series_of(struct scan *s, const struct instance_header *h)
{
	struct scan_series *larger;

	for (size_t i = s->n; i > 0; i--) /* files of a series mostly follow each other */
		if (strcmp(s->series[i - 1].info.series_uid, h->series_uid) == 0)
			return &s->series[i - 1];
	if ((larger = realloc(s->series, (s->n + 1) * sizeof *larger)) == NULL)
		return NULL;
	s->series = larger;
	s->series[s->n] = (struct scan_series) { 0 };
	snprintf(s->series[s->n].info.series_uid, DICOM_UID, "%s", h->series_uid);
	snprintf(s->series[s->n].info.study_uid, DICOM_UID, "%s", h->study_uid);
	return &s->series[s->n++];
}

static int
add_instance(struct scan_series *series, const char *path, const struct instance_header *h)
{
	size_t n = series->n_paths;

	if ((n & (n - 1)) == 0) { /* full: twice the room */
		size_t room = n == 0 ? 1 : 2 * n;
		char **paths = realloc(series->paths, room * sizeof *paths);
		struct scan_instance *instances = realloc(series->instances, room * sizeof *instances);
		series->paths = paths != NULL ? paths : series->paths;
		series->instances = instances != NULL ? instances : series->instances;
		if (paths == NULL || instances == NULL)
			return -1;
	}
	if ((series->paths[n] = strdup(path)) == NULL)
		return -1;
	memcpy(series->instances[n].sop_uid, h->sop_uid, sizeof h->sop_uid);
	memcpy(series->instances[n].digest, h->content_digest, sizeof h->content_digest);
	series->n_paths++;
	return 0;
}

static int
add_problem(struct scan *s, const char *text, struct err *e)
{
	char **larger;

	if (s->n_problems == MAX_PROBLEMS)
		return 0;
	if ((larger = realloc(s->problems, (s->n_problems + 1) * sizeof *larger)) == NULL)
		return err_set(e, ERR_LIMIT, "no memory");
	s->problems = larger;
	if ((s->problems[s->n_problems] = strdup(text)) == NULL)
		return err_set(e, ERR_LIMIT, "no memory");
	s->n_problems++;
	return 0;
}

/* The place of an instance that is there already; n_paths: it is not. */
static size_t
place_of(const struct scan_series *series, const char *sop_uid)
{
	size_t i = 0;

	while (i < series->n_paths && strcmp(series->instances[i].sop_uid, sop_uid) != 0)
		i++;
	return i;
}

/* A copy of what is there already, as exports have it, counts once; other content under its UID is told. */
static int
add_copy(struct scan *s, const struct scan_series *series, size_t place, const char *path, const struct instance_header *h, struct err *e)
{
	bool same = false;
	struct err why;
	char text[1024];

	if (strcmp(series->instances[place].digest, h->content_digest) == 0 || (same_instance(path, series->paths[place], &same, &why, e) == 0 && same))
		return 0;
	snprintf(text, sizeof text, "%s: instance %s is there already, with other content: %s is taken", path, h->sop_uid, series->paths[place]);
	return add_problem(s, text, e);
}

static int
add_to_series(struct scan *s, const char *path, const struct instance_header *h, struct err *e)
{
	struct scan_series *series = series_of(s, h);
	size_t place = series == NULL ? 0 : place_of(series, h->sop_uid);

	if (series != NULL && place < series->n_paths)
		return add_copy(s, series, place, path, h, e);
	return series == NULL || add_instance(series, path, h) != 0 ? err_set(e, ERR_LIMIT, "no memory for the files") : 0;
}

static int
add_file(void *arg, const char *path, struct err *e)
{
	struct scan *s = arg;
	struct attributes *a = attributes_load(path, e);
	int rc;

	if (a == NULL) {
		err_note(e, "%s", path);
		return e->code == ERR_INPUT ? add_problem(s, e->text, e) : -1;
	}
	rc = add_to_series(s, path, attributes_header(a), e);
	attributes_free(a);
	return rc;
}

static int
compare_uids(const void *a, const void *b)
{
	const struct scan_instance *x = a, *y = b;

	return strcmp(x->sop_uid, y->sop_uid);
}

static int
decide(struct scan_series *s, const struct rules *r, struct err *e)
{
	struct series_info info = { 0 };
	const struct rule_setting *rule = NULL;

	if (rules_decide_series(r, (const char *const *)s->paths, s->n_paths, &s->decision, e) != 0 ||
	    rules_frames(r, s->decision.channel[0] != 0 ? s->decision.rule : "", (const char *const *)s->paths, s->n_paths, &s->frames, e) != 0 ||
	    series_check(&(struct series_input) { (const char *const *)s->paths, s->n_paths, s->frames }, &s->verdict, &info, &s->reason, e) != 0)
		return -1;
	s->is_registered = rules_registered(r, s->decision.rule);
	memcpy(info.study_uid, s->info.study_uid, sizeof info.study_uid);
	memcpy(info.series_uid, s->info.series_uid, sizeof info.series_uid);
	s->info = info;
	qsort(s->instances, s->n_paths, sizeof *s->instances, compare_uids);
	s->candidate = (struct candidate) { .is_rejected = s->verdict == SERIES_GAP || s->verdict == SERIES_BAD };
	if (s->decision.channel[0] != '\0' && precedence_read(&s->candidate, s->paths[0], s->n_paths, e) != 0)
		return -1;
	if (info.n_slices > 0) /* of a multi-frame file those that the rule means */
		s->candidate.n_slices = (int64_t)info.n_slices;
	s->candidate.place = rules_place(r, s->decision.rule, &rule);
	s->candidate.is_fallback = rule != NULL && rule->fallback;
	return 0;
}

static int
compare_series(const void *a, const void *b)
{
	const struct scan_series *x = a, *y = b;
	int by_study = strcmp(x->info.study_uid, y->info.study_uid);

	return by_study != 0 ? by_study : strcmp(x->info.series_uid, y->info.series_uid);
}

struct scan *
scan_open(char *const *dirs, size_t n, const struct rules *r, struct err *e)
{
	struct scan *s = calloc(1, sizeof *s);

	if (s == NULL) {
		err_set(e, ERR_LIMIT, "no memory");
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		if (file_walk(dirs[i], add_file, s, e) != 0) {
			err_note(e, "reading %s", dirs[i]);
			goto out;
		}
	for (size_t i = 0; i < s->n; i++)
		if (decide(&s->series[i], r, e) != 0)
			goto out;
	if (s->n > 0)
		qsort(s->series, s->n, sizeof *s->series, compare_series);
	for (size_t i = 0; i < s->n; i++) {
		s->series[i].candidate.series_uid = s->series[i].info.series_uid;
		s->series[i].candidate.rule = s->series[i].decision.rule;
	}
	return s;
out:
	scan_free(s);
	return NULL;
}

void
scan_free(struct scan *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++) {
		for (size_t k = 0; k < s->series[i].n_paths; k++)
			free(s->series[i].paths[k]);
		rules_frames_free(s->series[i].frames, s->series[i].n_paths);
		free(s->series[i].paths);
		free(s->series[i].instances);
	}
	for (size_t i = 0; i < s->n_problems; i++)
		free(s->problems[i]);
	free(s->series);
	free(s->problems);
	free(s);
}

size_t
scan_size(const struct scan *s)
{
	return s->n;
}

const struct scan_series *
scan_at(const struct scan *s, size_t i)
{
	return &s->series[i];
}

const char *
scan_problem(const struct scan *s, size_t i)
{
	return i < s->n_problems ? s->problems[i] : NULL;
}

const struct scan_series *
scan_filler(const struct scan *s, const char *study_uid, const char *channel)
{
	const struct scan_series *best = NULL;
	enum precedence by;

	for (size_t i = 0; i < s->n; i++) {
		const struct scan_series *x = &s->series[i];
		if (strcmp(x->info.study_uid, study_uid) != 0 || strcmp(x->decision.channel, channel) != 0 || x->candidate.place < 0 || x->verdict == SERIES_IGNORED)
			continue;
		if (best == NULL || precedence_compare(&x->candidate, &best->candidate, &by) > 0)
			best = x;
	}
	return best;
}

static void
explain_loser(const struct scan_series *series, const struct scan_series *filler, char *text, size_t size)
{
	char why[512];

	precedence_say(&filler->candidate, &series->candidate, series->decision.channel, why, sizeof why);
	snprintf(text, size, "%s; %s", series->decision.reason, why);
}

void
scan_explain(const struct scan *s, const struct scan_series *series, char *text, size_t size)
{
	const struct scan_series *filler = series->decision.channel[0] == '\0' ? NULL : scan_filler(s, series->info.study_uid, series->decision.channel);

	if (series->verdict == SERIES_IGNORED)
		snprintf(text, size, "ignored: %s", series->reason.text);
	else if (filler != NULL && filler != series)
		explain_loser(series, filler, text, size);
	else if (filler == series && series->verdict != SERIES_WHOLE)
		snprintf(text, size, "%s; rejected: %s", series->decision.reason, series->reason.text);
	else
		snprintf(text, size, "%s%s%s", series->decision.reason, series->info.chosen[0] != 0 ? "; " : "", series->info.chosen);
}
