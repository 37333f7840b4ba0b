/* RFC 9457 with the type about:blank: the title is the status' own words, the detail is ours. Needs no memory it cannot do without: when the JSON cannot
 * be made, the reply has the status and no body. */
#include "service/http/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct { unsigned status; const char *title; } titles[] = {
	{ 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" }, { 404, "Not Found" }, { 405, "Method Not Allowed" }, { 406, "Not Acceptable" }, { 409, "Conflict" },
	{ 410, "Gone" }, { 411, "Length Required" }, { 413, "Content Too Large" }, { 415, "Unsupported Media Type" }, { 429, "Too Many Requests" }, { 431, "Request Header Fields Too Large" }, { 500, "Internal Server Error" },
	{ 501, "Not Implemented" }, { 502, "Bad Gateway" }, { 503, "Service Unavailable" },
};

const char *
problem_title(unsigned status)
{
	for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
		if (titles[i].status == status)
			return titles[i].title;
	return "Error";
}

static char *
print_problem(unsigned status, const char *detail)
{
	struct json *v = json_new_object();
	struct err ignored;                                    /* no memory: the status alone must do */
	char *text;

	json_set_string(v, "type", "about:blank");
	json_set_string(v, "title", problem_title(status));
	json_set_int(v, "status", status);
	json_set_string(v, "detail", detail);
	text = json_print(v, false, &ignored);
	json_free(v);
	return text;
}

void
problem_set(struct reply *r, unsigned status, const char *fmt, ...)
{
	char detail[1024];
	va_list ap;
	char *text;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof detail, fmt, ap);
	va_end(ap);
	text = print_problem(status, detail);
	free(r->body);
	r->body = NULL;
	r->n_body = 0;
	r->status = status;
	r->type = "application/problem+json";
	if (text)
		reply_text(r, status, r->type, text);
}

void
problem_error(struct reply *r, const struct err *e)
{
	problem_set(r, (unsigned)err_http_status(e->code), "%s", e->text);
	if (err_http_status(e->code) == 503)
		reply_header(r, "Retry-After", "60");
}
