// DICOM Segmentation (PS3.3 A.51, C.8.20), written with plain data set calls: DCMTK's own DcmSegmentation packs frames of odd sizes wrongly in 3.6.7
// (DICOM.md 0.1) and knows no LABELMAP. What is common to all results is in derived.cc and result.cc, what frames show in seg_layers.cc. Reads no SEG.
//
// A frame is one slice of one layer that has a voxel. Frames are ordered by segment, then position; both dimensions are counted 1, 2, ... over what has
// frames. A LABELMAP has one layer, hence no dimension of segments.
#include "dicom/seg.h"
#include "dicom/bits.h"
#include "dicom/derived.hh"
#include "dicom/object.hh"
#include "dicom/put.hh"
#include "dicom/result.hh"
#include "dicom/seg_layers.hh"
#include "dicom/shim.hh"
#include "config/digest.h"

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

// Sup 243; DCMTK 3.6.7 has no name for the class
static const struct form { const char *kind, *title, *type, *sop_class; Uint16 bits; } forms[] = {
	{ "seg", "SEG", "BINARY", UID_SegmentationStorage, 1 },
	{ "labelmap", "SEG labelmap", "LABELMAP", SEG_LABELMAP_CLASS, 8 },
	{ "fractional", "SEG fractional", "FRACTIONAL", UID_SegmentationStorage, 8 },
};
enum { WHOLE = 255 };                         // FRACTIONAL: what stands for a probability of 1

struct frame { size_t layer, slice; };        // indices
struct plan {
	const struct form *form;
	struct seg_layers layers;
	std::vector<frame> frames;
	std::vector<Uint32> segment_index, position_index; // dimension index of each layer, of each slice; 0: without a frame
	bool has_overlap;                     // a voxel in two layers
};

static int
check_request(const struct seg_request *r, struct err *e)
{
	const struct grid *g = series_grid(r->source);

	if (g->rows > UINT16_MAX || g->cols > UINT16_MAX)
		return err_set(e, ERR_INPUT, "%zu rows and %zu columns: a DICOM image has 65535 at most", g->rows, g->cols);
	if (r->form == SEG_LABELMAP && r->n_segments > UINT8_MAX)
		return err_set(e, ERR_INPUT, "%zu segments: a label map of bytes has %d at most", r->n_segments, UINT8_MAX);
	if (r->form == SEG_BINARY && r->syntax == SEG_RLE)
		return err_set(e, ERR_INPUT, "a BINARY segmentation is not written in RLE: readers take one-bit RLE in two ways; deflated is the way to make it small");
	for (size_t i = 0; i < r->n_segments; i++) {
		const struct seg_segment *s = &r->segments[i];

		if (s->number != i + 1)
			return err_set(e, ERR_INPUT, "segment number %u stands at place %zu: numbers must be 1, 2, 3 ... in order", s->number, i + 1);
		for (const struct seg_code *c : { &s->category, &s->type })
			if (c->scheme == NULL || c->value == NULL || c->meaning == NULL || c->value[0] == '\0')
				return err_set(e, ERR_INPUT, "segment %u has no category or type code", s->number);
	}
	for (size_t i = 0; i < r->n_others; i++)
		if (strcmp(series_info(r->others[i])->study_uid, series_info(r->source)->study_uid) != 0)
			return err_set(e, ERR_INPUT, "series %s is of another study", series_info(r->others[i])->series_uid);
	return 0;
}

static bool
has_voxel(const uint8_t *mask, size_t n)
{
	return n > 0 && (mask[0] != 0 || memcmp(mask, mask + 1, n - 1) != 0);
}

static bool
overlap_in_slice(const struct seg_layers *l, size_t slice, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned layers = 0;

		for (const uint8_t *layer : l->of)
			layers += layer[slice * n + i] != 0;
		if (layers > 1)
			return true;
	}
	return false;
}

