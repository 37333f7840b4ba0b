/* For the tests of attributes and series: the good, odd and hostile files of tests/tools/mkseries.py in a folder of their own. Each test program includes it
 * once and gives make_files and folder_tear_down to cmocka. */
#pragma once
#include "dicom/dicom.h"
#include "tests/unit/own_folder.h"

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

static int
make_files(void **state)
{
	char *args[] = { (char *)"/usr/bin/python3", (char *)"tests/tools/mkseries.py", folder, NULL };
	struct err e;
	pid_t pid;
	int status;

	if (folder_set_up(state) != 0 || posix_spawn(&pid, args[0], NULL, NULL, args, environ) != 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return -1;
	return dicom_start(&e);
}
