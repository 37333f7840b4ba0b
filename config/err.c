/* How failure is said. One table holds what each code means to the outside. */
#include "config/err.h"
#include "config/utf8.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int http;
	unsigned dimse;
	bool may_pass;
} meaning[ERR_N_CODES] = {
	[ERR_NONE] = { "none", 200, 0x0000, false },
	[ERR_INPUT] = { "input", 400, 0xC000, false },
	[ERR_NOT_FOUND] = { "not_found", 404, 0xC000, false },
	[ERR_STATE] = { "state", 409, 0x0110, false },
	[ERR_LIMIT] = { "limit", 503, 0xA700, true },
	[ERR_IO] = { "io", 503, 0xA700, true },
	[ERR_PEER] = { "peer", 502, 0x0110, true },
	[ERR_BUG] = { "bug", 500, 0x0110, false },
};

enum { LONGEST = 2 * sizeof(((struct err *)0)->text) }; /* what is composed before it is cut at a word */

int
err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	char text[LONGEST];
	va_list ap;

	assert(code > ERR_NONE && code < ERR_N_CODES);
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	e->code = code;
	utf8_shorten(e->text, sizeof e->text, text);
	return -1;
}

int
err_errno(struct err *e, const char *fmt, ...)
{
	int number = errno;
	char text[LONGEST], room[128];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	n = strlen(text);
	snprintf(text + n, sizeof text - n, ": %s", strerror_r(number, room, sizeof room)); /* GNU's: the text, in room or not */
	e->code = number == ENOSPC || number == EDQUOT || number == ENOMEM || number == EMFILE || number == ENFILE ? ERR_LIMIT : ERR_IO;
	utf8_shorten(e->text, sizeof e->text, text);
	return -1;
}

int
err_note(struct err *e, const char *fmt, ...)
{
	char text[LONGEST];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	n = strlen(text);
	snprintf(text + n, sizeof text - n, ": %s", e->text);
	utf8_shorten(e->text, sizeof e->text, text);
	return -1;
}

bool
err_may_pass(enum err_code code)
{
	assert(code < ERR_N_CODES);
	return meaning[code].may_pass;
}

int
err_http_status(enum err_code code)
{
	assert(code < ERR_N_CODES);
	return meaning[code].http;
}

unsigned
err_dimse_status(enum err_code code)
{
	assert(code < ERR_N_CODES);
	return meaning[code].dimse;
}

const char *
err_name(enum err_code code)
{
	assert(code < ERR_N_CODES);
	return meaning[code].name;
}
