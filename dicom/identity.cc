// Names and places of an instance as lines of text: see identity.hh. What was received, to the letter: a digest is made of it (attributes.cc).
#include "dicom/identity.hh"
#include "dicom/text.hh"

static const struct { const char *name; DcmTagKey tag; } names[] = {
	{ "class", DCM_SOPClassUID }, { "instance", DCM_SOPInstanceUID }, { "study", DCM_StudyInstanceUID }, { "series", DCM_SeriesInstanceUID },
	{ "patient", DCM_PatientID }, { "issuer", DCM_IssuerOfPatientID },
};
static const DcmTagKey places[] = { DCM_ImagePositionPatient, DCM_ImageOrientationPatient, DCM_PixelSpacing, DCM_FrameOfReferenceUID, DCM_RescaleSlope,
	DCM_RescaleIntercept };

static int
check_length(const DcmElement &element, struct err *e)
{
	DcmTag tag(element.getTag());
	unsigned long n = const_cast<DcmElement &>(element).getLength();

	if (n <= TEXT_MAX)
		return 0;
	return err_set(e, ERR_INPUT, "%s (%04X,%04X) is %lu bytes long: nothing that it may hold is", tag.getTagName(), tag.getGroup(), tag.getElement(), n);
}

// Every element of this tag, wherever it stands. DcmStack::elem walks down from the top each time: they are taken off instead.
static std::vector<DcmElement *>
find_all(DcmItem &item, const DcmTagKey &tag)
{
	std::vector<DcmElement *> all;
	DcmStack found;

	if (item.findAndGetElements(tag, found).bad())
		return all;
	while (!found.empty()) {
		DcmElement *element = dynamic_cast<DcmElement *>(found.pop());
		if (element != NULL)
			all.push_back(element);
	}
	return all;
}

int
identity_check(DcmItem &item, struct err *e)
{
	DcmElement *element = NULL;

	for (const auto &n : names)
		if (item.findAndGetElement(n.tag, element).good() && element != NULL && check_length(*element, e) != 0)
			return -1;
	for (const DcmTagKey &tag : places)
		for (const DcmElement *place : find_all(item, tag))
			if (check_length(*place, e) != 0)
				return -1;
	return 0;
}

std::vector<struct identity_line>
identity_names(DcmItem &item)
{
	std::vector<struct identity_line> lines;
	OFString text;

	for (const auto &n : names) {
		part10_text(item, n.tag, text);
		lines.push_back({ n.tag, n.name, text.c_str() });
	}
	return lines;
}

std::vector<struct identity_line>
identity_places(DcmItem &item)
{
	std::vector<struct identity_line> lines;
	OFString value;

	for (const DcmTagKey &tag : places)
		for (DcmElement *element : find_all(item, tag))
			if (text_values(*element, value))
				lines.push_back({ tag, tag.toString().c_str(), value.c_str() });
	return lines;
}