static int
make_plan(const struct seg_request *r, struct plan *p, struct err *e)
{
	const struct grid *g = series_grid(r->source);
	size_t n = g->rows * g->cols, i;
	Uint32 index = 0;

	p->form = &forms[r->form];
	seg_layers_make(r, g->slices * n, &p->layers);
	p->segment_index.assign(p->layers.of.size(), 0);
	p->position_index.assign(g->slices, 0);
	p->has_overlap = false;
	for (size_t s = 0; s < p->layers.of.size(); s++) {
		for (i = 0; i < g->slices; i++)
			if (has_voxel(p->layers.of[s] + i * n, n)) {
				p->frames.push_back({ s, i });
				p->position_index[i]++;       // layers in it, for now
			}
		if (!p->frames.empty() && p->frames.back().layer == s)
			p->segment_index[s] = ++index;
	}
	if (p->frames.empty())
		return err_set(e, ERR_INPUT, "no segment has a voxel: there is no frame to write");
	if (p->frames.size() > INT32_MAX || p->frames.size() > (UINT32_MAX - 1) * (size_t)8 / p->form->bits / n)
		return err_set(e, ERR_INPUT, "%zu frames of %zux%zu are more than one DICOM value can hold (4 GiB)", p->frames.size(), g->rows, g->cols);
	for (index = 0, i = 0; i < g->slices; i++) {
		p->has_overlap = p->has_overlap || (p->position_index[i] > 1 && overlap_in_slice(&p->layers, i, n));
		if (p->position_index[i] > 0)
			p->position_index[i] = ++index;
	}
	return 0;
}

static std::vector<Uint8>
pack_frames(const struct seg_request *r, const struct plan *p)
{
	const struct grid *g = series_grid(r->source);
	size_t n = g->rows * g->cols, at = 0;
	std::vector<Uint8> packed(bits_bytes(p->frames.size() * n * p->form->bits));

	for (const frame &f : p->frames) {
		const uint8_t *values = p->layers.of[f.layer] + f.slice * n;

		if (p->form->bits == 1)
			bits_pack(values, n, at, packed.data());
		else
			memcpy(packed.data() + at, values, n);
		at += n;
	}
	return packed;
}

// SOP common, series, equipment, frame of reference, references
static void
put_general(DcmItem &ds, const struct seg_request *r, const struct plan *p, const struct seg_result *made)
{
	std::vector<const struct series *> inputs = result_inputs(r);

	result_general(ds, r, made, { "SEG", p->form->title, 1 });
	derived_frame_of_reference(ds, *series_header(r->source, 0), series_info(r->source)->series_uid);
	derived_references(ds, inputs.data(), inputs.size());
	derived_lossy(ds, inputs.data(), inputs.size());
}

// What only one form has.
static void
put_form(DcmItem &ds, const struct seg_request *r, const struct plan *p)
{
	const Uint16 whole = WHOLE, background = 0;

	put_text(ds, DCM_SegmentationType, EVR_CS, p->form->type);
	put_text(ds, DCM_SegmentsOverlap, EVR_CS, p->has_overlap ? "YES" : "NO");
	if (r->form == SEG_FRACTIONAL) {
		put_text(ds, DCM_SegmentationFractionalType, EVR_CS, "PROBABILITY");
		put_u16(ds, DCM_MaximumFractionalValue, &whole, 1);
	}
	if (r->form == SEG_LABELMAP)
		put_u16(ds, DCM_PixelPaddingValue, &background, 1);
}

// PS3.3 C.8.20.2
static void
put_image(DcmItem &ds, const struct seg_request *r, const struct plan *p)
{
	const struct grid *g = series_grid(r->source);
	const struct { DcmTagKey tag; size_t value; } numbers[] = {
		{ DCM_SamplesPerPixel, 1 }, { DCM_Rows, g->rows }, { DCM_Columns, g->cols },
		{ DCM_BitsAllocated, p->form->bits }, { DCM_BitsStored, p->form->bits }, { DCM_HighBit, p->form->bits - 1U }, { DCM_PixelRepresentation, 0 },
	};

	put_raw(ds, DCM_ImageType, EVR_CS, "DERIVED\\PRIMARY");
	put_text(ds, DCM_PhotometricInterpretation, EVR_CS, "MONOCHROME2");
	for (const auto &a : numbers) {
		Uint16 value = (Uint16)a.value;

		put_u16(ds, a.tag, &value, 1);
	}
	put_integer(ds, DCM_NumberOfFrames, p->frames.size());
	put_text(ds, DCM_ContentLabel, EVR_CS, "SEGMENTATION");
	put_text(ds, DCM_ContentDescription, EVR_LO, r->out_of_distribution != nullptr ? "Automatic segmentation, out of distribution, research use only"
		: "Automatic segmentation, research use only");
	put_text(ds, DCM_ContentCreatorName, EVR_PN, "segan^automatic");
	put_form(ds, r, p);
}

