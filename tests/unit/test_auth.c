/* Who may: the file of tokens and how a node follows it, sessions, and what one address may do. Times are handed in. */
#include "config/file.h"
#include "service/http/clients.h"
#include "service/http/route.h"
#include "service/http/session.h"
#include "service/http/who.h"

#include "tests/unit/syncs.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[200], path[300];

static void
roles(void **state)
{
	enum auth_role role;

	(void)state;
	for (int i = AUTH_ADMIN; i < AUTH_NOBODY; i++) {
		assert_int_equal(auth_role_parse(auth_role_name((enum auth_role)i), &role), 0);
		assert_int_equal(role, i);
	}
	assert_int_equal(auth_role_parse("nobody", &role), -1);
	assert_int_equal(auth_role_parse("", &role), -1);
	assert_true(AUTH_ADMIN < AUTH_OPERATOR && AUTH_OPERATOR < AUTH_VIEWER); /* who_may compares so */
}

/* A route that is added must think of who may. */
static void
routes_need_somebody(void **state)
{
	static const char *const open[] = { "GET /health", "GET /ready", "POST /api/v1/session" };
	static const char *const harmless[] = { "POST /api/v1/rules/test", "POST /api/v1/session", "DELETE /api/v1/session" };

	(void)state;
	for (size_t i = 0; i < n_routes; i++) {
		bool is_open = false, changes = strcmp(routes[i].method, "GET") != 0;
		char text[200];
		snprintf(text, sizeof text, "%s %s", routes[i].method, routes[i].pattern);
		for (size_t k = 0; k < sizeof open / sizeof *open; k++)
			is_open = is_open || strcmp(open[k], text) == 0;
		for (size_t k = 0; k < sizeof harmless / sizeof *harmless; k++)
			changes = changes && strcmp(harmless[k], text) != 0;
		if ((routes[i].needs == AUTH_NOBODY) != is_open || (changes && routes[i].needs > AUTH_OPERATOR))
			fail_msg("%s: %s may", text, auth_role_name(routes[i].needs));
	}
}

static void
credentials(void **state)
{
	static const struct { const char *header, *token; /* NULL: none */ } bearers[] = {
		{ NULL, NULL }, { "", NULL }, { "Basic abc", NULL }, { "Bearer", NULL }, { "Bearerabc", NULL }, { "Bearer abc", "abc" }, { "bearer   abc", "abc" }, { "Bearer abc def", "abc" }, { "Bearer ", "" },
	}, cookies[] = {
		{ NULL, NULL }, { "", NULL }, { "a=b", NULL }, { "segand_session=abc", "abc" }, { "a=b; segand_session=abc; c=d", "abc" }, { "xsegand_session=abc", NULL }, { "segand_sessionx=abc", NULL },
		{ "a=segand_session=abc", NULL }, { "segand_session=", "" }, { ";;;; segand_session=abc", "abc" }, { "segand_session", NULL },
	};
	char long_header[WHO_TOKEN + 20], token[WHO_TOKEN], id[AUTH_TOKEN];

	(void)state;
	for (size_t i = 0; i < sizeof bearers / sizeof *bearers; i++) {
		assert_int_equal(who_bearer(bearers[i].header, token), bearers[i].token != NULL);
		if (bearers[i].token != NULL)
			assert_string_equal(token, bearers[i].token);
	}
	for (size_t i = 0; i < sizeof cookies / sizeof *cookies; i++) {
		assert_int_equal(who_session(cookies[i].header, id), cookies[i].token != NULL);
		if (cookies[i].token != NULL)
			assert_string_equal(id, cookies[i].token);
	}
	memset(long_header, 'a', sizeof long_header);
	memcpy(long_header, "Bearer ", 7);
	long_header[sizeof long_header - 1] = '\0';
	assert_true(who_bearer(long_header, token));
	assert_string_equal(token, "");
}

static void
digests(void **state)
{
	uint8_t a[AUTH_DIGEST], b[AUTH_DIGEST];
	char x[AUTH_TOKEN], y[AUTH_TOKEN];

	(void)state;
	auth_digest("abc", a);                                          /* FIPS 180-4's example */
	assert_int_equal(a[0], 0xba);
	assert_int_equal(a[31], 0xad);
	auth_digest("abd", b);
	assert_false(auth_same(a, b));
	memcpy(b, a, sizeof b);
	assert_true(auth_same(a, b));
	b[31] ^= 1;
	assert_false(auth_same(a, b));
	auth_random(x);
	auth_random(y);
	assert_int_equal(strspn(x, "0123456789abcdef"), 64);
	assert_string_not_equal(x, y);
}

