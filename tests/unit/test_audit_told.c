/* The audit trail as messages: valid by a schema whatever the texts hold, one line each to a syslog that is there, away, full, or started again. */
#include "tests/unit/flow_test.h"

#include "service/flow/audit.h"
#include "service/flow/audit_syslog.h"
#include "service/flow/audit_xml.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

static const struct audit_source us = { "0123456789abcdef0123456789abcdef", "SEGAN" };

/* ---- XML ---- */

static void
xmllint(const char *path)
{
	const char *argv[] = { "xmllint", "--noout", "--nonet", "--relaxng", "tests/data/audit.rng", path, NULL };
	posix_spawn_file_actions_t quiet;
	char said[300];
	int status;
	pid_t pid;

	snprintf(said, sizeof said, "%s/xmllint.log", folder);
	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, said, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(posix_spawnp(&pid, argv[0], &quiet, NULL, (char *const *)(uintptr_t)argv, environ), 0);
	posix_spawn_file_actions_destroy(&quiet);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0) {
		struct err e;
		size_t n;
		char *why = file_read(said, 1 << 16, &n, &e);
		fail_msg("%s", why != NULL ? why : e.text);
	}
}

static size_t
times(const char *text, const char *word)
{
	size_t n = 0;

	for (const char *p = strstr(text, word); p != NULL; p = strstr(p + 1, word))
		n++;
	return n;
}

static char *
valid(const struct audit_row *r)
{
	char path[300];
	struct err e = { 0 };
	char *xml = audit_xml(r, &us, &e);

	if (xml == NULL)
		fail_msg("%s", e.text);
	snprintf(path, sizeof path, "%s/message.xml", folder);
	assert_int_equal(file_write(path, xml, strlen(xml), &e), 0);
	xmllint(path);
	assert_null(strchr(xml, '\n'));
	assert_true(times(xml, "UserIsRequestor=\"true\"") <= 1);
	return xml;
}

static struct audit_row
row(int event, int type)
{
	static char objects[] = "[{\"sop_class\":\"1.2.840.10008.5.1.4.1.1.4\",\"instances\":26},{\"sop_class\":\"1.2.840.10008.5.1.4.1.1.66.4\",\"instances\":1},"
		"{\"sop_class\":\"\",\"instances\":1}]";

	return (struct audit_row){ .id = 1, .time_ms = INT64_C(1769860800123), .event = event, .type = type, .action = "E", .aet = "MR1", .address = "10.0.0.7", .token = "nurse",
		.role = "operator", .study_uid = "1.2.3", .job = 42, .objects = objects, .text = "why" };
}

static void
every_event_is_valid(void **state)
{
	static const int events[] = { AUDIT_APPLICATION, AUDIT_LOG_USED, AUDIT_BEGIN_TRANSFER, AUDIT_ACCESSED, AUDIT_TRANSFERRED, AUDIT_STUDY_DELETED, AUDIT_QUERY, AUDIT_SECURITY_ALERT,
		AUDIT_USER, AUDIT_EXPORT, AUDIT_IMPORT, AUDIT_JOB };

	(void)state;
	for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
		struct audit_row r = row(events[i], 0);
		free(valid(&r));
		snprintf(r.destination, sizeof r.destination, "pacs");
		free(valid(&r));
		r = (struct audit_row){ .event = events[i], .action = "R", .objects = r.objects }; /* nothing is known but that it was */
		free(valid(&r));
		assert_string_not_equal(audit_event_name(events[i]), "unknown");
	}
	for (int type = 0; type < 120000; type++)
		if (audit_type_name(type) != NULL) {
			struct audit_row r = row(AUDIT_USER, type);
			free(valid(&r));
		}
}

