// Reads segmentations: see seg_read.h. Our own reader, because DCMTK 3.6.7 knows no LABELMAP and pads frames of odd sizes (DICOM.md 0.1), and because what
// becomes training data must lie where its frames say, not in the order of the file. Writes nothing; decides nothing about whose label counts.
#include "dicom/seg_read.h"
#include "dicom/bits.h"
#include "dicom/seg.h"
#include "dicom/seg_pixels.hh"
#include "dicom/seg_place.hh"
#include "dicom/text.hh"
#include "config/digest.h"
#include "config/utf8.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

enum seg_kind { KIND_BINARY, KIND_FRACTIONAL, KIND_LABELMAP };

struct seg_file {
	struct seg_pixels pixels;
	struct seg_info info = {};
	char frame_of_reference[DICOM_UID] = "";
	enum seg_kind kind = KIND_BINARY;
	unsigned maximum = 1;                     // FRACTIONAL: what stands for the whole
	std::vector<struct seg_read_segment> segments;
	std::vector<struct seg_frame> frames;
	std::vector<std::string> references;      // series UIDs
};

// ---- header ----

static DcmItem *
first_item(DcmItem &item, const DcmTagKey &sequence)
{
	DcmItem *found = NULL;

	return item.findAndGetSequenceItem(sequence, found, 0).good() ? found : NULL;
}

// A person's words in UTF-8, cut at the end of a character.
static void
copy_words(text_reader &reader, DcmItem &item, const DcmTagKey &tag, char *to, size_t size)
{
	DcmElement *element = NULL;
	OFString text;
	size_t n = 0;

	if (item.findAndGetElement(tag, element).good() && element != NULL)
		reader.read(*element, text);
	while (n < text.length() && text[n] != '\0') {
		size_t length = utf8_length(text.c_str() + n, text.length() - n);
		if (length == 0 || n + length >= size)
			break;
		n += length;
	}
	memcpy(to, text.c_str(), n);
	to[n] = '\0';
}

static void
read_term(DcmItem *holder, const DcmTagKey &sequence, struct seg_term *term)
{
	static const DcmTagKey values[] = { DCM_CodeValue, DCM_LongCodeValue, DCM_URNCodeValue };
	DcmItem *item = holder != NULL ? first_item(*holder, sequence) : NULL;

	if (item == NULL)
		return;
	part10_copy(*item, DCM_CodingSchemeDesignator, term->scheme, sizeof term->scheme);
	for (const DcmTagKey &tag : values)
		if (term->value[0] == '\0')
			part10_copy(*item, tag, term->value, sizeof term->value);
}

static int
read_segment(text_reader &reader, DcmItem &item, struct seg_file &s, struct err *e)
{
	struct seg_read_segment segment = {};
	Uint16 number = 0;

	if (item.findAndGetUint16(DCM_SegmentNumber, number).bad())
		return err_set(e, ERR_INPUT, "SegmentNumber (0062,0004) is missing");
	segment.number = number;
	for (const struct seg_read_segment &other : s.segments)
		if (other.number == number)
			return err_set(e, ERR_INPUT, "SegmentNumber (0062,0004) %u is there twice", number);
	copy_words(reader, item, DCM_SegmentLabel, segment.label, sizeof segment.label);
	part10_copy(item, DCM_SegmentAlgorithmType, segment.algorithm_type, sizeof segment.algorithm_type);
	read_term(&item, DCM_SegmentedPropertyCategoryCodeSequence, &segment.category);
	read_term(&item, DCM_SegmentedPropertyTypeCodeSequence, &segment.type);
	read_term(first_item(item, DCM_SegmentedPropertyTypeCodeSequence), DCM_SegmentedPropertyTypeModifierCodeSequence, &segment.modifier);
	s.segments.push_back(segment);
	return 0;
}

static int
read_segments(DcmItem &ds, struct seg_file &s, struct err *e)
{
	DcmSequenceOfItems *list = NULL;
	text_reader reader;

	reader.select(ds);
	copy_words(reader, ds, DCM_ContentCreatorName, s.info.creator, sizeof s.info.creator);
	if (ds.findAndGetSequence(DCM_SegmentSequence, list).bad() || list == NULL || list->card() == 0)
		return err_set(e, ERR_INPUT, "SegmentSequence (0062,0002) is missing or empty");
	for (unsigned long i = 0; i < list->card(); i++)
		if (read_segment(reader, *list->getItem(i), s, e) != 0)
			return -1;
	s.info.n_segments = s.segments.size();
	return 0;
}

