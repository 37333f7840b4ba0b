/* Delivery over HTTP to services that answer as planned: backoff, Retry-After, giving up, refusals, broken answers, destinations that are no more.
 * The services are threads of this program, one request a connection; the node waits by its own clock, in seconds as the settings have them. */
#include "tests/unit/deliver_stage.h"
#include "tests/unit/made_seg.h"

#include "service/flow/control.h"
#include "service/flow/deliver_stow.h"
#include "service/flow/deliver_words.h"
#include "service/flow/record.h"

#include <arpa/inet.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <strings.h>
#include <sys/socket.h>

/* ---- a service: the i-th request gets the i-th letter's answer, the last one again and again ---- */

enum { MOST = 16 };
struct service {
	const char *plan;
	int listener;
	unsigned port;
	pthread_t thread;
	size_t n;                        /* requests so far */
	int64_t at_ms[MOST];             /* when */
	char head[4096];                 /* of the last request */
	const char *study, *instances;   /* what QIDO-RS answers; NULL: 404 */
	char got[200000];                /* of the last POST's body */
	size_t n_got;
};

static void
answer(int fd, char what)
{
	static const struct { char what; const char *text; } answers[] = {
		{ 'g', "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" },
		{ 'u', "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" },
		{ 'l', "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" },
		{ 'y', "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 99999999\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" },
		{ 'a', "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" },
		{ 'm', "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" },
		{ 'f', "HTTP/1.1 409 Conflict\r\nContent-Length: 65\r\nConnection: close\r\n\r\n{\"00081198\":{\"Value\":[{\"00081197\":{\"vr\":\"US\",\"Value\":[43264]}}]}}" },
		{ 'o', "HTTP/1.1 202 Accepted\r\nContent-Length: 65\r\nConnection: close\r\n\r\n{\"00081198\":{\"Value\":[{\"00081197\":{\"vr\":\"US\",\"Value\":[42752]}}]}}" },
		{ 'w', "HTTP/1.1 200 OK\r\nContent-Length: 65\r\nConnection: close\r\n\r\n{\"00081198\":{\"Value\":[{\"00081197\":{\"vr\":\"US\",\"Value\":[1e300]}}]}}" },
		{ 'j', "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nnot JSON!" },
		{ 'x', "HTTP/1.1 200 OK\r\nContent-Length: 67\r\nConnection: close\r\n\r\n{\"00081199\":{\"Value\":[{\"00081155\":{\"Value\":[\"1.2.3.4.5.6.7.8\"]}}]}}" },
		{ 'd', "HTTP/1.1 409 Conflict\r\nContent-Length: 63\r\nConnection: close\r\n\r\n{\"00081198\":{\"Value\":[{\"00081197\":{\"vr\":\"US\",\"Value\":[273]}}]}}" },
		{ 'p', "HTTP/1.1 200 OK\r\nContent-Length: 30\r\nConnection: close\r\n\r\n\n<!DOCTYPE html><p>Who are you" },
		{ 'i', "HTTP/1.1 200 OK\r\nContent-Length: 84\r\nConnection: close\r\n\r\n<NativeDicomModel><DicomAttribute tag=\"00081198\"/><a tag=\"00081199\"/></NativeDicomM>" },
		{ 'k', "HTTP/1.1 200 OK\r\nContent-Length: 59\r\nConnection: close\r\n\r\n<NativeDicomModel><a tag=\"00081199\"></a></NativeDicomModel>" },
		{ 'q', "HTTP/1.1 400 Bad Request\r\nContent-Length: 52\r\nConnection: close\r\n\r\n{\"status\": 400, \"detail\": \"this study\\nis locked\"}    " },
		{ 'n', "" },                 /* closes without a word */
	};

	if (what == 'b') {                   /* a body without end */
		char block[4096];
		const char *head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
		memset(block, 'x', sizeof block);
		if (send(fd, head, strlen(head), MSG_NOSIGNAL) > 0)
			while (send(fd, block, sizeof block, MSG_NOSIGNAL) > 0)
				;
	}
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
		if (answers[i].what == what)
			(void)!send(fd, answers[i].text, strlen(answers[i].text), MSG_NOSIGNAL);
}

