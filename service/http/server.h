/* The HTTP door (libmicrohttpd). */
#pragma once
#include "config/settings.h"

struct node;
struct workers;
struct server;
/* The files that the settings of http name, before anything is opened. ERR_INPUT, ERR_NOT_FOUND: which setting and file, what is wrong, what helps. */
int server_check(const struct settings *s, struct err *e);
struct server *server_start(struct node *n, struct workers *w, struct err *e); /* binds, answers; caller: server_stop */
unsigned server_port(const struct server *s);
void server_ready(struct server *s);          /* from now on /ready is 200 */
void server_stop(struct server *s);
