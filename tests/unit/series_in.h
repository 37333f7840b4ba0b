/* The series whose files lie in a folder. For one test program each. */
#pragma once
#include "dicom/series.h"
#include "tests/unit/files_in.h"

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
