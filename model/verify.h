/* Reference numbers (the form of tests/golden/NAME.json + NAME.bin, SEGAN.md "Reference numbers") run through this build. */
#pragma once
#include "config/err.h"

#include <stdbool.h>

struct verify_line { const char *tensor, *path /* "plain" or "fast" */; double error, tolerance; bool within; };
/* Calls line for every tensor compared. 0 with *within = all within tolerance; -1: the file cannot be used. */
int verify_file(const char *json_path, void (*line)(void *arg, const struct verify_line *l), void *arg, bool *within, struct err *e);
