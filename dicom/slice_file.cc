// One file of a series: see slice_file.hh. Says what the stored numbers mean (PS3.3 C.7.6.3.1, C.7.5.1.1.2); pixels.cc gets them.
#include "dicom/slice_file.hh"
#include "dicom/enhanced.hh"
#include "config/utf8.h"
#include "dicom/text.hh"

#include <algorithm>
#include <cstring>
#include <malloc.h>
#include <vector>

// What was shown on a screen, stored as an image of the scanner's class: windowed, with text in it (PS3.3 C.8.6.1, C.7.6.1).
static void
judge_capture(DcmItem &item, struct slice_file &f)
{
	OFString burned;

	part10_text(item, DCM_BurnedInAnnotation, burned);
	if (item.tagExistsWithValue(DCM_ConversionType))
		err_set(&f.ignored, ERR_INPUT, "instance %s is a secondary capture: it has a ConversionType (0008,0064)", f.sop_uid);
	else if (burned == "YES")
		err_set(&f.ignored, ERR_INPUT, "instance %s has text in its pixels: BurnedInAnnotation (0028,0301)", f.sop_uid);
}

// An object of another kind: it may share the study, but is no slice.
static void
judge_kind(DcmItem &item, struct slice_file &f)
{
	const char *uid = f.sop_uid, *name;
	OFString photometric;
	Uint16 samples = 1, allocated = 16;

	if (strcmp(f.sop_class, UID_MRImageStorage) == 0 || strcmp(f.sop_class, UID_CTImageStorage) == 0 || enhanced_is_class(f.sop_class)) {
		if (!f.scan.has_pixels)
			err_set(&f.ignored, ERR_INPUT, "instance %s has no PixelData (7FE0,0010)", uid);
		part10_text(item, DCM_PhotometricInterpretation, photometric);
		if ((item.findAndGetUint16(DCM_SamplesPerPixel, samples).good() && samples > 1) || (!photometric.empty() && photometric.compare(0, 10, "MONOCHROME") != 0))
			err_set(&f.ignored, ERR_INPUT, "instance %s is a colour image: PhotometricInterpretation (0028,0004)", uid);
		else if (item.findAndGetUint16(DCM_BitsAllocated, allocated).good() && allocated == 1)
			err_set(&f.ignored, ERR_INPUT, "instance %s has pixels of one bit: BitsAllocated (0028,0100)", uid);
		else if (f.scan.has_pixels && !f.scan.has_integer_pixels)
			err_set(&f.ignored, ERR_INPUT, "instance %s has floating-point pixels", uid);
		else
			judge_capture(item, f);
		return;
	}
	name = dcmFindNameOfUID(f.sop_class, NULL);
	err_set(&f.ignored, ERR_INPUT, "instance %s is no MR or CT image: SOPClassUID (0008,0016) is %s (%s)", uid, name != NULL ? name : "unknown", f.sop_class);
}

// Pixels that this version does not unpack.
static void
judge_pixels(struct slice_file &f)
{
	if (f.layout.frames > 1 && !enhanced_is_class(f.sop_class))
		err_set(&f.bad, ERR_INPUT, "instance %s: NumberOfFrames (0028,0008) is %zu in a single-frame class", f.sop_uid, f.layout.frames);
	else if (pixels_check(f.scan, f.layout, &f.bad) != 0)
		err_note(&f.bad, "instance %s", f.sop_uid);
}

// A number of the stored pixels' kind, whichever of US and SS it was written as.
static bool
stored_number(DcmItem &item, const DcmTagKey &tag, bool is_signed, int32_t *value)
{
	Uint16 u = 0;
	Sint16 s = 0;

	if (item.findAndGetUint16(tag, u).bad()) {
		if (item.findAndGetSint16(tag, s).bad())
			return false;
		u = (Uint16)s;
	}
	*value = is_signed ? (int16_t)u : u;
	return true;
}

static void
read_padding(DcmItem &item, struct slice_file &f)
{
	int32_t *p = f.padding;

	f.has_padding = stored_number(item, DCM_PixelPaddingValue, f.layout.is_signed, &p[0]);
	if (!f.has_padding || !stored_number(item, DCM_PixelPaddingRangeLimit, f.layout.is_signed, &p[1]))
		p[1] = p[0];
	if (p[1] < p[0])
		std::swap(p[0], p[1]);
}