static int
read_kind(DcmItem &ds, struct seg_file &s, struct err *e)
{
	char sop_class[DICOM_UID];
	OFString type;
	Uint16 maximum = 0;

	if (part10_uid(ds, DCM_SOPClassUID, true, sop_class, e) != 0)
		return -1;
	part10_text(ds, DCM_SegmentationType, type);
	if (strcmp(sop_class, SEG_LABELMAP_CLASS) == 0)
		s.kind = KIND_LABELMAP;
	else if (strcmp(sop_class, UID_SegmentationStorage) != 0)
		return err_set(e, ERR_INPUT, "no segmentation: SOPClassUID (0008,0016) is %s", sop_class);
	else if (type == "BINARY" || type == "FRACTIONAL")
		s.kind = type == "BINARY" ? KIND_BINARY : KIND_FRACTIONAL;
	else
		return err_set(e, ERR_INPUT, "SegmentationType (0062,0001) is neither BINARY nor FRACTIONAL");
	if (s.kind == KIND_FRACTIONAL) {
		if (ds.findAndGetUint16(DCM_MaximumFractionalValue, maximum).bad() || maximum == 0)
			return err_set(e, ERR_INPUT, "MaximumFractionalValue (0062,000E) is missing or 0");
		s.maximum = maximum;
	}
	return 0;
}

static void
read_references(DcmItem &ds, struct seg_file &s)
{
	DcmSequenceOfItems *list = NULL;
	OFString uid;

	if (ds.findAndGetSequence(DCM_ReferencedSeriesSequence, list).bad() || list == NULL)
		return;
	for (unsigned long i = 0; i < list->card(); i++)
		if (part10_text(*list->getItem(i), DCM_SeriesInstanceUID, uid))
			s.references.push_back(uid.c_str());
}

// ---- frames ----

// The group's item of this frame, else the one shared by all.
static DcmItem *
group_of(DcmItem *frame, DcmItem *shared, const DcmTagKey &group)
{
	DcmItem *item = frame != NULL ? first_item(*frame, group) : NULL;

	return item != NULL || shared == NULL ? item : first_item(*shared, group);
}

static void
add_sources(DcmItem &holder, struct seg_frame &f)
{
	DcmSequenceOfItems *list = NULL;
	OFString uid;
	Sint32 number = 0;

	if (holder.findAndGetSequence(DCM_SourceImageSequence, list).bad() || list == NULL)
		return;
	for (unsigned long i = 0; i < list->card(); i++) {
		DcmItem &item = *list->getItem(i);
		if (!part10_text(item, DCM_ReferencedSOPInstanceUID, uid) || uid.empty())
			continue;
		f.sources.push_back({ uid.c_str(), {} });
		for (unsigned long k = 0; item.findAndGetSint32(DCM_ReferencedFrameNumber, number, k).good(); k++)
			if (number > 0)
				f.sources.back().frames.push_back((size_t)number);
	}
}

static void
read_sources(DcmItem *groups, struct seg_frame &f)
{
	DcmSequenceOfItems *list = NULL;

	if (groups == NULL || groups->findAndGetSequence(DCM_DerivationImageSequence, list).bad() || list == NULL)
		return;
	for (unsigned long i = 0; i < list->card(); i++)
		add_sources(*list->getItem(i), f);
}

static int
read_frame(DcmItem *frame, DcmItem *shared, struct seg_file &s, struct err *e)
{
	struct seg_frame f;
	DcmItem *segment = group_of(frame, shared, DCM_SegmentIdentificationSequence), *position = group_of(frame, shared, DCM_PlanePositionSequence);
	DcmItem *plane = group_of(frame, shared, DCM_PlaneOrientationSequence), *measures = group_of(frame, shared, DCM_PixelMeasuresSequence);
	Uint16 number = 0;

	if (s.kind != KIND_LABELMAP && (segment == NULL || segment->findAndGetUint16(DCM_ReferencedSegmentNumber, number).bad()))
		return err_set(e, ERR_INPUT, "frame %zu: ReferencedSegmentNumber (0062,000B) is missing", s.frames.size() + 1);
	f.number = number;
	f.has_position = position != NULL && part10_numbers(*position, DCM_ImagePositionPatient, f.position_mm, 3);
	f.has_directions = plane != NULL && part10_numbers(*plane, DCM_ImageOrientationPatient, f.directions, 6);
	f.has_spacing = measures != NULL && part10_numbers(*measures, DCM_PixelSpacing, f.spacing_mm, 2);
	read_sources(frame, f);
	if (f.sources.empty())
		read_sources(shared, f);
	s.frames.push_back(std::move(f));
	return 0;
}

