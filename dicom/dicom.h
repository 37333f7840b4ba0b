/* DICOM for C callers. Everything in this room is C outside and DCMTK inside; no exception and no DCMTK type crosses a header. */
#pragma once
#include "config/err.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { DICOM_UID = 65, DICOM_AET = 17 };

int  dicom_start(struct err *e);                 /* once a process, before anything else here: dictionary, DCMTK's logger to ours at warn */
bool dicom_uid_is_valid(const char *uid);        /* PS3.5 9.1 */
bool dicom_keyword_is_known(const char *keyword); /* "SeriesDescription" or "0008,103E" */
const char *dicom_software_version(void);        /* "segan 0.1.0 (DCMTK 3.6.7)"; static */

#ifdef __cplusplus
}
#endif
