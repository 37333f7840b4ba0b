/* Deliveries: the results of one job on their way to one destination. The end of the last one is the end of its job, in the same transaction. */
#include "db/deliveries.h"

#include "config/clock.h"
#include "db/moves.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The words are those of a CHECK in schema.c. */
static const char *const state_names[] = { "waiting", "sending", "delivered", "committed", "refused", "given_up" };
enum { N_STATES = sizeof state_names / sizeof state_names[0] };

const char *
delivery_state_name(enum delivery_state s)
{
	return state_names[s];
}

/* ---- reading ---- */

static int
find_name(const char *const *names, int n, const unsigned char *text)
{
	for (int i = 0; i < n; i++)
		if (text && strcmp(names[i], (const char *)text) == 0)
			return i;
	return 0;
}

#define DELIVERY_COLUMNS "SELECT id, job, attempts, created_ms, next_attempt_ms, destination, last_error, state, unheard FROM deliveries "

static int
fill_delivery(sqlite3_stmt *q, void *element, struct err *e)
{
	struct delivery *v = element;

	(void)e; /* bounded copies cannot fail */
	v->id = sqlite3_column_int64(q, 0);
	v->job = sqlite3_column_int64(q, 1);
	v->attempts = sqlite3_column_int64(q, 2);
	v->created_ms = sqlite3_column_int64(q, 3);
	v->next_attempt_ms = sqlite3_column_int64(q, 4);
	v->unheard = sqlite3_column_int64(q, 8);
	SQL_COPY(q, 5, v->destination);
	SQL_COPY(q, 6, v->last_error);
	v->state = (enum delivery_state)find_name(state_names, N_STATES, sqlite3_column_text(q, 7));
	return 0;
}

int
deliveries_of_job(struct db *d, int64_t job, struct delivery **out, size_t *n, struct err *e)
{
	return sql_list(d, SQL_ASK(fill_delivery, **out, DELIVERY_COLUMNS "WHERE job = ?1 ORDER BY id", SQL_ARGS(sql_int(job))), out, n, e);
}

int
deliveries_next_ms(struct db *d, const char *destination, int64_t *next_ms, struct err *e)
{
	int r = sql_one(d, SQL_ASK(sql_fill_int, *next_ms, "SELECT next_attempt_ms FROM deliveries WHERE destination = ?1 AND state = 'waiting'"
	                                                   " ORDER BY next_attempt_ms LIMIT 1", SQL_ARGS(sql_text(destination))), next_ms, e);

	if (r == 0)
		*next_ms = INT64_MAX;
	return r < 0 ? -1 : 0;
}

/* ---- sending ---- */

static int
claim(struct sql *s, const char *destination, int64_t now_ms, struct delivery *out, struct err *e)
{
	sqlite3_stmt *q = sql_query(s, DELIVERY_COLUMNS "WHERE destination = ?1 AND state = 'waiting' AND next_attempt_ms <= ?2"
	                                                " ORDER BY next_attempt_ms, id LIMIT 1", SQL_ARGS(sql_text(destination), sql_int(now_ms)), e);
	int r = q ? sql_step(q, e) : -1;

	if (r < 0)
		return -1;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "nothing is due for %s", destination);
	memset(out, 0, sizeof *out);
	fill_delivery(q, out, e);
	sqlite3_reset(q);
	out->state = DELIVERY_SENDING;
	out->attempts++;
	out->next_attempt_ms = 0;
	return sql_run(s, "UPDATE deliveries SET state = 'sending', attempts = attempts + 1, next_attempt_ms = 0 WHERE id = ?1", SQL_ARGS(sql_int(out->id)), e);
}

int
deliveries_claim(struct db *d, const char *destination, int64_t now_ms, struct delivery *out, struct err *e)
{
	struct sql *s = sql_write(d, e);

	return s == NULL ? -1 : sql_write_end(s, claim(s, destination, now_ms, out, e), e);
}

/* ---- its objects ---- */

/* The words are those of CHECKs in schema.c. */
static const char *const object_names[] = { "waiting", "sent", "stored", "found", "refused" }, *const asked_names[] = { "never", "found", "absent", "in_vain" };

