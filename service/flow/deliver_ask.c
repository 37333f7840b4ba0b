/* See deliver_ask.h. What an archive answers is not trusted further than its UIDs say: an answer about another study or object is none. */
#include "service/flow/deliver_ask.h"

#include "service/flow/retrieve_web.h"

#include <stdio.h>
#include <string.h>

static enum ask_answer
find(const struct ask_peer *p, const char *level, const char *path, const struct scu_key *keys, size_t n, scu_found_fn found, void *arg, struct err *e)
{
	int rc = p->setting->type == DESTINATION_STOW ? retrieve_web_find(p->setting, path, keys, n, found, arg, e) : scu_find(&p->dimse, level, keys, n, found, arg, e);

	return rc == 0 ? ASK_ANSWERED : err_may_pass(e->code) ? ASK_UNHEARD : ASK_UNABLE;
}

/* ---- the study ---- */

struct study { const char *uid; struct revise_values *values; size_t n; bool is_ambiguous; };

/* What does not fit becomes a text that no value may be (dicom/revise.cc). */
static void
copy_value(char to[REVISE_TEXT], const char *from)
{
	if (strlen(from) < REVISE_TEXT)
		snprintf(to, REVISE_TEXT, "%s", from);
	else
		snprintf(to, REVISE_TEXT, "?");
}

/* values: the study's UID, then as revise_keywords. */
static int
found_study(void *arg, const char *const *values, struct err *e)
{
	struct study *s = arg;

	(void)e; /* what is no answer to the question is left out */
	if (strcmp(values[0], s->uid) != 0)
		return 0;
	for (size_t i = 0; i < REVISE_N && s->n > 0; i++)
		s->is_ambiguous = s->is_ambiguous || strcmp(s->values->text[i], values[i + 1]) != 0;
	for (size_t i = 0; i < REVISE_N && s->n == 0; i++)
		copy_value(s->values->text[i], values[i + 1]);
	s->n++;
	return 0;
}

enum ask_answer
ask_study(const struct ask_peer *p, const char *study_uid, struct revise_values *out, bool *is_known, struct err *e)
{
	struct scu_key keys[REVISE_N + 1] = { { "StudyInstanceUID", study_uid } };
	struct study s = { .uid = study_uid, .values = out };
	enum ask_answer answer;

	for (size_t i = 0; i < REVISE_N; i++)
		keys[i + 1] = (struct scu_key) { revise_keywords[i], "" };
	answer = find(p, "STUDY", "studies", keys, REVISE_N + 1, found_study, &s, e);
	*is_known = answer == ASK_ANSWERED && s.n > 0 && !s.is_ambiguous;
	return answer;
}

/* ---- objects ---- */

struct objects { const struct revise_ids *ids; size_t n; bool *is_there; };

static int
found_object(void *arg, const char *const *values, struct err *e)
{
	struct objects *o = arg;

	(void)e;
	for (size_t i = 0; i < o->n; i++)
		o->is_there[i] = o->is_there[i] || strcmp(o->ids[i].sop_uid, values[0]) == 0;
	return 0;
}

/* The series of ids[first]: one object by its UID; several: whatever the series has. */
static enum ask_answer
ask_series(const struct ask_peer *p, struct objects *o, size_t first, struct err *e)
{
	const struct revise_ids *id = &o->ids[first];
	size_t n = 0;
	char path[2 * DICOM_UID + 40];

	for (size_t i = first; i < o->n; i++)
		n += strcmp(o->ids[i].series_uid, id->series_uid) == 0;
	const struct scu_key keys[] = { { "SOPInstanceUID", n == 1 ? id->sop_uid : "" }, { "StudyInstanceUID", id->study_uid }, { "SeriesInstanceUID", id->series_uid } };
	snprintf(path, sizeof path, "studies/%s/series/%s/instances", id->study_uid, id->series_uid);
	return find(p, "IMAGE", path, keys, p->setting->type == DESTINATION_STOW ? 1 : 3, found_object, o, e);
}

enum ask_answer
ask_objects(const struct ask_peer *p, const struct revise_ids *ids, size_t n, bool *is_there, struct err *e)
{
	struct objects o = { ids, n, is_there };
	enum ask_answer answer = ASK_ANSWERED;

	memset(is_there, 0, n * sizeof *is_there);
	for (size_t i = 0; i < n && answer == ASK_ANSWERED; i++) {
		bool is_asked = false;
		for (size_t k = 0; k < i; k++)
			is_asked = is_asked || strcmp(ids[k].series_uid, ids[i].series_uid) == 0;
		if (!is_asked)
			answer = ask_series(p, &o, i, e);
	}
	return answer;
}
