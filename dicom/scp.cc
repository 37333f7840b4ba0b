// The SCP's listener and its threads. What is said on an association is in scp_session.cc.
//
// DESIGN: one listener thread accepts and starts a thread a connection, which reads even the association request, so a silent peer holds up nobody.
// Sessions that have ended put themselves down as done and wake the listener, which joins them. Connections that are no association yet are
// bounded too: past SPARE of them the oldest is cut in favour of the newest. scp->lock covers the list, the flags and the count, never a read, a
// write or the handler. To stop, stop_fd becomes readable: every wait in wire.cc and here ends, running handlers finish first.
#include "dicom/scp_parts.hh"
#include "dicom/shim.hh"
#include "config/log.h"

#include <cerrno>
#include <cstring>
#include <iterator>

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SPARE = 64, BACKLOG = 128, MIN_PDU = 4096, MAX_PDU = 131072, BREATH_MS = 100 };

enum scp_place
scp_take_place(session &s, const char *address)
{
	std::lock_guard<std::mutex> hold(s.scp->lock);
	const struct scp_config &c = s.scp->config;
	unsigned n_same = 0;

	if (s.is_cut || s.scp->n_admitted >= c.max_associations)
		return SCP_PLACE_FULL;
	for (auto &i : s.scp->sessions)
		n_same += i->is_admitted && strcmp(i->address, address) == 0;
	if (c.max_per_peer != 0 && n_same >= c.max_per_peer)
		return SCP_PLACE_PEER_FULL;
	snprintf(s.address, sizeof s.address, "%s", address);
	s.scp->n_admitted++;
	s.is_admitted = true;
	return SCP_PLACE_TAKEN;
}

void
scp_leave_place(session &s)
{
	std::lock_guard<std::mutex> hold(s.scp->lock);

	s.scp->n_admitted--;
	s.is_admitted = false;
}

static void
ring(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof one) != sizeof one)
		log_event(LOG_ERROR, "scp_wake_failed", "errno=%d", errno);
}

static void
run(session *s, int fd)
{
	struct scp *scp = s->scp;

	session_serve(*s, fd);
	std::lock_guard<std::mutex> hold(scp->lock);
	s->is_done = true;
	ring(scp->wake_fd);
}

// Joins the sessions that have ended.
static void
reap(struct scp *s)
{
	std::list<std::unique_ptr<session>> done;
	uint64_t n;

	(void)!read(s->wake_fd, &n, sizeof n);       // non-blocking: nothing there is fine
	{
		std::lock_guard<std::mutex> hold(s->lock);
		for (auto i = s->sessions.begin(); i != s->sessions.end();) {
			auto next = std::next(i);
			if ((*i)->is_done)
				done.splice(done.end(), s->sessions, i);
			i = next;
		}
	}
	for (auto &i : done)
		i->thread.join();
}

// Under s->lock. The list is in order of arrival.
static void
make_room(struct scp *s)
{
	size_t n = 0;

	for (auto &i : s->sessions)
		n += !i->is_admitted && !i->is_cut && !i->is_done;
	for (auto &i : s->sessions) {
		if (n < SPARE)
			return;
		if (!i->is_admitted && !i->is_cut && !i->is_done) {
			i->is_cut = true;
			i->line.cut();
			n--;
		}
	}
}

// A renewed certificate counts from the next connection on. Of files that cannot be used together, as between the change of one and of the other, the old ones stay.
static void
renew_tls(struct scp *s)
{
	struct err e = {};

	if (!s->tls)
		return;
	std::string files = tls_files(s->config.tls);
	if (files == s->tls_files)
		return;
	s->tls_files = files;
	std::shared_ptr<tls_context> renewed(new tls_context(true, ""));
	if (renewed->open(s->config.tls, &e) == 0) {
		s->tls = renewed;
		log_event(LOG_INFO, "dicom_tls_renewed", "certificate=%s", s->config.tls.certificate);
	} else {
		log_event(LOG_ERROR, "dicom_tls_not_renewed", "text=\"the certificate from before stays in use: %s\"", e.text);
	}
}

static int
begin(struct scp *s, int fd, struct err *e)
{
	return shim_int(e, [&] {
		renew_tls(s);
		std::lock_guard<std::mutex> hold(s->lock);
		make_room(s);
		s->sessions.emplace_back(new session(s, s->config.idle_timeout_s * INT64_C(1000), s->stop_fd, s->tls));
		session *i = s->sessions.back().get();
		try {
			i->thread = std::thread(run, i, fd);
		} catch (...) {
			s->sessions.pop_back();
			throw;
		}
		return 0;
	});
}

