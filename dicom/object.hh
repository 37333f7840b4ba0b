// An object of ours as a file (PS3.10), whole or not at all, and in the syntaxes in which a SEG may be written. For this room only.
#pragma once
#include "config/err.h"
#include "config/seg_syntax.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <string>

// The data set says SOP class and instance. The same data set gives the same bytes.
int object_write(DcmDataset &ds, const char *path, struct err *e);            // explicit VR little endian
int object_write_as(DcmDataset &ds, const char *path, enum seg_syntax syntax, struct err *e);
E_TransferSyntax object_syntax(enum seg_syntax s);
// Makes an uncompressed data set fit to be written in the syntax; false: it cannot be so written (RLE of anything but frames of bytes), and is as it was.
bool object_encode(DcmDataset &ds, enum seg_syntax syntax);
std::string object_bytes(DcmDataset &ds, enum seg_syntax syntax); // the file; of a data set that was encoded
