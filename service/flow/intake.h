/* Every door ends here: a temporary file becomes a spool file and a row, and only then is there anything to acknowledge.
 * Any thread. The door asks spool_has_room before it takes the bytes. */
#pragma once
#include "config/err.h"

#include <stdbool.h>
#include <stdint.h>

struct node;
struct intake_file {
	const char *path;                          /* a closed Part 10 file in the spool's tmp folder; taken: renamed or removed, whatever the outcome */
	const char *sop_class, *sop_uid;           /* what the sender's command said; NULL = nothing said */
	const char *study_uid;                     /* required study (STOW to /studies/{study}); NULL = any */
	int64_t association;
};
struct intake_answer {
	char sop_class[65], sop_uid[65], study_uid[65], series_uid[65]; /* as far as known; "" = not known */
	bool known;                                /* the same instance was here before */
	unsigned dimse_status;                     /* C-STORE status, FailureReason of STOW: 0x0000, 0xA900 disagrees with command or study, 0xC122 transfer syntax, else of the error's code */
};

/* 0: file and row are durable. -1: ERR_INPUT (not readable, or disagrees with the command), ERR_STATE (other content under a known UID; the first copy
 * stays), ERR_LIMIT (disk), ERR_IO. *a is filled in every case. */
int intake_add(struct node *n, const struct intake_file *f, struct intake_answer *a, struct err *e);

/* The file of an instance without a row goes; of one that has a row it stays, and *is_gone is false. Its folder is not synced. */
int intake_remove(struct node *n, const char *sop_uid, bool *is_gone, struct err *e);

/* The row of a file, but its received_ms. */
struct instance_header;
struct instance_row;
int intake_describe(const struct node *n, const struct intake_file *f, const struct instance_header *h, struct instance_row *row, struct err *e);

struct association_peer;
int  intake_open_by(struct node *n, const struct association_peer *p, int64_t *association, struct err *e);
int  intake_open(struct node *n, const char *peer_aet, const char *address, int64_t *association, struct err *e); /* an association begins */
void intake_close(struct node *n, int64_t association, bool released);      /* ... ends; rings dispatch */
/* The ends that could not be recorded when they came (a full disk), once more. -1: what may pass; they are kept. On the dispatch thread. */
int  intake_close_again(struct node *n, struct err *e);
void intake_forget(struct node *n);                                         /* those that are left, when the node closes: the next start takes them for aborted */