static int
read_frames(DcmItem &ds, struct seg_file &s, struct err *e)
{
	DcmItem *shared = first_item(ds, DCM_SharedFunctionalGroupsSequence);
	DcmSequenceOfItems *list = NULL;

	if (ds.findAndGetSequence(DCM_PerFrameFunctionalGroupsSequence, list).bad() || list == NULL)
		return err_set(e, ERR_INPUT, "PerFrameFunctionalGroupsSequence (5200,9230) is missing");
	if (list->card() != s.pixels.layout.frames)
		return err_set(e, ERR_INPUT, "PerFrameFunctionalGroupsSequence (5200,9230) has %lu items, NumberOfFrames (0028,0008) is %zu", list->card(), s.pixels.layout.frames);
	for (DcmObject *item = list->nextInContainer(NULL); item != NULL; item = list->nextInContainer(item))
		if (read_frame(dynamic_cast<DcmItem *>(item), shared, s, e) != 0)
			return -1;
	if (!s.frames.empty() && !s.frames[0].sources.empty())
		snprintf(s.info.first_source, sizeof s.info.first_source, "%s", s.frames[0].sources[0].instance.c_str());
	return 0;
}

// ---- whose it is ----

// Of PixelData as seg.cc would store these frames: an archive that compresses does not change what was found.
static int
pixel_digest(const struct seg_file &s, char hex[DIGEST_HEX], struct err *e)
{
	size_t n = s.pixels.layout.rows * s.pixels.layout.cols;
	std::vector<unsigned char> bytes, packed(bits_bytes(s.pixels.layout.frames * n * s.pixels.layout.bits_allocated));
	std::vector<uint8_t> mask(n);
	struct seg_reader file;
	size_t first_bit;

	if (file.open(s.pixels, e) != 0)
		return -1;
	for (size_t i = 0; i < s.pixels.layout.frames; i++) {
		if (seg_pixels_frame(s.pixels, file, i, bytes, &first_bit, e) != 0)
			return -1;
		if (s.kind == KIND_BINARY) {
			bits_unpack(bytes.data(), first_bit, n, mask.data());
			bits_pack(mask.data(), n, i * n, packed.data());
		} else {
			memcpy(packed.data() + i * bytes.size(), bytes.data(), bytes.size());
		}
	}
	digest_of(packed.data(), packed.size(), hex);
	return 0;
}

// What seg.cc writes into Algorithm Parameters: both digests, whatever stands around them.
static int
judge_origin(DcmItem &ds, struct seg_file &s, struct err *e)
{
	DcmSequenceOfItems *list = NULL;
	OFString text, stated;
	char actual[DIGEST_HEX];

	s.info.origin = SEG_OTHERS;
	ds.findAndGetSequence(DCM_SegmentSequence, list);
	for (unsigned long i = 0; i < list->card() && stated.empty(); i++) {
		DcmItem *algorithm = first_item(*list->getItem(i), DCM_SegmentationAlgorithmIdentificationSequence);
		if (algorithm == NULL || !part10_text(*algorithm, DCM_AlgorithmParameters, text))
			continue;
		size_t at = text.find("pixel_sha256=");
		if (at != OFString_npos && text.find("weights_sha256=") != OFString_npos)
			stated = text.substr(at + strlen("pixel_sha256="), DIGEST_HEX - 1);
	}
	if (stated.empty())
		return 0;
	if (pixel_digest(s, actual, e) != 0)
		return -1;
	s.info.origin = stated == actual ? SEG_OURS : SEG_OURS_CHANGED;
	return 0;
}

// ---- opening ----

static int
read_info(DcmItem &ds, struct seg_file &s, struct err *e)
{
	OFString date, time;

	if (part10_uid(ds, DCM_SOPInstanceUID, true, s.info.sop_uid, e) != 0 || part10_uid(ds, DCM_StudyInstanceUID, true, s.info.study_uid, e) != 0 ||
	    part10_uid(ds, DCM_SeriesInstanceUID, true, s.info.series_uid, e) != 0 || part10_uid(ds, DCM_FrameOfReferenceUID, false, s.frame_of_reference, e) != 0)
		return -1;
	part10_text(ds, DCM_ContentDate, date);
	part10_text(ds, DCM_ContentTime, time);
	snprintf(s.info.created, sizeof s.info.created, "%.8s %.16s", date.c_str(), time.c_str());
	return 0;
}

