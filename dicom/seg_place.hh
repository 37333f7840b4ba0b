// Onto which slice of its images a frame of a segmentation belongs: by its position, which must agree with what it refers to; without one, by the slice
// that it refers to (instance, and frame of a multi-frame one). Knows no pixels and no segments. For this room only.
#pragma once
#include "dicom/part10.hh"
#include "dicom/series_parts.hh"

#include <map>
#include <string>
#include <vector>

struct seg_source { std::string instance; std::vector<size_t> frames; }; // SOP Instance UID; frames: 1.. of a multi-frame instance, none: not said

struct seg_frame {
	unsigned number = 0;                      // of its segment; LABELMAP: 0, the pixels say it
	bool has_position = false, has_directions = false, has_spacing = false;
	double position_mm[3] = {}, directions[6] = {}, spacing_mm[2] = {};
	std::vector<struct seg_source> sources;
};

typedef std::map<std::string, std::map<size_t, size_t>> seg_slices; // SOP Instance UID -> frame (0 of a single-frame instance) -> slice

seg_slices seg_map_slices(const struct series *source);
// number: the frame's, for what is said. ERR_INPUT: another plane or spacing, off the grid, or position and reference contradict each other.
int seg_place(const struct seg_frame &f, size_t number, const char *frame_of_reference, const struct series *source, const seg_slices &slices, size_t *slice, struct err *e);
