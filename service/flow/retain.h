/* Retention: removes what is old or too much, whole studies, the oldest first (settings "retention"). One thread, woken by the node's retain bell (something ended
 * that held a study, or there is no room), and by the next study's turn. */
#pragma once
#include "config/err.h"

#include <stdint.h>

struct node;
struct retain;
struct retain *retain_start(struct node *n, struct err *e); /* caller: retain_stop */
void retain_stop(struct retain *r);

/* Everything that is to be done now; *wait_ms: until the next look. What the thread does, for tests. */
int retain_look(struct retain *r, int64_t *wait_ms, struct err *e);
struct retain *retain_new(struct node *n, struct err *e);   /* without a thread; caller: free */
