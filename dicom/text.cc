// Texts of a data set in UTF-8: see text.hh. The sets are those that DCMTK 3.6.7 can convert with glibc's iconv.
#include "dicom/text.hh"
#include "config/utf8.h"

#include <algorithm>

enum {
	UNKNOWN_MAX = 1024,                       // bytes of a value that are shown as text
	SETS_MAX = 1024,                          // bytes of SpecificCharacterSet: all that there are, once each, take a quarter of it
	FEW = 64,                                 // values
};

bool
text_values(DcmElement &element, OFString &text)
{
	char *bytes = NULL;
	Uint32 n = 0;

	if (element.getLength() > TEXT_MAX)
		return false;
	if (!element.isaString() || element.getString(bytes, n).bad() || bytes == NULL || std::count(bytes, bytes + n, '\\') < FEW)
		return element.getOFStringArray(text).good();
	text.assign(bytes, n);
	return true;
}

// Bytes of a value whose VR says nothing (UN: a private tag that went through an implicit archive), if they are text.
static void
unknown_text(DcmElement &element, OFString &text)
{
	Uint8 *bytes = NULL;
	Uint32 n = element.getLength();

	if (n > UNKNOWN_MAX || element.getUint8Array(bytes).bad() || bytes == NULL)
		return;
	while (n > 0 && (bytes[n - 1] == ' ' || bytes[n - 1] == '\0'))
		n--;
	for (Uint32 i = 0; i < n; i++)
		if (bytes[i] < 0x20)
			return;
	text.assign((const char *)bytes, n);
}

static void
element_text(DcmElement &element, OFString &text)
{
	switch (element.ident()) {
	case EVR_SQ: case EVR_OB: case EVR_OW: case EVR_OF: case EVR_OD: case EVR_OL: case EVR_ox: case EVR_px: case EVR_OV:
		return; // present, but no text
	case EVR_UN: case EVR_UNKNOWN: case EVR_UNKNOWN2B:
		unknown_text(element, text);
		return;
	default:
		if (!text_values(element, text))
			text.clear();
	}
}

static bool
is_ascii(const OFString &text)
{
	for (size_t i = 0; i < text.length(); i++)
		if ((unsigned char)text[i] >= 0x80 || text[i] == '\033')
			return false;
	return true;
}

// A byte that begins no well-formed character, or an escape sequence that was not understood, becomes '?'.
static void
force_utf8(OFString &text)
{
	for (size_t i = 0; i < text.length(); ) {
		size_t n = utf8_length(text.c_str() + i, text.length() - i);
		if (n == 0 || text[i] == '\033')
			text[i] = '?';
		i += n == 0 ? 1 : n;
	}
}

void
text_reader::select(DcmItem &data_set)
{
	DcmElement *sets = NULL;
	bool is_absurd = data_set.findAndGetElement(DCM_SpecificCharacterSet, sets).good() && sets != NULL && sets->getLength() > SETS_MAX; // DCMTK would count them for ever

	can_convert = !is_absurd && conversion.selectCharacterSet(data_set).good();
}

void
text_reader::read(DcmElement &element, OFString &text)
{
	OFString converted;

	text.clear();
	element_text(element, text);
	if (!is_ascii(text)) {
		if (can_convert && element.isAffectedBySpecificCharacterSet() && conversion.convertString(text, converted, "\\^=").good())
			text = converted;
		force_utf8(text);
	}
	text.erase(text.find_last_not_of(' ') == OFString_npos ? 0 : text.find_last_not_of(' ') + 1);
}
