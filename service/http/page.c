/* See page.h. */
#include "service/http/page.h"

#include "config/clock.h"
#include "dicom/dicom.h"

#include <inttypes.h>
#include <stdio.h>

enum { LIMIT_DEFAULT = 50, LIMIT_MOST = 1000 };

int
page_read(const struct request *q, struct page *p, struct err *e)
{
	const char *since = request_query(q, "since"), *limit = request_query(q, "limit"), *cursor = request_query(q, "cursor");
	int64_t most = LIMIT_DEFAULT;

	*p = (struct page){ .study_uid = request_query(q, "study") };
	if (p->study_uid && !dicom_uid_is_valid(p->study_uid))
		return err_set(e, ERR_INPUT, "study: not a UID");
	if (since && clock_parse(since, &p->since_ms, e) < 0)
		return err_note(e, "since");
	if (limit && request_integer(limit, 1, LIMIT_MOST, &most) < 0)
		return err_set(e, ERR_INPUT, "limit: a number from 1 to %d", LIMIT_MOST);
	if (cursor && request_integer(cursor, 1, INT64_MAX, &p->before_id) < 0)
		return err_set(e, ERR_INPUT, "cursor: what \"next\" said, unchanged");
	p->limit = (size_t)most;
	return 0;
}

struct json *
page_json(const char *name, struct json *list, bool is_more, int64_t last_id)
{
	struct json *o = json_new_object();
	char next[24];

	json_set(o, name, list);
	snprintf(next, sizeof next, "%" PRId64, last_id);
	json_set_string(o, "next", is_more ? next : NULL);
	return o;
}
