// The pixels of one instance, frame by frame, as the numbers that are stored: every transfer syntax of syntax.h, one frame in memory at a time. Greyscale of
// 8 and 16 bits allocated. Decodes: only for worker processes and commands, never in the daemon. For this room only.
#pragma once
#include "dicom/codestream.h"
#include "dicom/fragments.hh"

#include <string>

// Whether this transfer syntax and layout can be read; ERR_INPUT says what would fix it. Looks at no pixel.
int pixels_check(const struct scan &scan, const struct pixel_layout &layout, struct err *e);

class pixel_reader {
public:
	pixel_reader() = default;
	~pixel_reader();
	pixel_reader(const pixel_reader &) = delete;
	pixel_reader &operator=(const pixel_reader &) = delete;

	// Of a file that scan_file and part10_layout have read. Nothing to do when it is the open one.
	int open(const char *path, const struct scan &scan, const struct pixel_layout &layout, struct err *e);
	// Frame k (from 0) -> (rows, cols) stored values: overlay and other foreign bits masked, sign extended; of 8 or 16 bits, so they fit what planes.cc keeps.
	int frame(size_t k, int32_t *stored, struct err *e);
	// What the header of frame 0 says; only of an encapsulated syntax other than RLE.
	int codestream(struct codestream *c, struct err *e);

private:
	void close();
	int load(size_t k, struct codestream *c, struct err *e);
	int decode(size_t k, unsigned *precision, struct err *e);
	int native(size_t k, struct err *e);
	int rle(struct err *e);

	std::string path;
	struct scan scan = {};
	struct pixel_layout layout = {};
	const struct syntax *syntax = NULL;
	struct bytes bytes = {};
	bool is_open = false;
	fragments index;
	std::vector<Uint8> coded;                 // one frame as stored
	std::vector<uint16_t> words;              // (rows, cols): the same, decoded
};
