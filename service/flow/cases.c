/* From series to jobs (DESIGN "Flow of a case"; small print "Jobs"). Where several series fit one channel precedence.h says which fills it; while one of them
 * is still being received the job waits. The moves of a job are in cases_jobs.c.
 * A series keeps its reason as up to three lines: what the rules said, the verdict ("rejected: ..."), what the study makes of it ("not used: ..."). */
#include "service/flow/cases.h"

#include "dicom/series.h"
#include "service/flow/cases_parts.h"
#include "service/flow/node.h"
#include "service/flow/spool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char ours_text[] = "made by this node: never matched";

/* ---- one series by the rules ---- */

/* Of a lost one others speak. */
static int
all_lost(struct err *e)
{
	return err_set(e, ERR_NOT_FOUND, "the files of all its instances are lost: send them again");
}

int
cases_file(const struct node *n, const char *series_uid, char path[SPOOL_PATH], struct err *e)
{
	struct instance_row *rows = NULL;
	size_t count = 0, i = 0;
	int result = -1;

	if (instances_of_series(n->db, series_uid, &rows, &count, e) != 0)
		return -1;
	for (; i < count && result != 0; i++) {
		spool_path(n, rows[i].sop_uid, path);
		result = spool_look(path, e);
		if (result != 0 && e->code != ERR_NOT_FOUND)
			break;
	}
	free(rows);
	if (count == 0)
		return err_set(e, ERR_NOT_FOUND, "the series has no instance");
	return result != 0 && e->code == ERR_NOT_FOUND ? all_lost(e) : result;
}

int
cases_files(const struct node *n, const char *series_uid, struct cases_files *out, struct err *e)
{
	*out = (struct cases_files) { 0 };
	if (instances_of_series(n->db, series_uid, &out->rows, &out->n, e) != 0)
		return -1;
	out->rooms = calloc(out->n + 1, sizeof *out->rooms);
	out->paths = calloc(out->n + 1, sizeof *out->paths);
	for (size_t i = 0; out->rooms != NULL && out->paths != NULL && i < out->n; i++) {
		spool_path(n, out->rows[i].sop_uid, out->rooms[i]);
		out->paths[i] = out->rooms[i];
	}
	if (out->rooms != NULL && out->paths != NULL)
		return 0;
	err_set(e, ERR_LIMIT, "no memory for %zu paths", out->n);
	cases_files_free(out);
	return -1;
}

void
cases_files_free(struct cases_files *files)
{
	free(files->paths);
	free(files->rooms);
	free(files->rows);
	*files = (struct cases_files) { 0 };
}

/* A screenshot that a rule would take makes no job. */
static int
drop_ignored(const char *path, struct decision *d, struct err *e)
{
	enum series_verdict verdict;
	struct series_info info;
	struct err reason = { 0 };

	if (d->channel[0] == 0)
		return 0;
	if (series_check(&(struct series_input) { &path, 1, NULL }, &verdict, &info, &reason, e) != 0)
		return -1;
	if (verdict == SERIES_IGNORED) {
		d->channel[0] = d->rule[0] = 0;
		snprintf(d->reason, sizeof d->reason, "%s", reason.text);
	}
	return 0;
}

int
cases_decide_file(const struct rules *r, const char *path, struct decision *out, struct err *e)
{
	return rules_decide_all(r, path, 1, out, e) == 0 ? drop_ignored(path, out, e) : -1;
}

static int
lead_with_one_that_is_there(struct cases_files *files, struct err *e)
{
	for (size_t i = 0; i < files->n; i++) {
		const char *path = files->paths[i];
		if (spool_look(path, e) == 0) {
			files->paths[i] = files->paths[0];
			files->paths[0] = path;
			return 0;
		}
		if (e->code != ERR_NOT_FOUND)
			return -1;
	}
	return files->n > 0 ? all_lost(e) : 0;
}

static int
decide_files(const struct node *n, const struct rules *r, const char *series_uid, struct decision *out, struct err *e)
{
	struct cases_files files;
	int result;

	if (cases_files(n, series_uid, &files, e) != 0)
		return -1;
	result = lead_with_one_that_is_there(&files, e);
	if (result == 0)
		result = rules_decide_series(r, files.paths, files.n, out, e);
	if (result == 0)
		result = drop_ignored(files.paths[0], out, e);
	cases_files_free(&files);
	return result;
}

