// Names and places of an instance as lines of text: see identity.hh. What was received, to the letter: a digest is made of it (attributes.cc).
#include "dicom/identity.hh"

static const struct { const char *name; DcmTagKey tag; } names[] = {
	{ "class", DCM_SOPClassUID }, { "instance", DCM_SOPInstanceUID }, { "study", DCM_StudyInstanceUID }, { "series", DCM_SeriesInstanceUID },
	{ "patient", DCM_PatientID }, { "issuer", DCM_IssuerOfPatientID },
};
static const DcmTagKey places[] = { DCM_ImagePositionPatient, DCM_ImageOrientationPatient, DCM_PixelSpacing, DCM_FrameOfReferenceUID, DCM_RescaleSlope,
	DCM_RescaleIntercept };

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

	for (const DcmTagKey &tag : places) {
		DcmStack found;
		if (item.findAndGetElements(tag, found).bad())
			continue;
		for (unsigned long i = 0; i < found.card(); i++) {
			OFString value;
			DcmElement *element = dynamic_cast<DcmElement *>(found.elem(i));
			if (element != NULL && element->getOFStringArray(value).good())
				lines.push_back({ tag, tag.toString().c_str(), value.c_str() });
		}
	}
	return lines;
}
