// One file of a series: see slice_file.hh. Native pixels of 8 and 16 bits are unpacked here (PS3.5 8.1.1, PS3.3 C.7.6.3.1), since DCMTK gives them unmasked.
#include "dicom/slice_file.hh"
#include "dicom/enhanced.hh"
#include "config/file.h"
#include "config/utf8.h"
#include "dicom/text.hh"

#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

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
		return;
	}
	name = dcmFindNameOfUID(f.sop_class, NULL);
	err_set(&f.ignored, ERR_INPUT, "instance %s is no MR or CT image: SOPClassUID (0008,0016) is %s (%s)", uid, name != NULL ? name : "unknown", f.sop_class);
}

// Pixels that this version does not unpack.
static void
judge_pixels(struct slice_file &f)
{
	const char *uid = f.sop_uid, *syntax = dcmFindNameOfUID(f.scan.transfer_syntax, "unknown");
	const struct pixel_layout *p = &f.layout;

	if (f.scan.is_encapsulated)
		err_set(&f.bad, ERR_INPUT, "instance %s: its transfer syntax, %s, is compressed and not read by this version: send it uncompressed, as Explicit VR Little Endian", uid,
		    syntax);
	else if (p->frames > 1 && !enhanced_is_class(f.sop_class))
		err_set(&f.bad, ERR_INPUT, "instance %s: NumberOfFrames (0028,0008) is %zu in a single-frame class", uid, p->frames);
	else if (p->bits_allocated != 8 && p->bits_allocated != 16)
		err_set(&f.bad, ERR_INPUT, "instance %s: BitsAllocated (0028,0100) is %u; 8 and 16 are read", uid, p->bits_allocated);
	else if (f.scan.n_pixel_bytes > p->n_bytes + p->n_bytes % 2)
		err_set(&f.bad, ERR_INPUT, "instance %s: PixelData (7FE0,0010) holds %llu bytes, but Rows x Columns x BitsAllocated need %llu", uid,
		    (unsigned long long)f.scan.n_pixel_bytes, (unsigned long long)p->n_bytes);
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
	    part10_uid(item, DCM_StudyInstanceUID, true, f.study_uid, e) != 0 || part10_uid(item, DCM_SeriesInstanceUID, true, f.series_uid, e) != 0 ||
	    part10_uid(item, DCM_FrameOfReferenceUID, false, f.frame_of_reference, e) != 0)
		return -1;
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
		if (enhanced_is_class(f.sop_class))
			enhanced_read(item, f);
		else
			read_single(item, f);
	}
	if (keep_header)
		f.header = std::move(file);
	else
		for (struct slice_frame &frame : f.frames)
			frame.groups = NULL;
	return 0;
}

static int
read_bytes(const char *path, uint64_t at, unsigned char *bytes, size_t n, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "opening %s", path);
	int result = file_read_at(fd, at, bytes, n, e);
	close(fd);
	return result == 0 ? 0 : err_note(e, "the pixels of %s", path);
}

int
slice_file_voxels(const struct slice_file &f, const struct slice_frame &frame, float *to, struct err *e)
{
	const struct pixel_layout *p = &f.layout;
	size_t n = p->rows * p->cols; // no overflow: each is below 65536
	unsigned shift = p->high_bit + 1 - p->bits_stored;
	int32_t range = (int32_t)1 << p->bits_stored, low = p->is_signed ? -range / 2 : 0, high = low + range - 1;
	std::vector<unsigned char> bytes(n * p->bits_allocated / 8);
	size_t before = frame.number > 0 ? frame.number - 1 : 0;

	if (read_bytes(f.path, f.scan.pixels + before * bytes.size(), bytes.data(), bytes.size(), e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		int32_t word = p->bits_allocated == 8 ? bytes[i] : bytes[2 * i] | bytes[2 * i + 1] << 8;
		int32_t value = (word >> shift) & (range - 1);
		if (p->is_signed && value > high)
			value -= range;
		if (f.is_inverted)
			value = low + high - value;
		to[i] = (float)(frame.slope * value + frame.intercept);
	}
	return 0;
}