static void
who_gave_and_who_took(void **state)
{
	struct audit_row r = row(AUDIT_TRANSFERRED, 0);
	char *xml;

	(void)state;
	r.token[0] = r.role[0] = '\0';
	xml = valid(&r);
	assert_non_null(strstr(xml, "<EventIdentification EventActionCode=\"E\" EventDateTime=\"2026-01-31T12:00:00.123Z\" EventOutcomeIndicator=\"0\">"
		"<EventID csd-code=\"110104\" codeSystemName=\"DCM\" originalText=\"DICOM Instances Transferred\"/>"));
	assert_non_null(strstr(xml, "<ActiveParticipant UserID=\"MR1\" AlternativeUserID=\"AETITLES=MR1\" UserIsRequestor=\"true\" NetworkAccessPointID=\"10.0.0.7\" "
		"NetworkAccessPointTypeCode=\"2\"><RoleIDCode csd-code=\"110153\" codeSystemName=\"DCM\" originalText=\"Source Role ID\"/>"));
	assert_non_null(strstr(xml, "AlternativeUserID=\"AETITLES=SEGAN\" UserName=\"segand\" UserIsRequestor=\"false\"><RoleIDCode csd-code=\"110152\""));
	assert_non_null(strstr(xml, "<SOPClass UID=\"1.2.840.10008.5.1.4.1.1.4\" NumberOfInstances=\"26\"/>"));
	free(xml);
	snprintf(r.destination, sizeof r.destination, "pacs");
	snprintf(r.address, sizeof r.address, "archive.example");
	xml = valid(&r);
	assert_non_null(strstr(xml, "UserName=\"segand\" UserIsRequestor=\"true\"><RoleIDCode csd-code=\"110153\""));
	assert_non_null(strstr(xml, "UserName=\"pacs\" UserIsRequestor=\"false\" NetworkAccessPointID=\"archive.example\" NetworkAccessPointTypeCode=\"1\"><RoleIDCode csd-code=\"110152\""));
	free(xml);
	r = row(AUDIT_QUERY, 0);
	xml = valid(&r);
	/* 0008,0052 "STUDY ", 0020,000D "1.2.3\0" in Explicit VR Little Endian */
	assert_non_null(strstr(xml, "<ParticipantObjectQuery>CABSAENTBgBTVFVEWSAgAA0AVUkGADEuMi4zAA==</ParticipantObjectQuery>"
		"<ParticipantObjectDetail type=\"TransferSyntax\" value=\"MS4yLjg0MC4xMDAwOC4xLjIuMQ==\"/>"));
	free(xml);
	memset(r.study_uid, '1', 64);
	free(valid(&r));
}

static void
texts_are_only_texts(void **state)
{
	static const char *const texts[] = { "<script>alert(\"1\")</script>", "]]><!--&x;'", "a\nb\tc\x01\x7f", "\xff\xfe", "\xed\xa0\x80", "\xef\xbf\xbf", "M\xc3\xbcller", "%n%s", "\"/><x a=\"" };

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct audit_row r = row(AUDIT_SECURITY_ALERT, AUDIT_NODE);
		char *xml;
		snprintf(r.aet, sizeof r.aet, "%.16s", texts[i]);
		snprintf(r.token, sizeof r.token, "%s", texts[i]);
		snprintf(r.text, sizeof r.text, "%s", texts[i]);
		snprintf(r.address, sizeof r.address, "%s", i == 2 ? "10.0.0.7" : texts[i]); /* a token has no blanks around and no line in it */
		snprintf(r.destination, sizeof r.destination, "%s", texts[i]);
		xml = valid(&r);
		assert_null(strstr(xml, "<script"));
		free(xml);
	}
}

static void
a_row_of_another_program_is_an_error(void **state)
{
	struct audit_row r = row(4711, 0);
	struct err e;

	(void)state;
	assert_null(audit_xml(&r, &us, &e));
	assert_int_equal(e.code, ERR_BUG);
	r = row(AUDIT_TRANSFERRED, 0);
	r.objects = (char *)(uintptr_t)"[{";
	assert_null(audit_xml(&r, &us, &e));
}

/* ---- the syslog ---- */

static char socket_path[300];

static int
listen_here(void)
{
	struct sockaddr_un here = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = 30 };
	int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	unlink(socket_path);
	snprintf(here.sun_path, sizeof here.sun_path, "%.100s", socket_path);
	assert_int_equal(bind(s, (struct sockaddr *)&here, sizeof here), 0);
	assert_int_equal(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	return s;
}

