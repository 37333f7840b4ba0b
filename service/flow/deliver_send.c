/* See deliver_send.h. Each object's state is in the database before it goes out ("sent"), so that whatever ends the process leaves a mark; and after the answer. */
#include "service/flow/deliver_send.h"

#include "config/digest.h"
#include "config/file.h"
#include "config/log.h"
#include "db/instances.h"
#include "dicom/scu.h"
#include "service/flow/deliver_ask.h"
#include "service/flow/deliver_audit.h"
#include "service/flow/deliver_stow.h"
#include "service/flow/peer.h"
#include "service/flow/record.h"
#include "service/flow/results.h"
#include "service/flow/spool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE = 1 /* unheard questions in a row that are waited for: from then on it is sent to unasked */, COPY_NAME = 16 /* digits */ };

struct item {
	enum result_kind kind;
	char name[RESULT_FILE];
	struct delivery_object row;
	enum object_state first, before;   /* its state before this attempt; before this attempt sent it */
	struct revise_ids ids;             /* sop_uid "": the file does not tell */
	char path[SPOOL_PATH];             /* what is sent */
};
struct parcel {
	struct item *items;                /* all that the destination gets of the job, in the order of sending */
	size_t n;
	int64_t unheard;
};

static bool
is_to_do(const struct item *i)
{
	return i->row.state == OBJECT_WAITING || i->row.state == OBJECT_SENT;
}

/* ---- packing ---- */

static int
fill_items(const struct attempt *a, struct parcel *p, const struct result_file *files, size_t n, struct err *e)
{
	struct delivery_object *rows = NULL;
	size_t n_rows = 0;

	if (deliveries_objects(a->node->db, a->delivery->id, &rows, &n_rows, e) != 0)
		return -1;
	for (; p->n < n; p->n++) {
		struct item *i = &p->items[p->n];
		struct err unread;
		*i = (struct item) { .kind = files[p->n].kind, .row = { .position = (int64_t)files[p->n].position } };
		snprintf(i->name, sizeof i->name, "%s", files[p->n].name);
		for (size_t k = 0; k < n_rows; k++)
			if (rows[k].position == i->row.position)
				i->row = rows[k];
		i->first = i->row.state;
		spool_result(a->node, a->job->id, i->name, i->path);
		if (is_to_do(i) && revise_read_ids(i->path, &i->ids, &unread) != 0)
			i->ids.sop_uid[0] = '\0';      /* whoever sends it says what is wrong */
	}
	free(rows);
	return 0;
}

/* caller: free(p->items), whatever comes back */
static int
pack(const struct attempt *a, struct parcel *p, struct err *e)
{
	struct result_file *files = NULL;
	size_t n = 0;
	int rc;

	*p = (struct parcel) { .unheard = a->delivery->unheard };
	if (record_check(a->node, a->job, a->to->results, e) != 0)
		return err_note(e, "nothing was sent");
	if (results_files(a->job->results, a->to->results, &files, &n, e) != 0)
		return -1;
	if (n == 0) {
		free(files);
		return err_set(e, ERR_NOT_FOUND, "the job has none of the results that this destination gets: see \"results\" in the settings");
	}
	p->items = calloc(n, sizeof *p->items);
	rc = p->items == NULL ? err_set(e, ERR_LIMIT, "no memory for %zu results", n) : fill_items(a, p, files, n, e);
	free(files);
	return rc;
}

/* ---- what the audit trail says of it: written with the states of the objects ---- */

static bool
is_going(const struct item *i)
{
	return i->row.state == OBJECT_SENT;
}

static bool
has_arrived(const struct item *i)
{
	return (i->row.state == OBJECT_STORED || i->row.state == OBJECT_FOUND) && i->first != OBJECT_STORED && i->first != OBJECT_FOUND;
}

static bool
is_refused(const struct item *i)
{
	return i->row.state == OBJECT_REFUSED && i->first != OBJECT_REFUSED;
}

