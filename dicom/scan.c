/* The structure of a Part 10 file: see scan.h. One loop over tags with a stack of open sequences and items, no recursion; values are skipped, not read.
 * Where a lenient reader would guess (a length behind the end of its item, a VR that PS3.5 does not know, a second meta header) this one refuses: what it
 * accepts, every reader understands in the same way.
 * References: PS3.5 7.1 (elements), 7.5 (sequences), 6.2.2 note 2 (UN of undefined length is implicit), A.4 (encapsulated pixel data), PS3.10 7.1. */
#include "dicom/scan.h"
#include "dicom/bounds.h"
#include "dicom/bytes.h"
#include "dicom/syntax.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define UNDEFINED UINT32_MAX
#define TAG(group, element) ((uint32_t)(group) << 16 | (element))
#define ITEM       TAG(0xFFFE, 0xE000)
#define ITEM_END   TAG(0xFFFE, 0xE00D)
#define SEQUENCE_END TAG(0xFFFE, 0xE0DD)
#define PIXEL_DATA TAG(0x7FE0, 0x0010)

enum { WINDOW = 16384, META = 128 + 4 };

struct level {                                /* an open sequence or item */
	uint64_t end;                             /* first byte behind it; UINT64_MAX: until its delimiter */
	uint64_t limit;                           /* no byte of it may lie at or behind */
	bool is_sequence, is_implicit, is_fragments /* encapsulated pixel data: its items hold bytes */;
	uint32_t tag;
	uint32_t highest;                         /* tag so far among its elements */
};

struct element {
	uint32_t tag, length;
	uint64_t at, value;                       /* offsets of its tag and of its value */
	char vr[3];                               /* "" in implicit VR and for item tags */
};

struct reader {
	struct bytes bytes;
	const struct dicom_bounds *bounds;
	bool is_big_endian;                       /* what is read now; the meta header never is */
	uint64_t size, at;                        /* at: next byte */
	uint64_t window_at;
	size_t n_window;
	unsigned char window[WINDOW];
	struct level levels[BOUNDS_MOST_DEPTH];
	size_t depth;
	uint64_t value_bytes, largest_value;
	size_t n_unsorted;
	struct scan *scan;
};

