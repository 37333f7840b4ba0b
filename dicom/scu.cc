// Associations out: C-ECHO and C-STORE as a requestor (PS3.4 A, B; PS3.7 9.1). What a rejection means for trying again is said here, a status in scu_answer.cc;
// when to try again is the deliverer's business. Any number of threads: nothing is shared but DCMTK's connect timeout, see scu_open.
#include "dicom/object.hh"
#include "dicom/scu_parts.hh"
#include "dicom/seg.h"
#include "dicom/shim.hh"

#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcfilefo.h>
#include <dcmtk/dcmdata/dcmetinf.h>
#include <dcmtk/dcmdata/dcuid.h>
#include <dcmtk/dcmnet/cond.h>
#include <dcmtk/dcmnet/dimse.h>

#include <cassert>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_CONTEXTS = 128 };

struct outgoing {
	std::string sop_class, sop_uid, syntax; // as the meta header says
	enum seg_syntax wanted = SEG_EXPLICIT; // a SEG's: which is tried first
	bool is_good = false;                // may be sent
};

requestor::~requestor()
{
	ASC_destroyAssociation(&dul);
	if (params != NULL)
		ASC_destroyAssociationParameters(&params);
	ASC_dropNetwork(&network);
}

// In good order where the peer plays along. Nothing hangs on it: what was stored is known by the responses.
void
requestor::release()
{
	line.fresh(SCU_MOST_ANSWER);
	line.hurry(SCU_GOODBYE_MS);
	if (ASC_releaseAssociation(dul).bad())
		abort();
}

void
requestor::abort()
{
	line.fresh(SCU_MOST_ANSWER);
	line.hurry(SCU_GOODBYE_MS);
	ASC_abortAssociation(dul);
}

static int
resolve(const struct scu_peer &p, char address[64], struct err *e)
{
	struct addrinfo hints = {}, *found = NULL;
	char number[INET_ADDRSTRLEN];

	hints.ai_family = AF_INET;                   // what DCMTK's own parsing of HOST:PORT allows
	hints.ai_socktype = SOCK_STREAM;
	int rc = getaddrinfo(p.host, NULL, &hints, &found);
	if (rc == EAI_ADDRFAMILY || strchr(p.host, ':') != NULL)
		return err_set(e, ERR_PEER, "the host %s has no IPv4 address, and associations go over IPv4 only", p.host);
	if (rc != 0)
		return err_set(e, ERR_PEER, "the host %s is not known: %s", p.host, gai_strerror(rc));
	inet_ntop(AF_INET, &((const struct sockaddr_in *)found->ai_addr)->sin_addr, number, sizeof number);
	freeaddrinfo(found);
	snprintf(address, 64, "%s:%u", number, p.port);
	return 0;
}

static int
propose(requestor &r, const std::vector<scu_context> &contexts, struct err *e)
{
	char address[64], here[64];
	OFCondition c;

	if (resolve(r.peer, address, e) != 0)
		return -1;
	if (gethostname(here, sizeof here) != 0)
		here[0] = '\0';
	here[sizeof here - 1] = '\0';
	c = r.line.requestor(&r.network);
	if (c.good())
		c = ASC_createAssociationParameters(&r.params, ASC_MAXIMUMPDUSIZE);
	if (c.good())
		c = ASC_setAPTitles(r.params, r.peer.calling_aet, r.peer.called_aet, NULL);
	if (c.good())
		c = ASC_setPresentationAddresses(r.params, here, address);
	for (size_t i = 0; i < contexts.size() && c.good(); i++) {
		const char *syntax = contexts[i].syntax.c_str();
		c = ASC_addPresentationContext(r.params, (T_ASC_PresentationContextID)(2 * i + 1), contexts[i].sop_class.c_str(), &syntax, 1,
			contexts[i].is_to_us ? ASC_SC_ROLE_SCP : ASC_SC_ROLE_DEFAULT);
	}
	return c.good() ? 0 : shim_failed(e, ERR_BUG, c);
}

static int
rejected(const requestor &r, struct err *e)
{
	static const struct {
		T_ASC_RejectParametersReason reason;
		const char *words;
	} reasons[] = {
		{ ASC_REASON_SU_APPCONTEXTNAMENOTSUPPORTED, "application context not supported" },
		{ ASC_REASON_SU_CALLINGAETITLENOTRECOGNIZED, "calling AE title not recognised: make ours known there" },
		{ ASC_REASON_SU_CALLEDAETITLENOTRECOGNIZED, "called AE title not recognised: correct the one of the destination" },
		{ ASC_REASON_SP_ACSE_PROTOCOLVERSIONNOTSUPPORTED, "protocol version not supported" },
		{ ASC_REASON_SP_PRES_TEMPORARYCONGESTION, "temporary congestion" },
		{ ASC_REASON_SP_PRES_LOCALLIMITEXCEEDED, "its limit of associations is reached" },
	};
	T_ASC_RejectParameters p = {};
	const char *words = "no reason given";

	ASC_getRejectParameters(r.dul->params, &p);
	bool is_final = p.result == ASC_RESULT_REJECTEDPERMANENT;
	for (const auto &i : reasons)
		if (i.reason == p.reason)
			words = i.words;
	return err_set(e, is_final ? ERR_INPUT : ERR_PEER, "it rejects the association of %s to %s %s: %s", r.peer.calling_aet, r.peer.called_aet,
		is_final ? "for good" : "for now", words);
}

