/* The SCP's bounds (RELIABILITY.md, rule 6): each one met, answered as the standard has it, and then the next association works with nothing left behind. */
#include "tests/unit/sanitizer.h"
#include "tests/unit/scp_stage.h"

#include <inttypes.h>

/* ---- what the process holds ---- */

struct level { size_t fds, threads, resident_kb; };

static size_t
resident_kb(void)
{
	char line[200];
	size_t kb = 0;
	FILE *f = fopen("/proc/self/status", "re");

	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, "VmRSS:", 6) == 0)
			kb = strtoul(line + 6, NULL, 10);
	fclose(f);
	return kb;
}

static struct level
level_now(void)
{
	return (struct level){ count_files("/proc/self/fd"), count_files("/proc/self/task"), resident_kb() };
}

/* The listener joins a thread a moment after its connection is closed. */
static void
comes_back_to(const struct level *before)
{
	int64_t begin = clock_monotonic_ms();
	struct level now;

	do {
		now = level_now();
		assert_true(clock_monotonic_ms() - begin < 30000);
	} while (now.fds > before->fds || now.threads > before->threads);
	if (!is_sanitized())
		assert_in_range(now.resident_kb, 0, before->resident_kb + 32768); /* stacks and arenas that the C library keeps */
}

/* ---- associations ---- */

static const struct proposal echo_context = { VERIFICATION, IMPLICIT }, mr = { MR, EXPLICIT };

/* Sends an association request from an address of the loopback network; the type of the answer. *answer: caller frees answer->at. */
static unsigned
ask_from(const char *from, unsigned port, int *fd, struct bytes *answer)
{
	struct sockaddr_in here = { .sin_family = AF_INET }, to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct bytes rq = make_request("SEGAN", &mr, 1);

	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(inet_pton(AF_INET, from, &here.sin_addr), 1);
	assert_int_equal(bind(*fd, (struct sockaddr *)&here, sizeof here), 0);
	assert_int_equal(connect(*fd, (struct sockaddr *)&to, sizeof to), 0);
	send_all(*fd, rq.at, rq.n);
	free(rq.at);
	return receive_pdu(*fd, answer);
}

static void
one_address_gets_its_share_and_no_more(void **state)
{
	struct stage *t = *state;
	struct bytes answer[4];
	int fd[4];

	t->config.max_per_peer = 2;
	start(t);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(ask_from("127.0.0.1", scp_port(t->scp), &fd[i], &answer[i]), i < 2 ? 2 : 3);
	assert_memory_equal(answer[2].at, "\0\2\3\2", 4);    /* rejected, transient; provider, presentation; local limit exceeded */
	assert_int_equal(ask_from("127.0.0.2", scp_port(t->scp), &fd[3], &answer[3]), 2);
	send_pdu(fd[0], 7, "\0\0\0\0", 4);
	wait_closed(t, 1);
	still_serves(t);
	for (size_t i = 0; i < 4; i++) {
		free(answer[i].at);
		close(fd[i]);
	}
}

/* Busy all the time, and still ended. */
static void
an_association_does_not_last_for_ever(void **state)
{
	struct stage *t = *state;
	struct bytes v;
	unsigned type = 4;

	t->config.association_timeout_s = 1;
	start(t);
	int fd = associate(scp_port(t->scp), &echo_context, 1, NULL);
	int64_t begin = clock_monotonic_ms();
	for (size_t n = 0; type == 4; n++) {
		send_command(fd, 1, 0x30, VERIFICATION, NULL);
		type = receive_pdu(fd, &v);
		free(v.at);
		assert_true(clock_monotonic_ms() - begin < 30000);
	}
	assert_int_equal(type, 7);
	assert_true(clock_monotonic_ms() - begin >= 900);
	close(fd);
	wait_closed(t, 1);
	assert_int_equal(t->seen.n_released, 0);
	still_serves(t);
}

