/* POST /dicom-web/studies[/{study}]: one request is one association. Each part goes to a file of its own in the spool's tmp folder as it arrives, and through
 * intake when it is whole. An error of one part is remembered, not answered: libmicrohttpd takes no response in the middle of a body (LEADS 5).
 * A body that ends early closes the association as aborted: what it brought waits for the sender's next try. PS3.18 10.5, DICOM.md 6. */
#include "service/http/stow.h"

#include "config/log.h"
#include "db/instances.h"
#include "dicom/dicom.h"
#include "service/flow/intake.h"
#include "service/flow/node.h"
#include "service/flow/spool.h"
#include "service/http/handlers.h"
#include "service/http/multipart.h"
#include "service/http/problem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PREAMBLE = 128, NOT_UNDERSTOOD = 0xC000, LOGGED_PARTS = 5 /* of one request; the others are counted */ };

struct stow {
	struct node *node;
	const char *study_uid;           /* of the path; NULL = any */
	int64_t association;
	bool is_open;
	struct multipart *parser;
	char path[SPOOL_PATH];           /* the present part's file; "" = none */
	int fd;                          /* -1 = none */
	int64_t part_bytes;
	bool skips;                      /* the present part has failed already */
	struct stow_item *items;
	size_t n_items, room;
	size_t n_refused;
	char why[256];                   /* the first failure */
	struct err broken;               /* why the body as a whole cannot be read; ERR_NONE = it can */
	unsigned broken_status;
};

static void
part_close(struct stow *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	if (s->path[0])
		unlink(s->path);             /* gone already when intake took it */
	s->path[0] = '\0';
}

static struct stow_item *
add_item(struct stow *s, struct err *e)
{
	if (s->n_items == s->room) {
		size_t room = s->room ? s->room * 2 : 64;
		struct stow_item *more = realloc(s->items, room * sizeof *more);
		if (!more) {
			err_errno(e, "list of parts");
			return NULL;
		}
		s->items = more;
		s->room = room;
	}
	memset(&s->items[s->n_items], 0, sizeof *s->items);
	return &s->items[s->n_items++];
}

static void
remember(struct stow *s, const struct stow_item *item, const char *text)
{
	if (s->n_refused++ == 0)
		snprintf(s->why, sizeof s->why, "part %zu: %s", s->n_items, text);
	log_event(s->n_refused <= LOGGED_PARTS ? LOG_INFO : LOG_DEBUG, "stow_part_refused", "association=%lld part=%zu instance=%s reason=%04X text=\"%s\"", (long long)s->association, s->n_items,
	          item->sop_uid[0] ? item->sop_uid : "-", item->reason, text);
}

/* The present part fails before intake saw it. */
static int
part_fails(struct stow *s, unsigned reason, unsigned status, const char *text, struct err *e)
{
	struct stow_item *item = add_item(s, e);

	if (!item)
		return -1;
	part_close(s);
	s->skips = true;
	atomic_fetch_add(&s->node->n_refused, 1);
	item->reason = reason;
	item->status = status;
	remember(s, item, text);
	return 0;
}

static int
part_error(struct stow *s, const struct err *cause, struct err *e)
{
	return part_fails(s, err_dimse_status(cause->code), (unsigned)err_http_status(cause->code), cause->text, e);
}

static bool
encoding_is_plain(const char *encoding)
{
	return !*encoding || strcmp(encoding, "binary") == 0 || strcmp(encoding, "8bit") == 0 || strcmp(encoding, "7bit") == 0;
}

