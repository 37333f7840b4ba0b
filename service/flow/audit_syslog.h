/* An audit message to the machine's syslog (RFC 5424 form, facility 10, MSGID DICOM+RFC3881: PS3.15 A.7), over its datagram socket. Never waits: a syslog that is
 * away or full is an error that passes. On to a repository, over TLS, is the syslog's own business. */
#pragma once
#include "db/audit.h"

struct audit_syslog { int fd; };          /* -1: not connected; from there on it keeps itself */
/* 0: the syslog has it. ERR_IO: not now. ERR_LIMIT: it is too large for any. */
int  audit_syslog_send(struct audit_syslog *s, const char *path, const struct audit_row *r, const char *xml, struct err *e);
void audit_syslog_close(struct audit_syslog *s);