/* A request that trickles earns its idle time back with every byte; its whole time it does not. */
static void
a_request_must_arrive_in_time(void **state)
{
	struct stage *t = *state;
	struct bytes rq = make_request("SEGAN", &mr, 1);
	struct pollfd p = { .events = POLLIN };
	size_t n = 0;

	t->config.request_timeout_s = 1;
	start(t);
	p.fd = try_connect("127.0.0.1", scp_port(t->scp));
	int64_t begin = clock_monotonic_ms();
	while (poll(&p, 1, 100) == 0) {
		assert_true(clock_monotonic_ms() - begin < 15000);
		assert_true(n < rq.n - 1);
		send(p.fd, rq.at + n++, 1, MSG_NOSIGNAL);
	}
	assert_true(is_closed_by_peer(p.fd));
	close(p.fd);
	free(rq.at);
	still_serves(t);
	assert_int_equal(t->seen.n_opened, 1);       /* ours alone */
}

static void
five_hundred_idle_connections_cost_little(void **state)
{
	enum { CROWD = 500 };
	struct stage *t = *state;
	struct level before;
	int fd[CROWD];
	int64_t begin;

	start(t);
	still_serves(t);
	before = level_now();
	for (size_t i = 0; i < CROWD; i++) {
		fd[i] = try_connect("127.0.0.1", scp_port(t->scp));
		assert_true(fd[i] >= 0);
	}
	still_serves(t);
	begin = clock_monotonic_ms();
	while (count_files("/proc/self/task") > before.threads + 80) /* 64 that are no association yet, and a few that end */
		assert_true(clock_monotonic_ms() - begin < 10000);
	for (size_t i = 0; i < CROWD; i++)
		close(fd[i]);
	still_serves(t);
	comes_back_to(&before);
}

static void
a_command_that_never_ends_is_cut(void **state)
{
	static const char fragment[65536];
	struct stage *t = *state;
	struct level before;
	size_t sent = 0;

	start(t);
	still_serves(t);
	before = level_now();
	int fd = associate(scp_port(t->scp), &mr, 1, NULL);
	unsigned char head[] = { 4, 0, 0, 1, 0, 6, 0, 1, 0, 2, 1, 1 };
	/* one element of group 0 whose value goes on and on */
	static const char element[12] = { 0, 0, 0, 9, (char)0xfc, (char)0xff, (char)0xff, (char)0x7f, 0, 0, 0, 0 };
	send_fragment(fd, 1, true, false, element, sizeof element);
	while (sent < 64u << 20 && send(fd, head, sizeof head, MSG_NOSIGNAL) == (ssize_t)sizeof head && send(fd, fragment, sizeof fragment, MSG_NOSIGNAL) == (ssize_t)sizeof fragment)
		sent += sizeof fragment;
	assert_in_range(sent, 0, 16u << 20);         /* 1 MiB, and what the sockets hold */
	assert_true(is_closed_by_peer(fd));
	close(fd);
	wait_closed(t, 2);
	still_serves(t);
	comes_back_to(&before);
}

static void
a_pdu_longer_than_agreed_is_refused(void **state)
{
	static const char *const heads[] = { "\4\0\x7f\xff\xff\xff", "\4\0\xff\xff\xff\xff", "\4\0\0\2\0\1" }; /* 131073: one more than we said */
	struct stage *t = *state;

	start(t);
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		int fd = associate(scp_port(t->scp), &mr, 1, NULL);
		int64_t begin = clock_monotonic_ms();
		send_all(fd, heads[i], 6);
		assert_true(is_closed_by_peer(fd));
		assert_true(clock_monotonic_ms() - begin < 10000); /* not the idle time's doing */
		close(fd);
		wait_closed(t, i + 1);
	}
	still_serves(t);
}

/* The smallest pieces that a sender may choose: every byte a segment of its own, then every two bytes a PDU. */
static void
small_pieces_are_put_together(void **state)
{
	struct stage *t = *state;
	struct bytes data = make_data_set(MR, "1.2.3.4.5", false, 200), rq = make_request("SEGAN", &mr, 1), v;

	t->seen.keep = true;
	start(t);
	int fd = try_connect("127.0.0.1", scp_port(t->scp)), on = 1;
	setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
	for (size_t i = 0; i < rq.n; i++)
		send_all(fd, rq.at + i, 1);
	assert_int_equal(receive_pdu(fd, &v), 2);
	free(v.at);
	send_command(fd, 1, 1, MR, "1.2.3.4.5");
	for (size_t i = 0; i < data.n; i += 2)
		send_fragment(fd, 1, false, i + 2 >= data.n, data.at + i, data.n - i < 2 ? data.n - i : 2);
	assert_int_equal(receive_pdu(fd, &v), 4);
	free(v.at);
	send_pdu(fd, 5, "\0\0\0\0", 4);
	assert_int_equal(receive_pdu(fd, &v), 6);
	free(v.at);
	close(fd);
	wait_closed(t, 1);
	assert_int_equal(t->seen.n_received, 1);
	assert_int_equal(t->seen.n_released, 1);
	free(data.at);
	free(rq.at);
}

