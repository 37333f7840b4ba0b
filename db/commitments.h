/* Storage commitment: an archive's word that it keeps what was delivered to it. Open from the delivery's end until the archive has answered, is not able to, or is
 * given up; the job stays delivering as long. Each request has a transaction UID of its own, stored before it goes out, so that a report is known whenever it comes. */
#pragma once
#include "db/deliveries.h"

#include <stdbool.h>

struct commitment {
	int64_t delivery, job, attempts /* requests so far */, since_ms, delivery_attempts, delivery_since_ms;
	char destination[65];
	bool is_open;                                                  /* the delivery is delivered, and the archive's word is waited for */
};
/* sending -> delivered, with a commitment that is due at once: one transaction. ERR_STATE when it is not on its way. */
int commitments_begin(struct db *d, int64_t delivery, int64_t now_ms, const char *words /* the delivery's last_error */, struct err *e);
/* The oldest due one of a destination, whose job is still delivering: attempts + 1, due again at again_ms, its transaction recorded. ERR_NOT_FOUND. */
int commitments_claim(struct db *d, const char *destination, int64_t now_ms, int64_t again_ms, const char *transaction, struct commitment *out, struct err *e);
int commitments_next_ms(struct db *d, const char *destination, int64_t *next_ms /* INT64_MAX = none */, struct err *e);
int commitments_find(struct db *d, const char *transaction, struct commitment *out, struct err *e); /* ERR_NOT_FOUND: no transaction of ours */
int commitments_open(struct db *d, struct commitment **out, size_t *n, struct err *e);              /* all that are; caller: free */
/* An open one is due at next_ms; words: the delivery's last_error, NULL leaves it. ERR_STATE when it is not open any more. */
int commitments_later(struct db *d, int64_t delivery, int64_t next_ms, const char *words, struct err *e);
struct commitment_end {
	enum delivery_state state;                                     /* committed, delivered (no proof is to be had), refused, given_up; waiting: lost objects are sent again */
	int64_t next_ms;                                               /* waiting: not before */
	const char *words;                                             /* the delivery's last_error */
	const int64_t *lost;                                           /* (n_lost) waiting: which of the job's results */
	size_t n_lost;
};
/* The end of an open one, and of the job where it was the last, in one transaction. ERR_STATE when it is not open. */
int commitments_end(struct db *d, int64_t delivery, const struct commitment_end *how, struct err *e);