/* The first page; the next is empty. */
static void
answer_question(const struct service *s, int fd)
{
	const char *what = strstr(s->head, "/instances?") != NULL ? s->instances : s->study;
	char text[2000];

	if (what == NULL)
		snprintf(text, sizeof text, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	else
		snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\nConnection: close\r\n\r\n%s", strstr(s->head, "&offset=0") != NULL ? what : "[]");
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void
serve_one(struct service *s, int fd)
{
	size_t n = 0, body = 0, plan = strlen(s->plan);
	char *end = NULL, *length;
	ssize_t k;

	while (end == NULL && n < sizeof s->head - 1 && (k = recv(fd, s->head + n, sizeof s->head - 1 - n, 0)) > 0) {
		n += (size_t)k;
		s->head[n] = '\0';
		end = strstr(s->head, "\r\n\r\n");
	}
	if (end == NULL)
		return;
	if (strncmp(s->head, "GET ", 4) == 0) {  /* a question: not counted */
		answer_question(s, fd);
		return;
	}
	length = strcasestr(s->head, "\r\nContent-Length: ");
	body = length == NULL ? 0 : strtoul(length + 18, NULL, 10);
	s->n_got = n - (size_t)(end + 4 - s->head);
	memcpy(s->got, end + 4, s->n_got);
	for (size_t have = n - (size_t)(end + 4 - s->head); have < body;) {
		char rest[4096];
		if ((k = recv(fd, rest, sizeof rest, 0)) <= 0)
			return;
		have += (size_t)k;
		memcpy(s->got + s->n_got, rest, s->n_got + (size_t)k > sizeof s->got ? 0 : (size_t)k);
		s->n_got += s->n_got + (size_t)k > sizeof s->got ? 0 : (size_t)k;
	}
	if (s->n < MOST)
		s->at_ms[s->n++] = clock_monotonic_ms();
	answer(fd, s->plan[s->n <= plan ? s->n - 1 : plan - 1]);
}

static void *
serve(void *arg)
{
	struct service *s = arg;
	int fd;

	while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
		serve_one(s, fd);
		shutdown(fd, SHUT_WR);
		close(fd);
	}
	return NULL;
}

static void
open_asked(struct service *s, const char *plan, const char *study, const char *instances)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof at;

	memset(s, 0, sizeof *s);
	s->plan = plan;
	s->study = study;
	s->instances = instances;
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(s->listener, 8), 0);
	assert_int_equal(getsockname(s->listener, (struct sockaddr *)&at, &n), 0);
	s->port = ntohs(at.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void
open_service(struct service *s, const char *plan)
{
	open_asked(s, plan, NULL, NULL);
}

static void
close_service(struct service *s)
{
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
}

static int64_t
add_job_with(const char *const *destinations, size_t n, const char *results)
{
	return add_computed("1.2.3", destinations, n, results, "a SEG", 5);
}

static int64_t
add_job(const char *const *destinations, size_t n)
{
	return add_job_with(destinations, n, "[{\"kind\":\"seg\"}]");
}

/* ---- tests ---- */

enum { N_PLANS = 15 };
static const struct { const char *name, *plan; enum delivery_state state; int64_t attempts; const char *words; } plans[N_PLANS] = {
	{ "stored", "g", DELIVERY_DELIVERED, 1, "" },
	{ "notjson", "j", DELIVERY_DELIVERED, 1, "" },            /* the status says it */
	{ "busy", "u", DELIVERY_GIVEN_UP, 4, "503" },             /* at 0, 1, 3, 5 s: then 4 s are over, or sooner on a slow machine */
	{ "later", "lg", DELIVERY_DELIVERED, 2, "" },             /* Retry-After: 3 */
	{ "never", "yg", DELIVERY_DELIVERED, 2, "" },             /* a Retry-After beyond giving up is not obeyed */
	{ "token", "a", DELIVERY_REFUSED, 1, "token" },
	{ "moved", "m", DELIVERY_REFUSED, 1, "302" },             /* no redirect is followed */
	{ "failed", "f", DELIVERY_REFUSED, 1, "0xA900" },
	{ "full", "og", DELIVERY_DELIVERED, 2, "" },              /* 202 with A700: passing */
	{ "strange", "wg", DELIVERY_DELIVERED, 2, "" },           /* 200 with a failed instance and a reason that is no number of 16 bits */
	{ "endless", "bng", DELIVERY_DELIVERED, 3, "" },
	{ "portal", "pg", DELIVERY_DELIVERED, 2, "" },            /* 200 with the page of a login */
	{ "portals", "p", DELIVERY_GIVEN_UP, 4, "reached without a login" },
	{ "XML", "ig", DELIVERY_DELIVERED, 2, "" },               /* 200 with a Failed SOP Sequence in XML */
	{ "stored-XML", "k", DELIVERY_DELIVERED, 1, "" },
};
static struct service services[N_PLANS];

static void
each_answer_has_its_end(void **state)
{
	const char *names[N_PLANS];
	char more[4000] = "\"retry_delay\": 1, \"retry_max\": 2, \"retry_give_up\": 4, \"destinations\": {";
	struct deliver *d;
	struct job j;
	struct err e = { 0 };
	int64_t id;

	(void)state;
	for (size_t i = 0; i < N_PLANS; i++) {
		size_t n = strlen(more);
		open_service(&services[i], plans[i].plan);
		snprintf(more + n, sizeof more - n, "%s\"%s\": {\"type\": \"stow\", \"url\": \"http://127.0.0.1:%u/web\"}%s", i == 0 ? "" : ",", plans[i].name, services[i].port,
		    i + 1 == N_PLANS ? "}," : "");
		names[i] = plans[i].name;
	}
	open_node(more);
	id = add_job(names, N_PLANS);
	d = deliver_start(&node, &e);
	assert_non_null(d);
	wait_for_end(id);
	assert_true(deliver_stop(d));
	for (size_t i = 0; i < N_PLANS; i++) {
		close_service(&services[i]);
		int64_t had = delivery_to(id, plans[i].name).attempts, attempts = plans[i].state == DELIVERY_GIVEN_UP && had > 1 && had < plans[i].attempts ? had : plans[i].attempts;
		delivery_is(id, plans[i].name, plans[i].state, attempts, plans[i].words);
		assert_int_equal(services[i].n, (size_t)attempts);
		if (strncmp(services[i].head, "POST /web/studies ", 18) != 0)
			fail_msg("%s: %.60s", plans[i].name, services[i].head);
		assert_non_null(strcasestr(services[i].head, "\r\nContent-Type: multipart/related; type=\"application/dicom\"; boundary="));
	}
	assert_int_equal(audited("stored", AUDIT_TRANSFERRED, AUDIT_GOOD, ""), 1);
	assert_int_equal(audited("later", AUDIT_TRANSFERRED, AUDIT_GOOD, ""), 1);
	assert_int_equal(audited("busy", AUDIT_TRANSFERRED, AUDIT_GOOD, ""), 0);
	assert_int_equal(audited("busy", AUDIT_TRANSFERRED, AUDIT_SERIOUS, "given up"), 1);
	assert_int_equal(audited("failed", AUDIT_TRANSFERRED, AUDIT_SERIOUS, "refused"), 1);
	/* doubled: 1 s, 2 s, then the longest again; never early (test_deliver_peers has how late) */
	for (size_t i = 1; i < services[2].n; i++)
		assert_true(services[2].at_ms[i] - services[2].at_ms[i - 1] >= (i == 1 ? 980 : 1980));
	assert_true(services[3].at_ms[1] - services[3].at_ms[0] >= 2980);
	assert_true(services[4].at_ms[1] - services[4].at_ms[0] < 60000);
	assert_int_equal(jobs_get(node.db, id, &j, &e), 0);
	assert_int_equal(j.state, JOB_FAILED);
	assert_non_null(strstr(j.timings, "\"deliver\""));
	assert_non_null(strstr(j.timings, "\"read\":1"));
	job_release(&j);
	close_node();
}

/* One that the settings name no more must not keep its job delivering for ever. */
static void
a_destination_that_is_no_more(void **state)
{
	static const char *const names[] = { "stored", "old" };
	struct deliver *d;
	struct err e = { 0 };
	char more[300];
	int64_t id;

	(void)state;
	open_service(&services[0], "g");
	snprintf(more, sizeof more, "\"destinations\": {\"stored\": {\"type\": \"stow\", \"url\": \"http://127.0.0.1:%u/web\"}},", services[0].port);
	open_node(more);
	id = add_job(names, 2);
	d = deliver_start(&node, &e);
	assert_non_null(d);
	wait_for_end(id);
	delivery_is(id, "stored", DELIVERY_DELIVERED, 1, "");
	delivery_is(id, "old", DELIVERY_REFUSED, 1, "not in the settings any more");
	assert_true(deliver_stop(d));
	close_service(&services[0]);
	close_node();
}

static void
a_result_that_is_lost_is_refused(void **state)
{
	static const char *const names[] = { "stored", "peer" };
	struct deliver *d;
	struct err e = { 0 };
	char more[400], path[SPOOL_PATH];
	int64_t id;

	(void)state;
	open_service(&services[0], "g");
	snprintf(more, sizeof more, "\"destinations\": {\"stored\": {\"type\": \"stow\", \"url\": \"http://127.0.0.1:%u/web\"},"
	         "\"peer\": {\"type\": \"dimse\", \"aet\": \"A\", \"host\": \"127.0.0.1\", \"port\": %u}},", services[0].port, services[0].port);
	open_node(more);
	id = add_job(names, 2);
	spool_result(&node, id, "seg.dcm", path);
	unlink(path);
	d = deliver_start(&node, &e);
	assert_non_null(d);
	wait_for_end(id);
	delivery_is(id, "stored", DELIVERY_REFUSED, 1, "seg.dcm of job 1 is lost on the node's disk");
	delivery_is(id, "peer", DELIVERY_REFUSED, 1, "nothing was sent");
	assert_true(deliver_stop(d));
	close_service(&services[0]);
	close_node();
}

/* Altered since it was computed: nobody gets it, nobody is shown it, and a retry makes it anew. */
static void
a_result_that_was_altered_is_not_sent(void **state)
{
	static const struct job_outcome outcome = { .finding = "present", .flags = "{}", .segments = "[]", .results = "[{\"kind\":\"seg\"}]", .timings = "{}" };
	static const char *const names[] = { "stored" };
	struct deliver *d;
	struct job j;
	struct err e = { 0 };
	char more[300], path[SPOOL_PATH];
	int64_t id, goes_on = 0;

	(void)state;
	open_service(&services[0], "g");
	snprintf(more, sizeof more, "\"destinations\": {\"stored\": {\"type\": \"stow\", \"url\": \"http://127.0.0.1:%u/web\"}},", services[0].port);
	open_node(more);
	id = add_job(names, 1);
	assert_int_equal(jobs_get(node.db, id, &j, &e), 0);
	assert_int_equal(record_write(&node, &j, &outcome, names, 1, &e), 0);
	assert_int_equal(record_check(&node, &j, RESULT_SET(RESULT_SEG), &e), 0);
	spool_result(&node, id, "seg.dcm", path);
	assert_int_equal(file_write(path, "another", 7, &e), 0);
	d = deliver_start(&node, &e);
	assert_non_null(d);
	wait_for_end(id);
	delivery_is(id, "stored", DELIVERY_REFUSED, 1, "seg.dcm of job 1 was altered on the node's disk");
	assert_true(deliver_stop(d));
	assert_int_equal(record_check(&node, &j, 0, &e), 0);
	job_release(&j);
	assert_int_equal(control_retry(&node, id, &goes_on, &e), 0);
	assert_int_equal(goes_on, id + 1);
	assert_int_equal(jobs_get(node.db, goes_on, &j, &e), 0);
	assert_true(j.state == JOB_QUEUED && j.run == 2 && j.replaces == id);
	job_release(&j);
	close_service(&services[0]);
	close_node();
}

/* Several objects: each is judged alone, delivered is only when all are, and what a destination has taken is not sent to it again. */
static void
every_object_counts(void **state)
{
	static const char *const names[] = { "all", "busy", "picky", "other" }, *const files[] = { "report.dcm", "preview-00001.dcm", "preview-00002.dcm" };
	static const char *const plans_of[] = { "g", "gug", "gfg", "g" };
	static const char results[] = "[{\"kind\":\"seg\"},{\"kind\":\"report\"},{\"kind\":\"preview\",\"instances\":2}]";
	struct service s[4];
	struct deliver *d;
	struct err e = { 0 };
	char more[1500] = "\"retry_delay\": 1, \"destinations\": {", path[SPOOL_PATH];
	int64_t id;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		size_t n = strlen(more);
		open_service(&s[i], plans_of[i]);
		snprintf(more + n, sizeof more - n, "\"%s\": {\"type\": \"stow\", \"url\": \"http://127.0.0.1:%u/web\", \"results\": [%s]}%s", names[i], s[i].port,
		    i == 3 ? "\"rtstruct\"" : "\"seg\", \"report\", \"preview\"", i == 3 ? "}," : ",");
	}
	open_node(more);
	id = add_job_with(names, 4, results);
	for (size_t i = 0; i < 3; i++) {
		spool_result(&node, id, files[i], path);
		assert_int_equal(file_write(path, files[i], strlen(files[i]), &e), 0);
	}
	d = deliver_start(&node, &e);
	assert_non_null(d);
	wait_for_end(id);
	assert_true(deliver_stop(d));
	for (size_t i = 0; i < 4; i++)
		close_service(&s[i]);
	delivery_is(id, "all", DELIVERY_DELIVERED, 1, "");
	assert_int_equal(s[0].n, 4);
	delivery_is(id, "busy", DELIVERY_DELIVERED, 2, "");
	assert_int_equal(s[1].n, 5);               /* SEG, report (503), report, two pictures */
	delivery_is(id, "picky", DELIVERY_REFUSED, 1, "report.dcm: ");
	assert_int_equal(s[2].n, 4);               /* what is refused keeps nothing else back */
	delivery_is(id, "other", DELIVERY_REFUSED, 1, "\"results\" in the settings");
	assert_int_equal(s[3].n, 0);
	assert_int_equal(audited("busy", AUDIT_TRANSFERRED, AUDIT_GOOD, ""), 2);  /* what each attempt brought */
	assert_int_equal(audited("picky", AUDIT_TRANSFERRED, AUDIT_MINOR, "refused other"), 1);

	/* a retry begins with what was refused */
	open_service(&s[2], "g");
	snprintf(settings->destinations[2].url, sizeof settings->destinations[2].url, "http://127.0.0.1:%u/web", s[2].port);
	assert_int_equal(deliveries_retry(node.db, id, &e), 0);
	node_close(&node);
	assert_int_equal(node_open(&node, settings, &e), 0);
	d = deliver_start(&node, &e);
	assert_non_null(d);
	wait_for_end(id);
	assert_true(deliver_stop(d));
	close_service(&s[2]);
	delivery_is(id, "picky", DELIVERY_DELIVERED, 2, "");
	assert_int_equal(audited("picky", AUDIT_TRANSFERRED, AUDIT_GOOD, ""), 1);
	assert_int_equal(audited("picky", AUDIT_BEGIN_TRANSFER, AUDIT_GOOD, ""), 2); /* it began anew with the retry */
	assert_int_equal(s[2].n, 1);               /* and leaves out what is there */
	close_node();
}

