/* Every error, on every path, is application/problem+json (RFC 9457). */
#pragma once
#include "service/http/request.h"

/* Replaces what *r held but its headers. */
void problem_set(struct reply *r, unsigned status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The status that the error's code means (config/err.c), its text as detail; Retry-After where later may be better because of a bound. */
void problem_error(struct reply *r, const struct err *e);
const char *problem_title(unsigned status);  /* the status' words (RFC 9110 15); static */
