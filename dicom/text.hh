// Texts of a data set in UTF-8. For this room only.
#pragma once
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcspchrs.h>
#include <dcmtk/dcmdata/dctk.h>

enum { TEXT_MAX = 65536 /* bytes of a value: what is longer is no text, and is never loaded */ };

// All values joined by '\', each without its padding; of more than 64 the bytes as they stand. false: no text, or longer than TEXT_MAX.
// DCMTK's getOFStringArray counts the values again for each of them: a million of them is hours.
bool text_values(DcmElement &element, OFString &text);

// Converts what SpecificCharacterSet says; where that fails, what is not UTF-8 becomes '?': a text never makes a data set unreadable.
class text_reader {
public:
	void select(DcmItem &data_set);                          // whose SpecificCharacterSet counts
	void read(DcmElement &element, OFString &text);          // values joined by '\'; "" for sequences, pixels and unknown bytes that are no text

private:
	DcmSpecificCharacterSet conversion;
	bool can_convert = false;
};
