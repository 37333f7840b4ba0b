/* An object of ours under the patient and study header that an archive has by now: names corrected, patients merged, requests filled in (PS3.4 Annex B allows such
 * coercion). Pixels, UIDs and all else stay. What is given is from outside: only a value that fits its VR and can be written goes in, and none where one does not. */
#pragma once
#include "dicom/dicom.h"

#ifdef __cplusplus
extern "C" {
#endif

struct revise_ids { char sop_uid[DICOM_UID], series_uid[DICOM_UID], study_uid[DICOM_UID], sop_class[DICOM_UID]; };
int revise_read_ids(const char *path, struct revise_ids *out, struct err *e);       /* of a file of ours; ERR_INPUT: not one that has them */

/* What can be told; the order of revise_value. */
extern const char *const revise_keywords[];
enum { REVISE_N = 9, REVISE_TEXT = 400, REVISE_NAMES = 200 };
struct revise_values { char text[REVISE_N][REVISE_TEXT]; };                    /* UTF-8; "": not told, or nothing there: what the object says stays */

/* Writes `from` with these values to `to`. changed: the keywords of those that differ, "A, B"; "": none, and nothing is written. ERR_INPUT: a value does not fit
 * (its keyword, never the value). */
int revise_object(const char *from, const char *to, const struct revise_values *v, char changed[REVISE_NAMES], struct err *e);

#ifdef __cplusplus
}
#endif
