/* Which files and folders the program has synced since it was asked last, and in which order: fsync() of a test that includes this is the one below. */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SYNCS_PATH = 1024, SYNCS_MOST = 1024 };

static struct { pthread_mutex_t lock; size_t n; char paths[SYNCS_MOST][SYNCS_PATH]; } syncs = { .lock = PTHREAD_MUTEX_INITIALIZER };

int
fsync(int fd)
{
	char name[32];
	ssize_t n;

	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	pthread_mutex_lock(&syncs.lock);
	n = syncs.n < SYNCS_MOST ? readlink(name, syncs.paths[syncs.n], SYNCS_PATH - 1) : -1;
	if (n >= 0)
		syncs.paths[syncs.n++][n] = '\0';
	pthread_mutex_unlock(&syncs.lock);
	return (int)syscall(SYS_fsync, fd);
}

/* Whether something whose name began with `path` when it was synced was, and `then` later (NULL: nothing more is asked). Forgets all. */
static bool
synced(const char *path, const char *then)
{
	size_t i = 0;
	bool is_good;

	pthread_mutex_lock(&syncs.lock);
	while (i < syncs.n && strncmp(syncs.paths[i], path, strlen(path)) != 0)
		i++;
	is_good = i < syncs.n;
	while (then != NULL && i < syncs.n && strcmp(syncs.paths[i], then) != 0)
		i++;
	is_good = is_good && i < syncs.n;
	syncs.n = 0;
	pthread_mutex_unlock(&syncs.lock);
	return is_good;
}
