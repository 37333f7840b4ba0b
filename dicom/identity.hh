// What of an instance must be equal for it to be the same instance, beside its pixels (DESIGN.md, "Same instance"). For this room only.
#pragma once
#include "dicom/part10.hh"

#include <string>
#include <vector>

struct identity_line { DcmTagKey tag; std::string name /* what a digest calls it */, value; };

// ERR_INPUT where one of them is so long that it is not read: the tag.
int identity_check(DcmItem &item, struct err *e);
// SOP class, the UIDs, whose images they are.
std::vector<struct identity_line> identity_names(DcmItem &item);
// Every position, orientation, spacing, frame of reference and scale wherever it stands, so that the frames of a multi-frame instance count too.
std::vector<struct identity_line> identity_places(DcmItem &item);
