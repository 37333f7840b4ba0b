/* One study: which of its series fills which channel, and which jobs follow. Works on what the database holds, writes only what differs, may be called again
 * at any time: a crash between any two of its steps is made good by the next call. Called on the dispatch thread only. */
#pragma once
#include "db/instances.h"
#include "service/flow/match.h"
#include "service/flow/spool.h"

struct node;

/* What is about to be recorded of a series. A job that follows from it is made first, so that an unsettled series or a receiving job is all that a start
 * after a crash has to look for. */
struct prospect {
	const char *series_uid;
	enum series_state state;
	struct decision decision;
	int64_t n_slices;                     /* of its volume, or of all its files while it is none; 0: not looked at */
	char verdict[512];                    /* why it is rejected, waiting, ignored; "" = whole */
	char reason[DB_TEXT];                 /* filled: the text that the series keeps */
};

/* Which channel a series may fill: the rules, then the fallback rules; not an image series that can be segmented: none. A file that can
 * not be read is a decision too; -1 only for what may pass. */
int cases_decide(const struct node *n, const struct rules *r, const struct series_row *row, struct decision *out, struct err *e);

/* The same of a file that may not be in the spool. -1: it cannot be read. */
int cases_decide_file(const struct rules *r, const char *path, struct decision *out, struct err *e);
/* The path of the file that speaks for a series; ERR_NOT_FOUND when it has none. */
int cases_file(const struct node *n, const char *series_uid, char path[SPOOL_PATH], struct err *e);

struct cases_files { struct instance_row *rows; char (*rooms)[SPOOL_PATH]; const char **paths /* (n), as the rows */; size_t n; };
/* All its files, by SOP Instance UID. caller: cases_files_free. */
int cases_files(const struct node *n, const char *series_uid, struct cases_files *out, struct err *e);
void cases_files_free(struct cases_files *files);

/* Decides who fills the channels, makes, queues, takes back and rejects jobs. With a prospect: nothing is queued or rejected yet. */
int cases_match(struct node *n, const struct rules *r, const char *study_uid, struct prospect *p /* NULL = as recorded */, struct err *e);

/* Matches the studies of receiving jobs with an id over *seen (0 at start), and rejects those that wait longer than study_forcecomplete_trigger.
 * *next_ms becomes smaller when one of the others has its turn earlier. */
int cases_receiving(struct node *n, const struct rules *r, int64_t *seen, int64_t now_ms, int64_t *next_ms, struct err *e);
