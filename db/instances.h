/* What has arrived: associations, instances, series. A series row says what the node thinks of it and why. */
#pragma once
#include "db/db.h"

#include <stdbool.h>
#include <stddef.h>

enum { DB_UID = 65, DB_HEX = 65, DB_NAME = 65, DB_TEXT = 2048 };

/* ---- associations: a C-STORE association or one STOW request ---- */
/* One that is aborted takes over the series it brought a part of, unless what brings the series now was opened after its last instance (the sender's next
 * try): association_state then says aborted until a later association brings more. */
int associations_open(struct db *d, const char *peer_aet, const char *address, int64_t now_ms, int64_t *id, struct err *e);
struct association_peer { const char *aet, *address, *token, *role; /* NULL: no token was needed */ };
int associations_open_by(struct db *d, const struct association_peer *p, int64_t now_ms, int64_t *id, struct err *e);
/* The end, and what it brought in the audit trail (audit.h). Kept as long as an instance or series that it brought is here. */
int associations_close(struct db *d, int64_t id, bool released, int64_t now_ms, struct err *e); /* released false: aborted. ERR_STATE when not open */
int associations_recover(struct db *d, int64_t now_ms, struct err *e);      /* at start: what was open is aborted */
/* AE title of the peer of an association. ERR_NOT_FOUND. */
int associations_peer(struct db *d, int64_t id, char aet[17], char address[64], struct err *e);

/* ---- instances ---- */
struct instance_row {
	char sop_uid[DB_UID], sop_class[DB_UID], study_uid[DB_UID], series_uid[DB_UID], transfer_syntax[DB_UID], modality[17];
	char digest[DB_HEX], content_digest[DB_HEX];
	int64_t size, association /* 0 = none: found in the spool */, received_ms;
	bool ours;                                                     /* a result of this node: never matched */
};
enum instance_fate { INSTANCE_NEW, INSTANCE_SAME, INSTANCE_CONFLICT };
/* The file of a known instance was lost or damaged, and these bytes take its place: its series is looked at anew, as if it had grown. */
int instances_mend(struct db *d, const struct instance_row *row, struct err *e);
/* NEW: row added, its series opened again (revision + 1, state open, last_ms = received_ms). SAME (digest or content digest equal): changes nothing but
 * that the series now belongs to this association. CONFLICT: other content under a known UID, nothing changed. *row of a SAME or CONFLICT stays as given.
 * Calls from several threads at once share one commit. */
int instances_add(struct db *d, const struct instance_row *row, enum instance_fate *fate, struct err *e);
/* All in one transaction, for rows whose files are there already; a UID that is known stays as it is. */
int instances_add_all(struct db *d, const struct instance_row *rows, size_t n, struct err *e);
struct instance_uid { char text[DB_UID]; int64_t size; };
int instances_uids(struct db *d, struct instance_uid **uids, size_t *n, struct err *e);            /* of all, with the size of each file; caller: free */
int instances_get(struct db *d, const char *sop_uid, struct instance_row *out, struct err *e); /* ERR_NOT_FOUND */
int instances_of_series(struct db *d, const char *series_uid, struct instance_row **rows, size_t *n, struct err *e); /* by sop_uid; caller: free */
/* Of one that a job has read and that retention has removed: transfer syntax and digests, no more. ERR_NOT_FOUND. */
int instances_get_removed(struct db *d, const char *sop_uid, struct instance_row *out, struct err *e);
int instances_count(struct db *d, int64_t *instances, int64_t *studies, struct err *e);

/* ---- series ---- */
enum series_state { SERIES_STATE_OPEN, SERIES_STATE_WAITING /* interrupted, or a gap that may be filled */, SERIES_STATE_COMPLETE, SERIES_STATE_REJECTED, SERIES_STATE_IGNORED };
const char *series_state_name(enum series_state s);               /* "open", "waiting", ...; static */
enum association_state { ASSOCIATION_OPEN, ASSOCIATION_RELEASED, ASSOCIATION_ABORTED };

struct series_row {
	char series_uid[DB_UID], study_uid[DB_UID], modality[17];
	int64_t n_slices;                                              /* as the last verdict counted them; 0: none yet, or another instance came */
	int64_t n_instances, revision, first_ms, last_ms, association;
	enum association_state association_state;                      /* of the association that brought it last */
	bool others_open;                                              /* another association that brought a part of it is still open */
	bool ours;
	enum series_state state;
	char channel[DB_NAME], rule[DB_NAME], reason[DB_TEXT];         /* "" = none */
};
int series_get(struct db *d, const char *series_uid, struct series_row *out, struct err *e);   /* ERR_NOT_FOUND */
int series_of_study(struct db *d, const char *study_uid, struct series_row **rows, size_t *n, struct err *e); /* caller: free */
int series_unsettled(struct db *d, struct series_row **rows, size_t *n, struct err *e);        /* open or waiting; caller: free */
/* Compare-and-set on revision. ERR_STATE when it changed meanwhile. A reason (here and of series_decide) of NULL keeps the one that is there. */
int series_settle(struct db *d, const char *series_uid, int64_t revision, enum series_state state, const char *reason, struct err *e);
int series_count_slices(struct db *d, const char *series_uid, int64_t n_slices, struct err *e); /* ERR_NOT_FOUND */
/* The rejected series of a study are looked at anew. */
int series_reopen(struct db *d, const char *study_uid, struct err *e);
int series_decide(struct db *d, const char *series_uid, const char *channel, const char *rule, const char *reason, struct err *e);
