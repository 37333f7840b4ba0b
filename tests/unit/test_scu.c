/* The requestor against DCMTK's storescp in its good and bad moods, against addresses where nobody answers, and against our own SCP for the statuses. */
#include "tests/unit/peers.h"

enum { SIZE = 300000 };

struct stage { char dir[256], out[300], spool[300], file[300]; pid_t pid; unsigned port; };

static int
setup(void **state)
{
	struct stage *t = calloc(1, sizeof *t);
	struct err e;

	assert_non_null(t);
	make_dir(t->dir);
	snprintf(t->out, sizeof t->out, "%s/out", t->dir);
	snprintf(t->spool, sizeof t->spool, "%s/spool", t->dir);
	snprintf(t->file, sizeof t->file, "%s/a.dcm", t->dir);
	assert_int_equal(file_make_dirs(t->spool, 0700, &e), 0);
	*state = t;
	return 0;
}

static int
teardown(void **state)
{
	struct stage *t = *state;

	if (t->pid > 0)
		stop_peer(t->pid);
	remove_dir(t->dir);
	free(t);
	return 0;
}

/* storescp with two more words of the caller's; ready when this returns. */
static struct scu_peer
archive(struct stage *t, const char *option, const char *value)
{
	char port[16];
	const char *argv[] = { "storescp", "--bit-preserving", "-od", t->spool, "-aet", "PACS", option != NULL ? option : "-q", value != NULL ? value : "-q", port, NULL };

	t->port = free_port();
	snprintf(port, sizeof port, "%u", t->port);
	t->pid = start_peer(argv, t->out);
	wait_for_port(t->port);
	return (struct scu_peer){ "127.0.0.1", "PACS", "SEGAN", t->port, 10, { 0 } };
}

static struct scu_result
store_one(const struct scu_peer *p, const char *path)
{
	struct scu_result r;
	struct err e;

	if (scu_store(p, &path, 1, &r, &e) != 0)
		fail_msg("%s", e.text);
	return r;
}

static void
echo_answered(void **state)
{
	struct scu_peer p = archive(*state, NULL, NULL);
	struct err e;

	assert_int_equal(scu_echo(&p, &e), 0);
	p.host = "localhost";
	assert_int_equal(scu_echo(&p, &e), 0);
}

static void
expect_failure(const struct scu_peer *p, const char *path, enum err_code code, enum scu_outcome outcome, const char *words)
{
	struct scu_result r;
	struct err e;

	assert_int_equal(scu_store(p, &path, 1, &r, &e), -1);
	assert_int_equal(e.code, code);
	assert_non_null(strstr(e.text, words));
	assert_int_equal(r.outcome, outcome);
	assert_non_null(strstr(r.text, words));
	assert_null(strstr(r.text, "CANARY"));
	if (scu_echo(p, &e) == 0)
		fail_msg("the echo should have failed");
	assert_int_equal(e.code, code);
	assert_non_null(strstr(e.text, words));
	assert_non_null(strstr(e.text, p->host));
}

static void
nobody_there_may_pass(void **state)
{
	struct stage *t = *state;
	struct scu_peer dead = { "127.0.0.1", "PACS", "SEGAN", free_port(), 3, { 0 } }, unknown = { "no-such-host.invalid", "PACS", "SEGAN", 104, 3, { 0 } };

	write_dicom(t->file, SEG, "1.2.3", false, 100);
	expect_failure(&dead, t->file, ERR_PEER, SCU_NOT_SENT, "refused");
	expect_failure(&unknown, t->file, ERR_PEER, SCU_NOT_SENT, "not known");
}

static void
an_association_refused_for_good_is_final(void **state)
{
	struct stage *t = *state;
	struct scu_peer p = archive(t, "--refuse", NULL);

	write_dicom(t->file, SEG, "1.2.3", false, 100);
	expect_failure(&p, t->file, ERR_INPUT, SCU_REFUSED, "for good: no reason given");
}

/* A port that takes connections and says nothing. */
static void
a_mute_peer_is_left_in_time(void **state)
{
	struct stage *t = *state;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	assert_int_equal(listen(fd, 8), 0);
	struct scu_peer p = { "127.0.0.1", "PACS", "SEGAN", ntohs(a.sin_port), 1, { 0 } };
	write_dicom(t->file, SEG, "1.2.3", false, 100);
	int64_t begin = clock_monotonic_ms();
	expect_failure(&p, t->file, ERR_PEER, SCU_NOT_SENT, "did not answer in time");
	assert_in_range(clock_monotonic_ms() - begin, 1900, 30000);
	close(fd);
}

