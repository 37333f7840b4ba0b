/* For test_http.c and test_stow.c: a node with its HTTP door in a folder of its own, and a raw socket that says to it what no client library would. */
#pragma once
#include "config/file.h"
#include "db/instances.h"
#include "dicom/dicom.h"
#include "service/flow/node.h"
#include "service/flow/spool.h"
#include "service/http/server.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
/* cmocka needs some of those above first */
#include <cmocka.h>

struct site { char dir[256]; struct settings settings; struct node node; struct server *server; };
static struct site site;

static inline void
site_start_server(void)
{
	struct err e;

	site.server = server_start(&site.node, NULL, &e);
	if (!site.server)
		fail_msg("%s", e.text);
}

/* Waits for what the server still does, by stopping it. */
static inline void
site_restart_server(void)
{
	server_stop(site.server);
	site_start_server();
}

/* For cmocka: set-up and tear-down of a group. */
static int
site_open(void **state)
{
	static struct destination_setting pacs = { .name = "pacs" };
	const char *tmp = getenv("TMPDIR");
	struct err e;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	alarm(120);
	memset(&site, 0, sizeof site);
	snprintf(site.dir, sizeof site.dir, "%s/segan-http-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(site.dir));
	snprintf(site.settings.data_dir, sizeof site.settings.data_dir, "%s/data", site.dir);
	snprintf(site.settings.models_dir, sizeof site.settings.models_dir, "model/shipped");
	snprintf(site.settings.http.bind, sizeof site.settings.http.bind, "127.0.0.1");
	site.settings.http.max_connections = site.settings.http.max_connections_per_client = 64;
	site.settings.http.max_token_failures = 20;
	site.settings.http.session_timeout = 60;
	site.settings.http.max_header_kb = 32;
	site.settings.http.max_body_mb = 2;
	site.settings.http.max_parts = 10000;
	site.settings.http.max_json_kb = 4;
	site.settings.http.max_json_depth = 32;
	site.settings.http.header_timeout = site.settings.http.request_timeout = 20;
	site.settings.http.min_body_rate = 1024;
	site.settings.http.idle_timeout = 3; /* s; what stays open waits for it */
	site.settings.dicom.max_instance_mb = 1;
	site.settings.max_attempts = 3;
	site.settings.destinations = &pacs;
	site.settings.n_destinations = 1;
	if (dicom_start(&e) < 0 || node_open(&site.node, &site.settings, &e) < 0)
		fail_msg("%s", e.text);
	site_start_server();
	return 0;
}

static int
site_close(void **state)
{
	struct err e;

	(void)state;
	server_stop(site.server);
	node_close(&site.node);
	return file_remove_tree(site.dir, &e);
}

static inline int
count_file(void *arg, const char *path, struct err *e)
{
	(void)path;
	(void)e;
	++*(size_t *)arg;
	return 0;
}

/* Files that are left where parts arrive. */
static inline size_t
tmp_files(void)
{
	char path[SPOOL_PATH];
	size_t n = 0;
	struct err e;

	spool_tmp_dir(&site.node, path);
	assert_int_equal(file_walk(path, count_file, &n, &e), 0);
	return n;
}

/* ---- a client ---- */

struct answer { unsigned status; char head[8192], body[65536]; };

static inline int
dial(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)server_port(site.server)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval patience = { .tv_sec = 30 };
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(s >= 0);
	assert_int_equal(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	assert_int_equal(connect(s, (struct sockaddr *)&to, sizeof to), 0);
	return s;
}

static inline void
send_all(int s, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(s, bytes, n, MSG_NOSIGNAL);
		if (sent <= 0)
			return;                          /* refused early: the answer says why */
		bytes += sent;
		n -= (size_t)sent;
	}
}

/* Reads until the other side closes. status 0: it closed without an answer. */
static inline void
read_answer(int s, struct answer *a)
{
	static char all[sizeof a->head + sizeof a->body];
	char *text = all, *split;
	size_t n = 0;
	ssize_t got;

	memset(a, 0, sizeof *a);
	while (n + 1 < sizeof all && (got = recv(s, all + n, sizeof all - 1 - n, 0)) > 0)
		n += (size_t)got;
	all[n] = '\0';
	while (strncmp(text, "HTTP/1.1 100", 12) == 0)
		text = strstr(text, "\r\n\r\n") + 4;
	if (sscanf(text, "HTTP/1.1 %u", &a->status) != 1)
		return;
	split = strstr(text, "\r\n\r\n");
	assert_non_null(split);
	snprintf(a->head, sizeof a->head, "%.*s\r\n", (int)(split - text), text);
	snprintf(a->body, sizeof a->body, "%s", split + 4);
}

static inline void
talk(const char *bytes, size_t n, struct answer *a)
{
	int s = dial();

	send_all(s, bytes, n);
	read_answer(s, a);
	close(s);
}

/* A request without a body; each header ends with CR LF. */
static inline unsigned
ask(const char *method, const char *path, const char *headers, struct answer *a)
{
	char text[8192];
	int n = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n%s\r\n", method, path, server_port(site.server), headers);

	talk(text, (size_t)n, a);
	return a->status;
}

static inline void
expect(const struct answer *a, unsigned status)
{
	if (a->status != status)
		fail_msg("status %u, not %u: %s%s", a->status, status, a->head, a->body);
}

static inline void
expect_problem(const struct answer *a, unsigned status)
{
	char text[32];

	expect(a, status);
	snprintf(text, sizeof text, "\"status\":%u", status);
	assert_non_null(strstr(a->head, "Content-Type: application/problem+json\r\n"));
	assert_non_null(strstr(a->body, text));
}
