/* A browser's sessions: a random identifier in a cookie stands for a token that was shown once. Kept in memory, as its SHA-256: a restart ends them all.
 * A session is worth what its token is worth at that moment; a revoked token ends it. */
#pragma once
#include "service/http/auth.h"

struct sessions;
struct sessions *sessions_new(struct err *e);                               /* caller: sessions_free */
void sessions_free(struct sessions *s);
/* id: what the cookie holds. Where a token has 64 already, or all 1024 places are taken, that of its sessions, or of all, which ends first
 * makes room: who opens many ends nobody else's. */
void sessions_open(struct sessions *s, const uint8_t token_digest[AUTH_DIGEST], int64_t now_ms, int64_t ends_ms, char id[AUTH_TOKEN]);
bool sessions_find(struct sessions *s, const char *id, int64_t now_ms, uint8_t token_digest[AUTH_DIGEST]); /* false: there is none, or it has ended */
void sessions_end(struct sessions *s, const char *id);                      /* one that is not there is fine */
