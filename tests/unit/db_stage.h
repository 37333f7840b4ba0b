/* A database of its own for each test of db/: set_up and tear_down for cmocka. */
#pragma once
#include "db/db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[256], path[300];
static struct db *d;
static struct err e;

static int
set_up(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(folder, sizeof folder, "%s/test_db.XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/segand.db", folder);
	d = db_open(path, &e);
	return d == NULL;
}

static int
tear_down(void **state)
{
	(void)state;
	db_close(d);
	unlink(path);
	return rmdir(folder);
}
