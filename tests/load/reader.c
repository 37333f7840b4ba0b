/* READERS threads, each with one connection that lives on: GETs the paths in turn, PER_SECOND a second, until stdin ends. Then one line: how many answers, how
 * many errors (anything but 200, or no answer), and the 50th, 99th percentile and the longest, in milliseconds from the request's first byte to the answer's last.
 *   reader PORT READERS PER_SECOND PATH... */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_READERS = 1000, BUFFER = 1 << 20, N_BINS = 100000 /* of 0.1 ms; longer ones are in the last */ };

static unsigned port;
static double per_second;
static char **paths;
static size_t n_paths;
static atomic_bool ended;
static atomic_long bins[N_BINS], n_errors, n_answers, longest_us;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
call(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Reads one answer; its status, or -1. */
static int
answer(int fd, char *b)
{
	size_t n = 0, whole = 0;
	char *body, *length;
	ssize_t k;

	do {
		if ((k = recv(fd, b + n, BUFFER - 1 - n, 0)) <= 0)
			return -1;
		n += (size_t)k;
		b[n] = '\0';
		if (whole == 0 && (body = strstr(b, "\r\n\r\n")) != NULL) {
			length = strcasestr(b, "\r\ncontent-length:");
			if (length == NULL || length > body)
				return -1;
			whole = (size_t)(body + 4 - b) + strtoul(length + 17, NULL, 10);
		}
	} while (whole == 0 || n < whole);
	return n == whole && strncmp(b, "HTTP/1.1 ", 9) == 0 ? (int)strtol(b + 9, NULL, 10) : -1;
}

static void
count(double seconds)
{
	long us = (long)(seconds * 1e6), bin = us / 100, longest = atomic_load(&longest_us);

	atomic_fetch_add(&bins[bin < N_BINS ? bin : N_BINS - 1], 1);
	atomic_fetch_add(&n_answers, 1);
	while (us > longest && !atomic_compare_exchange_weak(&longest_us, &longest, us))
		;
}

static void *
read_on(void *arg) /* size_t: which reader */
{
	size_t me = *(const size_t *)arg, i = me;
	char *b = malloc(BUFFER), request[600];
	double next = now() + (double)me / 50 / per_second;
	int fd = call();

	for (; !atomic_load(&ended); i++) {
		double left = next - now(), began;
		int status, n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", paths[i % n_paths], port);
		if (left > 0)
			poll(NULL, 0, (int)(left * 1000) + 1);
		next += 1 / per_second;
		began = now();
		status = fd >= 0 && send(fd, request, (size_t)n, MSG_NOSIGNAL) == n ? answer(fd, b) : -1;
		count(now() - began);
		if (status == 200)
			continue;
		if (atomic_fetch_add(&n_errors, 1) < 10)
			fprintf(stderr, "reader %zu: GET %s: %d\n", me, paths[i % n_paths], status);
		if (fd >= 0)
			close(fd);
		fd = call();
	}
	if (fd >= 0)
		close(fd);
	free(b);
	return NULL;
}

/* The time below which that share of the answers lies. */
static double
percentile(double share)
{
	long wanted = (long)((double)atomic_load(&n_answers) * share), met = 0;

	for (size_t i = 0; i < N_BINS; i++)
		if ((met += atomic_load(&bins[i])) > wanted)
			return (double)(i + 1) / 10;
	return (double)N_BINS / 10;
}

int
main(int argc, char **argv)
{
	pthread_t threads[MAX_READERS];
	static size_t numbers[MAX_READERS];
	size_t n_readers;
	char c;

	if (argc < 5)
		return 2;
	port = (unsigned)strtoul(argv[1], NULL, 10);
	n_readers = strtoul(argv[2], NULL, 10);
	per_second = strtod(argv[3], NULL);
	paths = argv + 4;
	n_paths = (size_t)argc - 4;
	n_readers = n_readers < MAX_READERS ? n_readers : MAX_READERS;
	for (size_t i = 0; i < n_readers; i++) {
		numbers[i] = i;
		if (pthread_create(&threads[i], NULL, read_on, &numbers[i]) != 0)
			return 1;
	}
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	atomic_store(&ended, true);
	for (size_t i = 0; i < n_readers; i++)
		pthread_join(threads[i], NULL);
	printf("answers %ld errors %ld p50_ms %.1f p99_ms %.1f max_ms %.1f\n", atomic_load(&n_answers), atomic_load(&n_errors), percentile(0.5), percentile(0.99),
	    (double)atomic_load(&longest_us) / 1000);
	return 0;
}
