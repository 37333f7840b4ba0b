/* The database file: made once, kept, refused when newer, foreign, cut off or damaged, never overwritten. */
#include "db/audit.h"
#include "db/db.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "db/sql.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[256], path[300];

static int
set_up(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(folder, sizeof folder, "%s/test_db.XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/segand.db", folder);
	return 0;
}

static int
tear_down(void **state)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	char name[320];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		snprintf(name, sizeof name, "%s%s", path, ends[i]);
		unlink(name);
	}
	return rmdir(folder); /* fails where a temporary file was left */
}

static const char *
folder_file(const char *name)
{
	static char all[4][320];
	static unsigned next;
	char *file = all[next++ % 4];

	snprintf(file, 320, "%s/%s", folder, name);
	return file;
}

static void
change(const char *sql)
{
	sqlite3 *h;

	assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
	assert_int_equal(sqlite3_exec(h, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(h);
}

static char *
bytes_of(const char *name, size_t *n)
{
	int fd = open(name, O_RDONLY);
	struct stat st;
	char *bytes;

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	bytes = malloc((size_t)st.st_size + 1);
	*n = (size_t)st.st_size;
	assert_int_equal(read(fd, bytes, *n), *n);
	close(fd);
	return bytes;
}

/* Refused with ERR_STATE in words, and not a byte is different afterwards. */
static void
assert_refused(const char *word)
{
	size_t before_n, after_n;
	char *before = bytes_of(path, &before_n), *after;
	struct err e;

	assert_null(db_open(path, &e));
	assert_int_equal(e.code, ERR_STATE);
	assert_non_null(strstr(e.text, path));
	assert_non_null(strstr(e.text, word));
	assert_non_null(strstr(e.text, "segan restore"));
	assert_non_null(strstr(e.text, "segan spool reindex"));
	after = bytes_of(path, &after_n);
	assert_int_equal(before_n, after_n);
	assert_memory_equal(before, after, before_n);
	free(before);
	free(after);
}

static void
test_node_id_and_mode_are_kept(void **state)
{
	struct err e;
	struct db *d = db_open(path, &e);
	struct stat st;
	char id[64];

	(void)state;
	assert_non_null(d);
	assert_int_equal(strlen(db_node_id(d)), 32);
	snprintf(id, sizeof id, "%s", db_node_id(d));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	db_close(d);
	d = db_open(path, &e);
	assert_non_null(d);
	assert_string_equal(db_node_id(d), id);
	db_close(d);
	db_close(NULL);
}

static void
test_durable_settings(void **state)
{
	struct err e;
	struct db *d = db_open(path, &e);
	int64_t v = 0;

	(void)state;
	assert_non_null(d);
	assert_int_equal(sql_exec_int(d->writer->handle, "PRAGMA synchronous", &v, &e), 0);
	assert_int_equal(v, 2); /* FULL */
	assert_int_equal(sql_exec_int(d->writer->handle, "PRAGMA foreign_keys", &v, &e), 0);
	assert_int_equal(v, 1);
	assert_int_equal(sql_exec_int(d->writer->handle, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'", &v, &e), 0);
	assert_int_equal(v, 1);
	db_close(d);
}

/* A lazy commit does not make the next one lazy. */
static void
test_lazy_is_only_for_once(void **state)
{
	static const int64_t levels[] = { 2, 1, 1, 2 }; /* FULL, NORMAL */
	struct err e;
	struct db *d = db_open(path, &e);
	int64_t v;

	(void)state;
	assert_non_null(d);
	for (int i = 0; i < 4; i++) {
		struct sql *s = levels[i] == 2 ? sql_write(d, &e) : sql_write_lazy(d, &e);
		assert_non_null(s);
		assert_int_equal(sql_exec_int(s->handle, "PRAGMA synchronous", &v, &e), 0);
		assert_int_equal(v, levels[i]);
		assert_int_equal(sql_write_end(s, 0, &e), 0);
	}
	db_close(d);
}

static void
test_newer_and_foreign_are_refused(void **state)
{
	struct err e;
	char sql[64];

	(void)state;
	db_close(db_open(path, &e));
	snprintf(sql, sizeof sql, "PRAGMA user_version = %d", schema_newest + 1);
	change(sql);
	assert_refused("newer");
	unlink(path);
	change("CREATE TABLE t(x)");
	assert_refused("another program");
}

static void
write_bytes(off_t at, const char *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, n, at), n);
	close(fd);
}

static void
test_damaged_is_refused(void **state)
{
	static const char text[] = "this is a text file, and a long one: it has more bytes than the header of a database, which is a hundred of them";
	char junk[4096];
	struct err e;

	(void)state;
	write_bytes(0, text, sizeof text);
	assert_refused("damaged");
	unlink(path);
	write_bytes(0, "", 0);
	assert_refused("empty");
	unlink(path);
	db_close(db_open(path, &e));
	memset(junk, 0xA5, sizeof junk);
	for (off_t page = 1; page < 8; page++)
		write_bytes(page * 4096, junk, sizeof junk);
	assert_refused("damaged");
	assert_int_equal(truncate(path, 5000), 0);
	assert_refused("damaged");
}

/* The rows are only in the log: a damaged file keeps its log as it is, and a log without its file is not covered by a new database. */
static void
test_log_is_kept(void **state)
{
	struct err e;
	char log[320], *before, *after, junk[8192];
	size_t n, m;
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		int64_t id;
		struct db *d = db_open(path, &e);
		if (d == NULL || associations_open(d, "A", "127.0.0.1", 1, &id, &e) < 0)
			_exit(1);
		raise(SIGKILL); /* without db_close: the log stays */
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	snprintf(log, sizeof log, "%s-wal", path);
	before = bytes_of(log, &n);
	assert_true(n > 0);
	memset(junk, 0, sizeof junk);
	write_bytes(0, junk, sizeof junk);
	assert_refused("damaged");
	after = bytes_of(log, &m);
	assert_int_equal(n, m);
	assert_memory_equal(before, after, n);
	free(before);
	free(after);
	unlink(path);
	assert_null(db_open(path, &e));
	assert_int_equal(e.code, ERR_STATE);
	assert_non_null(strstr(e.text, "-wal"));
	assert_int_equal(access(path, F_OK), -1);
}

static void
test_folder_missing(void **state)
{
	struct err e;

	(void)state;
	assert_null(db_open("/nowhere/at/all/segand.db", &e));
	assert_int_equal(e.code, ERR_IO);
}

static void
test_migration(void **state)
{
	static const char *const versions[] = { "CREATE TABLE a(x); INSERT INTO a VALUES(1)", "ALTER TABLE a ADD COLUMN y DEFAULT 7",
	                                        "CREATE TABLE b(x); SELECT nonsense" };
	struct err e;
	sqlite3 *h;
	int64_t v;

	(void)state;
	assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
	assert_int_equal(schema_apply(h, versions, 1, &e), 0);
	assert_int_equal(schema_apply(h, versions, 2, &e), 0);
	assert_int_equal(schema_apply(h, versions, 2, &e), 0); /* nothing left to do */
	assert_int_equal(sql_exec_int(h, "SELECT sum(x + y) FROM a", &v, &e), 0);
	assert_int_equal(v, 8);
	assert_int_equal(schema_apply(h, versions, 3, &e), -1); /* whole or not at all */
	assert_non_null(strstr(e.text, "schema version 3"));
	assert_true(sqlite3_get_autocommit(h));
	assert_int_equal(sql_exec_int(h, "PRAGMA user_version", &v, &e), 0);
	assert_int_equal(v, 2);
	assert_int_equal(sql_exec_int(h, "SELECT count(*) FROM sqlite_schema WHERE name = 'b'", &v, &e), 0);
	assert_int_equal(v, 0);
	sqlite3_close(h);
}

/* Two processes write in turns; neither loses a row. */
static void
test_second_writer_process(void **state)
{
	enum { ROWS = 30 };
	struct err e;
	struct db *d = db_open(path, &e);
	int64_t id, count;
	int status;
	pid_t child;

	(void)state;
	db_close(d);
	child = fork();
	d = db_open(path, &e);
	for (int i = 0; d && i < ROWS; i++)
		if (associations_open(d, child ? "PARENT" : "CHILD", "127.0.0.1", i, &id, &e) < 0) {
			db_close(d);
			d = NULL;
		}
	if (child == 0)
		_exit(d == NULL);
	assert_non_null(d);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(sql_exec_int(d->writer->handle, "SELECT count(*) FROM associations", &count, &e), 0);
	assert_int_equal(count, 2 * ROWS);
	db_close(d);
}

static void
test_failures_in_words(void **state)
{
	static const struct { int rc; enum err_code code; } expected[] = {
		{ SQLITE_FULL, ERR_LIMIT }, { SQLITE_NOMEM, ERR_LIMIT }, { SQLITE_BUSY, ERR_IO }, { SQLITE_BUSY_SNAPSHOT, ERR_IO }, { SQLITE_IOERR_FSYNC, ERR_IO },
		{ SQLITE_CORRUPT, ERR_IO }, { SQLITE_READONLY, ERR_IO }, { SQLITE_CONSTRAINT_UNIQUE, ERR_BUG }, { SQLITE_MISUSE, ERR_BUG },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		assert_int_equal(sql_fail(NULL, expected[i].rc, &e), -1);
		assert_int_equal(e.code, expected[i].code);
		assert_true(strlen(e.text) > 10);
	}
}

static void
test_copies_are_bounded(void **state)
{
	/* size of the array -> what fits of "aä€😀z", whose characters have 1, 2, 3, 4, 1 bytes */
	static const char *const fits[] = { NULL, "", "a", "a", "aä", "aä", "aä", "aä€", "aä€", "aä€", "aä€", "aä€😀", "aä€😀z", "aä€😀z" };
	sqlite3_stmt *q;
	sqlite3 *h;
	char out[16];

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &h), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(h, "SELECT 'aä€😀z', NULL, ''", -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	for (size_t size = 1; size < sizeof fits / sizeof fits[0]; size++) {
		memset(out, 'x', sizeof out);
		sql_copy(q, 0, out, size);
		assert_string_equal(out, fits[size]);
		assert_int_equal(out[size], 'x');
	}
	SQL_COPY(q, 1, out);
	assert_string_equal(out, "");
	SQL_COPY(q, 2, out);
	assert_string_equal(out, "");
	sqlite3_finalize(q);
	sqlite3_close(h);
}

/* Needs the right to mount a small file system: says so and passes where it has none. */
static void
test_full_disk(void **state)
{
	char name[320], filler[320], bulk[4096];
	struct db *d;
	struct err e;
	int64_t id;
	int fd, r = 0;

	(void)state;
	snprintf(name, sizeof name, "%s/small", folder);
	assert_int_equal(mkdir(name, 0700), 0);
	if (mount("tmpfs", name, "tmpfs", 0, "size=1m") < 0) {
		print_message("not run: no right to mount a tmpfs\n");
		rmdir(name);
		return;
	}
	snprintf(filler, sizeof filler, "%s/small/filler", folder);
	snprintf(path, sizeof path, "%s/small/segand.db", folder);
	d = db_open(path, &e);
	assert_non_null(d);
	fd = open(filler, O_WRONLY | O_CREAT, 0600);
	memset(bulk, 1, sizeof bulk);
	while (write(fd, bulk, sizeof bulk) > 0)
		;
	for (int i = 0; i < 1000 && r == 0; i++)
		r = associations_open(d, "A", "127.0.0.1", 1, &id, &e);
	assert_int_equal(r, -1);
	assert_int_equal(e.code, ERR_LIMIT);
	assert_non_null(strstr(e.text, "disk is full"));
	close(fd);
	unlink(filler);
	assert_int_equal(associations_open(d, "B", "127.0.0.1", 1, &id, &e), 0); /* the same connection goes on once there is room */
	db_close(d);
	assert_int_equal(umount(name), 0);
	rmdir(name);
	snprintf(path, sizeof path, "%s/segand.db", folder);
}

/* ---- under way ---- */

static void
move(const char *end, const char *to)
{
	char from[320], name[320];

	snprintf(from, sizeof from, "%s%s", path, end);
	snprintf(name, sizeof name, "%s%s", path, to);
	assert_int_equal(rename(from, name), 0);
}

/* Whichever of the three files goes: nothing is committed while it is away, everything is when the very file is back. */
static void
test_removed_while_open(void **state)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	struct err e;
	struct db *d = db_open(path, &e);
	struct sql *s;
	int64_t id;
	char away[16];

	(void)state;
	assert_non_null(d);
	assert_int_equal(db_in_place(d, &e), 0);
	for (size_t i = 0; i < 3; i++) {
		snprintf(away, sizeof away, "%s.away", ends[i]);
		move(ends[i], away);
		assert_int_equal(associations_open(d, "A", "127.0.0.1", 1, &id, &e), -1);
		assert_int_equal(e.code, ERR_IO);
		assert_non_null(strstr(e.text, "was removed"));
		assert_non_null(strstr(e.text, path));
		move(away, ends[i]);
		assert_int_equal(associations_open(d, "A", "127.0.0.1", 1, &id, &e), 0);
	}
	assert_non_null(s = sql_write(d, &e));
	move("", ".away");
	assert_int_equal(sql_write_end(s, 0, &e), -1); /* after the commit, too */
	move(".away", "");
	db_close(d);
}

/* Another database in its place: refused, and closing does not remove a log that is not ours. */
static void
test_replaced_while_open(void **state)
{
	struct err e;
	struct db *d = db_open(path, &e);
	char log[320];
	int64_t id;

	(void)state;
	assert_non_null(d);
	assert_int_equal(db_copy(path, folder_file("copy"), &e), 0);
	move("", ".away");
	move("-wal", ".away-wal");
	assert_int_equal(rename(folder_file("copy"), path), 0);
	snprintf(log, sizeof log, "%s-wal", path);
	assert_int_equal(close(open(log, O_WRONLY | O_CREAT, 0600)), 0);
	assert_int_equal(associations_open(d, "A", "127.0.0.1", 1, &id, &e), -1);
	assert_non_null(strstr(e.text, "was replaced"));
	db_close(d);
	assert_int_equal(access(log, F_OK), 0);
	unlink(folder_file("segand.db.away"));
	unlink(folder_file("segand.db.away-wal"));
}

/* ---- for commands ---- */

static void
assert_health(enum db_health wanted, const char *word)
{
	enum db_health health;
	struct err why = { 0 }, e;

	assert_int_equal(db_health(path, &health, &why, &e), 0);
	assert_int_equal(health, wanted);
	if (word != NULL)
		assert_non_null(strstr(why.text, word));
}

static void
test_health(void **state)
{
	struct err e;
	char sql[64], id[DB_NODE_ID];

	(void)state;
	assert_health(DB_ABSENT, "not there");
	assert_int_equal(access(path, F_OK), -1); /* and none was made */
	write_bytes(0, "", 0);
	assert_health(DB_BROKEN, "empty");
	unlink(path);
	db_close(db_open(path, &e));
	assert_health(DB_GOOD, NULL);
	change("DROP INDEX jobs_kept");
	assert_health(DB_BROKEN, "has no index jobs_kept");
	change("DROP TABLE delivery_objects");
	assert_health(DB_BROKEN, "has no table delivery_objects");
	snprintf(sql, sizeof sql, "PRAGMA user_version = %d", schema_newest + 1);
	change(sql);
	assert_health(DB_NEWER, "newer");
	assert_int_equal(db_read_node_id(path, id, &e), 0);
	assert_int_equal(strlen(id), DB_NODE_ID - 1);
	assert_int_equal(truncate(path, 5000), 0);
	assert_health(DB_BROKEN, "damaged");
}

static void
test_made_with_an_id_in_an_epoch_of_its_own(void **state)
{
	static const char id[] = "0123456789abcdef0123456789abcdef";
	struct job j = { .state = JOB_RECEIVING, .study_uid = "1.2", .model_name = "m", .model_version = "1", .model_digest = "d", .case_version = 1 }, out;
	char epoch[17];
	struct err e;
	struct db *d;
	int64_t job;

	(void)state;
	assert_int_equal(db_create(path, id, &e), 0);
	assert_int_equal(db_create(path, id, &e), -1);
	d = db_open(path, &e);
	assert_non_null(d);
	assert_string_equal(db_node_id(d), id);
	for (int i = 1; i <= 3; i++) {
		j.case_version = i;
		assert_int_equal(jobs_create(d, &j, &job, &e), 0);
		assert_int_equal(jobs_get(d, job, &out, &e), 0);
		assert_int_equal(strlen(out.epoch), 8);
		if (i == 2)
			assert_string_equal(out.epoch, epoch); /* kept */
		if (i == 3)
			assert_string_not_equal(out.epoch, epoch);
		snprintf(epoch, sizeof epoch, "%s", out.epoch);
		job_release(&out);
		if (i == 2)
			assert_int_equal(db_begin_epoch(d, &e), 0);
	}
	db_close(d);
}

/* While it is written to: one snapshot, in one file that opens as a database of the same node. */
static void
test_copied_while_in_use(void **state)
{
	struct err e;
	struct db *d = db_open(path, &e), *copy;
	int64_t id, count = 0;

	(void)state;
	assert_non_null(d);
	assert_int_equal(associations_open(d, "A", "127.0.0.1", 1, &id, &e), 0);
	assert_int_equal(db_copy(path, folder_file("copy"), &e), 0);
	assert_int_equal(db_copy(path, folder_file("copy"), &e), -1); /* never over a file */
	assert_int_equal(associations_open(d, "A", "127.0.0.1", 2, &id, &e), 0);
	assert_int_equal(access(folder_file("copy-wal"), F_OK), -1);
	copy = db_open(folder_file("copy"), &e);
	assert_non_null(copy);
	assert_string_equal(db_node_id(copy), db_node_id(d));
	assert_int_equal(sql_exec_int(copy->writer->handle, "SELECT count(*) FROM associations", &count, &e), 0);
	assert_int_equal(count, 1);
	db_close(copy);
	unlink(folder_file("copy"));
	db_close(d);
}

/* As a command beside a running node: the file as it is, and nothing but what it adds. */
static void
test_join(void **state)
{
	const struct audit_entry a = { .event = AUDIT_SECURITY_ALERT, .action = 'E', .text = "beside" };
	struct audit_filter all = { .limit = 10 };
	struct audit_row *rows;
	struct db *d, *beside;
	struct err e;
	char sql[64];
	size_t n;

	(void)state;
	assert_null(db_join(path, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(access(path, F_OK), -1);
	d = db_open(path, &e);
	assert_non_null(d);
	beside = db_join(path, &e);
	assert_non_null(beside);
	assert_string_equal(db_node_id(beside), db_node_id(d));
	assert_int_equal(audit_add(beside, &a, &e), 0);
	db_close(beside);
	assert_int_equal(audit_untold(d, 10, &rows, &n, &e), 0); /* the node tells it to the syslog */
	assert_int_equal(n, 1);
	assert_string_equal(rows[0].text, "beside");
	audit_rows_free(rows, n);
	db_close(d);
	beside = db_join(path, &e);                              /* no node: it is there at the next start */
	assert_non_null(beside);
	assert_int_equal(audit_add(beside, &a, &e), 0);
	db_close(beside);
	d = db_open(path, &e);
	assert_int_equal(audit_list(d, &all, &rows, &n, &e), 0);
	assert_int_equal(n, 2);
	audit_rows_free(rows, n);
	snprintf(sql, sizeof sql, "PRAGMA user_version = %d", schema_newest - 1);
	assert_int_equal(sql_exec(d->writer->handle, sql, &e), 0);
	assert_null(db_join(path, &e));                          /* migrating is the node's */
	assert_int_equal(e.code, ERR_STATE);
	db_close(d);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_join), TEST(test_node_id_and_mode_are_kept), TEST(test_durable_settings), TEST(test_lazy_is_only_for_once), TEST(test_newer_and_foreign_are_refused),
		TEST(test_damaged_is_refused), TEST(test_log_is_kept), TEST(test_folder_missing), TEST(test_migration), TEST(test_second_writer_process), TEST(test_failures_in_words),
		TEST(test_copies_are_bounded), TEST(test_full_disk), TEST(test_removed_while_open), TEST(test_replaced_while_open), TEST(test_health),
		TEST(test_made_with_an_id_in_an_epoch_of_its_own), TEST(test_copied_while_in_use),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
