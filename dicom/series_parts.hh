// What seg.cc (and later report, preview) needs of a series beyond its header: DCMTK's side of it. For this room only.
#pragma once
#include "dicom/series.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

size_t series_n_slices(const struct series *s);
DcmDataset *series_header(const struct series *s, size_t slice);              // of the slice's instance, without pixel data; slice in grid order; borrowed
size_t series_frame(const struct series *s, size_t slice);                    // 1..: which frame of a multi-frame instance; 0: the instance is single-frame
// What holds the attributes of a functional group (PlanePositionSequence: ImagePositionPatient, ...) for this slice: the group's item, per frame or shared, of a
// multi-frame instance; else the header. borrowed
DcmItem *series_group(const struct series *s, size_t slice, const DcmTagKey &group);
