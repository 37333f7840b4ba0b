/* Deliveries in the audit trail: that we ask an archive, begin to send, have sent (PS3.15 A.5.3.10, .3, .7). */
#pragma once
#include "config/settings.h"
#include "service/flow/audit.h"
#include "service/flow/deliver_ask.h"
#include "service/flow/deliver_send.h"

struct delivery_event { struct audit_entry entry; char host[SETTINGS_HOST]; };  /* entry borrows host */
/* Of this attempt, without objects. What is a beginning counts once for all tries. */
void deliver_event(const struct attempt *a, const struct ask_peer *to, enum audit_event event, struct delivery_event *out);
void deliver_audit_query(const struct attempt *a, const struct ask_peer *to);
/* JSON for audit_entry.objects from the SOP class of each. NULL: no memory. caller: free. */
char *deliver_objects(const char *const *classes, size_t n);
