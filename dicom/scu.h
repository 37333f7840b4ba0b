/* Associations out: C-ECHO, C-STORE. */
#pragma once
#include "dicom/dicom.h"

#ifdef __cplusplus
extern "C" {
#endif

struct scu_peer { const char *host, *called_aet, *calling_aet; unsigned port, timeout_s; };

int scu_echo(const struct scu_peer *p, struct err *e);     /* ERR_PEER says whether it was refused, unreachable, or answered with which status */

enum scu_outcome {
	SCU_NOT_SENT,                             /* never reached: connection, abort, timeout before it */
	SCU_STORED,                               /* 0x0000 or a warning Bxxx */
	SCU_REFUSED,                              /* permanent: A9xx, Cxxx, 0x0122, no presentation context, association rejected-permanent */
	SCU_PASSING,                              /* A7xx, 0x0110 and the like: try again */
	SCU_IN_DOUBT                              /* sent, but no response came */
};
struct scu_result { enum scu_outcome outcome; unsigned status; char text[256]; };  /* text: the peer's words and what would help */

/* Sends n files over one association; results[i] for paths[i]. 0 when the association could be opened (look at the results), -1 with ERR_PEER (passing)
 * or ERR_INPUT (rejected for good: called or calling AE title, no context) when it could not; results are then SCU_NOT_SENT / SCU_REFUSED. */
int scu_store(const struct scu_peer *p, const char *const *paths, size_t n, struct scu_result *results, struct err *e);

#ifdef __cplusplus
}
#endif
