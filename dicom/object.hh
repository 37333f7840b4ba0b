// An object of ours as a file (PS3.10): explicit VR little endian, whole or not at all. For this room only.
#pragma once
#include "config/err.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

// The data set says SOP class and instance. The same data set gives the same bytes.
int object_write(DcmDataset &ds, const char *path, struct err *e);