static int
fill_object(sqlite3_stmt *q, void *element, struct err *e)
{
	struct delivery_object *o = element;

	(void)e; /* bounded copies cannot fail */
	o->position = sqlite3_column_int64(q, 0);
	o->state = (enum object_state)find_name(object_names, sizeof object_names / sizeof *object_names, sqlite3_column_text(q, 1));
	o->asked = (enum object_asked)find_name(asked_names, sizeof asked_names / sizeof *asked_names, sqlite3_column_text(q, 2));
	o->is_revised = sqlite3_column_int(q, 3) != 0;
	SQL_COPY(q, 4, o->words);
	return 0;
}

int
deliveries_objects(struct db *d, int64_t id, struct delivery_object **out, size_t *n, struct err *e)
{
	return sql_list(d, SQL_ASK(fill_object, **out, "SELECT position, state, asked, revised, words FROM delivery_objects WHERE delivery = ?1 ORDER BY position",
	                           SQL_ARGS(sql_int(id))), out, n, e);
}

static int
mark(struct sql *s, int64_t id, int64_t unheard, const struct delivery_object *objects, size_t n, struct err *e)
{
	if (sql_run(s, "UPDATE deliveries SET unheard = ?2 WHERE id = ?1 AND state = 'sending'", SQL_ARGS(sql_int(id), sql_int(unheard)), e) < 0)
		return -1;
	if (sql_changes(s) == 0)
		return err_set(e, ERR_STATE, "delivery %lld is not on its way", (long long)id);
	for (size_t i = 0; i < n; i++)
		if (sql_run(s, "INSERT INTO delivery_objects(delivery, position, state, asked, revised, words) VALUES(?1, ?2, ?3, ?4, ?5, ?6)"
		               " ON CONFLICT(delivery, position) DO UPDATE SET state = ?3, asked = ?4, revised = ?5, words = ?6",
		            SQL_ARGS(sql_int(id), sql_int(objects[i].position), sql_text(object_names[objects[i].state]), sql_text(asked_names[objects[i].asked]),
		                     sql_int(objects[i].is_revised), sql_text(objects[i].words)), e) < 0)
			return -1;
	return 0;
}

int
deliveries_mark(struct db *d, int64_t id, int64_t unheard, const struct delivery_object *objects, size_t n, struct err *e)
{
	struct sql *s = sql_write(d, e);

	return s == NULL ? -1 : sql_write_end(s, mark(s, id, unheard, objects, n, e), e);
}

/* ---- settling ---- */

/* How a delivering job stands: what is still on its way, what went wrong, and the first of those in words. */
struct standing { int64_t pending, bad; char what[600]; };

static int
stand(struct sql *s, int64_t job, struct standing *t, struct err *e)
{
	sqlite3_stmt *q = sql_query(s, "SELECT sum(state IN ('waiting', 'sending') OR (state = 'delivered' AND EXISTS(SELECT 1 FROM commitments c WHERE c.delivery = deliveries.id AND c.open))),"
	                               " sum(state IN ('refused', 'given_up')),"
	                               " (SELECT destination || CASE state WHEN 'refused' THEN ' refused the result: ' ELSE ' was given up: ' END"
	                               "  || coalesce(last_error, '')"
	                               "  FROM deliveries WHERE job = ?1 AND state IN ('refused', 'given_up') ORDER BY id LIMIT 1) FROM deliveries WHERE job = ?1",
	                            SQL_ARGS(sql_int(job)), e);
	int r = q ? sql_step(q, e) : -1;

	if (r == 1) {
		t->pending = sqlite3_column_int64(q, 0);
		t->bad = sqlite3_column_int64(q, 1);
		SQL_COPY(q, 2, t->what);
		sqlite3_reset(q);
	}
	return r == 1 ? 0 : -1;
}

int
delivery_end_job(struct sql *s, int64_t job, struct err *e)
{
	struct job_move m = { .id = job, .attempt = JOB_ANY_ATTEMPT, .from = JOB_DELIVERING, .to = JOB_DONE, .cause = "delivered" };
	struct standing t = { .pending = 0 };
	char reason[700];

	if (stand(s, job, &t, e) < 0)
		return -1;
	if (t.pending > 0)
		return 0;
	if (t.bad > 0) {
		if (t.bad > 1)
			snprintf(reason, sizeof reason, "%s (and %lld more)", t.what, (long long)t.bad - 1);
		else
			snprintf(reason, sizeof reason, "%s", t.what);
		m.to = JOB_FAILED;
		m.reason = m.cause = reason;
	}
	return job_move(s, &m, e);
}

