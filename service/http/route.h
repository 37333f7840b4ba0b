/* The routes as a table, and how a request's path finds its row. */
#pragma once
#include "service/http/request.h"

/* How a route takes a body as it arrives; nothing of it is kept in memory. */
struct upload_kind {
	int  (*begin)(struct request *q, struct reply *r);                     /* before the body; -1: *r refuses it, unread */
	void (*piece)(struct request *q, const char *bytes, size_t n);
	void (*drop)(struct request *q);                                       /* always last, whether or not the route answered */
};

struct route {
	const char *method;              /* GET serves HEAD too */
	const char *pattern;             /* "/api/v1/jobs/{id}": {..} stands for one segment */
	void (*answer)(struct request *q, struct reply *r);                    /* when the body, if any, is complete */
	enum auth_role needs;            /* who may, and whoever may more; left out: admin */
	const char *query;               /* the keys it knows, each followed by a space; NULL = none */
	const char *produces[2];         /* what Accept is held against; NULL = Accept is not asked */
	const struct upload_kind *upload; /* NULL: a small body is read and ignored */
};
extern const struct route routes[];
extern const size_t n_routes;

enum { ROUTE_SEGMENTS = 10 };
enum route_verdict { ROUTE_FOUND, ROUTE_MALFORMED, ROUTE_UNKNOWN, ROUTE_WRONG_METHOD };
/* path: as sent, percent-encoded, without the query. Fills params; allow[] says what ROUTE_WRONG_METHOD would have taken. MALFORMED: a bad escape, or an
 * escaped slash, control character or dot segment: nothing that could mean two things is guessed at. */
enum route_verdict route_find(const struct route *table, size_t n, const char *method, const char *path, const struct route **found,
                              char params[REQUEST_PARAMS][REQUEST_TEXT], char allow[64]);
/* %XX undone. -1: a bad escape, a NUL or other control character, or longer than n - 1. */
int route_decode(const char *text, size_t length, char *out, size_t n);
