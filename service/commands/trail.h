/* What a command does to who may do what, or takes out of an archive or of the node, is an event of the node's audit trail too (db/audit.h): recorded under the name of the
 * operating system's user before it is done, so that nobody does it unseen. The syslog hears of it from the node: within a minute, or when it starts. */
#pragma once
#include "db/audit.h"

struct trail;
/* Of the node of that data_dir. Where it has no database yet there is no trail: said on stderr, and nothing is recorded. ERR_IO: there is one, and it cannot be
 * opened: what helps. caller: trail_close. */
struct trail *trail_open(const char *data_dir, struct err *e);
void trail_close(struct trail *t);                                               /* NULL is fine */
int  trail_record_in(struct db *d, const struct audit_entry *a, struct err *e);   /* the same where a command has the database open */
int  trail_record(struct trail *t, const struct audit_entry *a, struct err *e);  /* the user is ours to say. ERR_IO: it is not recorded, so it must not be done */
void trail_failed(struct trail *t, const struct audit_entry *a, const struct err *why); /* it was recorded, and came to nothing. t NULL: nothing */
