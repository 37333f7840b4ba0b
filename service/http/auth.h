/* Who may: bearer tokens with a role each. 256 random bits are shown once; the tokens_file keeps their SHA-256, so whoever reads it can become nobody.
 * The file is read again when it changes: a token that was added or revoked counts from the next request on. A file that cannot be read lets nobody in.
 * Not here: HTTP (who.c), sessions of browsers (session.c), how often one may guess (clients.c). */
#pragma once
#include "config/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From the most to the least that one may: what a route that says nothing needs is the most. */
enum auth_role { AUTH_ADMIN, AUTH_OPERATOR, AUTH_VIEWER, AUTH_NOBODY };
const char *auth_role_name(enum auth_role role);                            /* "admin", "operator", "viewer", "nobody"; static */
int  auth_role_parse(const char *word, enum auth_role *role);               /* -1: none of admin, operator, viewer */

enum { AUTH_NAME = 65, AUTH_TOKEN = 65 /* 64 hexadecimal digits */, AUTH_DIGEST = 32 };

struct auth_token {
	char name[AUTH_NAME];
	enum auth_role role;
	uint8_t digest[AUTH_DIGEST];     /* SHA-256 of the token's text */
	char created[32];                /* RFC 3339 */
};
struct auth_list { struct auth_token *tokens; size_t n; };

/* ---- the file; one writer at a time, the old one or the new one is there, 0600 ---- */
int  auth_list_load(const char *path, struct auth_list *out, struct err *e); /* ERR_NOT_FOUND says how to make it. caller: auth_list_free */
void auth_list_free(struct auth_list *l);
/* token: what is shown once. A file that is not there is made, for the owner of owner_of (a folder; it need not exist) when we may choose. ERR_STATE: the name is taken. */
int  auth_add(const char *path, const char *owner_of, const char *name, enum auth_role role, char token[AUTH_TOKEN], struct err *e);
int  auth_revoke(const char *path, const char *name, struct err *e);        /* ERR_NOT_FOUND */

/* ---- asking ---- */
void auth_digest(const char *token, uint8_t digest[AUTH_DIGEST]);
void auth_random(char text[AUTH_TOKEN]);                                    /* 256 bits from the system as hexadecimal digits */
bool auth_same(const uint8_t a[AUTH_DIGEST], const uint8_t b[AUTH_DIGEST]); /* in constant time */

struct auth;
struct auth *auth_open(const char *path, struct err *e);                    /* caller: auth_close */
void auth_close(struct auth *a);
size_t auth_count(struct auth *a);                                          /* tokens that count now */
/* The token with that digest, compared with every one in constant time. 1 found; 0 none; -1: the file cannot be read. Any thread. */
int  auth_find(struct auth *a, const uint8_t digest[AUTH_DIGEST], struct auth_token *out, struct err *e);