// Algorithm Parameters carry the digest of the weights and of the PixelData value: by these a reader knows whether the pixels are still ours.
static void
put_algorithm(DcmItem &segment, const struct seg_request *r, const char *pixel_sha256)
{
	DcmItem &item = put_item(segment, DCM_SegmentationAlgorithmIdentificationSequence);
	std::string parameters = std::string("weights_sha256=") + r->weights_sha256 + " pixel_sha256=" + pixel_sha256 + " core=" + r->core_type
		+ " model=" + result_model(r) + (r->out_of_distribution != nullptr ? " out_of_distribution=yes" : "");

	put_code(item, DCM_AlgorithmFamilyCodeSequence, code_of(CODE_ARTIFICIAL_INTELLIGENCE));
	put_text(item, DCM_AlgorithmName, EVR_LO, "SegAN");
	put_text(item, DCM_AlgorithmVersion, EVR_LO, r->model_version);
	put_text(item, DCM_AlgorithmParameters, EVR_LT, parameters.c_str());
}

static void
put_segment(DcmItem &ds, const struct seg_request *r, const struct plan *p, const struct seg_segment *s, const char *pixel_sha256)
{
	DcmItem &item = put_item(ds, DCM_SegmentSequence);
	Uint16 number = (Uint16)s->number, lab[3];
	char uid[DICOM_UID];

	put_u16(item, DCM_SegmentNumber, &number, 1);
	put_text(item, DCM_SegmentLabel, EVR_LO, s->label);
	put_text(item, DCM_SegmentDescription, EVR_ST, (std::string(s->label) + "; automatic, research use only" +
		seg_layers_words(r, &p->layers, s) + (r->out_of_distribution != nullptr ? std::string("; out of distribution: ") + r->out_of_distribution : "")).c_str());
	put_text(item, DCM_SegmentAlgorithmType, EVR_CS, "AUTOMATIC");
	put_text(item, DCM_SegmentAlgorithmName, EVR_LO, result_model(r).c_str());
	put_algorithm(item, r, pixel_sha256);
	put_code(item, DCM_SegmentedPropertyCategoryCodeSequence, &s->category);
	put_code(item, DCM_SegmentedPropertyTypeCodeSequence, &s->type);
	if (s->anatomy.value != NULL && s->anatomy.value[0] != '\0')
		put_code(item, DCM_AnatomicRegionSequence, &s->anatomy);
	code_cielab(s->rgb, lab);
	put_u16(item, DCM_RecommendedDisplayCIELabValue, lab, 3);
	put_text(item, DCM_TrackingID, EVR_UT, result_tracking_id(r, s->number).c_str());
	result_tracking_uid(r, s->number, uid);
	put_text(item, DCM_TrackingUID, EVR_UI, uid);
}

// PS3.3 C.7.6.17
static void
put_dimensions(DcmItem &ds, const struct seg_request *r, const struct plan *p)
{
	static const struct { DcmTagKey index, group; const char *label; } dimensions[] = {
		{ DCM_ReferencedSegmentNumber, DCM_SegmentIdentificationSequence, "Segment" },
		{ DCM_ImagePositionPatient, DCM_PlanePositionSequence, "Position" },
	};
	char uid[DICOM_UID];

	result_uid(r, p->form->kind, "dimensions", uid);
	put_text(put_item(ds, DCM_DimensionOrganizationSequence), DCM_DimensionOrganizationUID, EVR_UI, uid);
	for (const auto &d : dimensions) {
		if (r->form == SEG_LABELMAP && d.index == DCM_ReferencedSegmentNumber)
			continue;
		DcmItem &item = put_item(ds, DCM_DimensionIndexSequence);

		put_text(item, DCM_DimensionOrganizationUID, EVR_UI, uid);
		put_ok(item.putAndInsertTagKey(DcmTag(DCM_DimensionIndexPointer, EVR_AT), d.index));
		put_ok(item.putAndInsertTagKey(DcmTag(DCM_FunctionalGroupPointer, EVR_AT), d.group));
		put_text(item, DCM_DimensionDescriptionLabel, EVR_LO, d.label);
	}
}

