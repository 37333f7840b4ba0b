// RT Structure Set (PS3.3 A.19, C.8.8.5, C.8.8.6, C.8.8.8): a region of interest a segment, its outlines in the planes of the slices as CLOSED_PLANAR, holes by
// keyhole (contour.h), so that right on oblique series needs nothing more than the slices' own corner points. Every segment is declared, found or not.
// Says nothing of what a region is to be irradiated for: RTROIInterpretedType is empty, for a person to fill in; the set is UNAPPROVED.
#include "dicom/rtstruct.h"
#include "dicom/contour.h"
#include "dicom/object.hh"
#include "dicom/put.hh"
#include "dicom/result.hh"
#include "dicom/shim.hh"

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

// A value of a text VR holds 65534 bytes in explicit little endian; a point takes 3 numbers of up to 9 characters and 3 separators here.
enum { MAX_POINTS = 65534 / 33 };

struct outline { size_t segment, slice; std::string points; size_t n; };

// Patient coordinates to a thousandth of a mm, x\y\z of each point.
static std::string
point_text(const struct grid *g, size_t slice, const struct contour_point *points, size_t n)
{
	std::string text;

	for (size_t i = 0; i < n; i++) {
		double mm[3];

		grid_point(g, (double)slice, points[i].y / 2.0, points[i].x / 2.0, mm);
		for (double v : mm) {
			char number[32];
			int length = snprintf(number, sizeof number, "%.3f", v);

			while (number[length - 1] == '0')
				length--;
			if (number[length - 1] == '.')
				length--;
			text.append(text.empty() ? "" : "\\").append(number, (size_t)length);
		}
	}
	return text;
}

static int
trace(const struct seg_request *run, std::vector<outline> &outlines, struct err *e)
{
	const struct grid *g = series_grid(run->source);
	size_t plane = g->rows * g->cols;

	for (size_t s = 0; s < run->n_segments; s++)
		for (size_t i = 0; i < g->slices; i++) {
			struct contours c = {};
			const uint8_t *mask = run->segments[s].mask + i * plane;

			if (memchr(mask, 1, plane) == NULL)
				continue;
			std::unique_ptr<struct contours, void (*)(struct contours *)> owner(&c, contours_free);
			if (contours_trace(mask, g->rows, g->cols, MAX_POINTS, &c, e) != 0)
				return -1;
			for (size_t k = 0; k < c.n; k++)
				outlines.push_back({ s, i, point_text(g, i, c.points + c.list[k].first, c.list[k].n), c.list[k].n });
		}
	return outlines.empty() ? err_set(e, ERR_INPUT, "no segment has a voxel: there is no outline to write") : 0;
}

// PS3.3 C.8.8.5: the images that outlines lie on
static void
put_frame_of_reference(DcmItem &ds, const struct seg_request *run)
{
	const struct series_info *info = series_info(run->source);
	DcmItem &frame = put_item(ds, DCM_ReferencedFrameOfReferenceSequence), &study = put_item(frame, DCM_RTReferencedStudySequence);

	put_text(frame, DCM_FrameOfReferenceUID, EVR_UI, info->frame_of_reference);
	put_text(study, DCM_ReferencedSOPClassUID, EVR_UI, UID_RETIRED_DetachedStudyManagementSOPClass); // as the attribute's definition asks for
	put_text(study, DCM_ReferencedSOPInstanceUID, EVR_UI, info->study_uid);
	DcmItem &series = put_item(study, DCM_RTReferencedSeriesSequence);
	put_text(series, DCM_SeriesInstanceUID, EVR_UI, info->series_uid);
	for (const derived_instance &i : derived_instances(run->source)) {
		DcmItem &image = put_item(series, DCM_ContourImageSequence);

		put_raw(image, DCM_ReferencedSOPClassUID, EVR_UI, i.sop_class);
		put_raw(image, DCM_ReferencedSOPInstanceUID, EVR_UI, i.sop_uid);
	}
}

static void
put_region(DcmItem &ds, const struct seg_request *run, const struct seg_segment *s, const struct seg_result *seg)
{
	DcmItem &region = put_item(ds, DCM_StructureSetROISequence);
	Uint16 number = (Uint16)s->number;

	put_integer(region, DCM_ROINumber, s->number);
	put_text(region, DCM_ReferencedFrameOfReferenceUID, EVR_UI, series_info(run->source)->frame_of_reference);
	put_text(region, DCM_ROIName, EVR_LO, s->label);
	put_text(region, DCM_ROIDescription, EVR_ST, (std::string(s->label) + "; " + result_model(run) + ", automatic, research use only").c_str());
	put_text(region, DCM_ROIGenerationAlgorithm, EVR_CS, "AUTOMATIC");
	put_text(region, DCM_ROIGenerationDescription, EVR_LO, ("SegAN " + result_model(run)).c_str());
	if (seg == NULL)
		return;
	DcmItem &source = put_item(region, DCM_DefinitionSourceSequence);
	put_text(source, DCM_ReferencedSOPClassUID, EVR_UI, seg->sop_class);
	put_text(source, DCM_ReferencedSOPInstanceUID, EVR_UI, seg->sop_uid);
	put_u16(source, DCM_ReferencedSegmentNumber, &number, 1);
}

