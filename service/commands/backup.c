/* segan backup DIR: a node as it is at one moment, while it runs. First a snapshot of the database, then the files that its rows name: a file is there before its
 * row is committed, so every row of the snapshot has one. What a retention removes in between makes a new round. DIR/backup.json comes last. */
#include "service/commands/commands.h"
#include "service/commands/common.h"
#include "service/commands/copy_tree.h"
#include "service/commands/trail.h"

#include "config/clock.h"
#include "config/digest.h"
#include "config/file.h"
#include "db/instances.h"
#include "service/flow/data_dir.h"

#include <dirent.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: segan backup DIR [--config FILE] [--link]\n"
    "  DIR            a new or empty folder, best on another disk\n"
    "  --config FILE  the node's configuration (default /etc/segand/segand.json)\n"
    "  --link         hard links in place of copies of spool and results where DIR is on their file system: quick and small, no help when that disk breaks\n"
    "Copies the database, the received instances, the results and the models of a node, which may run. Every copy is compared with what it was made from.\n"
    "Settings, certificates and token files are not in data_dir: keep those yourself. The backup holds patients' data: guard it like the archive.\n"
    "Put it back with `segan restore DIR`. The node's audit trail has who made it; where it cannot be recorded it is made all the same, with a warning.\n";

struct options { const char *config; bool link; };

static const struct command_option options[] = {
	{ "config", required_argument, offsetof(struct options, config), 0 }, { "link", no_argument, offsetof(struct options, link), 0 },
};

enum { ROUNDS = 3 };

struct backup {
	const char *data, *dir;
	bool link;
	char database[COPY_PATH], copy[COPY_PATH]; /* segand.db in data and in dir */
	struct db_content content;
	size_t vanished;                           /* files of rows that were removed while we worked */
	size_t lost, files;                        /* lost: rows without their file in the node itself */
};

static void
forget_content(struct backup *b)
{
	free(b->content.instances);
	free(b->content.jobs);
	b->content = (struct db_content) { 0 };
}

/* ---- the files of the rows ---- */

/* A file that is not there: was the row removed meanwhile, or has the node lost it? Asked of the running node's database, once a round. */
static int
count_missing(struct backup *b, size_t missing, struct err *e)
{
	struct db_content now;
	size_t gone = 0;

	if (missing == 0)
		return 0;
	if (db_content(b->database, &now, e) != 0)
		return -1;
	for (size_t i = 0; i < b->content.n_instances; i++) {
		const struct instance_uid *row = &b->content.instances[i];
		char path[COPY_PATH];
		bool is_there = false;
		copy_spool_name(b->dir, row->text, path);
		if (copy_has_size(path, row->size))
			continue;
		for (size_t k = 0; k < now.n_instances && !is_there; k++)
			is_there = strcmp(now.instances[k].text, row->text) == 0 && now.instances[k].size == row->size;
		gone += !is_there;
		b->lost += is_there;
		if (is_there)
			fprintf(stderr, "segan: instance %s has lost its spool file in the node: it is not in the backup\n", row->text);
	}
	free(now.instances);
	free(now.jobs);
	b->vanished = gone;
	return 0;
}

static int
copy_spool(struct backup *b, struct err *e)
{
	struct copying c = { .from = b->data, .to = b->dir, .link = b->link };
	size_t missing = 0;

	for (size_t i = 0; i < b->content.n_instances; i++) {
		char from[COPY_PATH], to[COPY_PATH];
		copy_spool_name(b->data, b->content.instances[i].text, from);
		copy_spool_name(b->dir, b->content.instances[i].text, to);
		if (copy_one(&c, from, e) != 0 && e->code != ERR_NOT_FOUND)
			return -1;
		if (copy_has_size(to, b->content.instances[i].size))
			continue;
		unlink(to); /* other content by now: with its row of the next round */
		missing++;
	}
	b->files += c.files;
	return count_missing(b, missing, e);
}

static int
copy_results(struct backup *b, struct err *e)
{
	for (size_t i = 0; i < b->content.n_jobs; i++) {
		char from[COPY_PATH], to[COPY_PATH];
		struct copying c = { .from = from, .to = to, .link = b->link };
		snprintf(from, sizeof from, "%s/results/%" PRId64, b->data, b->content.jobs[i]);
		snprintf(to, sizeof to, "%s/results/%" PRId64, b->dir, b->content.jobs[i]);
		if (copy_tree(&c, e) != 0)
			return -1;
		b->files += c.files;
	}
	return 0;
}

