// An attribute wherever an instance has it: main data set, functional groups, or under the name that Enhanced objects use. For this room only.
#pragma once
#include "dicom/text.hh"

struct lookup {
	DcmItem &header;
	text_reader &reader;
	DcmItem *frame;               // functional groups of the one frame that is meant; NULL: all
};

// false: absent. See attributes_text for what is found.
bool lookup_text(const struct lookup &from, const DcmTagKey &tag, OFString &text);
