// Measurement report, TID 1500 (PS3.16), in a Comprehensive 3D SR (PS3.3 A.35.13, C.17). Every segment of the SEG has a measurement group (TID 1411) under the
// tracking identifiers that it has there; where nothing was found there is no SEG to refer to, and qualitative evaluations say so. Measures nothing itself.
// Nobody has verified what it says: the observer is the device (TID 1004), VerificationFlag is UNVERIFIED.
#include "dicom/report.h"
#include "dicom/object.hh"
#include "dicom/put.hh"
#include "dicom/result.hh"
#include "dicom/shim.hh"
#include "config/digest.h"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

static const struct seg_code
	report_title = { "DCM", "126000", "Imaging Measurement Report" },
	language = { "DCM", "121049", "Language of Content Item and Descendants" }, english = { "RFC5646", "en-US", "English (United States)" },
	observer_type = { "DCM", "121005", "Observer Type" }, device = { "DCM", "121007", "Device" },
	observer_uid = { "DCM", "121012", "Device Observer UID" }, observer_name = { "DCM", "121013", "Device Observer Name" },
	observer_maker = { "DCM", "121014", "Device Observer Manufacturer" }, observer_model = { "DCM", "121015", "Device Observer Model Name" },
	observer_serial = { "DCM", "121016", "Device Observer Serial Number" },
	procedure_reported = { "DCM", "121058", "Procedure reported" },
	mri = { "LN", "25056-3", "MRI unspecified body region" }, ct = { "LN", "25045-6", "CT unspecified body region" }, // CID 100
	image_library = { "DCM", "111028", "Image Library" }, library_group = { "DCM", "126200", "Image Library Group" },
	modality = { "DCM", "121139", "Modality" }, modality_mr = { "DCM", "MR", "Magnetic Resonance" }, modality_ct = { "DCM", "CT", "Computed Tomography" },
	target_region = { "DCM", "123014", "Target Region" }, frame_of_reference = { "DCM", "112227", "Frame of Reference UID" },
	measurements = { "DCM", "126010", "Imaging Measurements" }, group_title = { "DCM", "125007", "Measurement Group" },
	tracking_id = { "DCM", "112039", "Tracking Identifier" }, tracking_uid = { "DCM", "112040", "Tracking Unique Identifier" },
	finding_category = { "SCT", "276214006", "Finding category" }, finding = { "DCM", "121071", "Finding" },
	finding_site = { "SCT", "363698007", "Finding Site" },
	referenced_segment = { "DCM", "121191", "Referenced Segment" }, source_series = { "DCM", "121232", "Source series for segmentation" },
	algorithm_name = { "DCM", "111001", "Algorithm Name" }, algorithm_version = { "DCM", "111003", "Algorithm Version" },
	algorithm_parameters = { "DCM", "111002", "Algorithm Parameters" }, algorithm_family = { "DCM", "111000", "Algorithm Family" },
	volume = { "SCT", "118565006", "Volume" }, millilitre = { "UCUM", "ml", "milliliter" },
	method = { "SCT", "370129005", "Measurement Method" }, voxel_sum = { "DCM", "126030", "Sum of segmented voxel volumes" }, // CID 7474
	long_axis = { "SCT", "103339001", "Long Axis" }, diameter_3d = { "IBSI", "L0JK", "Maximum 3D Diameter of a Mesh" }, millimetre = { "UCUM", "mm", "millimeter" },
	evaluations = { "UMLS", "C0034375", "Qualitative Evaluations" }, absent = { "SCT", "272519000", "Absent" }, comment = { "DCM", "121106", "Comment" };

// ---- content items (PS3.3 C.17.3) ----

static const char contains[] = "CONTAINS", has_mod[] = "HAS CONCEPT MOD", has_context[] = "HAS OBS CONTEXT", has_acquisition[] = "HAS ACQ CONTEXT";

