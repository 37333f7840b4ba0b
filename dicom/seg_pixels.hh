// How the pixels of a segmentation are stored (BINARY: one bit a pixel; else bytes or words; uncompressed, deflated or RLE Lossless), and one frame of them.
// Knows nothing of segments and places. For this room only.
#pragma once
#include "dicom/bytes.h"
#include "dicom/part10.hh"

#include <string>
#include <vector>

struct seg_fragment { uint64_t at, n; };      // in the file

struct seg_pixels {
	std::string path;
	struct scan scan = {};
	struct pixel_layout layout = {};
	std::vector<struct seg_fragment> fragments; // RLE: one a frame
	bool is_padded = false;                   // BINARY: every frame begins at a byte
};

struct seg_reader { // of the file's bytes; of a deflated one as they are inflated. Closes itself
	int fd = -1;
	struct bytes bytes;
	int open(const struct seg_pixels &s, struct err *e);
	int read(uint64_t at, unsigned char *to, size_t n, struct err *e) { return bytes_read_all(&bytes, at, to, n, e); }
	~seg_reader();
};

// path and scan are filled by the caller. ERR_INPUT: another transfer syntax, other bits, a length that does not fit.
int seg_pixels_read(DcmFileFormat &file, bool is_binary, unsigned most_bits, struct seg_pixels &s, struct err *e);
// One frame's bytes as they would be uncompressed; its first pixel is bit *first_bit of them.
int seg_pixels_frame(const struct seg_pixels &s, struct seg_reader &file, size_t i, std::vector<unsigned char> &bytes, size_t *first_bit, struct err *e);