static int fail(struct err *e, const struct element *x, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int
fail(struct err *e, const struct element *x, const char *fmt, ...)
{
	char what[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	return err_set(e, ERR_INPUT, "(%04X,%04X) at byte %llu: %s", x->tag >> 16, x->tag & 0xFFFF, (unsigned long long)x->at, what);
}

/* n bytes (at most 12) at r->at, which stays; NULL with *e set when they are not there. */
static const unsigned char *
peek(struct reader *r, size_t n, struct err *e)
{
	size_t got;

	if (r->at > r->size || n > r->size - r->at) {
		err_set(e, ERR_INPUT, "the file ends at byte %llu within an element: it is truncated", (unsigned long long)r->size);
		return NULL;
	}
	if (r->at < r->window_at || r->at + n > r->window_at + r->n_window) {
		bool is_inside = r->at >= r->window_at && r->at < r->window_at + r->n_window;
		size_t kept = is_inside ? (size_t)(r->window_at + r->n_window - r->at) : 0; /* read once: going back is dear in a deflated file */
		memmove(r->window, r->window + r->n_window - kept, kept);
		r->window_at = r->at;
		r->n_window = kept;
		if (bytes_read(&r->bytes, r->at + kept, r->window + kept, sizeof r->window - kept, &got, e) != 0)
			return NULL;
		r->n_window += got;
		if (r->n_window < n) {
			err_set(e, ERR_INPUT, "the file became shorter while it was read");
			return NULL;
		}
	}
	return r->window + (r->at - r->window_at);
}

static uint32_t
u16(const struct reader *r, const unsigned char *b)
{
	return r->is_big_endian ? (uint32_t)b[0] << 8 | b[1] : (uint32_t)b[0] | (uint32_t)b[1] << 8;
}

static uint32_t
u32(const struct reader *r, const unsigned char *b)
{
	return r->is_big_endian ? u16(r, b) << 16 | u16(r, b + 2) : u16(r, b) | u16(r, b + 2) << 16;
}

/* 2: a 16-bit length follows the VR; 4: two reserved bytes and a 32-bit length; 0: no VR of PS3.5 6.2. */
static int
length_size(const char *vr)
{
	static const char four[][3] = { "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV" };
	static const char two[][3] = { "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US" };

	for (size_t i = 0; i < sizeof two / sizeof two[0]; i++)
		if (strcmp(vr, two[i]) == 0)
			return 2;
	for (size_t i = 0; i < sizeof four / sizeof four[0]; i++)
		if (strcmp(vr, four[i]) == 0)
			return 4;
	return 0;
}

static struct level *
top(struct reader *r)
{
	return &r->levels[r->depth - 1];
}

/* Reads tag, VR and length; r->at is then at the value. */
static int
read_element(struct reader *r, bool is_implicit, struct element *x, struct err *e)
{
	const unsigned char *b = peek(r, 8, e);
	size_t n = 8;

	if (b == NULL)
		return -1;
	*x = (struct element){ .tag = TAG(u16(r, b), u16(r, b + 2)), .at = r->at };
	if (is_implicit || x->tag >> 16 == 0xFFFE) {
		x->length = u32(r, b + 4);
	} else {
		memcpy(x->vr, b + 4, 2);
		switch (length_size(x->vr)) {
		case 2:
			x->length = u16(r, b + 6);
			break;
		case 4:
			n = 12;
			if ((b = peek(r, n, e)) == NULL)
				return -1;
			x->length = u32(r, b + 8);
			break;
		default:
			return fail(e, x, "no value representation that DICOM knows");
		}
	}
	r->at += n;
	x->value = r->at;
	if (x->value > top(r)->limit)
		return fail(e, x, "the item that holds it ends within it");
	if (++r->scan->n_elements > r->bounds->elements)
		return fail(e, x, "more than %zu elements (dicom.max_elements)", r->bounds->elements);
	return 0;
}

static int
push(struct reader *r, const struct element *x, struct level l, struct err *e)
{
	if (r->depth >= r->bounds->depth)
		return fail(e, x, "nested more than %zu levels deep (dicom.max_depth)", r->bounds->depth);
	l.limit = l.end = x->length == UNDEFINED ? UINT64_MAX : x->value + x->length;
	if (l.limit > top(r)->limit)
		l.limit = top(r)->limit;
	l.tag = x->tag;
	r->levels[r->depth++] = l;
	return 0;
}

/* PS3.5 7.1 wants ascending tags. Some writers append a few out of order; a reader that sorts takes the square of their number. */
static int
check_order(struct reader *r, const struct element *x, struct err *e)
{
	if (x->tag > top(r)->highest)
		top(r)->highest = x->tag;
	else if (++r->n_unsorted > SCAN_MAX_UNSORTED)
		return fail(e, x, "more than %d elements are doubled or not in ascending order of tags", (int)SCAN_MAX_UNSORTED);
	return 0;
}

/* Whether a value's length fits into what holds it. */
static int
check_length(struct reader *r, const struct element *x, struct err *e)
{
	uint64_t left = top(r)->limit - x->value;

	if (x->length > left)
		return fail(e, x, "its length is %lu bytes, but %s", (unsigned long)x->length,
		    top(r)->limit == r->size ? "the file ends before: it is truncated or damaged" : "the item that holds it ends before");
	return 0;
}

static bool
is_pixels(const struct reader *r, const struct element *x)
{
	return r->depth == 1 && (x->tag == PIXEL_DATA || x->tag == TAG(0x7FE0, 0x0008) || x->tag == TAG(0x7FE0, 0x0009));
}

static int
skip_value(struct reader *r, const struct element *x, struct err *e)
{
	r->value_bytes += x->length;
	if (x->length > r->largest_value && (!r->scan->is_deflated || is_pixels(r, x)))
		r->largest_value = x->length;
	r->scan->header_bytes = r->value_bytes - r->largest_value;
	if (r->scan->header_bytes > SCAN_MAX_HEADER)
		return fail(e, x, "more than %d bytes of attributes", (int)SCAN_MAX_HEADER);
	r->at = x->value + x->length;
	return 0;
}

/* In implicit VR a value that begins with an item is a sequence, whatever a dictionary says of its tag. */
static int
begins_with_item(struct reader *r, const struct element *x, bool *is_item, struct err *e)
{
	const unsigned char *b;

	*is_item = false;
	if (x->length < 8)
		return 0;
	if ((b = peek(r, 4, e)) == NULL)
		return -1;
	*is_item = TAG(u16(r, b), u16(r, b + 2)) == ITEM;
	return 0;
}

/* An element of undefined length: sequence, UN in which implicit VR begins, or encapsulated pixel data. */
static int
open_undefined(struct reader *r, const struct element *x, struct err *e)
{
	struct level l = { .is_sequence = true, .is_implicit = top(r)->is_implicit };

	if (x->tag == PIXEL_DATA && (strcmp(x->vr, "OB") == 0 || strcmp(x->vr, "OW") == 0)) /* OW is wrong (PS3.5 A.4), yet harmless and seen */
		l.is_fragments = true;
	else if (x->tag == PIXEL_DATA)
		return fail(e, x, "pixel data of undefined length must be OB in explicit VR");
	else if (strcmp(x->vr, "UN") == 0)
		l.is_implicit = true;
	else if (x->vr[0] != '\0' && strcmp(x->vr, "SQ") != 0)
		return fail(e, x, "undefined length with VR %s", x->vr);
	return push(r, x, l, e);
}

static void
note_pixels(struct reader *r, const struct element *x)
{
	if (!is_pixels(r, x))
		return;
	r->scan->has_pixels = true;
	r->scan->has_integer_pixels = x->tag == PIXEL_DATA;
	r->scan->has_pixel_words = x->vr[0] == '\0' || strcmp(x->vr, "OW") == 0;
	r->scan->pixels = x->value;
	r->scan->n_pixel_bytes = x->length == UNDEFINED ? 0 : x->length; /* undefined: completed by close_level */
}

static int
scan_element(struct reader *r, struct err *e)
{
	struct element x;
	bool is_implicit = top(r)->is_implicit, is_sequence;

	if (read_element(r, is_implicit, &x, e) != 0)
		return -1;
	if (x.tag == ITEM_END && r->depth > 1 && top(r)->end == UINT64_MAX && x.length == 0) {
		r->depth--;
		return 0;
	}
	if (x.tag >> 16 == 0xFFFE)
		return fail(e, &x, "an item or delimiter outside a sequence");
	if (x.tag >> 16 < 8 && (x.tag >> 16 < 4 || r->depth > 1))
		return fail(e, &x, "a group that does not belong into a data set");
	if (x.tag == PIXEL_DATA && r->depth == 1 && r->scan->is_encapsulated != (x.length == UNDEFINED))
		return fail(e, &x, "pixel data must be %s in transfer syntax %s", r->scan->is_encapsulated ? "encapsulated" : "of defined length", r->scan->transfer_syntax);
	if (check_order(r, &x, e) != 0)
		return -1;
	note_pixels(r, &x);
	if (x.length == UNDEFINED)
		return open_undefined(r, &x, e);
	if (check_length(r, &x, e) != 0)
		return -1;
	is_sequence = strcmp(x.vr, "SQ") == 0;
	if (is_implicit && x.tag != PIXEL_DATA && begins_with_item(r, &x, &is_sequence, e) != 0)
		return -1;
	if (is_sequence)
		return push(r, &x, (struct level){ .is_sequence = true, .is_implicit = is_implicit }, e);
	return skip_value(r, &x, e);
}

/* Between the items of a sequence. */
static int
scan_item(struct reader *r, struct err *e)
{
	struct element x;
	const struct level *l = top(r);

	if (read_element(r, true, &x, e) != 0)
		return -1;
	if (x.tag == SEQUENCE_END && l->end == UINT64_MAX && x.length == 0) {
		if (l->is_fragments && r->depth == 2)
			r->scan->n_pixel_bytes = r->at - r->scan->pixels;
		r->depth--;
		return 0;
	}
	if (x.tag != ITEM)
		return fail(e, &x, "where an item of (%04X,%04X) should begin", l->tag >> 16, l->tag & 0xFFFF);
	if (x.length == UNDEFINED && l->is_fragments)
		return fail(e, &x, "a fragment of undefined length");
	if (x.length != UNDEFINED && check_length(r, &x, e) != 0)
		return -1;
	if (l->is_fragments) {
		r->at += x.length;
		return 0;
	}
	return push(r, &x, (struct level){ .is_implicit = l->is_implicit }, e);
}

static int
scan_data_set(struct reader *r, struct err *e)
{
	r->depth = 1;
	r->levels[0] = (struct level){ .end = r->size, .limit = r->size, .is_implicit = r->scan->is_implicit };
	for (;;) {
		while (r->depth > 0 && r->at == top(r)->end)
			r->depth--;
		if (r->depth == 0)
			return 0;
		if (r->at == r->size)
			return err_set(e, ERR_INPUT, "the file ends at byte %llu within (%04X,%04X): it is truncated", (unsigned long long)r->size, top(r)->tag >> 16,
			    top(r)->tag & 0xFFFF);
		if ((top(r)->is_sequence ? scan_item : scan_element)(r, e) != 0)
			return -1;
	}
}

/* The value of (0002,0010), without its padding. */
static int
read_transfer_syntax(struct reader *r, const struct element *x, struct err *e)
{
	char uid[DICOM_UID + 1] = "";
	size_t n = x->length;

	if (n >= sizeof uid || n < 2)
		return fail(e, x, "a transfer syntax UID of %lu bytes", (unsigned long)n);
	if (bytes_read_all(&r->bytes, x->value, uid, n, e) != 0)
		return -1;
	if (uid[n - 1] == '\0' || uid[n - 1] == ' ')
		uid[--n] = '\0';
	if (strlen(uid) != n || !dicom_uid_is_valid(uid))
		return fail(e, x, "the transfer syntax is no valid UID");
	memcpy(r->scan->transfer_syntax, uid, n + 1);
	return 0;
}

/* Group 2: explicit VR little endian whatever follows; ends where another group begins, which is also where its group length must say. */
static int
scan_meta(struct reader *r, struct err *e)
{
	uint64_t said_end = 0;
	const unsigned char *b;
	struct element x;

	r->depth = 1;
	r->levels[0] = (struct level){ .end = r->size, .limit = r->size };
	for (r->at = META; r->size - r->at >= 8; ) {
		if ((b = peek(r, 4, e)) == NULL)
			return -1;
		if (u16(r, b) != 2)
			break;
		if (read_element(r, false, &x, e) != 0 || check_length(r, &x, e) != 0)
			return -1;
		if (x.tag == TAG(2, 0) && x.length == 4) {
			if ((b = peek(r, 4, e)) == NULL)
				return -1;
			said_end = x.value + 4 + u32(r, b);
		}
		if (x.tag == TAG(2, 0x10) && read_transfer_syntax(r, &x, e) != 0)
			return -1;
		if (skip_value(r, &x, e) != 0)
			return -1;
	}
	if (said_end != 0 && said_end != r->at)
		return err_set(e, ERR_INPUT, "the meta header ends at byte %llu, but its group length (0002,0000) says %llu", (unsigned long long)r->at,
		    (unsigned long long)said_end);
	if (r->scan->transfer_syntax[0] == '\0')
		return err_set(e, ERR_INPUT, "the meta header names no transfer syntax (0002,0010)");
	r->scan->data_set = r->at;
	return 0;
}

/* What the syntax's UID says of the bytes: PS3.5 A. */
static int
settle_syntax(struct reader *r, struct err *e)
{
	static const char *const pixel_less[] = { "1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95" }; /* JPIP Referenced: deflated or not, its pixels are elsewhere */
	struct scan *s = r->scan;
	const struct syntax *syntax = syntax_find(s->transfer_syntax);

	for (size_t i = 0; i < sizeof pixel_less / sizeof pixel_less[0]; i++)
		if (strcmp(s->transfer_syntax, pixel_less[i]) == 0)
			return err_set(e, ERR_INPUT, "its transfer syntax, JPIP Referenced, is not read by this version: send it uncompressed, as Explicit VR Little Endian");
	s->is_encapsulated = syntax == NULL || syntax->coding != CODING_NATIVE;
	if (syntax == NULL)
		return 0;
	s->is_implicit = syntax->is_implicit;
	s->is_big_endian = r->is_big_endian = syntax->is_big_endian;
	s->is_deflated = syntax->is_deflated;
	if (!s->is_deflated)
		return 0;
	r->n_window = 0;
	if (bytes_inflate_from(&r->bytes, s->data_set, r->bounds->data_set_bytes, &s->size, e) != 0)
		return -1;
	r->size = s->size;
	return 0;
}

static int
scan_all(struct reader *r, struct err *e)
{
	const unsigned char *b = NULL;

	r->at = 128;
	if (r->size >= META && (b = peek(r, 4, e)) == NULL)
		return -1;
	if (r->size < META || memcmp(b, "DICM", 4) != 0)
		return err_set(e, ERR_INPUT, "not a DICOM file: no \"DICM\" at byte 128");
	if (scan_meta(r, e) != 0 || settle_syntax(r, e) != 0)
		return -1;
	return scan_data_set(r, e);
}

int
scan_file(int fd, struct scan *s, struct err *e)
{
	struct reader r = { .scan = s, .bounds = dicom_bounds_now() };
	struct stat st;
	int rc;

	memset(s, 0, sizeof *s);
	if (fstat(fd, &st) != 0)
		return err_errno(e, "looking at the file");
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_INPUT, "not a regular file");
	r.size = s->size = (uint64_t)st.st_size;
	bytes_open(&r.bytes, fd);
	rc = scan_all(&r, e);
	bytes_close(&r.bytes);
	return rc;
}