static DcmItem &
put_content(DcmItem &parent, const char *relation, const char *type, const struct seg_code *name)
{
	DcmItem &item = put_item(parent, DCM_ContentSequence);

	put_text(item, DCM_RelationshipType, EVR_CS, relation);
	put_text(item, DCM_ValueType, EVR_CS, type);
	if (name != NULL)
		put_code(item, DCM_ConceptNameCodeSequence, name);
	return item;
}

static void
put_content_text(DcmItem &parent, const char *relation, const struct seg_code *name, const std::string &text)
{
	put_text(put_content(parent, relation, "TEXT", name), DCM_TextValue, EVR_UT, text.c_str());
}

static DcmItem &
put_content_code(DcmItem &parent, const char *relation, const struct seg_code *name, const struct seg_code *value)
{
	DcmItem &item = put_content(parent, relation, "CODE", name);

	put_code(item, DCM_ConceptCodeSequence, value);
	return item;
}

static void
put_content_uid(DcmItem &parent, const char *relation, const struct seg_code *name, const char *uid)
{
	put_text(put_content(parent, relation, "UIDREF", name), DCM_UID, EVR_UI, uid);
}

static DcmItem &
put_content_number(DcmItem &parent, const struct seg_code *name, double value, const struct seg_code *unit)
{
	DcmItem &item = put_content(parent, contains, "NUM", name), &measured = put_item(item, DCM_MeasuredValueSequence);

	value = std::round(value * 1e6) / 1e6;
	put_decimals(measured, DCM_NumericValue, &value, 1);
	put_code(measured, DCM_MeasurementUnitsCodeSequence, unit);
	return item;
}

static void
put_container(DcmItem &item, const char *template_id)
{
	put_text(item, DCM_ContinuityOfContent, EVR_CS, "SEPARATE");
	if (template_id == NULL)
		return;
	DcmItem &made_by = put_item(item, DCM_ContentTemplateSequence);
	put_text(made_by, DCM_MappingResource, EVR_CS, "DCMR");
	put_text(made_by, DCM_TemplateIdentifier, EVR_CS, template_id);
}

static DcmItem &
put_content_container(DcmItem &parent, const struct seg_code *name, const char *template_id)
{
	DcmItem &item = put_content(parent, contains, "CONTAINER", name);

	put_container(item, template_id);
	return item;
}

// ---- the parts of TID 1500 ----

// TID 1204, TID 1001 > 1002 > 1004
static void
put_context(DcmItem &root, const struct seg_request *run)
{
	char uid[DICOM_UID];

	put_content_code(root, has_mod, &language, &english);
	put_content_code(root, has_context, &observer_type, &device);
	digest_uid((std::string("device/") + run->node_id).c_str(), uid);
	put_content_uid(root, has_context, &observer_uid, uid);
	put_content_text(root, has_context, &observer_name, "segand");
	put_content_text(root, has_context, &observer_maker, "segan");
	put_content_text(root, has_context, &observer_model, "segand");
	put_content_text(root, has_context, &observer_serial, run->node_id);
}

// What was reported on: the source's own codes, which `to` has taken over (derived_patient_study), else what its modality says.
static void
put_procedure(DcmDataset &to, const struct seg_request *run)
{
	static const DcmTagKey parts[] = { DCM_CodingSchemeDesignator, DCM_CodeValue, DCM_CodeMeaning };
	DcmItem *item = NULL;
	bool is_put = false;

	for (signed long i = 0; to.findAndGetSequenceItem(DCM_ProcedureCodeSequence, item, i).good(); i++) {
		std::string text[3];

		for (int k = 0; k < 3; k++) {
			const char *value = NULL;
			if (item->findAndGetString(parts[k], value).good() && value != NULL)
				text[k] = value;
		}
		if (text[0].empty() || text[1].empty() || text[2].empty())
			continue;
		DcmItem &content = put_content(to, has_mod, "CODE", &procedure_reported), &code = put_item(content, DCM_ConceptCodeSequence);
		put_raw(code, DCM_CodeValue, EVR_SH, text[1]);
		put_raw(code, DCM_CodingSchemeDesignator, EVR_SH, text[0]);
		put_raw(code, DCM_CodeMeaning, EVR_LO, text[2]);
		is_put = true;
	}
	if (!is_put)
		put_content_code(to, has_mod, &procedure_reported, strcmp(series_info(run->source)->modality, "CT") == 0 ? &ct : &mri);
}

