/* How failure is said. One table holds what each code means to the outside. */
#include "config/err.h"

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
	[ERR_IO] = { "io", 500, 0xA700, true },
	[ERR_PEER] = { "peer", 502, 0x0110, true },
	[ERR_BUG] = { "bug", 500, 0x0110, false },
};

int
err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	assert(code > ERR_NONE && code < ERR_N_CODES);
	e->code = code;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	return -1;
}

int
err_errno(struct err *e, const char *fmt, ...)
{
	int number = errno;
	va_list ap;
	size_t n;

	e->code = number == ENOSPC || number == EDQUOT || number == ENOMEM || number == EMFILE || number == ENFILE ? ERR_LIMIT : ERR_IO;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	if (n + 3 < sizeof e->text) {
		char room[128];
		snprintf(e->text + n, sizeof e->text - n, ": %s", strerror_r(number, room, sizeof room)); /* GNU's: the text, in room or not */
	}
	return -1;
}

int
err_note(struct err *e, const char *fmt, ...)
{
	char old[sizeof e->text];
	va_list ap;
	size_t n;

	memcpy(old, e->text, sizeof old);
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof e->text - n, ": %s", old);
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