// PS3.3 C.8.8.6
static void
put_contours(DcmItem &ds, const struct seg_request *run, const struct seg_segment *s, const std::vector<outline> &outlines)
{
	DcmItem &region = put_item(ds, DCM_ROIContourSequence);
	size_t number = 0;

	put_integer(region, DCM_ReferencedROINumber, s->number);
	put_raw(region, DCM_ROIDisplayColor, EVR_IS, std::to_string(s->rgb[0]) + "\\" + std::to_string(s->rgb[1]) + "\\" + std::to_string(s->rgb[2]));
	for (const outline &o : outlines) {
		if (o.segment + 1 != s->number)
			continue;
		DcmItem &contour = put_item(region, DCM_ContourSequence);
		derived_reference(put_item(contour, DCM_ContourImageSequence), run->source, o.slice);
		put_text(contour, DCM_ContourGeometricType, EVR_CS, "CLOSED_PLANAR");
		put_integer(contour, DCM_NumberOfContourPoints, o.n);
		put_integer(contour, DCM_ContourNumber, ++number);
		put_raw(contour, DCM_ContourData, EVR_DS, o.points);
	}
}

// PS3.3 C.8.8.8
static void
put_observation(DcmItem &ds, const struct seg_segment *s)
{
	DcmItem &observation = put_item(ds, DCM_RTROIObservationsSequence);

	put_integer(observation, DCM_ObservationNumber, s->number);
	put_integer(observation, DCM_ReferencedROINumber, s->number);
	put_text(observation, DCM_ROIObservationLabel, EVR_SH, s->label);
	put_code(observation, DCM_RTROIIdentificationCodeSequence, &s->type);
	put_raw(observation, DCM_RTROIInterpretedType, EVR_CS, "");
	put_raw(observation, DCM_ROIInterpreter, EVR_PN, "");
}

static int
write_rtstruct(const struct seg_request *run, const struct seg_result *seg, const char *path, struct seg_result *out, struct err *e)
{
	struct derived_time t = derived_time_at(*series_header(run->source, 0), run->created_ms);
	struct seg_result made = {};
	std::vector<outline> outlines;
	DcmDataset ds;

	if (trace(run, outlines, e) != 0)
		return -1;
	result_made(run, "rtstruct", UID_RTStructureSetStorage, &made);
	made.frames = outlines.size();
	result_general(ds, run, &made, { "RTSTRUCT", "Contours", 1 });
	for (const DcmTagKey &tag : { DCM_ContentDate, DCM_ContentTime }) // of images and documents; a structure set has dates of its own
		put_ok(ds.findAndDeleteElement(tag));
	put_raw(ds, DCM_OperatorsName, EVR_PN, "");
	put_text(ds, DCM_StructureSetLabel, EVR_SH, "Segmentation");
	put_text(ds, DCM_StructureSetDescription, EVR_ST, (result_model(run) + ", made by an automatic algorithm; research use only, not a medical device").c_str());
	put_text(ds, DCM_StructureSetDate, EVR_DA, t.date);
	put_text(ds, DCM_StructureSetTime, EVR_TM, t.time);
	put_frame_of_reference(ds, run);
	derived_frame_of_reference(ds, *series_header(run->source, 0), series_info(run->source)->series_uid);
	for (size_t i = 0; i < run->n_segments; i++) {
		put_region(ds, run, &run->segments[i], seg);
		put_contours(ds, run, &run->segments[i], outlines);
		put_observation(ds, &run->segments[i]);
	}
	put_text(ds, DCM_ApprovalStatus, EVR_CS, "UNAPPROVED");
	if (object_write(ds, path, e) != 0)
		return -1;
	*out = made;
	return 0;
}

extern "C" int
rtstruct_write(const struct seg_request *run, const struct seg_result *seg, const char *path, struct seg_result *out, struct err *e)
{
	if (shim_int(e, [&] { return write_rtstruct(run, seg, path, out, e); }) != 0)
		return err_note(e, "writing the contours of series %s", series_info(run->source)->series_uid);
	return 0;
}
