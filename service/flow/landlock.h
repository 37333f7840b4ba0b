/* Which files the calling thread, and the threads that it starts later, may open from here on: Landlock (Linux 5.13 and later; landlock(7)). What is open stays
 * open. Where the kernel has none nothing is restricted. */
#pragma once
#include "config/err.h"

#include <stdbool.h>
#include <stddef.h>

struct landlock_path { const char *path; bool may_write; };        /* a file, or a folder with all below it; one that is not there is left out */

int landlock_version(void);                                        /* of the kernel's interface; 0 = it has none */
/* Needs PR_SET_NO_NEW_PRIVS. A second call takes more away and gives nothing back. */
int landlock_restrict(const struct landlock_path *paths, size_t n, struct err *e);