static void
stored_byte_by_byte(void **state)
{
	static const struct { const char *sop_class, *sop_uid, *option; bool is_implicit; const char *syntax; } cases[] = {
		{ SEG, "1.2.3.1", NULL, false, EXPLICIT }, { MR, "1.2.3.2", NULL, true, IMPLICIT }, { SEG, "1.2.3.3", "+xi", false, IMPLICIT },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		void *own = NULL;
		assert_int_equal(setup(&own), 0);
		struct stage *t = own;
		struct scu_peer p = archive(t, cases[i].option, NULL);
		struct bytes data = make_data_set(cases[i].sop_class, cases[i].sop_uid, strcmp(cases[i].syntax, IMPLICIT) == 0, SIZE);
		char path[400];
		size_t n;
		struct err e;
		write_dicom(t->file, cases[i].sop_class, cases[i].sop_uid, cases[i].is_implicit, SIZE);
		struct scu_result r = store_one(&p, t->file);
		assert_int_equal(r.outcome, SCU_STORED);
		assert_int_equal(r.status, 0);
		snprintf(path, sizeof path, "%s/%s.%s", t->spool, strcmp(cases[i].sop_class, SEG) == 0 ? "SG" : "MR", cases[i].sop_uid);
		char *got = file_read(path, 1 << 24, &n, &e);
		if (got == NULL)
			fail_msg("%s", e.text);
		assert_true(n > data.n);
		assert_memory_equal(got + n - data.n, data.at, data.n);
		free(got);
		free(data.at);
		teardown(&own);
	}
	(void)state;
}

static void
a_class_that_is_not_accepted_is_refused_by_name(void **state)
{
	struct stage *t = *state;
	struct scu_peer p = archive(t, NULL, NULL);
	char other[300];
	struct scu_result r[2];
	struct err e;

	snprintf(other, sizeof other, "%s/b.dcm", t->dir);
	write_dicom(t->file, LABELMAP, "1.2.3.1", false, 100);
	write_dicom(other, MR, "1.2.3.2", false, 100);
	const char *paths[] = { t->file, other };
	assert_int_equal(scu_store(&p, paths, 2, r, &e), 0);
	assert_int_equal(r[0].outcome, SCU_REFUSED);
	assert_non_null(strstr(r[0].text, LABELMAP));
	assert_int_equal(r[1].outcome, SCU_STORED);
	assert_int_equal(scu_store(&p, paths, 1, r, &e), -1); /* alone: nothing that the peer would take */
	assert_int_equal(e.code, ERR_INPUT);
	assert_int_equal(r[0].outcome, SCU_REFUSED);
	assert_non_null(strstr(r[0].text, LABELMAP));
}

