/* A body of multipart/related: first line its Content-Type, then the bytes. However they are cut into pieces, the same parts come out. */
#include "tests/fuzz/fuzz.h"

#include "config/digest.h"
#include "service/http/multipart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct seen { struct digest *digest; size_t n_begun, n_ended, n_bytes; };

static int
begin(void *arg, const struct multipart_head *head, struct err *e)
{
	struct seen *s = arg;

	(void)e;
	fuzz_must(s->n_begun == s->n_ended);
	s->n_begun++;
	digest_add(s->digest, head->content_type, strlen(head->content_type) + 1);
	digest_add(s->digest, head->transfer_encoding, strlen(head->transfer_encoding) + 1);
	return 0;
}

static int
bytes(void *arg, const char *at, size_t n, struct err *e)
{
	struct seen *s = arg;

	(void)e;
	fuzz_must(s->n_begun == s->n_ended + 1);
	s->n_bytes += n;
	digest_add(s->digest, at, n);
	return 0;
}

static int
end(void *arg, struct err *e)
{
	struct seen *s = arg;

	(void)e;
	s->n_ended++;
	digest_add(s->digest, &s->n_bytes, sizeof s->n_bytes);
	return 0;
}

static const struct multipart_sink sink = { begin, bytes, end };

/* What came out, as text; "refused" when the body is malformed. */
static void
parse(const char *boundary, const uint8_t *body, size_t n, size_t piece, char out[DIGEST_HEX + 32])
{
	struct err e;
	struct seen s = { .digest = digest_new(&e) };
	struct multipart *m = multipart_new(boundary, &sink, &s, &e);
	char hex[DIGEST_HEX];
	int rc = 0;

	fuzz_must(s.digest != NULL && m != NULL);
	for (size_t at = 0; at < n && rc == 0; at += piece) {
		size_t k = n - at < piece ? n - at : piece;
		char *copy = fuzz_text(body + at, k); /* a reader that looks before or behind its piece is seen */
		rc = multipart_feed(m, copy, k, &e);
		free(copy);
	}
	if (rc == 0)
		rc = multipart_finish(m, &e);
	fuzz_must(rc == 0 || e.code == ERR_INPUT);
	fuzz_must(s.n_bytes <= n && s.n_ended <= s.n_begun);
	digest_hex(s.digest, hex);
	snprintf(out, DIGEST_HEX + 32, "%s %zu", rc == 0 ? hex : "refused", rc == 0 ? s.n_ended : 0);
	digest_free(s.digest);
	multipart_free(m);
}

static void
one(const uint8_t *input, size_t n)
{
	static const size_t pieces[] = { 1, 2, 7, 64 };
	const uint8_t *line_end = n > 0 ? memchr(input, '\n', n) : NULL;
	char whole[DIGEST_HEX + 32], cut[DIGEST_HEX + 32];
	struct multipart_type type;
	struct err e;

	if (line_end == NULL)
		return;
	char *content_type = fuzz_text(input, (size_t)(line_end - input));
	int rc = multipart_type(content_type, &type, &e);
	free(content_type);
	if (rc != 0)
		return;
	n -= (size_t)(line_end - input) + 1;
	parse(type.boundary, line_end + 1, n, n + 1, whole);
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		parse(type.boundary, line_end + 1, n, pieces[i], cut);
		fuzz_must(strcmp(whole, cut) == 0);
	}
}

const struct fuzz_target fuzz_multipart = { "multipart", NULL, one };
