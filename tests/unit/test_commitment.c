/* Storage commitment on the wire (PS3.4 J): our listener against an archive that reports, in every way it should not, and our request against an archive that
 * answers well, late, first, wrongly or not at all. Both peers by hand, since DCMTK has none; Orthanc is met in tests/e2e/commitment.sh. */
#include "tests/unit/scp_stage.h"

#define WELL_KNOWN "1.2.840.10008.1.20.1.1"
#define TRANSACTION "2.25.1234567890"

/* ---- pieces ---- */

enum { ROLE_NONE = -1, ROLE_PROVIDER, ROLE_USER, ROLE_BOTH };

/* An association for one class in a role (PS3.7 D.3.3.4). *accepted: its context was; *answer has the A-ASSOCIATE-AC (caller frees). -1: rejected. */
static int
associate_as(unsigned port, const char *sop_class, int role, bool *accepted, struct bytes *answer)
{
	struct proposal p = { sop_class, IMPLICIT };
	struct bytes rq = make_request("SEGAN", &p, 1), roles = { 0 };
	int fd = try_connect("127.0.0.1", port);

	assert_true(fd >= 0);
	if (role != ROLE_NONE) {
		put_big(&roles, (uint32_t)strlen(sop_class), 2);
		put(&roles, sop_class, strlen(sop_class));
		put(&roles, role == ROLE_PROVIDER ? "\0\1" : role == ROLE_USER ? "\1\0" : "\1\1", 2);
		put_item(&rq, 0x54, roles.at, roles.n); /* behind the last item, which is the user information */
		size_t length = rq.n - 6;
		for (int i = 0; i < 4; i++)
			rq.at[2 + i] = (unsigned char)(length >> (8 * (3 - i)));
		unsigned char *item = memmem(rq.at, rq.n, "\x51\0\0\4", 4);
		assert_non_null(item);
		size_t now = rq.n - (size_t)(item - rq.at);
		item[-2] = (unsigned char)(now >> 8);
		item[-1] = (unsigned char)now;
	}
	send_all(fd, rq.at, rq.n);
	free(rq.at);
	free(roles.at);
	assert_int_equal(receive_pdu(fd, answer), 2);
	unsigned char *context = memmem(answer->at + 68, answer->n - 68, "\x21\0", 2);
	assert_non_null(context);
	*accepted = context[6] == 0;
	return fd;
}

static void
put_number(struct bytes *b, unsigned element, unsigned value)
{
	unsigned char v[2] = { value & 255, (unsigned char)(value >> 8) };

	put_element(b, 0, element, NULL, v, 2);
}

/* A command set from its elements behind (0000,0002), and its data set. */
static void
send_message(int fd, const struct bytes *command, const struct bytes *data)
{
	struct bytes all = { 0 };

	put_little(&all, 0, 4);
	put_little(&all, 4, 4);
	put_little(&all, (uint32_t)command->n, 4);
	put(&all, command->at, command->n);
	send_fragment(fd, 1, true, true, all.at, all.n);
	if (data != NULL)
		send_fragment(fd, 1, false, true, data->at, data->n);
	free(all.at);
}

/* An item of a sequence of instances. reason 0: none. */
static void
put_instance(struct bytes *list, const char *sop_uid, unsigned reason)
{
	struct bytes item = { 0 };
	unsigned char v[2] = { reason & 255, (unsigned char)(reason >> 8) };

	put_text(&item, 0x0008, 0x1150, NULL, SEG);
	put_text(&item, 0x0008, 0x1155, NULL, sop_uid);
	if (reason != 0)
		put_element(&item, 0x0008, 0x1197, NULL, v, 2);
	put_little(list, 0xE000FFFE, 4);
	put_little(list, (uint32_t)item.n, 4);
	put(list, item.at, item.n);
	free(item.at);
}

struct report { const char *instance, *transaction, *good, *bad; unsigned event, reason; bool has_no_data; };

