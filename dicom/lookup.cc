// An attribute wherever an instance has it: see lookup.hh. Enhanced MR and CT say in functional groups, and partly under other names (PS3.3 C.8.13, C.8.15), what
// single-frame ones say in the main data set; rules are written with the names of single-frame instances.
#include "dicom/lookup.hh"
#include "dicom/traits.hh"

#include <cstring>

enum { MOST_VALUES = 64, MOST_BYTES = 4096 /* of one attribute, over the frames: each frame's is looked for among them */ };

static DcmItem *
first_item(DcmItem &item, const DcmTagKey &sequence)
{
	DcmItem *first = NULL;

	return item.findAndGetSequenceItem(sequence, first, 0).good() ? first : NULL;
}

static DcmElement *
find_within(DcmItem *item, const DcmTagKey &tag)
{
	DcmElement *element = NULL;

	return item != NULL && item->findAndGetElement(tag, element, OFTrue).good() ? element : NULL;
}

// What tells frames apart: the values of all frames, each once.
static void
add_other_frames(DcmItem &header, const DcmTagKey &tag, text_reader &reader, OFString &text)
{
	DcmSequenceOfItems *frames = NULL;
	size_t n = 1;

	if (!trait_is_one(tag) || header.findAndGetSequence(DCM_PerFrameFunctionalGroupsSequence, frames).bad())
		return;
	for (DcmObject *item = frames->nextInContainer(NULL); item != NULL && n < MOST_VALUES; item = frames->nextInContainer(item)) {
		DcmElement *element = find_within((DcmItem *)item, tag);
		OFString value;
		if (element == NULL)
			continue;
		reader.read(*element, value);
		if (text.length() + value.length() > MOST_BYTES || ("\\" + text + "\\").find("\\" + value + "\\") != OFString_npos)
			continue;
		text += "\\" + value;
		n++;
	}
}

static bool
find_text(const struct lookup &from, const DcmTagKey &tag, OFString &text)
{
	DcmElement *element = NULL;
	bool is_of_frame = false;

	if (from.header.findAndGetElement(tag, element).bad() || element == NULL)
		element = find_within(first_item(from.header, DCM_SharedFunctionalGroupsSequence), tag);
	if (element == NULL) {
		DcmItem *groups = from.frame != NULL ? from.frame : first_item(from.header, DCM_PerFrameFunctionalGroupsSequence);
		is_of_frame = (element = find_within(groups, tag)) != NULL;
	}
	if (element == NULL)
		return false;
	from.reader.read(*element, text);
	if (is_of_frame && from.frame == NULL)
		add_other_frames(from.header, tag, from.reader, text);
	return true;
}

// ---- other names ----

static bool
is_value(const struct lookup &s, const DcmTagKey &tag, const char *wanted)
{
	OFString text;

	return find_text(s, tag, text) && text == wanted;
}

// The meaning of the agent's code, unless every frame says that it was not given.
static bool
contrast_agent(const struct lookup &s, OFString &text)
{
	DcmItem *agent = first_item(s.header, DCM_ContrastBolusAgentSequence);
	DcmElement *meaning = NULL;

	if (agent == NULL || agent->findAndGetElement(DCM_CodeMeaning, meaning).bad() || is_value(s, DCM_ContrastBolusAgentAdministered, "NO"))
		return false;
	s.reader.read(*meaning, text);
	return true;
}

static bool
scanning_sequence(const struct lookup &s, OFString &text)
{
	static const struct { DcmTagKey tag; const char *value, *word; } words[] = {
		{ DCM_EchoPulseSequence, "SPIN", "SE" }, { DCM_EchoPulseSequence, "GRADIENT", "GR" }, { DCM_EchoPulseSequence, "BOTH", "SE\\GR" },
		{ DCM_InversionRecovery, "YES", "IR" }, { DCM_EchoPlanarPulseSequence, "YES", "EP" },
	};

	text.clear();
	for (const auto &w : words)
		if (is_value(s, w.tag, w.value))
			text += (text.empty() ? "" : "\\") + OFString(w.word);
	return !text.empty();
}

static bool
angio_flag(const struct lookup &s, OFString &text)
{
	if (!is_value(s, DCM_TimeOfFlightContrast, "YES") && !is_value(s, DCM_PhaseContrast, "YES"))
		return false;
	text = "Y";
	return true;
}

static bool
acquisition_date(const struct lookup &s, OFString &text)
{
	if (!find_text(s, DCM_AcquisitionDateTime, text) || text.length() < 8)
		return false;
	text = text.substr(0, 8);
	return true;
}

static bool
acquisition_time(const struct lookup &s, OFString &text)
{
	if (!find_text(s, DCM_AcquisitionDateTime, text) || text.length() < 12)
		return false;
	text = text.substr(8, text.find_first_of("+-", 8) == OFString_npos ? OFString_npos : text.find_first_of("+-", 8) - 8);
	return true;
}

static const struct { DcmTagKey tag, name; bool (*value)(const struct lookup &, OFString &); } others[] = { // by another tag, or computed
	{ DCM_EchoTime, DCM_EffectiveEchoTime, NULL },
	{ DCM_InversionTime, DCM_InversionTimes, NULL },
	{ DCM_SequenceName, DCM_PulseSequenceName, NULL },
	{ DCM_ImageType, DCM_FrameType, NULL },
	{ DCM_ContrastBolusAgent, {}, contrast_agent },
	{ DCM_ScanningSequence, {}, scanning_sequence },
	{ DCM_AngioFlag, {}, angio_flag },
	{ DCM_AcquisitionDate, {}, acquisition_date },
	{ DCM_AcquisitionTime, {}, acquisition_time },
};

bool
lookup_text(const struct lookup &from, const DcmTagKey &tag, OFString &text)
{
	if (find_text(from, tag, text))
		return true;
	if (!from.header.tagExists(DCM_PerFrameFunctionalGroupsSequence))
		return false;
	for (const auto &o : others)
		if (o.tag == tag)
			return o.value != NULL ? o.value(from, text) : find_text(from, o.name, text);
	return false;
}
