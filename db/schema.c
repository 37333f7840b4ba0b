/* The tables, as SQL text by version. Append a version, never edit one that has been released: files in the field went through it.
 * States are words, so that a person with the sqlite3 shell can read them. No column holds a patient's name, ID, birth date or accession number.
 * An index that no query of this room uses is only work for the disk: tests/unit/test_jobs.c proves that those on jobs are used. */
#include "db/sql.h"

#include <stdio.h>

/* Version 10. id: of an association. */
#define UNREFERENCED(id) \
	"state <> 'open' AND NOT EXISTS(SELECT 1 FROM instances WHERE association = " id ") AND NOT EXISTS(SELECT 1 FROM series WHERE association = " id ")"

const char *const schema_versions[] = {
	/* 1 */
	"CREATE TABLE node(id TEXT NOT NULL) STRICT;"
	"INSERT INTO node VALUES(lower(hex(randomblob(16))));"

	"CREATE TABLE associations("
	"  id INTEGER PRIMARY KEY, peer_aet TEXT NOT NULL, address TEXT NOT NULL, opened_ms INTEGER NOT NULL, closed_ms INTEGER,"
	"  state TEXT NOT NULL CHECK(state IN ('open', 'released', 'aborted'))) STRICT;"
	"CREATE INDEX associations_open ON associations(id) WHERE state = 'open';"

	"CREATE TABLE series("
	"  series_uid TEXT PRIMARY KEY, study_uid TEXT NOT NULL, modality TEXT NOT NULL,"
	"  n_instances INTEGER NOT NULL, revision INTEGER NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,"
	"  association INTEGER REFERENCES associations(id), ours INTEGER NOT NULL,"
	"  state TEXT NOT NULL CHECK(state IN ('open', 'waiting', 'complete', 'rejected', 'ignored')),"
	"  channel TEXT NOT NULL DEFAULT '', rule TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;"
	"CREATE INDEX series_study ON series(study_uid);"
	"CREATE INDEX series_unsettled ON series(series_uid) WHERE state IN ('open', 'waiting');"

	/* which open associations brought a part of which series; rows go when the association ends */
	"CREATE TABLE contributions("
	"  series_uid TEXT NOT NULL REFERENCES series(series_uid) ON DELETE CASCADE, association INTEGER NOT NULL REFERENCES associations(id),"
	"  PRIMARY KEY(series_uid, association)) STRICT, WITHOUT ROWID;"

	"CREATE TABLE instances("
	"  sop_uid TEXT PRIMARY KEY, sop_class TEXT NOT NULL, study_uid TEXT NOT NULL, series_uid TEXT NOT NULL REFERENCES series(series_uid),"
	"  transfer_syntax TEXT NOT NULL, modality TEXT NOT NULL, digest TEXT NOT NULL, content_digest TEXT NOT NULL,"
	"  size INTEGER NOT NULL, association INTEGER REFERENCES associations(id), received_ms INTEGER NOT NULL, ours INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE INDEX instances_series ON instances(series_uid);"

	/* times of 0: not yet. peak_ms: the highest created_ms so far, so it grows with id even where the clock did not */
	"CREATE TABLE jobs("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  state TEXT NOT NULL CHECK(state IN ('receiving', 'queued', 'running', 'delivering', 'done', 'failed', 'rejected', 'cancelled')),"
	"  study_uid TEXT NOT NULL, model_name TEXT NOT NULL, model_version TEXT NOT NULL, model_digest TEXT NOT NULL,"
	"  priority TEXT NOT NULL CHECK(priority IN ('high', 'normal', 'low')), case_version INTEGER NOT NULL, run INTEGER NOT NULL, attempt INTEGER NOT NULL,"
	"  created_ms INTEGER NOT NULL, peak_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL DEFAULT 0, finished_ms INTEGER NOT NULL DEFAULT 0,"
	"  replaces INTEGER REFERENCES jobs(id), progress REAL NOT NULL DEFAULT 0,"
	"  channels TEXT, fingerprint TEXT, reason TEXT, finding TEXT, flags TEXT, segments TEXT, results TEXT, timings TEXT) STRICT;"
	"CREATE UNIQUE INDEX jobs_case ON jobs(study_uid, model_name, case_version, run);"
	"CREATE INDEX jobs_queue ON jobs(CASE priority WHEN 'high' THEN 0 WHEN 'normal' THEN 1 ELSE 2 END, id) WHERE state = 'queued';"
	"CREATE INDEX jobs_peak ON jobs(peak_ms);"
	/* one for each combination of filters of jobs_list, each in the order of id */
	"CREATE INDEX jobs_state ON jobs(state);"
	"CREATE INDEX jobs_model ON jobs(model_name);"
	"CREATE INDEX jobs_version ON jobs(model_name, model_version);"
	"CREATE INDEX jobs_state_model ON jobs(state, model_name);"
	"CREATE INDEX jobs_state_version ON jobs(state, model_name, model_version);"

	"CREATE TABLE job_inputs("
	"  job INTEGER NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, position INTEGER NOT NULL, channel TEXT NOT NULL, sop_uid TEXT NOT NULL,"
	"  PRIMARY KEY(job, position)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE job_events("
	"  job INTEGER NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, position INTEGER NOT NULL, time_ms INTEGER NOT NULL, state TEXT NOT NULL,"
	"  cause TEXT NOT NULL, PRIMARY KEY(job, position)) STRICT, WITHOUT ROWID;"

	"CREATE TABLE deliveries("
	"  id INTEGER PRIMARY KEY, job INTEGER NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, destination TEXT NOT NULL,"
	"  state TEXT NOT NULL CHECK(state IN ('waiting', 'sending', 'delivered', 'committed', 'refused', 'given_up')),"
	"  attempts INTEGER NOT NULL DEFAULT 0, created_ms INTEGER NOT NULL, next_attempt_ms INTEGER NOT NULL DEFAULT 0, last_error TEXT,"
	"  UNIQUE(job, destination)) STRICT;"
	"CREATE INDEX deliveries_due ON deliveries(destination, next_attempt_ms, id) WHERE state = 'waiting';"
	"CREATE INDEX deliveries_sending ON deliveries(id) WHERE state = 'sending';",

	/* 2: a job has several results */
	"ALTER TABLE deliveries ADD COLUMN stored INTEGER NOT NULL DEFAULT 0;",

	/* 3: a database that was rebuilt or put back; jobs: the epoch in which they were made */
	"ALTER TABLE node ADD COLUMN epoch TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE jobs ADD COLUMN epoch TEXT NOT NULL DEFAULT '';",

	/* 4: what became of each object of a delivery, and how often in a row the destination could not be asked; when a queued job may be tried again */
	"CREATE TABLE delivery_objects("
	"  delivery INTEGER NOT NULL REFERENCES deliveries(id) ON DELETE CASCADE, position INTEGER NOT NULL,"
	"  state TEXT NOT NULL CHECK(state IN ('waiting', 'sent', 'stored', 'found', 'refused')),"
	"  asked TEXT NOT NULL CHECK(asked IN ('never', 'found', 'absent', 'in_vain')), revised INTEGER NOT NULL, words TEXT NOT NULL,"
	"  PRIMARY KEY(delivery, position)) STRICT, WITHOUT ROWID;"
	"WITH RECURSIVE o(delivery, position, stored) AS (SELECT id, 0, stored FROM deliveries WHERE stored > 0"
	"  UNION ALL SELECT delivery, position + 1, stored FROM o WHERE position + 1 < stored)"
	" INSERT INTO delivery_objects(delivery, position, state, asked, revised, words) SELECT delivery, position, 'stored', 'never', 0, '' FROM o;"
	"ALTER TABLE deliveries DROP COLUMN stored;"
	"ALTER TABLE deliveries ADD COLUMN unheard INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX deliveries_state ON deliveries(state, created_ms);"
	"ALTER TABLE jobs ADD COLUMN not_before_ms INTEGER NOT NULL DEFAULT 0;",

	/* 5: slices of a series that is settled, to compare */
	"ALTER TABLE series ADD COLUMN n_slices INTEGER NOT NULL DEFAULT 0;",

	/* 6: storage commitment */
	"CREATE TABLE commitments("
	"  delivery INTEGER PRIMARY KEY REFERENCES deliveries(id) ON DELETE CASCADE, open INTEGER NOT NULL, attempts INTEGER NOT NULL,"
	"  since_ms INTEGER NOT NULL, next_ms INTEGER NOT NULL) STRICT;"
	"CREATE INDEX commitments_open ON commitments(next_ms) WHERE open;"
	"CREATE TABLE commitment_transactions("
	"  uid TEXT PRIMARY KEY, delivery INTEGER NOT NULL REFERENCES commitments(delivery) ON DELETE CASCADE, asked_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE INDEX commitment_transactions_delivery ON commitment_transactions(delivery);",

	/* 7: what /metrics asks for every few seconds, counted as it changes: a count over all rows takes longer with every year */
	"CREATE TABLE tallies(name TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"WITH states(name) AS (VALUES('receiving'), ('queued'), ('running'), ('delivering'), ('done'), ('failed'), ('rejected'), ('cancelled'))"
	" INSERT INTO tallies SELECT 'jobs.' || name, (SELECT count(*) FROM jobs WHERE state = name) FROM states;"
	"INSERT INTO tallies SELECT 'instances', coalesce(sum(n_instances), 0) FROM series;"
	"INSERT INTO tallies SELECT 'studies', count(DISTINCT study_uid) FROM series;"
	"CREATE INDEX jobs_replaces ON jobs(replaces) WHERE replaces IS NOT NULL;" /* an insert that fires a trigger looks for children of the new row */
	"CREATE TRIGGER jobs_come AFTER INSERT ON jobs BEGIN UPDATE tallies SET n = n + 1 WHERE name = 'jobs.' || NEW.state; END;"
	"CREATE TRIGGER jobs_move AFTER UPDATE OF state ON jobs WHEN OLD.state != NEW.state BEGIN"
	" UPDATE tallies SET n = n - 1 WHERE name = 'jobs.' || OLD.state;"
	" UPDATE tallies SET n = n + 1 WHERE name = 'jobs.' || NEW.state; END;"
	"CREATE TRIGGER jobs_go AFTER DELETE ON jobs BEGIN UPDATE tallies SET n = n - 1 WHERE name = 'jobs.' || OLD.state; END;"
	"CREATE TRIGGER series_come AFTER INSERT ON series BEGIN"
	" UPDATE tallies SET n = n + NEW.n_instances WHERE name = 'instances';"
	" UPDATE tallies SET n = n + 1 WHERE name = 'studies'"
	"  AND NOT EXISTS(SELECT 1 FROM series WHERE study_uid = NEW.study_uid AND series_uid != NEW.series_uid); END;"
	"CREATE TRIGGER series_grow AFTER UPDATE OF n_instances ON series BEGIN"
	" UPDATE tallies SET n = n + NEW.n_instances - OLD.n_instances WHERE name = 'instances'; END;"
	"CREATE TRIGGER series_go AFTER DELETE ON series BEGIN"
	" UPDATE tallies SET n = n - OLD.n_instances WHERE name = 'instances';"
	" UPDATE tallies SET n = n - 1 WHERE name = 'studies' AND NOT EXISTS(SELECT 1 FROM series WHERE study_uid = OLD.study_uid); END;",

	/* 8: the audit trail (audit.h); audit_told: the last row that was told to the syslog; whose token sent by STOW-RS */
	"CREATE TABLE audit("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT, time_ms INTEGER NOT NULL, event INTEGER NOT NULL, type INTEGER NOT NULL,"
	"  action TEXT NOT NULL CHECK(action IN ('C', 'R', 'U', 'D', 'E')), outcome INTEGER NOT NULL CHECK(outcome IN (0, 4, 8, 12)),"
	"  aet TEXT, address TEXT, token TEXT, role TEXT, user TEXT, study_uid TEXT, destination TEXT, objects TEXT, text TEXT, job INTEGER) STRICT;"
	"CREATE INDEX audit_time ON audit(time_ms);"
	"CREATE INDEX audit_study ON audit(study_uid) WHERE study_uid IS NOT NULL;"
	"CREATE INDEX audit_job ON audit(job, destination) WHERE job IS NOT NULL;"
	"CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit trail is not changed'); END;"
	"CREATE TABLE audit_told(id INTEGER NOT NULL) STRICT;"
	"INSERT INTO audit_told VALUES(0);"
	"ALTER TABLE associations ADD COLUMN token TEXT;"
	"ALTER TABLE associations ADD COLUMN role TEXT;",

	/* 9: retention. jobs: when its results, and the images of its study, were removed; what its results take, null: not measured since it last moved */
	"ALTER TABLE jobs ADD COLUMN removed_ms INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE jobs ADD COLUMN bytes INTEGER;"
	"CREATE INDEX jobs_kept ON jobs(study_uid) WHERE removed_ms = 0;"
	"CREATE INDEX jobs_unmeasured ON jobs(id) WHERE bytes IS NULL AND removed_ms = 0 AND state IN ('done', 'failed', 'rejected', 'cancelled');"
	/* what jobs have read and is removed */
	"CREATE TABLE removed_instances("
	"  sop_uid TEXT PRIMARY KEY, transfer_syntax TEXT NOT NULL, digest TEXT NOT NULL, content_digest TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	/* files that are still to be removed: an instance's, or the results of a job */
	"CREATE TABLE leftovers(id INTEGER PRIMARY KEY, sop_uid TEXT, job INTEGER) STRICT;"
	"INSERT INTO tallies SELECT 'bytes', coalesce(sum(size), 0) FROM instances;"
	"CREATE TRIGGER instances_come AFTER INSERT ON instances BEGIN UPDATE tallies SET n = n + NEW.size WHERE name = 'bytes'; END;"
	"CREATE TRIGGER instances_go AFTER DELETE ON instances BEGIN UPDATE tallies SET n = n - OLD.size WHERE name = 'bytes'; END;"
	"CREATE TRIGGER jobs_weigh AFTER UPDATE OF bytes ON jobs WHEN OLD.bytes IS NOT NEW.bytes BEGIN"
	" UPDATE tallies SET n = n + coalesce(NEW.bytes, 0) - coalesce(OLD.bytes, 0) WHERE name = 'bytes'; END;",

	/* 10: associations go with the last that they brought (what brought nothing, when it ends); the tally has given numbers: none is given twice */
	"INSERT INTO tallies SELECT 'associations', coalesce(max(id), 0) FROM associations;"
	"CREATE INDEX instances_association ON instances(association);"
	"CREATE INDEX series_association ON series(association);"
	"DELETE FROM associations WHERE " UNREFERENCED("associations.id") ";"
	"CREATE TRIGGER instances_leave AFTER DELETE ON instances BEGIN DELETE FROM associations WHERE id = OLD.association AND " UNREFERENCED("OLD.association") "; END;"
	"CREATE TRIGGER series_leave AFTER DELETE ON series BEGIN DELETE FROM associations WHERE id = OLD.association AND " UNREFERENCED("OLD.association") "; END;"
	"CREATE TRIGGER series_change AFTER UPDATE OF association ON series WHEN OLD.association IS NOT NEW.association BEGIN"
	" DELETE FROM associations WHERE id = OLD.association AND " UNREFERENCED("OLD.association") "; END;",
};
const int schema_newest = sizeof schema_versions / sizeof schema_versions[0];

int
schema_apply(sqlite3 *h, const char *const *versions, int n, struct err *e)
{
	char mark[64];
	int64_t at;

	if (sql_exec(h, "BEGIN IMMEDIATE", e) < 0)
		return -1;
	if (sql_exec_int(h, "PRAGMA user_version", &at, e) < 0)
		goto out;
	for (int64_t i = at; i < n; i++)
		if (sql_exec(h, versions[i], e) < 0) {
			err_note(e, "schema version %d", (int)i + 1);
			goto out;
		}
	snprintf(mark, sizeof mark, "PRAGMA user_version = %d", n);
	if (at < n && sql_exec(h, mark, e) < 0)
		goto out;
	if (sql_exec(h, "COMMIT", e) < 0)
		goto out;
	return 0;
out:
	if (!sqlite3_get_autocommit(h))
		(void)sqlite3_exec(h, "ROLLBACK", NULL, NULL, NULL); /* e says why already */
	return -1;
}
