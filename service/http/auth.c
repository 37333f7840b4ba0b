/* The tokens as a running node asks for them: a list that follows its file. Its state is that of the last reading; one lock around both. */
#include "service/http/auth.h"

#include "config/digest.h"
#include "config/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

static const char *const names[] = { [AUTH_ADMIN] = "admin", [AUTH_OPERATOR] = "operator", [AUTH_VIEWER] = "viewer", [AUTH_NOBODY] = "nobody" };

/* What changes when the file does: a new file in its place, other content, another owner or mode. */
struct stamp { dev_t device; ino_t inode; off_t size; struct timespec modified, changed; bool is_there; };

struct auth {
	pthread_mutex_t lock;            /* around all below */
	char path[1024];
	struct stamp read;               /* the file when it was read */
	struct auth_list list;
	struct err unread;               /* why the list counts for nothing; ERR_NONE = it counts */
};

const char *
auth_role_name(enum auth_role role)
{
	return names[role];
}

int
auth_role_parse(const char *word, enum auth_role *role)
{
	for (int i = AUTH_ADMIN; i < AUTH_NOBODY; i++)
		if (strcmp(names[i], word) == 0) {
			*role = (enum auth_role)i;
			return 0;
		}
	return -1;
}

static unsigned
nibble(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

void
auth_digest(const char *token, uint8_t digest[AUTH_DIGEST])
{
	char hex[DIGEST_HEX];

	digest_of(token, strlen(token), hex);
	for (size_t i = 0; i < AUTH_DIGEST; i++)
		digest[i] = (uint8_t)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
}

void
auth_random(char text[AUTH_TOKEN])
{
	uint8_t bits[AUTH_DIGEST];

	while (getrandom(bits, sizeof bits, 0) != (ssize_t)sizeof bits) /* fails only where a signal comes before the system has any randomness */
		;
	for (size_t i = 0; i < sizeof bits; i++)
		snprintf(text + 2 * i, 3, "%02x", bits[i]);
	explicit_bzero(bits, sizeof bits);
}

bool
auth_same(const uint8_t a[AUTH_DIGEST], const uint8_t b[AUTH_DIGEST])
{
	volatile uint8_t differing = 0;                            /* volatile: no compiler may stop at the first difference */

	for (size_t i = 0; i < AUTH_DIGEST; i++)
		differing |= a[i] ^ b[i];
	return differing == 0;
}

static struct stamp
stamp_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return (struct stamp){ .is_there = false };
	return (struct stamp){ .device = st.st_dev, .inode = st.st_ino, .size = st.st_size, .modified = st.st_mtim, .changed = st.st_ctim, .is_there = true };
}

static bool
same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool
same_stamp(const struct stamp *a, const struct stamp *b)
{
	return a->is_there == b->is_there && a->device == b->device && a->inode == b->inode && a->size == b->size && same_time(&a->modified, &b->modified)
		&& same_time(&a->changed, &b->changed);
}

/* The stamp is taken before the reading: a change in between is seen the next time. */
static void
follow(struct auth *a)
{
	struct stamp now = stamp_of(a->path);
	struct auth_list list = { 0 };

	if (same_stamp(&now, &a->read))
		return;
	a->read = now;
	a->unread.code = ERR_NONE;
	auth_list_free(&a->list);
	if (auth_list_load(a->path, &list, &a->unread) != 0) {
		log_event(LOG_ERROR, "tokens_unread", "text=\"%s\"", a->unread.text);
		return;
	}
	a->list = list;
	log_event(LOG_INFO, "tokens_read", "tokens=%zu", list.n);
}

struct auth *
auth_open(const char *path, struct err *e)
{
	struct auth *a = calloc(1, sizeof *a);

	if (a == NULL) {
		err_errno(e, "tokens");
		return NULL;
	}
	pthread_mutex_init(&a->lock, NULL);
	snprintf(a->path, sizeof a->path, "%s", path);
	a->read = stamp_of(path);
	if (auth_list_load(path, &a->list, e) != 0) {
		err_note(e, "http.tokens_file");
		auth_close(a);
		return NULL;
	}
	return a;
}

void
auth_close(struct auth *a)
{
	if (a == NULL)
		return;
	auth_list_free(&a->list);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

size_t
auth_count(struct auth *a)
{
	size_t n;

	pthread_mutex_lock(&a->lock);
	follow(a);
	n = a->list.n;
	pthread_mutex_unlock(&a->lock);
	return n;
}

int
auth_find(struct auth *a, const uint8_t digest[AUTH_DIGEST], struct auth_token *out, struct err *e)
{
	int found = 0;

	pthread_mutex_lock(&a->lock);
	follow(a);
	for (size_t i = 0; i < a->list.n; i++)                     /* all of them: the time says nothing of which */
		if (auth_same(a->list.tokens[i].digest, digest)) {
			*out = a->list.tokens[i];
			found = 1;
		}
	if (a->unread.code != ERR_NONE) {
		*e = a->unread;
		found = -1;
	}
	pthread_mutex_unlock(&a->lock);
	return found;
}
