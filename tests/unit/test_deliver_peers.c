/* Delivery to DIMSE archives that behave as scripted: what each answer means, what is asked before sending again, whose patient it is, and three days without
 * the archive, by a clock that is moved. */
#include "tests/unit/scripted_peer.h"

#include "tests/unit/deliver_stage.h"
#include "tests/unit/made_seg.h"

#include <pthread.h>

enum { ROOM = 6000, ASKED_EITHER = 9 };

static int64_t
add_seg(int i, const char *const *destinations, size_t n)
{
	char study[30], series[30], sop[30];
	struct bytes seg;
	int64_t id;

	snprintf(study, sizeof study, "1.2.3.%d", i);
	snprintf(series, sizeof series, "1.2.3.%d.1", i);
	snprintf(sop, sizeof sop, "1.2.3.%d.1.1", i);
	seg = make_seg(study, series, sop);
	id = add_computed(study, destinations, n, "[{\"kind\":\"seg\"}]", seg.at, seg.n);
	free(seg.at);
	return id;
}

static void
add_destination(char more[ROOM], const char *name, unsigned port, bool is_last)
{
	size_t n = strlen(more);

	snprintf(more + n, ROOM - n, "\"%s\": {\"type\": \"dimse\", \"aet\": \"ARCHIVE\", \"host\": \"127.0.0.1\", \"port\": %u, \"timeout\": 1}%s", name, port, is_last ? "}," : ",");
}

static struct delivery_object
object_of(int64_t job, const char *destination)
{
	struct delivery_object *list, first;
	struct err e;
	size_t n;

	assert_int_equal(deliveries_objects(node.db, delivery_to(job, destination).id, &list, &n, &e), 0);
	assert_int_equal(n, 1);
	first = list[0];
	free(list);
	return first;
}

/* However often an object came: one content. */
static void
has_one_content(const struct scripted_peer *p)
{
	for (size_t i = 0; i < p->n_kept; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(p->kept[i].sop_uid, p->kept[k].sop_uid) == 0)
				assert_true(p->kept[i].n == p->kept[k].n && memcmp(p->kept[i].bytes, p->kept[k].bytes, p->kept[i].n) == 0);
}

static bool
holds(const struct kept *k, const char *text)
{
	return memmem(k->bytes, k->n, text, strlen(text)) != NULL;
}

static struct deliver *
start(void)
{
	struct err e = { 0 };
	struct deliver *d = deliver_start(&node, &e);

	if (d == NULL)
		fail_msg("%s", e.text);
	return d;
}

/* Delivers until the first attempt to "archive" has come to nothing and the next one has its time. */
static void
run_until_tried(int64_t id)
{
	struct deliver *d = start();

	while (delivery_to(id, "archive").next_attempt_ms == 0)
		assert_true(bell_rest(&node.dispatch, 5));
	assert_true(deliver_stop(d));
}

/* Delivers until that job has ended. */
static void
run_to_end(int64_t job)
{
	struct deliver *d = start();

	wait_for_end(job);
	assert_true(deliver_stop(d));
}

/* One peer, as the destination "archive". */
static void
open_archive(struct scripted_peer *p, const char *settings_before)
{
	char more[ROOM];

	snprintf(more, sizeof more, "%s\"destinations\": {", settings_before);
	open_scripted(p, 0);
	add_destination(more, "archive", p->port, true);
	open_node(more);
}

static void
reopen_node(void)
{
	struct err e = { 0 };

	node_close(&node);
	assert_int_equal(node_open(&node, settings, &e), 0);
}

/* ---- what each answer means ---- */

