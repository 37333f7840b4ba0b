// One TCP connection under DCMTK, in both roles: Nagle off, every segment acknowledged at once (PERFORMANCE.md 3), and waiting bounded by the clock.
// DCMTK's own timeouts cover the gap between two PDUs only; inside one its poll waits for ever once the deadline has passed (LEADS 2). Here a message
// has idle_ms of waiting in all and bytes that move earn it back, at BYTES_FOR_IDLE for the whole: silence and trickle end, a slow line lives; end_by()
// ends what lives too long. TCP, or TLS over it (tls.hh). IPv4 or IPv6 as acceptor, IPv4 as requestor. For this room only.
#pragma once
#include "dicom/tls.hh"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dcmlayer.h>

#include <cstdint>
#include <mutex>

enum {
	BYTES_FOR_IDLE = 4096,
	WIRE_RULES_S = 1 << 20 // the timeout to give to DCMTK, seconds: so long that the wire's patience ends first
};

// Makes DCMTK's connection and must outlive the association. All but cut() belongs to the one thread of the association.
class wire : public DcmTransportLayer {
public:
	wire(int64_t idle_ms, int stop_fd);  // stop_fd: waiting ends when it is readable; -1: none
	void secure(const tls_context *t) { tls = t; } // before the connection is made; NULL: plain. Borrows
	void fresh(uint64_t most = UINT64_MAX); // a message begins: full patience, n_read from 0; more than `most` bytes of it end the connection
	void end_by(int64_t ms);             // no wait lasts beyond now + ms, whatever moves
	void hurry(int64_t ms);              // wait this long at most from now on; puts end_by aside
	bool wait(short events, int64_t at_most_ms);
	bool moved(size_t n, bool is_read);  // n bytes passed; false: more than a message may have
	void failed(const char *why);        // what a person should know of the failure; the first one counts
	void cut();                          // any thread, at any time: shuts the socket down, whatever waits on it wakes
	void opened(int socket);
	void closed();

	bool is_stopped() const { return stopped; }     // a wait ended because of stop_fd
	bool is_timed_out() const { return timed_out; } // ... or because patience did
	bool is_overdue() const { return overdue; }     // ... or end_by was over
	const char *why() const { return words; }       // "" when DCMTK's own words must do
	const tls_context *security() const { return tls; }
	bool has_heard() const { return heard; }        // a byte came, ever
	uint64_t n_read() const { return read_since_fresh; }

	// Reads the A-ASSOCIATE-RQ of an accepted socket. Takes fd. What is in *network and *association then is the caller's to destroy, on failure too.
	OFCondition accept(int fd, unsigned max_pdu, T_ASC_Network **network, T_ASC_Association **association);
	// The network of a requestor, whose association will run on this wire.
	OFCondition requestor(T_ASC_Network **network);

	DcmTransportConnection *createConnection(DcmNativeSocketType socket, OFBool is_secure) override;

private:
	std::mutex lock;                     // guards fd and is_cut against cut()
	int fd = -1;
	bool is_cut = false;
	const int stop_fd;
	const int64_t idle_ms;
	int64_t patience_ms;
	int64_t end_ms = INT64_MAX;          // by clock_monotonic_ms
	uint64_t read_since_fresh = 0, most_to_read = UINT64_MAX;
	bool stopped = false, timed_out = false, overdue = false, heard = false;
	const tls_context *tls = NULL;
	char words[300] = "";
};
