/* Results to destinations: C-STORE or STOW-RS, one thread a destination, state from each response, backoff for what may pass. */
#pragma once
#include "config/err.h"

struct node;
struct deliver;
struct deliver *deliver_start(struct node *n, struct err *e); /* caller: deliver_stop */
void deliver_stop(struct deliver *d);