int
cases_decide(const struct node *n, const struct rules *r, const struct series_row *row, struct decision *out, struct err *e)
{
	memset(out, 0, sizeof *out);
	if (row->ours) {
		snprintf(out->reason, sizeof out->reason, ours_text);
		return 0;
	}
	if (decide_files(n, r, row->series_uid, out, e) == 0)
		return 0;
	if (err_may_pass(e->code))
		return err_note(e, "deciding on series %s", row->series_uid);
	memset(out, 0, sizeof *out);
	err_note(e, "cannot be read");
	snprintf(out->reason, sizeof out->reason, "%s", e->text);
	return 0;
}

/* ---- the study ---- */

/* What was decided before, from the row: the first line is the rules' word, a line that begins with the state's name is the verdict. */
static void
recall(const struct rules *r, const struct series_row *row, struct member *m)
{
	const char *end = strchr(row->reason, '\n'), *state = series_state_name(row->state);
	const struct rule_setting *rule;

	snprintf(m->decision.reason, sizeof m->decision.reason, "%.*s", end != NULL ? (int)(end - row->reason) : (int)strlen(row->reason), row->reason);
	if (row->rule[0] != 0 && rules_place(r, row->rule, &rule) >= 0) {
		snprintf(m->decision.rule, sizeof m->decision.rule, "%s", rule->name);
		snprintf(m->decision.channel, sizeof m->decision.channel, "%s", rule->channel);
	}
	if (end != NULL && strncmp(end + 1, state, strlen(state)) == 0 && strncmp(end + 1 + strlen(state), ": ", 2) == 0) {
		const char *verdict = end + 1 + strlen(state) + 2;
		snprintf(m->verdict, sizeof m->verdict, "%.*s", (int)strcspn(verdict, "\n"), verdict);
	}
}

static int
fill_member(struct study *s, const struct series_row *row, const struct prospect *p, struct member *m, struct err *e)
{
	const struct rule_setting *rule;

	m->row = *row;
	m->state = row->state;
	m->place = -1;
	if (p != NULL && strcmp(p->series_uid, row->series_uid) == 0) {
		m->state = p->state;
		m->decision = p->decision;
		m->row.n_slices = p->n_slices;
		memcpy(m->verdict, p->verdict, sizeof m->verdict);
	} else if (row->ours || row->reason[0] == 0) {
		if (cases_decide(s->node, s->rules, row, &m->decision, e) != 0)
			return -1;
	} else {
		recall(s->rules, row, m);
	}
	if (row->ours || m->decision.channel[0] == 0 || m->state == SERIES_STATE_IGNORED)
		return 0;
	m->place = rules_place(s->rules, m->decision.rule, &rule);
	m->candidate = (struct candidate) { .series_uid = m->row.series_uid, .n_slices = m->row.n_slices > 0 ? m->row.n_slices : m->row.n_instances, .place = m->place,
		.is_fallback = m->place >= 0 && rule->fallback, .is_rejected = m->state == SERIES_STATE_REJECTED, .rule = m->decision.rule };
	return 0;
}

static bool
has_rival(const struct study *s, const struct member *m)
{
	for (size_t i = 0; i < s->n; i++)
		if (&s->members[i] != m && member_fits(m, s->members[i].decision.channel) && s->members[i].place >= 0)
			return true;
	return false;
}

/* Where several fit a channel their files are asked what is left to compare; one that cannot be read has nothing to say. */
static int
compare_files(struct study *s, struct err *e)
{
	char path[SPOOL_PATH];

	for (size_t i = 0; i < s->n; i++) {
		struct member *m = &s->members[i];
		if (m->place < 0 || !has_rival(s, m))
			continue;
		if ((cases_file(s->node, m->row.series_uid, path, e) != 0 || precedence_read(&m->candidate, path, (size_t)m->row.n_instances, e) != 0) && err_may_pass(e->code))
			return err_note(e, "comparing series %s", m->row.series_uid);
		if (m->row.n_slices > 0) /* settled: those that the rule means */
			m->candidate.n_slices = m->row.n_slices;
	}
	return 0;
}