static void
send_report(int fd, const struct report *r)
{
	struct bytes command = { 0 }, data = { 0 }, list = { 0 };

	put_text(&command, 0, 2, NULL, COMMITMENT);
	put_number(&command, 0x100, 0x0100);
	put_number(&command, 0x110, 7);
	put_number(&command, 0x800, r->has_no_data ? 0x0101 : 1);
	put_text(&command, 0, 0x1000, NULL, r->instance);
	put_number(&command, 0x1002, r->event);
	if (r->transaction != NULL)
		put_text(&data, 0x0008, 0x1195, NULL, r->transaction);
	if (r->bad != NULL) {
		put_instance(&list, r->bad, r->reason);
		put_element(&data, 0x0008, 0x1198, NULL, list.at, list.n);
		list.n = 0;
	}
	if (r->good != NULL) {
		put_instance(&list, r->good, 0);
		put_element(&data, 0x0008, 0x1199, NULL, list.at, list.n);
	}
	send_message(fd, &command, r->has_no_data ? NULL : &data);
	free(command.at);
	free(data.at);
	free(list.at);
}

/* The response to it: status; with what archives ask for (LEADS 2). */
static unsigned
response_status(int fd)
{
	struct bytes v;

	assert_int_equal(receive_pdu(fd, &v), 4);
	const unsigned char *at = memmem(v.at, v.n, "\0\0\0\x09\2\0\0\0", 8), *event = memmem(v.at, v.n, "\0\0\2\x10\2\0\0\0", 8);
	assert_non_null(at);
	assert_non_null(event);
	assert_non_null(memmem(v.at, v.n, "\0\0\0\1\2\0\0\0\0\x81", 10));
	assert_non_null(memmem(v.at, v.n, "\0\0\2\0", 4));      /* Affected SOP Class UID */
	assert_non_null(memmem(v.at, v.n, "\0\0\0\x10", 4));    /* Affected SOP Instance UID */
	unsigned status = at[8] | (unsigned)at[9] << 8;
	free(v.at);
	return status;
}

/* ---- the listener ---- */

static const struct report good_one = { .instance = WELL_KNOWN, .transaction = TRANSACTION, .good = "1.2.3", .event = 1 };

static void
a_report_is_taken_and_answered(void **state)
{
	struct stage *t = *state;
	struct report some = { .instance = WELL_KNOWN, .transaction = TRANSACTION, .good = "1.2.3", .bad = "1.2.4", .reason = 0x0112, .event = 2 };
	struct bytes v;
	bool accepted;

	t->seen.may_report = true;
	start(t);
	int fd = associate_as(scp_port(t->scp), COMMITMENT, ROLE_PROVIDER, &accepted, &v);
	assert_true(accepted);
	assert_non_null(memmem(v.at, v.n, COMMITMENT "\0\1", 22));   /* it is the provider, and not the user */
	free(v.at);
	send_report(fd, &good_one);
	assert_int_equal(response_status(fd), 0);
	send_report(fd, &some);
	assert_int_equal(response_status(fd), 0);
	some.reason = 0;
	send_report(fd, &some);
	assert_int_equal(response_status(fd), 0);
	send_pdu(fd, 5, "\0\0\0\0", 4);
	assert_int_equal(receive_pdu(fd, &v), 6);
	free(v.at);
	close(fd);
	wait_closed(t, 1);
	assert_int_equal(t->seen.n_released, 1);
	assert_int_equal(t->seen.n_reported, 3);
	assert_string_equal(t->seen.transaction, TRANSACTION);
	assert_int_equal(t->seen.n_committed, 3);
	assert_int_equal(t->seen.n_failed, 2);
	assert_int_equal(t->seen.reason, 0x0110); /* of the last, which failed and gave none */
}

/* A scanner that asks us to answer for its images would delete them because of us. */
static void
nobody_can_ask_us_for_commitment(void **state)
{
	static const struct { int role; bool may_report, is_taken; } cases[] = { { ROLE_NONE, true, false }, { ROLE_USER, true, false }, { ROLE_BOTH, true, true },
		{ ROLE_PROVIDER, false, false }, { ROLE_BOTH, false, false } };
	struct stage *t = *state;
	struct bytes v;
	bool accepted;

	start(t);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		t->seen.may_report = cases[i].may_report;
		int fd = associate_as(scp_port(t->scp), COMMITMENT, cases[i].role, &accepted, &v);
		assert_int_equal(accepted, cases[i].is_taken);
		assert_int_equal(memmem(v.at, v.n, COMMITMENT "\1", 21) != NULL, false);
		free(v.at);
		send_pdu(fd, 7, "\0\0\0\0", 4);
		close(fd);
		wait_closed(t, i + 1);
	}
	still_serves(t);
}

