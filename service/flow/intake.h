/* Every door ends here: a temporary file becomes a spool file and a row, and only then is there anything to acknowledge. */
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
struct intake_answer { char sop_class[65], sop_uid[65], study_uid[65], series_uid[65]; bool known; /* the same instance was here before */ };

/* 0: file and row are durable. -1: ERR_INPUT (not readable, disagrees with the command: *dimse_status is set, 0xA900 / 0xC000 / 0x0110), ERR_STATE (other
 * content under a known UID), ERR_LIMIT (disk), ERR_IO. *a is filled as far as it is known. */
int intake_add(struct node *n, const struct intake_file *f, struct intake_answer *a, struct err *e);

int  intake_open(struct node *n, const char *peer_aet, const char *address, int64_t *association, struct err *e); /* an association begins */
void intake_close(struct node *n, int64_t association, bool released);      /* ... ends; rings dispatch */
