/* Associations: who brought what, and whether they said goodbye. An open association holds its series open; an aborted one marks them as interrupted. */
#include "db/instances.h"
#include "db/sql.h"

#include <stdlib.h>

int
associations_open_by(struct db *d, const struct association_peer *p, int64_t now_ms, int64_t *id, struct err *e)
{
	struct sql *s = sql_write(d, e);
	int r;

	if (s == NULL)
		return -1;
	r = sql_run(s, "UPDATE tallies SET n = n + 1 WHERE name = 'associations'", SQL_NONE, e);
	if (r == 0)
		r = sql_run(s, "INSERT INTO associations(id, peer_aet, address, token, role, opened_ms, state)"
		               " SELECT n, ?1, ?2, ?3, ?4, ?5, 'open' FROM tallies WHERE name = 'associations'",
		            SQL_ARGS(sql_text(p->aet), sql_text(p->address), sql_text(p->token), sql_text(p->role), sql_int(now_ms)), e);
	*id = sqlite3_last_insert_rowid(s->handle);
	return sql_write_end(s, r, e);
}

int
associations_open(struct db *d, const char *peer_aet, const char *address, int64_t now_ms, int64_t *id, struct err *e)
{
	return associations_open_by(d, &(const struct association_peer){ .aet = peer_aet, .address = address }, now_ms, id, e);
}

/* What it brought that was not here before, a row a study: PS3.15 A.5.3.7 has one patient a message. 110104: DICOM Instances Transferred; C: created here. What was found in the spool
 * (reindex.c) came from nobody. */
static const char tell[] =
	"INSERT INTO audit(time_ms, event, type, action, outcome, aet, address, token, role, study_uid, objects, text)"
	" SELECT ?2, 110104, 0, 'C', iif(?3, 0, 4), nullif(a.peer_aet, ''), nullif(a.address, ''), a.token, a.role, b.study_uid,"
	"  json_group_array(json_object('sop_class', b.sop_class, 'instances', b.n)), iif(?3, NULL, 'broken off: more may have been meant to come')"
	" FROM associations a, (SELECT i.study_uid, i.sop_class, count(*) n FROM contributions c JOIN instances i ON i.series_uid = c.series_uid"
	"  WHERE c.association = ?1 AND i.association = ?1 GROUP BY i.study_uid, i.sop_class) b"
	" WHERE a.id = ?1 AND NOT (a.peer_aet = '' AND a.address = '') GROUP BY b.study_uid";

/* The aborted one becomes the association of its series, but where the present one was opened after the last instance that this one brought. */
static const char take_over[] =
	"UPDATE series SET association = ?1"
	" WHERE series_uid IN (SELECT series_uid FROM contributions WHERE association = ?1) AND association <> ?1"
	"   AND (SELECT opened_ms FROM associations WHERE id = series.association)"
	"       <= (SELECT max(received_ms) FROM instances WHERE instances.series_uid = series.series_uid AND instances.association = ?1)";

/* It brought nothing, or what it brought has become another's. Its last instance or series otherwise takes it along (triggers, schema.c). */
static const char forget[] =
	"DELETE FROM associations WHERE id = ?1"
	" AND NOT EXISTS(SELECT 1 FROM instances WHERE association = ?1) AND NOT EXISTS(SELECT 1 FROM series WHERE association = ?1)";

/* 1: it was open, 0: it was not, -1 */
static int
end_one(struct sql *s, int64_t id, bool released, int64_t now_ms, struct err *e)
{
	if (sql_run(s, "UPDATE associations SET state = ?2, closed_ms = ?3 WHERE id = ?1 AND state = 'open'",
	            SQL_ARGS(sql_int(id), sql_text(released ? "released" : "aborted"), sql_int(now_ms)), e) < 0)
		return -1;
	if (sql_changes(s) == 0)
		return 0;
	if (sql_run(s, tell, SQL_ARGS(sql_int(id), sql_int(now_ms), sql_int(released)), e) < 0)
		return -1;
	if (!released && sql_run(s, take_over, SQL_ARGS(sql_int(id)), e) < 0)
		return -1;
	if (sql_run(s, "DELETE FROM contributions WHERE association = ?1", SQL_ARGS(sql_int(id)), e) < 0 || sql_run(s, forget, SQL_ARGS(sql_int(id)), e) < 0)
		return -1;
	return 1;
}

int
associations_close(struct db *d, int64_t id, bool released, int64_t now_ms, struct err *e)
{
	struct sql *s = sql_write(d, e);
	int r;

	if (s == NULL)
		return -1;
	r = end_one(s, id, released, now_ms, e);
	if (r == 0)
		r = err_set(e, ERR_STATE, "association %lld is not open", (long long)id);
	return sql_write_end(s, r < 0 ? -1 : 0, e);
}

int
associations_recover(struct db *d, int64_t now_ms, struct err *e)
{
	struct sql *s = sql_write(d, e);
	sqlite3_stmt *q;
	void *ids = NULL;
	size_t n = 0;
	int r = -1;

	if (s == NULL)
		return -1;
	q = sql_query(s, "SELECT id FROM associations WHERE state = 'open' ORDER BY id", SQL_NONE, e);
	if (q)
		r = sql_collect(q, sql_fill_int, sizeof(int64_t), &ids, &n, e);
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = end_one(s, ((int64_t *)ids)[i], false, now_ms, e);
	free(ids);
	return sql_write_end(s, r < 0 ? -1 : 0, e);
}

struct peer { char *aet, *address; };

static int
fill_peer(sqlite3_stmt *q, void *element, struct err *e)
{
	struct peer *p = element;

	(void)e; /* bounded copies cannot fail */
	sql_copy(q, 0, p->aet, 17);
	sql_copy(q, 1, p->address, 64);
	return 0;
}

int
associations_peer(struct db *d, int64_t id, char aet[17], char address[64], struct err *e)
{
	struct peer p = { aet, address };
	int r = sql_one(d, SQL_ASK(fill_peer, p, "SELECT peer_aet, address FROM associations WHERE id = ?1", SQL_ARGS(sql_int(id))), &p, e);

	return r == 0 ? err_set(e, ERR_NOT_FOUND, "there is no association %lld", (long long)id) : r < 0 ? -1 : 0;
}