static int
load_study(struct study *s, const struct prospect *p, struct err *e)
{
	struct series_row *rows = NULL;
	int result = -1;

	if (series_of_study(s->node->db, s->study_uid, &rows, &s->n, e) != 0)
		return -1;
	s->members = calloc(s->n + 1, sizeof *s->members);
	if (s->members == NULL) {
		err_set(e, ERR_LIMIT, "no memory for %zu series", s->n);
		goto out;
	}
	for (size_t i = 0; i < s->n; i++)
		if (fill_member(s, &rows[i], p, &s->members[i], e) != 0)
			goto out;
	result = compare_files(s, e);
out:
	free(rows);
	return result;
}

/* ---- who fills a channel ---- */

bool
member_fits(const struct member *m, const char *channel)
{
	return m->place >= 0 && strcmp(m->decision.channel, channel) == 0;
}

const struct member *
study_filler(const struct study *s, const char *channel)
{
	const struct member *best = NULL;
	enum precedence by;

	for (size_t i = 0; i < s->n; i++)
		if (member_fits(&s->members[i], channel) && (best == NULL || precedence_compare(&s->members[i].candidate, &best->candidate, &by) > 0))
			best = &s->members[i];
	return best;
}

/* ---- saying so ---- */

/* The models that take the channel but lack another one. */
static void
say_missing(const struct study *s, const char *channel, char *text, size_t size)
{
	const struct settings *settings = s->node->settings;
	bool is_taken = false;
	struct err e;

	text[0] = 0;
	for (size_t i = 0; i < settings->n_models; i++) {
		const struct catalog_entry *model = node_find_model(s->node->catalog, &settings->models[i], &e);
		if (model == NULL || !model_takes(&model->manifest, channel))
			continue;
		is_taken = true;
		for (size_t c = 0; c < model->manifest.n_channels; c++)
			if (study_filler(s, model->manifest.channels[c]) == NULL) {
				size_t n = strlen(text);
				snprintf(text + n, size - n, "%smodel %s has no series for channel %s", n > 0 ? "; " : "waits: ", model->manifest.name, model->manifest.channels[c]);
			}
	}
	if (!is_taken)
		snprintf(text, size, "not used: no model takes channel %s", channel);
}

enum { STUDY_LINE = 512 };

_Static_assert(sizeof(((struct member *)0)->decision.reason) + sizeof(((struct member *)0)->verdict) + STUDY_LINE + sizeof "\nrejected: \n" <= DB_TEXT,
               "the three lines of a reason fit whole");

static void
compose(const struct member *m, const char *study_line, char reason[DB_TEXT])
{
	int n = snprintf(reason, DB_TEXT, "%s", m->decision.reason);

	if (m->verdict[0] != 0)
		n += snprintf(reason + n, DB_TEXT - (size_t)n, "\n%s: %s", series_state_name(m->state), m->verdict);
	if (study_line[0] != 0)
		snprintf(reason + n, DB_TEXT - (size_t)n, "\n%s", study_line);
}

static int
write_decision(const struct study *s, const struct member *m, struct prospect *p, struct err *e)
{
	const struct member *filler = m->place >= 0 ? study_filler(s, m->decision.channel) : NULL;
	const char *channel = filler == m ? m->decision.channel : "";
	char line[STUDY_LINE] = "", reason[DB_TEXT];

	if (filler == m)
		say_missing(s, channel, line, sizeof line);
	else if (filler != NULL)
		precedence_say(&filler->candidate, &m->candidate, m->decision.channel, line, sizeof line);
	compose(m, line, reason);
	if (p != NULL && strcmp(p->series_uid, m->row.series_uid) == 0)
		memcpy(p->reason, reason, sizeof p->reason);
	if (strcmp(channel, m->row.channel) == 0 && strcmp(m->decision.rule, m->row.rule) == 0 && strcmp(reason, m->row.reason) == 0)
		return 0;
	return series_decide(s->node->db, m->row.series_uid, channel, m->decision.rule, reason, e);
}

/* ---- the whole ---- */

int
cases_match(struct node *n, const struct rules *r, const char *study_uid, struct prospect *p, struct err *e)
{
	struct study s = { .node = n, .rules = r, .study_uid = study_uid, .is_prospect = p != NULL };
	int result = load_study(&s, p, e);

	for (size_t i = 0; result == 0 && i < s.n; i++)
		result = write_decision(&s, &s.members[i], p, e);
	for (size_t i = 0; result == 0 && i < n->settings->n_models; i++)
		result = study_follow(&s, &n->settings->models[i], e);
	free(s.members);
	return result == 0 ? 0 : err_note(e, "matching study %s", study_uid);
}
