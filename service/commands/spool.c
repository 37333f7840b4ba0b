/* segan spool reindex: a new database from the files of data_dir, while no node works there. The old one, damaged or of a newer segand, is moved aside,
 * never removed. A whole database only gets what it lacks. What comes back and what does not: service/flow/reindex.h. */
#include "service/commands/commands.h"
#include "service/commands/common.h"
#include "service/commands/trail.h"

#include "config/clock.h"
#include "config/file.h"
#include "dicom/dicom.h"
#include "service/flow/data_dir.h"
#include "service/flow/node.h"
#include "service/flow/reindex.h"
#include "service/flow/spool.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: segan spool reindex [--config FILE]\n"
    "  --config FILE  the node's configuration (default /etc/segand/segand.json)\n"
    "Rebuilds the database of a node that is stopped from the files in its data_dir. A database that is damaged, or of a newer version, is kept as\n"
    "segand.db.broken-TIME; one that is whole only gets what it lacks. Comes back: every received instance that can be read, every computed job with its results (same UIDs, same bytes).\n"
    "Does not come back: whether results were delivered (those jobs are shown as failed; `segan jobs retry ID` sends the very same objects again), jobs that\n"
    "were not computed yet and cancelled ones (their studies are matched and segmented as if they had just come), the history of jobs.\n"
    "Start segand again afterwards. A backup (`segan restore DIR`) has more, where there is one.\n";

struct options { const char *config; };

static const struct command_option options[] = { { "config", required_argument, offsetof(struct options, config), 0 } };

static void
tell(void *arg, const char *path, const char *why)
{
	(void)arg;
	fputs("segan: left out: ", stderr);
	command_print_plain(stderr, path);
	fputs(": ", stderr);
	command_print_plain(stderr, why);
	fputc('\n', stderr);
}

static void
in_data(const struct settings *s, const char *name, char path[SPOOL_PATH])
{
	snprintf(path, SPOOL_PATH, "%s/%s", s->data_dir, name);
}

/* ---- the node's id ---- */

static int
random_id(char id[DATA_DIR_ID], struct err *e)
{
	unsigned char bytes[(DATA_DIR_ID - 1) / 2];

	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		return err_errno(e, "asking for random bytes");
	for (size_t i = 0; i < sizeof bytes; i++)
		snprintf(id + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

/* That of the file; else of the broken database, where it can still be read; else a new one, and that is said. */
static int
find_id(const struct settings *s, const char *database, char id[DATA_DIR_ID], struct err *e)
{
	struct err unread;

	if (data_dir_node_id(s->data_dir, id, e) == 0)
		return 0;
	if (e->code != ERR_NOT_FOUND)
		return -1;
	if (!file_exists(database) || db_read_node_id(database, id, &unread) != 0 || strlen(id) != DATA_DIR_ID - 1) {
		if (random_id(id, e) != 0)
			return -1;
		fprintf(stderr, "segan: the node's id is lost: this is another node from now on, and takes results of the old one for a stranger's\n");
	}
	return data_dir_set_node_id(s->data_dir, id, e);
}

/* ---- files ---- */

static int
move(const char *from, const char *to, struct err *e)
{
	return rename(from, to) == 0 || errno == ENOENT ? 0 : err_errno(e, "renaming %s to %s", from, to);
}

/* Log and index keep their place beside it: what can be read from them may still be read. */
static int
move_aside(const char *database, struct err *e)
{
	static const char *const ends[] = { "-wal", "-shm", "" };
	char time[CLOCK_TEXT], from[SPOOL_PATH + 8], to[SPOOL_PATH + 64];
	bool was_there = file_exists(database);

	clock_text(clock_ms(), time);
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		snprintf(from, sizeof from, "%s%s", database, ends[i]);
		snprintf(to, sizeof to, "%s.broken-%s%s", database, time, ends[i]);
		if (move(from, to, e) != 0)
			return -1;
	}
	if (was_there)
		fprintf(stderr, "segan: the old database is kept as %s\n", to);
	return 0;
}

static void
remove_database(const char *path)
{
	static const char *const ends[] = { "-wal", "-shm", "" };
	char name[SPOOL_PATH + 16];

	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		snprintf(name, sizeof name, "%s%s", path, ends[i]);
		unlink(name);
	}
}

/* ---- the two ways ---- */

static int
fill(const struct settings *s, const char *path, const char *how, struct reindex_report *report, struct err *e)
{
	const struct audit_entry a = { .event = AUDIT_SECURITY_ALERT, .type = AUDIT_SOFTWARE, .action = 'E', .text = how };
	struct node n = { .settings = s, .db = db_open(path, e) };
	int rc;

	if (n.db == NULL)
		return -1;
	rc = trail_record_in(n.db, &a, e) == 0 ? reindex_fill(&n, tell, NULL, report, e) : -1;
	db_close(n.db);
	return rc;
}

/* Under another name until it is whole; from the move on there is no database until the rename, which segand notices by node-id. */
static int
rebuild(const struct settings *s, const char *database, struct reindex_report *report, struct err *e)
{
	char made[SPOOL_PATH], id[DATA_DIR_ID];

	in_data(s, "segand.db.new", made);
	remove_database(made);
	if (find_id(s, database, id, e) != 0 || db_create(made, id, e) != 0)
		return -1;
	if (fill(s, made, "segan spool reindex: the database was made anew, and with it the audit trail", report, e) != 0 || move_aside(database, e) != 0) {
		remove_database(made);
		return -1;
	}
	return file_commit(made, database, e);
}

static int
reindex(const struct settings *s, struct reindex_report *report, struct err *e)
{
	char database[SPOOL_PATH];
	enum db_health health;
	struct err why = { 0 };

	in_data(s, "segand.db", database);
	if (db_health(database, &health, &why, e) != 0)
		return -1;
	if (health == DB_GOOD) {
		printf("database %s is whole: it gets what it lacks\n", database);
		return fill(s, database, "segan spool reindex: the database gets what it lacks", report, e);
	}
	printf("%s: a new one is made\n", health == DB_ABSENT ? "there is no database" : health == DB_NEWER ? "the database is of a newer segand" : "the database is broken");
	return rebuild(s, database, report, e);
}

static int
run(const struct settings *s)
{
	struct reindex_report report;
	struct err e;
	enum data_dir_end before;
	int lock, rc;

	if (dicom_start(&e) != 0 || (lock = data_dir_lock(s->data_dir, &before, &e)) < 0)
		return command_fail(&e);
	rc = reindex(s, &report, &e);
	data_dir_unlock(lock, rc == 0);
	if (rc != 0)
		return command_fail(&e);
	printf("%zu files in the spool, %zu instances added, %zu computed jobs added, %zu files left out\n", report.files, report.instances, report.jobs, report.left_out);
	if (report.to_resend > 0)
		printf("nobody knows whether the results of %zu jobs were delivered: `segan jobs list --state failed` shows them, `segan jobs retry ID` sends the same objects again\n",
		    report.to_resend);
	return EXIT_GOOD;
}

int
command_spool(int argc, char **argv)
{
	struct options o = { 0 };
	struct settings *s;
	struct err e;
	int rc = command_options(argc, argv, options, sizeof options / sizeof *options, usage, &o);

	if (rc != 0)
		return rc < 0 ? EXIT_GOOD : rc;
	if (optind + 1 != argc || strcmp(argv[optind], "reindex") != 0)
		return command_usage(usage, "what about the spool? reindex");
	umask(077); /* for our user alone */
	if ((s = command_settings(o.config, &e)) == NULL)
		return command_config(&e);
	rc = run(s);
	settings_free(s);
	return rc;
}