static void
put_reference(DcmItem &to, const std::string &sop_class, const std::string &sop_uid)
{
	put_raw(to, DCM_ReferencedSOPClassUID, EVR_UI, sop_class);
	put_raw(to, DCM_ReferencedSOPInstanceUID, EVR_UI, sop_uid);
}

// TID 1600 > 1602: a group a series, an entry an instance
static void
put_library(DcmItem &root, const struct seg_request *run)
{
	DcmItem &library = put_content_container(root, &image_library, "1600");
	const struct seg_code *region = &run->segments[0].anatomy;

	for (const struct series *s : result_inputs(run)) {
		DcmItem &group = put_content_container(library, &library_group, NULL);

		put_content_code(group, has_acquisition, &modality, strcmp(series_info(s)->modality, "CT") == 0 ? &modality_ct : &modality_mr);
		if (region->value != NULL && region->value[0] != '\0')
			put_content_code(group, has_acquisition, &target_region, region);
		put_content_uid(group, has_acquisition, &frame_of_reference, series_info(s)->frame_of_reference);
		for (const derived_instance &i : derived_instances(s))
			put_reference(put_item(put_content(group, contains, "IMAGE", NULL), DCM_ReferencedSOPSequence), i.sop_class, i.sop_uid);
	}
}

// TID 4019
static void
put_algorithm(DcmItem &to, const struct seg_request *run)
{
	put_content_text(to, has_mod, &algorithm_name, "SegAN");
	put_content_text(to, has_mod, &algorithm_version, run->model_version);
	put_content_text(to, has_mod, &algorithm_parameters, "model=" + result_model(run));
	put_content_text(to, has_mod, &algorithm_parameters, std::string("weights_sha256=") + run->weights_sha256);
	put_content_text(to, has_mod, &algorithm_parameters, std::string("core=") + run->core_type);
	put_content_text(to, has_mod, &algorithm_parameters, "research use only, not a medical device");
	if (run->out_of_distribution != NULL)
		put_content_text(to, has_mod, &algorithm_parameters, std::string("out of distribution: ") + run->out_of_distribution);
	put_content_code(to, has_mod, &algorithm_family, code_of(CODE_ARTIFICIAL_INTELLIGENCE));
}

// TID 1411 > 1419
static void
put_group(DcmItem &list, const struct report_request *r, size_t i)
{
	const struct seg_request *run = r->run;
	const struct seg_segment *s = &run->segments[i];
	const struct report_measure *m = &r->measures[i];
	DcmItem &group = put_content_container(list, &group_title, "1411");
	Uint16 number = (Uint16)s->number;
	char uid[DICOM_UID];

	put_content_text(group, has_context, &tracking_id, result_tracking_id(run, s->number));
	result_tracking_uid(run, s->number, uid);
	put_content_uid(group, has_context, &tracking_uid, uid);
	put_content_code(group, contains, &finding_category, &s->category);
	put_content_code(group, contains, &finding, &s->type);
	DcmItem &segment = put_item(put_content(group, contains, "IMAGE", &referenced_segment), DCM_ReferencedSOPSequence);
	put_reference(segment, r->seg->sop_class, r->seg->sop_uid);
	put_u16(segment, DCM_ReferencedSegmentNumber, &number, 1);
	put_content_uid(group, contains, &source_series, series_info(run->source)->series_uid);
	if (s->anatomy.value != NULL && s->anatomy.value[0] != '\0')
		put_content_code(group, has_mod, &finding_site, &s->anatomy);
	put_algorithm(group, run);
	put_content_code(put_content_number(group, &volume, m->volume_ml, &millilitre), has_mod, &method, &voxel_sum);
	if (m->volume_ml > 0) {
		put_content_number(group, &long_axis, m->long_axis_mm, &millimetre);
		put_content_number(group, &diameter_3d, m->diameter_mm, &millimetre);
	}
}

