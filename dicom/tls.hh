// TLS under an association: a context (certificates, whom to trust, which ciphers) and a session over one connected socket. The bytes go through OpenSSL and
// not through DCMTK's DcmTLSConnection, whose reads block where no timeout sees it; DCMTK's DcmTLSTransportLayer only lays down the profile. For this room only.
#pragma once
#include "config/err.h"
#include "dicom/tls.h"

#include <cstddef>
#include <memory>
#include <string>

#include <sys/types.h>

class wire;
struct tls_parts;                            // OpenSSL's and DCMTK's side, tls.cc

// Certificates and rules; any number of sessions, on any thread.
class tls_context {
public:
	tls_context(bool is_acceptor, const char *host); // host: of the peer, for a requestor
	~tls_context();
	int open(const struct dicom_tls &t, struct err *e); // ERR_IO: the file that cannot be used and why
	const bool is_acceptor;
	const std::string host;
	std::unique_ptr<tls_parts> parts;
};

// What the files are at this moment: another text when one of them was changed or replaced.
std::string tls_files(const struct dicom_tls &t);

// One connection's. The socket must not block; every wait is the wire's. Failures are told to the wire in words.
class tls_session {
public:
	tls_session(const tls_context &c, int fd, wire &line); // throws std::bad_alloc
	~tls_session();
	bool handshake();
	ssize_t read(void *to, size_t n);
	ssize_t write(const void *from, size_t n);
	bool has_pending() const;
	void goodbye();                      // close_notify, when that goes at once

private:
	bool wait_for(int result);
	void say_why();
	void let_alert_through();
	const bool is_acceptor;
	wire &line;
	bool has_heard = false;              // anything within TLS
	struct state;
	std::unique_ptr<state> s;
};
