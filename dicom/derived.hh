// What an object made from a series says about where it comes from: patient and study, frame of reference, references, lossy past, dates, equipment.
// The same for every kind of result. For this room only.
#pragma once
#include "dicom/series_parts.hh"

#include <stdint.h>
#include <string>
#include <vector>

// Patient and study as the source has them. What identifies (type 1 and 2) is byte for byte the source's, even where it breaks its VR: an archive joins by
// it. What only describes is left out when it is not valid, so that no source can make a result unwritable.
void derived_patient_study(DcmItem &to, DcmItem &source);
void derived_frame_of_reference(DcmItem &to, DcmItem &source, const char *series_uid /* of the source; names a frame for one that has none */);

// Numbers (DS) as the source's text has them, digit for digit, if they are n valid ones (and all over 0 where they must be); else `otherwise`.
enum derived_sign { DERIVED_ANY, DERIVED_POSITIVE };
void derived_decimals(DcmItem &to, DcmItem &source, const DcmTagKey &tag, const double *otherwise, size_t n, enum derived_sign sign);

struct derived_time { char date[9], time[11], datetime[27], zone[6]; };       // DA, TM, DT, offset from UTC
struct derived_time derived_time_at(DcmItem &source, int64_t ms);            // in the source's zone when it has one, else local
void derived_dates(DcmItem &to, const struct derived_time *t);               // instance, series, content; TimezoneOffsetFromUTC

struct derived_instance { std::string sop_class, sop_uid; };
std::vector<derived_instance> derived_instances(const struct series *s);      // every instance of the series, once

// Image SOP Instance Reference Macro (PS3.3 10.3): the slice's instance and, when that is multi-frame, the frame.
void derived_reference(DcmItem &to, const struct series *s, size_t slice);
void derived_references(DcmItem &to, const struct series *const *series, size_t n); // Common Instance Reference: every instance, once (PS3.3 C.12.2)
void derived_lossy(DcmItem &to, const struct series *const *series, size_t n);      // LossyImageCompression (PS3.3 C.7.6.1.1.5)
void derived_equipment(DcmItem &to, const char *node_id, const struct derived_time *t); // this program, as equipment and as contributor