static int
on_begin(void *arg, const struct multipart_head *head, struct err *e)
{
	struct stow *s = arg;
	struct err cause;

	s->skips = false;
	s->part_bytes = 0;
	if (s->n_items == (size_t)s->node->settings->http.max_parts)
		return err_set(e, ERR_LIMIT, "more than %lld parts in one request (http.max_parts)", (long long)s->node->settings->http.max_parts);
	if (head->content_type[0] && strcmp(head->content_type, "application/dicom") != 0)
		return part_fails(s, NOT_UNDERSTOOD, 415, "its Content-Type is not application/dicom", e);
	if (!encoding_is_plain(head->transfer_encoding))
		return part_fails(s, NOT_UNDERSTOOD, 415, "its Content-Transfer-Encoding is not binary", e);
	if (spool_has_room(s->node, &cause) < 0 || spool_tmp(s->node, s->path, &cause) < 0)
		return part_error(s, &cause, e);
	s->fd = open(s->path, O_WRONLY | O_CLOEXEC);
	if (s->fd < 0) {
		err_errno(&cause, "%s", s->path);
		return part_error(s, &cause, e);
	}
	return 0;
}

/* What stands in a file's first 128 bytes belongs to no data set (PS3.10 7.1), and may make a program or a page of it: it stays outside. */
static size_t
without_preamble(const struct stow *s, const char **bytes, size_t n)
{
	static const char zeros[PREAMBLE];
	size_t at = (size_t)s->part_bytes;

	if (at >= PREAMBLE)
		return n;
	*bytes = zeros;
	return n < PREAMBLE - at ? n : PREAMBLE - at;
}

static int
on_bytes(void *arg, const char *bytes, size_t n, struct err *e)
{
	struct stow *s = arg;
	const char *from = bytes;
	size_t k = without_preamble(s, &from, n);

	if (s->skips || n == 0)
		return 0;
	if (k < n)
		return on_bytes(arg, bytes, k, e) != 0 ? -1 : on_bytes(arg, bytes + k, n - k, e);
	bytes = from;
	s->part_bytes += (int64_t)n;
	if (s->part_bytes > s->node->settings->dicom.max_instance_mb << 20)
		return part_fails(s, err_dimse_status(ERR_LIMIT), 413, "it is larger than dicom.max_instance_mb", e);
	while (n > 0) {
		ssize_t written = write(s->fd, bytes, n);
		if (written < 0 && errno != EINTR) {
			struct err cause;
			err_errno(&cause, "%s", s->path);
			return part_error(s, &cause, e);
		}
		if (written > 0) {
			bytes += written;
			n -= (size_t)written;
		}
	}
	return 0;
}

static int
on_end(void *arg, struct err *e)
{
	struct stow *s = arg;
	struct intake_file f = { .path = s->path, .study_uid = s->study_uid, .association = s->association };
	struct intake_answer a;
	struct stow_item *item;
	struct err cause;
	int rc;

	if (s->skips)
		return 0;
	item = add_item(s, e);
	if (!item)
		return -1;
	rc = close(s->fd);
	s->fd = -1;
	memset(&a, 0, sizeof a);
	if (rc < 0)
		err_errno(&cause, "%s", s->path);
	else
		rc = intake_add(s->node, &f, &a, &cause);
	snprintf(item->sop_class, sizeof item->sop_class, "%s", a.sop_class);
	snprintf(item->sop_uid, sizeof item->sop_uid, "%s", a.sop_uid);
	snprintf(item->study_uid, sizeof item->study_uid, "%s", a.study_uid);
	snprintf(item->series_uid, sizeof item->series_uid, "%s", a.series_uid);
	item->status = 200;
	if (rc < 0) {
		item->reason = a.dimse_status ? a.dimse_status : err_dimse_status(cause.code);
		item->status = stow_item_status(item, cause.code);
		remember(s, item, cause.text);
	}
	part_close(s);
	return 0;
}

static const struct multipart_sink sink = { on_begin, on_bytes, on_end };

