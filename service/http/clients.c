/* Two buckets an address, which fill with time and are emptied by requests and wrong tokens, and the tokens that were right last: a guesser behind the same
 * proxy does not shut out who is known. */
#include "service/http/clients.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SPARE = 1024 /* addresses that are remembered beside those that are connected */, KNOWN = 8, IPV6_NETWORK = 8 /* bytes */ };

struct bucket { double left; int64_t at_ms; };

struct client {
	uint8_t address[16];             /* IPv4 as ::ffff:a.b.c.d; IPv6 with its last half zero */
	int64_t n_connections, seen_ms;  /* seen_ms 0 = a free place */
	struct bucket requests, failures;
	uint8_t known[KNOWN][AUTH_DIGEST]; /* a ring */
	size_t n_known;                  /* ever */
};

struct clients {
	pthread_mutex_t lock;            /* around all below */
	struct clients_limits limits;
	size_t n;
	struct client places[];          /* (n) */
};

struct clients *
clients_new(const struct clients_limits *l, struct err *e)
{
	size_t n = l->most_connections + SPARE;
	struct clients *c = calloc(1, sizeof *c + n * sizeof c->places[0]); /* at most 65536 + SPARE of about 350 bytes */

	if (c == NULL) {
		err_errno(e, "table of clients");
		return NULL;
	}
	pthread_mutex_init(&c->lock, NULL);
	c->limits = *l;
	c->n = n;
	return c;
}

void
clients_free(struct clients *c)
{
	if (c == NULL)
		return;
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void
key_of(const struct sockaddr *address, uint8_t key[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	memset(key, 0, 16);
	if (address->sa_family == AF_INET) {
		memcpy(key, mapped, sizeof mapped);
		memcpy(key + 12, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
	} else if (address->sa_family == AF_INET6) {
		const uint8_t *v6 = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr;
		memcpy(key, v6, memcmp(v6, mapped, sizeof mapped) == 0 ? 16 : IPV6_NETWORK);
	}
}

static bool
take(struct bucket *b, double room, double per_ms, double amount, int64_t now_ms)
{
	b->left += (double)(now_ms - b->at_ms) * per_ms;
	b->at_ms = now_ms;
	if (b->left > room)
		b->left = room;
	if (b->left < 1)
		return false;
	b->left -= amount;
	return true;
}

/* The place of that address, or the one that is given up for it. NULL: every place has a connection. */
static struct client *
place_for(struct clients *c, const uint8_t key[16])
{
	struct client *oldest = NULL;

	for (size_t i = 0; i < c->n; i++) {
		struct client *p = &c->places[i];
		if (p->seen_ms != 0 && memcmp(p->address, key, sizeof p->address) == 0)
			return p;
		if (p->n_connections == 0 && (oldest == NULL || p->seen_ms < oldest->seen_ms))
			oldest = p;
	}
	if (oldest != NULL)
		oldest->seen_ms = 0;
	return oldest;
}

struct client *
clients_enter(struct clients *c, const struct sockaddr *address, int64_t now_ms, bool *fits)
{
	struct client *who;
	uint8_t key[16];

	key_of(address, key);
	*fits = false;
	pthread_mutex_lock(&c->lock);
	who = place_for(c, key);
	if (who != NULL && who->seen_ms == 0) {
		*who = (struct client){ .requests = { (double)c->limits.requests_per_s, now_ms }, .failures = { (double)c->limits.failures_per_min, now_ms } };
		memcpy(who->address, key, sizeof who->address);
	}
	if (who != NULL) {
		who->seen_ms = now_ms > 0 ? now_ms : 1;
		*fits = ++who->n_connections <= c->limits.connections;
	}
	pthread_mutex_unlock(&c->lock);
	return who;
}

void
clients_leave(struct clients *c, struct client *who, int64_t now_ms)
{
	pthread_mutex_lock(&c->lock);
	who->n_connections--;
	who->seen_ms = now_ms > 0 ? now_ms : 1;
	pthread_mutex_unlock(&c->lock);
}

bool
clients_may_ask(struct clients *c, struct client *who, int64_t now_ms)
{
	double room = (double)c->limits.requests_per_s;
	bool may;

	if (c->limits.requests_per_s == 0)
		return true;
	pthread_mutex_lock(&c->lock);
	may = take(&who->requests, room, room / 1000, 1, now_ms);
	pthread_mutex_unlock(&c->lock);
	return may;
}

static bool
is_known(const struct client *who, const uint8_t digest[AUTH_DIGEST])
{
	bool found = false;

	for (size_t i = 0; i < KNOWN && i < who->n_known; i++)
		found = auth_same(who->known[i], digest) || found;
	return found;
}

bool
clients_may_try(struct clients *c, struct client *who, const uint8_t token_digest[AUTH_DIGEST], int64_t now_ms)
{
	double room = (double)c->limits.failures_per_min;
	bool may;

	pthread_mutex_lock(&c->lock);
	may = take(&who->failures, room, room / 60000, 0, now_ms) || is_known(who, token_digest);
	pthread_mutex_unlock(&c->lock);
	return may;
}

void
clients_tried(struct clients *c, struct client *who, const uint8_t token_digest[AUTH_DIGEST], bool was_right, int64_t now_ms)
{
	double room = (double)c->limits.failures_per_min;

	pthread_mutex_lock(&c->lock);
	if (!was_right)
		take(&who->failures, room, room / 60000, 1, now_ms);
	else if (!is_known(who, token_digest))
		memcpy(who->known[who->n_known++ % KNOWN], token_digest, AUTH_DIGEST);
	pthread_mutex_unlock(&c->lock);
}
