// An attribute wherever an instance has it: main data set, functional groups, or under the name that Enhanced objects use. For this room only.
#pragma once
#include "dicom/text.hh"

// false: absent. See attributes_text for what is found.
bool lookup_text(DcmItem &header, const DcmTagKey &tag, text_reader &reader, OFString &text);
