/* TLS of associations, our requestor against our listener: who is trusted, who is not and what a person is told, plain where TLS is meant and the other way
 * round, silence in the handshake. DCMTK's own tools are met in tests/e2e/dimse_tls.sh. */
#include "tests/unit/scp_stage.h"

static char authorities[300], certificate[300], key[300], other[300], stranger[300], stranger_key[300], client[300], client_key[300], named[300], named_key[300];
static char folder[256];

static int
make_certificates(void **state)
{
	static const struct { char *path; const char *name; } files[] = { { authorities, "ca.pem" }, { certificate, "node.pem" }, { key, "node-key.pem" },
		{ other, "other-ca.pem" }, { stranger, "stranger.pem" }, { stranger_key, "stranger-key.pem" }, { client, "client.pem" }, { client_key, "client-key.pem" },
		{ named, "named.pem" }, { named_key, "named-key.pem" } };
	char out[300];
	const char *argv[] = { "tests/tools/certificates.sh", folder, NULL };

	(void)state;
	make_dir(folder);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		snprintf(files[i].path, 300, "%s/%s", folder, files[i].name);
	snprintf(out, sizeof out, "%s/out", folder);
	return end_of(start_peer(argv, out));
}

static int
remove_certificates(void **state)
{
	(void)state;
	remove_dir(folder);
	return 0;
}

static void
start_tls(struct stage *t, bool require_client)
{
	t->config.tls = (struct dicom_tls){ .is_on = true, .certificate = certificate, .key = key, .authorities = require_client ? authorities : NULL, .require_peer = require_client };
	start(t);
}

static int
echo_with(const struct stage *t, struct dicom_tls tls, struct err *e)
{
	struct scu_peer p = ourselves(t);

	p.tls = tls;
	return scu_echo(&p, e);
}

static void
instances_go_over_tls(void **state)
{
	struct stage *t = *state;
	struct scu_peer p;
	struct scu_result r;
	char path[512];
	const char *paths[] = { path };
	struct err e;

	start_tls(t, true);
	p = ourselves(t);
	p.tls = (struct dicom_tls){ .is_on = true, .authorities = authorities, .certificate = client, .key = client_key, .name = "127.0.0.1" };
	file_in(t, "a.dcm", path, false, 1 << 20);
	if (scu_store(&p, paths, 1, &r, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(r.outcome, SCU_STORED);
	wait_closed(t, 1);
	assert_int_equal(t->seen.n_received, 1);
	assert_int_equal(t->seen.n_released, 1);
}

static void
nobody_is_trusted_without_proof(void **state)
{
	struct stage *t = *state;
	const struct { struct dicom_tls tls; const char *words; } cases[] = {
		{ { .is_on = true, .authorities = other, .certificate = client, .key = client_key }, "tls_ca must hold the authority that signed it" },
		{ { .is_on = true, .certificate = client, .key = client_key }, "tls_ca must hold the authority" }, /* the system's do not know it */
		{ { .is_on = true, .authorities = authorities, .certificate = client, .key = client_key, .name = "archive.example" }, "the name that tls_name gives" },
		{ { .is_on = true, .authorities = authorities }, "give tls_certificate and tls_key" },
		{ { .is_on = true, .authorities = authorities, .certificate = stranger, .key = stranger_key }, "make the authority that signed tls_certificate known there" },
		{ { .is_on = false }, "\"tls\": true" },
	};
	struct err e;

	start_tls(t, true);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(echo_with(t, cases[i].tls, &e), -1);
		assert_int_equal(e.code, ERR_PEER);
		if (strstr(e.text, cases[i].words) == NULL)
			fail_msg("case %zu: \"%s\" does not say \"%s\"", i, e.text, cases[i].words);
	}
	assert_int_equal(t->seen.n_opened, 0);
	assert_int_equal(echo_with(t, (struct dicom_tls){ .is_on = true, .authorities = authorities, .certificate = client, .key = client_key }, &e), 0);
}

static void
a_client_needs_no_certificate_where_none_is_asked_for(void **state)
{
	struct stage *t = *state;
	struct err e;

	start_tls(t, false);
	assert_int_equal(echo_with(t, (struct dicom_tls){ .is_on = true, .authorities = authorities }, &e), 0);
}

/* Authorities, and nobody must show a certificate: who shows one all the same must be what it says. */
static void
who_shows_a_certificate_must_prove_it(void **state)
{
	struct stage *t = *state;
	struct err e;

	t->config.tls = (struct dicom_tls){ .is_on = true, .certificate = certificate, .key = key, .authorities = authorities };
	start(t);
	assert_int_equal(echo_with(t, (struct dicom_tls){ .is_on = true, .authorities = authorities }, &e), 0);
	assert_int_equal(echo_with(t, (struct dicom_tls){ .is_on = true, .authorities = authorities, .certificate = client, .key = client_key }, &e), 0);
	assert_int_equal(echo_with(t, (struct dicom_tls){ .is_on = true, .authorities = authorities, .certificate = stranger, .key = stranger_key }, &e), -1);
	assert_int_equal(e.code, ERR_PEER);
}

static void
tls_to_a_plain_port_is_said(void **state)
{
	struct stage *t = *state;
	struct err e;

	start(t);
	assert_int_equal(echo_with(t, (struct dicom_tls){ .is_on = true, .authorities = authorities }, &e), -1);
	if (strstr(e.text, "TLS") == NULL)
		fail_msg("%s", e.text);
	still_serves(t);
}

static void
files_that_cannot_be_used_are_named(void **state)
{
	struct stage *t = *state;
	const struct { struct dicom_tls tls; const char *words; } cases[] = {
		{ { .is_on = true, .certificate = "/nowhere.pem", .key = key }, "/nowhere.pem" },
		{ { .is_on = true, .certificate = certificate, .key = certificate }, "key" },
		{ { .is_on = true, .certificate = certificate, .key = client_key }, "client-key.pem cannot be used: key values mismatch" },
		{ { .is_on = true, .certificate = certificate, .key = key, .authorities = "/nowhere.pem" }, "/nowhere.pem" },
		{ { .is_on = true, .certificate = key, .key = key }, "certificate" },
		{ { .is_on = true }, "certificate" },
	};
	struct err e;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		t->config.tls = cases[i].tls;
		assert_null(scp_start(&t->config, &t->handler, &e));
		if (strstr(e.text, cases[i].words) == NULL)
			fail_msg("case %zu: \"%s\" does not say \"%s\"", i, e.text, cases[i].words);
	}
	t->config.tls = (struct dicom_tls){ .is_on = false };
	start(t);
	assert_int_equal(echo_with(t, (struct dicom_tls){ .is_on = true, .authorities = "/nowhere.pem" }, &e), -1);
	assert_true(e.code == ERR_IO && strstr(e.text, "/nowhere.pem"));
}

