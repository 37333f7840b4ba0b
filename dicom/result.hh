// What the results of one run have in common, whatever they are: their UIDs, the model's name, patient, study, series, dates, equipment. For this room only.
#pragma once
#include "dicom/derived.hh"
#include "dicom/seg.h"

#include <string>
#include <vector>

std::string result_model(const struct seg_request *r);                        // NAME@VERSION
std::vector<const struct series *> result_inputs(const struct seg_request *r); // the source first, each once
// Every UID derives from the run's identity, the kind of result and what it names (DESIGN small print "UIDs of results").
void result_uid(const struct seg_request *r, const char *kind, const std::string &what, char uid[DICOM_UID]);
void result_made(const struct seg_request *r, const char *kind, const char *sop_class, struct seg_result *made); // UIDs of the first instance
// A segment is tracked under the same names in every kind of result.
std::string result_tracking_id(const struct seg_request *r, unsigned number);
void result_tracking_uid(const struct seg_request *r, unsigned number, char uid[DICOM_UID]);

struct result_series { const char *modality, *title; unsigned instance_number; };
void result_general(DcmItem &ds, const struct seg_request *r, const struct seg_result *made, const struct result_series &s); // the first to be put
