/* A folder of the test's own that a script of tests/tools fills with DICOM files. For one test program each. */
#pragma once
#include "dicom/dicom.h"
#include "tests/unit/own_folder.h"

#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

/* Set-up of a group: the script gets the folder. Tear-down: folder_tear_down. */
static int
folder_made_by(void **state, const char *script)
{
	char *args[] = { (char *)"/usr/bin/python3", (char *)script, folder, NULL };
	struct err e;
	pid_t pid;
	int status;

	if (folder_set_up(state) != 0 || posix_spawn(&pid, args[0], NULL, NULL, args, environ) != 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return -1;
	return dicom_start(&e);
}