/* A handshake that stands still, trickles, or is garbage: it ends by the time of a request, and holds nobody up. */
static void
a_handshake_has_its_time(void **state)
{
	static const struct { const char *bytes; size_t n; } openings[] = { { "", 0 }, { "\x16\3\1\1\0\1\0\0\xfc\3\3", 11 }, { "GET / HTTP/1.1\r\n\r\n", 18 }, { "\1\0\0\0\1\0", 6 },
		{ "\x16\3\1\xff\xff", 5 } };
	struct stage *t = *state;
	struct dicom_tls tls = { .is_on = true, .authorities = authorities };
	int fd[sizeof openings / sizeof *openings];
	struct err e;

	t->config.request_timeout_s = 2;
	start_tls(t, false);
	for (size_t i = 0; i < sizeof openings / sizeof *openings; i++) {
		fd[i] = try_connect("127.0.0.1", scp_port(t->scp));
		send_all(fd[i], openings[i].bytes, openings[i].n);
	}
	assert_int_equal(echo_with(t, tls, &e), 0);
	for (size_t i = 0; i < sizeof openings / sizeof *openings; i++) {
		assert_true(is_closed_by_peer(fd[i]));
		close(fd[i]);
	}
	assert_int_equal(echo_with(t, tls, &e), 0);
}

/* An archive that takes the connection and says nothing. */
static void
a_silent_server_is_left(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof a;
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct scu_peer p = { .host = "127.0.0.1", .called_aet = "A", .calling_aet = "B", .timeout_s = 1, .tls = { .is_on = true, .authorities = authorities } };
	struct err e;

	(void)state;
	assert_int_equal(bind(listening, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(listening, 4), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&a, &n), 0);
	p.port = ntohs(a.sin_port);
	int64_t begin = clock_monotonic_ms();
	assert_int_equal(scu_echo(&p, &e), -1);
	assert_true(e.code == ERR_PEER && strstr(e.text, "in time"));
	assert_true(clock_monotonic_ms() - begin < 10000);
	close(listening);
}

static void
stop_does_not_wait_for_a_handshake(void **state)
{
	struct stage *t = *state;

	start_tls(t, false);
	int fd = try_connect("127.0.0.1", scp_port(t->scp));
	send_all(fd, "\x16\3\1\1\0", 5);
	int64_t begin = clock_monotonic_ms();
	scp_stop(t->scp);
	t->scp = NULL;
	assert_true(clock_monotonic_ms() - begin < 10000);
	close(fd);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		T(instances_go_over_tls), T(nobody_is_trusted_without_proof), T(a_client_needs_no_certificate_where_none_is_asked_for), T(who_shows_a_certificate_must_prove_it),
		T(tls_to_a_plain_port_is_said),
		T(files_that_cannot_be_used_are_named), T(a_handshake_has_its_time), T(a_silent_server_is_left), T(stop_does_not_wait_for_a_handshake),
	};
	struct err e;

	signal(SIGPIPE, SIG_DFL);                    /* a peer that is gone must not end the process */
	if (dicom_start(&e) != 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	alarm(240);
	return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