// TID 1500 rows 12 to 14
static void
put_no_finding(DcmItem &root, const struct seg_request *run)
{
	DcmItem &list = put_content_container(root, &evaluations, NULL);
	std::string labels;

	put_algorithm(list, run);
	for (size_t i = 0; i < run->n_segments; i++) {
		put_content_code(list, contains, &run->segments[i].type, &absent);
		labels += (i > 0 ? ", " : "") + std::string(run->segments[i].label);
	}
	put_content_text(list, contains, &comment, "No finding. The model " + result_model(run) + " found nothing of what it looks for (" + labels
		+ ") in the images of the image library; no segmentation was made. Made by an automatic algorithm; research use only.");
}

static void
put_content_tree(DcmDataset &ds, const struct report_request *r)
{
	put_text(ds, DCM_ValueType, EVR_CS, "CONTAINER");
	put_code(ds, DCM_ConceptNameCodeSequence, &report_title);
	put_container(ds, "1500");
	put_context(ds, r->run);
	put_procedure(ds, r->run);
	put_library(ds, r->run);
	if (r->seg == NULL) {
		put_no_finding(ds, r->run);
		return;
	}
	DcmItem &list = put_content_container(ds, &measurements, NULL);
	for (size_t i = 0; i < r->run->n_segments; i++)
		put_group(list, r, i);
}

// ---- the document ----

// PS3.3 C.17.2.3: all that the content refers to
static void
put_evidence(DcmItem &ds, const struct report_request *r)
{
	DcmItem &study = put_item(ds, DCM_CurrentRequestedProcedureEvidenceSequence);

	put_text(study, DCM_StudyInstanceUID, EVR_UI, series_info(r->run->source)->study_uid);
	for (const struct series *s : result_inputs(r->run)) {
		DcmItem &series = put_item(study, DCM_ReferencedSeriesSequence);

		put_text(series, DCM_SeriesInstanceUID, EVR_UI, series_info(s)->series_uid);
		for (const derived_instance &i : derived_instances(s))
			put_reference(put_item(series, DCM_ReferencedSOPSequence), i.sop_class, i.sop_uid);
	}
	if (r->seg == NULL)
		return;
	DcmItem &series = put_item(study, DCM_ReferencedSeriesSequence);
	put_text(series, DCM_SeriesInstanceUID, EVR_UI, r->seg->series_uid);
	put_reference(put_item(series, DCM_ReferencedSOPSequence), r->seg->sop_class, r->seg->sop_uid);
}

static int
write_report(const struct report_request *r, const char *path, struct seg_result *out, struct err *e)
{
	struct seg_result made = {};
	DcmDataset ds;

	result_made(r->run, "report", UID_Comprehensive3DSRStorage, &made);
	result_general(ds, r->run, &made, { "SR", "Report", 1 });
	put_ok(ds.insertEmptyElement(DcmTag(DCM_ReferencedPerformedProcedureStepSequence, EVR_SQ)));
	put_ok(ds.insertEmptyElement(DcmTag(DCM_PerformedProcedureCodeSequence, EVR_SQ)));
	put_text(ds, DCM_CompletionFlag, EVR_CS, "COMPLETE");
	put_text(ds, DCM_VerificationFlag, EVR_CS, "UNVERIFIED");
	put_evidence(ds, r);
	put_content_tree(ds, r);
	if (object_write(ds, path, e) != 0)
		return -1;
	*out = made;
	return 0;
}

extern "C" int
report_write(const struct report_request *r, const char *path, struct seg_result *out, struct err *e)
{
	if (shim_int(e, [&] { return write_report(r, path, out, e); }) != 0)
		return err_note(e, "writing the report on series %s", series_info(r->run->source)->series_uid);
	return 0;
}
