/* Whose a data_dir is: one process works in it at a time, and its results are those of one node for ever. Used by the node and by the commands that work on a
 * data_dir while no node does (spool reindex, restore). */
#pragma once
#include "config/err.h"

#include <stdbool.h>

/* How the process before ended: in good order (or there was none); not so; while it searched the spool for what a lost log of the database had held. */
enum data_dir_end { DATA_DIR_CLOSED, DATA_DIR_KILLED, DATA_DIR_SEARCHING };
/* Takes DATA/lock; the process that dies lets it go. Returns the lock, or -1: ERR_STATE names the process that holds it. */
int  data_dir_lock(const char *dir, enum data_dir_end *before, struct err *e);
int  data_dir_search(int lock, bool begins, struct err *e); /* until it ends, each start finds DATA_DIR_SEARCHING, in whatever way the one before went */
bool data_dir_is_closed(const char *dir);                     /* nobody works in it, and whoever did last ended in good order; takes no lock */
void data_dir_unlock(int lock, bool is_closed /* in good order */);
/* DATA/node-id: which node this is, in a file beside the database, because the UIDs of its results hang on it and a database can break. ERR_NOT_FOUND. */
enum { DATA_DIR_ID = 33 };
int  data_dir_node_id(const char *dir, char id[DATA_DIR_ID], struct err *e);
int  data_dir_set_node_id(const char *dir, const char *id, struct err *e);