struct owner { int64_t job; bool delivering; enum delivery_state state; };

static int
find_owner(struct sql *s, int64_t id, struct owner *o, struct err *e)
{
	sqlite3_stmt *q = sql_query(s, "SELECT d.job, j.state = 'delivering', d.state = 'sending', d.state = 'delivered'"
	                               " FROM deliveries d JOIN jobs j ON j.id = d.job WHERE d.id = ?1", SQL_ARGS(sql_int(id)), e);
	int r = q ? sql_step(q, e) : -1;

	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no delivery %lld", (long long)id);
	if (r < 0)
		return -1;
	o->job = sqlite3_column_int64(q, 0);
	o->delivering = sqlite3_column_int(q, 1);
	o->state = sqlite3_column_int(q, 2) ? DELIVERY_SENDING : sqlite3_column_int(q, 3) ? DELIVERY_DELIVERED : DELIVERY_WAITING;
	sqlite3_reset(q);
	return 0;
}

int
delivery_settle(struct sql *s, int64_t id, enum delivery_state state, int64_t next_attempt_ms, const char *error, struct err *e)
{
	struct owner o = { .job = 0 };
	bool moves;

	if (find_owner(s, id, &o, e) < 0)
		return -1;
	moves = (o.state == DELIVERY_SENDING && state != DELIVERY_SENDING) || (o.state == DELIVERY_DELIVERED && state == DELIVERY_COMMITTED);
	if (!moves)
		return err_set(e, ERR_STATE, "delivery %lld is not on its way: it cannot become %s", (long long)id, state_names[state]);
	if (state == DELIVERY_WAITING && !o.delivering) {
		state = DELIVERY_GIVEN_UP; /* its job was cancelled meanwhile: no further attempt */
		error = error ? error : "the job was ended";
	}
	if (sql_run(s, "UPDATE deliveries SET state = ?2, next_attempt_ms = ?3, last_error = ?4 WHERE id = ?1",
	            SQL_ARGS(sql_int(id), sql_text(state_names[state]), sql_int(state == DELIVERY_WAITING ? next_attempt_ms : 0), sql_text(error)), e) < 0)
		return -1;
	return o.delivering ? delivery_end_job(s, o.job, e) : 0;
}

int
deliveries_settle(struct db *d, int64_t id, enum delivery_state state, int64_t next_attempt_ms, const char *error, struct err *e)
{
	struct sql *s = sql_write(d, e);

	return s == NULL ? -1 : sql_write_end(s, delivery_settle(s, id, state, next_attempt_ms, error, e), e);
}

/* ---- again ---- */

static int
retry(struct sql *s, int64_t job, struct err *e)
{
	struct job_move m = { .id = job, .attempt = JOB_ANY_ATTEMPT, .from = JOB_FAILED, .to = JOB_DELIVERING, .cause = "deliveries tried again" };

	if (job_move(s, &m, e) < 0)
		return -1;
	if (sql_run(s, "UPDATE delivery_objects SET state = 'waiting', words = '' WHERE state = 'refused' AND delivery IN"
	               " (SELECT id FROM deliveries WHERE job = ?1 AND state IN ('refused', 'given_up'))", SQL_ARGS(sql_int(job)), e) < 0)
		return -1;
	if (sql_run(s, "UPDATE deliveries SET state = 'waiting', created_ms = ?2, next_attempt_ms = 0, unheard = 0 WHERE job = ?1 AND state IN ('refused', 'given_up')",
	            SQL_ARGS(sql_int(job), sql_int(clock_ms())), e) < 0)
		return -1;
	return sql_changes(s) > 0 ? 0 : err_set(e, ERR_STATE, "job %lld has no result to deliver: it failed before", (long long)job);
}

int
deliveries_retry(struct db *d, int64_t job, struct err *e)
{
	struct sql *s = sql_write(d, e);

	return s == NULL ? -1 : sql_write_end(s, retry(s, job, e), e);
}

/* ---- given up ---- */