static const struct {
	const char *name, *plan;
	char find;
	enum delivery_state state;
	int64_t attempts;
	size_t n_kept;
	int asked;
	const char *words;
} plans[] = {
	{ "stored", "g", 'y', DELIVERY_DELIVERED, 1, 1, ASKED_NEVER, "" },
	{ "warned", "w", 'y', DELIVERY_DELIVERED, 1, 1, ASKED_NEVER, "warning" },
	{ "full", "ffg", 'y', DELIVERY_DELIVERED, 3, 1, ASKED_NEVER, "" },
	{ "mismatch", "x", 'y', DELIVERY_REFUSED, 1, 0, ASKED_NEVER, "0xa900" },
	{ "strange", "c", 'y', DELIVERY_REFUSED, 1, 0, ASKED_NEVER, "0xc000" },
	{ "congested", "rg", 'y', DELIVERY_DELIVERED, 2, 1, ASKED_NEVER, "" },
	{ "unknown", "R", 'y', DELIVERY_REFUSED, 1, 0, ASKED_NEVER, "calling AE title" },
	{ "nocontext", "n", 'y', DELIVERY_REFUSED, 1, 0, ASKED_NEVER, "accepts none" },
	{ "aborts", "ag", 'y', DELIVERY_DELIVERED, 2, 1, ASKED_EITHER, "" },     /* all was under way when it aborted, or not */
	{ "closes", "pg", 'y', DELIVERY_DELIVERED, 2, 1, ASKED_NEVER, "" },
	{ "lost", "s", 'y', DELIVERY_DELIVERED, 2, 1, ASKED_FOUND, "" },
	{ "dropped", "dg", 'y', DELIVERY_DELIVERED, 2, 1, ASKED_ABSENT, "" },
	{ "hangs", "hg", 'y', DELIVERY_DELIVERED, 2, 1, ASKED_ABSENT, "" },
	{ "late", "l", 'y', DELIVERY_DELIVERED, 2, 1, ASKED_FOUND, "" },
	{ "doubled", "D", 'y', DELIVERY_DELIVERED, 2, 1, ASKED_FOUND, "" },
	{ "other", "og", 'y', DELIVERY_DELIVERED, 2, 1, ASKED_ABSENT, "" },
	{ "unoffered", "j", 'y', DELIVERY_REFUSED, 1, 0, ASKED_NEVER, "not offered" },
	{ "rude", "k", 'y', DELIVERY_DELIVERED, 1, 1, ASKED_NEVER, "" },
	/* who cannot be asked gets the same object again */
	{ "nofind", "sg", 'n', DELIVERY_DELIVERED, 2, 2, ASKED_IN_VAIN, "" },
	{ "finderror", "sg", 'e', DELIVERY_DELIVERED, 2, 2, ASKED_IN_VAIN, "" },
	{ "findbusy", "sg", 'b', DELIVERY_DELIVERED, 3, 2, ASKED_IN_VAIN, "" },  /* waited for once */
	{ "findendless", "g", 'E', DELIVERY_DELIVERED, 2, 1, ASKED_NEVER, "" },
	{ "findhangs", "g", 'h', DELIVERY_DELIVERED, 2, 1, ASKED_NEVER, "" },
};
enum { N_PLANS = sizeof plans / sizeof *plans };
static struct scripted_peer peers[N_PLANS];

static void
each_answer_has_its_meaning(void **state)
{
	char more[ROOM] = "\"retry_delay\": 1, \"retry_max\": 1, \"destinations\": {";
	const char *names[N_PLANS];
	int64_t id;

	(void)state;
	for (size_t i = 0; i < N_PLANS; i++) {
		peers[i] = (struct scripted_peer) { .plan = plans[i].plan, .find = plans[i].find };
		open_scripted(&peers[i], 0);
		names[i] = plans[i].name;
		add_destination(more, names[i], peers[i].port, i + 1 == N_PLANS);
	}
	open_node(more);
	id = add_seg(1, names, N_PLANS);
	run_to_end(id);
	for (size_t i = 0; i < N_PLANS; i++) {
		stop_scripted(&peers[i]);
		delivery_is(id, names[i], plans[i].state, plans[i].attempts, plans[i].words);
		if (peers[i].n_kept != plans[i].n_kept || (plans[i].asked != ASKED_EITHER && (int)object_of(id, names[i]).asked != plans[i].asked))
			fail_msg("%s came %zu times, asked %d", names[i], peers[i].n_kept, (int)object_of(id, names[i]).asked);
		has_one_content(&peers[i]);
		free_scripted(&peers[i]);
	}
	close_node();
}

static void
the_mark_is_there_before_the_answer(void **state)
{
	static const char *const name[] = { "archive" };
	struct scripted_peer p = { .plan = "hg", .find = 'y' };
	struct deliver *d;
	size_t n_bringing = 0;
	int64_t id;

	(void)state;
	open_archive(&p, "\"retry_delay\": 5, ");
	id = add_seg(1, name, 1);
	d = start();
	while (n_bringing == 0) {
		assert_true(bell_rest(&node.dispatch, 1));
		pthread_mutex_lock(&p.lock);
		n_bringing = p.n_bringing;
		pthread_mutex_unlock(&p.lock);
	}
	assert_int_equal(object_of(id, "archive").state, OBJECT_SENT);
	while (delivery_to(id, "archive").state == DELIVERY_SENDING)
		assert_true(bell_rest(&node.dispatch, 1));
	assert_int_equal(object_of(id, "archive").state, OBJECT_SENT); /* nor does no answer take it back */
	assert_true(deliver_stop(d));
	stop_scripted(&p);
	free_scripted(&p);
	close_node();
}