/* How many there are; objects: of which classes, NULL when nobody can say. caller: free(*objects) */
static size_t
count(const struct parcel *p, bool (*is_one)(const struct item *), char **objects)
{
	const char **classes = calloc(p->n + 1, sizeof *classes);
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		if (is_one(&p->items[i])) {
			if (classes != NULL)
				classes[n] = p->items[i].ids.sop_class;
			n++;
		}
	*objects = classes != NULL && n > 0 ? deliver_objects(classes, n) : NULL;
	free(classes);
	return n;
}

static int
mark(const struct attempt *a, const struct parcel *p, struct err *e)
{
	struct delivery_object *rows = calloc(p->n, sizeof *rows);
	int rc;

	if (rows == NULL)
		return err_set(e, ERR_LIMIT, "no memory for %zu results", p->n);
	for (size_t i = 0; i < p->n; i++)
		rows[i] = p->items[i].row;
	rc = deliveries_mark(a->node->db, a->delivery->id, p->unheard, rows, p->n, e);
	free(rows);
	return rc;
}

/* ---- whom to ---- */

/* AE title of whoever sent the job's first input. */
static int
sender_of(struct db *db, int64_t job, char aet[17], struct err *e)
{
	struct job_input *inputs = NULL;
	struct instance_row row;
	char where[64];
	size_t n = 0;
	int rc;

	if (jobs_inputs(db, job, &inputs, &n, e) != 0)
		return -1;
	rc = n == 0 ? err_set(e, ERR_NOT_FOUND, "the job has no inputs") : instances_get(db, inputs[0].sop_uid, &row, e);
	free(inputs);
	return rc == 0 ? associations_peer(db, row.association, aet, where, e) : -1;
}

/* aet: where the title of a sender is kept. */
static int
find_peer(const struct attempt *a, struct ask_peer *p, char aet[17], struct err *e)
{
	const struct destination_setting *d = a->to;
	const struct settings *s = a->node->settings;

	*p = (struct ask_peer) { d, peer_of_destination(s, d) };
	if (d->type != DESTINATION_SENDER)
		return 0;
	if (sender_of(a->node->db, a->job->id, aet, e) != 0)
		return err_note(e, "who sent the study is not known");
	p->dimse.called_aet = aet;
	for (size_t i = 0; i < s->dicom.n_peers; i++) {
		const struct peer_setting *known = &s->dicom.peers[i];
		p->dimse.host = known->host;
		p->dimse.port = (unsigned)known->port;
		if (strcmp(known->aet, aet) == 0 && known->port > 0 && known->host[0] != '\0')
			return 0;
	}
	return err_set(e, ERR_INPUT, "the sender's AE title %s has no entry with host and port in dicom.peers: add it, restart, retry the job", aet);
}

/* ---- asking ---- */

/* After doubt: what is there is delivered, what is not waits as if it had never been sent. Unasked: it stays in doubt, and the same bytes go out. */
static void
resolve(const struct attempt *a, struct item *i, enum object_asked asked)
{
	static const enum object_state states[] = { [ASKED_FOUND] = OBJECT_FOUND, [ASKED_ABSENT] = OBJECT_WAITING, [ASKED_IN_VAIN] = OBJECT_SENT };
	static const char *const words[] = { [ASKED_FOUND] = "found", [ASKED_ABSENT] = "absent", [ASKED_IN_VAIN] = "in_vain" };

	i->row.asked = asked;
	i->row.state = states[asked];
	log_event(asked == ASKED_IN_VAIN ? LOG_WARN : LOG_INFO, asked == ASKED_FOUND ? "delivery_found" : "delivery_sent_again", "job=%" PRId64 " destination=%s instance=%s asked=%s",
	    a->job->id, a->to->name, i->ids.sop_uid[0] != '\0' ? i->ids.sop_uid : i->name, words[asked]);
}

