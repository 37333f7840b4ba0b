/* The push parser. A delimiter is CR LF "--" boundary, then "--" (the last), or spaces and CR LF (another part follows); anything else behind the boundary
 * makes it content, a longer boundary inside a body for one. Bytes that may be the beginning of a delimiter are held back until that is known: at most
 * HELD of them, so a piece's end may fall anywhere. What precedes the first delimiter and follows the last is ignored. RFC 2046 5.1.1. */
#include "service/http/multipart.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PADDING = 64, DELIMITER = 4 + MULTIPART_BOUNDARY, HELD = DELIMITER + PADDING + 2 };
enum state { PREAMBLE, HEAD, BODY, EPILOGUE };
enum verdict { MORE, CONTENT, NEXT_PART, LAST };

struct multipart {
	const struct multipart_sink *sink;
	void *arg;
	enum state state;
	char delimiter[DELIMITER];       /* CR LF "--" boundary */
	size_t n_delimiter;
	char held[HELD];                 /* a delimiter as far as it has come */
	size_t n_held, n_assumed;        /* the first n_assumed of them were not in the body: a body's start counts as the start of a line */
	char head[MULTIPART_MAX_HEAD];   /* header lines of the part that begins */
	size_t n_head, line_start;
};

int
multipart_type(const char *content_type, struct multipart_type *out, struct err *e)
{
	char type[MEDIA_TYPE];
	size_t n;

	memset(out, 0, sizeof *out);
	if (media_type(content_type, type) < 0 || strcmp(type, "multipart/related") != 0)
		return err_set(e, ERR_INPUT, "the body must be multipart/related; type=\"application/dicom\"");
	if (media_param(content_type, "type", out->type, sizeof out->type) < 0)
		return err_set(e, ERR_INPUT, "the type parameter of Content-Type is malformed");
	if (media_param(content_type, "boundary", out->boundary, sizeof out->boundary) != 1)
		return err_set(e, ERR_INPUT, "Content-Type needs a boundary parameter of 1 to 70 characters");
	n = strlen(out->boundary);
	for (size_t i = 0; i < n; i++)
		if (out->boundary[i] < ' ' || out->boundary[i] > '~')
			n = 0;
	if (n == 0 || out->boundary[n - 1] == ' ')
		return err_set(e, ERR_INPUT, "the boundary in Content-Type must be 1 to 70 printable characters and not end with a space");
	for (char *c = out->type; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return 0;
}

/* From here a delimiter may follow without its CR LF: at the start of everything, and of a part's content (an empty part). */
static void
assume_line_start(struct multipart *m)
{
	memcpy(m->held, "\r\n", 2);
	m->n_held = m->n_assumed = 2;
}

struct multipart *
multipart_new(const char *boundary, const struct multipart_sink *sink, void *arg, struct err *e)
{
	size_t n = strlen(boundary);
	struct multipart *m;

	assert(n > 0 && n < MULTIPART_BOUNDARY);
	m = calloc(1, sizeof *m);
	if (!m) {
		err_errno(e, "multipart parser");
		return NULL;
	}
	m->sink = sink;
	m->arg = arg;
	memcpy(m->delimiter, "\r\n--", 4);
	memcpy(m->delimiter + 4, boundary, n);
	m->n_delimiter = 4 + n;
	assume_line_start(m);
	return m;
}

void
multipart_free(struct multipart *m)
{
	free(m);
}

static int
content(struct multipart *m, const char *bytes, size_t n, struct err *e)
{
	return m->state == BODY && n > 0 ? m->sink->bytes(m->arg, bytes, n, e) : 0;
}

/* How many bytes certainly do not begin a delimiter. */
static size_t
plain_run(const struct multipart *m, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *cr = memchr(bytes + i, '\r', n - i);
		size_t left;
		if (!cr)
			return n;
		i = (size_t)(cr - bytes);
		left = n - i < m->n_delimiter ? n - i : m->n_delimiter;
		if (memcmp(cr, m->delimiter, left) == 0)
			return i;
	}
	return n;
}

/* What the held bytes become with c behind them. */
static enum verdict
look(const struct multipart *m, char c)
{
	size_t tail = m->n_held - m->n_delimiter;              /* bytes behind the boundary */
	char last = m->n_held > 0 ? m->held[m->n_held - 1] : '\0';

	if (m->n_held < m->n_delimiter)
		return c == m->delimiter[m->n_held] ? MORE : CONTENT;
	if (tail > 0 && last == '-')
		return c == '-' ? LAST : CONTENT;
	if (tail > 0 && last == '\r')
		return c == '\n' ? NEXT_PART : CONTENT;
	if (c == '\r' || (c == '-' && tail == 0))
		return MORE;
	return (c == ' ' || c == '\t') && tail < PADDING ? MORE : CONTENT;
}

