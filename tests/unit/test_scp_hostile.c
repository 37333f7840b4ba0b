/* The SCP against silence, garbage, instances cut short, a full disk, and its own end: each time the next association must work. */
#include "tests/unit/scp_stage.h"

#include <sys/resource.h>

/* The file size limit of the process stands for the full disk; it strikes in the last fragment, where DCMTK's own loop would hang. */
static void
a_failing_disk_is_out_of_resources(void **state)
{
	struct stage *t = *state;
	struct rlimit old, tight;
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
	char path[512];

	start(t);
	file_in(t, "a.dcm", path, false, SIZE);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(sigaction(SIGXFSZ, &ignore, &before), 0);
	tight = old;
	tight.rlim_cur = SIZE;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	struct scu_result r = store_one(t, path);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(sigaction(SIGXFSZ, &before, NULL), 0);
	assert_int_equal(r.status, 0xA700);
	assert_int_equal(count_files(t->tmp), 0);
	assert_int_equal(rmdir(t->tmp), 0);          /* no place at all */
	assert_int_equal(store_one(t, path).status, 0xA700);
	wait_closed(t, 2);
	assert_int_equal(t->seen.n_received, 0);
	still_serves(t);
}

static void
silence_holds_up_nobody_and_ends(void **state)
{
	struct stage *t = *state;
	int fd[3];

	t->config.idle_timeout_s = 5;
	start(t);
	for (size_t i = 0; i < 3; i++) {
		fd[i] = try_connect("127.0.0.1", scp_port(t->scp));
		assert_true(fd[i] >= 0);
	}
	send_all(fd[1], "\1\0\0\0", 4);              /* and half a request */
	int64_t begin = clock_monotonic_ms();
	still_serves(t);
	assert_true(clock_monotonic_ms() - begin < 4000); /* before the first of them is cut */
	for (size_t i = 0; i < 3; i++) {
		assert_true(is_closed_by_peer(fd[i]));
		close(fd[i]);
	}
	assert_true(clock_monotonic_ms() - begin < 30000);
	still_serves(t);
}

static void
a_crowd_of_silent_sockets_does_not_shut_the_door(void **state)
{
	enum { CROWD = 200 };
	struct stage *t = *state;
	int fd[CROWD];

	start(t);
	for (size_t i = 0; i < CROWD; i++) {
		fd[i] = try_connect("127.0.0.1", scp_port(t->scp));
		assert_true(fd[i] >= 0);
	}
	still_serves(t);
	assert_true(is_closed_by_peer(fd[0]));       /* the oldest went, long before its idle time */
	for (size_t i = 0; i < CROWD; i++)
		close(fd[i]);
	still_serves(t);
}

/* A byte now and then inside a PDU must not keep an association: DCMTK's own timeout does not see it. */
static void
a_trickle_is_cut(void **state)
{
	static const struct proposal mr = { MR, EXPLICIT };
	struct stage *t = *state;
	struct pollfd p = { .events = POLLIN };

	t->config.idle_timeout_s = 1;
	start(t);
	p.fd = associate(scp_port(t->scp), &mr, 1, NULL);
	send_command(p.fd, 1, 1, MR, "1.2.3.4.5");
	send_all(p.fd, "\4\0\0\1\0\0", 6);           /* P-DATA of 65536 bytes */
	int64_t begin = clock_monotonic_ms();
	while (poll(&p, 1, 100) == 0) {
		assert_true(clock_monotonic_ms() - begin < 30000);
		send(p.fd, "x", 1, MSG_NOSIGNAL);
	}
	close(p.fd);
	wait_closed(t, 1);
	assert_int_equal(t->seen.n_released, 0);
	assert_int_equal(count_files(t->tmp), 0);
	still_serves(t);
}