static enum ask_answer
ask_doubtful(const struct attempt *a, const struct ask_peer *to, struct parcel *p, struct err *e)
{
	struct revise_ids *ids = calloc(p->n, sizeof *ids);
	bool *is_there = calloc(p->n, sizeof *is_there);
	enum ask_answer answer = ASK_ANSWERED;
	size_t n = 0, k = 0;

	if (ids == NULL || is_there == NULL) {
		err_set(e, ERR_LIMIT, "no memory for %zu results", p->n);
		answer = ASK_UNHEARD;
		goto out;
	}
	for (size_t i = 0; i < p->n; i++)
		if (p->items[i].row.state == OBJECT_SENT && p->items[i].ids.sop_uid[0] != '\0')
			ids[n++] = p->items[i].ids;
	if (n > 0)
		answer = a->to->ask ? ask_objects(to, ids, n, is_there, e) : ASK_UNABLE;
	if (answer == ASK_UNHEARD && p->unheard < PATIENCE)
		goto out;
	for (size_t i = 0; i < p->n; i++)
		if (p->items[i].row.state == OBJECT_SENT) {
			bool is_told = answer == ASK_ANSWERED && p->items[i].ids.sop_uid[0] != '\0';
			resolve(a, &p->items[i], !is_told ? ASKED_IN_VAIN : is_there[k] ? ASKED_FOUND : ASKED_ABSENT);
			k += is_told;
		}
out:
	free(ids);
	free(is_there);
	return answer;
}

/* ---- the copy for this destination ---- */

static void
copy_path(const struct attempt *a, const struct item *i, char path[SPOOL_PATH])
{
	char digest[DIGEST_HEX], name[RESULT_FILE + COPY_NAME + 8];

	digest_of(a->to->name, strlen(a->to->name), digest);
	snprintf(name, sizeof name, "for-%.*s-%s", COPY_NAME, digest, i->name);
	spool_result(a->node, a->job->id, name, path);
}

/* values: NULL where the archive told nothing. */
static int
choose_file(const struct attempt *a, struct item *i, const struct revise_values *values, struct err *e)
{
	char copy[SPOOL_PATH], changed[REVISE_NAMES] = "";
	bool is_open = i->row.state != OBJECT_SENT && values != NULL && i->ids.sop_uid[0] != '\0';

	copy_path(a, i, copy);
	if (is_open && revise_object(i->path, copy, values, changed, e) != 0) {
		if (err_may_pass(e->code))
			return -1;
		log_event(LOG_WARN, "delivery_not_revised", "job=%" PRId64 " destination=%s text=\"%s\"", a->job->id, a->to->name, e->text);
		changed[0] = '\0';
	}
	if (is_open && changed[0] == '\0' && file_exists(copy) && unlink(copy) != 0)
		return err_errno(e, "removing %s", copy);
	if (changed[0] != '\0')
		log_event(LOG_INFO, "delivery_revised", "job=%" PRId64 " destination=%s instance=%s changed=\"%s\"", a->job->id, a->to->name, i->ids.sop_uid, changed);
	i->row.is_revised = file_exists(copy);
	if (i->row.is_revised)
		snprintf(i->path, sizeof i->path, "%s", copy);
	return 0;
}

/* False: not now. */
static int
prepare(const struct attempt *a, const struct ask_peer *to, struct parcel *p, struct err *e)
{
	enum ask_answer answer = ask_doubtful(a, to, p, e);
	struct revise_values values;
	bool is_known = false, is_left = false;

	for (size_t i = 0; i < p->n; i++)
		is_left = is_left || (is_to_do(&p->items[i]) && p->items[i].ids.sop_uid[0] != '\0');
	if (answer == ASK_ANSWERED && is_left && a->to->ask) {
		answer = ask_study(to, a->job->study_uid, &values, &is_known, e);
		if (answer == ASK_ANSWERED)
			deliver_audit_query(a, to);
	}
	if (answer == ASK_UNHEARD && p->unheard++ < PATIENCE)
		return err_note(e, "asking before sending");
	if (answer != ASK_ANSWERED)
		log_event(LOG_DEBUG, "delivery_unasked", "job=%" PRId64 " destination=%s text=\"%s\"", a->job->id, a->to->name, e->text);
	if (answer != ASK_UNHEARD)
		p->unheard = 0;
	for (size_t i = 0; i < p->n; i++)
		if (is_to_do(&p->items[i]) && choose_file(a, &p->items[i], is_known ? &values : NULL, e) != 0)
			return -1;
	return 0;
}

