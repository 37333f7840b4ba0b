// Multi-frame instances as slices: Enhanced MR and CT, Legacy Converted Enhanced MR and CT. For this room only.
#pragma once
#include "dicom/slice_file.hh"

bool enhanced_is_class(const char *sop_class);
// Fills f.frames from the functional groups (f.layout is filled); what is missing, or does not fit NumberOfFrames, becomes f.bad.
void enhanced_read(DcmItem &header, struct slice_file &f);