static void
garbage_is_dropped(void **state)
{
	static const struct { const char *bytes; size_t n; } cases[] = {
		{ "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27 }, { "\1\0\xff\xff\xff\xff", 6 }, { "\1\0\0\0\0\4\0\1\0\0", 10 }, { "\7\0\0\0\0\4\0\0\0\0", 10 }, { "\4\0\0\0\0\4\0\0\0\0", 10 },
		{ "\5\0\0\0\0\4\0\0\0\0", 10 }, { "\x99\0\0\0\0\0", 6 }, { "", 0 },
	};
	struct stage *t = *state;

	t->config.idle_timeout_s = 2;
	start(t);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int fd = try_connect("127.0.0.1", scp_port(t->scp));
		assert_true(fd >= 0);
		send_all(fd, cases[i].bytes, cases[i].n);
		shutdown(fd, SHUT_WR);
		assert_true(is_closed_by_peer(fd));
		close(fd);
		still_serves(t);
	}
}

enum ending { END_CLOSE, END_RESET, END_ABORT, END_RELEASE, END_INSIDE_PDU, END_COMMAND, END_STALL, N_ENDINGS };

static void
leave(int fd, enum ending how)
{
	struct linger hard = { 1, 0 };

	switch (how) {
	case END_RESET: setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard); break;
	case END_ABORT: send_pdu(fd, 7, "\0\0\0\0", 4); break;
	case END_RELEASE: send_pdu(fd, 5, "\0\0\0\0", 4); break;
	case END_INSIDE_PDU: send_all(fd, "\4\0\0\1\0\0\0\0", 8); break;
	case END_COMMAND: send_command(fd, 1, 1, MR, "1.2.3.4.6"); break;
	default: break;
	}
	if (how == END_STALL || how == END_COMMAND || how == END_RELEASE)
		assert_true(is_closed_by_peer(fd));
	close(fd);
}

static void
an_instance_cut_short_leaves_nothing(void **state)
{
	static const struct proposal mr = { MR, EXPLICIT };
	struct stage *t = *state;
	struct bytes data = make_data_set(MR, "1.2.3.4.5", false, SIZE);

	t->config.idle_timeout_s = 2;
	start(t);
	for (size_t i = 0; i < N_ENDINGS; i++) {
		int fd = associate(scp_port(t->scp), &mr, 1, NULL);
		assert_true(fd >= 0);
		send_command(fd, 1, 1, MR, "1.2.3.4.5");
		send_fragment(fd, 1, false, false, data.at, 16000);
		leave(fd, (enum ending)i);
		wait_closed(t, i + 1);
		assert_int_equal(t->seen.n_released, 0);
		assert_int_equal(count_files(t->tmp), 0);
	}
	assert_int_equal(t->seen.n_received, 0);
	free(data.at);
	still_serves(t);
}

/* Command and data set are one message, and go in one presentation context (PS3.8 9.3.1): which syntax the data set has would be a guess. */
static void
a_data_set_in_another_context_ends_the_association(void **state)
{
	static const struct proposal two[] = { { MR, EXPLICIT }, { MR, IMPLICIT } };
	struct stage *t = *state;
	struct bytes data = make_data_set(MR, "1.2.3.4.5", false, 100), v;

	start(t);
	int fd = associate(scp_port(t->scp), two, 2, NULL);
	send_command(fd, 1, 1, MR, "1.2.3.4.5");
	send_fragment(fd, 3, false, true, data.at, data.n);
	assert_int_equal(receive_pdu(fd, &v), 7);
	free(v.at);
	assert_true(is_closed_by_peer(fd));
	close(fd);
	wait_closed(t, 1);
	assert_int_equal(t->seen.n_received, 0);
	assert_int_equal(count_files(t->tmp), 0);
	free(data.at);
	still_serves(t);
}

/* Half a command, then a release: not in good order either. */
static void
a_release_inside_a_command_is_no_good_end(void **state)
{
	static const struct proposal mr = { MR, EXPLICIT };
	struct stage *t = *state;

	start(t);
	int fd = associate(scp_port(t->scp), &mr, 1, NULL);
	send_fragment(fd, 1, true, false, "\0\0\0\0\4\0\0\0\0\0\0\0", 12);
	send_pdu(fd, 5, "\0\0\0\0", 4);
	assert_true(is_closed_by_peer(fd));
	close(fd);
	wait_closed(t, 1);
	assert_int_equal(t->seen.n_released, 0);
}

