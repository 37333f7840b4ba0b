/* A folder of the test's own below TMPDIR: set-up and tear-down, or called by those. */
#pragma once
#include "config/file.h"

#include <stdio.h>
#include <stdlib.h>

static char folder[256];

static int
folder_set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "%s/segan-test.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	return mkdtemp(folder) ? 0 : -1;
}

static int
folder_tear_down(void **state)
{
	struct err e;

	(void)state;
	return file_remove_tree(folder, &e);
}