const char *
scu_reason(const requestor &r, const OFCondition &c)
{
	if (c == DUL_PEERABORTEDASSOCIATION && !r.line.has_heard() && r.line.why()[0] == '\0' && !r.line.is_timed_out())
		return "it closed the connection without a word: is it a DICOM port, and one without TLS? (\"tls\": true asks for TLS)";
	if (r.line.is_overdue())
		return "its answers did not end within ten times the \"timeout\" it is given";
	return r.line.why()[0] != '\0' ? r.line.why() : r.line.is_timed_out() ? "it did not answer in time" : c == DUL_PEERABORTEDASSOCIATION ? "it aborted the association" : c.text();
}

int
scu_open(requestor &r, const std::vector<scu_context> &contexts, struct err *e)
{
	if (r.peer.tls.is_on) {
		r.tls.reset(new tls_context(false, r.peer.host));
		if (r.tls->open(r.peer.tls, e) != 0)
			return -1;
		r.line.secure(r.tls.get());
	}
	if (propose(r, contexts, e) != 0)
		return -1;
	// Process-wide in DCMTK: a thread that opens at the same moment may get this peer's time instead of its own, but always some bound.
	dcmConnectionTimeout.set((Sint32)r.peer.timeout_s);
	r.line.fresh(SCU_MOST_ANSWER);
	OFCondition c = ASC_requestAssociation(r.network, r.params, &r.dul, NULL, NULL, DUL_NOBLOCK, WIRE_RULES_S);
	if (r.dul != NULL)
		r.params = NULL;                     // the association's now
	if (c.good())
		return 0;
	if (c == DUL_ASSOCIATIONREJECTED)
		return rejected(r, e);
	return err_set(e, ERR_PEER, "no association: %s", scu_reason(r, c));
}

static int
echo(requestor &r, struct err *e)
{
	DIC_US status = 0;
	DcmDataset *detail = NULL;

	if (scu_open(r, { { UID_VerificationSOPClass, UID_LittleEndianImplicitTransferSyntax, false } }, e) != 0)
		return -1;
	r.line.fresh(SCU_MOST_ANSWER);
	OFCondition c = ASC_findAcceptedPresentationContextID(r.dul, UID_VerificationSOPClass) == 0 ? DIMSE_NOVALIDPRESENTATIONCONTEXTID
		: DIMSE_echoUser(r.dul, r.dul->nextMsgID++, DIMSE_NONBLOCKING, WIRE_RULES_S, &status, &detail);
	delete detail;
	if (c.bad()) {
		err_set(e, ERR_PEER, "no echo: %s", scu_reason(r, c));
		r.abort();
		return -1;
	}
	r.release();
	return status == STATUS_Success ? 0 : err_set(e, ERR_PEER, "it answered the echo with status 0x%04x", status);
}

extern "C" int
scu_echo(const struct scu_peer *p, struct err *e)
{
	int rc = shim_int(e, [&] {
		requestor r(*p);
		return echo(r, e);
	});

	return rc == 0 ? 0 : err_note(e, "%s at %s:%u", p->called_aet, p->host, p->port);
}

static void
say(struct scu_result *r, enum scu_outcome outcome, const char *what, const char *why)
{
	int n = snprintf(r->text, sizeof r->text, "%s%s%s", what, why[0] != '\0' ? ": " : "", why); // too long is cut

	assert(n >= 0);
	r->outcome = outcome;
}

static std::string
meta_text(DcmMetaInfo &meta, const DcmTagKey &tag)
{
	OFString text;

	return meta.findAndGetOFString(tag, text).good() ? std::string(text.c_str()) : std::string();
}

// The meta header of a file, and where it cannot be sent, why.
static outgoing
examine(const char *path, struct scu_result *r)
{
	outgoing o;
	DcmMetaInfo meta;

	if (access(path, R_OK) != 0) {
		char why[128];
		say(r, SCU_NOT_SENT, "the file to send cannot be read", strerror_r(errno, why, sizeof why));
		return o;
	}
	OFCondition c = meta.loadFile(path);
	o.sop_class = meta_text(meta, DCM_MediaStorageSOPClassUID);
	o.sop_uid = meta_text(meta, DCM_MediaStorageSOPInstanceUID);
	o.syntax = meta_text(meta, DCM_TransferSyntaxUID);
	o.is_good = c.good() && dicom_uid_is_valid(o.sop_class.c_str()) && dicom_uid_is_valid(o.sop_uid.c_str()) && dicom_uid_is_valid(o.syntax.c_str());
	if (!o.is_good)
		say(r, SCU_REFUSED, "not a DICOM file that names its SOP class, instance and transfer syntax", c.good() ? "" : c.text());
	return o;
}