/* QIDO-RS: whose study it is, and after doubt whether the object is there. */
static void
a_service_is_asked(void **state)
{
	static const char *const names[] = { "merged", "found", "absent", "unasked" }, *const plans_of[] = { "g", "n", "ng", "ng" };
	static const char study[] = "[{\"0020000D\":{\"vr\":\"UI\",\"Value\":[\"1.2.3\"]},\"00100020\":{\"vr\":\"LO\",\"Value\":[\"NEW-1\"]},\"00100010\":{\"vr\":\"PN\",\"Value\":["
	    "{\"Alphabetic\":\"CANARY^NEW\",\"Ideographic\":\"\xe5\xb1\xb1\xe7\x94\xb0\"}]}}]", there[] = "[{\"00080018\":{\"vr\":\"UI\",\"Value\":[\"1.2.3.1.1\"]}}]";
	static struct service s[4];
	struct bytes seg = make_seg("1.2.3", "1.2.3.1", "1.2.3.1.1");
	char more[1500] = "\"retry_delay\": 1, \"destinations\": {";
	struct err e = { 0 };
	struct deliver *d;
	int64_t id;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		size_t n = strlen(more);
		open_asked(&s[i], plans_of[i], i == 0 ? study : i < 3 ? "[]" : NULL, i == 1 ? there : i == 2 ? "[]" : NULL);
		snprintf(more + n, sizeof more - n, "\"%s\": {\"type\": \"stow\", \"url\": \"http://127.0.0.1:%u/web\"}%s", names[i], s[i].port, i == 3 ? "}," : ",");
	}
	open_node(more);
	id = add_computed("1.2.3", names, 4, "[{\"kind\":\"seg\"}]", seg.at, seg.n);
	d = deliver_start(&node, &e);
	assert_non_null(d);
	wait_for_end(id);
	assert_true(deliver_stop(d));
	for (size_t i = 0; i < 4; i++) {
		static const size_t posts[] = { 1, 1, 2, 2 };
		static const enum object_asked asked[] = { ASKED_NEVER, ASKED_FOUND, ASKED_ABSENT, ASKED_IN_VAIN };
		struct delivery_object *objects;
		size_t n;
		close_service(&s[i]);
		delivery_is(id, names[i], DELIVERY_DELIVERED, i == 0 ? 1 : 2, "");
		assert_int_equal(s[i].n, posts[i]);
		assert_int_equal(deliveries_objects(node.db, delivery_to(id, names[i]).id, &objects, &n, &e), 0);
		assert_true(n == 1 && objects[0].asked == asked[i] && objects[0].is_revised == (i == 0));
		free(objects);
		assert_int_equal(audited(names[i], AUDIT_QUERY, AUDIT_GOOD, ""), i < 3 ? 1 : 0);
		assert_int_equal(audited(names[i], AUDIT_BEGIN_TRANSFER, AUDIT_GOOD, "[{\"sop_class\":\"1.2.840.10008.5.1.4.1.1.66.4\",\"instances\":1}]"), 1); /* of all tries */
		assert_int_equal(audited(names[i], AUDIT_TRANSFERRED, AUDIT_GOOD, "[{\"sop_class\":\"1.2.840.10008.5.1.4.1.1.66.4\",\"instances\":1}]"), 1);
	}
	assert_non_null(memmem(s[0].got, s[0].n_got, "CANARY^NEW=\xe5\xb1\xb1\xe7\x94\xb0", 17));
	assert_null(memmem(s[0].got, s[0].n_got, "OLD-7", 5));
	assert_non_null(memmem(s[2].got, s[2].n_got, "OLD-7", 5));
	free(seg.at);
	close_node();
}

