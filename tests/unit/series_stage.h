/* For the tests of attributes and series: the good, odd and hostile files of tests/tools/mkseries.py in a folder of their own. Each test program includes it
 * once and gives make_files and remove_files to cmocka. */
#pragma once
#include "config/file.h"
#include "dicom/dicom.h"

#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

extern char **environ;
static char folder[256];

static int
make_files(void **state)
{
	const char *tmp = getenv("TMPDIR");
	char *args[] = { (char *)"/usr/bin/python3", (char *)"tests/tools/mkseries.py", folder, NULL };
	struct err e;
	pid_t pid;
	int status;

	(void)state;
	snprintf(folder, sizeof folder, "%s/segan-series-XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(folder) == NULL || posix_spawn(&pid, args[0], NULL, NULL, args, environ) != 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return -1;
	return dicom_start(&e);
}

static int
remove_files(void **state)
{
	struct err e;

	(void)state;
	return file_remove_tree(folder, &e);
}