/* Models, the node's id, and whatever else there is; not what is open or passes. */
static int
copy_others(struct backup *b, struct err *e)
{
	static const char *const left[] = { ".", "..", "spool", "results", "tmp", "work", "lock" };
	DIR *d = opendir(b->data);
	struct dirent *entry;
	int r = d == NULL ? err_errno(e, "reading %s", b->data) : 0;

	while (r == 0 && (entry = readdir(d)) != NULL) {
		char from[COPY_PATH], to[COPY_PATH];
		struct copying c = { .from = from, .to = to };
		bool is_left = strncmp(entry->d_name, "segand.db", 9) == 0 || strncmp(entry->d_name, "replaced-", 9) == 0 || strncmp(entry->d_name, "restore.", 8) == 0;
		for (size_t i = 0; i < sizeof left / sizeof left[0]; i++)
			is_left = is_left || strcmp(entry->d_name, left[i]) == 0;
		copy_join(from, b->data, entry->d_name);
		copy_join(to, b->dir, entry->d_name);
		if (!is_left)
			r = copy_tree(&c, e);
		b->files += c.files;
	}
	if (d != NULL)
		closedir(d);
	return r;
}

static int
take_round(struct backup *b, struct err *e)
{
	b->vanished = b->lost = 0;
	forget_content(b);
	unlink(b->copy);
	if (db_copy(b->database, b->copy, e) != 0 || db_content(b->copy, &b->content, e) != 0)
		return -1;
	return copy_spool(b, e) == 0 && copy_results(b, e) == 0 ? copy_others(b, e) : -1;
}

/* ---- is it good? ---- */

struct comparing { const struct backup *b; size_t differ; };

/* Of a file that the node has removed or replaced since there is nothing left to compare with. */
static int
compare(void *arg, const char *path, struct err *e)
{
	struct comparing *c = arg;
	char from[COPY_PATH], mine[DIGEST_HEX], theirs[DIGEST_HEX];
	struct err gone;

	snprintf(from, sizeof from, "%s%s", c->b->data, path + strlen(c->b->dir));
	if (digest_of_file(path, 0, mine, e) != 0)
		return -1;
	if (!file_exists(from) || digest_of_file(from, 0, theirs, &gone) != 0 || strcmp(mine, theirs) == 0)
		return 0;
	return err_set(e, ERR_IO, "%s is not what %s is: the disk of one of them does not keep what is written", path, from);
}

static int
verify(struct backup *b, struct err *e)
{
	static const char *const compared[] = { "spool", "results" };
	struct comparing c = { .b = b };
	enum db_health health;
	struct err why = { 0 };

	if (db_health(b->copy, &health, &why, e) != 0)
		return -1;
	if (health != DB_GOOD)
		return err_set(e, ERR_IO, "the copy of the database is not whole: %s", why.text);
	for (size_t i = 0; i < sizeof compared / sizeof compared[0] && !b->link; i++) {
		char path[COPY_PATH];
		copy_join(path, b->dir, compared[i]);
		if (file_exists(path) && file_walk(path, compare, &c, e) != 0)
			return -1;
	}
	return 0;
}

static int
write_mark(const struct backup *b, struct err *e)
{
	struct json *v = json_new_object();
	char path[COPY_PATH], time[CLOCK_TEXT], id[DATA_DIR_ID] = "", *text;
	int r = -1;

	clock_text(clock_ms(), time);
	if (db_read_node_id(b->copy, id, e) != 0) {
		json_free(v);
		return -1;
	}
	json_set_string(v, "version", SEGAN_VERSION);
	json_set_string(v, "created", time);
	json_set_string(v, "node_id", id);
	json_set_int(v, "instances", (int64_t)b->content.n_instances);
	json_set_int(v, "lost", (int64_t)b->lost);
	json_set_int(v, "jobs", (int64_t)b->content.n_jobs);
	text = json_print(v, true, e);
	json_free(v);
	copy_join(path, b->dir, copy_mark);
	if (text != NULL)
		r = file_write(path, text, strlen(text), e);
	free(text);
	return r;
}

/* ---- the command ---- */

