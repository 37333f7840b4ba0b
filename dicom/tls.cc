// See tls.hh. OpenSSL's session runs on a BIO of ours: no SIGPIPE, acknowledged at once, and the first byte that came is kept to tell a peer that speaks no TLS.
#define ERR_STATE openssl_err_state // OpenSSL's type of that name, unused here, meets our error code
#include <dcmtk/dcmtls/tlslayer.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#undef ERR_STATE

#include "dicom/tls.hh"
#include "dicom/wire.hh"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { FIRST_NONE = -1, RECORD_ALERT = 0x15, RECORD_HANDSHAKE = 0x16, ALERT_MS = 500, MAX_WASTE = 64,
	SECURITY_LEVEL = 2 /* RFC 7525 4.1, 4.3: RSA of 2048 bits, SHA-256; nothing under 112 bits */ };

struct tls_parts {
	DcmTLSTransportLayer layer;          // owns the SSL_CTX, with the profile's ciphers and versions
	SSL_CTX *ctx = NULL;
};

// What the BIO works on.
struct tls_socket {
	int fd, first;                       // first: the first byte that the peer sent
};

struct tls_session::state {
	SSL *ssl = NULL;
	tls_socket socket = { -1, FIRST_NONE };
};

// ---- the context

tls_context::tls_context(bool acceptor, const char *to)
	: is_acceptor(acceptor), host(to)
{
}

tls_context::~tls_context() = default;

static bool
is_given(const char *path)
{
	return path != NULL && path[0] != '\0';
}

static int
unusable(struct err *e, const char *what, const char *path)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());
	char text[128];

	snprintf(text, sizeof text, "%s", ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_SYS ? strerror(ERR_GET_REASON(ERR_peek_last_error())) : why != NULL ? why : "not PEM");
	ERR_clear_error();
	return err_set(e, ERR_IO, "the %s %s cannot be used: %s", what, path, text);
}

static int
load_own(SSL_CTX *ctx, const struct dicom_tls &t, struct err *e)
{
	if (!is_given(t.certificate))
		return 0;
	if (SSL_CTX_use_certificate_chain_file(ctx, t.certificate) != 1)
		return unusable(e, "certificate", t.certificate);
	if (!is_given(t.key) || SSL_CTX_use_PrivateKey_file(ctx, t.key, SSL_FILETYPE_PEM) != 1)
		return unusable(e, "key", is_given(t.key) ? t.key : "(none is given)");
	return 0;
}

static int
load_trust(SSL_CTX *ctx, const struct dicom_tls &t, bool is_acceptor, struct err *e)
{
	if (is_given(t.authorities)) {
		if (SSL_CTX_load_verify_file(ctx, t.authorities) != 1)
			return unusable(e, "file of authorities", t.authorities);
		STACK_OF(X509_NAME) *names = is_acceptor ? SSL_load_client_CA_file(t.authorities) : NULL;
		SSL_CTX_set_client_CA_list(ctx, names);
	} else if (!is_acceptor) {
		SSL_CTX_set_default_verify_paths(ctx);
	}
	return 0;
}

