/* States, in SQLite (WAL, synchronous=FULL, foreign keys). The only room that knows SQL. Every public function is one transaction and may be called from
 * any thread: writers take turns, readers never wait for them. Nothing calls back or waits for a peer while the database is held. */
#pragma once
#include "config/err.h"

#include <stddef.h>
#include <stdint.h>

struct db;
/* Opens or makes the file, migrates an older schema, checks (quick_check). A newer schema or a corrupt file: ERR_STATE naming the file and what helps;
 * it is never overwritten. caller: db_close. */
struct db *db_open(const char *path, struct err *e);
/* For a command that has a row to add, beside a running node or none: the file as it is, neither made nor migrated nor checked. ERR_NOT_FOUND: there is none;
 * ERR_STATE: of another version. caller: db_close. */
struct db *db_join(const char *path, struct err *e);
void db_close(struct db *d);
enum { DB_NODE_ID = 33 };
const char *db_node_id(const struct db *d);   /* random, made with the first file of a data_dir, then kept; borrowed */
/* The file, its log and the log's index still lie where they were opened: asked before and after every commit. ERR_IO says what became of them. */
int  db_in_place(const struct db *d, struct err *e);

/* ---- for commands, while no node runs (db_copy: also while one does) ---- */
enum db_health { DB_GOOD, DB_ABSENT, DB_BROKEN /* damaged, cut off, or another program's */, DB_NEWER /* of a newer segand */ };
/* What a file is; changes no byte of it. *why: of anything but DB_GOOD. -1: it could not be found out. */
int db_health(const char *path, enum db_health *health, struct err *why, struct err *e);
int db_read_node_id(const char *path, char id[DB_NODE_ID], struct err *e); /* also of a broken one, where that page can be read */
/* A new, empty one of this node, in an epoch of its own. ERR_IO when a file is there. */
int db_create(const char *path, const char *node_id, struct err *e);
/* Jobs that are made from here on are of a new, random epoch, which is part of their identity: a database that has forgotten jobs (rebuilt, or put back from a
 * backup) never gives a new result the UID of a forgotten one. */
int db_begin_epoch(struct db *d, struct err *e);
/* Of a copy, which stays as it is: who must have a spool file, and which jobs may have results. caller: free both. */
struct db_content { struct instance_uid *instances; size_t n_instances; int64_t *jobs; size_t n_jobs; };
int db_content(const char *path, struct db_content *out, struct err *e);
int db_copy(const char *path, const char *to, struct err *e);              /* one snapshot into a new file */
