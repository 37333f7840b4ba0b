/* DESTINATION on a command line: a configured name, or AET@HOST:PORT. */
#pragma once
#include "config/settings.h"

/* Fills *out. ERR_NOT_FOUND names the configured ones; ERR_INPUT for a malformed AET@HOST:PORT or a "sender" destination. */
int destination_find(const struct settings *s, const char *text, struct destination_setting *out, struct err *e);