static void
files_that_cannot_be_sent_do_not_stop_the_others(void **state)
{
	struct stage *t = *state;
	struct scu_peer p = archive(t, NULL, NULL);
	char text[300], good[300];
	struct scu_result r[3];
	struct err e;

	snprintf(text, sizeof text, "%s/text", t->dir);
	snprintf(good, sizeof good, "%s/good", t->dir);
	assert_int_equal(file_write(text, "not DICOM", 9, &e), 0);
	write_dicom(good, SEG, "1.2.3", false, 100);
	const char *paths[] = { t->file, text, good }; /* the first one does not exist */
	assert_int_equal(scu_store(&p, paths, 3, r, &e), 0);
	assert_int_equal(r[0].outcome, SCU_NOT_SENT);
	assert_int_equal(r[1].outcome, SCU_REFUSED);
	assert_int_equal(r[2].outcome, SCU_STORED);
	assert_int_equal(scu_store(&p, paths, 2, r, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
}

/* Once the data set may be there, nobody can say that it is not. */
static void
no_response_leaves_doubt(void **state)
{
	struct stage *t = *state;
	struct scu_peer p = archive(t, "--abort-after", NULL);

	write_dicom(t->file, SEG, "1.2.3", false, 1000);
	struct scu_result r = store_one(&p, t->file);
	assert_int_equal(r.outcome, SCU_IN_DOUBT);
	assert_non_null(strstr(r.text, "aborted"));
}

static void
a_slow_response_leaves_doubt_in_time(void **state)
{
	struct stage *t = *state;
	struct scu_peer p = archive(t, "--sleep-during", "20");
	struct scu_result r[2];
	struct err e;

	p.timeout_s = 1;
	write_dicom(t->file, SEG, "1.2.3", false, 1000);
	const char *paths[] = { t->file, t->file };
	int64_t begin = clock_monotonic_ms();
	assert_int_equal(scu_store(&p, paths, 2, r, &e), 0);
	assert_in_range(clock_monotonic_ms() - begin, 900, 15000);
	assert_int_equal(r[0].outcome, SCU_IN_DOUBT);
	assert_non_null(strstr(r[0].text, "in time"));
	assert_int_equal(r[1].outcome, SCU_NOT_SENT);
}

static void
an_abort_in_mid_data_set_is_no_success(void **state)
{
	struct stage *t = *state;
	struct scu_peer p = archive(t, "--abort-during", NULL);

	write_dicom(t->file, SEG, "1.2.3", false, 20 << 20); /* more than the sockets hold */
	struct scu_result r = store_one(&p, t->file);
	assert_int_equal(r.outcome, SCU_NOT_SENT);
	write_dicom(t->file, SEG, "1.2.3", false, 1000);
	enum scu_outcome outcome = store_one(&p, t->file).outcome;
	assert_true(outcome == SCU_NOT_SENT || outcome == SCU_IN_DOUBT);
}

/* An acceptor by hand, that takes one context, one instance, and answers with a status of the test's. */
struct by_hand { int listening; unsigned status; const char *comment /* NULL: none */, *sop_uid; };

static void *
answer_with(void *arg)
{
	struct by_hand *h = arg;
	struct bytes v = { 0 }, ac = { 0 }, pdu = { 0 }, user = { 0 }, rsp = { 0 }, all = { 0 };
	unsigned char status[2] = { h->status & 255, (unsigned char)(h->status >> 8) };
	int fd = accept(h->listening, NULL, NULL);
	bool is_last = false;

	assert_int_equal(receive_pdu(fd, &v), 1);
	put(&ac, v.at, 68);
	put_item(&ac, 0x10, "1.2.840.10008.3.1.1.1", 21);
	put(&ac, "\x21\0\0\x1b\1\0\0\0\x40\0\0\x13" EXPLICIT, 31);
	put(&ac, "\x21\0\0\x19\3\0\3\0\x40\0\0\x11" IMPLICIT, 29);
	put_item(&user, 0x51, "\0\0\x40\0", 4);
	put_item(&user, 0x52, "1.2.3", 5);
	put_item(&ac, 0x50, user.at, user.n);
	put_pdu(&pdu, 2, ac.at, ac.n);
	send_all(fd, pdu.at, pdu.n);
	while (!is_last) {
		free(v.at);
		assert_int_equal(receive_pdu(fd, &v), 4);
		is_last = v.at[5] == 2;              /* the last fragment of the data set */
	}
	put_text(&rsp, 0, 2, NULL, SEG);
	put_element(&rsp, 0, 0x100, NULL, "\1\x80", 2);
	put_element(&rsp, 0, 0x120, NULL, "\1\0", 2);
	put_element(&rsp, 0, 0x800, NULL, "\1\1", 2);
	put_element(&rsp, 0, 0x900, NULL, status, 2);
	if (h->comment != NULL)
		put_text(&rsp, 0, 0x902, NULL, h->comment);
	put_text(&rsp, 0, 0x1000, NULL, h->sop_uid);
	put_element(&all, 0, 0, NULL, "\0\0\0\0", 4);
	memcpy(all.at + 8, &(uint32_t){ (uint32_t)rsp.n }, 4);
	put(&all, rsp.at, rsp.n);
	send_fragment(fd, 1, true, true, all.at, all.n);
	free(v.at);
	if (receive_pdu(fd, &v) == 5)                /* or an abort */
		send_pdu(fd, 6, "\0\0\0\0", 4);
	close(fd);
	free(v.at);
	free(ac.at);
	free(pdu.at);
	free(user.at);
	free(rsp.at);
	free(all.at);
	return NULL;
}

static struct scu_peer
stand_by_hand(struct by_hand *h)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;

	h->listening = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(h->listening, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(getsockname(h->listening, (struct sockaddr *)&a, &n), 0);
	assert_int_equal(listen(h->listening, 8), 0);
	return (struct scu_peer) { "127.0.0.1", "PACS", "SEGAN", ntohs(a.sin_port), 10, { 0 } };
}

static struct scu_result
store_by_hand(struct by_hand *h, const struct scu_peer *p, const char *file)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, answer_with, h), 0);
	struct scu_result r = store_one(p, file);
	assert_int_equal(pthread_join(thread, NULL), 0);
	return r;
}