static void
who_may_only_report_stores_nothing(void **state)
{
	struct stage *t = *state;
	struct bytes v;
	bool accepted;

	t->seen.reports_only = true;
	start(t);
	int fd = associate_as(scp_port(t->scp), MR, ROLE_NONE, &accepted, &v);
	assert_false(accepted);
	free(v.at);
	close(fd);
	fd = associate_as(scp_port(t->scp), COMMITMENT, ROLE_PROVIDER, &accepted, &v);
	assert_true(accepted);
	free(v.at);
	send_command(fd, 1, 1, COMMITMENT, "1.2.3.4.5"); /* an instance of that class is none */
	send_fragment(fd, 1, false, true, "\x08\0\x18\0\2\0\0\0" "1\0", 10);
	assert_int_equal(receive_pdu(fd, &v), 4);
	const unsigned char *at = memmem(v.at, v.n, "\0\0\0\x09\2\0\0\0", 8);
	assert_true(at != NULL && at[8] == 0x22 && at[9] == 1);
	free(v.at);
	close(fd);
	still_serves(t);
	assert_int_equal(t->seen.n_received, 0);
}

static void
wrong_reports_are_answered_by_their_fault(void **state)
{
	const struct { struct report r; enum err_code refuse; unsigned status; } cases[] = {
		{ { .instance = "1.2.3", .transaction = TRANSACTION, .good = "1.2.3", .event = 1 }, ERR_NONE, 0x0112 },
		{ { .instance = WELL_KNOWN, .transaction = TRANSACTION, .good = "1.2.3", .event = 3 }, ERR_NONE, 0x0113 },
		{ { .instance = WELL_KNOWN, .good = "1.2.3", .event = 1 }, ERR_NONE, 0x0120 },
		{ { .instance = WELL_KNOWN, .event = 1, .has_no_data = true }, ERR_NONE, 0x0120 },
		{ { .instance = WELL_KNOWN, .transaction = "../x", .good = "1.2.3", .event = 1 }, ERR_NONE, 0x0115 },
		{ { .instance = WELL_KNOWN, .transaction = TRANSACTION, .good = "x", .event = 1 }, ERR_NONE, 0x0115 },
		{ { .instance = WELL_KNOWN, .transaction = TRANSACTION, .good = "1.2.3", .event = 1 }, ERR_NOT_FOUND, 0x0115 },
		{ { .instance = WELL_KNOWN, .transaction = TRANSACTION, .good = "1.2.3", .event = 1 }, ERR_IO, 0x0213 },
		{ { .instance = WELL_KNOWN, .transaction = TRANSACTION, .good = "1.2.3", .event = 1 }, ERR_BUG, 0x0110 },
	};
	struct stage *t = *state;
	struct bytes v;
	bool accepted;

	t->seen.may_report = true;
	start(t);
	int fd = associate_as(scp_port(t->scp), COMMITMENT, ROLE_PROVIDER, &accepted, &v);
	free(v.at);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		refuse(t, ERR_NONE, ERR_NONE, cases[i].refuse, 0);
		send_report(fd, &cases[i].r);
		assert_int_equal(response_status(fd), cases[i].status);
	}
	refuse(t, ERR_NONE, ERR_NONE, ERR_NONE, 0);
	send_report(fd, &good_one);                  /* the association is as good as before */
	assert_int_equal(response_status(fd), 0);
	close(fd);
}

static void
a_report_elsewhere_ends_the_association(void **state)
{
	struct stage *t = *state;
	struct bytes v;
	bool accepted;

	t->seen.may_report = true;
	start(t);
	int fd = associate_as(scp_port(t->scp), MR, ROLE_NONE, &accepted, &v);
	free(v.at);
	send_report(fd, &good_one);
	assert_int_equal(receive_pdu(fd, &v), 7);
	free(v.at);
	close(fd);
	wait_closed(t, 1);
	assert_int_equal(t->seen.n_reported, 0);
	still_serves(t);
}