/* The next message; "" when there is none now (flags MSG_DONTWAIT) */
static const char *
heard(int s, int flags)
{
	static char text[65536];
	ssize_t n = recv(s, text, sizeof text - 1, flags);

	if (n < 0 && !(flags & MSG_DONTWAIT))
		fail_msg("nothing came: %s", strerror(errno));
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
a_message_is_one_datagram(void **state)
{
	struct audit_syslog to = { -1 };
	struct audit_row r = row(AUDIT_USER, AUDIT_LOGIN);
	enum { LARGE = 8 << 20 };
	int s = listen_here(), year, pid;
	char host[300], rest[64], *large = calloc(1, LARGE + 1);
	const char *text;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(audit_syslog_send(&to, socket_path, &r, "<?xml?>", &e), 0);
	text = heard(s, 0);
	assert_int_equal(sscanf(text, "<85>1 %d-01-31T12:00:00.123Z %299s segand %d DICOM+RFC3881 - %63s", &year, host, &pid, rest), 4);
	assert_string_equal(rest, "\xef\xbb\xbf<?xml?>");
	assert_int_equal(pid, getpid());
	r.outcome = AUDIT_SERIOUS;
	assert_int_equal(audit_syslog_send(&to, socket_path, &r, "<?xml?>", &e), 0);
	assert_memory_equal(heard(s, 0), "<84>1 ", 6);
	close(s);
	s = listen_here();                                          /* another syslog under the same name */
	assert_int_equal(audit_syslog_send(&to, socket_path, &r, "again", &e), 0);
	assert_non_null(strstr(heard(s, 0), "again"));
	assert_non_null(large);
	memset(large, 'x', LARGE);
	assert_int_equal(audit_syslog_send(&to, socket_path, &r, large, &e), -1); /* no socket takes that: it must not hold up those behind it */
	assert_int_equal(e.code, ERR_LIMIT);
	free(large);
	close(s);
	unlink(socket_path);
	assert_int_equal(audit_syslog_send(&to, socket_path, &r, "gone", &e), -1);
	assert_int_equal(e.code, ERR_IO);
	audit_syslog_close(&to);
}

static struct settings *settings;
static struct node node;

static int
open_stage(void **state)
{
	char more[400];
	struct err e = { 0 };

	(void)state;
	alarm(120);
	snprintf(socket_path, sizeof socket_path, "%s/log", folder);
	unlink(socket_path);
	snprintf(more, sizeof more, "\"audit\": {\"syslog\": \"%s\"},", socket_path);
	settings = make_settings(more);
	if (node_open(&node, settings, &e) != 0)
		fail_msg("%s", e.text);
	return 0;
}

static int
close_stage(void **state)
{
	(void)state;
	node_close(&node);
	settings_free(settings);
	return 0;
}

static void
record(int i)
{
	char text[32];

	snprintf(text, sizeof text, "event %d.", i);
	audit_record(&node, &(const struct audit_entry){ .event = AUDIT_ACCESSED, .action = 'R', .study_uid = "1.2", .text = text });
}

static struct audit *
start(void)
{
	struct err e = { 0 };
	struct audit *a = audit_start(&node, &e);

	if (a == NULL)
		fail_msg("%s", e.text);
	return a;
}

static void
end(struct audit *a)
{
	audit_stop(a);
	audit_free(a);
}

static void
expect_event(int s, int i)
{
	char text[32];
	const char *got = heard(s, 0);

	snprintf(text, sizeof text, ">event %d.<", i);
	if (strstr(got, text) == NULL)
		fail_msg("%s instead of %s", got, text);
}

static void
all_are_told_in_order(void **state)
{
	int s = listen_here();
	struct audit *a = start();

	(void)state;
	assert_non_null(strstr(heard(s, 0), "Application Start"));
	for (int i = 0; i < 5; i++)
		record(i);
	for (int i = 0; i < 5; i++)
		expect_event(s, i);
	end(a);
	assert_non_null(strstr(heard(s, 0), "Application Stop"));
	assert_string_equal(heard(s, MSG_DONTWAIT), "");
	close(s);
}

/* Nothing waits for it, nothing is lost: the next run tells what this one could not. */
static void
a_syslog_that_is_not_there(void **state)
{
	struct audit *a = start();
	int64_t began = clock_monotonic_ms();
	struct err e = { 0 };
	int s;

	(void)state;
	for (int i = 0; i < 20; i++)
		record(i);
	assert_true(clock_monotonic_ms() - began < 60000);
	end(a);
	node_close(&node);
	assert_int_equal(node_open(&node, settings, &e), 0);
	s = listen_here();
	a = start();
	assert_non_null(strstr(heard(s, 0), "Application Start"));
	for (int i = 0; i < 20; i++)
		expect_event(s, i);
	assert_non_null(strstr(heard(s, 0), "Application Stop"));
	assert_non_null(strstr(heard(s, 0), "Application Start"));
	end(a);
	close(s);
}

/* Datagrams that nobody reads: the kernel takes a few and then none. */
static size_t
fill_queue(void)
{
	struct audit_syslog to = { -1 };
	struct audit_row r = row(AUDIT_USER, AUDIT_LOGIN);
	struct err e = { 0 };
	size_t n = 0;

	while (audit_syslog_send(&to, socket_path, &r, "filling", &e) == 0)
		n++;
	assert_int_equal(e.code, ERR_IO);
	audit_syslog_close(&to);
	return n;
}

static void
a_syslog_that_is_full(void **state)
{
	int s = listen_here();
	size_t filled = fill_queue();
	struct audit *a = start();

	(void)state;
	for (int i = 0; i < 5; i++)
		record(i);
	for (size_t i = 0; i < filled; i++)
		assert_non_null(strstr(heard(s, 0), "filling"));
	assert_non_null(strstr(heard(s, 0), "Application Start"));
	for (int i = 0; i < 5; i++)
		expect_event(s, i);
	end(a);
	assert_non_null(strstr(heard(s, 0), "Application Stop"));
	assert_string_equal(heard(s, MSG_DONTWAIT), "");
	close(s);
}

static size_t
count(int event)
{
	struct audit_filter f = { .limit = 1000 };
	struct audit_row *rows;
	struct err e = { 0 };
	size_t n, found = 0;

	assert_int_equal(audit_list(node.db, &f, &rows, &n, &e), 0);
	for (size_t i = 0; i < n; i++)
		found += rows[i].event == event;
	audit_rows_free(rows, n);
	return found;
}

/* Who knocks a thousand times a minute fills no table, and hides nobody else. */
static void
a_flood_is_counted(void **state)
{
	struct audit_entry knock = { .event = AUDIT_SECURITY_ALERT, .type = AUDIT_NODE, .action = 'E', .outcome = AUDIT_MINOR, .address = "192.0.2.1", .text = "unknown" };
	struct audit *a = start();
	size_t before, after;

	(void)state;
	for (int i = 0; i < 1000; i++)
		audit_alarm(&node, &knock);
	before = count(AUDIT_SECURITY_ALERT);
	assert_true(before >= AUDIT_ALARMS_OF_ONE && before <= 2 * AUDIT_ALARMS_OF_ONE + 1); /* a minute may have turned meanwhile */
	knock.address = "192.0.2.2";
	audit_alarm(&node, &knock);
	after = count(AUDIT_SECURITY_ALERT);
	assert_true(after > before);
	end(a);
	assert_int_equal(count(AUDIT_SECURITY_ALERT), after + 1);   /* those that were left out, in one row */
}

static void
rows_go_by_age(void **state)
{
	static const int64_t days[] = { 0, 3, 1 };

	(void)state;
	record(1);
	clock_shift(INT64_C(2) * 86400 * 1000);
	node.started_ms = clock_ms(); /* as after a start: what was written two days ago is known */
	for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
		settings->audit_days = days[i];
		end(start());
		assert_int_equal(count(AUDIT_ACCESSED), days[i] != 1);
	}
	clock_shift(0);
}

static void
a_study_that_was_removed(void **state)
{
	const struct audit_entry gone = audit_study_deleted("1.2.9", "[]", "older than retention.days");

	(void)state;
	audit_attach(&gone);
	record(1);                                                  /* whatever transaction removes it */
	assert_true(audit_detach());
	assert_int_equal(count(AUDIT_STUDY_DELETED), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, open_stage, close_stage)

int
main(void)
{
	static const char *const specs[] = { NULL };
	const struct CMUnitTest tests[] = {
		T(every_event_is_valid), T(who_gave_and_who_took), T(texts_are_only_texts), T(a_row_of_another_program_is_an_error), T(a_message_is_one_datagram), T(all_are_told_in_order),
		T(a_syslog_that_is_not_there), T(a_syslog_that_is_full), T(a_flood_is_counted), T(rows_go_by_age), T(a_study_that_was_removed),
	};

	return RUN_WITH_STUDIES(specs, tests);
}
