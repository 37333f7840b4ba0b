/* For the tests of the network side: DICOM files to send, peers as processes, and PDUs by hand (PS3.8 9.3). Needs only the loopback interface. */
#pragma once
#include "config/clock.h"
#include "config/file.h"
#include "dicom/scp.h"
#include "dicom/scu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNUSED_IS_FINE __attribute__((unused)) static

#define MR "1.2.840.10008.5.1.4.1.1.4"
#define SEG "1.2.840.10008.5.1.4.1.1.66.4"
#define LABELMAP "1.2.840.10008.5.1.4.1.1.66.7"
#define VERIFICATION "1.2.840.10008.1.1"
#define COMMITMENT "1.2.840.10008.1.20.1"
#define FIND "1.2.840.10008.5.1.4.1.2.2.1"
#define IMPLICIT "1.2.840.10008.1.2"
#define EXPLICIT "1.2.840.10008.1.2.1"
#define JPEG "1.2.840.10008.1.2.4.70"
#define MPEG "1.2.840.10008.1.2.4.100"

extern char **environ;

/* A folder of this test's own. */
UNUSED_IS_FINE void
make_dir(char dir[256])
{
	const char *top = getenv("TMPDIR");

	snprintf(dir, 256, "%s/segan-net-XXXXXX", top != NULL ? top : "/tmp");
	assert_non_null(mkdtemp(dir));
}

UNUSED_IS_FINE void
remove_dir(const char *dir)
{
	struct err e;

	assert_int_equal(file_remove_tree(dir, &e), 0);
}

UNUSED_IS_FINE size_t
count_files(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *i;
	size_t n = 0;

	assert_non_null(d);
	while ((i = readdir(d)) != NULL)
		n += i->d_name[0] != '.';
	closedir(d);
	return n;
}

/* ---- files ---- */

struct bytes { unsigned char *at; size_t n, room; };

UNUSED_IS_FINE void
put(struct bytes *b, const void *from, size_t n)
{
	if (b->n + n > b->room) {
		b->room = (b->n + n) * 2;
		b->at = realloc(b->at, b->room);
		assert_non_null(b->at);
	}
	memcpy(b->at + b->n, from, n);
	b->n += n;
}

UNUSED_IS_FINE void
put_little(struct bytes *b, uint32_t value, size_t n)
{
	unsigned char v[4] = { value & 255, value >> 8 & 255, value >> 16 & 255, value >> 24 };

	put(b, v, n);
}

UNUSED_IS_FINE void
put_big(struct bytes *b, uint32_t value, size_t n)
{
	unsigned char v[4] = { value >> 24, value >> 16 & 255, value >> 8 & 255, value & 255 };

	put(b, v + 4 - n, n);
}

/* An element; vr NULL is implicit. Text is padded to even length, UIDs with 0. */
UNUSED_IS_FINE void
put_element(struct bytes *b, unsigned group, unsigned element, const char *vr, const void *value, size_t n)
{
	bool is_long = vr != NULL && (strcmp(vr, "OB") == 0 || strcmp(vr, "OW") == 0);

	put_little(b, group, 2);
	put_little(b, element, 2);
	if (vr != NULL)
		put(b, vr, 2);
	if (is_long)
		put_little(b, 0, 2);
	put_little(b, (uint32_t)(n + n % 2), vr == NULL || is_long ? 4 : 2);
	put(b, value, n);
	if (n % 2 != 0)
		put(b, "", 1);
}

UNUSED_IS_FINE void
put_text(struct bytes *b, unsigned group, unsigned element, const char *vr, const char *text)
{
	put_element(b, group, element, vr, text, strlen(text));
}

UNUSED_IS_FINE struct bytes
make_data_set(const char *sop_class, const char *sop_uid, bool is_implicit, size_t n_pixels)
{
	struct bytes b = { 0 };
	unsigned char *pixels = malloc(n_pixels);

	assert_non_null(pixels);
	for (size_t i = 0; i < n_pixels; i++)
		pixels[i] = (unsigned char)(i * 7 + i / 251);
	put_text(&b, 0x0008, 0x0016, is_implicit ? NULL : "UI", sop_class);
	put_text(&b, 0x0008, 0x0018, is_implicit ? NULL : "UI", sop_uid);
	put_text(&b, 0x0010, 0x0010, is_implicit ? NULL : "PN", "CANARY^NET");
	put_element(&b, 0x7FE0, 0x0010, is_implicit ? NULL : "OW", pixels, n_pixels);
	free(pixels);
	return b;
}

