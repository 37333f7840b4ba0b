/* One request as a handler sees it, and the reply that it fills. No HTTP library here: server.c turns one into the other. */
#pragma once
#include "config/json.h"
#include "service/http/auth.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct node;
struct workers;
struct gate;
struct client;

enum { REQUEST_PARAMS = 4, REQUEST_TEXT = 256, REQUEST_QUERY = 16, REPLY_HEADERS = 4 };

struct request {
	struct node *node;               /* borrowed, as the rest that is a pointer */
	struct workers *workers;
	bool is_ready;                   /* all doors are open */
	char base[REQUEST_TEXT + 16];    /* "http://HOST:PORT", as the client called us */
	char client[64];                 /* its address */
	struct gate *gate;               /* who.h */
	struct client *caller;           /* its address in the table of clients.h; NULL in tests */
	char who[AUTH_NAME];             /* the name of the token that asks; "" = none was needed */
	enum auth_role role;             /* what it may */
	bool by_cookie;                  /* said by a browser's session: it may not know that it asks */
	const char *type;                /* what the reply's type is to be, of those that the route produces; NULL when it names none */
	char params[REQUEST_PARAMS][REQUEST_TEXT]; /* what stands for {..} in the route's pattern, decoded */
	struct { char key[32], value[REQUEST_TEXT]; } query[REQUEST_QUERY]; /* decoded; only keys that the route knows, each once */
	size_t n_query;
	int64_t length;                  /* of the body; -1: chunked, not known before; -2: neither said */
	void *upload;                    /* of a route with an upload: its state between the pieces */
	void *connection;                /* for request_header only */
};

struct reply {
	unsigned status;
	const char *type;                /* static text */
	char *body;                      /* owned; NULL: none, or the file */
	size_t n_body;
	int fd;                          /* owned; -1: none */
	uint64_t file_size;
	struct { const char *name; char value[REQUEST_TEXT]; } headers[REPLY_HEADERS];
	size_t n_headers;
};

const char *request_header(const struct request *q, const char *name);      /* NULL: absent; borrowed; in server.c */
const char *request_query(const struct request *q, const char *key);        /* NULL: absent; borrowed */
int request_integer(const char *text, int64_t min, int64_t max, int64_t *out); /* digits only; -1 */

void reply_init(struct reply *r);
void reply_release(struct reply *r);
void reply_header(struct reply *r, const char *name, const char *value);    /* name: static text */
void reply_json(struct reply *r, unsigned status, struct json *v);          /* takes v */
void reply_text(struct reply *r, unsigned status, const char *type, char *text); /* takes text */
/* A file of ours; absent: 404 with that detail. */
void reply_file(struct reply *r, const char *path, const char *type, const char *absent);
