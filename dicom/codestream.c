/* The header of a compressed frame: see codestream.h. Walks marker segments only, each bounded by what is left. */
#include "dicom/codestream.h"

#include <string.h>

enum {
	SOF0 = 0xC0, SOF3 = 0xC3, DHT = 0xC4, JPG = 0xC8, DAC = 0xCC, SOF15 = 0xCF, RST0 = 0xD0, RST7 = 0xD7, SOI = 0xD8, SOS = 0xDA, TEM = 0x01, SOF55 = 0xF7, /* JPEG, JPEG-LS */
	SOC = 0x4F, SIZ = 0x51, COD = 0x52, SOT = 0x90, /* JPEG 2000 */
	END = 0xD9                                /* of both families */
};

struct reader { const uint8_t *bytes; size_t n, at; };
struct segment { unsigned marker; const uint8_t *bytes; size_t n; }; /* bytes: behind the length */

static unsigned
be16(const uint8_t *b)
{
	return (unsigned)b[0] << 8 | b[1];
}

static size_t
be32(const uint8_t *b)
{
	return (size_t)be16(b) << 16 | be16(b + 2);
}

bool
codestream_begins(enum syntax_coding coding, const uint8_t *b, size_t n)
{
	return n >= 3 && b[0] == 0xFF && b[1] == (coding == CODING_JPEG_2000 ? SOC : SOI) && b[2] == 0xFF;
}

/* The next marker and its segment; markers without one are passed over. */
static int
next_segment(struct reader *r, struct segment *s, struct err *e)
{
	for (;;) {
		while (r->at + 1 < r->n && r->bytes[r->at] == 0xFF && r->bytes[r->at + 1] == 0xFF)
			r->at++;                          /* fill bytes */
		if (r->n - r->at < 4 || r->bytes[r->at] != 0xFF)
			return err_set(e, ERR_INPUT, "its header ends at byte %zu where a marker should stand", r->at);
		s->marker = r->bytes[r->at + 1];
		r->at += 2;
		if (s->marker != TEM && (s->marker < RST0 || s->marker > RST7))
			break;
	}
	s->n = be16(r->bytes + r->at);
	if (s->n < 2 || s->n > r->n - r->at)
		return err_set(e, ERR_INPUT, "its marker segment FF%02X at byte %zu is longer than the frame", s->marker, r->at - 2);
	s->bytes = r->bytes + r->at + 2;
	r->at += s->n;
	s->n -= 2;
	return 0;
}

static bool
is_frame_header(unsigned marker)
{
	return marker == SOF55 || (marker >= SOF0 && marker <= SOF15 && marker != DHT && marker != JPG && marker != DAC);
}

/* JPEG and JPEG-LS: until the first scan header, whose parameters tell of loss (T.81 B.2.3: point transform; T.87 C.2.3: NEAR). */
static int
read_jpeg(struct reader *r, bool is_ls, struct codestream *c, struct err *e)
{
	struct segment s = { 0 };
	unsigned process = 0;

	r->at = 2;
	while (s.marker != SOS) {
		if (next_segment(r, &s, e) != 0)
			return -1;
		if (!is_frame_header(s.marker))
			continue;
		if (process != 0 || s.n < 6 || (s.marker == SOF55) != is_ls)
			return err_set(e, ERR_INPUT, "its frame header FF%02X is not one of %s", s.marker, is_ls ? "JPEG-LS" : "JPEG");
		process = s.marker;
		c->precision = s.bytes[0];
		c->rows = be16(s.bytes + 1);
		c->cols = be16(s.bytes + 3);
		c->components = s.bytes[5];
	}
	if (process == 0 || s.n < 1 || s.n < 1 + 2 * (size_t)s.bytes[0] + 3)
		return err_set(e, ERR_INPUT, "it has a scan without a frame header");
	const uint8_t *parameters = s.bytes + 1 + 2 * (size_t)s.bytes[0];
	c->loses = is_ls ? parameters[0] != 0 : process != SOF3 || (parameters[2] & 0x0F) != 0;
	return 0;
}

static int
read_size(const struct segment *s, struct codestream *c, struct err *e)
{
	if (s->marker != SIZ || s->n < 39)
		return err_set(e, ERR_INPUT, "its image size segment is missing");
	size_t right = be32(s->bytes + 2), bottom = be32(s->bytes + 6), left = be32(s->bytes + 10), top = be32(s->bytes + 14);
	c->components = be16(s->bytes + 34);
	c->precision = (s->bytes[36] & 0x7Fu) + 1;
	if (right <= left || bottom <= top || s->bytes[37] != 1 || s->bytes[38] != 1)
		return err_set(e, ERR_INPUT, "its image size segment describes no plain image");
	c->rows = bottom - top;
	c->cols = right - left;
	return 0;
}

static int
read_2000(struct reader *r, struct codestream *c, struct err *e)
{
	struct segment s;

	r->at = 2;
	if (next_segment(r, &s, e) != 0 || read_size(&s, c, e) != 0)
		return -1;
	while (s.marker != COD) {
		if (next_segment(r, &s, e) != 0)
			return -1;
		if (s.marker == SOT || (s.marker == COD && s.n < 10))
			return err_set(e, ERR_INPUT, "its coding style segment is missing");
	}
	c->loses = s.bytes[9] == 0;               /* T.800 table A.20: 9-7 irreversible */
	return 0;
}

int
codestream_read(enum syntax_coding coding, const uint8_t *bytes, size_t n, struct codestream *c, struct err *e)
{
	static const char *const names[] = { [CODING_JPEG] = "JPEG", [CODING_JPEG_LS] = "JPEG-LS", [CODING_JPEG_2000] = "JPEG 2000" };
	struct reader r = { .bytes = bytes, .n = n };
	int rc;

	*c = (struct codestream){ 0 };
	while (r.n > 2 && (bytes[r.n - 1] == 0 || (bytes[r.n - 1] == 0xFF && bytes[r.n - 2] == END)))
		r.n--;                                    /* padding */
	if (!codestream_begins(coding, bytes, r.n))
		return err_set(e, ERR_INPUT, "it is no %s codestream: its start marker is missing", names[coding]);
	rc = coding == CODING_JPEG_2000 ? read_2000(&r, c, e) : read_jpeg(&r, coding == CODING_JPEG_LS, c, e);
	if (rc == 0 && (bytes[r.n - 2] != 0xFF || bytes[r.n - 1] != END))
		rc = err_set(e, ERR_INPUT, "its end marker is missing: the frame is truncated");
	return rc == 0 ? 0 : err_note(e, "the %s codestream", names[coding]);
}