/* A Part 10 file; the data set alone begins at the returned offset. */
UNUSED_IS_FINE size_t
write_dicom(const char *path, const char *sop_class, const char *sop_uid, bool is_implicit, size_t n_pixels)
{
	struct bytes meta = { 0 }, all = { 0 }, data = make_data_set(sop_class, sop_uid, is_implicit, n_pixels);
	unsigned char zero[128] = { 0 };
	struct err e;
	size_t n_before;

	put_element(&meta, 2, 1, "OB", "\0\1", 2);
	put_text(&meta, 2, 2, "UI", sop_class);
	put_text(&meta, 2, 3, "UI", sop_uid);
	put_text(&meta, 2, 0x10, "UI", is_implicit ? IMPLICIT : EXPLICIT);
	put_text(&meta, 2, 0x12, "UI", "1.2.3");
	put(&all, zero, sizeof zero);
	put(&all, "DICM", 4);
	put_little(&all, 2, 4);
	put(&all, "UL\4", 4);
	put_little(&all, (uint32_t)meta.n, 4);
	put(&all, meta.at, meta.n);
	n_before = all.n;
	put(&all, data.at, data.n);
	if (file_write(path, all.at, all.n, &e) != 0)
		fail_msg("%s", e.text);
	free(meta.at);
	free(all.at);
	free(data.at);
	return n_before;
}

/* ---- processes ---- */

/* argv ends with NULL; out takes stdout and stderr. */
UNUSED_IS_FINE pid_t
start_peer(const char *const *argv, const char *out)
{
	posix_spawn_file_actions_t a;
	pid_t pid;

	posix_spawn_file_actions_init(&a);
	posix_spawn_file_actions_addopen(&a, 1, out, O_CREAT | O_WRONLY | O_TRUNC, 0600);
	posix_spawn_file_actions_adddup2(&a, 1, 2);
	assert_int_equal(posix_spawnp(&pid, argv[0], &a, NULL, (char *const *)(uintptr_t)argv, environ), 0);
	posix_spawn_file_actions_destroy(&a);
	return pid;
}

UNUSED_IS_FINE int
end_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

UNUSED_IS_FINE void
stop_peer(pid_t pid)
{
	kill(pid, SIGKILL);
	end_of(pid);
}

/* ---- sockets ---- */

UNUSED_IS_FINE int
try_connect(const char *address, unsigned port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(inet_pton(AF_INET, address, &to.sin_addr), 1);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
		return fd;
	close(fd);
	return -1;
}

UNUSED_IS_FINE unsigned
free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	close(fd);
	return ntohs(a.sin_port);
}

/* Until a process that was just started listens: tries again every 10 ms, 60 s at most. */
UNUSED_IS_FINE void
wait_for_port(unsigned port)
{
	int64_t until = clock_monotonic_ms() + 60000;
	int fd = -1;

	while (fd < 0 && clock_monotonic_ms() < until) {
		fd = try_connect("127.0.0.1", port);
		if (fd < 0)
			poll(NULL, 0, 10);
	}
	assert_true(fd >= 0);
	close(fd);
}

/* The other side may be gone by now, which is no fault: what it made of all this is seen by what it says. (An assertion in a peer's thread would end the program.) */
UNUSED_IS_FINE void
send_all(int fd, const void *bytes, size_t n)
{
	(void)!send(fd, bytes, n, MSG_NOSIGNAL);
}

/* Waits until the other side closes, reading what it says. False after 10 s. */
UNUSED_IS_FINE bool
is_closed_by_peer(int fd)
{
	char byte[512];
	struct pollfd p = { fd, POLLIN, 0 };

	while (poll(&p, 1, 30000) == 1)
		if (recv(fd, byte, sizeof byte, 0) <= 0)
			return true;
	return false;
}

/* ---- PDUs ---- */

struct proposal { const char *sop_class, *syntax; };

UNUSED_IS_FINE void
put_item(struct bytes *b, unsigned type, const void *value, size_t n)
{
	put_big(b, type << 8, 2);
	put_big(b, (uint32_t)n, 2);
	put(b, value, n);
}

UNUSED_IS_FINE void
put_pdu(struct bytes *b, unsigned type, const void *value, size_t n)
{
	put_big(b, type << 8, 2);
	put_big(b, (uint32_t)n, 4);
	put(b, value, n);
}

