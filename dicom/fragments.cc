// Which bytes are which frame: see fragments.hh. scan.c has proven that the items lie within the file; their number is bounded by dicom_bounds.
#include "dicom/fragments.hh"
#include "dicom/codestream.h"

#include <algorithm>
#include <cstring>

enum { ITEM_HEADER = 8 };

static uint64_t
number(const Uint8 *b)
{
	return b[0] | (uint64_t)b[1] << 8 | (uint64_t)b[2] << 16 | (uint64_t)b[3] << 24;
}

// The table counts when it has an offset a frame, each the place of a fragment, in ascending order.
bool
fragments::by_table(const std::vector<Uint8> &table, size_t n_frames)
{
	size_t i = 0;

	firsts.clear();
	if (table.size() != 4 * n_frames)
		return false;
	for (size_t k = 0; k < n_frames; k++) {
		uint64_t offset = number(&table[4 * k]);
		while (i < all.size() && all[i].at - all[0].at < offset)
			i++;
		if (i == all.size() || all[i].at - all[0].at != offset || (k == 0 ? i != 0 : i == firsts.back()))
			return false;
		firsts.push_back(i);
	}
	firsts.push_back(all.size());
	return true;
}

int
fragments::by_marker(struct bytes &b, enum syntax_coding coding, size_t n_frames, bool *is_found, struct err *e)
{
	Uint8 head[4];

	firsts.clear();
	for (size_t i = 0; i < all.size() && coding != CODING_RLE; i++) {
		size_t n = (size_t)std::min<uint64_t>(all[i].n, sizeof head);
		if (bytes_read_all(&b, all[i].at, head, n, e) != 0)
			return -1;
		if (codestream_begins(coding, head, n))
			firsts.push_back(i);
	}
	*is_found = firsts.size() == n_frames && firsts[0] == 0;
	firsts.push_back(all.size());
	return 0;
}

int
fragments::read(struct bytes &b, const struct scan &scan, enum syntax_coding coding, size_t n_frames, struct err *e)
{
	uint64_t at = scan.pixels, end = scan.pixels + scan.n_pixel_bytes;
	std::vector<Uint8> table;
	bool is_table = true, is_found = false;
	Uint8 h[ITEM_HEADER];

	all.clear();
	while (end - at >= ITEM_HEADER) {
		if (bytes_read_all(&b, at, h, sizeof h, e) != 0)
			return -1;
		if (memcmp(h, "\xFE\xFF\x00\xE0", 4) != 0) // no item: the delimiter
			break;
		fragment f = { at + ITEM_HEADER, number(h + 4) };
		if (f.n > end - f.at)
			return err_set(e, ERR_INPUT, "a fragment of PixelData (7FE0,0010) is longer than the file");
		if (!is_table)
			all.push_back(f);
		else if (f.n == 4 * (uint64_t)n_frames) {
			table.resize((size_t)f.n);
			if (bytes_read_all(&b, f.at, table.data(), table.size(), e) != 0)
				return -1;
		}
		is_table = false;
		at = f.at + f.n;
	}
	if (all.size() < n_frames)
		return err_set(e, ERR_INPUT, "PixelData (7FE0,0010) has %zu fragments, but NumberOfFrames (0028,0008) is %zu", all.size(), n_frames);
	if (all.size() == n_frames || n_frames == 1) {
		firsts.assign(1, 0);
		for (size_t k = 1; k < n_frames; k++)
			firsts.push_back(k);
		firsts.push_back(all.size());
		return 0;
	}
	if (by_table(table, n_frames))
		return 0;
	if (by_marker(b, coding, n_frames, &is_found, e) != 0)
		return -1;
	return is_found ? 0 : err_set(e, ERR_INPUT, "PixelData (7FE0,0010) has %zu fragments for %zu frames and no offset table that says which belong together", all.size(), n_frames);
}

int
fragments::frame(struct bytes &b, size_t k, std::vector<Uint8> &to, struct err *e) const
{
	size_t n = 0;

	for (size_t i = firsts[k]; i < firsts[k + 1]; i++)
		n += (size_t)all[i].n;                    // all within one file: no overflow
	to.resize(n);
	n = 0;
	for (size_t i = firsts[k]; i < firsts[k + 1]; i++) {
		if (bytes_read_all(&b, all[i].at, to.data() + n, (size_t)all[i].n, e) != 0)
			return -1;
		n += (size_t)all[i].n;
	}
	return 0;
}
