/* How failure is said: one value, filled once where the cause is known, extended on the way up, logged once where it is decided on.
 * Anything that can fail for a reason outside the code takes `struct err *e` last and returns 0 / -1, or a pointer / NULL.
 * Ownership words used in every header of this tree: takes (yours no more), borrows (must outlive the object), borrowed (a result, valid
 * until its owner is freed), caller: X_free. No word: a plain input, not kept. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the caller should do about it, not where it happened. */
enum err_code {
	ERR_NONE,
	ERR_INPUT,     /* the input can never work: refuse it */
	ERR_NOT_FOUND, /* what was asked for is not here */
	ERR_STATE,     /* not possible in the present state */
	ERR_LIMIT,     /* a bound was met; later may be better */
	ERR_IO,        /* our own disk or system failed; later may be better */
	ERR_PEER,      /* the other side failed; later may be better */
	ERR_BUG,       /* we are wrong */
	ERR_N_CODES
};

/* A value; text tells a person what was being done, to what, why it failed and what would fix it. */
struct err {
	enum err_code code;
	char text[512];
};

/* Sets code and text. Returns -1, so: return err_set(...). */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same, followed by ": " and the text of the present errno; the code is ERR_LIMIT for a full disk or no memory, else ERR_IO. Returns -1. */
int err_errno(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "what I was doing: " in front of the text that is there; the code stays. Returns -1. */
int err_note(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Whether trying again later may help: LIMIT, IO, PEER. */
bool err_may_pass(enum err_code code);

/* What a code is outside: the one table (ARCHITECTURE 5), proven by tests/unit/test_err.c. */
int err_http_status(enum err_code code);             /* 400, 404, 409, 503, 503, 502, 500 */
unsigned err_dimse_status(enum err_code code);       /* PS3.7 C, PS3.4 B.2.3: 0xC000, 0xA700, 0x0110 */
const char *err_name(enum err_code code);            /* "input", "not_found", ...; borrowed, static */

#ifdef __cplusplus
}
#endif