static void
each_status_has_its_outcome(void **state)
{
	static const struct { unsigned status; enum scu_outcome outcome; } cases[] = {
		{ 0x0000, SCU_STORED }, { 0xB000, SCU_STORED }, { 0xB006, SCU_STORED }, { 0xA700, SCU_PASSING }, { 0xA701, SCU_PASSING }, { 0xA900, SCU_REFUSED },
		{ 0xC000, SCU_REFUSED }, { 0xC123, SCU_REFUSED }, { 0x0122, SCU_REFUSED }, { 0x0110, SCU_PASSING }, { 0x0124, SCU_PASSING }, { 0x0211, SCU_PASSING },
		{ 0x0001, SCU_STORED }, { 0x0107, SCU_STORED }, { 0x0116, SCU_STORED }, { 0x0111, SCU_IN_DOUBT }, { 0xFF00, SCU_PASSING }, { 0xFE00, SCU_PASSING },
	};
	struct stage *t = *state;
	struct by_hand h = { .sop_uid = "1.2.3" };
	char number[16];

	struct scu_peer p = stand_by_hand(&h);
	write_dicom(t->file, SEG, "1.2.3", false, 50000);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		h.status = cases[i].status;
		h.comment = i % 2 == 1 ? "call the archive" : NULL;
		struct scu_result r = store_by_hand(&h, &p, t->file);
		assert_int_equal(r.outcome, cases[i].outcome);
		assert_int_equal(r.status, cases[i].status);
		snprintf(number, sizeof number, "0x%04x", cases[i].status);
		assert_non_null(strstr(r.text, number));
		assert_int_equal(strstr(r.text, "call the archive") != NULL, h.comment != NULL);
	}
	close(h.listening);
}

/* A response for another instance is none for ours. */
static void
an_answer_for_another_instance_leaves_doubt(void **state)
{
	struct stage *t = *state;
	struct by_hand h = { .sop_uid = "1.2.4" };
	struct scu_peer p = stand_by_hand(&h);

	write_dicom(t->file, SEG, "1.2.3", false, 1000);
	struct scu_result r = store_by_hand(&h, &p, t->file);
	assert_int_equal(r.outcome, SCU_IN_DOUBT);
	close(h.listening);
}

/* Its words go to logs and terminals: no patient (CANARY^NET, see write_dicom), nothing that moves a cursor. */
static void
a_comment_tells_no_patient(void **state)
{
	static const struct { const char *comment, *words; } cases[] = {
		{ "Patient NET^CANARY unknown", "is not repeated" }, { "canary", "is not repeated" }, { "ne", ": ne" }, { "red \x1b[31m\nline", ": red  [31m line" },
	};
	struct stage *t = *state;
	struct by_hand h = { .sop_uid = "1.2.3", .status = 0xC001 };
	struct scu_peer p = stand_by_hand(&h);

	write_dicom(t->file, SEG, "1.2.3", false, 1000);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		h.comment = cases[i].comment;
		struct scu_result r = store_by_hand(&h, &p, t->file);
		assert_int_equal(r.outcome, SCU_REFUSED);
		if (strstr(r.text, cases[i].words) == NULL)
			fail_msg("%s", r.text);
	}
	close(h.listening);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		T(echo_answered), T(nobody_there_may_pass), T(an_association_refused_for_good_is_final), T(a_mute_peer_is_left_in_time), T(stored_byte_by_byte),
		T(a_class_that_is_not_accepted_is_refused_by_name), T(files_that_cannot_be_sent_do_not_stop_the_others), T(no_response_leaves_doubt),
		T(a_slow_response_leaves_doubt_in_time), T(an_abort_in_mid_data_set_is_no_success), T(each_status_has_its_outcome),
		T(an_answer_for_another_instance_leaves_doubt), T(a_comment_tells_no_patient),
	};
	struct err e;

	if (dicom_start(&e) != 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	alarm(240);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
