/* A SEG of a patient with another name elsewhere: what delivery looks at, and pixels. */
#pragma once
#include "tests/unit/peers.h"

enum { PIXELS = 70000 /* several PDUs */ };

static struct bytes
make_seg(const char *study_uid, const char *series_uid, const char *sop_uid)
{
	struct bytes meta = { 0 }, all = { 0 };
	unsigned char zero[128] = { 0 }, *pixels = calloc(1, PIXELS);

	assert_non_null(pixels);
	put_element(&meta, 2, 1, "OB", "\0\1", 2);
	put_text(&meta, 2, 2, "UI", SEG);
	put_text(&meta, 2, 3, "UI", sop_uid);
	put_text(&meta, 2, 0x10, "UI", EXPLICIT);
	put_text(&meta, 2, 0x12, "UI", "1.2.3");
	put(&all, zero, sizeof zero);
	put(&all, "DICM\2\0\0\0UL\4\0", 12);
	put_little(&all, (uint32_t)meta.n, 4);
	put(&all, meta.at, meta.n);
	put_text(&all, 8, 0x16, "UI", SEG);
	put_text(&all, 8, 0x18, "UI", sop_uid);
	put_text(&all, 8, 0x20, "DA", "20260101");
	put_text(&all, 8, 0x50, "SH", "");
	put_text(&all, 0x10, 0x10, "PN", "CANARY^OLD");
	put_text(&all, 0x10, 0x20, "LO", "OLD-7");
	put_text(&all, 0x10, 0x21, "LO", "OLDCLINIC");
	put_text(&all, 0x10, 0x30, "DA", "19700101");
	put_text(&all, 0x10, 0x40, "CS", "M");
	put_text(&all, 0x20, 0xD, "UI", study_uid);
	put_text(&all, 0x20, 0xE, "UI", series_uid);
	put_element(&all, 0x7FE0, 0x10, "OB", pixels, PIXELS);
	free(meta.at);
	free(pixels);
	return all;
}
