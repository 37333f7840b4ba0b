/* A series is complete after a quiet time and when its geometry is whole. One whose association was aborted, or was open when the node died, waits for the
 * sender's next try and only then counts as it is. Headers only; pixels are the worker's. What no rule takes is ignored without looking at its geometry. */
#include "service/flow/settle.h"

#include "config/log.h"
#include "dicom/series.h"
#include "service/flow/cases.h"
#include "service/flow/node.h"
#include "service/flow/spool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Since when nothing was heard of it. While the node was away nobody could send: that was no silence. Nor is the time by which the clock was set; what came later
 * than now came before it was set back. */
static int64_t
silent_since_ms(const struct node *n, const struct series_row *row, int64_t now_ms)
{
	return row->last_ms > n->even_since_ms && row->last_ms <= now_ms ? row->last_ms : n->even_since_ms;
}

static int64_t
interrupted_until_ms(const struct node *n, const struct series_row *row, int64_t now_ms)
{
	const struct settings *s = n->settings;
	int64_t longer = s->series_interrupted_trigger > s->series_complete_trigger ? s->series_interrupted_trigger : s->series_complete_trigger;

	return silent_since_ms(n, row, now_ms) + longer * 1000;
}

int64_t
settle_due_ms(const struct node *n, const struct series_row *row, int64_t now_ms)
{
	if (row->association_state == ASSOCIATION_OPEN || row->others_open)
		return INT64_MAX;
	if (row->state == SERIES_STATE_WAITING && row->association_state == ASSOCIATION_ABORTED)
		return interrupted_until_ms(n, row, now_ms);
	return silent_since_ms(n, row, now_ms) + n->settings->series_complete_trigger * 1000;
}

/* ---- the verdict ---- */

static int
check_files(const struct node *n, const struct rules *r, struct prospect *p, enum series_verdict *verdict, struct err *reason, struct err *e)
{
	struct series_info info = { 0 };
	const char *const *frames = NULL;
	struct cases_files files;
	int result = -1;

	if (cases_files(n, p->series_uid, &files, e) != 0)
		return -1;
	for (size_t i = 0; i < files.n; i++)
		if (spool_look(files.paths[i], e) != 0) {
			if (e->code == ERR_NOT_FOUND)
				err_set(e, ERR_NOT_FOUND, "instance %s has lost its spool file: send it again", files.rows[i].sop_uid);
			goto out;
		}
	if (rules_frames(r, p->decision.rule, files.paths, files.n, &frames, e) == 0)
		result = series_check(&(struct series_input) { files.paths, files.n, frames }, verdict, &info, reason, e);
	p->n_slices = (int64_t)info.n_slices;
	if (result == 0 && info.chosen[0] != 0) {
		size_t used = strlen(p->decision.reason);
		snprintf(p->decision.reason + used, sizeof p->decision.reason - used, "; %s", info.chosen);
	}
out:
	rules_frames_free(frames, files.n);
	cases_files_free(&files);
	return result;
}

/* What a verdict on the files means, given how they came. */
static enum series_state
state_of(enum series_verdict verdict, bool may_come_again)
{
	switch (verdict) {
	case SERIES_WHOLE:
		return may_come_again ? SERIES_STATE_WAITING : SERIES_STATE_COMPLETE;
	case SERIES_GAP:
		return may_come_again ? SERIES_STATE_WAITING : SERIES_STATE_REJECTED;
	case SERIES_BAD:
		return SERIES_STATE_REJECTED;
	case SERIES_IGNORED:
		break;
	}
	return SERIES_STATE_IGNORED;
}

static int
judge(const struct node *n, const struct rules *r, const struct series_row *row, int64_t now_ms, struct prospect *p, struct err *e)
{
	bool may_come_again = row->association_state == ASSOCIATION_ABORTED && now_ms < interrupted_until_ms(n, row, now_ms);
	enum series_verdict verdict = SERIES_BAD;
	struct err reason = { 0 };

	if (check_files(n, r, p, &verdict, &reason, e) != 0) {
		if (err_may_pass(e->code))
			return -1;
		reason = *e; /* a file that can never be read */
	}
	p->state = state_of(verdict, may_come_again);
	if (verdict == SERIES_WHOLE && p->state == SERIES_STATE_WAITING)
		snprintf(p->verdict, sizeof p->verdict, "the association that brought it was interrupted: until %lld s after its last instance the sender may try again",
		    (long long)n->settings->series_interrupted_trigger);
	else if (verdict != SERIES_WHOLE)
		memcpy(p->verdict, reason.text, sizeof p->verdict);
	return 0;
}

/* ---- settling ---- */

static int
look(const struct node *n, const struct rules *r, const struct series_row *row, int64_t now_ms, struct prospect *p, struct err *e)
{
	if (cases_decide(n, r, row, &p->decision, e) != 0)
		return -1;
	if (p->decision.channel[0] != 0)
		return judge(n, r, row, now_ms, p, e);
	p->state = SERIES_STATE_IGNORED;
	return 0;
}

static void
log_settled(const struct series_row *row, const struct prospect *p)
{
	static const char *const events[] = { [SERIES_STATE_OPEN] = "series_open", [SERIES_STATE_WAITING] = "series_waiting", [SERIES_STATE_COMPLETE] = "series_complete",
		[SERIES_STATE_REJECTED] = "series_rejected", [SERIES_STATE_IGNORED] = "series_ignored" };
	const char *rule = p->decision.rule[0] != 0 ? p->decision.rule : "-";

	if (p->verdict[0] == 0)
		log_event(LOG_INFO, events[p->state], "series=%s study=%s instances=%lld rule=%s", row->series_uid, row->study_uid, (long long)row->n_instances, rule);
	else
		log_event(LOG_INFO, events[p->state], "series=%s study=%s instances=%lld rule=%s text=\"%s\"", row->series_uid, row->study_uid,
		    (long long)row->n_instances, rule, p->verdict);
}

int
settle_series(struct node *n, const struct rules *r, const struct series_row *row, int64_t now_ms, int64_t *next_ms, struct err *e)
{
	struct prospect p = { .series_uid = row->series_uid };

	*next_ms = row->ours ? now_ms : settle_due_ms(n, row, now_ms);
	if (now_ms < *next_ms)
		return 0;
	if (look(n, r, row, now_ms, &p, e) != 0)
		return -1;
	if ((p.n_slices != row->n_slices && series_count_slices(n->db, row->series_uid, p.n_slices, e) != 0) || cases_match(n, r, row->study_uid, &p, e) != 0)
		return -1;
	if (series_settle(n->db, row->series_uid, row->revision, p.state, p.reason, e) != 0)
		return e->code == ERR_STATE ? 0 : -1; /* an instance came meanwhile: look again at once */
	log_settled(row, &p);
	bell_ring(&n->retain);
	*next_ms = p.state == SERIES_STATE_WAITING ? interrupted_until_ms(n, row, now_ms) : 0;
	return cases_match(n, r, row->study_uid, NULL, e);
}
