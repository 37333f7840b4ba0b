/* A page of a list that is told newest first: what the query says of it (study, since, limit, cursor), and the answer with its "next". */
#pragma once
#include "service/http/request.h"

struct page { const char *study_uid /* NULL: of all; borrowed from q */; int64_t since_ms, before_id /* 0: from the newest */; size_t limit; };
int page_read(const struct request *q, struct page *p, struct err *e);      /* ERR_INPUT: which is wrong, and what it may be */
struct json *page_json(const char *name, struct json *list, bool is_more, int64_t last_id); /* takes list; last_id: of the last that is in it */
