/* For the tests of attributes and series: the good, odd and hostile files of tests/tools/mkseries.py in a folder of their own. Each test program includes it
 * once and gives make_files and folder_tear_down to cmocka. */
#pragma once
#include "tests/unit/made_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int
make_files(void **state)
{
	return folder_made_by(state, "tests/tools/mkseries.py");
}
