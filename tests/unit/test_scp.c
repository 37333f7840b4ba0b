/* The SCP against senders that behave: DCMTK's echoscu, storescu and dcmsend, and our own requestor. */
#include "tests/unit/scp_stage.h"

#include <sys/stat.h>

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

/* Nagle at our end or a late acknowledgement costs a sender 40 ms an instance (PERFORMANCE.md 3): the sum would be 8 s. */
static void
no_sender_is_stalled(void **state)
{
	enum { N = 200 };
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
	assert_true(clock_monotonic_ms() - begin < 7000);
	wait_closed(t, 1);
	assert_int_equal(t->seen.n_received, N);
}

static void
negotiation_takes_storage_and_nothing_else(void **state)
{
	static const struct { struct proposal p; unsigned result; } cases[] = {
		{ { VERIFICATION, IMPLICIT }, 0 }, { { MR, EXPLICIT }, 0 }, { { SEG, IMPLICIT }, 0 }, { { LABELMAP, EXPLICIT }, 0 },
		{ { MR, JPEG }, 0 }, { { MR, MPEG }, 4 }, { { COMMITMENT, IMPLICIT }, 3 }, { { FIND, IMPLICIT }, 3 }, { { "1.2.3", EXPLICIT }, 3 },
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

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		T(echo_is_answered_and_the_peer_is_named), T(only_the_given_address_is_open), T(bad_settings_are_said), T(bytes_arrive_as_sent),
		T(the_received_file_is_dicom_to_others), T(no_sender_is_stalled), T(negotiation_takes_storage_and_nothing_else),
		T(who_may_not_come_hears_why), T(places_are_counted_and_given_back), T(refusals_have_the_status_of_their_cause),
		T(too_large_is_refused_and_the_next_one_taken), T(several_associations_at_once),
	};
	struct err e;

	if (dicom_start(&e) != 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	alarm(240);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
