// One TCP connection under DCMTK: see wire.hh.
//
// DESIGN of the hand-over: DCMTK takes an already accepted socket through one process-wide variable, dcmExternalSocketHandle, and reads the association
// request in the same call. The lock `handover` is held from setting the variable until DCMTK asks us for the connection object, which is before it
// reads the first byte; from then on the silence of a peer is its own thread's affair. The same lock covers DCMTK's unguarded first initialisation.
#include "dicom/wire.hh"
#include "config/clock.h"

#include <dcmtk/dcmnet/dcmtrans.h>
#include <dcmtk/dcmnet/cond.h>
#include <dcmtk/dcmnet/dul.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <new>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

std::mutex handover;

// A socket on its way into DCMTK. Closes it when DCMTK gives up, or throws, before it has taken it.
struct hand_over {
	explicit hand_over(int s);
	~hand_over();
	void taken();

	std::unique_lock<std::mutex> hold{handover};
	const int socket;
};

thread_local hand_over *under_way; // this thread's

hand_over::hand_over(int s)
	: socket(s)
{
	dcmExternalSocketHandle.set(socket);
	under_way = this;
}

hand_over::~hand_over()
{
	under_way = NULL;
	if (hold.owns_lock()) {
		dcmExternalSocketHandle.set(-1);
		close(socket);
	}
}

void
hand_over::taken()
{
	dcmExternalSocketHandle.set(-1);
	hold.unlock();
}

class wire_connection : public DcmTCPConnection {
public:
	wire_connection(DcmNativeSocketType socket, wire &line);
	~wire_connection() override { closeTransportConnection(); }
	OFCondition serverSideHandshake() override { return shake_hands(); }
	OFCondition clientSideHandshake() override { return shake_hands(); }
	ssize_t read(void *to, size_t n) override;
	ssize_t write(void *from, size_t n) override;
	OFBool networkDataAvailable(int timeout_s) override;
	void close() override;
	void closeTransportConnection() override;

private:
	OFCondition shake_hands();
	ssize_t receive(void *to, size_t n);
	ssize_t send_some(const char *from, size_t n);
	void acknowledge_at_once();
	void look_for_tls(const void *bytes);
	wire &line;
	std::unique_ptr<tls_session> tls;
	bool has_read = false;
};