/* A report that goes on and on is cut: it would be held in memory. */
static void
a_report_without_end_is_cut(void **state)
{
	static const char fragment[60000];
	struct stage *t = *state;
	struct bytes v, command = { 0 };
	size_t sent = 0;
	bool accepted;

	t->seen.may_report = true;
	start(t);
	int fd = associate_as(scp_port(t->scp), COMMITMENT, ROLE_PROVIDER, &accepted, &v);
	free(v.at);
	put_text(&command, 0, 2, NULL, COMMITMENT);
	put_number(&command, 0x100, 0x0100);
	put_number(&command, 0x110, 7);
	put_number(&command, 0x800, 1);
	put_text(&command, 0, 0x1000, NULL, WELL_KNOWN);
	put_number(&command, 0x1002, 1);
	send_message(fd, &command, NULL);
	send_fragment(fd, 1, false, false, "\x08\0\x10\0\xfc\xff\xff\x7f", 8);
	unsigned char head[] = { 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0 };
	for (size_t i = 0; i < 4; i++) {
		head[2 + i] = (unsigned char)((sizeof fragment + 6) >> (8 * (3 - i)));
		head[6 + i] = (unsigned char)((sizeof fragment + 2) >> (8 * (3 - i)));
	}
	while (sent < 64u << 20 && send(fd, head, sizeof head, MSG_NOSIGNAL) == (ssize_t)sizeof head && send(fd, fragment, sizeof fragment, MSG_NOSIGNAL) == (ssize_t)sizeof fragment)
		sent += sizeof fragment;
	assert_in_range(sent, 1, 32u << 20);
	assert_true(is_closed_by_peer(fd));
	close(fd);
	free(command.at);
	wait_closed(t, 1);
	assert_int_equal(t->seen.n_reported, 0);
	still_serves(t);
}

/* ---- the request ---- */

enum way { WAY_REPORT, WAY_REPORT_FIRST, WAY_SILENT_THEN, WAY_REFUSE_CONTEXT, WAY_STATUS, WAY_CLOSE, WAY_OTHER_COMMAND, WAY_WRONG_TRANSACTION, WAY_FLOOD };

struct archive { int listening; enum way way; unsigned status, answer; struct bytes request; };

static void
respond(int fd, unsigned status)
{
	struct bytes b = { 0 };

	put_text(&b, 0, 2, NULL, COMMITMENT);
	put_number(&b, 0x100, 0x8130);
	put_number(&b, 0x120, 1);
	put_number(&b, 0x800, 0x0101);
	put_number(&b, 0x900, status);
	put_text(&b, 0, 0x1000, NULL, WELL_KNOWN);
	put_number(&b, 0x1008, 1);
	send_message(fd, &b, NULL);
	free(b.at);
}

static void
take_association(int fd, bool refuses)
{
	struct bytes v = { 0 }, ac = { 0 }, pdu = { 0 }, user = { 0 };

	assert_int_equal(receive_pdu(fd, &v), 1);
	put(&ac, v.at, 68);
	put_item(&ac, 0x10, "1.2.840.10008.3.1.1.1", 21);
	put(&ac, refuses ? "\x21\0\0\x19\1\0\3\0\x40\0\0\x11" IMPLICIT : "\x21\0\0\x19\1\0\4\0\x40\0\0\x11" IMPLICIT, 29);
	put(&ac, refuses ? "\x21\0\0\x19\3\0\3\0\x40\0\0\x11" IMPLICIT : "\x21\0\0\x19\3\0\0\0\x40\0\0\x11" IMPLICIT, 29);
	put_item(&user, 0x51, "\0\0\x40\0", 4);
	put_item(&user, 0x52, "1.2.3", 5);
	put_item(&ac, 0x50, user.at, user.n);
	put_pdu(&pdu, 2, ac.at, ac.n);
	send_all(fd, pdu.at, pdu.n);
	free(v.at);
	free(ac.at);
	free(pdu.at);
	free(user.at);
}

