/* States, in SQLite (WAL, synchronous=FULL, foreign keys). The only room that knows SQL. Every public function is one transaction and may be called from
 * any thread: writers take turns, readers never wait for them. Nothing calls back or waits for a peer while the database is held. */
#pragma once
#include "config/err.h"

#include <stdint.h>

struct db;
/* Opens or makes the file, migrates an older schema, checks (quick_check). A newer schema or a corrupt file: ERR_STATE naming the file and what helps;
 * it is never overwritten. caller: db_close. */
struct db *db_open(const char *path, struct err *e);
void db_close(struct db *d);
const char *db_node_id(const struct db *d);   /* random, made with the file; borrowed */
