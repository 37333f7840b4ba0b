/* Storage commitment, push model, as its user (PS3.4 J): an archive is asked to answer for what it has of us, by N-ACTION on an association of its own. Its report,
 * an N-EVENT-REPORT, comes on that association or on one that it opens to our listener (scp_handler.reported). We never answer for others' instances. */
#pragma once
#include "dicom/scu.h"

#ifdef __cplusplus
extern "C" {
#endif

struct commitment_item { char sop_uid[DICOM_UID]; unsigned reason; };  /* reason: 0 committed, else the Failure Reason (0008,1197) */
struct commitment_report { char transaction[DICOM_UID]; const struct commitment_item *items; size_t n; };
/* 0: it is durable, Success is answered. -1: ERR_NOT_FOUND, no such transaction of ours, and so on. */
typedef int (*commitment_reported_fn)(void *arg, const struct commitment_report *r, struct err *e);

enum commitment_fate { COMMITMENT_GOOD, COMMITMENT_LOST /* send it again */, COMMITMENT_LATER /* ask again */, COMMITMENT_NEVER };
enum commitment_fate commitment_fate(unsigned reason);                 /* PS3.3 C.14.1.1 */
const char *commitment_words(unsigned reason);                         /* static */

struct commitment_question {
	const struct scu_peer *peer;
	const char *transaction;                      /* a UID of its own each time */
	const char *const *paths;                     /* (n) the instances' files, of which only the meta headers are read */
	size_t n;
	unsigned wait_s;                              /* how long the report is waited for on this association */
};
/* 0: it will report, or has: *is_reported, through `reported`. ERR_INPUT: it offers no storage commitment or refuses for good. ERR_PEER: for now. ERR_IO: files. */
int commitment_ask(const struct commitment_question *q, commitment_reported_fn reported, void *arg, bool *is_reported, struct err *e);
int commitment_sop_uid(const char *path, char uid[DICOM_UID], struct err *e); /* by which a report names the file's instance */

#ifdef __cplusplus
}
#endif
