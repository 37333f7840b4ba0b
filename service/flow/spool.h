/* The folder of received and written files. Names are digests of UIDs, never received text:
 *   DATA/spool/ab/<sha256 of SOP Instance UID>.dcm     DATA/tmp/...     DATA/results/<job id>/{seg.dcm,...,preview.png,job.json}
 * What the files of results are called: config/result_kind.h. */
#pragma once
#include "config/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct node;
enum { SPOOL_PATH = 1200, SPOOL_FOLDERS = 256 /* of received instances */, SPOOL_BALLAST_MB = 4 /* removing a study of thousands of instances takes less */ };

int  spool_prepare(const struct node *n, struct err *e);                    /* makes the folders, empties DATA/tmp */
void spool_path(const struct node *n, const char *sop_uid, char path[SPOOL_PATH]);
unsigned spool_folder(const char *sop_uid);                                 /* in which of them spool_path lies */
int  spool_sync_folder(const struct node *n, unsigned folder, struct err *e); /* what was removed from it stays so */
void spool_tmp_dir(const struct node *n, char path[SPOOL_PATH]);
int  spool_tmp(const struct node *n, char path[SPOOL_PATH], struct err *e); /* a new empty file in DATA/tmp */
/* 0: the file is there. ERR_NOT_FOUND: it is lost, though its folder is there; ERR_IO: nobody can say now. */
int  spool_look(const char *path, struct err *e);
void spool_result(const struct node *n, int64_t job, const char *name, char path[SPOOL_PATH]);
void spool_work_dir(const struct node *n, int64_t job, int64_t attempt, char path[SPOOL_PATH]); /* a worker's output folder, below DATA/work */
bool spool_can_write(const struct node *n);                                 /* some MiB are free, and a file can be written and synced: asked when something failed */
/* A few MiB that nobody uses, DATA/ballast, given back when the disk is so full that not even a removal can be written. Made where room is ample. */
void spool_take_ballast(const struct node *n);
void spool_drop_ballast(const struct node *n);
int  spool_is_open(const struct node *n, struct err *e);                    /* tmp and spool are there and may be written */
int  spool_has_room(const struct node *n, struct err *e);                   /* ERR_LIMIT below disk_reserve_mb */