/* ---- sending ---- */

/* SCU_ and STOW_ outcomes alike. */
enum fate { FATE_STORED, FATE_REFUSED, FATE_NOT_STORED /* perhaps later; nothing of it is there that was not before */, FATE_IN_DOUBT };

static void
meet(struct item *i, enum fate fate, const char *words)
{
	const enum object_state states[] = { [FATE_STORED] = OBJECT_STORED, [FATE_REFUSED] = OBJECT_REFUSED, [FATE_NOT_STORED] = i->before, [FATE_IN_DOUBT] = OBJECT_SENT };

	i->row.state = states[fate];
	snprintf(i->row.words, sizeof i->row.words, "%s", words);
}

static void
send_dimse(const struct attempt *a, const struct scu_peer *peer, struct item *const *items, const char *const *paths, size_t n)
{
	static const enum fate fates[] = { [SCU_NOT_SENT] = FATE_NOT_STORED, [SCU_STORED] = FATE_STORED, [SCU_REFUSED] = FATE_REFUSED, [SCU_PASSING] = FATE_NOT_STORED,
		[SCU_IN_DOUBT] = FATE_IN_DOUBT };
	struct scu_result *results = calloc(n, sizeof *results);
	struct err e;
	int rc = results == NULL ? err_set(&e, ERR_LIMIT, "no memory for %zu results", n) : scu_store_as(peer, a->to->seg_syntax, paths, n, results, &e);

	for (size_t i = 0; i < n; i++)
		if (rc != 0)
			meet(items[i], err_may_pass(e.code) ? FATE_NOT_STORED : FATE_REFUSED, e.text);
		else
			meet(items[i], fates[results[i].outcome], results[i].outcome == SCU_STORED && results[i].status == 0 ? "" : results[i].text);
	free(results);
}

/* One request an object, so that each has an answer of its own. What may pass ends the attempt: the next one would meet the same. Its wish: how long to wait. */
static int64_t
send_stow(const struct attempt *a, struct item *const *items, size_t n)
{
	static const enum fate fates[] = { [STOW_STORED] = FATE_STORED, [STOW_REFUSED] = FATE_REFUSED, [STOW_PASSING] = FATE_NOT_STORED, [STOW_IN_DOUBT] = FATE_IN_DOUBT };
	struct stow_result result = { .retry_after_s = 0 };
	bool goes_on = true;

	for (size_t i = 0; i < n; i++) {
		if (goes_on)
			stow_store(a->to, items[i]->path, a->stopping, &result);
		if (goes_on)
			meet(items[i], fates[result.outcome], result.text);
		else
			items[i]->row.state = items[i]->before;
		goes_on = goes_on && (result.outcome == STOW_STORED || result.outcome == STOW_REFUSED);
	}
	return result.retry_after_s;
}

/* What became of the whole: delivered only when every object is there; tried again while any may yet be taken. The words are those of the first that counts. */
static void
conclude(const struct parcel *p, struct verdict *v)
{
	static const struct { enum delivery_state of; int weight; } means[] = { [OBJECT_WAITING] = { DELIVERY_WAITING, 2 }, [OBJECT_SENT] = { DELIVERY_WAITING, 2 },
		[OBJECT_STORED] = { DELIVERY_DELIVERED, 0 }, [OBJECT_FOUND] = { DELIVERY_DELIVERED, 0 }, [OBJECT_REFUSED] = { DELIVERY_REFUSED, 1 } };
	const struct item *first = NULL;

	for (size_t i = 0; i < p->n; i++) {
		const struct item *k = &p->items[i];
		int more = first == NULL ? 1 : means[k->row.state].weight - means[first->row.state].weight;
		if (more > 0 || (more == 0 && first->row.words[0] == '\0'))
			first = k;
	}
	v->state = means[first->row.state].of;
	snprintf(v->text, sizeof v->text, "%s%s%.*s", first->kind == RESULT_SEG || first->row.words[0] == '\0' ? "" : first->name,
	    first->kind == RESULT_SEG || first->row.words[0] == '\0' ? "" : ": ", 450, first->row.words);
}

