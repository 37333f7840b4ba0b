// What tells slices of one place apart: see traits.hh. The table names the most telling first; dates and times, which only say that it was done twice, are last.
#include "dicom/traits.hh"

#include <algorithm>
#include <cstdio>

enum { MAX_VALUE = 256 /* bytes of a value that is compared */ };

static const DcmTagKey table[] = {
	DCM_StackID, DCM_ComplexImageComponent, DCM_FrameType, DCM_ImageType,
	DCM_EffectiveEchoTime, DCM_EchoTime, DCM_EchoNumbers, DCM_InversionTimes, DCM_InversionTime,
	DCM_DiffusionBValue, DCM_DiffusionDirectionality, DCM_DiffusionGradientOrientation,
	DCM_TemporalPositionIndex, DCM_TemporalPositionIdentifier, DCM_TemporalPositionTimeOffset,
	DCM_NominalCardiacTriggerDelayTime, DCM_NominalPercentageOfCardiacPhase, DCM_TriggerTime, DCM_NominalRespiratoryTriggerDelayTime, DCM_NominalPercentageOfRespiratoryPhase,
	DCM_ASLContext, DCM_VelocityEncodingDirection, DCM_ContrastBolusAgentAdministered, DCM_ContrastBolusAgentPhase, DCM_ContrastBolusAgent,
	DCM_RepetitionTime, DCM_FlipAngle, DCM_KVP, DCM_ConvolutionKernel,
	DCM_FrameAcquisitionNumber, DCM_AcquisitionNumber, DCM_FrameAcquisitionDateTime, DCM_AcquisitionDateTime, DCM_AcquisitionTime,
};
static const DcmTagKey of_place[] = { // dimensions that only count the slices
	DCM_InStackPositionNumber, DCM_ImagePositionPatient, DCM_ImageOrientationPatient, DCM_SliceLocation, DCM_ImagePositionVolume, DCM_TablePosition,
};

static std::string
value_in(DcmItem &item, const DcmTagKey &tag, bool is_deep)
{
	DcmElement *element = NULL;
	OFString text;

	if (item.findAndGetElement(tag, element, is_deep).bad() || element == NULL || element->ident() == EVR_SQ || element->getLength() > MAX_VALUE ||
	    element->getOFStringArray(text).bad())
		return "";
	return text.c_str();
}

template <size_t n>
static bool
is_among(const DcmTagKey (&tags)[n], const DcmTagKey &tag)
{
	return std::find(tags, tags + n, tag) != tags + n;
}

trait_reader::trait_reader(DcmItem &header) : tags(std::begin(table), std::end(table))
{
	DcmItem *shared = NULL;
	DcmSequenceOfItems *dimensions = NULL;

	if (header.findAndGetSequence(DCM_DimensionIndexSequence, dimensions).good())
		for (DcmObject *item = dimensions->nextInContainer(NULL); item != NULL; item = dimensions->nextInContainer(item)) {
			DcmTagKey tag;
			DcmElement *pointer = NULL;
			if (((DcmItem *)item)->findAndGetElement(DCM_DimensionIndexPointer, pointer).good() && pointer->ident() == EVR_AT &&
			    ((DcmAttributeTag *)pointer)->getTagVal(tag).good() && !is_among(of_place, tag) && std::find(tags.begin(), tags.end(), tag) == tags.end())
				tags.push_back(tag);
		}
	header.findAndGetSequenceItem(DCM_SharedFunctionalGroupsSequence, shared, 0);
	for (const DcmTagKey &tag : tags) {
		std::string value = shared != NULL ? value_in(*shared, tag, true) : "";
		common.push_back(value.empty() ? value_in(header, tag, false) : value);
	}
}

std::vector<struct trait>
trait_reader::read(DcmItem *groups) const
{
	std::vector<struct trait> result;

	for (size_t i = 0; i < tags.size(); i++) {
		std::string value = groups != NULL ? value_in(*groups, tags[i], true) : "";
		if (value.empty())
			value = common[i];
		if (!value.empty())
			result.push_back({ tags[i], value });
	}
	return result;
}

bool
trait_is_one(const DcmTagKey &tag)
{
	return is_among(table, tag);
}

const std::string *
trait_find(const std::vector<struct trait> &traits, const DcmTagKey &tag)
{
	for (const struct trait &t : traits)
		if (t.tag == tag)
			return &t.value;
	return NULL;
}

std::string
trait_name(const DcmTagKey &tag)
{
	char number[16];

	snprintf(number, sizeof number, " (%04X,%04X)", tag.getGroup(), tag.getElement());
	return std::string(DcmTag(tag).getTagName()) + number;
}