static void
need_numbers(DcmItem &item, const DcmTagKey &tag, double *values, size_t n, const struct slice_frame &frame, struct slice_file &f)
{
	if (!part10_numbers(item, tag, values, n) && f.bad.code == ERR_NONE)
		err_set(&f.bad, ERR_INPUT, "slice %s: %s (%04X,%04X) is missing or does not hold %zu number%s", frame.place.name, DcmTag(tag).getTagName(), tag.getGroup(),
		    tag.getElement(), n, n > 1 ? "s" : "");
}

static void
read_rescale(DcmItem &item, struct slice_frame &frame, struct slice_file &f)
{
	if (item.tagExistsWithValue(DCM_RescaleSlope))
		need_numbers(item, DCM_RescaleSlope, &frame.slope, 1, frame, f);
	if (item.tagExistsWithValue(DCM_RescaleIntercept))
		need_numbers(item, DCM_RescaleIntercept, &frame.intercept, 1, frame, f);
	if (frame.slope == 0 && f.bad.code == ERR_NONE)
		err_set(&f.bad, ERR_INPUT, "slice %s: RescaleSlope (0028,1053) is 0", frame.place.name);
}

void
slice_frame_read(const struct slice_source &from, struct slice_frame &frame, struct slice_file &f)
{
	double directions[6] = {}, thickness;

	need_numbers(*from.position, DCM_ImagePositionPatient, frame.place.position_mm, 3, frame, f);
	need_numbers(*from.orientation, DCM_ImageOrientationPatient, directions, 6, frame, f);
	need_numbers(*from.measures, DCM_PixelSpacing, frame.place.spacing_mm, 2, frame, f);
	memcpy(frame.place.row_dir, directions, sizeof frame.place.row_dir);
	memcpy(frame.place.col_dir, directions + 3, sizeof frame.place.col_dir);
	if (part10_numbers(*from.measures, DCM_SliceThickness, &thickness, 1))
		frame.place.thickness_mm = thickness;
	frame.place.rows = f.layout.rows;
	frame.place.cols = f.layout.cols;
	if (from.rescale != NULL)
		read_rescale(*from.rescale, frame, f);
}

static void
read_single(DcmItem &item, struct slice_file &f)
{
	struct slice_frame frame;

	frame.traits = trait_reader(item).read(NULL);
	snprintf(frame.place.name, sizeof frame.place.name, "%s", f.sop_uid);
	slice_frame_read({ &item, &item, &item, &item }, frame, f);
	f.frames.push_back(std::move(frame));
}

// Cut to fit, at the end of a character.
static void
read_description(DcmItem &item, struct slice_file &f)
{
	DcmElement *element = NULL;
	text_reader reader;
	OFString text;
	size_t n = 0;

	if (item.findAndGetElement(DCM_SeriesDescription, element).bad() || element == NULL)
		return;
	reader.select(item);
	reader.read(*element, text);
	while (n < text.length() && text[n] != '\0') {
		size_t length = utf8_length(text.c_str() + n, text.length() - n);
		if (length == 0 || n + length >= sizeof f.description)
			break;
		n += length;
	}
	memcpy(f.description, text.c_str(), n);
	f.description[n] = '\0';
}

static bool
has_value(const OFString &values, const char *wanted)
{
	return ("\\" + values + "\\").find(OFString("\\") + wanted + "\\") != OFString_npos;
}

static int
read_names(DcmItem &item, struct slice_file &f, struct err *e)
{
	OFString modality, image_type, issuer, photometric;

	if (part10_uid(item, DCM_SOPClassUID, true, f.sop_class, e) != 0 || part10_uid(item, DCM_SOPInstanceUID, true, f.sop_uid, e) != 0 ||
	    part10_uid(item, DCM_StudyInstanceUID, true, f.study_uid, e) != 0 || part10_uid(item, DCM_SeriesInstanceUID, true, f.series_uid, e) != 0)
		return -1;
	if (part10_uid(item, DCM_FrameOfReferenceUID, false, f.frame_of_reference, &f.bad) != 0) // not looked at when it came: no slice, but an instance
		err_note(&f.bad, "instance %s", f.sop_uid);
	part10_text(item, DCM_Modality, modality);
	snprintf(f.modality, sizeof f.modality, "%s", modality.c_str());
	read_description(item, f);
	part10_text(item, DCM_PatientID, f.patient);
	part10_text(item, DCM_IssuerOfPatientID, issuer);
	f.patient += '\\';
	f.patient += issuer;
	f.is_localizer = part10_text(item, DCM_ImageType, image_type) && has_value(image_type, "LOCALIZER");
	part10_text(item, DCM_PhotometricInterpretation, photometric);
	f.is_inverted = photometric == "MONOCHROME1";
	return 0;
}