/* Contexts get the IDs 1, 3, 5 ... */
UNUSED_IS_FINE struct bytes
make_request(const char *called, const struct proposal *contexts, size_t n)
{
	struct bytes b = { 0 }, pdu = { 0 }, user = { 0 };
	char titles[33];

	put_big(&b, 1 << 16, 4);
	snprintf(titles, sizeof titles, "%-16s%-16s", called, "BYHAND");
	put(&b, titles, 32);
	for (int i = 0; i < 8; i++)
		put_big(&b, 0, 4);
	put_item(&b, 0x10, "1.2.840.10008.3.1.1.1", 21);
	for (size_t i = 0; i < n; i++) {
		struct bytes c = { 0 };
		put_big(&c, (uint32_t)(2 * i + 1) << 24, 4);
		put_item(&c, 0x30, contexts[i].sop_class, strlen(contexts[i].sop_class));
		put_item(&c, 0x40, contexts[i].syntax, strlen(contexts[i].syntax));
		put_item(&b, 0x20, c.at, c.n);
		free(c.at);
	}
	put_item(&user, 0x51, "\0\0\x40\0", 4);
	put_item(&user, 0x52, "1.2.3", 5);
	put_item(&b, 0x50, user.at, user.n);
	put_pdu(&pdu, 1, b.at, b.n);
	free(b.at);
	free(user.at);
	return pdu;
}

UNUSED_IS_FINE void
receive_all(int fd, unsigned char *to, size_t n)
{
	struct pollfd p = { fd, POLLIN, 0 };

	for (size_t done = 0; done < n;) {
		assert_int_equal(poll(&p, 1, 10000), 1);
		ssize_t got = recv(fd, to + done, n - done, 0);
		assert_true(got > 0);
		done += (size_t)got;
	}
}

/* The next PDU: its type, and its value in *value (caller frees). */
UNUSED_IS_FINE unsigned
receive_pdu(int fd, struct bytes *value)
{
	unsigned char head[6];

	receive_all(fd, head, 6);
	value->n = (size_t)head[2] << 24 | (size_t)head[3] << 16 | (size_t)head[4] << 8 | head[5];
	assert_true(value->n < 1 << 20);
	value->at = malloc(value->n + 1);
	assert_non_null(value->at);
	receive_all(fd, value->at, value->n);
	return head[0];
}

UNUSED_IS_FINE void
send_pdu(int fd, unsigned type, const void *value, size_t n)
{
	struct bytes b = { 0 };

	put_pdu(&b, type, value, n);
	send_all(fd, b.at, b.n);
	free(b.at);
}

/* One P-DATA-TF with one fragment. */
UNUSED_IS_FINE void
send_fragment(int fd, unsigned context, bool is_command, bool is_last, const void *bytes, size_t n)
{
	struct bytes b = { 0 };

	put_big(&b, (uint32_t)n + 2, 4);
	put_big(&b, context << 8 | (is_last ? 2u : 0u) | (is_command ? 1u : 0u), 2);
	put(&b, bytes, n);
	send_pdu(fd, 4, b.at, b.n);
	free(b.at);
}

UNUSED_IS_FINE void
send_command(int fd, unsigned context, unsigned field, const char *sop_class, const char *sop_uid)
{
	struct bytes b = { 0 }, all = { 0 };
	unsigned char u[2] = { field & 255, (unsigned char)(field >> 8) };

	put_text(&b, 0, 2, NULL, sop_class);
	put_element(&b, 0, 0x100, NULL, u, 2);
	put_element(&b, 0, 0x110, NULL, "\1\0", 2);
	put_element(&b, 0, 0x700, NULL, "\0\0", 2);
	put_element(&b, 0, 0x800, NULL, field == 0x30 ? "\1\1" : "\0\0", 2); /* C-ECHO has no data set */
	if (sop_uid != NULL)
		put_text(&b, 0, 0x1000, NULL, sop_uid);
	put_little(&all, 0, 4);
	put_little(&all, 4, 4);
	put_little(&all, (uint32_t)b.n, 4);
	put(&all, b.at, b.n);
	send_fragment(fd, context, true, true, all.at, all.n);
	free(b.at);
	free(all.at);
}

/* An association made by hand; -1: rejected. *answer, unless NULL: the A-ASSOCIATE-AC or -RJ (caller frees answer->at). */
UNUSED_IS_FINE int
associate(unsigned port, const struct proposal *contexts, size_t n, struct bytes *answer)
{
	struct bytes rq = make_request("SEGAN", contexts, n), mine = { 0 };
	int fd = try_connect("127.0.0.1", port);

	assert_true(fd >= 0);
	send_all(fd, rq.at, rq.n);
	free(rq.at);
	unsigned type = receive_pdu(fd, answer != NULL ? answer : &mine);
	free(mine.at);
	if (type == 2)
		return fd;
	close(fd);
	return -1;
}