int
tls_context::open(const struct dicom_tls &t, struct err *e)
{
	bool asks = !is_acceptor || t.require_peer || is_given(t.authorities);

	parts.reset(new tls_parts);
	parts->layer = DcmTLSTransportLayer(is_acceptor ? NET_ACCEPTOR : NET_REQUESTOR, NULL, OFTrue);
	if (!parts->layer || parts->layer.setTLSProfile(TSP_Profile_BCP195_ND).bad() || parts->layer.activateCipherSuites().bad())
		return err_set(e, ERR_BUG, "DCMTK cannot set up its BCP 195 profile of TLS");
	parts->layer.setPrivateKeyPasswd(""); // a key with a password is an error, not a question on the terminal
	SSL_CTX *ctx = parts->ctx = parts->layer.getNativeHandle();
	SSL_CTX_set_security_level(ctx, SECURITY_LEVEL); // DCMTK has no opinion on certificates, its list of ciphers sets 0
	ERR_clear_error();
	if (load_own(ctx, t, e) != 0 || load_trust(ctx, t, is_acceptor, e) != 0)
		return -1;
	if (is_acceptor && !is_given(t.certificate))
		return err_set(e, ERR_INPUT, "a TLS listener needs a certificate");
	SSL_CTX_set_verify(ctx, !asks ? SSL_VERIFY_NONE : !is_acceptor || t.require_peer ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	std::string name = is_given(t.name) ? t.name : host;
	if (is_acceptor)
		return 0;
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
	unsigned char bytes[16];
	bool is_ip = inet_pton(AF_INET, name.c_str(), bytes) == 1 || inet_pton(AF_INET6, name.c_str(), bytes) == 1;
	if ((is_ip ? X509_VERIFY_PARAM_set1_ip_asc(param, name.c_str()) : X509_VERIFY_PARAM_set1_host(param, name.c_str(), 0)) != 1)
		return err_set(e, ERR_INPUT, "\"%.100s\" is no name that a certificate could carry", name.c_str());
	return 0;
}

std::string
tls_files(const struct dicom_tls &t)
{
	const char *const paths[] = { t.certificate, t.key, t.authorities };
	std::string text;

	for (const char *path : paths) {
		struct stat st = {};
		char mark[128];
		if (is_given(path) && stat(path, &st) != 0)
			st = {};                     // not there just now, or not for us
		snprintf(mark, sizeof mark, "%llu %llu %lld.%ld %lld;", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino, (long long)st.st_mtim.tv_sec,
			(long)st.st_mtim.tv_nsec, (long long)st.st_size);
		text += mark;
	}
	return text;
}

// ---- bytes to and from the socket

static int
answer_of(BIO *b, ssize_t n, bool is_read)
{
	BIO_clear_retry_flags(b);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		BIO_set_flags(b, (is_read ? BIO_FLAGS_READ : BIO_FLAGS_WRITE) | BIO_FLAGS_SHOULD_RETRY);
	return (int)n;
}

static int
bio_read(BIO *b, char *to, int n)
{
	tls_socket *s = (tls_socket *)BIO_get_data(b);
	int on = 1;
	ssize_t got = recv(s->fd, to, (size_t)n, MSG_DONTWAIT);

	if (got > 0 && s->first == FIRST_NONE)
		s->first = (unsigned char)to[0];
	int kept = errno;
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on); // the kernel forgets it
	errno = kept;
	return answer_of(b, got, true);
}

static int
bio_write(BIO *b, const char *from, int n)
{
	return answer_of(b, send(((tls_socket *)BIO_get_data(b))->fd, from, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT), false);
}

static long
bio_ctrl(BIO *, int command, long, void *)
{
	return command == BIO_CTRL_FLUSH;
}

// Made once a process, never freed.
static const BIO_METHOD *
method()
{
	static BIO_METHOD *const m = [] {
		BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
		if (made != NULL) {
			BIO_meth_set_read(made, bio_read);
			BIO_meth_set_write(made, bio_write);
			BIO_meth_set_ctrl(made, bio_ctrl);
		}
		return made;
	}();
	return m;
}

// ---- the session

tls_session::tls_session(const tls_context &c, int fd, wire &l)
	: is_acceptor(c.is_acceptor), line(l), s(new state)
{
	BIO *b = method() != NULL ? BIO_new(method()) : NULL;

	s->socket.fd = fd;
	s->ssl = SSL_new(c.parts->ctx);
	if (b == NULL || s->ssl == NULL) {
		BIO_free(b);
		SSL_free(s->ssl);
		throw std::bad_alloc();
	}
	BIO_set_data(b, &s->socket);
	BIO_set_init(b, 1);
	SSL_set_bio(s->ssl, b, b);
	if (is_acceptor)
		SSL_set_accept_state(s->ssl);
	else
		SSL_set_connect_state(s->ssl);
	unsigned char bytes[16];
	if (!is_acceptor && inet_pton(AF_INET, c.host.c_str(), bytes) != 1 && inet_pton(AF_INET6, c.host.c_str(), bytes) != 1)
		(void)SSL_set_tlsext_host_name(s->ssl, c.host.c_str()); // which certificate to show, where a peer has several
}

tls_session::~tls_session()
{
	SSL_free(s->ssl);
}

// What the peer's alerts, and our own complaints of it, ask a person to do.
static const char *
words_for(int reason, bool is_acceptor)
{
	static const struct { int reason; const char *to_acceptor, *to_requestor; } table[] = {
		{ SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "it showed no certificate, dicom.tls_require_client asks for one", NULL },
		{ SSL_R_TLSV1_ALERT_UNKNOWN_CA, "it does not trust our certificate: make the authority that signed dicom.tls_certificate known there",
			"it does not trust our certificate: make the authority that signed tls_certificate known there" },
		{ SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "it refuses our certificate, dicom.tls_certificate", "it refuses our certificate, tls_certificate" },
		{ SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, NULL, "it asks for a certificate of ours: give tls_certificate and tls_key" },
		{ SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, "it found nothing in common", "it found nothing in common, or asks for a certificate of ours: give tls_certificate and tls_key" },
		{ SSL_R_NO_SHARED_CIPHER, "it offers no cipher of the BCP 195 profile", NULL },
		{ SSL_R_UNSUPPORTED_PROTOCOL, "it offers no TLS 1.2 or 1.3", "it offers no TLS 1.2 or 1.3" },
		{ SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "it takes no TLS 1.2 or 1.3", "it takes no TLS 1.2 or 1.3" },
	};

	for (const auto &i : table)
		if (i.reason == reason)
			return is_acceptor ? i.to_acceptor : i.to_requestor;
	return NULL;
}

