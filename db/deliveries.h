/* The results of one job on their way to one destination. waiting -> sending -> delivered | refused | given_up; sending -> waiting on a passing error. */
#pragma once
#include "db/db.h"

#include <stddef.h>

enum delivery_state { DELIVERY_WAITING, DELIVERY_SENDING, DELIVERY_DELIVERED, DELIVERY_COMMITTED, DELIVERY_REFUSED, DELIVERY_GIVEN_UP };
const char *delivery_state_name(enum delivery_state s);            /* static */

struct delivery {
	int64_t id, job, attempts, created_ms /* since when it is tried: giving up counts from here */, next_attempt_ms /* 0 = at once, or none */;
	int64_t stored;                                                /* of the job's results, in their order: those before it need no sending any more */
	char destination[65], last_error[512];                         /* "" = none */
	enum delivery_state state;
};
int deliveries_of_job(struct db *d, int64_t job, struct delivery **out, size_t *n, struct err *e);   /* caller: free */
/* The oldest due one of a destination: waiting -> sending, attempts + 1. ERR_NOT_FOUND. */
int deliveries_claim(struct db *d, const char *destination, int64_t now_ms, struct delivery *out, struct err *e);
int deliveries_next_ms(struct db *d, const char *destination, int64_t *next_ms /* INT64_MAX = none */, struct err *e);
/* sending -> state (waiting with next_attempt_ms, or final). When the last of its job is final the job is done, or failed with the reason, in the same transaction. */
int deliveries_settle(struct db *d, int64_t id, enum delivery_state state, int64_t next_attempt_ms, const char *error, struct err *e);
/* Of one that is being sent. ERR_STATE when it is not. */
int deliveries_stored(struct db *d, int64_t id, int64_t stored, struct err *e);
/* A failed job's refused and given-up deliveries wait again, tried from now on, the job is delivering.
 * ERR_STATE when the job is not failed or was not computed. */
int deliveries_retry(struct db *d, int64_t job, struct err *e);
int deliveries_recover(struct db *d, int64_t now_ms, struct err *e);                                  /* at start: sending -> waiting, due now */
