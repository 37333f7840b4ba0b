/* A fixed table: strangers open no sessions, so its size bounds what token holders may do to each other. Any thread; one lock. */
#include "service/http/session.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { PLACES = 1024, PLACES_OF_ONE = 64 };

struct session { uint8_t id[AUTH_DIGEST], token[AUTH_DIGEST]; int64_t ends_ms; /* 0 = a free place */ };
struct sessions { pthread_mutex_t lock; struct session places[PLACES]; };

struct sessions *
sessions_new(struct err *e)
{
	struct sessions *s = calloc(1, sizeof *s);

	if (s == NULL)
		err_errno(e, "sessions");
	else
		pthread_mutex_init(&s->lock, NULL);
	return s;
}

void
sessions_free(struct sessions *s)
{
	if (s == NULL)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void
sessions_open(struct sessions *s, const uint8_t token_digest[AUTH_DIGEST], int64_t now_ms, int64_t ends_ms, char id[AUTH_TOKEN])
{
	struct session *place = &s->places[0], *own = NULL;
	size_t n_own = 0;

	auth_random(id);
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < PLACES; i++) {
		struct session *p = &s->places[i];
		if (p->ends_ms <= now_ms)
			p->ends_ms = 0;
		if (p->ends_ms < place->ends_ms)
			place = p;
		if (p->ends_ms == 0 || !auth_same(p->token, token_digest))
			continue;
		n_own++;
		if (own == NULL || p->ends_ms < own->ends_ms)
			own = p;
	}
	if (n_own >= PLACES_OF_ONE)
		place = own;
	auth_digest(id, place->id);
	memcpy(place->token, token_digest, AUTH_DIGEST);
	place->ends_ms = ends_ms;
	pthread_mutex_unlock(&s->lock);
}

/* Under the lock. Compares with all, as tokens are compared. */
static struct session *
find(struct sessions *s, const char *id)
{
	struct session *found = NULL;
	uint8_t digest[AUTH_DIGEST];

	auth_digest(id, digest);
	for (size_t i = 0; i < PLACES; i++)
		if (auth_same(s->places[i].id, digest) && s->places[i].ends_ms != 0)
			found = &s->places[i];
	return found;
}

bool
sessions_find(struct sessions *s, const char *id, int64_t now_ms, uint8_t token_digest[AUTH_DIGEST])
{
	struct session *found;
	bool holds;

	pthread_mutex_lock(&s->lock);
	found = find(s, id);
	holds = found != NULL && found->ends_ms > now_ms;
	if (holds)
		memcpy(token_digest, found->token, AUTH_DIGEST);
	pthread_mutex_unlock(&s->lock);
	return holds;
}

void
sessions_end(struct sessions *s, const char *id)
{
	struct session *found;

	pthread_mutex_lock(&s->lock);
	found = find(s, id);
	if (found != NULL)
		*found = (struct session){ .ends_ms = 0 };
	pthread_mutex_unlock(&s->lock);
}