// What has been compressed with loss says so (type 1C); a codec in between may not have.
static int
note_loss(struct slice_file &f, struct err *e)
{
	const struct syntax *syntax = syntax_find(f.scan.transfer_syntax);
	DcmItem &item = *f.header->getDataset();
	pixel_reader reader;
	struct codestream c;
	OFString said;
	char ratio[17];

	part10_text(item, DCM_LossyImageCompression, said);
	if (syntax == NULL || syntax_method(syntax->coding) == NULL || said == "01")
		return 0;
	if (reader.open(f.path, f.scan, f.layout, e) != 0 || reader.codestream(&c, e) != 0)
		return -1;
	if (!c.loses && !(syntax->coding == CODING_JPEG_2000 && syntax->may_lose && said != "00")) // JPEG 2000 may be cut short after a reversible transform
		return 0;
	snprintf(ratio, sizeof ratio, "%.2f", std::max((double)f.layout.n_bytes / (double)f.scan.n_pixel_bytes, 1.0));
	OFCondition r = item.putAndInsertString(DCM_LossyImageCompression, "01");
	if (r.good())
		r = item.putAndInsertString(DCM_LossyImageCompressionRatio, ratio);
	if (r.good())
		r = item.putAndInsertString(DCM_LossyImageCompressionMethod, syntax_method(syntax->coding));
	return r.good() ? 0 : shim_failed(e, ERR_BUG, r);
}

int
slice_file_read(const char *path, bool keep_header, struct slice_file &f, struct err *e)
{
	std::unique_ptr<DcmFileFormat> file(new DcmFileFormat);
	DcmItem &item = *file->getDataset();

	f.path = path;
	if (part10_load(path, *file, &f.scan, e) != 0 || read_names(item, f, e) != 0)
		return -1;
	judge_kind(item, f);
	if (f.ignored.code == ERR_NONE && f.bad.code == ERR_NONE) {
		if (part10_layout(item, &f.scan, &f.layout, e) != 0)
			return err_note(e, "instance %s", f.sop_uid);
		judge_pixels(f);
		read_padding(item, f);
		if (enhanced_is_class(f.sop_class))
			enhanced_read(item, f);
		else
			read_single(item, f);
	}
	if (keep_header) {
		f.header = std::move(file);
	} else {
		for (struct slice_frame &frame : f.frames)
			frame.groups = NULL;
		file.reset();
		if (part10_is_large(&f.scan))
			malloc_trim(0);
	}
	if (keep_header && f.ignored.code == ERR_NONE && f.bad.code == ERR_NONE && note_loss(f, e) != 0)
		return err_note(e, "instance %s", f.sop_uid);
	return 0;
}

int
slice_file_stored(const struct slice_file &f, const struct slice_frame &frame, pixel_reader &reader, int32_t *to, struct err *e)
{
	const struct pixel_layout *p = &f.layout;
	size_t n = p->rows * p->cols;             // no overflow: each is below 65536
	int32_t range = (int32_t)1 << p->bits_stored, low = p->is_signed ? -range / 2 : 0, high = low + range - 1, air = 0;
	std::vector<bool> is_padding(f.has_padding ? n : 0);

	if (reader.open(f.path, f.scan, *p, e) != 0 || reader.frame(frame.number > 0 ? frame.number - 1 : 0, to, e) != 0)
		return err_note(e, "instance %s", f.sop_uid);
	for (size_t i = 0; i < is_padding.size(); i++)
		is_padding[i] = to[i] >= f.padding[0] && to[i] <= f.padding[1];
	for (size_t i = 0; i < n && f.is_inverted; i++)
		to[i] = low + high - to[i];
	for (size_t i = 0; i < is_padding.size(); i++)
		if (!is_padding[i])
			air = std::min(air, to[i]);
	for (size_t i = 0; i < is_padding.size(); i++)
		if (is_padding[i])
			to[i] = air;
	return 0;
}

int
slice_file_voxels(const struct slice_file &f, const struct slice_frame &frame, pixel_reader &reader, uint16_t *to, struct voxel_line *line, struct err *e)
{
	std::vector<int32_t> stored(f.layout.rows * f.layout.cols);

	if (slice_file_stored(f, frame, reader, stored.data(), e) != 0)
		return -1;
	*line = { frame.slope, frame.intercept, f.layout.is_signed ? INT16_MIN : 0 };
	for (size_t i = 0; i < stored.size(); i++)
		to[i] = (uint16_t)(stored[i] - line->lowest);
	return 0;
}
