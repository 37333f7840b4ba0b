// Which slices of a series make its volume: see split.cc. For this room only.
#pragma once
#include "dicom/series.h"
#include "dicom/slice_file.hh"

struct volume {
	std::vector<struct slice_frame> slices;   // WHOLE: in grid order
	struct grid grid = {};                    // WHOLE
	enum series_verdict verdict = SERIES_BAD;
	struct err reason = {};                   // all but WHOLE
	std::string chosen;                       // WHOLE: as in series_info
};

// -1: no memory.
int split_choose(const std::vector<struct slice_frame> &slices, struct volume &v, struct err *e);
