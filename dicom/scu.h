/* Associations out: C-ECHO, C-STORE, C-FIND, C-GET, plain or over TLS, whose peer must always prove who it is. IPv4: DCMTK 3.6.7 connects to nothing else. */
#pragma once
#include "config/seg_syntax.h"
#include "dicom/dicom.h"
#include "dicom/tls.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct scu_peer { const char *host, *called_aet, *calling_aet; unsigned port, timeout_s; struct dicom_tls tls; }; /* tls: all 0 is plain; files are read anew each time */

int scu_echo(const struct scu_peer *p, struct err *e);     /* ERR_PEER says whether it was refused, unreachable, or answered with which status */

enum scu_outcome {
	SCU_NOT_SENT,                             /* never reached: connection, abort, timeout before it */
	SCU_STORED,                               /* 0x0000 or a warning: Bxxx, 0x0001, 0x0107, 0x0116 */
	SCU_REFUSED,                              /* permanent: A9xx, Cxxx, 0x0122, no presentation context, association rejected-permanent */
	SCU_PASSING,                              /* A7xx, 0x0110 and the like: try again */
	SCU_IN_DOUBT                              /* sent, but no response came, or one for another instance; 0x0111: something of its UID is there already */
};
enum scu_outcome scu_meaning(unsigned status);            /* of a C-STORE response: STORED, REFUSED, PASSING, IN_DOUBT (PS3.4 B.2.3, PS3.7 C); one table, see scu.cc */
/* Whether words of a peer repeat who the patient of that file is; true also where that cannot be found out. */
bool scu_names_patient(const char *path, const char *words);
struct scu_result { enum scu_outcome outcome; unsigned status; char text[256]; };  /* text: the peer's words and what would help */

/* Sends n files over one association; results[i] for paths[i]. 0 when the association could be opened (look at the results), -1 with ERR_PEER (passing)
 * or ERR_INPUT (rejected for good: called or calling AE title, no context) when it could not; results are then SCU_NOT_SENT / SCU_REFUSED. */
int scu_store(const struct scu_peer *p, const char *const *paths, size_t n, struct scu_result *results, struct err *e);
/* The same; SEGs go in this syntax where the peer takes it and the SEG can be so written, else as they are: the same object whichever way. */
int scu_store_as(const struct scu_peer *p, enum seg_syntax syntax, const char *const *paths, size_t n, struct scu_result *results, struct err *e);

/* C-FIND at the study root (PS3.4 C.4.1), level "STUDY", "SERIES" or "IMAGE". keys: keyword or "GGGG,EEEE" and what must match, "" to have it returned. found: the
 * values in the order of keys, in UTF-8 ('?' for what could not be read), "" where there is none, after the association's end; nonzero ends with that value. ERR_INPUT: a key that is not known. ERR_LIMIT: too many matches. */
struct scu_key { const char *keyword, *value; };
typedef int (*scu_found_fn)(void *arg, const char *const *values, struct err *e);
int scu_find(const struct scu_peer *p, const char *level, const struct scu_key *keys, size_t n, scu_found_fn found, void *arg, struct err *e);

/* C-GET of whole series of a study, one after the other: MR, CT and segmentations, not compressed, into dir as 000001.dcm ... *n_got files; *n_missing
 * instances that the peer says it could not send (another class, compressed and not decoded). ERR_LIMIT, ERR_IO: they cannot be kept here. */
struct scu_wanted { const char *study_uid, *const *series_uids; size_t n_series; const char *dir; int64_t max_instance_bytes; };
int scu_get(const struct scu_peer *p, const struct scu_wanted *w, size_t *n_got, size_t *n_missing, struct err *e);

#ifdef __cplusplus
}
#endif
