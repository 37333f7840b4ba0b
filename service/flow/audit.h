/* What is an event of the audit trail, and who is told. A row comes first (db/audit.h), in the transaction of what it tells where there is one; a thread tells the
 * syslog all rows in their order, also those of a run that was killed, and removes what is older than audit.days. A syslog that is away, full or not there
 * holds nothing up and loses nothing: rows wait. */
#pragma once
#include "db/audit.h"

struct node;
struct audit;
struct audit *audit_start(struct node *n, struct err *e);                  /* "Application Start"; one thread; borrows n, whose audit it becomes */
void audit_stop(struct audit *a);                                          /* "Application Stop", told if the syslog listens; no thread any more. NULL is fine */
void audit_free(struct audit *a);                                          /* when nobody has an event any more */

/* What is in no transaction. A failure is logged with what it was about. */
void audit_record(struct node *n, const struct audit_entry *a);
/* The same for what strangers cause (refused at a door, wrong tokens): at most AUDIT_ALARMS a minute, AUDIT_ALARMS_OF_ONE of an address, one by one; the others are counted
 * in a row of their own. */
enum { AUDIT_ALARMS = 120, AUDIT_ALARMS_OF_ONE = 20 };
void audit_alarm(struct node *n, const struct audit_entry *a);
enum { AUDIT_USER_NAME = 65 };
void audit_user_name(char name[AUDIT_USER_NAME]);                          /* who runs us, of the operating system; its number where it has no name */
void audit_tell(struct node *n);                                           /* there is a row that was attached (audit_attach) */

/* For the transaction that removes a study or the last of it: audit_attach it before. All borrowed. */
struct audit_entry audit_study_deleted(const char *study_uid, const char *objects, const char *why);
