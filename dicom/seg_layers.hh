// What the frames of a segmentation show, by its form: one layer a segment (BINARY, FRACTIONAL), or one of all segments (LABELMAP). For this room only.
#pragma once
#include "dicom/seg.h"

#include <string>
#include <vector>

struct seg_layers {
	std::vector<const uint8_t *> of;      // (slices, rows, cols) each; as many as there are segments, or one
	std::vector<uint8_t> labels;          // LABELMAP: the one layer
	bool is_disjoined = false;            // LABELMAP: voxels of several segments went to one
};

// The words for the form in a segment's description; "" where nothing is to be said.
std::string seg_layers_words(const struct seg_request *r, const struct seg_layers *l, const struct seg_segment *s);
void seg_layers_make(const struct seg_request *r, size_t n_voxels, struct seg_layers *l);