/* A kill -9 between sending and answer is what the database says then: on its way, and sent. */
static void
doubt_survives_a_kill(void **state)
{
	static const char *const name[] = { "archive" };
	struct delivery_object sent = { .state = OBJECT_SENT };
	struct scripted_peer p = { .plan = "g", .find = 'y' };
	struct delivery claimed;
	struct err e = { 0 };
	int64_t ids[2];

	(void)state;
	open_archive(&p, "\"retry_delay\": 1, ");
	ids[0] = add_seg(1, name, 1);
	run_to_end(ids[0]);                        /* the archive has the first */
	reopen_node();
	ids[1] = add_seg(2, name, 1);
	assert_int_equal(deliveries_claim(node.db, "archive", clock_ms(), &claimed, &e), 0);
	assert_int_equal(deliveries_mark(node.db, claimed.id, 0, &sent, 1, &e), 0);
	reopen_node();                             /* killed here */
	run_to_end(ids[1]);
	stop_scripted(&p);
	delivery_is(ids[1], "archive", DELIVERY_DELIVERED, 2, "");
	assert_int_equal(object_of(ids[1], "archive").asked, ASKED_ABSENT);
	assert_int_equal(p.n_kept, 2);
	free_scripted(&p);
	close_node();
}

/* ---- whose study it is ---- */

#define NEW_STUDY(charset, name, issuer) { charset, "20260101", "ACC9", "STUDY", name, "NEW-1", issuer, "19700202", "M", "1.2.3.1" }

static void
patient_follows_the_archive(void **state)
{
	static const char *const names[] = { "merged", "kanji", "latin", "same", "stranger", "unfit", "merging" };
	struct scripted_peer p[] = {
		{ .plan = "g", .find = 'y', .study = NEW_STUDY("ISO_IR 192", "CANARY^NEW", "NEWCLINIC") },
		{ .plan = "g", .find = 'y', .study = NEW_STUDY("ISO_IR 192", "Yamada^Tarou=\xe5\xb1\xb1\xe7\x94\xb0^\xe5\xa4\xaa\xe9\x83\x8e", NULL) },
		{ .plan = "g", .find = 'y', .study = NEW_STUDY("ISO_IR 100", "M\xfcller^Eva", "") },
		{ .plan = "g", .find = 'y', .study = { "ISO_IR 100", "20260101", "", "STUDY", "CANARY^OLD^^", "OLD-7", NULL, "19700101", "M", "1.2.3.1" } },
		{ .plan = "g", .find = 'y', .study = { "ISO_IR 100", "20260101", "", "STUDY", "OTHER", "OTHER", NULL, "", "", "9.9.9" } },
		{ .plan = "g", .find = 'y', .study = { "ISO_IR 100", "20261341", "", "STUDY", "CANARY^NEW", "NEW-1", NULL, "", "", "1.2.3.1" } },
		{ .plan = "sg", .find = 'y', .study = NEW_STUDY("ISO_IR 192", "CANARY^NEW", "NEWCLINIC") },
	};
	enum { N = sizeof p / sizeof *p };
	char more[ROOM] = "\"retry_delay\": 1, \"destinations\": {";
	int64_t id;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		open_scripted(&p[i], 0);
		add_destination(more, names[i], p[i].port, i + 1 == N);
	}
	open_node(more);
	id = add_seg(1, names, N);
	run_to_end(id);
	for (size_t i = 0; i < N; i++) {
		bool is_new = i < 3 || i == 6;
		const struct kept *k = &p[i].kept[0];
		stop_scripted(&p[i]);
		delivery_is(id, names[i], DELIVERY_DELIVERED, i == 6 ? 2 : 1, "");
		assert_int_equal(p[i].n_kept, 1);
		if (object_of(id, names[i]).is_revised != is_new || holds(k, "NEW-1") != is_new || holds(k, "OLD-7") == is_new || holds(k, "ACC9") != is_new ||
		    holds(k, "19700202") != is_new || holds(k, "OLDCLINIC") == is_new)
			fail_msg("%s got the wrong patient", names[i]);
		assert_true(holds(k, "1.2.3.1.1.1") && holds(k, "20260101") && k->n > PIXELS);
	}
	assert_true(holds(&p[0].kept[0], "CANARY^NEW") && holds(&p[0].kept[0], "NEWCLINIC"));
	assert_true(holds(&p[1].kept[0], "ISO_IR 192") && holds(&p[1].kept[0], "\xe5\xb1\xb1\xe7\x94\xb0"));
	assert_true(holds(&p[2].kept[0], "ISO_IR 192") && holds(&p[2].kept[0], "M\xc3\xbcller^Eva"));
	for (size_t i = 0; i < N; i++)
		free_scripted(&p[i]);
	close_node();
}

