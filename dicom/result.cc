// What the results of one run have in common: see result.hh.
#include "dicom/result.hh"
#include "dicom/put.hh"
#include "config/digest.h"

#include <cstdio>
#include <set>

std::string
result_model(const struct seg_request *r)
{
	return std::string(r->model_name) + "@" + r->model_version;
}

std::vector<const struct series *>
result_inputs(const struct seg_request *r)
{
	std::vector<const struct series *> inputs(1, r->source);
	std::set<std::string> seen = { series_info(r->source)->series_uid };

	for (size_t i = 0; i < r->n_others; i++)
		if (seen.insert(series_info(r->others[i])->series_uid).second)
			inputs.push_back(r->others[i]);
	return inputs;
}

void
result_uid(const struct seg_request *r, const char *kind, const std::string &what, char uid[DICOM_UID])
{
	digest_uid((std::string(r->identity) + "/" + kind + "/" + what).c_str(), uid);
}

void
result_made(const struct seg_request *r, const char *kind, const char *sop_class, struct seg_result *made)
{
	result_uid(r, kind, "series", made->series_uid);
	result_uid(r, kind, "instance", made->sop_uid);
	snprintf(made->sop_class, sizeof made->sop_class, "%s", sop_class);
}

std::string
result_tracking_id(const struct seg_request *r, unsigned number)
{
	return result_model(r) + " segment " + std::to_string(number);
}

void
result_tracking_uid(const struct seg_request *r, unsigned number, char uid[DICOM_UID])
{
	result_uid(r, "seg", "tracking/" + std::to_string(number), uid);
}

void
result_general(DcmItem &ds, const struct seg_request *r, const struct seg_result *made, const struct result_series &s)
{
	DcmItem &header = *series_header(r->source, 0);
	struct derived_time t = derived_time_at(header, r->created_ms);

	derived_patient_study(ds, header);           // first: it says the character set
	put_text(ds, DCM_SOPClassUID, EVR_UI, made->sop_class);
	put_text(ds, DCM_SOPInstanceUID, EVR_UI, made->sop_uid);
	put_integer(ds, DCM_InstanceNumber, s.instance_number);
	put_text(ds, DCM_Modality, EVR_CS, s.modality);
	put_text(ds, DCM_SeriesInstanceUID, EVR_UI, made->series_uid);
	put_integer(ds, DCM_SeriesNumber, r->series_number);
	put_text(ds, DCM_SeriesDescription, EVR_LO, (std::string(s.title) + " " + result_model(r).substr(0, 40) +
		(r->out_of_distribution != nullptr ? ", out of distribution" : "") + ", research use only").substr(0, 64).c_str());
	derived_dates(ds, &t);
	derived_equipment(ds, r->node_id, &t);
}
