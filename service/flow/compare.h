/* Whether an instance that came again is the first copy in another transfer syntax (DESIGN "Same instance"). Decoding is not for the daemon: a process of its
 * own, segand --compare, does it, with the worker's limits. */
#pragma once
#include "config/err.h"

struct node;
enum { COMPARE_AT_ONCE = 2, COMPARE_S = 20 /* one comparison may take, and as long may it wait for its turn */ };

/* On the door's thread, for up to 2 * COMPARE_S; holds nothing. 0: the same. ERR_STATE: why not, or why that cannot be told; ERR_LIMIT: too many at once. */
int compare_again(struct node *n, const char *path, const char *first, struct err *e);
int compare_main(int argc, char **argv); /* the process itself: a JSON line with two paths in, one line out */
