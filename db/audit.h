/* The audit trail: who did what to which study (the events of DICOM PS3.15 A.5). Rows are added and, after years, removed by age; none is ever changed. No
 * patient's name, ID, birth date or accession number: studies are named by their UID.
 * A row belongs into the transaction of what it tells: audit_attach. What an association brought is told by associations_close itself. */
#pragma once
#include "db/db.h"

#include <stdbool.h>

/* Codes of PS3.16 (DCM) but those below 1000, which are ours. */
enum audit_event {
	AUDIT_APPLICATION = 110100, AUDIT_LOG_USED, AUDIT_BEGIN_TRANSFER, AUDIT_ACCESSED, AUDIT_TRANSFERRED, AUDIT_STUDY_DELETED, AUDIT_EXPORT, AUDIT_IMPORT,
	AUDIT_QUERY = 110112, AUDIT_SECURITY_ALERT, AUDIT_USER,
	AUDIT_JOB = 1
};
enum audit_type {
	AUDIT_ANY_TYPE = 0, AUDIT_START = 110120, AUDIT_STOP, AUDIT_LOGIN, AUDIT_LOGOUT, AUDIT_NODE = 110126 /* who connects is not who may */, AUDIT_SOFTWARE = 110131 /* another model is in service */, AUDIT_RESTRICTED,
	AUDIT_RIGHTS = 110137,
	AUDIT_RETRY = 1, AUDIT_CANCEL, AUDIT_GIVE_UP
};
enum audit_outcome { AUDIT_GOOD = 0, AUDIT_MINOR = 4, AUDIT_SERIOUS = 8 };

struct audit_entry {                     /* texts: NULL = nothing to say; borrowed */
	enum audit_event event;
	enum audit_type type;
	char action;                         /* C R U D E: create, read, update, delete, execute */
	enum audit_outcome outcome;
	const char *aet, *address;           /* of the other side */
	const char *token, *role;            /* the person's, or their program's */
	const char *user;                    /* of the operating system */
	const char *study_uid, *destination;
	const char *objects;                 /* JSON: [{"sop_class": UID, "instances": N}] */
	const char *text;
	int64_t job;                         /* 0: none. Without study_uid: its study */
	int64_t once_since_ms;               /* not 0, of a job's delivery to destination: once for all its tries, not where there is one since then */
};
int audit_add(struct db *d, const struct audit_entry *a, struct err *e); /* a transaction of its own */
/* Into this thread's next transaction that waits for the disk and commits; borrows *a until audit_detach, which says whether it was recorded. */
void audit_attach(const struct audit_entry *a);
bool audit_detach(void);

struct audit_row {
	int64_t id, time_ms, job;
	int event, type, outcome;
	char action[2], aet[17], address[256], token[65], role[17], user[65], study_uid[65], destination[65], text[512];
	char *objects;                       /* owned; "[]" = none */
};
void audit_rows_free(struct audit_row *rows, size_t n);
struct audit_filter { const char *study_uid; int64_t since_ms, before_id /* cursor, 0 = from the newest */; size_t limit; };
int audit_last_before(struct db *d, int64_t before_ms, int64_t *ms, struct err *e); /* when the last row before that time was written; 0: there is none */
int audit_list(struct db *d, const struct audit_filter *f, struct audit_row **rows, size_t *n, struct err *e); /* newest first; caller: audit_rows_free */

/* ---- the syslog's share: rows up to a mark were told ---- */
int audit_untold(struct db *d, size_t limit, struct audit_row **rows, size_t *n, struct err *e); /* oldest first; caller: audit_rows_free */
int audit_told(struct db *d, int64_t id, struct err *e);           /* up to this one; may be lost when the power goes: told twice rather than never */
int audit_told_all(struct db *d, struct err *e);                    /* nobody listens: what is there will not be told later */
/* At most `batch` rows from before that time. *n: how many there were. */
int audit_remove(struct db *d, int64_t before_ms, size_t batch, size_t *n, struct err *e);
