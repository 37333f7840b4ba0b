/* One allocation, made when the headers are known: what arrives chooses no size. */
#include "service/http/json_body.h"

#include <stdlib.h>
#include <string.h>

int
json_body_open(struct json_body *b, const struct settings *s, struct err *e)
{
	*b = (struct json_body){ .room = (size_t)s->http.max_json_kb << 10 };
	b->text = malloc(b->room);
	return b->text != NULL ? 0 : err_errno(e, "a request's JSON");
}

void
json_body_add(struct json_body *b, const char *bytes, size_t n)
{
	b->is_too_large = b->is_too_large || n > b->room - b->n;
	if (b->is_too_large)
		return;
	memcpy(b->text + b->n, bytes, n);
	b->n += n;
}

struct json_doc *
json_body_parse(const struct json_body *b, const struct settings *s, struct err *e)
{
	return json_parse(b->text, b->n, JSON_DEPTH(s->http.max_json_depth), e);
}

void
json_body_free(struct json_body *b)
{
	free(b->text);
	*b = (struct json_body){ .n = 0 };
}
