// Which bytes of encapsulated pixel data are which frame (PS3.5 A.4). For this room only.
#pragma once
#include "dicom/bytes.h"
#include "dicom/part10.hh"
#include "dicom/syntax.h"

#include <vector>

struct fragment { uint64_t at, n; };          // in the file

class fragments {
public:
	// Walks the items once; decodes nothing. Where a frame may have several fragments: as many as frames: one each; one frame: all; else by the offset table
	// when every offset is the place of a fragment; else by the start markers of the codestreams; else ERR_INPUT.
	int read(struct bytes &b, const struct scan &scan, enum syntax_coding coding, size_t n_frames, struct err *e);
	// The bytes of frame k (from 0), its fragments joined.
	int frame(struct bytes &b, size_t k, std::vector<Uint8> &to, struct err *e) const;

private:
	bool by_table(const std::vector<Uint8> &table, size_t n_frames);
	int by_marker(struct bytes &b, enum syntax_coding coding, size_t n_frames, bool *is_found, struct err *e);
	std::vector<fragment> all;
	std::vector<size_t> firsts;               // the first fragment of each frame, then all.size()
};
