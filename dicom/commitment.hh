// An N-EVENT-REPORT of storage commitment (PS3.4 J.3.3), taken and answered: by whoever asked (commitment.cc) and by the listener (scp_session.cc). For them only.
#pragma once
#include "dicom/commitment.h"
#include "dicom/wire.hh"

#include <dcmtk/dcmnet/dimse.h>

struct commitment_sink { commitment_reported_fn reported; void *arg; };

// Reads what comes with the request, hands it to the sink, answers with all that archives ask for. *is_taken: the sink took a report. Bad: the association is over.
OFCondition commitment_answer(wire &line, T_ASC_Association *dul, T_ASC_PresentationContextID pc, const T_DIMSE_N_EventReportRQ &rq, const commitment_sink &sink,
	bool *is_taken, struct err *e);
