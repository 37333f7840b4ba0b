/* A JSON body as it arrives: kept in memory up to http.max_json_kb, read no deeper than http.max_json_depth. */
#pragma once
#include "config/json.h"
#include "config/settings.h"

struct json_body { char *text; size_t n, room; bool is_too_large; };        /* zero: not opened */

int  json_body_open(struct json_body *b, const struct settings *s, struct err *e); /* caller: json_body_free */
void json_body_add(struct json_body *b, const char *bytes, size_t n);       /* what is too large is not kept */
struct json_doc *json_body_parse(const struct json_body *b, const struct settings *s, struct err *e); /* ERR_INPUT. caller: json_doc_free */
void json_body_free(struct json_body *b);
