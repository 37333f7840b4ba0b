/* The SCP against real senders (DCMTK's echoscu, storescu, dcmsend) and against sockets that misbehave. Each test starts its own on a free port. */
#include "tests/unit/peers.h"

#include <sys/resource.h>
#include <sys/stat.h>

enum { SIZE = 116000 };

/* What the handler saw, and how it is to answer. */
struct seen {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t n_opened, n_received, n_closed, n_released;
	struct scp_peer peer;
	struct scp_instance last;
	char path[512];              /* of the last one, kept when keep is set */
	bool keep;
	enum err_code refuse_open, refuse_early, refuse_late; /* ERR_NONE: no */
	unsigned refusal;
};

struct stage { char dir[256], tmp[300], out[300]; struct seen seen; struct scp_handler handler; struct scp_config config; struct scp *scp; };

static int
opened(void *arg, const struct scp_peer *peer, int64_t *id, struct err *e)
{
	struct seen *s = arg;
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	s->peer = *peer;
	if (s->refuse_open != ERR_NONE)
		rc = err_set(e, s->refuse_open, "not you");
	else
		*id = (int64_t)++s->n_opened;
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static int
may_store(void *arg, struct err *e)
{
	struct seen *s = arg;

	pthread_mutex_lock(&s->lock);
	int rc = s->refuse_early == ERR_NONE ? 0 : err_set(e, s->refuse_early, "the disk is nearly full");
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static int
received(void *arg, int64_t id, const struct scp_instance *i, struct err *e)
{
	struct seen *s = arg;
	int rc = 0;

	assert_true(id > 0);
	pthread_mutex_lock(&s->lock);
	s->last = *i;
	snprintf(s->path, sizeof s->path, "%s", i->path);
	if (!s->keep)
		unlink(i->path);
	s->n_received++;
	if (s->refuse_late != ERR_NONE) {
		if (s->refusal != 0)
			*i->refusal = s->refusal;
		rc = err_set(e, s->refuse_late, "instance 1.2.3: it is wrong \\ caf\xc3\xa9 and this text is far longer than the sixty-four characters that go out");
	}
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static void
closed(void *arg, int64_t id, bool is_released)
{
	struct seen *s = arg;

	assert_true(id > 0);
	pthread_mutex_lock(&s->lock);
	s->n_closed++;
	s->n_released += is_released;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static void
wait_closed(struct stage *t, size_t n)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&t->seen.lock);
	while (t->seen.n_closed < n)
		assert_int_equal(pthread_cond_timedwait(&t->seen.changed, &t->seen.lock, &until), 0);
	pthread_mutex_unlock(&t->seen.lock);
}

static void
refuse(struct stage *t, enum err_code to_open, enum err_code early, enum err_code late, unsigned refusal)
{
	pthread_mutex_lock(&t->seen.lock);
	t->seen.refuse_open = to_open;
	t->seen.refuse_early = early;
	t->seen.refuse_late = late;
	t->seen.refusal = refusal;
	pthread_mutex_unlock(&t->seen.lock);
}

static void
start(struct stage *t)
{
	struct err e;

	t->scp = scp_start(&t->config, &t->handler, &e);
	if (t->scp == NULL)
		fail_msg("%s", e.text);
	assert_in_range(scp_port(t->scp), 1, 65535);
}

static int
setup(void **state)
{
	struct stage *t = calloc(1, sizeof *t);
	struct err e;

	assert_non_null(t);
	make_dir(t->dir);
	snprintf(t->tmp, sizeof t->tmp, "%s/tmp", t->dir);
	snprintf(t->out, sizeof t->out, "%s/out", t->dir);
	assert_int_equal(file_make_dirs(t->tmp, 0700, &e), 0);
	pthread_mutex_init(&t->seen.lock, NULL);
	pthread_cond_init(&t->seen.changed, NULL);
	t->handler = (struct scp_handler){ &t->seen, opened, may_store, received, closed };
	t->config = (struct scp_config){ .aet = "SEGAN", .bind = "127.0.0.1", .tmp_dir = t->tmp, .max_associations = 8, .max_pdu = 131072,
		.idle_timeout_s = 20, .max_instance_bytes = 1 << 30, .check_called_aet = true };
	*state = t;
	return 0;
}

static int
teardown(void **state)
{
	struct stage *t = *state;

	scp_stop(t->scp);
	remove_dir(t->dir);
	pthread_mutex_destroy(&t->seen.lock);
	pthread_cond_destroy(&t->seen.changed);
	free(t);
	return 0;
}

static int
run(struct stage *t, const char *tool, const char *option, const char *value, const char *file)
{
	char port[16];
	const char *argv[12];
	size_t n = 0;

	snprintf(port, sizeof port, "%u", scp_port(t->scp));
	argv[n++] = tool;
	argv[n++] = "-aet";
	argv[n++] = "SENDER";
	argv[n++] = "-aec";
	argv[n++] = "SEGAN";
	if (option != NULL)
		argv[n++] = option;
	if (value != NULL)
		argv[n++] = value;
	argv[n++] = "127.0.0.1";
	argv[n++] = port;
	if (file != NULL)
		argv[n++] = file;
	argv[n] = NULL;
	pthread_mutex_lock(&t->seen.lock);           /* what was read of it lies before what this sender causes; ThreadSanitizer cannot see that */
	pthread_mutex_unlock(&t->seen.lock);
	return end_of(start_peer(argv, t->out));
}

static struct scu_peer
ourselves(const struct stage *t)
{
	return (struct scu_peer){ "127.0.0.1", "SEGAN", "TESTER", scp_port(t->scp), 10 };
}

static struct scu_result
store_one(const struct stage *t, const char *path)
{
	struct scu_peer p = ourselves(t);
	struct scu_result r;
	struct err e;

	if (scu_store(&p, &path, 1, &r, &e) != 0)
		fail_msg("%s", e.text);
	return r;
}

static void
file_in(const struct stage *t, const char *name, char path[512], bool is_implicit, size_t n_pixels)
{
	snprintf(path, 512, "%s/%s", t->dir, name);
	write_dicom(path, MR, "1.2.3.4.5", is_implicit, n_pixels);
}

/* Whether the next association works: what every misbehaving peer must leave intact. */
static void
still_serves(struct stage *t)
{
	struct scu_peer p = ourselves(t);
	struct err e;

	if (scu_echo(&p, &e) != 0)
		fail_msg("%s", e.text);
}

static void
echo_is_answered_and_the_peer_is_named(void **state)
{
	struct stage *t = *state;

	start(t);
	assert_int_equal(run(t, "echoscu", NULL, NULL, NULL), 0);
	wait_closed(t, 1);
	assert_string_equal(t->seen.peer.calling_aet, "SENDER");
	assert_string_equal(t->seen.peer.called_aet, "SEGAN");
	assert_string_equal(t->seen.peer.address, "127.0.0.1");
	assert_int_equal(t->seen.n_released, 1);
}

static void
only_the_given_address_is_open(void **state)
{
	struct stage *t = *state;

	start(t);
	assert_int_equal(try_connect("127.0.0.2", scp_port(t->scp)), -1);
	still_serves(t);
}

static void
bad_settings_are_said(void **state)
{
	struct stage *t = *state;
	struct scp_config c = t->config;
	struct err e;

	start(t);
	c.port = scp_port(t->scp);
	assert_null(scp_start(&c, &t->handler, &e));
	assert_int_equal(e.code, ERR_IO);
	assert_non_null(strstr(e.text, "in use"));
	c = t->config;
	c.bind = "no-such-host.invalid";
	assert_null(scp_start(&c, &t->handler, &e));
	assert_non_null(strstr(e.text, "no-such-host.invalid"));
	c = t->config;
	c.bind = "";                                 /* would be every address */
	assert_null(scp_start(&c, &t->handler, &e));
	assert_int_equal(e.code, ERR_INPUT);
	c = t->config;
	c.max_pdu = 4095;
	assert_null(scp_start(&c, &t->handler, &e));
	assert_int_equal(e.code, ERR_INPUT);
}

static void
expect_same_data_set(const char *sent, size_t sent_at, const char *got)
{
	struct err e;
	size_t n_sent, n_got;
	unsigned char *a = (unsigned char *)file_read(sent, 1 << 24, &n_sent, &e), *b = (unsigned char *)file_read(got, 1 << 24, &n_got, &e);

	assert_non_null(a);
	assert_non_null(b);
	assert_memory_equal(b + 128, "DICM", 4);
	size_t got_at = 144 + (b[140] | (size_t)b[141] << 8);
	assert_int_equal(n_sent - sent_at, n_got - got_at);
	assert_memory_equal(a + sent_at, b + got_at, n_sent - sent_at);
	assert_non_null(memmem(b, got_at, "SENDER", 6));
	free(a);
	free(b);
}

static void
bytes_arrive_as_sent(void **state)
{
	struct stage *t = *state;
	static const struct { const char *tool, *option, *value; bool is_implicit; size_t n; } cases[] = {
		{ "dcmsend", NULL, NULL, false, SIZE }, { "dcmsend", "--max-pdu", "4096", false, SIZE }, { "storescu", "-xi", NULL, true, SIZE },
		{ "storescu", NULL, NULL, false, 2 }, { "storescu", "-xi", NULL, true, 131072 },
	};
	char path[512];

	t->seen.keep = true;
	start(t);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(path, sizeof path, "%s/%zu.dcm", t->dir, i);
		size_t at = write_dicom(path, MR, "1.2.3.4.5", cases[i].is_implicit, cases[i].n);
		assert_int_equal(run(t, cases[i].tool, cases[i].option, cases[i].value, path), 0);
		wait_closed(t, i + 1);
		assert_int_equal(t->seen.n_received, i + 1);
		assert_string_equal(t->seen.last.sop_class, MR);
		assert_string_equal(t->seen.last.sop_uid, "1.2.3.4.5");
		assert_string_equal(t->seen.last.transfer_syntax, cases[i].is_implicit ? IMPLICIT : EXPLICIT);
		expect_same_data_set(path, at, t->seen.path);
	}
	assert_int_equal(t->seen.n_released, sizeof cases / sizeof *cases);
}

static void
the_received_file_is_dicom_to_others(void **state)
{
	struct stage *t = *state;
	char path[512];

	t->seen.keep = true;
	start(t);
	file_in(t, "a.dcm", path, false, SIZE);
	assert_int_equal(run(t, "dcmsend", NULL, NULL, path), 0);
	wait_closed(t, 1);
	const char *argv[] = { "dcmftest", t->seen.path, NULL };
	assert_int_equal(end_of(start_peer(argv, t->out)), 0);
}

/* Nagle at our end or a late acknowledgement costs a sender 40 ms an instance (PERFORMANCE.md 3): the sum would be 2.4 s. */
static void
no_sender_is_stalled(void **state)
{
	enum { N = 60 };
	struct stage *t = *state;
	char path[512];

	t->config.max_pdu = 16384;                   /* several PDUs an instance: both must be right */
	start(t);
	snprintf(path, sizeof path, "%s/in", t->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	for (unsigned i = 0; i < N; i++) {
		char uid[32];
		snprintf(path, sizeof path, "%s/in/%u", t->dir, i);
		snprintf(uid, sizeof uid, "1.2.3.%u", i + 1);
		write_dicom(path, MR, uid, false, SIZE);
	}
	snprintf(path, sizeof path, "%s/in", t->dir);
	int64_t begin = clock_monotonic_ms();
	assert_int_equal(run(t, "dcmsend", "--scan-directories", NULL, path), 0);
	assert_true(clock_monotonic_ms() - begin < 1500);
	wait_closed(t, 1);
	assert_int_equal(t->seen.n_received, N);
}

static void
negotiation_takes_storage_and_nothing_else(void **state)
{
	static const struct { struct proposal p; unsigned result; } cases[] = {
		{ { VERIFICATION, IMPLICIT }, 0 }, { { MR, EXPLICIT }, 0 }, { { SEG, IMPLICIT }, 0 }, { { LABELMAP, EXPLICIT }, 0 },
		{ { MR, JPEG }, 4 }, { { COMMITMENT, IMPLICIT }, 3 }, { { FIND, IMPLICIT }, 3 }, { { "1.2.3", EXPLICIT }, 3 },
	};
	enum { N = 128, N_CASES = sizeof cases / sizeof *cases };
	struct stage *t = *state;
	struct proposal contexts[N];
	struct bytes ac;
	size_t n = 0;

	start(t);
	for (size_t i = 0; i < N; i++)
		contexts[i] = cases[i % N_CASES].p;
	int fd = associate(scp_port(t->scp), contexts, N, &ac);
	assert_true(fd >= 0);
	for (size_t at = 68; at + 4 <= ac.n; at += 4 + ((size_t)ac.at[at + 2] << 8 | ac.at[at + 3])) {
		if (ac.at[at] != 0x21)
			continue;
		size_t i = ac.at[at + 4] / 2;
		assert_int_equal(ac.at[at + 6], cases[i % N_CASES].result);
		n++;
	}
	assert_int_equal(n, N);
	free(ac.at);
	close(fd);
	wait_closed(t, 1);
	assert_int_equal(t->seen.n_released, 0);
}

static void
who_may_not_come_hears_why(void **state)
{
	static const struct { enum err_code code; enum err_code expected; const char *words; } cases[] = {
		{ ERR_INPUT, ERR_INPUT, "calling AE title" }, { ERR_NOT_FOUND, ERR_INPUT, "called AE title" }, { ERR_LIMIT, ERR_PEER, "limit" }, { ERR_IO, ERR_PEER, "for now" },
	};
	struct stage *t = *state;
	struct err e;

	start(t);
	struct scu_peer p = ourselves(t);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		refuse(t, cases[i].code, ERR_NONE, ERR_NONE, 0);
		assert_int_equal(scu_echo(&p, &e), -1);
		assert_int_equal(e.code, cases[i].expected);
		assert_non_null(strstr(e.text, cases[i].words));
	}
	refuse(t, ERR_NONE, ERR_NONE, ERR_NONE, 0);
	p.called_aet = "OTHER";
	assert_int_equal(scu_echo(&p, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_non_null(strstr(e.text, "called AE title"));
	assert_int_equal(t->seen.n_opened, 0);
	assert_int_equal(t->seen.n_closed, 0);
	still_serves(t);
}

static void
places_are_counted_and_given_back(void **state)
{
	static const struct proposal echo = { VERIFICATION, IMPLICIT };
	struct stage *t = *state;
	struct err e;

	t->config.max_associations = 1;
	start(t);
	struct scu_peer p = ourselves(t);
	int fd = associate(scp_port(t->scp), &echo, 1, NULL);
	assert_true(fd >= 0);
	assert_int_equal(scu_echo(&p, &e), -1);
	assert_int_equal(e.code, ERR_PEER);
	assert_non_null(strstr(e.text, "limit of associations"));
	close(fd);
	wait_closed(t, 1);
	for (size_t i = 0; i < 20; i++)
		still_serves(t);                     /* a place is free as soon as the release is answered */
}

static void
refusals_have_the_status_of_their_cause(void **state)
{
	static const struct { enum err_code early, late; unsigned refusal, status; const char *words; } cases[] = {
		{ ERR_LIMIT, ERR_NONE, 0, 0xA700, "nearly full" }, { ERR_NONE, ERR_LIMIT, 0, 0xA700, "resources: it is wrong ? caf??" }, { ERR_NONE, ERR_IO, 0, 0xA700, "" },
		{ ERR_NONE, ERR_INPUT, 0, 0xC000, "" }, { ERR_NONE, ERR_INPUT, 0xA900, 0xA900, "" }, { ERR_NONE, ERR_STATE, 0, 0x0110, "" }, { ERR_NONE, ERR_NONE, 0, 0, "" },
	};
	struct stage *t = *state;
	char path[512];

	start(t);
	file_in(t, "a.dcm", path, false, SIZE);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		refuse(t, ERR_NONE, cases[i].early, cases[i].late, cases[i].refusal);
		struct scu_result r = store_one(t, path);
		wait_closed(t, i + 1);
		assert_int_equal(r.status, cases[i].status);
		assert_non_null(strstr(r.text, cases[i].words));
		assert_null(strstr(r.text, "CANARY"));
	}
	assert_int_equal(t->seen.n_received, sizeof cases / sizeof *cases - 1);
	assert_int_equal(count_files(t->tmp), 0);
}

static void
too_large_is_refused_and_the_next_one_taken(void **state)
{
	struct stage *t = *state;
	char large[512], small[512];
	struct scu_result r[3];
	struct err e;

	t->config.max_instance_bytes = 50000;
	start(t);
	file_in(t, "large.dcm", large, false, SIZE);
	file_in(t, "small.dcm", small, false, 40000);
	struct scu_peer p = ourselves(t);
	const char *paths[] = { large, small, large };
	assert_int_equal(scu_store(&p, paths, 3, r, &e), 0);
	wait_closed(t, 1);
	assert_int_equal(r[0].status, 0xA700);
	assert_int_equal(r[0].outcome, SCU_PASSING);
	assert_int_equal(r[1].outcome, SCU_STORED);
	assert_int_equal(r[2].status, 0xA700);
	assert_int_equal(t->seen.n_received, 1);
	assert_int_equal(count_files(t->tmp), 0);
}

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

	t->config.idle_timeout_s = 2;
	start(t);
	for (size_t i = 0; i < 3; i++) {
		fd[i] = try_connect("127.0.0.1", scp_port(t->scp));
		assert_true(fd[i] >= 0);
	}
	send_all(fd[1], "\1\0\0\0", 4);              /* and half a request */
	int64_t begin = clock_monotonic_ms();
	still_serves(t);
	assert_true(clock_monotonic_ms() - begin < 1000);
	for (size_t i = 0; i < 3; i++) {
		assert_true(is_closed_by_peer(fd[i]));
		close(fd[i]);
	}
	assert_true(clock_monotonic_ms() - begin < 8000);
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
		assert_true(clock_monotonic_ms() - begin < 10000);
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
	assert_true(clock_monotonic_ms() - begin < 2000);
	t->scp = NULL;
	assert_int_equal(t->seen.n_closed, 3);
	assert_int_equal(t->seen.n_released, 0);
	assert_int_equal(count_files(t->tmp), 0);
	assert_int_equal(receive_pdu(fd[1], &v), 7);  /* told so, by A-ABORT */
	free(v.at);
	for (size_t i = 0; i < 4; i++)
		close(fd[i]);
}

static void *
send_many(void *arg)
{
	enum { N = 10 };
	struct stage *t = arg;
	struct scu_peer p = ourselves(t);
	char path[512];
	const char *paths[N];
	struct scu_result r[N];
	struct err e;

	snprintf(path, sizeof path, "%s/a.dcm", t->dir);
	for (size_t i = 0; i < N; i++)
		paths[i] = path;
	if (scu_store(&p, paths, N, r, &e) != 0)
		return strdup(e.text);
	for (size_t i = 0; i < N; i++)
		if (r[i].outcome != SCU_STORED)
			return strdup(r[i].text);
	return NULL;
}

static void
several_associations_at_once(void **state)
{
	enum { THREADS = 6 };
	struct stage *t = *state;
	pthread_t thread[THREADS];
	char path[512];
	void *words;

	start(t);
	file_in(t, "a.dcm", path, false, SIZE);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, send_many, t), 0);
	assert_int_equal(run(t, "dcmsend", NULL, NULL, path), 0);
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(thread[i], &words), 0);
		if (words != NULL)
			fail_msg("%s", (char *)words);
	}
	wait_closed(t, THREADS + 1);
	assert_int_equal(t->seen.n_received, THREADS * 10 + 1);
	assert_int_equal(t->seen.n_released, THREADS + 1);
	assert_int_equal(count_files(t->tmp), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		T(echo_is_answered_and_the_peer_is_named), T(only_the_given_address_is_open), T(bad_settings_are_said), T(bytes_arrive_as_sent),
		T(the_received_file_is_dicom_to_others), T(no_sender_is_stalled), T(negotiation_takes_storage_and_nothing_else), T(who_may_not_come_hears_why),
		T(places_are_counted_and_given_back), T(refusals_have_the_status_of_their_cause), T(too_large_is_refused_and_the_next_one_taken),
		T(a_failing_disk_is_out_of_resources), T(silence_holds_up_nobody_and_ends), T(a_crowd_of_silent_sockets_does_not_shut_the_door),
		T(a_trickle_is_cut), T(garbage_is_dropped), T(an_instance_cut_short_leaves_nothing), T(a_release_inside_a_command_is_no_good_end),
		T(commands_are_answered_or_end_the_association), T(stop_is_quick_whatever_is_open), T(several_associations_at_once),
	};
	struct err e;

	if (dicom_start(&e) != 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	alarm(240);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
