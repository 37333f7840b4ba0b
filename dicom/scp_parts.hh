// What the two halves of the SCP share: scp.cc (listener, threads) and scp_session.cc (one association). For them only.
#pragma once
#include "dicom/scp.h"
#include "dicom/tls.hh"
#include "dicom/wire.hh"

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

// One connection and its thread.
struct session {
	session(struct scp *owner, int64_t idle_ms, int stop_fd, std::shared_ptr<tls_context> security)
		: scp(owner), tls(std::move(security)), line(idle_ms, stop_fd) {}

	char address[64] = "";               // the peer's; written before is_admitted, under scp->lock

	struct scp *const scp;
	const std::shared_ptr<tls_context> tls; // NULL: plain
	wire line;
	std::thread thread;
	bool is_admitted = false, is_cut = false, is_done = false; // under scp->lock
};

struct scp {
	struct scp_config config;
	const struct scp_handler *handler;
	int listen_fd = -1;
	int stop_fd = -1;                    // an eventfd, readable from scp_stop on: nobody reads it
	int wake_fd = -1;                    // an eventfd: a session has ended, the listener joins it
	unsigned port = 0;
	std::shared_ptr<tls_context> tls;    // of new sessions; NULL: plain. As the next, changed by the listener alone
	std::string tls_files;               // what its files were when it was read, or in vain
	std::thread listener;
	std::mutex lock;                     // guards what follows and the flags of the sessions
	std::list<std::unique_ptr<session>> sessions;
	unsigned n_admitted = 0;
};

enum scp_place { SCP_PLACE_TAKEN, SCP_PLACE_FULL, SCP_PLACE_PEER_FULL };
enum scp_place scp_take_place(session &s, const char *address); // FULL: all max_associations places are taken; PEER_FULL: all that one address may have
void scp_leave_place(session &s);
void session_serve(session &s, int fd);      // the whole life of a connection; takes fd; throws nothing
