// What seg.cc (and later report, preview) needs of a series beyond its header: DCMTK's side of it. For this room only.
#pragma once
#include "dicom/series.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

size_t series_n_slices(const struct series *s);
DcmDataset *series_header(const struct series *s, size_t slice);              // slice in grid order; header without pixel data; borrowed