static unsigned
status_of(const struct bytes *command)
{
	const unsigned char *at = memmem(command->at, command->n, "\0\0\0\x09\2\0\0\0", 8);

	assert_non_null(at);
	return at[8] | (unsigned)at[9] << 8;
}

static void
commands_are_answered_or_end_the_association(void **state)
{
	static const struct proposal both[] = { { VERIFICATION, IMPLICIT }, { MR, EXPLICIT } };
	struct stage *t = *state;
	struct bytes v, data = make_data_set(MR, "1.2.3.4.5", false, 100);

	start(t);
	int fd = associate(scp_port(t->scp), both, 2, NULL);
	send_command(fd, 1, 1, MR, "1.2.3.4.5");     /* C-STORE in the context of verification */
	send_fragment(fd, 1, false, true, data.at, data.n);
	assert_int_equal(receive_pdu(fd, &v), 4);
	assert_int_equal(status_of(&v), 0x0122);
	free(v.at);
	send_command(fd, 3, 1, MR, "1.2.3.4.5");     /* and properly, on the same association */
	send_fragment(fd, 3, false, true, data.at, data.n);
	assert_int_equal(receive_pdu(fd, &v), 4);
	assert_int_equal(status_of(&v), 0);
	free(v.at);
	send_command(fd, 3, 0x20, MR, NULL);         /* C-FIND: nothing that we negotiated */
	assert_int_equal(receive_pdu(fd, &v), 7);
	free(v.at);
	assert_true(is_closed_by_peer(fd));
	close(fd);
	wait_closed(t, 1);
	assert_int_equal(t->seen.n_released, 0);
	assert_int_equal(t->seen.n_received, 1);
	free(data.at);
	still_serves(t);
}

static void
stop_is_quick_whatever_is_open(void **state)
{
	static const struct proposal mr = { MR, EXPLICIT };
	struct stage *t = *state;
	struct bytes v;
	int fd[4];

	start(t);
	fd[0] = try_connect("127.0.0.1", scp_port(t->scp));
	fd[1] = associate(scp_port(t->scp), &mr, 1, NULL);
	fd[2] = associate(scp_port(t->scp), &mr, 1, NULL);
	send_command(fd[2], 1, 1, MR, "1.2.3.4.5");
	send_fragment(fd[2], 1, false, false, "1234", 4);
	fd[3] = associate(scp_port(t->scp), &mr, 1, NULL);
	send_all(fd[3], "\4\0\0\1", 4);
	int64_t begin = clock_monotonic_ms();
	scp_stop(t->scp);
	assert_true(clock_monotonic_ms() - begin < 10000); /* 2 s where nothing else runs */
	t->scp = NULL;
	assert_int_equal(t->seen.n_closed, 3);
	assert_int_equal(t->seen.n_released, 0);
	assert_int_equal(count_files(t->tmp), 0);
	assert_int_equal(receive_pdu(fd[1], &v), 7);  /* told so, by A-ABORT */
	free(v.at);
	for (size_t i = 0; i < 4; i++)
		close(fd[i]);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		T(a_failing_disk_is_out_of_resources), T(silence_holds_up_nobody_and_ends), T(a_crowd_of_silent_sockets_does_not_shut_the_door),
		T(a_trickle_is_cut), T(garbage_is_dropped), T(an_instance_cut_short_leaves_nothing), T(a_data_set_in_another_context_ends_the_association), T(a_release_inside_a_command_is_no_good_end),
		T(commands_are_answered_or_end_the_association), T(stop_is_quick_whatever_is_open),
	};
	struct err e;

	if (dicom_start(&e) != 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	alarm(240);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