static int
read_all(struct seg_file &s, struct err *e)
{
	DcmFileFormat file;

	if (part10_load(s.pixels.path.c_str(), file, &s.pixels.scan, e) != 0)
		return -1;
	DcmItem &ds = *file.getDataset();
	if (read_kind(ds, s, e) != 0 || read_info(ds, s, e) != 0 || seg_pixels_read(file, s.kind == KIND_BINARY, s.kind == KIND_LABELMAP ? 16 : 8, s.pixels, e) != 0 || read_segments(ds, s, e) != 0 || read_frames(ds, s, e) != 0)
		return -1;
	read_references(ds, s);
	return judge_origin(ds, s, e);
}

extern "C" struct seg_file *
seg_read_open(const char *path, struct err *e)
{
	return shim_pointer(e, [&]() -> struct seg_file * {
		std::unique_ptr<struct seg_file> s(new struct seg_file);
		s->pixels.path = path;
		if (read_all(*s, e) != 0) {
			err_note(e, "segmentation %s", path);
			return nullptr;
		}
		return s.release();
	});
}

extern "C" void
seg_read_free(struct seg_file *s)
{
	delete s;
}

extern "C" const struct seg_info *
seg_read_info(const struct seg_file *s)
{
	return &s->info;
}

extern "C" const struct seg_read_segment *
seg_read_at(const struct seg_file *s, size_t i)
{
	return &s->segments[i];
}

extern "C" bool
seg_read_refers_to(const struct seg_file *s, const char *series_uid)
{
	for (const std::string &r : s->references)
		if (r == series_uid)
			return true;
	return false;
}

// ---- onto the grid ----

// One frame's values: (rows * cols), BINARY unpacked to 0/1.
static int
read_values(const struct seg_file &s, struct seg_reader &file, size_t i, std::vector<unsigned char> &bytes, std::vector<uint16_t> &values, struct err *e)
{
	std::vector<uint8_t> mask;
	size_t first_bit;

	if (seg_pixels_frame(s.pixels, file, i, bytes, &first_bit, e) != 0)
		return -1;
	if (s.kind == KIND_BINARY) {
		mask.resize(values.size());
		bits_unpack(bytes.data(), first_bit, mask.size(), mask.data());
		values.assign(mask.begin(), mask.end());
	} else {
		for (size_t k = 0; k < values.size(); k++)
			values[k] = (uint16_t)(s.pixels.layout.bits_allocated == 8 ? bytes[k] : bytes[2 * k] | bytes[2 * k + 1] << 8);
	}
	return 0;
}

static void
fill_mask(const struct seg_file &s, const std::vector<uint16_t> &values, unsigned number, uint8_t *mask)
{
	for (size_t k = 0; k < values.size(); k++) {
		bool is_inside = s.kind == KIND_LABELMAP ? values[k] == number : 2U * values[k] >= s.maximum && values[k] > 0;
		mask[k] |= (uint8_t)is_inside;
	}
}

static int
read_masks(const struct seg_file &s, const struct series *source, const unsigned *numbers, size_t n, uint8_t *const *masks, struct err *e)
{
	const struct grid *g = series_grid(source);
	size_t a_slice = g->rows * g->cols;
	std::vector<unsigned char> bytes;
	std::vector<uint16_t> values;
	struct seg_reader file;
	const seg_slices slices = seg_map_slices(source);

	if (file.open(s.pixels, e) != 0)
		return -1;
	if (s.pixels.layout.rows != g->rows || s.pixels.layout.cols != g->cols)
		return err_set(e, ERR_INPUT, "Rows x Columns (0028,0010; 0028,0011) is %zux%zu, that of the images %zux%zu", s.pixels.layout.rows, s.pixels.layout.cols, g->rows, g->cols);
	values.resize(a_slice);
	for (size_t i = 0; i < n; i++)
		memset(masks[i], 0, g->slices * a_slice);
	for (size_t i = 0; i < s.frames.size(); i++) {
		size_t slice = 0;
		if (seg_place(s.frames[i], i + 1, s.frame_of_reference, source, slices, &slice, e) != 0 || read_values(s, file, i, bytes, values, e) != 0)
			return -1;
		for (size_t k = 0; k < n; k++)
			if (s.kind == KIND_LABELMAP || s.frames[i].number == numbers[k])
				fill_mask(s, values, numbers[k], masks[k] + slice * a_slice);
	}
	return 0;
}

extern "C" int
seg_read_masks(const struct seg_file *s, const struct series *source, const unsigned *numbers, size_t n, uint8_t *const *masks, struct err *e)
{
	if (shim_int(e, [&] { return read_masks(*s, source, numbers, n, masks, e); }) != 0)
		return err_note(e, "segmentation %s on series %s", s->info.sop_uid, series_info(source)->series_uid);
	return 0;
}