/* The held bytes were content after all. None of them begins another delimiter: a CR behind the boundary would need the LF that did not come. */
static int
release(struct multipart *m, struct err *e)
{
	size_t from = m->n_assumed, n = m->n_held - from;

	m->n_held = m->n_assumed = 0;
	return content(m, m->held + from, n, e);
}

static int
delimiter(struct multipart *m, enum verdict verdict, struct err *e)
{
	bool in_part = m->state == BODY;

	m->n_held = m->n_assumed = 0;
	m->state = verdict == LAST ? EPILOGUE : HEAD;
	m->n_head = m->line_start = 0;
	return in_part ? m->sink->end(m->arg, e) : 0;
}

static int
feed_content(struct multipart *m, const char *bytes, size_t n, size_t *used, struct err *e)
{
	enum verdict verdict;

	if (m->n_held == 0) {
		*used = plain_run(m, bytes, n);
		if (*used > 0)
			return content(m, bytes, *used, e);
	}
	verdict = look(m, *bytes);
	*used = verdict == CONTENT ? 0 : 1;
	if (verdict == CONTENT)
		return release(m, e);
	if (verdict != MORE)
		return delimiter(m, verdict, e);
	assert(m->n_held < HELD);
	m->held[m->n_held++] = *bytes;
	return 0;
}

static void
copy_lower(char *out, size_t n_out, const char *text, size_t n)
{
	size_t i;

	for (i = 0; i < n && i + 1 < n_out; i++)
		out[i] = (char)tolower((unsigned char)text[i]);
	out[i] = '\0';
}

/* One header line "Name: value" of n bytes, no line end. */
static int
head_line(struct multipart_head *head, char *line, size_t n, struct err *e)
{
	char *colon = memchr(line, ':', n), *value, *end = line + n;
	size_t n_name = colon ? (size_t)(colon - line) : 0;

	if (!n_name || memchr(line, '\0', n) || memchr(line, ' ', n_name) || memchr(line, '\t', n_name))
		return err_set(e, ERR_INPUT, "a part has a malformed header line");
	for (value = colon + 1; value < end && (*value == ' ' || *value == '\t'); value++)
		;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (n_name == 12 && strncasecmp(line, "Content-Type", 12) == 0) {
		char text[MULTIPART_MAX_HEAD];
		memcpy(text, value, (size_t)(end - value));
		text[end - value] = '\0';
		if (media_type(text, head->content_type) < 0)
			memcpy(head->content_type, "?", 2);
	} else if (n_name == 25 && strncasecmp(line, "Content-Transfer-Encoding", 25) == 0) {
		copy_lower(head->transfer_encoding, sizeof head->transfer_encoding, value, (size_t)(end - value));
	}
	return 0;
}

static int
read_head(struct multipart *m, struct multipart_head *head, struct err *e)
{
	char *line = m->head, *end = m->head + m->n_head, *lf;

	memset(head, 0, sizeof *head);
	for (char *c = m->head; c + 1 < end; c++)              /* a line that begins with a space goes on with the one before (RFC 5322 2.2.3) */
		if (*c == '\n' && (c[1] == ' ' || c[1] == '\t')) {
			*c = ' ';
			if (c > m->head && c[-1] == '\r')
				c[-1] = ' ';
		}
	for (; line < end && (lf = memchr(line, '\n', (size_t)(end - line))) != NULL; line = lf + 1) {
		size_t n = (size_t)(lf - line);
		if (n > 0 && line[n - 1] == '\r')
			n--;
		if (n > 0 && head_line(head, line, n, e) < 0)
			return -1;
	}
	return 0;
}

static int
feed_head(struct multipart *m, char c, struct err *e)
{
	struct multipart_head head;
	size_t length;

	if (m->n_head == sizeof m->head)
		return err_set(e, ERR_INPUT, "a part's headers are longer than %d bytes", MULTIPART_MAX_HEAD);
	m->head[m->n_head++] = c;
	if (c != '\n')
		return 0;
	length = m->n_head - m->line_start;
	m->line_start = m->n_head;
	if (length > 2 || (length == 2 && m->head[m->n_head - 2] != '\r'))
		return 0;
	if (read_head(m, &head, e) < 0)
		return -1;
	m->state = BODY;
	assume_line_start(m);
	return m->sink->begin(m->arg, &head, e);
}

int
multipart_feed(struct multipart *m, const char *bytes, size_t n, struct err *e)
{
	while (n > 0 && m->state != EPILOGUE) {
		size_t used = 1;
		if (m->state == HEAD ? feed_head(m, *bytes, e) < 0 : feed_content(m, bytes, n, &used, e) < 0)
			return -1;
		bytes += used;
		n -= used;
	}
	return 0;
}

int
multipart_finish(const struct multipart *m, struct err *e)
{
	return m->state == EPILOGUE ? 0 : err_set(e, ERR_INPUT, "the body ends before its closing boundary");
}
