// One TCP connection under DCMTK, in both roles: Nagle off, every segment acknowledged at once (PERFORMANCE.md 3), and waiting bounded by the clock.
// DCMTK's own timeouts cover the gap between two PDUs only; inside one its poll waits for ever once the deadline has passed (LEADS 2). Here a message
// has idle_ms of waiting in all and bytes that move earn it back, at BYTES_FOR_IDLE for the whole: silence and trickle end, a slow line lives.
// Plain TCP, IPv4. For this room only.
#pragma once
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
	void fresh();                        // a message begins: full patience, n_read from 0
	void hurry(int64_t ms);              // wait this long at most from now on
	bool wait(short events, int64_t at_most_ms);
	void moved(size_t n, bool is_read);  // n bytes passed
	void cut();                          // any thread, at any time: shuts the socket down, whatever waits on it wakes
	void opened(int socket);
	void closed();

	bool is_stopped() const { return stopped; }     // a wait ended because of stop_fd
	bool is_timed_out() const { return timed_out; } // ... or because patience did
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
	uint64_t read_since_fresh = 0;
	bool stopped = false, timed_out = false;
};