// What would help against a certificate that is not to be trusted.
static const char *
help_for(long verdict, bool is_acceptor)
{
	switch (verdict) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return "it must carry the name that tls_name gives, or else the host's";
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return "it must be renewed there, or a clock is wrong";
	case X509_V_ERR_INVALID_PURPOSE:
		return "it is made for other uses";
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
	case X509_V_ERR_CA_MD_TOO_WEAK:
		return "RSA of 2048 bits and SHA-256 are the least";
	default:
		return is_acceptor ? "dicom.tls_ca must hold the authority that signed it" : "tls_ca must hold the authority that signed it";
	}
}

void
tls_session::say_why()
{
	unsigned long code = ERR_peek_last_error();
	long verdict = SSL_get_verify_result(s->ssl);
	const char *words = words_for(ERR_GET_REASON(code), is_acceptor), *reason = ERR_reason_error_string(code);
	char text[300];

	if (line.is_timed_out() || line.is_stopped())
		return;                              // said already
	if (s->socket.first != FIRST_NONE && s->socket.first != RECORD_HANDSHAKE && s->socket.first != RECORD_ALERT && !SSL_is_init_finished(s->ssl))
		words = is_acceptor ? "it speaks no TLS and this port takes nothing else: switch TLS on there, or leave dicom.tls_certificate out here"
			: "it speaks no TLS there: leave \"tls\" out here, or switch it on there";
	if (words == NULL && verdict != X509_V_OK)
		snprintf(text, sizeof text, "its certificate is not to be trusted (%s): %s", X509_verify_cert_error_string(verdict), help_for(verdict, is_acceptor));
	else
		snprintf(text, sizeof text, "%s", words != NULL ? words : reason != NULL ? reason : has_heard ? "it closed the connection" :
			SSL_is_init_finished(s->ssl) ? "it closed the connection as soon as TLS was agreed on: it may not accept our certificate, or ask for one" :
			is_acceptor ? "it closed the connection before TLS was agreed on" : "it closed the connection before TLS was agreed on: does it speak TLS on this port?");
	line.failed(text);
}

// After a call that did not succeed. True: call again.
bool
tls_session::wait_for(int result)
{
	int e = SSL_get_error(s->ssl, result);

	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE) {
		if (line.wait(e == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, INT64_MAX))
			return true;
		errno = ETIMEDOUT;
		return false;
	}
	if (e != SSL_ERROR_ZERO_RETURN)
		say_why();
	ERR_clear_error();
	return false;
}

// What the peer sent behind its last word is read, so that the kernel does not wipe our alert out by a reset: it says why.
void
tls_session::let_alert_through()
{
	char waste[4096];
	size_t n = 0;

	(void)shutdown(s->socket.fd, SHUT_WR);       // the peer may be gone
	line.hurry(ALERT_MS);
	while (n++ < MAX_WASTE && line.wait(POLLIN, ALERT_MS) && recv(s->socket.fd, waste, sizeof waste, MSG_DONTWAIT) > 0)
		;
}

bool
tls_session::handshake()
{
	int done;

	do {
		ERR_clear_error();
		done = SSL_do_handshake(s->ssl);
	} while (done != 1 && wait_for(done));
	if (done != 1 && is_acceptor && line.why()[0] != '\0')
		let_alert_through();
	return done == 1;
}

ssize_t
tls_session::read(void *to, size_t n)
{
	size_t got = 0;
	int done;

	do {
		ERR_clear_error();
		done = SSL_read_ex(s->ssl, to, n, &got);
	} while (done != 1 && wait_for(done));
	has_heard = has_heard || done == 1;
	return done == 1 ? (ssize_t)got : (SSL_get_shutdown(s->ssl) & SSL_RECEIVED_SHUTDOWN) != 0 ? 0 : -1;
}

ssize_t
tls_session::write(const void *from, size_t n)
{
	size_t sent = 0;
	int done;

	do {
		ERR_clear_error();
		done = SSL_write_ex(s->ssl, from, n, &sent);
	} while (done != 1 && wait_for(done));
	return done == 1 ? (ssize_t)sent : -1;
}

bool
tls_session::has_pending() const
{
	return SSL_has_pending(s->ssl) != 0;
}

void
tls_session::goodbye()
{
	ERR_clear_error();
	if (SSL_is_init_finished(s->ssl))
		(void)SSL_shutdown(s->ssl);          // the peer may be gone
	ERR_clear_error();
}
