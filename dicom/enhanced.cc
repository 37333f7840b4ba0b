// Functional groups, shared and per frame (PS3.3 C.7.6.16), into the frames of a file, in the order of the file: positions, not numbers, put them in order.
// Knows no dimension: which frames make the volume is for split.cc.
#include "dicom/enhanced.hh"

#include <cstring>

static const char *const classes[] = { UID_EnhancedMRImageStorage, UID_EnhancedCTImageStorage, UID_LegacyConvertedEnhancedMRImageStorage,
	UID_LegacyConvertedEnhancedCTImageStorage };

bool
enhanced_is_class(const char *sop_class)
{
	for (const char *uid : classes)
		if (strcmp(uid, sop_class) == 0)
			return true;
	return false;
}

static DcmItem *
first_item(DcmItem *item, const DcmTagKey &sequence)
{
	DcmItem *found = NULL;

	return item != NULL && item->findAndGetSequenceItem(sequence, found, 0).good() ? found : NULL;
}

// The group's item of this frame, else the one that all share.
static DcmItem *
group_of(DcmItem *frame, DcmItem *shared, const DcmTagKey &group)
{
	DcmItem *item = first_item(frame, group);

	return item != NULL ? item : first_item(shared, group);
}

static DcmItem *
need_group(DcmItem *groups, DcmItem *shared, const DcmTagKey &group, const struct slice_frame &frame, struct slice_file &f)
{
	DcmItem *item = group_of(groups, shared, group);

	if (item == NULL && f.bad.code == ERR_NONE)
		err_set(&f.bad, ERR_INPUT, "slice %s: the functional group %s is missing, per frame and shared", frame.place.name, trait_name(group).c_str());
	return item;
}

static void
read_frame(DcmItem *groups, DcmItem *shared, const trait_reader &traits, struct slice_file &f)
{
	struct slice_frame frame;

	frame.number = f.frames.size() + 1;
	frame.groups = groups;
	frame.traits = traits.read(groups);
	snprintf(frame.place.name, sizeof frame.place.name, "%s frame %zu", f.sop_uid, frame.number);
	struct slice_source from = { need_group(groups, shared, DCM_PlanePositionSequence, frame, f), need_group(groups, shared, DCM_PlaneOrientationSequence, frame, f),
		need_group(groups, shared, DCM_PixelMeasuresSequence, frame, f), group_of(groups, shared, DCM_PixelValueTransformationSequence) };
	if (f.bad.code == ERR_NONE)
		slice_frame_read(from, frame, f);
	f.frames.push_back(std::move(frame));
}

// A localizer may say so in every frame only.
static bool
are_localizers(const std::vector<struct slice_frame> &frames)
{
	for (const struct slice_frame &frame : frames) {
		const std::string *type = trait_find(frame.traits, DCM_FrameType);
		if (type == NULL || type->find("LOCALIZER") == std::string::npos)
			return false;
	}
	return !frames.empty();
}

static void
read_part(DcmItem &header, struct slice_file &f)
{
	Uint16 number = 0, total = 0;

	part10_copy(header, DCM_ConcatenationUID, f.part.concatenation, sizeof f.part.concatenation);
	if (f.part.concatenation[0] == '\0')
		return;
	header.findAndGetUint16(DCM_InConcatenationNumber, number);
	header.findAndGetUint16(DCM_InConcatenationTotalNumber, total);
	f.part.number = number;
	f.part.total = total;
}

void
enhanced_read(DcmItem &header, struct slice_file &f)
{
	DcmItem *shared = first_item(&header, DCM_SharedFunctionalGroupsSequence);
	DcmSequenceOfItems *list = NULL;

	if (header.findAndGetSequence(DCM_PerFrameFunctionalGroupsSequence, list).bad() || list == NULL) {
		err_set(&f.bad, ERR_INPUT, "instance %s: PerFrameFunctionalGroupsSequence (5200,9230) is missing", f.sop_uid);
		return;
	}
	if (list->card() != f.layout.frames) {
		err_set(&f.bad, ERR_INPUT, "instance %s: PerFrameFunctionalGroupsSequence (5200,9230) has %lu items, NumberOfFrames (0028,0008) is %zu", f.sop_uid, list->card(),
		    f.layout.frames);
		return;
	}
	read_part(header, f);
	trait_reader traits(header);
	f.frames.reserve(f.layout.frames);
	for (DcmObject *item = list->nextInContainer(NULL); item != NULL && f.bad.code == ERR_NONE; item = list->nextInContainer(item))
		read_frame((DcmItem *)item, shared, traits, f);
	f.is_localizer = f.is_localizer || are_localizers(f.frames);
}