/* 1-byte fragments are odd, which PS3.8 forbids: stored or aborted, never hung. */
static void
one_byte_pdus_do_not_hang(void **state)
{
	struct stage *t = *state;
	struct bytes data = make_data_set(MR, "1.2.3.4.5", false, 200);

	start(t);
	int fd = associate(scp_port(t->scp), &mr, 1, NULL);
	send_command(fd, 1, 1, MR, "1.2.3.4.5");
	for (size_t i = 0; i < data.n; i++) {
		unsigned char pdu[] = { 4, 0, 0, 0, 0, 7, 0, 0, 0, 3, 1, i + 1 == data.n ? 2 : 0, data.at[i] };
		if (send(fd, pdu, sizeof pdu, MSG_NOSIGNAL) < 0)
			break;
	}
	send(fd, "\5\0\0\0\0\4\0\0\0\0", 10, MSG_NOSIGNAL);
	assert_true(is_closed_by_peer(fd));
	close(fd);
	wait_closed(t, 1);
	free(data.at);
	still_serves(t);
}

/* Everything that goes wrong, over and over: the process is as it was. */
static void
nothing_is_left_behind(void **state)
{
	struct stage *t = *state;
	struct bytes data = make_data_set(MR, "1.2.3.4.5", false, SIZE);
	struct level before = { 0 };

	start(t);
	for (size_t i = 0; i < 60; i++) {
		int silent = try_connect("127.0.0.1", scp_port(t->scp)), half = try_connect("127.0.0.1", scp_port(t->scp));
		send_all(half, "\1\0\0\0\1\0\0\1", 8);
		int fd;
		while ((fd = associate(scp_port(t->scp), &mr, 1, NULL)) < 0)
			;                            /* no place yet: those before have gone, and their threads have not seen it */
		send_command(fd, 1, 1, MR, "1.2.3.4.5");
		send_fragment(fd, 1, false, false, data.at, 16000);
		if (i % 2 == 0)
			send_pdu(fd, 7, "\0\0\0\0", 4);
		close(fd);
		close(silent);
		close(half);
		if (i == 9) {
			wait_closed(t, i + 1);
			still_serves(t);
			before = level_now();        /* after what DCMTK and the C library make once */
		}
	}
	wait_closed(t, 61);
	still_serves(t);
	comes_back_to(&before);
	assert_int_equal(count_files(t->tmp), 0);
	free(data.at);
}

static int
connect6(unsigned port)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

static void
ipv6_is_a_door_too(void **state)
{
	struct stage *t = *state;
	struct bytes rq = make_request("SEGAN", &mr, 1), v;
	struct err e;

	t->config.bind = "::";
	t->scp = scp_start(&t->config, &t->handler, &e);
	if (t->scp == NULL) {                        /* a machine without IPv6 */
		free(rq.at);
		skip();
	}
	int fd = connect6(scp_port(t->scp));
	send_all(fd, rq.at, rq.n);
	assert_int_equal(receive_pdu(fd, &v), 2);
	free(v.at);
	send_pdu(fd, 5, "\0\0\0\0", 4);
	assert_int_equal(receive_pdu(fd, &v), 6);
	free(v.at);
	close(fd);
	wait_closed(t, 1);
	assert_string_equal(t->seen.peer.address, "::1");
	still_serves(t);                             /* IPv4 */
	wait_closed(t, 2);
	assert_string_equal(t->seen.peer.address, "127.0.0.1");
	free(rq.at);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		T(one_address_gets_its_share_and_no_more), T(an_association_does_not_last_for_ever), T(a_request_must_arrive_in_time), T(five_hundred_idle_connections_cost_little),
		T(a_command_that_never_ends_is_cut), T(a_pdu_longer_than_agreed_is_refused), T(small_pieces_are_put_together), T(one_byte_pdus_do_not_hang),
		T(nothing_is_left_behind), T(ipv6_is_a_door_too),
	};
	struct err e;

	if (dicom_start(&e) != 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	alarm(240);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
