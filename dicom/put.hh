// Filling a data set: every element with the VR given here, so that nothing written hangs on a dictionary, and text made fit for its VR (PS3.5 6.2).
// A put that fails throws, and shim.hh makes a struct err of it. Decides no content. For this room only.
#pragma once
#include "dicom/codes.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <string>

void put_ok(const OFCondition &c);                                            // throws unless good
size_t put_longest(DcmEVR vr, bool *has_one_value);                           // characters a value may have; true: '\\' is part of the one value
bool put_is_utf8(DcmItem &item);                                              // the data set it is in says so
// Control characters become blanks, the backslash a slash, what is too long is cut; beyond ASCII only where the data set is in UTF-8, else '?'.
void put_text(DcmItem &to, const DcmTagKey &tag, DcmEVR vr, const char *text);
void put_raw(DcmItem &to, const DcmTagKey &tag, DcmEVR vr, const std::string &value); // as it is; '\' separates values
void put_integer(DcmItem &to, const DcmTagKey &tag, size_t value);            // IS
void put_decimals(DcmItem &to, const DcmTagKey &tag, const double *values, size_t n); // DS, 9 digits: 1 um in a km, and no noise
void put_u16(DcmItem &to, const DcmTagKey &tag, const Uint16 *values, size_t n); // US
DcmItem &put_item(DcmItem &to, const DcmTagKey &sequence);                    // appends an item; borrowed from `to`
void put_code(DcmItem &to, const DcmTagKey &sequence, const struct seg_code *code);