/* It was sent for one patient, no answer came, the study was merged meanwhile, and the archive cannot say whether it has it: the same bytes go out again. */
static void
no_object_has_two_contents(void **state)
{
	static const char *const name[] = { "archive" };
	struct scripted_peer p = { .plan = "sg", .find = 'y', .study = NEW_STUDY("ISO_IR 192", "CANARY^NEW", "NEWCLINIC") };
	int64_t id;

	(void)state;
	open_archive(&p, "\"retry_delay\": 30, ");
	id = add_seg(1, name, 1);
	run_until_tried(id);
	stop_scripted(&p);
	p.study[5] = "NEWER-2";
	p.find = 'n';
	open_scripted(&p, p.port);
	reopen_node();
	clock_shift(3600000);
	run_to_end(id);
	stop_scripted(&p);
	clock_shift(0);
	delivery_is(id, "archive", DELIVERY_DELIVERED, 2, "");
	assert_int_equal(p.n_kept, 2);
	has_one_content(&p);
	assert_true(holds(&p.kept[1], "NEW-1"));
	free_scripted(&p);
	close_node();
}

/* Not taken for now under the new name; by the next attempt the archive has the old one again, and the object goes out as it is. */
static void
a_copy_does_not_outlive_its_reason(void **state)
{
	static const char *const name[] = { "archive" }, *const old[] = { "ISO_IR 100", "20260101", "", "STUDY", "CANARY^OLD", "OLD-7", NULL, "19700101", "M", "1.2.3.1" };
	struct scripted_peer p = { .plan = "fg", .find = 'y', .study = NEW_STUDY("ISO_IR 192", "CANARY^NEW", "NEWCLINIC") };
	int64_t id;

	(void)state;
	open_archive(&p, "\"retry_delay\": 30, ");
	id = add_seg(1, name, 1);
	run_until_tried(id);
	assert_true(object_of(id, "archive").is_revised);
	stop_scripted(&p);
	memcpy(p.study, old, sizeof old);
	open_scripted(&p, p.port);
	reopen_node();
	clock_shift(3600000);
	run_to_end(id);
	stop_scripted(&p);
	clock_shift(0);
	delivery_is(id, "archive", DELIVERY_DELIVERED, 2, "");
	assert_int_equal(p.n_kept, 1);
	assert_true(holds(&p.kept[0], "OLD-7") && !holds(&p.kept[0], "NEW-1") && !object_of(id, "archive").is_revised);
	free_scripted(&p);
	close_node();
}

/* ---- three days ---- */

/* Moves the clock to the next attempt of a delivery, and waits until that is over. The wait that it had. */
static int64_t
next_attempt(int64_t id, int64_t *ahead_ms)
{
	struct delivery was = delivery_to(id, "archive"), is;
	int64_t wait_ms = was.next_attempt_ms - clock_ms();

	*ahead_ms += wait_ms > 0 ? wait_ms : 0;
	clock_shift(*ahead_ms);
	bell_ring(&node.deliver);
	do {
		assert_true(bell_rest(&node.dispatch, 1));
		is = delivery_to(id, "archive");
	} while (is.attempts == was.attempts || is.state == DELIVERY_SENDING);
	return wait_ms;
}

