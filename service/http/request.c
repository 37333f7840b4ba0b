/* What handlers need to read a request and to fill a reply. */
#include "service/http/request.h"

#include "service/http/problem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *
request_query(const struct request *q, const char *key)
{
	for (size_t i = 0; i < q->n_query; i++)
		if (strcmp(q->query[i].key, key) == 0)
			return q->query[i].value;
	return NULL;
}

int
request_integer(const char *text, int64_t min, int64_t max, int64_t *out)
{
	int64_t value = 0;

	if (!*text)
		return -1;
	for (; *text; text++) {
		int digit = *text - '0';
		if (digit < 0 || digit > 9 || value > (INT64_MAX - digit) / 10)
			return -1;
		value = value * 10 + digit;
	}
	if (value < min || value > max)
		return -1;
	*out = value;
	return 0;
}

void
reply_init(struct reply *r)
{
	memset(r, 0, sizeof *r);
	r->fd = -1;
}

void
reply_release(struct reply *r)
{
	free(r->body);
	if (r->fd >= 0)
		close(r->fd);
	reply_init(r);
}

void
reply_header(struct reply *r, const char *name, const char *value)
{
	assert(r->n_headers < REPLY_HEADERS);
	r->headers[r->n_headers].name = name;
	snprintf(r->headers[r->n_headers].value, sizeof r->headers[0].value, "%s", value);
	r->n_headers++;
}

void
reply_text(struct reply *r, unsigned status, const char *type, char *text)
{
	free(r->body);
	r->status = status;
	r->type = type;
	r->body = text;
	r->n_body = strlen(text);
}

void
reply_json(struct reply *r, unsigned status, struct json *v)
{
	struct err e;
	char *text = json_print(v, false, &e);

	json_free(v);
	if (text)
		reply_text(r, status, "application/json", text);
	else
		problem_error(r, &e);
}

void
reply_file(struct reply *r, const char *path, const char *type, const char *absent)
{
	struct err e;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && errno == ENOENT) {
		problem_set(r, 404, "%s", absent);
		return;
	}
	if (fd < 0 || fstat(fd, &st) < 0) {
		err_errno(&e, "%s", path);
		if (fd >= 0)
			close(fd);
		problem_error(r, &e);
		return;
	}
	r->status = 200;
	r->type = type;
	r->fd = fd;
	r->file_size = (uint64_t)st.st_size;
}