static int
give_up(struct sql *s, int64_t job, const char *destination, const char *why, struct err *e)
{
	sqlite3_stmt *q = sql_query(s, "SELECT d.id, d.state, j.state = 'delivering' FROM deliveries d JOIN jobs j ON j.id = d.job WHERE d.job = ?1 AND d.destination = ?2",
	                            SQL_ARGS(sql_int(job), sql_text(destination)), e);
	int r = q ? sql_step(q, e) : -1;
	bool is_delivering;
	char state[16];
	int64_t id;

	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "job %lld has no delivery to %.64s", (long long)job, destination);
	if (r < 0)
		return -1;
	id = sqlite3_column_int64(q, 0);
	SQL_COPY(q, 1, state);
	is_delivering = sqlite3_column_int(q, 2);
	sqlite3_reset(q);
	if (strcmp(state, "waiting") != 0)
		return err_set(e, ERR_STATE, "the delivery to %s is %s: only one that waits can be given up%s", destination, state,
		               strcmp(state, "sending") == 0 ? "; it waits again, or has ended, when the destination's timeout is over" : "");
	if (sql_run(s, "UPDATE deliveries SET state = 'given_up', next_attempt_ms = 0, last_error = CASE coalesce(last_error, '') WHEN '' THEN ?2 ELSE ?2 || '; last: ' || last_error END"
	               " WHERE id = ?1", SQL_ARGS(sql_int(id), sql_text(why)), e) < 0)
		return -1;
	return is_delivering ? delivery_end_job(s, job, e) : 0;
}

int
deliveries_give_up(struct db *d, int64_t job, const char *destination, const char *why, struct err *e)
{
	struct sql *s = sql_write(d, e);

	return s == NULL ? -1 : sql_write_end(s, give_up(s, job, destination, why, e), e);
}

struct state_count { enum delivery_state state; int64_t n, oldest_ms; };

static int
fill_count(sqlite3_stmt *q, void *element, struct err *e)
{
	(void)e; /* integers cannot fail */
	*(struct state_count *)element = (struct state_count){ (enum delivery_state)find_name(state_names, N_STATES, sqlite3_column_text(q, 0)),
		sqlite3_column_int64(q, 1), sqlite3_column_int64(q, 2) };
	return 0;
}

int
deliveries_count(struct db *d, int64_t by_state[DELIVERY_N_STATES], int64_t *oldest_ms, struct err *e)
{
	struct state_count *counts;
	size_t n;

	memset(by_state, 0, DELIVERY_N_STATES * sizeof *by_state);
	*oldest_ms = 0;
	if (sql_list(d, SQL_ASK(fill_count, *counts, "SELECT state, count(*), min(created_ms) FROM deliveries GROUP BY state", SQL_NONE), &counts, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		by_state[counts[i].state] = counts[i].n;
		if (counts[i].state <= DELIVERY_SENDING && (*oldest_ms == 0 || counts[i].oldest_ms < *oldest_ms))
			*oldest_ms = counts[i].oldest_ms;
	}
	free(counts);
	return 0;
}

int
deliveries_recover(struct db *d, int64_t now_ms, struct err *e)
{
	struct sql *s = sql_write(d, e);

	return s == NULL ? -1 : sql_write_end(s, sql_run(s, "UPDATE deliveries SET state = 'waiting', next_attempt_ms = ?1 WHERE state = 'sending'",
	                                                 SQL_ARGS(sql_int(now_ms)), e), e);
}

static int
reckon(struct sql *s, const char *destination, const struct delivery_times *t, struct err *e)
{
	if (sql_run(s, "UPDATE deliveries SET next_attempt_ms = min(next_attempt_ms, ?2), created_ms = min(max(created_ms, ?3), ?4) WHERE (?1 IS NULL OR destination = ?1)"
	               " AND (state IN ('waiting', 'sending') OR id IN (SELECT delivery FROM commitments WHERE open))",
	            SQL_ARGS(sql_text(destination), sql_int(t->latest_ms), sql_int(t->since_ms), sql_int(t->now_ms)), e) < 0)
		return -1;
	return sql_run(s, "UPDATE commitments SET next_ms = min(next_ms, ?2), since_ms = min(since_ms, ?3) WHERE open"
	                  " AND (?1 IS NULL OR delivery IN (SELECT id FROM deliveries WHERE destination = ?1))",
	               SQL_ARGS(sql_text(destination), sql_int(t->latest_ms), sql_int(t->now_ms)), e);
}

int
deliveries_reckon(struct db *d, const char *destination, const struct delivery_times *t, struct err *e)
{
	struct sql *s = sql_write(d, e);

	return s == NULL ? -1 : sql_write_end(s, reckon(s, destination, t, e), e);
}
