/* DESIGN: libmicrohttpd's threads call watch_begin, _request, _done and _end for their connections; one thread of ours wakes at the earliest deadline and
 * shuts what is over it. All under one lock, which watch_end takes before the library closes the descriptor: we never touch one that is somebody else's by
 * then. Nothing is waited for under the lock. */
#include "service/http/watch.h"

#include "config/clock.h"
#include "config/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct link {
	struct link *next, *before;
	int fd;
	struct client *client;
	bool is_excess, in_request, is_shut;
	int64_t deadline_ms;
};

struct watch {
	struct watch_limits limits;
	pthread_mutex_t lock;            /* around all below */
	pthread_cond_t changed;
	bool stopped;
	int64_t wakes_ms;                /* when the thread looks again */
	struct link *first;
	size_t n;                        /* links */
	pthread_t thread;
};

static const char late[] =
	"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: application/problem+json\r\nContent-Length: 100\r\n\r\n"
	"{\"type\":\"about:blank\",\"title\":\"Request Timeout\",\"status\":408,\"detail\":\"the request came too slowly\"}";

/* Under the lock. Whole or not at all: the answer is smaller than any socket's buffer. */
static void
say_late(const struct watch *w, const struct link *l)
{
	if (w->limits.may_speak)
		(void)!send(l->fd, late, sizeof late - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
shut(const struct watch *w, struct link *l)
{
	if (!l->in_request)
		say_late(w, l);
	log_event(LOG_DEBUG, "http_late", "in_request=%d excess=%d", l->in_request, l->is_excess);
	shutdown(l->fd, SHUT_RDWR);
	l->is_shut = true;
}

static void *
look(void *arg)
{
	struct watch *w = arg;

	pthread_mutex_lock(&w->lock);
	while (!w->stopped) {
		int64_t now = clock_monotonic_ms(), next = INT64_MAX;
		for (struct link *l = w->first; l != NULL; l = l->next) {
			if (!l->is_shut && l->deadline_ms <= now)
				shut(w, l);
			if (!l->is_shut && l->deadline_ms < next)
				next = l->deadline_ms;
		}
		w->wakes_ms = next;
		if (next == INT64_MAX) {
			pthread_cond_wait(&w->changed, &w->lock);
		} else {
			struct timespec at = { .tv_sec = next / 1000, .tv_nsec = next % 1000 * 1000000 };
			pthread_cond_timedwait(&w->changed, &w->lock, &at);
		}
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

struct watch *
watch_start(const struct watch_limits *l, struct err *e)
{
	struct watch *w = calloc(1, sizeof *w);
	pthread_condattr_t monotonic;
	int rc;

	if (w == NULL) {
		err_errno(e, "watch over connections");
		return NULL;
	}
	w->limits = *l;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if ((rc = pthread_create(&w->thread, NULL, look, w)) == 0)
		return w;
	err_set(e, ERR_LIMIT, "watch over connections: starting a thread: %s", strerror(rc));
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
	return NULL;
}

void
watch_stop(struct watch *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopped = true;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/* Under the lock. */
static void
give_time(struct watch *w, struct link *l, int64_t ms)
{
	l->deadline_ms = clock_monotonic_ms() + ms;
	if (l->deadline_ms < w->wakes_ms)
		pthread_cond_signal(&w->changed);
}

/* Under the lock, for the newest, whose place it will be. Seven eighths are nearly all: the library shares the places out among its threads. */
static void
make_room(const struct watch *w, const struct link *newest)
{
	struct link *ends_first = NULL;

	if (w->n <= w->limits.most - w->limits.most / 8)
		return;
	for (struct link *l = w->first; l != NULL; l = l->next)
		if (l != newest && !l->in_request && !l->is_shut && (ends_first == NULL || l->deadline_ms <= ends_first->deadline_ms))
			ends_first = l;
	if (ends_first != NULL)
		shut(w, ends_first);
}

struct link *
watch_begin(struct watch *w, int fd, struct client *client, bool is_excess)
{
	struct link *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	*l = (struct link){ .fd = fd, .client = client, .is_excess = is_excess };
	pthread_mutex_lock(&w->lock);
	l->next = w->first;
	if (w->first != NULL)
		w->first->before = l;
	w->first = l;
	w->n++;
	give_time(w, l, is_excess ? w->limits.excess_ms : w->limits.header_ms);
	make_room(w, l);
	pthread_mutex_unlock(&w->lock);
	return l;
}

void
watch_request(struct watch *w, struct link *l)
{
	pthread_mutex_lock(&w->lock);
	l->in_request = true;
	give_time(w, l, w->limits.request_ms);
	pthread_mutex_unlock(&w->lock);
}

/* The library closes a connection that stays silent; one that begins a request within that time has the header's time from there. */
void
watch_done(struct watch *w, struct link *l)
{
	pthread_mutex_lock(&w->lock);
	l->in_request = false;
	give_time(w, l, w->limits.idle_ms + w->limits.header_ms);
	pthread_mutex_unlock(&w->lock);
}

void
watch_end(struct watch *w, struct link *l)
{
	pthread_mutex_lock(&w->lock);
	if (l->next != NULL)
		l->next->before = l->before;
	if (l->before != NULL)
		l->before->next = l->next;
	else
		w->first = l->next;
	w->n--;
	pthread_mutex_unlock(&w->lock);
	free(l);
}

void
watch_say_late(struct watch *w, struct link *l)
{
	pthread_mutex_lock(&w->lock);
	say_late(w, l);
	pthread_mutex_unlock(&w->lock);
}

struct client *
watch_client(const struct link *l)
{
	return l->client;
}

bool
watch_is_excess(const struct link *l)
{
	return l->is_excess;
}
