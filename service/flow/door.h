/* The DIMSE door: who may send, and what arrives goes to intake. */
#pragma once
#include "config/err.h"

struct node;
struct door;
struct door *door_start(struct node *n, struct err *e); /* caller: door_stop */
unsigned door_port(const struct door *d);
void door_stop(struct door *d);                         /* open associations are aborted */