/* Refuses what can be refused by the headers alone. */
static int
check_headers(const struct request *q, struct multipart_type *type, struct reply *r)
{
	const char *content_type = request_header(q, "Content-Type"), *encoding = request_header(q, "Content-Encoding");
	struct err e;

	if (q->params[0][0] && !dicom_uid_is_valid(q->params[0]))
		problem_set(r, 400, "the study in the path is not a UID");
	else if (multipart_type(content_type ? content_type : "", type, &e) < 0)
		problem_set(r, 415, "%s", e.text);
	else if (type->type[0] && strcmp(type->type, "application/dicom") != 0)
		problem_set(r, 415, "only multipart/related; type=\"application/dicom\" is stored here");
	else if (encoding && *encoding && strcasecmp(encoding, "identity") != 0)
		problem_set(r, 415, "a body with Content-Encoding is not read here");
	else if (q->length == -2)
		problem_set(r, 411, "Content-Length or Transfer-Encoding: chunked is needed");
	else if (spool_has_room(q->node, &e) < 0) {
		bell_ring(&q->node->retain);
		problem_error(r, &e);
	} else {
		return 0;
	}
	return -1;
}

static void
stow_drop(struct request *q)
{
	struct stow *s = q->upload;

	if (!s)
		return;
	part_close(s);
	if (s->is_open) {
		log_event(LOG_INFO, "stow_aborted", "association=%lld parts=%zu refused=%zu", (long long)s->association, s->n_items, s->n_refused);
		intake_close(s->node, s->association, false);
	}
	multipart_free(s->parser);
	free(s->items);
	free(s);
	q->upload = NULL;
}

static int
stow_begin(struct request *q, struct reply *r)
{
	const struct association_peer sender = { .aet = "STOW", .address = q->client, .token = q->who[0] ? q->who : NULL, .role = q->who[0] ? auth_role_name(q->role) : NULL };
	struct multipart_type type;
	struct stow *s;
	struct err e;

	if (check_headers(q, &type, r) < 0)
		return -1;
	s = calloc(1, sizeof *s);
	if (!s) {
		err_errno(&e, "STOW request");
		problem_error(r, &e);
		return -1;
	}
	s->node = q->node;
	s->fd = -1;
	s->study_uid = q->params[0][0] ? q->params[0] : NULL;
	q->upload = s;
	s->parser = multipart_new(type.boundary, &sink, s, &e);
	s->is_open = s->parser && intake_open_by(s->node, &sender, &s->association, &e) == 0;
	if (!s->is_open) {
		problem_error(r, &e);
		stow_drop(q);
		return -1;
	}
	return 0;
}

static void
stow_piece(struct request *q, const char *bytes, size_t n)
{
	struct stow *s = q->upload;

	if (s->broken.code != ERR_NONE)
		return;
	if (multipart_feed(s->parser, bytes, n, &s->broken) < 0) {
		s->broken_status = s->broken.code == ERR_LIMIT ? 413 : (unsigned)err_http_status(s->broken.code);
		part_close(s);
	}
}

void
stow_answer(struct request *q, struct reply *r)
{
	struct stow *s = q->upload;

	if (s->broken.code == ERR_NONE && multipart_finish(s->parser, &s->broken) < 0)
		s->broken_status = 400;
	if (s->broken.code == ERR_NONE) {
		intake_close(s->node, s->association, true);
		s->is_open = false;
	}
	log_event(LOG_INFO, "stow", "association=%lld parts=%zu refused=%zu text=\"%s\"", (long long)s->association, s->n_items, s->n_refused, s->broken.text);
	if (s->broken.code != ERR_NONE && s->n_items > 0)
		problem_set(r, s->broken_status, "%s; the %zu parts before that may have been stored: send all again", s->broken.text, s->n_items);
	else if (s->broken.code != ERR_NONE)
		problem_set(r, s->broken_status, "%s", s->broken.text);
	else if (s->n_items == 0)
		problem_set(r, 400, "the body has no parts");
	else
		stow_report(q, s->items, s->n_items, s->why, r);
}

const struct upload_kind stow_upload = { stow_begin, stow_piece, stow_drop };
