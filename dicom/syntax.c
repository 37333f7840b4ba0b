/* The transfer syntaxes that are read: see syntax.h. */
#include "dicom/syntax.h"

#include <stddef.h>
#include <string.h>

static const struct syntax syntaxes[] = {
	{ .uid = "1.2.840.10008.1.2", .name = "Implicit VR Little Endian", .coding = CODING_NATIVE, .is_implicit = true },
	{ .uid = "1.2.840.10008.1.2.1", .name = "Explicit VR Little Endian", .coding = CODING_NATIVE },
	{ .uid = "1.2.840.10008.1.2.1.99", .name = "Deflated Explicit VR Little Endian", .coding = CODING_NATIVE, .is_deflated = true },
	{ .uid = "1.2.840.10008.1.2.2", .name = "Explicit VR Big Endian", .coding = CODING_NATIVE, .is_big_endian = true },
	{ .uid = "1.2.840.10008.1.2.5", .name = "RLE Lossless", .coding = CODING_RLE },
	{ .uid = "1.2.840.10008.1.2.4.50", .name = "JPEG Baseline", .coding = CODING_JPEG, .may_lose = true },
	{ .uid = "1.2.840.10008.1.2.4.51", .name = "JPEG Extended", .coding = CODING_JPEG, .may_lose = true },
	{ .uid = "1.2.840.10008.1.2.4.57", .name = "JPEG Lossless", .coding = CODING_JPEG },
	{ .uid = "1.2.840.10008.1.2.4.70", .name = "JPEG Lossless, first-order prediction", .coding = CODING_JPEG },
	{ .uid = "1.2.840.10008.1.2.4.80", .name = "JPEG-LS Lossless", .coding = CODING_JPEG_LS },
	{ .uid = "1.2.840.10008.1.2.4.81", .name = "JPEG-LS Near-lossless", .coding = CODING_JPEG_LS, .may_lose = true },
	{ .uid = "1.2.840.10008.1.2.4.90", .name = "JPEG 2000 Lossless", .coding = CODING_JPEG_2000 },
	{ .uid = "1.2.840.10008.1.2.4.91", .name = "JPEG 2000", .coding = CODING_JPEG_2000, .may_lose = true },
};

const struct syntax *
syntax_find(const char *uid)
{
	for (size_t i = 0; i < sizeof syntaxes / sizeof syntaxes[0]; i++)
		if (strcmp(syntaxes[i].uid, uid) == 0)
			return &syntaxes[i];
	return NULL;
}

const char *
syntax_method(enum syntax_coding coding)
{
	static const char *const methods[] = { [CODING_JPEG] = "ISO_10918_1", [CODING_JPEG_LS] = "ISO_14495_1", [CODING_JPEG_2000] = "ISO_15444_1" };

	return methods[coding];
}