/* While a node works, or after it was killed, its last commits are in the log: without it a copy would be whole and lack them, up to all of them. */
static int
check_log(const struct backup *b, struct err *e)
{
	char log[COPY_PATH + 8];

	snprintf(log, sizeof log, "%s-wal", b->database);
	if (data_dir_is_closed(b->data) || file_exists(log))
		return 0;
	return err_set(e, ERR_STATE, "the log %s is not there though segand works or was killed: start segand (again), which makes up for it from the spool, then take the backup", log);
}

static int
check(const struct backup *b, struct err *e)
{
	if (copy_check_dir(b->dir, e) != 0)
		return -1;
	if (!file_exists(b->database))
		return err_set(e, ERR_NOT_FOUND, "there is no database %s", b->database);
	if (!copy_is_empty(b->dir, NULL, 0))
		return err_set(e, ERR_INPUT, "%s is not empty: a backup wants a folder of its own", b->dir);
	return check_log(b, e);
}

/* It would be part of itself, and of every later one. */
static int
check_outside(const struct backup *b, struct err *e)
{
	char *data = realpath(b->data, NULL), *dir = realpath(b->dir, NULL);
	size_t n = data != NULL ? strlen(data) : 0;
	int rc = data == NULL || dir == NULL ? err_errno(e, "finding %s and %s", b->data, b->dir) : 0;

	if (rc == 0 && strncmp(dir, data, n) == 0 && (dir[n] == '/' || dir[n] == '\0')) {
		rmdir(dir);                                      /* made just now, or empty all the same */
		rc = err_set(e, ERR_INPUT, "%s lies in %s, which it would be a backup of: take another place, best on another disk", b->dir, b->data);
	}
	free(data);
	free(dir);
	return rc;
}

static int
back_up(struct backup *b, struct err *e)
{
	if (file_make_dirs(b->dir, 0700, e) != 0 || check_outside(b, e) != 0)
		return -1;
	if (chmod(b->dir, 0700) != 0) /* whoever made it, as data_dir itself */
		return err_errno(e, "keeping %s to its owner", b->dir);
	for (int i = 0; i < ROUNDS; i++) {
		if (take_round(b, e) != 0)
			return -1;
		if (b->vanished == 0)
			break;
	}
	if (b->vanished > 0)
		return err_set(e, ERR_STATE, "%zu instances were removed while the backup was made, and again in each of %d tries: try again later", b->vanished, ROUNDS);
	return file_sync_all(b->dir, e) == 0 && verify(b, e) == 0 ? write_mark(b, e) : -1;
}

/* A disk that is full or a database of another version is when a backup is wanted most: it is made all the same. */
static int
back_up_recorded(struct backup *b, struct err *e)
{
	char text[512];
	const struct audit_entry a = { .event = AUDIT_EXPORT, .action = 'R', .destination = b->dir, .text = text };
	struct trail *t;
	int rc;

	if (check(b, e) != 0)
		return -1;
	snprintf(text, sizeof text, "segan backup of the whole node to %.400s", b->dir);
	if ((t = trail_open(b->data, e)) == NULL || trail_record(t, &a, e) != 0)
		fprintf(stderr, "segan: warning: backed up all the same: %s\n", e->text);
	if ((rc = back_up(b, e)) != 0)
		trail_failed(t, &a, e);
	trail_close(t);
	return rc;
}

int
command_backup(int argc, char **argv)
{
	struct options o = { 0 };
	struct backup b = { 0 };
	struct settings *s;
	struct err e;
	int rc = command_options(argc, argv, options, sizeof options / sizeof *options, usage, &o);

	if (rc != 0)
		return rc < 0 ? EXIT_GOOD : rc;
	if (optind + 1 != argc || argv[optind][0] == '\0')
		return command_usage(usage, "where to? one DIR");
	umask(077); /* for our user alone */
	if ((s = command_settings(o.config, &e)) == NULL)
		return command_config(&e);
	b.data = s->data_dir;
	b.dir = argv[optind];
	b.link = o.link;
	copy_join(b.database, b.data, "segand.db");
	copy_join(b.copy, b.dir, "segand.db");
	rc = back_up_recorded(&b, &e) == 0 ? EXIT_GOOD : command_fail(&e);
	if (rc == EXIT_GOOD)
		printf("%s: %zu instances, %zu jobs, %zu files%s\n", b.dir, b.content.n_instances - b.lost, b.content.n_jobs, b.files, b.lost > 0 ? "; some were lost in the node, see above" : "");
	forget_content(&b);
	settings_free(s);
	return rc;
}
