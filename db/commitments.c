/* Storage commitment of deliveries: see commitments.h. */
#include "db/commitments.h"

#include "db/moves.h"

#include <string.h>

#define COMMITMENT_COLUMNS "SELECT c.delivery, v.job, c.attempts, c.since_ms, v.attempts, v.created_ms, v.destination, c.open AND v.state = 'delivered'" \
	" FROM commitments c JOIN deliveries v ON v.id = c.delivery "

static int
fill_commitment(sqlite3_stmt *q, void *element, struct err *e)
{
	struct commitment *c = element;

	(void)e; /* bounded copies cannot fail */
	c->delivery = sqlite3_column_int64(q, 0);
	c->job = sqlite3_column_int64(q, 1);
	c->attempts = sqlite3_column_int64(q, 2);
	c->since_ms = sqlite3_column_int64(q, 3);
	c->delivery_attempts = sqlite3_column_int64(q, 4);
	c->delivery_since_ms = sqlite3_column_int64(q, 5);
	SQL_COPY(q, 6, c->destination);
	c->is_open = sqlite3_column_int(q, 7) != 0;
	return 0;
}

/* ---- begun, asked, found ---- */

static int
begin(struct sql *s, int64_t delivery, int64_t now_ms, const char *words, struct err *e)
{
	if (sql_run(s, "INSERT INTO commitments(delivery, open, attempts, since_ms, next_ms) VALUES(?1, 1, 0, ?2, ?2)"
	               " ON CONFLICT(delivery) DO UPDATE SET open = 1, attempts = 0, since_ms = ?2, next_ms = ?2", SQL_ARGS(sql_int(delivery), sql_int(now_ms)), e) < 0)
		return -1;
	return delivery_settle(s, delivery, DELIVERY_DELIVERED, 0, words, e);
}

int
commitments_begin(struct db *d, int64_t delivery, int64_t now_ms, const char *words, struct err *e)
{
	struct sql *s = sql_write(d, e);

	return s == NULL ? -1 : sql_write_end(s, begin(s, delivery, now_ms, words, e), e);
}

struct claim { const char *destination, *transaction; int64_t now_ms, again_ms; };

static int
claim(struct sql *s, const struct claim *k, struct commitment *out, struct err *e)
{
	sqlite3_stmt *q = sql_query(s, COMMITMENT_COLUMNS "JOIN jobs j ON j.id = v.job WHERE c.open AND c.next_ms <= ?2 AND v.state = 'delivered' AND v.destination = ?1"
	                               " AND j.state = 'delivering' ORDER BY c.next_ms, c.delivery LIMIT 1", SQL_ARGS(sql_text(k->destination), sql_int(k->now_ms)), e);
	int r = q ? sql_step(q, e) : -1;

	if (r < 0)
		return -1;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "no storage commitment is due at %s", k->destination);
	memset(out, 0, sizeof *out);
	fill_commitment(q, out, e);
	sqlite3_reset(q);
	out->attempts++;
	if (sql_run(s, "UPDATE commitments SET attempts = attempts + 1, next_ms = ?2 WHERE delivery = ?1", SQL_ARGS(sql_int(out->delivery), sql_int(k->again_ms)), e) < 0)
		return -1;
	return sql_run(s, "INSERT INTO commitment_transactions(uid, delivery, asked_ms) VALUES(?1, ?2, ?3)",
	               SQL_ARGS(sql_text(k->transaction), sql_int(out->delivery), sql_int(k->now_ms)), e);
}

int
commitments_claim(struct db *d, const char *destination, int64_t now_ms, int64_t again_ms, const char *transaction, struct commitment *out, struct err *e)
{
	const struct claim k = { destination, transaction, now_ms, again_ms };
	struct sql *s = sql_write(d, e);

	return s == NULL ? -1 : sql_write_end(s, claim(s, &k, out, e), e);
}

int
commitments_next_ms(struct db *d, const char *destination, int64_t *next_ms, struct err *e)
{
	int r = sql_one(d, SQL_ASK(sql_fill_int, *next_ms, "SELECT c.next_ms FROM commitments c JOIN deliveries v ON v.id = c.delivery JOIN jobs j ON j.id = v.job"
	                                                   " WHERE c.open AND v.state = 'delivered' AND v.destination = ?1 AND j.state = 'delivering' ORDER BY c.next_ms LIMIT 1",
	                           SQL_ARGS(sql_text(destination))), next_ms, e);

	if (r == 0)
		*next_ms = INT64_MAX;
	return r < 0 ? -1 : 0;
}

