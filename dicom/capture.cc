// Secondary Capture Image (PS3.3 A.8.1, C.8.6): one slice in the source's own matrix. The class has no geometry of its own; position, orientation and frame of
// reference are added all the same (a Standard Extended SOP Class), so that viewers sort the pictures and draw reference lines. Draws nothing itself.
#include "dicom/capture.h"
#include "dicom/object.hh"
#include "dicom/put.hh"
#include "dicom/result.hh"
#include "dicom/shim.hh"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

// PS3.3 C.7.6.1.1.1: where a direction points, the main axis first, others where they are over a quarter of it.
static std::string
direction_letters(const double direction[3])
{
	static const char letters[3][2] = { { 'R', 'L' }, { 'A', 'P' }, { 'F', 'H' } };
	int axes[3] = { 0, 1, 2 };
	std::string text;

	std::sort(axes, axes + 3, [&](int a, int b) { return std::fabs(direction[a]) > std::fabs(direction[b]); });
	for (int axis : axes)
		if (text.empty() || std::fabs(direction[axis]) > 0.25)
			text += letters[axis][direction[axis] > 0];
	return text;
}

static void
put_geometry(DcmItem &ds, const struct seg_request *run, size_t slice)
{
	const struct grid *g = series_grid(run->source);
	double corner[3], directions[6] = { g->row_dir[0], g->row_dir[1], g->row_dir[2], g->col_dir[0], g->col_dir[1], g->col_dir[2] };

	grid_point(g, (double)slice, 0, 0, corner);
	derived_decimals(ds, *series_group(run->source, slice, DCM_PixelMeasuresSequence), DCM_PixelSpacing, g->spacing_mm + 1, 2, DERIVED_POSITIVE);
	derived_decimals(ds, *series_group(run->source, slice, DCM_PixelMeasuresSequence), DCM_SliceThickness, g->spacing_mm, 1, DERIVED_POSITIVE);
	derived_decimals(ds, *series_group(run->source, slice, DCM_PlanePositionSequence), DCM_ImagePositionPatient, corner, 3, DERIVED_ANY);
	derived_decimals(ds, *series_group(run->source, slice, DCM_PlaneOrientationSequence), DCM_ImageOrientationPatient, directions, 6, DERIVED_ANY);
	derived_frame_of_reference(ds, *series_header(run->source, 0), series_info(run->source)->series_uid);
	put_raw(ds, DCM_PatientOrientation, EVR_CS, direction_letters(g->row_dir) + "\\" + direction_letters(g->col_dir));
}

static void
put_references(DcmItem &ds, const struct capture_request *r)
{
	const struct series *sources[] = { r->run->source };
	DcmItem &source = put_item(ds, DCM_SourceImageSequence);

	derived_reference(source, r->run->source, r->slice);
	put_code(source, DCM_PurposeOfReferenceCodeSequence, code_of(CODE_SOURCE_IMAGE));
	derived_references(ds, sources, 1);
	if (r->seg == NULL)
		return;
	DcmItem &segmentation = put_item(ds, DCM_SourceImageSequence);
	put_text(segmentation, DCM_ReferencedSOPClassUID, EVR_UI, r->seg->sop_class);
	put_text(segmentation, DCM_ReferencedSOPInstanceUID, EVR_UI, r->seg->sop_uid);
	put_code(segmentation, DCM_PurposeOfReferenceCodeSequence, code_of(CODE_SOURCE_IMAGE));
	DcmItem &series = put_item(ds, DCM_ReferencedSeriesSequence), &instance = put_item(series, DCM_ReferencedInstanceSequence);
	put_text(series, DCM_SeriesInstanceUID, EVR_UI, r->seg->series_uid);
	put_text(instance, DCM_ReferencedSOPClassUID, EVR_UI, r->seg->sop_class);
	put_text(instance, DCM_ReferencedSOPInstanceUID, EVR_UI, r->seg->sop_uid);
}

static void
put_pixels(DcmItem &ds, const struct grid *g, const unsigned char *rgb)
{
	const struct { DcmTagKey tag; size_t value; } numbers[] = {
		{ DCM_SamplesPerPixel, 3 }, { DCM_PlanarConfiguration, 0 }, { DCM_Rows, g->rows }, { DCM_Columns, g->cols },
		{ DCM_BitsAllocated, 8 }, { DCM_BitsStored, 8 }, { DCM_HighBit, 7 }, { DCM_PixelRepresentation, 0 },
	};
	size_t n = g->rows * g->cols * 3;
	std::vector<Uint8> bytes(n + n % 2); // even, with a 0 behind

	put_text(ds, DCM_PhotometricInterpretation, EVR_CS, "RGB");
	for (const auto &a : numbers) {
		Uint16 value = (Uint16)a.value;

		put_u16(ds, a.tag, &value, 1);
	}
	std::copy(rgb, rgb + n, bytes.begin());
	put_ok(ds.putAndInsertUint8Array(DcmTag(DCM_PixelData, EVR_OB), bytes.data(), (unsigned long)bytes.size()));
}

static int
write_capture(const struct capture_request *r, const char *path, struct seg_result *out, struct err *e)
{
	const struct series *sources[] = { r->run->source };
	const struct grid *g = series_grid(r->run->source);
	struct seg_result made = {};
	DcmDataset ds;

	if (g->rows > UINT16_MAX || g->cols > UINT16_MAX)
		return err_set(e, ERR_INPUT, "%zu rows and %zu columns: a DICOM image has 65535 at most", g->rows, g->cols);
	result_made(r->run, "preview", UID_SecondaryCaptureImageStorage, &made);
	result_uid(r->run, "preview", "instance/" + std::to_string(r->number), made.sop_uid);
	result_general(ds, r->run, &made, { "OT", "Preview", r->number });
	put_text(ds, DCM_ConversionType, EVR_CS, "WSD");
	put_raw(ds, DCM_Laterality, EVR_CS, ""); // type 2C: a brain has none
	put_raw(ds, DCM_ImageType, EVR_CS, "DERIVED\\SECONDARY");
	put_text(ds, DCM_DerivationDescription, EVR_ST, (result_model(r->run) + ": outlines of an automatic segmentation and a legend burned in; research use only").c_str());
	put_text(ds, DCM_BurnedInAnnotation, EVR_CS, "NO"); // none that identifies: the legend names segments, volumes and the model only
	put_geometry(ds, r->run, r->slice);
	put_references(ds, r);
	derived_lossy(ds, sources, 1);
	put_pixels(ds, g, r->rgb);
	if (object_write(ds, path, e) != 0)
		return -1;
	*out = made;
	return 0;
}

extern "C" int
capture_write(const struct capture_request *r, const char *path, struct seg_result *out, struct err *e)
{
	if (shim_int(e, [&] { return write_capture(r, path, out, e); }) != 0)
		return err_note(e, "writing a preview of series %s", series_info(r->run->source)->series_uid);
	return 0;
}