/* A service that takes the connection and says nothing: stopping does not wait for it, and the delivery is taken up again. */
static void
stop_does_not_wait_for_a_silent_service(void **state)
{
	static const char *const names[] = { "silent" };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof at;
	struct deliver *d;
	struct err e = { 0 };
	char more[300];
	int fd, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t id;

	(void)state;
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &n), 0);
	snprintf(more, sizeof more, "\"destinations\": {\"silent\": {\"type\": \"stow\", \"url\": \"http://127.0.0.1:%u/web\"}},", ntohs(at.sin_port));
	open_node(more);
	id = add_job(names, 1);
	d = deliver_start(&node, &e);
	assert_non_null(d);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	assert_true(deliver_stop(d));
	close(fd);
	close(listener);
	node_close(&node);
	assert_int_equal(node_open(&node, settings, &e), 0);
	delivery_is(id, "silent", DELIVERY_WAITING, 1, "");
	close_node();
}

/* What the service says of another instance, or that it has one already, is no answer: it is asked what is there. */
static void
an_answer_about_another_instance(void **state)
{
	static const struct { const char *name, *plan, *instances; int64_t attempts; size_t n; } rows[] = {
		{ "other", "xg", "[]", 2, 2 }, { "doubled", "d", "[{\"00080018\": {\"vr\": \"UI\", \"Value\": [\"1.2.3.1.1\"]}}]", 2, 1 },
	};
	enum { ROWS = sizeof rows / sizeof *rows };
	char more[1000] = "\"retry_delay\": 1, \"destinations\": {";
	const char *names[ROWS];
	struct bytes seg = make_seg("1.2.3", "1.2.3.1", "1.2.3.1.1");
	struct deliver *d;
	struct err e = { 0 };
	int64_t id;

	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		size_t n = strlen(more);
		open_asked(&services[i], rows[i].plan, "[]", rows[i].instances);
		snprintf(more + n, sizeof more - n, "\"%s\": {\"type\": \"stow\", \"url\": \"http://127.0.0.1:%u/web\"}%s", rows[i].name, services[i].port, i + 1 == ROWS ? "}," : ",");
		names[i] = rows[i].name;
	}
	open_node(more);
	id = add_computed("1.2.3", names, ROWS, "[{\"kind\":\"seg\"}]", seg.at, seg.n);
	d = deliver_start(&node, &e);
	assert_non_null(d);
	wait_for_end(id);
	assert_true(deliver_stop(d));
	for (size_t i = 0; i < ROWS; i++) {
		close_service(&services[i]);
		delivery_is(id, rows[i].name, DELIVERY_DELIVERED, rows[i].attempts, "");
		assert_int_equal(services[i].n, rows[i].n);
	}
	free(seg.at);
	close_node();
}

