/* Media types as HTTP writes them (RFC 9110 8.3, 12.5.1): type, parameters, and what an Accept header takes. Text only. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { MEDIA_TYPE = 128 };

bool media_is_token(const char *text);       /* RFC 9110 5.6.2: a header's name, for one */
/* "type/subtype" in lower case, without parameters. -1: not a media type, or too long. */
int media_type(const char *text, char type[MEDIA_TYPE]);
/* A parameter's value, its quotes and escapes taken off. 1 found, 0 absent, -1 malformed or longer than n - 1. */
int media_param(const char *text, const char *name, char *value, size_t n);
/* The offer that an Accept header likes best, the earlier one of equals; NULL accept takes the first. NULL: none is acceptable. borrowed from offers. */
const char *media_accept(const char *accept, const char *const *offers, size_t n);
