/* Settles series, matches cases, queues jobs. One thread, woken by the node's dispatch bell and by the next quiet time. */
#pragma once
#include "config/err.h"

struct node;
struct rules;
struct dispatch;
struct dispatch *dispatch_start(struct node *n, const struct rules *r, struct err *e); /* caller: dispatch_stop */
void dispatch_stop(struct dispatch *d);
