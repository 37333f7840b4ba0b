/* Compressed pixels: the input is [transfer syntax][rows][columns][bits, and whether the rest is one fragment or the items as they stand][rest], wrapped
 * into an instance that is sound but for them. Goes through bytes.c, fragments.cc, codestream.c, rle.c, jpeg.cc, jpeg2000.c; and by themselves those in C. */
#include "tests/fuzz/fuzz.h"

#include "dicom/codestream.h"
#include "dicom/jpeg2000.h"
#include "dicom/rle.h"
#include "dicom/series.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 4, DEFLATED = 0, ROOM = 4096 /* of the header */, ONE_FRAGMENT = 1, BITS_8 = 2, IS_SIGNED = 4, HAS_TWO_FRAMES = 8 };

static const struct { const char *uid; enum syntax_coding coding; } syntaxes[] = {
	{ "1.2.840.10008.1.2.1.99", CODING_NATIVE }, { "1.2.840.10008.1.2.5", CODING_RLE }, { "1.2.840.10008.1.2.4.50", CODING_JPEG }, { "1.2.840.10008.1.2.4.51", CODING_JPEG },
	{ "1.2.840.10008.1.2.4.57", CODING_JPEG }, { "1.2.840.10008.1.2.4.70", CODING_JPEG }, { "1.2.840.10008.1.2.4.80", CODING_JPEG_LS },
	{ "1.2.840.10008.1.2.4.81", CODING_JPEG_LS }, { "1.2.840.10008.1.2.4.90", CODING_JPEG_2000 }, { "1.2.840.10008.1.2.4.91", CODING_JPEG_2000 },
};

struct file { uint8_t *bytes; size_t n; };

static void
put(struct file *f, const void *bytes, size_t n)
{
	memcpy(f->bytes + f->n, bytes, n);
	f->n += n;
}

static void
put16(struct file *f, unsigned v)
{
	put(f, (const uint8_t[]){ (uint8_t)v, (uint8_t)(v >> 8) }, 2);
}

/* An element of explicit VR little endian with a 16-bit length. */
static void
put_text(struct file *f, unsigned group, unsigned element, const char *vr, const char *text)
{
	size_t n = strlen(text);

	put16(f, group);
	put16(f, element);
	put(f, vr, 2);
	put16(f, (unsigned)(n + n % 2));
	put(f, text, n + n % 2); /* the terminator pads */
}

static void
put_us(struct file *f, unsigned element, unsigned v)
{
	put16(f, 0x0028);
	put16(f, element);
	put(f, "US\2\0", 4);
	put16(f, v);
}

static void
put_header(struct file *f, const char *uid, unsigned rows, unsigned cols, unsigned flags)
{
	memset(f->bytes, 0, 128);
	f->n = 128;
	put(f, "DICM", 4);
	put_text(f, 2, 0x10, "UI", uid);
	if (strcmp(uid, syntaxes[DEFLATED].uid) == 0)
		return;
	put_text(f, 8, 0x16, "UI", flags & HAS_TWO_FRAMES ? "1.2.840.10008.5.1.4.1.1.4.1" : "1.2.840.10008.5.1.4.1.1.4");
	put_text(f, 8, 0x18, "UI", "1.2.3.4");
	put_text(f, 8, 0x60, "CS", "MR");
	put_text(f, 0x20, 0xD, "UI", "1.2.3");
	put_text(f, 0x20, 0xE, "UI", "1.2.3.5");
	put_text(f, 0x20, 0x32, "DS", "0\\0\\0");
	put_text(f, 0x20, 0x37, "DS", "1\\0\\0\\0\\1\\0");
	put_us(f, 2, 1);
	put_text(f, 0x28, 4, "CS", "MONOCHROME2");
	put_text(f, 0x28, 8, "IS", flags & HAS_TWO_FRAMES ? "2" : "1");
	put_us(f, 0x10, rows);
	put_us(f, 0x11, cols);
	put_text(f, 0x28, 0x30, "DS", "1\\1");
	put_us(f, 0x100, flags & BITS_8 ? 8 : 16);
	put_us(f, 0x101, flags & BITS_8 ? 8 : 12);
	put_us(f, 0x102, flags & BITS_8 ? 7 : 11);
	put_us(f, 0x103, (flags & IS_SIGNED) != 0);
	put(f, "\xE0\x7F\x10\0OB\0\0\xFF\xFF\xFF\xFF", 12);
}

static void
put_fragment(struct file *f, const uint8_t *bytes, size_t n)
{
	put(f, "\xFE\xFF\0\xE0\0\0\0\0\xFE\xFF\0\xE0", 12); /* an empty table, and the fragment */
	put16(f, (unsigned)((n + n % 2) & 0xFFFF));
	put16(f, (unsigned)((n + n % 2) >> 16));
	put(f, bytes, n);
	put(f, "", n % 2);
	put(f, "\xFE\xFF\xDD\xE0\0\0\0\0", 8);
}

static void
by_themselves(enum syntax_coding coding, const uint8_t *bytes, size_t n, size_t rows, size_t cols)
{
	uint16_t *words = malloc(rows * cols * sizeof *words);
	struct codestream c;
	struct err e;

	fuzz_must(words != NULL);
	if (coding == CODING_RLE)
		rle_decode(bytes, n, 2, rows * cols, (uint8_t *)words, &e);
	else if (coding != CODING_NATIVE && codestream_read(coding, bytes, n, &c, &e) == 0 && coding == CODING_JPEG_2000 && c.rows == rows && c.cols == cols)
		jpeg2000_decode(bytes, n, rows, cols, words, &e);
	free(words);
}

static void
one(const uint8_t *bytes, size_t n)
{
	if (n < HEAD)
		return;
	size_t which = bytes[0] % (sizeof syntaxes / sizeof *syntaxes), rows = bytes[1] + 1u, cols = bytes[2] + 1u;
	struct file f = { malloc(ROOM + n), 0 };
	struct err e;

	fuzz_must(f.bytes != NULL);
	by_themselves(syntaxes[which].coding, bytes + HEAD, n - HEAD, rows, cols);
	put_header(&f, syntaxes[which].uid, (unsigned)rows, (unsigned)cols, bytes[3]);
	if (which != DEFLATED && bytes[3] & ONE_FRAGMENT)
		put_fragment(&f, bytes + HEAD, n - HEAD);
	else
		put(&f, bytes + HEAD, n - HEAD);
	const char *path = fuzz_file(0, f.bytes, f.n);
	series_free(series_load(&(struct series_input){ .paths = &path, .n = 1 }, &e));
	free(f.bytes);
}

const struct fuzz_target fuzz_codecs = { "codecs", fuzz_start_dicom, one };
