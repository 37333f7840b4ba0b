/* A push parser for multipart/related (RFC 2046 5.1, RFC 2387): bytes go in as they arrive, parts come out as events. Memory is a few kB whatever the
 * body. Knows no HTTP library, no file and no DICOM. */
#pragma once
#include "config/err.h"
#include "service/http/media.h"

#include <stddef.h>

enum { MULTIPART_BOUNDARY = 71, MULTIPART_MAX_HEAD = 8192 };

/* What a request's Content-Type says: the boundary, and the type parameter in lower case ("" = absent). ERR_INPUT: not multipart/related, or no usable boundary. */
struct multipart_type { char boundary[MULTIPART_BOUNDARY], type[MEDIA_TYPE]; };
int multipart_type(const char *content_type, struct multipart_type *out, struct err *e);

struct multipart_head {
	char content_type[MEDIA_TYPE];   /* lower case, no parameters; "" = absent, "?" = not a media type */
	char transfer_encoding[32];      /* lower case; "" = absent */
};
/* Any event returning -1 ends the parsing with its error. */
struct multipart_sink {
	int (*begin)(void *arg, const struct multipart_head *head, struct err *e);
	int (*bytes)(void *arg, const char *bytes, size_t n, struct err *e);
	int (*end)(void *arg, struct err *e);
};

struct multipart;
/* borrows sink and arg. caller: multipart_free. */
struct multipart *multipart_new(const char *boundary, const struct multipart_sink *sink, void *arg, struct err *e);
void multipart_free(struct multipart *m);
/* -1: ERR_INPUT (malformed), or what an event said; nothing may be fed after that. */
int multipart_feed(struct multipart *m, const char *bytes, size_t n, struct err *e);
/* No more bytes will come. ERR_INPUT when the closing boundary has not been seen. */
int multipart_finish(const struct multipart *m, struct err *e);