static int
mark_going(const struct attempt *a, const struct ask_peer *to, const struct parcel *p, struct err *e)
{
	struct delivery_event event;
	char *objects;
	int rc;

	count(p, is_going, &objects);
	deliver_event(a, to, AUDIT_BEGIN_TRANSFER, &event);
	event.entry.objects = objects;
	audit_attach(&event.entry);
	rc = mark(a, p, e);
	if (audit_detach())
		audit_tell(a->node);
	free(objects);
	return rc;
}

static int
send_items(const struct attempt *a, const struct ask_peer *to, struct parcel *p, struct verdict *v, struct err *e)
{
	struct item **items = calloc(p->n, sizeof *items);
	const char **paths = calloc(p->n, sizeof *paths);
	size_t n = 0;
	int rc = items == NULL || paths == NULL ? err_set(e, ERR_LIMIT, "no memory for %zu results", p->n) : 0;

	for (size_t i = 0; i < p->n && rc == 0; i++)
		if (is_to_do(&p->items[i])) {
			items[n] = &p->items[i];
			items[n]->before = items[n]->row.state;
			items[n]->row.state = OBJECT_SENT;
			paths[n] = items[n]->path;
			n++;
		}
	if (rc == 0 && n > 0 && (rc = mark_going(a, to, p, e)) == 0) {
		if (to->setting->type == DESTINATION_STOW)
			v->retry_after_s = send_stow(a, items, n);
		else
			send_dimse(a, &to->dimse, items, paths, n);
	}
	free(items);
	free(paths);
	return rc;
}

/* What the peer answered; where it cannot be written now, the next attempt asks. */
static void
record(const struct attempt *a, const struct ask_peer *to, const struct parcel *p)
{
	struct delivery_event event;
	char *arrived, *refused;
	size_t n_arrived = count(p, has_arrived, &arrived), n_refused = count(p, is_refused, &refused);
	struct err e;

	deliver_event(a, to, AUDIT_TRANSFERRED, &event);
	event.entry.objects = n_arrived > 0 ? arrived : refused;
	if (n_refused > 0) {
		event.entry.outcome = n_arrived > 0 ? AUDIT_MINOR : AUDIT_SERIOUS;
		event.entry.text = n_arrived > 0 ? "the destination refused other objects of this job" : "the destination refused these objects";
	}
	if (n_arrived + n_refused > 0)
		audit_attach(&event.entry);
	if (mark(a, p, &e) != 0)
		log_event(LOG_WARN, "delivery_not_recorded", "job=%" PRId64 " destination=%s text=\"%s\"", a->job->id, a->to->name, e.text);
	if (audit_detach())
		audit_tell(a->node);
	free(arrived);
	free(refused);
}

void
deliver_send(const struct attempt *a, struct verdict *v)
{
	struct ask_peer to;
	struct parcel p;
	struct err e;
	char aet[17];

	*v = (struct verdict) { .state = DELIVERY_WAITING };
	if (pack(a, &p, &e) == 0 && find_peer(a, &to, aet, &e) == 0) {
		int rc = prepare(a, &to, &p, &e);
		if (rc == 0)
			rc = send_items(a, &to, &p, v, &e);
		if (p.n > 0)
			record(a, &to, &p);
		if (rc == 0)
			conclude(&p, v);
		else
			memcpy(v->text, e.text, sizeof v->text); /* asked again, or written again, later */
	} else {
		v->state = err_may_pass(e.code) ? DELIVERY_WAITING : DELIVERY_REFUSED;
		memcpy(v->text, e.text, sizeof v->text);
	}
	free(p.items);
}