static void
a_token_comes_and_goes(void **state)
{
	char first[AUTH_TOKEN], second[AUTH_TOKEN];
	uint8_t digest[AUTH_DIGEST];
	struct auth_token found;
	struct auth_list l;
	struct auth *a;
	struct stat st;
	struct err e;

	(void)state;
	assert_null(auth_open(path, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	umask(0);
	assert_int_equal(auth_add(path, NULL, "first", AUTH_ADMIN, first, &e), 0);
	umask(022);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	a = auth_open(path, &e);
	assert_non_null(a);
	assert_int_equal(auth_count(a), 1);
	auth_digest(first, digest);
	assert_int_equal(auth_find(a, digest, &found, &e), 1);
	assert_string_equal(found.name, "first");
	assert_int_equal(found.role, AUTH_ADMIN);
	assert_int_equal(auth_add(path, NULL, "second", AUTH_VIEWER, second, &e), 0);
	auth_digest(second, digest);
	assert_int_equal(auth_find(a, digest, &found, &e), 1);           /* without opening again */
	assert_int_equal(found.role, AUTH_VIEWER);
	assert_int_equal(auth_add(path, NULL, "second", AUTH_ADMIN, second, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	assert_int_equal(auth_add(path, NULL, "a/b", AUTH_ADMIN, second, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_int_equal(auth_revoke(path, "second", &e), 0);
	assert_int_equal(auth_find(a, digest, &found, &e), 0);
	assert_int_equal(auth_revoke(path, "second", &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(auth_list_load(path, &l, &e), 0);
	assert_int_equal(l.n, 1);
	auth_list_free(&l);
	unlink(path);
	auth_digest(first, digest);
	assert_int_equal(auth_find(a, digest, &found, &e), -1);          /* no file, nobody */
	assert_int_equal(auth_count(a), 0);
	auth_close(a);
}

static int
add_some(int who)
{
	char name[16], token[AUTH_TOKEN];
	struct err e;
	int rc = 0;

	for (int i = 0; i < 8 && rc == 0; i++) {
		snprintf(name, sizeof name, "%d-%d", who, i);
		rc = auth_add(path, NULL, name, AUTH_VIEWER, token, &e);
	}
	return rc;
}

/* Commands at once lose none of each other's, and what was said to be there is there after a power cut. */
static void
many_add_at_once(void **state)
{
	struct auth_list l;
	struct err e;
	int status = 0;
	char token[AUTH_TOKEN], beside[320];

	(void)state;
	for (int i = 0; i < 4; i++) {
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0)
			_exit(add_some(i) == 0 ? 0 : 1);
	}
	for (int i = 0; i < 4; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(auth_list_load(path, &l, &e), 0);
	assert_int_equal(l.n, 32);
	auth_list_free(&l);
	synced("", NULL);
	assert_int_equal(auth_add(path, NULL, "last", AUTH_VIEWER, token, &e), 0);
	snprintf(beside, sizeof beside, "%s.new", path);
	assert_true(synced(beside, dir));
	unlink(path);
}

/* Root makes the file of a node that runs as somebody else. */
static void
the_node_may_read_it(void **state)
{
	enum { SOMEBODY = 65534 };
	char folder[300], token[AUTH_TOKEN];
	struct stat st;
	struct err e;

	(void)state;
	if (geteuid() != 0)
		skip();
	snprintf(folder, sizeof folder, "%s/data", dir);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(chown(folder, SOMEBODY, SOMEBODY), 0);
	assert_int_equal(auth_add(path, folder, "first", AUTH_ADMIN, token, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, SOMEBODY);
	assert_int_equal(auth_add(path, NULL, "second", AUTH_ADMIN, token, &e), 0);
	assert_int_equal(auth_revoke(path, "first", &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, SOMEBODY);
	assert_int_equal(st.st_mode & 0777, 0600);
	unlink(path);
}

static void
bad_files_let_nobody_in(void **state)
{
#define DIGEST "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define GOOD "{\"name\": \"a\", \"role\": \"admin\", \"sha256\": \"" DIGEST "\", \"created\": \"\"}"
	static const struct { const char *text, *words; } rows[] = {
		{ "", "line 1" }, { "[]", "" }, { "{}", "tokens" }, { "{\"tokens\": {}}", "must be a list" }, { "{\"tokens\": [1]}", "line 1" }, { "{\"tokens\": [" GOOD ",\n" GOOD "]}", "line 2: two tokens are called a" },
		{ "{\"tokens\": [{\"name\": \"a\", \"role\": \"king\", \"sha256\": \"" DIGEST "\", \"created\": \"\"}]}", "a role" },
		{ "{\"tokens\": [{\"name\": \"a b\", \"role\": \"admin\", \"sha256\": \"" DIGEST "\", \"created\": \"\"}]}", "a name" },
		{ "{\"tokens\": [{\"name\": \"a\", \"role\": \"admin\", \"sha256\": \"BA\", \"created\": \"\"}]}", "SHA-256" }, { "{\"tokens\": [{\"name\": \"a\", \"role\": \"admin\", \"created\": \"\"}]}", "sha256" },
	};
	uint8_t digest[AUTH_DIGEST];
	struct auth_token found;
	struct auth *a;
	struct err e;

	(void)state;
	assert_int_equal(file_write(path, "{\"tokens\": [" GOOD "]}", strlen("{\"tokens\": [" GOOD "]}"), &e), 0);
	a = auth_open(path, &e);
	assert_non_null(a);
	auth_digest("abc", digest);
	assert_int_equal(auth_find(a, digest, &found, &e), 1);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(file_write(path, rows[i].text, strlen(rows[i].text), &e), 0);
		if (auth_find(a, digest, &found, &e) != -1 || strstr(e.text, rows[i].words) == NULL || strstr(e.text, path) == NULL)
			fail_msg("%s: %s", rows[i].text, e.text);
	}
	auth_close(a);
	unlink(path);
}

static void
sessions(void **state)
{
	struct err e;
	struct sessions *s = sessions_new(&e);
	uint8_t token[AUTH_DIGEST], other[AUTH_DIGEST], got[AUTH_DIGEST];
	char first[AUTH_TOKEN], id[AUTH_TOKEN];

	(void)state;
	auth_digest("t", token);
	auth_digest("o", other);
	assert_false(sessions_find(s, "", 1, got));
	sessions_open(s, token, 1000, 2000, first);
	assert_true(sessions_find(s, first, 1999, got));
	assert_memory_equal(got, token, sizeof got);
	assert_false(sessions_find(s, first, 2000, got));               /* over */
	for (int i = 0; i < 2000; i++)
		sessions_open(s, other, 1000, 5000 + i, id);
	assert_true(sessions_find(s, first, 1001, got));                /* whoever opens many ends only those of the same token */
	assert_true(sessions_find(s, id, 1001, got));
	for (int i = 0; i < 64; i++)
		sessions_open(s, token, 1000, 5000 + i, id);
	assert_false(sessions_find(s, first, 1001, got));               /* made room, as it ended first */
	sessions_open(s, token, 1000, 2000, first);
	for (int i = 0; i < 1024; i++) {
		memcpy(other, &i, sizeof i);
		sessions_open(s, other, 1000, 5000 + i, id);
	}
	assert_false(sessions_find(s, first, 1001, got));               /* no place is left */
	assert_true(sessions_find(s, id, 1001, got));
	sessions_end(s, id);
	assert_false(sessions_find(s, id, 1001, got));
	sessions_end(s, id);
	sessions_free(s);
}

static struct client *
enter(struct clients *c, const char *address, int64_t now_ms, bool *fits)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
		return clients_enter(c, (struct sockaddr *)&v4, now_ms, fits);
	assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
	return clients_enter(c, (struct sockaddr *)&v6, now_ms, fits);
}

static void
addresses(void **state)
{
	const struct clients_limits l = { .connections = 2, .failures_per_min = 1, .most_connections = 8 };
	struct err e;
	struct clients *c = clients_new(&l, &e);
	struct client *a, *b;
	bool fits;

	(void)state;
	a = enter(c, "10.0.0.1", 1, &fits);
	assert_true(fits);
	assert_ptr_equal(enter(c, "::ffff:10.0.0.1", 1, &fits), a);
	assert_true(fits);
	assert_ptr_equal(enter(c, "10.0.0.1", 1, &fits), a);
	assert_false(fits);
	clients_leave(c, a, 2);
	clients_leave(c, a, 2);
	assert_ptr_equal(enter(c, "10.0.0.1", 3, &fits), a);
	assert_true(fits);
	b = enter(c, "2001:db8::1", 3, &fits);
	assert_ptr_not_equal(a, b);
	assert_ptr_equal(enter(c, "2001:db8::ffff:1", 3, &fits), b);     /* one network */
	assert_ptr_not_equal(enter(c, "2001:db8:0:1::1", 3, &fits), b);
	clients_free(c);
}

static void
rates(void **state)
{
	const struct clients_limits l = { .connections = 2, .requests_per_s = 10, .failures_per_min = 3, .most_connections = 8 };
	uint8_t right[AUTH_DIGEST], wrong[AUTH_DIGEST];
	struct err e;
	struct clients *c = clients_new(&l, &e);
	struct client *a, *b;
	bool fits;

	(void)state;
	a = enter(c, "10.0.0.1", 1000, &fits);
	b = enter(c, "10.0.0.2", 1000, &fits);
	for (int i = 0; i < 10; i++)
		assert_true(clients_may_ask(c, a, 1000));
	assert_false(clients_may_ask(c, a, 1000));
	assert_true(clients_may_ask(c, b, 1000));                       /* another's bucket */
	assert_true(clients_may_ask(c, a, 1101));
	assert_false(clients_may_ask(c, a, 1101));
	auth_digest("right", right);
	auth_digest("wrong", wrong);
	clients_tried(c, a, right, true, 1000);
	for (int i = 0; i < 3; i++) {
		assert_true(clients_may_try(c, a, wrong, 1000));
		clients_tried(c, a, wrong, false, 1000);
	}
	assert_false(clients_may_try(c, a, wrong, 1000));
	assert_true(clients_may_try(c, a, right, 1000));                /* who was right before is looked at */
	assert_true(clients_may_try(c, b, wrong, 1000));
	assert_false(clients_may_try(c, a, wrong, 20999));
	assert_true(clients_may_try(c, a, wrong, 21001));               /* one more every 20 s */
	clients_free(c);
}

static void
many_addresses(void **state)
{
	const struct clients_limits l = { .connections = 2, .failures_per_min = 1, .most_connections = 1 };
	uint8_t wrong[AUTH_DIGEST];
	struct err e;
	struct clients *c = clients_new(&l, &e);
	struct client *first, *who = NULL;
	char text[32];
	bool fits;

	(void)state;
	auth_digest("wrong", wrong);
	first = enter(c, "10.1.0.0", 1, &fits);
	for (int i = 1; i < 5000; i++) {                                 /* the table does not grow, and who is connected stays */
		snprintf(text, sizeof text, "10.1.%d.%d", i / 250, i % 250 + 1);
		who = enter(c, text, 1 + i, &fits);
		assert_non_null(who);
		clients_tried(c, who, wrong, false, 1 + i);
		clients_leave(c, who, 1 + i);
	}
	assert_ptr_equal(enter(c, "10.1.0.0", 6000, &fits), first);
	who = enter(c, "10.1.19.250", 6000, &fits);                      /* the last one is remembered */
	assert_false(clients_may_try(c, who, wrong, 6000));
	who = enter(c, "10.1.0.2", 6000, &fits);                         /* one of the first is not */
	assert_true(clients_may_try(c, who, wrong, 6000));
	clients_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(roles), cmocka_unit_test(routes_need_somebody), cmocka_unit_test(credentials), cmocka_unit_test(digests), cmocka_unit_test(a_token_comes_and_goes), cmocka_unit_test(many_add_at_once), cmocka_unit_test(the_node_may_read_it), cmocka_unit_test(bad_files_let_nobody_in),
		cmocka_unit_test(sessions), cmocka_unit_test(addresses), cmocka_unit_test(rates), cmocka_unit_test(many_addresses) };
	const char *tmp = getenv("TMPDIR");
	struct err e;
	int rc;

	alarm(60);
	snprintf(dir, sizeof dir, "%s/segan-auth-XXXXXX", tmp ? tmp : "/tmp");
	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(path, sizeof path, "%s/tokens", dir);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	return file_remove_tree(dir, &e) == 0 ? rc : 1;
}