static std::string
wanted_uid(const outgoing &o)
{
	return DcmXfer(object_syntax(o.wanted)).getXferID();
}

static bool
add_context(std::vector<scu_context> &contexts, const std::string &sop_class, const std::string &syntax)
{
	for (const scu_context &i : contexts)
		if (i.sop_class == sop_class && i.syntax == syntax)
			return true;
	if (contexts.size() >= MAX_CONTEXTS)
		return false;
	contexts.push_back({ sop_class, syntax, false });
	return true;
}

// The syntax that is wanted, each file's own, and the default one beside the other that is not compressed (PS3.5 10.1).
static std::vector<scu_context>
contexts_for(std::vector<outgoing> &files, struct scu_result *results)
{
	std::vector<scu_context> contexts;

	for (size_t i = 0; i < files.size(); i++) {
		outgoing &o = files[i];
		if (!o.is_good)
			continue;
		if (o.wanted != SEG_EXPLICIT)
			add_context(contexts, o.sop_class, wanted_uid(o));
		o.is_good = add_context(contexts, o.sop_class, o.syntax);
		if (o.is_good && o.syntax == UID_LittleEndianExplicitTransferSyntax)
			add_context(contexts, o.sop_class, UID_LittleEndianImplicitTransferSyntax);
		if (!o.is_good)
			say(&results[i], SCU_NOT_SENT, "more SOP classes than one association can hold", "");
	}
	return contexts;
}

static T_ASC_PresentationContextID
find_context(requestor &r, const outgoing &o)
{
	T_ASC_PresentationContextID id = 0;

	if (o.wanted != SEG_EXPLICIT)
		id = ASC_findAcceptedPresentationContextID(r.dul, o.sop_class.c_str(), wanted_uid(o).c_str());
	if (id == 0)
		id = ASC_findAcceptedPresentationContextID(r.dul, o.sop_class.c_str(), o.syntax.c_str());
	if (id == 0 && o.syntax == UID_LittleEndianExplicitTransferSyntax)
		id = ASC_findAcceptedPresentationContextID(r.dul, o.sop_class.c_str(), UID_LittleEndianImplicitTransferSyntax);
	return id;
}

// False: the association is of no use any more.
static bool
exchange(requestor &r, T_ASC_PresentationContextID pc, const outgoing &o, DcmDataset *data, struct scu_result *result)
{
	T_DIMSE_Message m = {}, answer = {};
	DcmDataset *detail = NULL;
	DIC_US id = r.dul->nextMsgID++;

	m.CommandField = DIMSE_C_STORE_RQ;
	m.msg.CStoreRQ.MessageID = id;
	m.msg.CStoreRQ.DataSetType = DIMSE_DATASET_PRESENT;
	m.msg.CStoreRQ.Priority = DIMSE_PRIORITY_MEDIUM;
	snprintf(m.msg.CStoreRQ.AffectedSOPClassUID, sizeof m.msg.CStoreRQ.AffectedSOPClassUID, "%s", o.sop_class.c_str());
	snprintf(m.msg.CStoreRQ.AffectedSOPInstanceUID, sizeof m.msg.CStoreRQ.AffectedSOPInstanceUID, "%s", o.sop_uid.c_str());
	r.line.fresh();
	OFCondition c = DIMSE_sendMessageUsingMemoryData(r.dul, pc, &m, NULL, data, NULL, NULL);
	if (c.bad()) {
		say(result, SCU_NOT_SENT, "sending stopped half-way", scu_reason(r, c));
		return false;
	}
	r.line.fresh(SCU_MOST_ANSWER);
	c = DIMSE_receiveCommand(r.dul, DIMSE_NONBLOCKING, WIRE_RULES_S, &pc, &answer, &detail);
	const T_DIMSE_C_StoreRSP &rsp = answer.msg.CStoreRSP;
	bool is_answer = c == EC_Normal && answer.CommandField == DIMSE_C_STORE_RSP && rsp.MessageIDBeingRespondedTo == id &&
		((rsp.opts & O_STORE_AFFECTEDSOPINSTANCEUID) == 0 || o.sop_uid == rsp.AffectedSOPInstanceUID);
	if (is_answer)
		scu_judge(result, rsp.DimseStatus, detail, *data);
	else
		say(result, SCU_IN_DOUBT, "sent, but no response came", c == EC_Normal ? "it answered something else" : scu_reason(r, c));
	delete detail;
	return is_answer;
}

