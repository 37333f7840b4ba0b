/* Whole folders for backup and restore, and what a backup looks like:
 *   DIR/backup.json (last: without it the backup is not whole)   DIR/segand.db   DIR/node-id   DIR/spool   DIR/results   DIR/models ... */
#pragma once
#include "db/db.h"

#include <stdbool.h>

enum { COPY_PATH = 2048 };
struct copying { const char *from, *to; bool link /* hard links where they can be made */; size_t files; };
/* Every regular file below from, under the same name below to. A from that is not there has none. */
int copy_tree(struct copying *c, struct err *e);
/* One, and the folders it needs. A to that is there is kept. ERR_NOT_FOUND: from is not there. */
int copy_one(struct copying *c, const char *path, struct err *e);
/* dir/name. A command's folders are at most COPY_DIR long: copy_check_dir. */
enum { COPY_DIR = 1024 };
void copy_join(char path[COPY_PATH], const char *dir, const char *name);
int  copy_check_dir(const char *dir, struct err *e);
/* The spool file of an instance below dir. */
void copy_spool_name(const char *dir, const char *sop_uid, char path[COPY_PATH]);
bool copy_has_size(const char *path, int64_t size);
bool copy_is_empty(const char *dir, const char *const *but, size_t n_but); /* nothing but those names; a dir that is not there is */
extern const char copy_mark[];                                             /* "backup.json" */
