/* segan restore DIR: a backup becomes the data_dir of a node that is stopped. All of it is copied and checked beside the place first; what was there is moved aside,
 * never removed. The database comes last: until then segand refuses to start, because node-id is there and it is not. */
#include "service/commands/commands.h"
#include "service/commands/common.h"
#include "service/commands/copy_tree.h"
#include "service/commands/trail.h"

#include "config/clock.h"
#include "config/file.h"
#include "db/instances.h"
#include "service/flow/data_dir.h"

#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: segan restore DIR [--config FILE] [--force]\n"
    "  DIR            what `segan backup DIR` made\n"
    "  --config FILE  the node's configuration (default /etc/segand/segand.json); its data_dir is where the backup goes\n"
    "  --force        where data_dir is not empty, move what is there to data_dir/replaced-TIME\n"
    "The node must be stopped. What came after the backup is not in it: senders send it again. Results that the backup knows keep their UIDs, also those that\n"
    "have to be computed or sent again; new jobs never take the UID of a result that was made after the backup.\n";

struct options { const char *config; bool force; };

static const struct command_option options[] = {
	{ "config", required_argument, offsetof(struct options, config), 0 }, { "force", no_argument, offsetof(struct options, force), 0 },
};

static const char stage_name[] = "restore.tmp";

struct restore { const char *backup, *data; char stage[COPY_PATH], database[COPY_PATH]; bool force; size_t n_instances, n_jobs; };

/* ---- beside the place ---- */

static int
copy_into(const struct restore *r, const char *below, const char *name, struct err *e)
{
	char from[COPY_PATH], to[COPY_PATH];
	struct copying c = { .from = from, .to = to };

	copy_join(from, below, name);
	copy_join(to, r->stage, name);
	return copy_tree(&c, e);
}

static int
is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* The database first: where it is newer or broken nothing else needs copying. */
static int
copy_all(const struct restore *r, struct err *e)
{
	enum db_health health;
	struct err why = { 0 };
	struct dirent *entry;
	DIR *d;
	int rc = 0;

	if (file_remove_tree(r->stage, e) != 0 || file_make_dirs(r->stage, 0700, e) != 0 || copy_into(r, r->backup, "segand.db", e) != 0 ||
	    db_health(r->database, &health, &why, e) != 0)
		return -1;
	if (health != DB_GOOD)
		return err_set(e, ERR_STATE, "%s: its %s", r->backup, strstr(why.text, "database") != NULL ? strstr(why.text, "database") : why.text);
	d = opendir(r->backup);
	if (d == NULL)
		return err_errno(e, "reading %s", r->backup);
	while (rc == 0 && (entry = readdir(d)) != NULL)
		if (!is_dot(entry->d_name) && strcmp(entry->d_name, copy_mark) != 0)
			rc = copy_into(r, r->backup, entry->d_name, e);
	closedir(d);
	return rc;
}

static int
check_files(struct restore *r, int64_t lost, struct err *e)
{
	struct db_content content;
	int64_t missing = 0;

	if (db_content(r->database, &content, e) != 0)
		return -1;
	for (size_t i = 0; i < content.n_instances; i++) {
		char path[COPY_PATH];
		copy_spool_name(r->stage, content.instances[i].text, path);
		missing += !copy_has_size(path, content.instances[i].size);
	}
	r->n_instances = content.n_instances;
	r->n_jobs = content.n_jobs;
	free(content.instances);
	free(content.jobs);
	if (missing > lost)
		return err_set(e, ERR_INPUT, "%s is not whole: %lld of its %zu instances have no file or one of another size", r->backup, (long long)missing, r->n_instances);
	return 0;
}

/* A new epoch, and the schema of this version, and who did it, in the trail that goes on from here; and it is the database of the node that node-id names. */
static int
take_over(const struct restore *r, struct err *e)
{
	char id[DATA_DIR_ID], text[512];
	const struct audit_entry a = { .event = AUDIT_IMPORT, .action = 'C', .destination = r->backup, .text = text };
	struct db *d = db_open(r->database, e);
	int rc;

	if (d == NULL)
		return -1;
	snprintf(text, sizeof text, "segan restore of the whole node from %.400s", r->backup);
	rc = db_begin_epoch(d, e) == 0 ? trail_record_in(d, &a, e) : -1;
	if (rc == 0 && data_dir_node_id(r->stage, id, e) != 0)
		rc = e->code == ERR_NOT_FOUND ? data_dir_set_node_id(r->stage, db_node_id(d), e) : -1;
	else if (rc == 0 && strcmp(id, db_node_id(d)) != 0)
		rc = err_set(e, ERR_INPUT, "%s: database and node-id are of two nodes", r->backup);
	db_close(d);
	return rc;
}

/* ---- into place ---- */

static int
move(const char *from_dir, const char *to_dir, const char *name, struct err *e)
{
	char from[COPY_PATH], to[COPY_PATH];

	copy_join(from, from_dir, name);
	copy_join(to, to_dir, name);
	return rename(from, to) == 0 ? 0 : err_errno(e, "moving %s to %s", from, to);
}