static void
take(struct scp *s)
{
	struct err e = {};
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;                      // it went away again
		log_event(LOG_ERROR, "scp_accept_failed", "errno=%d", errno);
		struct pollfd p = { s->stop_fd, POLLIN, 0 };
		poll(&p, 1, BREATH_MS);              // no descriptors, no memory: let others give some back
		return;
	}
	if (begin(s, fd, &e) != 0) {
		close(fd);
		log_event(LOG_ERROR, "scp_thread_failed", "text=\"%s\"", e.text);
	}
}

static void
listen_on(struct scp *s)
{
	struct pollfd p[3] = { { s->stop_fd, POLLIN, 0 }, { s->wake_fd, POLLIN, 0 }, { s->listen_fd, POLLIN, 0 } };

	for (;;) {
		if (poll(p, 3, -1) < 0)
			continue;                    // EINTR
		if (p[0].revents != 0)
			return;
		if (p[1].revents != 0)
			reap(s);
		if (p[2].revents != 0)
			take(s);
	}
}

static int
bind_to(struct scp *s, const struct addrinfo *a, struct err *e)
{
	struct sockaddr_storage here = {};
	socklen_t n = sizeof here;
	int on = 1, off = 0;

	s->listen_fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listen_fd < 0)
		return err_errno(e, "a socket");
	if (a->ai_family == AF_INET6)
		(void)setsockopt(s->listen_fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off); // "::" is IPv4 too, where the system has both
	if (setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 || bind(s->listen_fd, a->ai_addr, a->ai_addrlen) != 0 ||
	    listen(s->listen_fd, BACKLOG) != 0 || getsockname(s->listen_fd, (struct sockaddr *)&here, &n) != 0)
		return err_errno(e, "listening on %s port %u", s->config.bind, s->config.port);
	s->port = ntohs(here.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&here)->sin6_port : ((struct sockaddr_in *)&here)->sin_port);
	return 0;
}

static int
open_door(struct scp *s, struct err *e)
{
	struct addrinfo hints = {}, *found = NULL;
	char port[16];

	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
	snprintf(port, sizeof port, "%u", s->config.port);
	int rc = getaddrinfo(s->config.bind, port, &hints, &found);
	if (rc != 0)
		return err_set(e, ERR_INPUT, "the address %s to listen on: %s", s->config.bind, gai_strerror(rc));
	rc = bind_to(s, found, e);
	freeaddrinfo(found);
	return rc;
}

static int
check(const struct scp_config *c, struct err *e)
{
	if (c->aet == NULL || c->bind == NULL || c->bind[0] == '\0' || c->tmp_dir == NULL)
		return err_set(e, ERR_INPUT, "AE title, address and folder must be given");
	if (c->port > 65535 || c->max_associations == 0 || c->idle_timeout_s == 0 || c->max_instance_bytes <= 0)
		return err_set(e, ERR_INPUT, "port, associations, idle time or size out of range");
	if (c->max_pdu < MIN_PDU || c->max_pdu > MAX_PDU)
		return err_set(e, ERR_INPUT, "PDU size %u is not in %d to %d", c->max_pdu, MIN_PDU, MAX_PDU);
	return 0;
}

static int
start(struct scp *s, struct err *e)
{
	if (check(&s->config, e) != 0 || open_door(s, e) != 0)
		return -1;
	if (s->config.tls.is_on) {
		s->tls_files = tls_files(s->config.tls);
		s->tls.reset(new tls_context(true, ""));
		if (s->tls->open(s->config.tls, e) != 0)
			return -1;
	}
	s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->stop_fd < 0 || s->wake_fd < 0)
		return err_errno(e, "an event descriptor");
	s->listener = std::thread(listen_on, s);
	return 0;
}

static void
discard(struct scp *s)
{
	const int open[] = { s->listen_fd, s->stop_fd, s->wake_fd };

	for (int fd : open)
		if (fd >= 0)
			close(fd);
	delete s;
}

extern "C" struct scp *
scp_start(const struct scp_config *c, const struct scp_handler *h, struct err *e)
{
	struct scp *s = NULL;
	int rc = shim_int(e, [&] {
		s = new scp;
		s->config = *c;
		s->handler = h;
		return start(s, e);
	});

	if (rc == 0)
		return s;
	if (s != NULL)
		discard(s);
	err_note(e, "starting the DICOM listener");
	return NULL;
}

extern "C" unsigned
scp_port(const struct scp *s)
{
	return s->port;
}

extern "C" void
scp_stop(struct scp *s)
{
	if (s == NULL)
		return;
	ring(s->stop_fd);
	s->listener.join();
	for (auto &i : s->sessions)                  // the listener is gone: nobody else changes the list
		i->thread.join();
	discard(s);
}
