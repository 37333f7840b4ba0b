/* What `segan jobs` makes of a node's answers: JSON, problems, other people's pages, silence. */
#include "service/http/client.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* One connection, one canned answer. */
struct service { const char *status, *body; int listener; char request[2048]; };

static void *
serve(void *arg)
{
	struct service *s = arg;
	char text[1024];
	size_t n = 0;
	ssize_t k;
	int fd = accept(s->listener, NULL, NULL);

	while (strstr(s->request, "\r\n\r\n") == NULL && (k = recv(fd, s->request + n, sizeof s->request - 1 - n, 0)) > 0)
		n += (size_t)k;
	snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", s->status, strlen(s->body), s->body);
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
	close(fd);
	return NULL;
}

static struct json_doc *
ask(const char *method, const char *status, const char *body, const char *request, struct err *e)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof at;
	struct service s = { .status = status, .body = body, .listener = socket(AF_INET, SOCK_STREAM, 0) };
	struct json_doc *d;
	char url[100];
	pthread_t thread;

	assert_int_equal(bind(s.listener, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(s.listener, 1), 0);
	assert_int_equal(getsockname(s.listener, (struct sockaddr *)&at, &size), 0);
	assert_int_equal(pthread_create(&thread, NULL, serve, &s), 0);
	snprintf(url, sizeof url, "http://127.0.0.1:%u/api/v1/jobs/7", ntohs(at.sin_port));
	d = client_request(method, url, NULL, e);
	pthread_join(thread, NULL);
	close(s.listener);
	assert_int_equal(strncmp(s.request, request, strlen(request)), 0);
	return d;
}

static void
json_is_handed_out(void **state)
{
	struct err e = { 0 };
	struct json_doc *d = ask("GET", "200 OK", "{\"id\": 7}", "GET /api/v1/jobs/7 HTTP/1.1\r\n", &e);

	(void)state;
	assert_non_null(d);
	assert_true(json_number(json_get(json_root(d), "id"), 0) == 7);
	json_doc_free(d);
	d = ask("POST", "202 Accepted", "{}", "POST /api/v1/jobs/7 HTTP/1.1\r\n", &e);
	assert_non_null(d);
	json_doc_free(d);
}

static void
everything_else_is_an_error_in_words(void **state)
{
	static const struct { const char *status, *body; enum err_code code; const char *words; } rows[] = {
		{ "404 Not Found", "{\"status\": 404, \"detail\": \"there is no job 7\"}", ERR_NOT_FOUND, "there is no job 7" },
		{ "409 Conflict", "{\"detail\": \"job 7 is done already\"}", ERR_STATE, "job 7 is done already" },
		{ "400 Bad Request", "{\"detail\": \"limit\"}", ERR_INPUT, "limit" },
		{ "503 Service Unavailable", "", ERR_PEER, "HTTP 503" },
		{ "404 Not Found", "<html>nothing here</html>", ERR_NOT_FOUND, "HTTP 404" },
		{ "302 Found", "", ERR_PEER, "HTTP 302" },
		{ "200 OK", "", ERR_PEER, "not JSON" },
		{ "200 OK", "<html>welcome</html>", ERR_PEER, "not JSON" },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_null(ask("GET", rows[i].status, rows[i].body, "GET ", &e));
		if (e.code != rows[i].code || strstr(e.text, rows[i].words) == NULL)
			fail_msg("%s, \"%s\": %s, \"%s\"", rows[i].status, rows[i].body, err_name(e.code), e.text);
	}
	assert_null(client_request("GET", "http://127.0.0.1:1/", NULL, &e)); /* nobody listens on port 1 */
	assert_int_equal(e.code, ERR_PEER);
	assert_non_null(strstr(e.text, "is segand running"));
	assert_null(client_request("GET", "file:///etc/hostname", NULL, &e));
	assert_int_equal(e.code, ERR_PEER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(json_is_handed_out), cmocka_unit_test(everything_else_is_an_error_in_words) };

	signal(SIGPIPE, SIG_IGN);
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
