/* Questions to a destination before anything is sent to it: whose the study is there by now, and, after a sending without answer, whether it arrived. By C-FIND at
 * the study root (PS3.4 C.4.1) or QIDO-RS (PS3.18 10.6). Whoever cannot be asked is no worse off: what to do then is the caller's business. */
#pragma once
#include "config/settings.h"
#include "dicom/revise.h"
#include "dicom/scu.h"

struct ask_peer { const struct destination_setting *setting; struct scu_peer dimse /* unless setting is of a STOW-RS service */; }; /* borrows */

enum ask_answer {
	ASK_ANSWERED,
	ASK_UNABLE,                       /* it does not answer such questions: not offered, refused, 404, 501 */
	ASK_UNHEARD                       /* away, silent, broke off: perhaps later */
};
/* is_known: it has the study, once, and *out is what it says of it. e: why not, unless ASK_ANSWERED; never a value. */
enum ask_answer ask_study(const struct ask_peer *p, const char *study_uid, struct revise_values *out, bool *is_known, struct err *e);
/* is_there[i]: it has ids[i]. Objects of one series are asked for together. */
enum ask_answer ask_objects(const struct ask_peer *p, const struct revise_ids *ids, size_t n, bool *is_there, struct err *e);