wire_connection::wire_connection(DcmNativeSocketType socket, wire &l)
	: DcmTCPConnection(socket), line(l)
{
	int on = 1;

	(void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // slower without it, but right
	acknowledge_at_once();
	if (line.security() != NULL)
		tls.reset(new tls_session(*line.security(), socket, line));
}

// The kernel forgets it after a while: set again behind every read.
void
wire_connection::acknowledge_at_once()
{
	int on = 1;

	(void)setsockopt(getSocket(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

// A peer that speaks TLS to one that does not: its first byte is that of a handshake, or of the alert that answers our request (RFC 8446 5.1).
void
wire_connection::look_for_tls(const void *bytes)
{
	enum { ALERT = 0x15, HANDSHAKE = 0x16 };
	unsigned char first = *(const unsigned char *)bytes;

	if (!has_read && first == HANDSHAKE)
		line.failed("it speaks TLS and this port does not: switch it off there, or give dicom.tls_certificate and dicom.tls_key here");
	else if (!has_read && first == ALERT)
		line.failed("it speaks TLS there: give the destination \"tls\": true");
	has_read = true;
}

OFCondition
wire_connection::shake_hands()
{
	if (tls == NULL || tls->handshake())
		return EC_Normal;
	return makeDcmnetCondition(DULC_TLSERROR, OF_error, "no TLS");
}

ssize_t
wire_connection::receive(void *to, size_t n)
{
	if ((tls == NULL || !tls->has_pending()) && !line.wait(POLLIN, INT64_MAX)) {
		errno = ETIMEDOUT;
		return -1;
	}
	if (tls != NULL)
		return tls->read(to, n);
	ssize_t got = recv(getSocket(), to, n, 0);
	acknowledge_at_once();
	if (got > 0)
		look_for_tls(to);
	return got;
}

ssize_t
wire_connection::read(void *to, size_t n)
{
	ssize_t got = receive(to, n);

	if (got > 0 && !line.moved((size_t)got, true)) {
		line.failed("more than any command or answer holds");
		errno = EMSGSIZE;
		return -1;
	}
	return got;
}

ssize_t
wire_connection::send_some(const char *from, size_t n)
{
	for (;;) {
		ssize_t sent = tls != NULL ? tls->write(from, n) : send(getSocket(), from, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent >= 0 || tls != NULL)
			return sent;
		if (errno == EAGAIN || errno == EWOULDBLOCK) {
			if (!line.wait(POLLOUT, INT64_MAX)) {
				errno = ETIMEDOUT;
				return -1;
			}
		} else if (errno != EINTR) {
			return -1;
		}
	}
}

ssize_t
wire_connection::write(void *from, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t sent = send_some((const char *)from + done, n - done);
		if (sent < 0)
			return -1;
		(void)line.moved((size_t)sent, false); // only what is read is bounded
		done += (size_t)sent;
	}
	return (ssize_t)done;
}

OFBool
wire_connection::networkDataAvailable(int timeout_s)
{
	return (tls != NULL && tls->has_pending()) || line.wait(POLLIN, timeout_s * INT64_C(1000));
}

void
wire_connection::close()
{
	if (tls != NULL)
		tls->goodbye();
	closeTransportConnection();
}

void
wire_connection::closeTransportConnection()
{
	tls.reset();
	line.closed();
	DcmTCPConnection::closeTransportConnection();
}

} // namespace

wire::wire(int64_t idle, int stop)
	: stop_fd(stop), idle_ms(idle), patience_ms(idle)
{
}

void
wire::fresh(uint64_t most)
{
	patience_ms = idle_ms;
	read_since_fresh = 0;
	most_to_read = most;
	timed_out = false;
}

void
wire::end_by(int64_t ms)
{
	end_ms = clock_monotonic_ms() + ms;
}

void
wire::hurry(int64_t ms)
{
	patience_ms = std::min(patience_ms, ms);
	end_ms = INT64_MAX;
}

void
wire::failed(const char *why)
{
	if (words[0] == '\0')
		snprintf(words, sizeof words, "%s", why);
}

bool
wire::wait(short events, int64_t at_most_ms)
{
	struct pollfd p[2] = { { fd, events, 0 }, { stop_fd, POLLIN, 0 } };
	int64_t now = clock_monotonic_ms(), until = std::min(now + std::max<int64_t>(std::min(at_most_ms, patience_ms), 0), end_ms);
	int n;

	do {
		now = clock_monotonic_ms();
		n = poll(p, 2, (int)std::min<int64_t>(std::max<int64_t>(until - now, 0), INT32_MAX));
		patience_ms -= clock_monotonic_ms() - now;
	} while (n < 0 && errno == EINTR);
	if (n > 0 && p[1].revents != 0) {
		stopped = true;
		return false;
	}
	if (n == 0)
		timed_out = true;
	overdue = overdue || now >= end_ms;
	return n > 0 && now < end_ms;
}

bool
wire::moved(size_t n, bool is_read)
{
	if (is_read)
		read_since_fresh += n;
	heard = heard || is_read;
	if (n >= BYTES_FOR_IDLE)
		patience_ms = idle_ms;
	else
		patience_ms = std::min(idle_ms, patience_ms + (int64_t)n * idle_ms / BYTES_FOR_IDLE);
	return read_since_fresh <= most_to_read;
}

void
wire::cut()
{
	std::lock_guard<std::mutex> hold(lock);

	is_cut = true;
	if (fd >= 0)
		(void)shutdown(fd, SHUT_RDWR); // fails when the peer has gone already
}

void
wire::opened(int socket)
{
	std::lock_guard<std::mutex> hold(lock);

	fd = socket;
	if (is_cut)
		(void)shutdown(fd, SHUT_RDWR);
}

void
wire::closed()
{
	std::lock_guard<std::mutex> hold(lock);

	fd = -1;
}

DcmTransportConnection *
wire::createConnection(DcmNativeSocketType socket, OFBool)
{
	if (under_way != NULL)
		under_way->taken();
	try {
		DcmTransportConnection *c = new wire_connection(socket, *this);
		opened(socket);
		return c;
	} catch (const std::bad_alloc &) {           // no TLS session, no memory: DCMTK closes the socket
		return NULL;
	}
}

OFCondition
wire::accept(int socket, unsigned max_pdu, T_ASC_Network **network, T_ASC_Association **association)
{
	hand_over here(socket);

	dcmDisableGethostbyaddr.set(OFTrue); // else DCMTK asks the DNS for every peer, under our lock
	OFCondition c = ASC_initializeNetwork(NET_ACCEPTOR, 0, WIRE_RULES_S, network);
	if (c.good())
		c = ASC_setTransportLayer(*network, this, 0);
	if (c.good())
		c = ASC_receiveAssociation(*network, association, max_pdu, NULL, NULL, OFFalse, DUL_NOBLOCK, WIRE_RULES_S);
	return c;
}

OFCondition
wire::requestor(T_ASC_Network **network)
{
	std::lock_guard<std::mutex> hold(handover);
	OFCondition c = ASC_initializeNetwork(NET_REQUESTOR, 0, WIRE_RULES_S, network);

	return c.good() ? ASC_setTransportLayer(*network, this, 0) : c;
}