/* Everything by context 3, which was accepted. */
static void
on_context_3(int fd, void (*what)(int fd, const void *arg), const void *arg)
{
	int pair[2];
	struct bytes v;
	struct pollfd p;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	what(pair[0], arg);
	close(pair[0]);
	p = (struct pollfd){ pair[1], POLLIN, 0 };
	while (poll(&p, 1, 0) == 1 && recv(pair[1], &(char){ 0 }, 1, MSG_PEEK) == 1) {
		unsigned type = receive_pdu(pair[1], &v);
		v.at[4] = 3;
		send_pdu(fd, type, v.at, v.n);
		free(v.at);
	}
	close(pair[1]);
}

static void
say_report(int fd, const void *arg)
{
	send_report(fd, arg);
}

static void
say_status(int fd, const void *arg)
{
	respond(fd, *(const unsigned *)arg);
}

/* Reports of another's transaction, and no answer, until nobody listens any more. */
static void
flood(int fd)
{
	struct report r = good_one;
	unsigned type = 4;

	r.transaction = "1.2";
	for (int i = 0; i < 300 && type == 4; i++) {
		struct bytes v;
		on_context_3(fd, say_report, &r);
		type = receive_pdu(fd, &v);
		free(v.at);
	}
}

static void
converse(struct archive *a, int fd)
{
	struct report r = good_one;
	struct bytes v;
	unsigned type;

	for (int n = 0; n < 2; n++) {                /* the command, then what it is about */
		assert_int_equal(receive_pdu(fd, &v), 4);
		if (n == 1)
			put(&a->request, v.at, v.n);
		free(v.at);
	}
	r.transaction = a->way == WAY_WRONG_TRANSACTION ? "1.2" : TRANSACTION;
	if (a->way == WAY_FLOOD)
		flood(fd);
	if (a->way == WAY_CLOSE || a->way == WAY_FLOOD)
		return;
	if (a->way == WAY_OTHER_COMMAND)
		a->status = 0;
	if (a->way == WAY_REPORT_FIRST) {
		on_context_3(fd, say_report, &r);
		a->answer = response_status(fd);
	}
	on_context_3(fd, say_status, &a->status);
	if (a->way == WAY_OTHER_COMMAND) {
		on_context_3(fd, say_status, &a->status); /* a second response */
	} else if (a->way == WAY_REPORT || a->way == WAY_WRONG_TRANSACTION) {
		on_context_3(fd, say_report, &r);
		a->answer = response_status(fd);
	}
	type = receive_pdu(fd, &v);
	free(v.at);
	if (type == 5)
		send_pdu(fd, 6, "\0\0\0\0", 4);
}

static void *
be_archive(void *arg)
{
	struct archive *a = arg;
	struct bytes v;
	int fd = accept(a->listening, NULL, NULL);

	take_association(fd, a->way == WAY_REFUSE_CONTEXT);
	if (a->way != WAY_REFUSE_CONTEXT) {
		converse(a, fd);
	} else if (receive_pdu(fd, &v) == 5) {
		send_pdu(fd, 6, "\0\0\0\0", 4);
		free(v.at);
	}
	close(fd);
	return NULL;
}

struct told { size_t n; };

static int
take_report(void *arg, const struct commitment_report *r, struct err *e)
{
	if (strcmp(r->transaction, TRANSACTION) != 0)
		return err_set(e, ERR_NOT_FOUND, "no such transaction");
	((struct told *)arg)->n += r->n;
	return 0;
}

