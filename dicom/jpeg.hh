// One frame of JPEG or JPEG-LS by DCMTK's codecs. For this room only.
#pragma once
#include "dicom/codestream.h"
#include "dicom/shim.hh"

#include <vector>

// c is what the frame's header says and the data set agrees with: one component, at most 16 bits. Decoded into words. ERR_INPUT: it cannot be decoded.
int jpeg_decode(const char *transfer_syntax, std::vector<Uint8> &frame, const struct codestream &c, uint16_t *words, struct err *e);