/* The database first, and node-id stays until the new one takes its place: should this be ended in the middle, segand misses its database and does not start. */
static int
move_aside(const struct restore *r, struct err *e)
{
	static const char *const staying[] = { ".", "..", "lock", "node-id" };
	char time[CLOCK_TEXT], aside[COPY_PATH], from[COPY_PATH], to[COPY_PATH], name[CLOCK_TEXT + 16];
	struct dirent *entry;
	DIR *d;
	int rc = 0;

	clock_text(clock_ms(), time);
	snprintf(name, sizeof name, "replaced-%s", time);
	copy_join(aside, r->data, name);
	copy_join(from, r->data, "node-id");
	copy_join(to, aside, "node-id");
	if (file_make_dirs(aside, 0700, e) != 0 || (file_exists(from) && file_copy(from, to, e) != 0))
		return -1;
	copy_join(from, r->data, "segand.db");
	if (file_exists(from) && move(r->data, aside, "segand.db", e) != 0)
		return -1;
	if ((d = opendir(r->data)) == NULL)
		return err_errno(e, "reading %s", r->data);
	while (rc == 0 && (entry = readdir(d)) != NULL) {
		bool stays = strcmp(entry->d_name, stage_name) == 0 || strncmp(entry->d_name, "replaced-", 9) == 0;
		for (size_t i = 0; i < sizeof staying / sizeof staying[0]; i++)
			stays = stays || strcmp(entry->d_name, staying[i]) == 0;
		if (!stays)
			rc = move(r->data, aside, entry->d_name, e);
	}
	closedir(d);
	if (rc == 0)
		printf("what was in %s is in %s now\n", r->data, aside);
	return rc;
}

static int
put_all(const struct restore *r, struct err *e)
{
	struct dirent *entry;
	DIR *d;
	int rc = move(r->stage, r->data, "node-id", e);

	if (rc != 0 || file_sync_dir(r->data, e) != 0)
		return -1;
	if ((d = opendir(r->stage)) == NULL)
		return err_errno(e, "reading %s", r->stage);
	while (rc == 0 && (entry = readdir(d)) != NULL)
		if (!is_dot(entry->d_name) && strcmp(entry->d_name, "segand.db") != 0)
			rc = move(r->stage, r->data, entry->d_name, e);
	closedir(d);
	if (rc != 0 || file_sync_dir(r->data, e) != 0 || move(r->stage, r->data, "segand.db", e) != 0)
		return -1;
	return file_remove_tree(r->stage, e) == 0 ? file_sync_dir(r->data, e) : -1;
}

/* ---- the command ---- */

static int
read_mark(const struct restore *r, int64_t *lost, struct err *e)
{
	char path[COPY_PATH];
	struct json_doc *d;

	copy_join(path, r->backup, copy_mark);
	if (!file_exists(path))
		return err_set(e, ERR_INPUT, "%s is no backup, or one that was not finished: %s is not there", r->backup, path);
	if ((d = json_load(path, 0, e)) == NULL)
		return -1;
	*lost = (int64_t)json_number(json_get(json_root(d), "lost"), 0);
	json_doc_free(d);
	return 0;
}

static int
restore(struct restore *r, struct err *e)
{
	static const char *const may_be[] = { "lock", stage_name };
	bool is_empty = copy_is_empty(r->data, may_be, sizeof may_be / sizeof may_be[0]);
	int64_t lost = 0;

	if (!is_empty && !r->force)
		return err_set(e, ERR_STATE, "%s is not empty: --force moves what is there aside", r->data);
	if (read_mark(r, &lost, e) != 0 || copy_all(r, e) != 0 || check_files(r, lost, e) != 0 || take_over(r, e) != 0 || file_sync_all(r->stage, e) != 0)
		return -1;
	return is_empty || move_aside(r, e) == 0 ? put_all(r, e) : -1;
}

static int
run(struct restore *r)
{
	enum data_dir_end before;
	struct err e;
	int lock, rc;

	if (copy_check_dir(r->backup, &e) != 0 || file_make_dirs(r->data, 0700, &e) != 0 || (lock = data_dir_lock(r->data, &before, &e)) < 0)
		return command_fail(&e);
	rc = restore(r, &e);
	data_dir_unlock(lock, rc == 0);
	if (rc != 0)
		return command_fail(&e);
	printf("%s: %zu instances, %zu jobs; start segand\n", r->data, r->n_instances, r->n_jobs);
	return EXIT_GOOD;
}

int
command_restore(int argc, char **argv)
{
	struct options o = { 0 };
	struct restore r = { 0 };
	struct settings *s;
	struct err e;
	int rc = command_options(argc, argv, options, sizeof options / sizeof *options, usage, &o);

	if (rc != 0)
		return rc < 0 ? EXIT_GOOD : rc;
	if (optind + 1 != argc || argv[optind][0] == '\0')
		return command_usage(usage, "from where? one DIR");
	umask(077); /* for our user alone */
	if ((s = command_settings(o.config, &e)) == NULL)
		return command_config(&e);
	r.backup = argv[optind];
	r.data = s->data_dir;
	r.force = o.force;
	copy_join(r.stage, r.data, stage_name);
	copy_join(r.database, r.stage, "segand.db");
	rc = run(&r);
	settings_free(s);
	return rc;
}
