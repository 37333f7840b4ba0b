/* A row of the audit trail as a DICOM audit message (PS3.15 A.5.1): XML in UTF-8 on one line. Whatever a row's texts hold, the message is well formed. */
#pragma once
#include "db/audit.h"

struct audit_source { const char *id; const char *aet; };              /* of this node; borrowed */
char *audit_xml(const struct audit_row *r, const struct audit_source *us, struct err *e); /* caller: free */
const char *audit_event_name(int event);                               /* "DICOM Instances Transferred"; static */
const char *audit_type_name(int type);                                 /* NULL: none; static */