static void
what_a_service_says(void **state)
{
	static const struct { const char *body, *words; } rows[] = {
		{ "", "" }, { "not JSON!", "not JSON!" }, { "<html>no</html>", "" }, { "{\"detail\": \"locked\", \"title\": \"x\"}", "locked" }, { "{\"title\": \"Conflict\"}", "Conflict" },
		{ "{\"Message\": \"Bad request\", \"Details\": \"\"}", "Bad request" }, { "{\"00081198\": {}}", "" }, { "[1]", "" }, { "{\"detail\": 5}", "" }, { "{\"detail\": \"cut", "" },
		{ "a\x1b[31m\r\n\tb\xff\xc3\xa9", "a [31m b \xc3\xa9" }, { "of patient canary", "its words name the patient and are not repeated here" },
		{ "{\"detail\": \"ID OLD-7 is merged\"}", "its words name the patient and are not repeated here" },
	};
	struct bytes seg = make_seg("1.2.3", "1.2.3.1", "1.2.3.1.1");
	struct destination_setting d = { .timeout = 10 };
	struct service s = { 0 };
	struct stow_result r;
	atomic_bool stop = false;
	char path[PATH_MAX], words[DELIVER_WORDS], big[2000];
	struct err e;

	(void)state;
	snprintf(path, sizeof path, "%s/said.dcm", folder);
	assert_int_equal(file_write(path, seg.at, seg.n, &e), 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		deliver_words(rows[i].body, strlen(rows[i].body), path, words);
		assert_string_equal(words, rows[i].words);
	}
	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	deliver_words(big, sizeof big - 1, path, words);
	assert_string_equal(words, "");
	deliver_words("locked", 6, "/nowhere", words);                  /* whose it is cannot be found out */
	assert_string_equal(words, "its words name the patient and are not repeated here");
	open_service(&s, "q");
	snprintf(d.url, sizeof d.url, "http://127.0.0.1:%u/web", s.port);
	stow_store(&d, path, &stop, &r);
	close_service(&s);
	assert_int_equal(r.outcome, STOW_REFUSED);
	assert_string_equal(r.text, "answered HTTP 400: this study is locked");
	free(seg.at);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_answer_has_its_end), cmocka_unit_test(a_destination_that_is_no_more), cmocka_unit_test(a_result_that_is_lost_is_refused),
		cmocka_unit_test(a_result_that_was_altered_is_not_sent),
		cmocka_unit_test(every_object_counts), cmocka_unit_test(a_service_is_asked), cmocka_unit_test(an_answer_about_another_instance), cmocka_unit_test(what_a_service_says), cmocka_unit_test(stop_does_not_wait_for_a_silent_service),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(120);
	return cmocka_run_group_tests(tests, deliver_set_up, deliver_tear_down);
}
