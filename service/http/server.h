/* The HTTP door (libmicrohttpd). */
#pragma once
#include "config/err.h"

struct node;
struct workers;
struct server;
struct server *server_start(struct node *n, struct workers *w, struct err *e); /* binds, answers; caller: server_stop */
unsigned server_port(const struct server *s);
void server_ready(struct server *s);          /* from now on /ready is 200 */
void server_stop(struct server *s);