static void
put_shared_groups(DcmItem &ds, const struct seg_request *r)
{
	const struct grid *g = series_grid(r->source);
	DcmItem &shared = put_item(ds, DCM_SharedFunctionalGroupsSequence), &from = *series_group(r->source, 0, DCM_PixelMeasuresSequence);
	DcmItem &plane = *series_group(r->source, 0, DCM_PlaneOrientationSequence);
	DcmItem &measures = put_item(shared, DCM_PixelMeasuresSequence);
	double directions[6] = { g->row_dir[0], g->row_dir[1], g->row_dir[2], g->col_dir[0], g->col_dir[1], g->col_dir[2] };

	derived_decimals(measures, from, DCM_PixelSpacing, g->spacing_mm + 1, 2, DERIVED_POSITIVE);
	derived_decimals(measures, from, DCM_SliceThickness, g->spacing_mm, 1, DERIVED_POSITIVE);
	put_decimals(measures, DCM_SpacingBetweenSlices, g->spacing_mm, 1); // the real distance, whatever the source's attribute says
	derived_decimals(put_item(shared, DCM_PlaneOrientationSequence), plane, DCM_ImageOrientationPatient, directions, 6, DERIVED_ANY);
}

static void
put_derivation(DcmItem &groups, const struct series *from, size_t slice)
{
	DcmItem &derivation = put_item(groups, DCM_DerivationImageSequence);

	put_code(derivation, DCM_DerivationCodeSequence, code_of(CODE_SEGMENTATION));
	DcmItem &source = put_item(derivation, DCM_SourceImageSequence);
	derived_reference(source, from, slice);
	put_text(source, DCM_SpatialLocationsPreserved, EVR_CS, "YES");
	put_code(source, DCM_PurposeOfReferenceCodeSequence, code_of(CODE_SOURCE_IMAGE));
}

static void
put_frame_groups(DcmItem &ds, const struct seg_request *r, const struct plan *p, const frame &f)
{
	DcmItem &groups = put_item(ds, DCM_PerFrameFunctionalGroupsSequence), &plane = *series_group(r->source, f.slice, DCM_PlanePositionSequence);
	Uint32 index[2] = { p->segment_index[f.layer], p->position_index[f.slice] };
	bool has_segment = r->form != SEG_LABELMAP;
	double corner[3];

	grid_point(series_grid(r->source), (double)f.slice, 0, 0, corner);
	put_ok(put_item(groups, DCM_FrameContentSequence).putAndInsertUint32Array(DcmTag(DCM_DimensionIndexValues, EVR_UL), has_segment ? index : index + 1,
		has_segment ? 2 : 1));
	derived_decimals(put_item(groups, DCM_PlanePositionSequence), plane, DCM_ImagePositionPatient, corner, 3, DERIVED_ANY);
	put_derivation(groups, r->source, f.slice);
	if (has_segment) {
		Uint16 number = (Uint16)r->segments[f.layer].number;

		put_u16(put_item(groups, DCM_SegmentIdentificationSequence), DCM_ReferencedSegmentNumber, &number, 1);
	}
}

static void
put_all(DcmDataset &ds, const struct seg_request *r, const struct plan *p, const struct seg_result *made)
{
	std::vector<Uint8> packed = pack_frames(r, p);
	char digest[DIGEST_HEX];

	digest_of(packed.data(), packed.size(), digest);
	put_general(ds, r, p, made);
	put_image(ds, r, p);
	for (size_t i = 0; i < r->n_segments; i++)
		put_segment(ds, r, p, &r->segments[i], digest);
	put_dimensions(ds, r, p);
	put_shared_groups(ds, r);
	for (const frame &f : p->frames)
		put_frame_groups(ds, r, p, f);
	put_ok(ds.putAndInsertUint8Array(DcmTag(DCM_PixelData, EVR_OB), packed.data(), (unsigned long)packed.size()));
}

static int
write_seg(const struct seg_request *r, const char *path, struct seg_result *out, struct err *e)
{
	struct seg_result made = {};
	struct plan p;
	DcmDataset ds;

	if (check_request(r, e) != 0 || make_plan(r, &p, e) != 0)
		return -1;
	result_made(r, p.form->kind, p.form->sop_class, &made);
	made.frames = p.frames.size();
	put_all(ds, r, &p, &made);
	if (object_write_as(ds, path, r->syntax, e) != 0)
		return -1;
	*out = made;
	return 0;
}

extern "C" int
seg_write(const struct seg_request *r, const char *path, struct seg_result *out, struct err *e)
{
	if (shim_int(e, [&] { return write_seg(r, path, out, e); }) != 0)
		return err_note(e, "writing the segmentation of series %s", series_info(r->source)->series_uid);
	return 0;
}