static void
three_days_away(void **state)
{
	static const char *const name[] = { "archive" };
	static const int64_t waits_s[] = { 30, 60, 120, 240, 480, 600, 600, 600 };
	struct scripted_peer p = { .plan = "rfadshg", .find = 'y' };
	unsigned port = free_port();
	char more[ROOM] = "\"destinations\": {";
	int64_t ids[3], ahead_ms = 0, end_ms;
	struct deliver *d;

	(void)state;
	add_destination(more, "archive", port, true);
	open_node(more);
	for (int i = 0; i < 3; i++)
		ids[i] = add_seg(i + 1, name, 1);
	d = start();
	end_ms = delivery_to(ids[0], "archive").created_ms + settings->retry_give_up * 1000;
	while (delivery_to(ids[2], "archive").next_attempt_ms == 0)
		assert_true(bell_rest(&node.dispatch, 1));
	for (size_t i = 0; i < sizeof waits_s / sizeof *waits_s; i++) {
		int64_t wait_ms = next_attempt(ids[0], &ahead_ms);
		if (wait_ms > waits_s[i] * 1000 || wait_ms < waits_s[i] * 1000 - 5000)
			fail_msg("wait %zu was %lld ms", i, (long long)wait_ms);
	}
	ahead_ms = end_ms - clock_ms() + ahead_ms - 2 * 3600000;
	next_attempt(ids[0], &ahead_ms);           /* 70 h: away still */
	assert_int_equal(delivery_to(ids[2], "archive").state, DELIVERY_WAITING);
	open_scripted(&p, port);                   /* back, and in trouble for a while */
	for (int i = 0; i < 3; i++)
		while (delivery_to(ids[i], "archive").state == DELIVERY_WAITING)
			next_attempt(ids[i], &ahead_ms);
	for (int i = 0; i < 3; i++)
		wait_for_end(ids[i]);
	assert_true(deliver_stop(d));
	stop_scripted(&p);
	clock_shift(0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(delivery_to(ids[i], "archive").state, DELIVERY_DELIVERED);
	assert_int_equal(p.n_kept, 3);             /* once each */
	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(p.kept[i].sop_uid, p.kept[k].sop_uid);
	free_scripted(&p);
	close_node();
}

/* And no archive at all: given up after 72 h, not before. */
static void
given_up_after_three_days(void **state)
{
	static const char *const name[] = { "archive" };
	char more[ROOM] = "\"retry_delay\": 3000, \"retry_max\": 3000, \"destinations\": {"; /* steps of the clock under an hour: no leaps */
	int64_t id, ahead_ms = 0, begin_ms;
	struct deliver *d;

	(void)state;
	add_destination(more, "archive", free_port(), true);
	open_node(more);
	id = add_seg(1, name, 1);
	begin_ms = delivery_to(id, "archive").created_ms;
	d = start();
	while (delivery_to(id, "archive").next_attempt_ms == 0)
		assert_true(bell_rest(&node.dispatch, 1));
	while (delivery_to(id, "archive").state == DELIVERY_WAITING) {
		assert_true(clock_ms() - begin_ms < 259200000);
		next_attempt(id, &ahead_ms);
	}
	assert_true(clock_ms() - begin_ms >= 259200000);
	assert_true(deliver_stop(d));
	clock_shift(0);
	assert_int_equal(delivery_to(id, "archive").state, DELIVERY_GIVEN_UP);
	wait_for_end(id);
	close_node();
}

/* Set ahead by a year, then right again: neither the last attempt nor one that will never come. */
static void
a_clock_that_is_set_neither_ends_nor_holds_up(void **state)
{
	static const char *const name[] = { "archive" };
	struct scripted_peer p = { .plan = "g", .find = 'y' };
	unsigned port = free_port();
	char more[ROOM] = "\"destinations\": {";
	int64_t id, ahead_ms = INT64_C(31536000000);
	struct deliver *d;

	(void)state;
	add_destination(more, "archive", port, true);
	open_node(more);
	id = add_seg(1, name, 1);
	d = start();
	while (delivery_to(id, "archive").next_attempt_ms == 0)
		assert_true(bell_rest(&node.dispatch, 1));
	next_attempt(id, &ahead_ms);
	assert_int_equal(delivery_to(id, "archive").state, DELIVERY_WAITING);
	open_scripted(&p, port);
	clock_shift(0);
	bell_ring(&node.deliver);
	for (int i = 0; i < 2000 && delivery_to(id, "archive").state != DELIVERY_DELIVERED; i++)
		assert_true(bell_rest(&node.dispatch, 5));
	assert_true(deliver_stop(d));
	stop_scripted(&p);
	assert_int_equal(delivery_to(id, "archive").state, DELIVERY_DELIVERED);
	wait_for_end(id);
	free_scripted(&p);
	close_node();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_answer_has_its_meaning), cmocka_unit_test(the_mark_is_there_before_the_answer), cmocka_unit_test(doubt_survives_a_kill), cmocka_unit_test(patient_follows_the_archive),
		cmocka_unit_test(no_object_has_two_contents), cmocka_unit_test(a_copy_does_not_outlive_its_reason), cmocka_unit_test(three_days_away), cmocka_unit_test(given_up_after_three_days),
		cmocka_unit_test(a_clock_that_is_set_neither_ends_nor_holds_up),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(180);
	return cmocka_run_group_tests(tests, deliver_set_up, deliver_tear_down);
}
