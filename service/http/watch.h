/* The time that a connection has, which the library knows only as silence: for the headers of a request and the handshake before it, for a request as a
 * whole. Where nearly all places are taken, the one without a request whose time ends first makes room: silence keeps nobody out. A connection over its time is told so (408, where nothing else is being said and TLS does not cover it) and shut; the library then ends it. */
#pragma once
#include "service/http/clients.h"

struct watch_limits { size_t most /* connections */; int64_t header_ms, idle_ms, request_ms, excess_ms /* the header of a connection over its client's number */; bool may_speak; };

struct watch;
struct link;                             /* one connection */
struct watch *watch_start(const struct watch_limits *l, struct err *e);     /* one thread; caller: watch_stop */
void watch_stop(struct watch *w);                                           /* when every connection has ended */

/* borrows client. fd: shut by us when its time is over, closed by the library after watch_end. NULL: no memory. */
struct link *watch_begin(struct watch *w, int fd, struct client *client, bool is_excess);
void watch_request(struct watch *w, struct link *l);                        /* the headers are here, and the body too of one whom nobody knows */
void watch_done(struct watch *w, struct link *l);                           /* the answer is sent; another request may follow */
void watch_end(struct watch *w, struct link *l);                            /* frees l */
void watch_say_late(struct watch *w, struct link *l);                       /* 408 in the middle of a body; the caller then closes */
struct client *watch_client(const struct link *l);                          /* borrowed, as given */
bool watch_is_excess(const struct link *l);
