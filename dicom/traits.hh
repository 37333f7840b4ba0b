// What tells slices of one place apart: stack, kind of frame, echo, inversion, diffusion, time, phase, ... (PS3.3 C.7.6.16.2.2, C.8.13.5). For this room only.
#pragma once
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <string>
#include <vector>

struct trait { DcmTagKey tag; std::string value; }; // values joined by '\'

// Reads the traits of the frames of one instance: a table's, and what its DimensionIndexSequence points at.
class trait_reader {
public:
	explicit trait_reader(DcmItem &header);
	// Those that are there, in the order of the table; groups: the frame's functional groups, NULL for a single-frame instance.
	std::vector<struct trait> read(DcmItem *groups) const;

private:
	std::vector<DcmTagKey> tags;
	std::vector<std::string> common;      // by tags: the value in the header or the shared groups; "" for none
};

bool trait_is_one(const DcmTagKey &tag);    // of the table
const std::string *trait_find(const std::vector<struct trait> &traits, const DcmTagKey &tag); // NULL: none
std::string trait_name(const DcmTagKey &tag); // "EchoTime (0018,0081)"
