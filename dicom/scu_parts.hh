// An association of ours, as requestor: what scu.cc (C-ECHO, C-STORE), scu_answer.cc and scu_query.cc (C-FIND, C-GET) share. For them only.
#pragma once
#include "dicom/scu.h"
#include "dicom/wire.hh"

#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmnet/assoc.h>

#include <string>
#include <vector>

enum {
	SCU_GOODBYE_MS = 2000,
	SCU_MOST_ANSWER = 1 << 20,           // bytes of a peer's response, or of what it accepts
	SCU_PATIENCES = 10                   // of a peer's timeouts: a question that has answers for ever ends, too
};

struct scu_context {
	std::string sop_class, syntax;
	bool is_to_us = false;               // we are the provider of this class: instances come (C-GET)
};

// Ends the association, when there is one, in good order or by abort, and frees all.
struct requestor {
	explicit requestor(const struct scu_peer &to) : peer(to), line(to.timeout_s * INT64_C(1000), -1) {}
	~requestor();
	void release();
	void abort();

	const struct scu_peer &peer;
	std::unique_ptr<tls_context> tls;    // NULL: plain
	wire line;
	T_ASC_Network *network = NULL;
	T_ASC_Parameters *params = NULL;     // until the association has them
	T_ASC_Association *dul = NULL;
};

// ERR_INPUT: rejected for good; ERR_PEER: rejected for now, unreachable, silent.
int scu_open(requestor &r, const std::vector<scu_context> &contexts, struct err *e);
const char *scu_reason(const requestor &r, const OFCondition &c); // why a message failed, in words
void scu_judge(struct scu_result *r, unsigned status, DcmDataset *detail, DcmDataset &data); // a C-STORE response; detail may be NULL; data: what was sent
