/* Storage commitment of what was delivered to destinations with "commitment": true: asked for, the report judged, delivered -> committed or sent again. */
#pragma once
#include "dicom/commitment.h"

#include <stdbool.h>

struct node;
struct commit;
struct commit *commit_start(struct node *n, struct err *e); /* caller: commit_stop */
bool commit_stop(struct commit *c);                         /* as deliver_stop: false when a thread still waits for a peer; the process must end then */
/* A report, from whichever association. 0: recorded, or known already. ERR_NOT_FOUND: about no transaction of ours. */
int commit_report(struct node *n, const struct commitment_report *r, struct err *e);
