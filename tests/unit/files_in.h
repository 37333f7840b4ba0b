/* The files of a folder. For one test program each. */
#pragma once
#include "config/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SERIES_FILES = 100 };
struct paths { char *path[SERIES_FILES]; size_t n; };

static int
note_path(void *arg, const char *path, struct err *e)
{
	struct paths *p = arg;

	(void)e;
	assert_true(p->n < SERIES_FILES);
	p->path[p->n++] = strdup(path);
	return 0;
}