// The context to send it by, the data set made fit for it; what cannot be made so goes as it is. 0: none.
static T_ASC_PresentationContextID
encode_as_accepted(requestor &r, DcmFileFormat &file, outgoing &o)
{
	T_ASC_PresentationContextID wanted = o.wanted == SEG_EXPLICIT ? 0 : ASC_findAcceptedPresentationContextID(r.dul, o.sop_class.c_str(), wanted_uid(o).c_str());

	if (wanted == 0 || !object_encode(*file.getDataset(), o.wanted))
		o.wanted = SEG_EXPLICIT;
	return find_context(r, o);
}

static bool
was_offered(const T_ASC_PresentationContext &c)
{
	for (int i = 0; i < c.transferSyntaxCount; i++)
		if (strcmp(c.proposedTransferSyntaxes[i], c.acceptedTransferSyntax) == 0)
			return true;
	return false;
}

static bool
send_one(requestor &r, const char *path, outgoing &o, struct scu_result *result)
{
	T_ASC_PresentationContext accepted;
	DcmFileFormat file;
	OFCondition c = file.loadFile(path, EXS_Unknown, EGL_noChange, DCM_MaxReadLength, ERM_fileOnly);
	T_ASC_PresentationContextID pc = encode_as_accepted(r, file, o);

	if (pc == 0) {
		say(result, SCU_REFUSED, "it does not accept this SOP class and transfer syntax", (o.sop_class + ", " + o.syntax).c_str());
		return true;
	}
	if (c.good())
		c = ASC_findAcceptedPresentationContext(r.dul->params, pc, &accepted);
	if (c.good() && !was_offered(accepted)) {
		say(result, SCU_REFUSED, "it accepts a transfer syntax that it was not offered", accepted.acceptedTransferSyntax);
		return true;
	}
	if (c.bad() || !file.getDataset()->canWriteXfer(DcmXfer(accepted.acceptedTransferSyntax).getXfer())) {
		say(result, SCU_REFUSED, "the data set cannot be read or not be sent as accepted", c.good() ? "" : c.text());
		return true;
	}
	return exchange(r, pc, o, file.getDataset(), result);
}

// Of those a SEG that is uncompressed can be written in other ways.
static bool
is_seg(const outgoing &o)
{
	return (o.sop_class == UID_SegmentationStorage || o.sop_class == SEG_LABELMAP_CLASS) && o.syntax == UID_LittleEndianExplicitTransferSyntax;
}

static int
store(requestor &r, enum seg_syntax syntax, const char *const *paths, size_t n, struct scu_result *results, struct err *e)
{
	std::vector<outgoing> files;
	bool is_open = true, is_taken = false;

	for (size_t i = 0; i < n; i++) {
		files.push_back(examine(paths[i], &results[i]));
		if (is_seg(files[i]))
			files[i].wanted = syntax;
	}
	std::vector<scu_context> contexts = contexts_for(files, results);
	if (contexts.empty())
		return err_set(e, ERR_INPUT, "nothing to send: %s", results[0].text);
	int rc = scu_open(r, contexts, e);
	for (size_t i = 0; i < n && rc != 0; i++)
		if (files[i].is_good)
			say(&results[i], e->code == ERR_INPUT ? SCU_REFUSED : SCU_NOT_SENT, e->text, "");
	if (rc != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (!files[i].is_good)
			continue;
		is_taken = is_taken || find_context(r, files[i]) != 0;
		if (is_open)
			is_open = send_one(r, paths[i], files[i], &results[i]);
		else
			say(&results[i], SCU_NOT_SENT, "the association broke before it", "");
	}
	if (is_open)
		r.release();
	else
		r.abort();
	return is_taken ? 0 : err_set(e, ERR_INPUT, "it accepts none of the SOP classes and transfer syntaxes that were offered: %s, %s", files[0].sop_class.c_str(),
		files[0].syntax.c_str());
}

extern "C" int
scu_store(const struct scu_peer *p, const char *const *paths, size_t n, struct scu_result *results, struct err *e)
{
	return scu_store_as(p, SEG_EXPLICIT, paths, n, results, e);
}

extern "C" int
scu_store_as(const struct scu_peer *p, enum seg_syntax syntax, const char *const *paths, size_t n, struct scu_result *results, struct err *e)
{
	assert(n > 0);
	for (size_t i = 0; i < n; i++)
		results[i] = {};                     // SCU_NOT_SENT
	int rc = shim_int(e, [&] {
		requestor r(*p);
		return store(r, syntax, paths, n, results, e);
	});
	return rc == 0 ? 0 : err_note(e, "%s at %s:%u", p->called_aet, p->host, p->port);
}