int
commitments_find(struct db *d, const char *transaction, struct commitment *out, struct err *e)
{
	int r = sql_one(d, SQL_ASK(fill_commitment, *out, COMMITMENT_COLUMNS "JOIN commitment_transactions t ON t.delivery = c.delivery WHERE t.uid = ?1",
	                           SQL_ARGS(sql_text(transaction))), out, e);

	return r == 0 ? err_set(e, ERR_NOT_FOUND, "transaction %s is none of ours", transaction) : r < 0 ? -1 : 0;
}

int
commitments_open(struct db *d, struct commitment **out, size_t *n, struct err *e)
{
	return sql_list(d, SQL_ASK(fill_commitment, **out, COMMITMENT_COLUMNS "WHERE c.open AND v.state = 'delivered' ORDER BY c.next_ms", SQL_NONE), out, n, e);
}

/* ---- what became of it ---- */

static int
not_open(int64_t delivery, struct err *e)
{
	return err_set(e, ERR_STATE, "the storage commitment of delivery %lld is not open", (long long)delivery);
}

int
commitments_later(struct db *d, int64_t delivery, int64_t next_ms, const char *words, struct err *e)
{
	struct sql *s = sql_write(d, e);
	int rc;

	if (s == NULL)
		return -1;
	rc = sql_run(s, "UPDATE commitments SET next_ms = ?2 WHERE delivery = ?1 AND open", SQL_ARGS(sql_int(delivery), sql_int(next_ms)), e);
	if (rc == 0 && sql_changes(s) == 0)
		rc = not_open(delivery, e);
	if (rc == 0 && words != NULL)
		rc = sql_run(s, "UPDATE deliveries SET last_error = ?2 WHERE id = ?1 AND state = 'delivered'", SQL_ARGS(sql_int(delivery), sql_text(words)), e);
	return sql_write_end(s, rc, e);
}

/* *job: where it is delivering, else 0. */
static int
find_delivering(struct sql *s, int64_t delivery, int64_t *job, struct err *e)
{
	sqlite3_stmt *q = sql_query(s, "SELECT j.id FROM deliveries v JOIN jobs j ON j.id = v.job WHERE v.id = ?1 AND j.state = 'delivering'", SQL_ARGS(sql_int(delivery)), e);
	int r = q ? sql_step(q, e) : -1;

	*job = 0;
	if (r == 1) {
		*job = sqlite3_column_int64(q, 0);
		sqlite3_reset(q);
	}
	return r < 0 ? -1 : 0;
}

/* The archive itself says that it has them not. */
static int
lose(struct sql *s, int64_t delivery, const struct commitment_end *how, struct err *e)
{
	for (size_t i = 0; i < how->n_lost; i++)
		if (sql_run(s, "UPDATE delivery_objects SET state = 'waiting', asked = 'absent' WHERE delivery = ?1 AND position = ?2",
		            SQL_ARGS(sql_int(delivery), sql_int(how->lost[i])), e) < 0)
			return -1;
	return 0;
}

static int
end(struct sql *s, int64_t delivery, const struct commitment_end *how, struct err *e)
{
	enum delivery_state state = how->state;
	int64_t job;

	if (find_delivering(s, delivery, &job, e) < 0 || sql_run(s, "UPDATE commitments SET open = 0 WHERE delivery = ?1 AND open", SQL_ARGS(sql_int(delivery)), e) < 0)
		return -1;
	if (sql_changes(s) == 0)
		return not_open(delivery, e);
	if (state == DELIVERY_WAITING && job == 0)
		state = DELIVERY_GIVEN_UP; /* its job was cancelled meanwhile: it is not sent again */
	if (sql_run(s, "UPDATE deliveries SET state = ?2, next_attempt_ms = ?3, last_error = ?4 WHERE id = ?1 AND state = 'delivered'",
	            SQL_ARGS(sql_int(delivery), sql_text(delivery_state_name(state)), sql_int(state == DELIVERY_WAITING ? how->next_ms : 0), sql_text(how->words)), e) < 0)
		return -1;
	if (state == DELIVERY_WAITING && lose(s, delivery, how, e) < 0)
		return -1;
	return job == 0 ? 0 : delivery_end_job(s, job, e);
}

int
commitments_end(struct db *d, int64_t delivery, const struct commitment_end *how, struct err *e)
{
	struct sql *s = sql_write(d, e);

	return s == NULL ? -1 : sql_write_end(s, end(s, delivery, how, e), e);
}
