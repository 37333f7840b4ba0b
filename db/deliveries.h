/* The results of one job on their way to one destination. waiting -> sending -> delivered | refused | given_up; sending -> waiting on a passing error.
 * Each object of a delivery has a state of its own: "sent" is written before it goes out, and stays when no answer comes, whatever ends the process. */
#pragma once
#include "db/db.h"

#include <stdbool.h>
#include <stddef.h>

enum delivery_state { DELIVERY_WAITING, DELIVERY_SENDING, DELIVERY_DELIVERED, DELIVERY_COMMITTED, DELIVERY_REFUSED, DELIVERY_GIVEN_UP, DELIVERY_N_STATES };
const char *delivery_state_name(enum delivery_state s);            /* static */

struct delivery {
	int64_t id, job, attempts, created_ms /* since when it is tried: giving up counts from here */, next_attempt_ms /* 0 = at once, or none */;
	int64_t unheard;                                               /* how often in a row it did not hear a question (deliver_ask.h) */
	char destination[65], last_error[512];                         /* "" = none */
	enum delivery_state state;
};
int deliveries_of_job(struct db *d, int64_t job, struct delivery **out, size_t *n, struct err *e);   /* caller: free */
/* The oldest due one of a destination: waiting -> sending, attempts + 1. ERR_NOT_FOUND. */
int deliveries_claim(struct db *d, const char *destination, int64_t now_ms, struct delivery *out, struct err *e);
int deliveries_next_ms(struct db *d, const char *destination, int64_t *next_ms /* INT64_MAX = none */, struct err *e);
/* sending -> state (waiting with next_attempt_ms, or final). When the last of its job is final the job is done, or failed with the reason, in the same transaction. */
int deliveries_settle(struct db *d, int64_t id, enum delivery_state state, int64_t next_attempt_ms, const char *error, struct err *e);
/* A failed job's refused and given-up deliveries wait again, with what was refused of them, tried from now on, the job is delivering.
 * ERR_STATE when the job is not failed or was not computed. */
int deliveries_retry(struct db *d, int64_t job, struct err *e);
/* waiting -> given_up, by a person's wish; ends its job as deliveries_settle does. ERR_STATE when it is on its way or has ended, ERR_NOT_FOUND. */
int deliveries_give_up(struct db *d, int64_t job, const char *destination, const char *why, struct err *e);
int deliveries_recover(struct db *d, int64_t now_ms, struct err *e);                                  /* at start: sending -> waiting, due now */
/* At start, and when the clock was set: what waits, to be sent or for a commitment, waits no longer than until latest_ms, and was first tried at since_ms if before
 * that, at now_ms if after. destination NULL: all. */
struct delivery_times { int64_t now_ms, latest_ms, since_ms; };
int deliveries_reckon(struct db *d, const char *destination, const struct delivery_times *t, struct err *e);
/* How many are in each state, and since when the oldest waiting or sending one is tried (0: there is none). */
int deliveries_count(struct db *d, int64_t by_state[DELIVERY_N_STATES], int64_t *oldest_ms, struct err *e);

/* ---- the objects of one ---- */
enum object_state { OBJECT_WAITING, OBJECT_SENT /* no answer: it may be there */, OBJECT_STORED, OBJECT_FOUND /* it is there, by the answer to a question */, OBJECT_REFUSED };
enum object_asked { ASKED_NEVER, ASKED_FOUND, ASKED_ABSENT, ASKED_IN_VAIN }; /* whether it was there, after a sending without answer */
struct delivery_object {
	int64_t position;                                              /* among the job's results */
	enum object_state state;
	enum object_asked asked;
	bool is_revised;                                               /* its patient module follows the archive (deliver_revise.h) */
	char words[512];                                               /* of a refusal, or of a warning with which it was stored */
};
/* Those that were ever sent, in order. caller: free */
int deliveries_objects(struct db *d, int64_t id, struct delivery_object **out, size_t *n, struct err *e);
/* Of one that is being sent: how these objects stand, and unheard. ERR_STATE when it is not. */
int deliveries_mark(struct db *d, int64_t id, int64_t unheard, const struct delivery_object *objects, size_t n, struct err *e);
