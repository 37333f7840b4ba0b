/* From files to rows: whatever of a data_dir's spool and results its database does not know is added to it. Used by `segan spool reindex`, and by a start that finds
 * the database's log gone. What comes back: every instance whose spool file can be read; every computed job, with its results under their UIDs. What does not: jobs
 * that were not computed yet (their studies are matched and computed as if they had just come), cancellations and verdicts, and whether a result was delivered. */
#pragma once
#include "config/err.h"

#include <stddef.h>

struct node;
struct reindex_report { size_t files /* in the spool */, instances, jobs /* that were added */, to_resend /* of the jobs: those with a destination */, left_out; };
typedef void reindex_tell(void *arg, const char *path, const char *why); /* a file that is left out, where it is */

/* n: settings and db are enough. Instances count as brought by an association that was aborted: what may be half a series waits for its sender as after a crash. */
int reindex_fill(const struct node *n, reindex_tell *tell, void *arg, struct reindex_report *out, struct err *e);