static void
each_answer_has_its_outcome(void **state)
{
	static const struct { enum way way; unsigned status; int rc; enum err_code code; bool is_reported; unsigned answer; const char *words; } cases[] = {
		{ WAY_REPORT, 0, 0, ERR_NONE, true, 0, "" },
		{ WAY_REPORT_FIRST, 0, 0, ERR_NONE, true, 0, "" },
		{ WAY_SILENT_THEN, 0, 0, ERR_NONE, false, 0, "" },
		{ WAY_WRONG_TRANSACTION, 0, 0, ERR_NONE, false, 0x0115, "" },
		{ WAY_REFUSE_CONTEXT, 0, -1, ERR_INPUT, false, 0, "offers no storage commitment" },
		{ WAY_STATUS, 0x0122, -1, ERR_INPUT, false, 0, "0x0122" },
		{ WAY_STATUS, 0x0110, -1, ERR_PEER, false, 0, "0x0110" },
		{ WAY_STATUS, 0x0213, -1, ERR_PEER, false, 0, "0x0213" },
		{ WAY_CLOSE, 0, -1, ERR_PEER, false, 0, "aborted" },
		{ WAY_OTHER_COMMAND, 0, -1, ERR_PEER, false, 0, "another command" },
		{ WAY_FLOOD, 0, -1, ERR_PEER, false, 0, "no answer to the request" },
	};
	struct stage *t = *state;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof at;
	struct archive a = { .listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	char path[512];
	const char *paths[] = { path };
	struct err e;

	assert_int_equal(bind(a.listening, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(getsockname(a.listening, (struct sockaddr *)&at, &n), 0);
	assert_int_equal(listen(a.listening, 8), 0);
	snprintf(path, sizeof path, "%s/seg.dcm", t->dir);
	write_dicom(path, SEG, "1.2.3", false, 100);
	struct scu_peer peer = { "127.0.0.1", "PACS", "SEGAN", ntohs(at.sin_port), 10, { 0 } };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct commitment_question q = { &peer, TRANSACTION, paths, 1, 1 };
		struct told told = { 0 };
		pthread_t thread;
		bool is_reported;
		a.way = cases[i].way;
		a.status = cases[i].status;
		a.answer = 0;
		a.request.n = 0;
		e = (struct err){ .code = ERR_NONE };
		assert_int_equal(pthread_create(&thread, NULL, be_archive, &a), 0);
		int rc = commitment_ask(&q, take_report, &told, &is_reported, &e);
		assert_int_equal(pthread_join(thread, NULL), 0);
		if (rc != cases[i].rc || is_reported != cases[i].is_reported || a.answer != cases[i].answer)
			fail_msg("case %zu: %d, %d, 0x%04x: %s", i, rc, is_reported, a.answer, rc != 0 ? e.text : "");
		assert_int_equal(told.n, cases[i].is_reported);
		if (rc != 0 && (e.code != cases[i].code || strstr(e.text, cases[i].words) == NULL))
			fail_msg("case %zu: %d, \"%s\"", i, (int)e.code, e.text);
		if (i == 0) {                        /* what was asked */
			assert_non_null(memmem(a.request.at, a.request.n, TRANSACTION, strlen(TRANSACTION)));
			assert_non_null(memmem(a.request.at, a.request.n, SEG, strlen(SEG)));
			assert_non_null(memmem(a.request.at, a.request.n, "\x08\0\x55\x11\6\0\0\0" "1.2.3\0", 14));
		}
	}
	free(a.request.at);
	close(a.listening);
}

static void
a_file_that_is_gone_is_said(void **state)
{
	struct scu_peer peer = { "127.0.0.1", "PACS", "SEGAN", 1, 1, { 0 } };
	const char *paths[] = { "/nowhere/seg.dcm" };
	struct commitment_question q = { &peer, TRANSACTION, paths, 1, 1 };
	bool is_reported;
	struct err e;

	(void)state;
	assert_int_equal(commitment_ask(&q, take_report, NULL, &is_reported, &e), -1);
	assert_int_equal(e.code, ERR_IO);
	assert_non_null(strstr(e.text, "/nowhere/seg.dcm"));
}

static void
reasons_mean_what_the_standard_says(void **state)
{
	(void)state;
	assert_int_equal(commitment_fate(0), COMMITMENT_GOOD);
	assert_int_equal(commitment_fate(0x0112), COMMITMENT_LOST);
	assert_int_equal(commitment_fate(0x0110), COMMITMENT_LATER);
	assert_int_equal(commitment_fate(0x0122), COMMITMENT_NEVER);
	assert_int_equal(commitment_fate(0xBEEF), COMMITMENT_LATER);
	assert_non_null(strstr(commitment_words(0x0112), "does not have"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		T(a_report_is_taken_and_answered), T(nobody_can_ask_us_for_commitment), T(who_may_only_report_stores_nothing), T(wrong_reports_are_answered_by_their_fault),
		T(a_report_elsewhere_ends_the_association), T(a_report_without_end_is_cut), T(each_answer_has_its_outcome), T(a_file_that_is_gone_is_said),
		T(reasons_mean_what_the_standard_says),
	};
	struct err e;

	if (dicom_start(&e) != 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
