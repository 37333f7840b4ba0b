/* The series whose files lie in a folder. For one test program each. */
#pragma once
#include "config/file.h"
#include "dicom/series.h"

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

/* caller: series_free */
static struct series *
series_in(const char *dir)
{
	struct paths p = { .n = 0 };
	struct series *s;
	struct err e;

	assert_int_equal(file_walk(dir, note_path, &p, &e), 0);
	s = series_load(&(struct series_input) { .paths = (const char *const *)p.path, .n = p.n }, &e);
	while (p.n > 0)
		free(p.path[--p.n]);
	if (s == NULL)
		fail_msg("%s", e.text);
	return s;
}
