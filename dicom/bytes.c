/* The bytes of a file, inflated where they are deflated: see bytes.h. */
#include "dicom/bytes.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { RAW_DEFLATE = -15 };                   /* zlib's word for a stream without its header (PS3.5 A.5: RFC 1951) */

void
bytes_open(struct bytes *b, int fd)
{
	memset(b, 0, sizeof *b);
	b->fd = fd;
}

void
bytes_close(struct bytes *b)
{
	if (b->deflated != 0)
		inflateEnd(&b->z);
	b->deflated = 0;
}

static int
read_plain(int fd, uint64_t at, void *to, size_t n, size_t *got, struct err *e)
{
	*got = 0;
	while (*got < n) {
		ssize_t k = pread(fd, (char *)to + *got, n - *got, (off_t)(at + *got));
		if (k < 0 && errno != EINTR)
			return err_errno(e, "reading byte %llu", (unsigned long long)(at + *got));
		if (k == 0)
			break;
		*got += k > 0 ? (size_t)k : 0;
	}
	return 0;
}

static int
begin_again(struct bytes *b, struct err *e)
{
	if (inflateReset(&b->z) != Z_OK)
		return err_set(e, ERR_BUG, "zlib cannot begin again");
	b->at = b->next = b->deflated;
	b->z.avail_in = 0;
	return 0;
}

/* The next n bytes that come out. *got < n: the stream has ended as it should. */
static int
inflate_next(struct bytes *b, void *to, size_t n, size_t *got, struct err *e)
{
	int rc = Z_OK;

	b->z.next_out = to;
	b->z.avail_out = (uInt)n;
	while (b->z.avail_out > 0 && rc != Z_STREAM_END) {
		size_t k;
		if (b->z.avail_in == 0) {
			if (read_plain(b->fd, b->next, b->in, sizeof b->in, &k, e) != 0)
				return -1;
			b->z.next_in = b->in;
			b->z.avail_in = (uInt)k;
			b->next += k;
		}
		if (b->z.avail_in == 0)
			return err_set(e, ERR_INPUT, "the deflated data set ends too early: the file is truncated");
		rc = inflate(&b->z, Z_NO_FLUSH);
		if (rc != Z_OK && rc != Z_STREAM_END)
			return err_set(e, rc == Z_MEM_ERROR ? ERR_LIMIT : ERR_INPUT, "the data set is no sound deflate stream (%s)", b->z.msg != NULL ? b->z.msg : "zlib gave no reason");
	}
	*got = n - b->z.avail_out;
	b->at += *got;
	return 0;
}

int
bytes_inflate_from(struct bytes *b, uint64_t at, uint64_t most, uint64_t *size, struct err *e)
{
	unsigned char out[BYTES_PIECE];
	size_t got;

	if (inflateInit2(&b->z, RAW_DEFLATE) != Z_OK)
		return err_set(e, ERR_LIMIT, "no memory to inflate the data set");
	b->deflated = at;
	if (begin_again(b, e) != 0)
		return -1;
	do {
		if (inflate_next(b, out, sizeof out, &got, e) != 0)
			return -1;
		if (b->at - at > most)
			return err_set(e, ERR_INPUT, "the data set inflates to more than %llu MiB (dicom.max_instance_mb)", (unsigned long long)(most >> 20));
	} while (got == sizeof out);
	*size = b->at;
	return begin_again(b, e);
}

/* From a place within the deflated part. */
static int
read_inflated(struct bytes *b, uint64_t at, void *to, size_t n, size_t *got, struct err *e)
{
	unsigned char skipped[BYTES_PIECE];

	if (at < b->at && begin_again(b, e) != 0)
		return -1;
	*got = 0;
	while (b->at < at) {
		size_t k, ahead = at - b->at < sizeof skipped ? (size_t)(at - b->at) : sizeof skipped;
		if (inflate_next(b, skipped, ahead, &k, e) != 0)
			return -1;
		if (k < ahead)
			return 0;
	}
	return inflate_next(b, to, n, got, e);
}

int
bytes_read(struct bytes *b, uint64_t at, void *to, size_t n, size_t *got, struct err *e)
{
	size_t first = n, more = 0;

	if (b->deflated == 0 || at + n <= b->deflated)
		return read_plain(b->fd, at, to, n, got, e);
	if (at >= b->deflated)
		return read_inflated(b, at, to, n, got, e);
	first = (size_t)(b->deflated - at);
	if (read_plain(b->fd, at, to, first, got, e) != 0)
		return -1;
	if (*got < first)
		return 0;
	if (read_inflated(b, b->deflated, (char *)to + first, n - first, &more, e) != 0)
		return -1;
	*got += more;
	return 0;
}

int
bytes_read_all(struct bytes *b, uint64_t at, void *to, size_t n, struct err *e)
{
	size_t got;

	if (bytes_read(b, at, to, n, &got, e) != 0)
		return -1;
	return got == n ? 0 : err_set(e, ERR_INPUT, "the file ends before byte %llu", (unsigned long long)(at + n));
}
