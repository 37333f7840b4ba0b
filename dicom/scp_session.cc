// One association in: negotiation, C-ECHO, C-STORE, N-EVENT-REPORT, release or abort (PS3.7 9, 10.1.1; PS3.8 9.2). Any other command ends it by A-ABORT; what a data set says
// is the handler's business. Runs on the connection's own thread (scp.cc).
#include "dicom/commitment.hh"
#include "dicom/scp_parts.hh"
#include "dicom/scp_receive.hh"
#include "dicom/shim.hh"
#include "dicom/syntax.h"
#include "config/log.h"

#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcuid.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

#include <cstring>

#include <netdb.h>
#include <sys/socket.h>

enum {
	MAX_COMMAND = 1 << 20,               // bytes on the line, a PDU of data behind it included: a command set is some hundred bytes (PS3.7 E), and held in memory
	GOODBYE_MS = 1000,
	COMMENT = 65,
	STATUS_CLASS_NOT_SUPPORTED = 0x0122,
};

static const T_ASC_RejectParameters
	no_such_context = { ASC_RESULT_REJECTEDPERMANENT, ASC_SOURCE_SERVICEUSER, ASC_REASON_SU_APPCONTEXTNAMENOTSUPPORTED },
	calling_unknown = { ASC_RESULT_REJECTEDPERMANENT, ASC_SOURCE_SERVICEUSER, ASC_REASON_SU_CALLINGAETITLENOTRECOGNIZED },
	called_unknown = { ASC_RESULT_REJECTEDPERMANENT, ASC_SOURCE_SERVICEUSER, ASC_REASON_SU_CALLEDAETITLENOTRECOGNIZED },
	no_place = { ASC_RESULT_REJECTEDTRANSIENT, ASC_SOURCE_SERVICEPROVIDER_PRESENTATION_RELATED, ASC_REASON_SP_PRES_LOCALLIMITEXCEEDED },
	not_now = { ASC_RESULT_REJECTEDTRANSIENT, ASC_SOURCE_SERVICEUSER, ASC_REASON_SU_NOREASON };

// Association and network go together, on every path.
struct association {
	~association();
	T_ASC_Network *network = NULL;
	T_ASC_Association *dul = NULL;
	struct scp_peer peer = {};
	struct scp_admission admission = {};
};

association::~association()
{
	ASC_destroyAssociation(&dul);
	ASC_dropNetwork(&network);
}

static void
copy_title(char to[DICOM_AET], const char *from)
{
	from += strspn(from, " ");
	size_t n = strnlen(from, DICOM_AET - 1);
	while (n > 0 && from[n - 1] == ' ')
		n--;
	memcpy(to, from, n);
	to[n] = '\0';
}

static void
read_address(int fd, char *text, size_t size)
{
	static const char mapped[] = "::ffff:"; // IPv4 on an IPv6 socket: written as everywhere else
	struct sockaddr_storage a;
	socklen_t n = sizeof a;

	if (getpeername(fd, (struct sockaddr *)&a, &n) != 0 || getnameinfo((struct sockaddr *)&a, n, text, (socklen_t)size, NULL, 0, NI_NUMERICHOST) != 0)
		text[0] = '\0';
	if (strncmp(text, mapped, sizeof mapped - 1) == 0)
		memmove(text, text + sizeof mapped - 1, strlen(text) - sizeof mapped + 2);
}

// Our own reasons, in the order of PS3.8: the application context, the called title, a free place.
static const T_ASC_RejectParameters *
find_place(session &s, const association &a, struct err *e)
{
	const DUL_ASSOCIATESERVICEPARAMETERS &p = a.dul->params->DULparams;
	const struct scp_config &c = s.scp->config;

	if (strcmp(p.applicationContextName, UID_StandardApplicationContext) != 0) {
		err_set(e, ERR_INPUT, "not the DICOM application context");
		return &no_such_context;
	}
	if (c.check_called_aet && strcmp(a.peer.called_aet, c.aet) != 0) {
		err_set(e, ERR_NOT_FOUND, "it called %s, our AE title is %s", a.peer.called_aet, c.aet);
		return &called_unknown;
	}
	switch (scp_take_place(s, a.peer.address)) {
	case SCP_PLACE_FULL: err_set(e, ERR_LIMIT, "%u associations are open, no more are allowed", c.max_associations); return &no_place;
	case SCP_PLACE_PEER_FULL: err_set(e, ERR_LIMIT, "%u associations of this address are open, no more are allowed", c.max_per_peer); return &no_place;
	default: return NULL;
	}
}

// NULL: admitted.
static const T_ASC_RejectParameters *
admit(session &s, association &a, struct err *e)
{
	copy_title(a.peer.calling_aet, a.dul->params->DULparams.callingAPTitle);
	copy_title(a.peer.called_aet, a.dul->params->DULparams.calledAPTitle);
	const T_ASC_RejectParameters *why = find_place(s, a, e);
	if (why != NULL) {
		log_event(LOG_WARN, "association_rejected", "peer=%s text=\"%s: %s\"", a.peer.address, a.peer.calling_aet, e->text);
		return why;
	}
	if (s.scp->handler->opened(s.scp->handler->arg, &a.peer, &a.admission, e) == 0)
		return NULL;
	scp_leave_place(s);
	return e->code == ERR_INPUT ? &calling_unknown : e->code == ERR_NOT_FOUND ? &called_unknown : e->code == ERR_LIMIT ? &no_place : &not_now;
}

// All standard storage: DCMTK's table, and the whole arc of the storage classes, for the newer ones (label map 66.7 ...).
static bool
is_storage(const char *sop_class)
{
	static const char arc[] = "1.2.840.10008.5.1.4.1.1.";

	return dcmIsaStorageSOPClassUID(sop_class, ESSC_All) || (strncmp(sop_class, arc, sizeof arc - 1) == 0 && dicom_uid_is_valid(sop_class));
}

static bool
is_commitment(const char *sop_class)
{
	return strcmp(sop_class, UID_StorageCommitmentPushModelSOPClass) == 0;
}

// The role in which the peer is accepted, *role; false: not served. Who proposes commitment as its user is a scanner that would delete images because of us.
static bool
is_served(const T_ASC_PresentationContext &pc, const struct scp_admission &may, T_ASC_SC_ROLE *role)
{
	bool would_provide = pc.proposedRole == ASC_SC_ROLE_SCP || pc.proposedRole == ASC_SC_ROLE_SCUSCP;

	*role = is_commitment(pc.abstractSyntax) ? ASC_SC_ROLE_SCP : ASC_SC_ROLE_DEFAULT;
	if (is_commitment(pc.abstractSyntax))
		return would_provide && may.may_report;
	return pc.proposedRole != ASC_SC_ROLE_SCP && (strcmp(pc.abstractSyntax, UID_VerificationSOPClass) == 0 || (may.may_store && is_storage(pc.abstractSyntax)));
}

// Of what is read: first what loses nothing, in the order of the sender (what it has as it is mostly comes first, and whichever it converts to, the voxels stay);
// then big endian, which is retired; then what may lose, where nothing else is offered: that is what it holds already. Explicit goes before implicit.
static const struct syntax *
best_syntax(const T_ASC_PresentationContext &pc)
{
	const struct syntax *best = NULL;
	bool has_explicit = false;

	for (int i = 0; i < pc.transferSyntaxCount; i++) {
		const struct syntax *s = syntax_find(pc.proposedTransferSyntaxes[i]);
		if (s == NULL)
			continue;
		has_explicit = has_explicit || strcmp(s->uid, UID_LittleEndianExplicitTransferSyntax) == 0;
		if (best == NULL || s->may_lose < best->may_lose || (s->may_lose == best->may_lose && s->is_big_endian < best->is_big_endian))
			best = s;
	}
	return best != NULL && best->is_implicit && has_explicit ? syntax_find(UID_LittleEndianExplicitTransferSyntax) : best;
}

static OFCondition
negotiate(T_ASC_Association *dul, const struct scp_admission &may)
{
	OFCondition c = EC_Normal;
	int n = ASC_countPresentationContexts(dul->params);

	for (int i = 0; i < n && c.good(); i++) {
		T_ASC_PresentationContext pc;
		T_ASC_SC_ROLE role;
		c = ASC_getPresentationContext(dul->params, i, &pc);
		if (c.bad())
			break;
		const struct syntax *syntax = best_syntax(pc);
		if (!is_served(pc, may, &role))
			c = ASC_refusePresentationContext(dul->params, pc.presentationContextID, ASC_P_ABSTRACTSYNTAXNOTSUPPORTED);
		else if (syntax == NULL)
			c = ASC_refusePresentationContext(dul->params, pc.presentationContextID, ASC_P_TRANSFERSYNTAXESNOTSUPPORTED);
		else
			c = ASC_acceptPresentationContext(dul->params, pc.presentationContextID, syntax->uid, role);
	}
	return c.good() ? ASC_acknowledgeAssociation(dul) : c;
}

// PS3.7 C: Error Comment is LO, 64 characters; only printable ASCII goes out. The cause is at the end of our texts: what stands before it gives way first.
static void
comment_text(const char *text, char comment[COMMENT])
{
	size_t n = 0;

	for (const char *next = strstr(text, ": "); next != NULL && strlen(text) >= COMMENT; next = strstr(text, ": "))
		text = next + 2;
	for (; text[n] != '\0' && n < COMMENT - 1; n++)
		comment[n] = text[n] >= 0x20 && text[n] < 0x7f && text[n] != '\\' ? text[n] : '?';
	comment[n] = '\0';
}

static OFCondition
answer(const association &a, T_ASC_PresentationContextID pc, const T_DIMSE_C_StoreRQ &rq, unsigned status, const struct err &e)
{
	T_DIMSE_C_StoreRSP rsp = {};
	DcmDataset detail;
	char comment[COMMENT];

	rsp.DimseStatus = (DIC_US)status;
	if (status == STATUS_Success)
		return DIMSE_sendStoreResponse(a.dul, pc, &rq, &rsp, NULL);
	comment_text(e.text, comment);
	OFCondition c = detail.putAndInsertString(DCM_ErrorComment, comment);
	return c.good() ? DIMSE_sendStoreResponse(a.dul, pc, &rq, &rsp, &detail) : c;
}

static unsigned
refuse(const association &a, const struct scp_instance *i, unsigned status, const struct err *e)
{
	log_event(LOG_WARN, "instance_refused", "peer=%s status=%04x sop=%s text=\"%s\"", a.peer.address, status, i->sop_uid, e->text);
	return status;
}

// What can be said before the data set is read. 0, or the status that refuses it.
static unsigned
may_come(session &s, const association &a, T_ASC_PresentationContextID pc, const T_DIMSE_C_StoreRQ &rq, struct scp_instance *i, struct err *e)
{
	T_ASC_PresentationContext context;

	snprintf(i->sop_class, sizeof i->sop_class, "%s", rq.AffectedSOPClassUID);
	snprintf(i->sop_uid, sizeof i->sop_uid, "%s", rq.AffectedSOPInstanceUID);
	if (ASC_findAcceptedPresentationContext(a.dul->params, pc, &context).bad() || strcmp(context.abstractSyntax, i->sop_class) != 0 || !is_storage(i->sop_class)) {
		err_set(e, ERR_INPUT, "the SOP class is not a storage class, or not that of the presentation context");
		return refuse(a, i, STATUS_CLASS_NOT_SUPPORTED, e);
	}
	snprintf(i->transfer_syntax, sizeof i->transfer_syntax, "%s", context.acceptedTransferSyntax);
	return s.scp->handler->may_store(s.scp->handler->arg, e) == 0 ? 0 : err_dimse_status(e->code);
}

struct arrival { session &s; incoming &file; };

static void
stop_endless(void *arg, unsigned long)
{
	const arrival *a = (const arrival *)arg;

	if (a->file.is_endless())
		a->s.line.cut();
}

static unsigned
hand_on(session &s, const association &a, incoming &file, struct scp_instance *i, struct err *e)
{
	unsigned refusal = 0;

	if (file.finish(e) != 0)
		return refuse(a, i, err_dimse_status(e->code), e);
	i->path = file.path();
	i->refusal = &refusal;
	int rc = s.scp->handler->received(s.scp->handler->arg, a.admission.id, i, e);
	file.taken();
	return rc == 0 ? STATUS_Success : refusal != 0 ? refusal : err_dimse_status(e->code);
}

static OFCondition
store(session &s, const association &a, T_ASC_PresentationContextID pc, const T_DIMSE_C_StoreRQ &rq)
{
	struct err e = {};
	struct scp_instance i = {};
	unsigned status = may_come(s, a, pc, rq, &i, &e);
	incoming file(s.scp->config.max_instance_bytes);
	arrival on_its_way = { s, file };
	T_ASC_PresentationContextID data_pc = 0;

	if (status == 0 && (file.open(s.scp->config.tmp_dir, &e) != 0 || file.write_meta(&i, a.peer.calling_aet, &e) != 0))
		status = refuse(a, &i, err_dimse_status(e.code), &e);
	s.line.fresh();
	OFCondition c = DIMSE_receiveDataSetInFile(a.dul, DIMSE_NONBLOCKING, WIRE_RULES_S, &data_pc, &file, stop_endless, &on_its_way);
	if (c != EC_Normal)
		return c;
	if (data_pc != pc)
		return DIMSE_BADMESSAGE;
	if (status == 0)
		status = hand_on(s, a, file, &i, &e);
	return answer(a, pc, rq, status, e);
}

struct reporter { session &s; const association &a; };

static int
hand_report_on(void *arg, const struct commitment_report *r, struct err *e)
{
	const reporter *p = (const reporter *)arg;

	return p->s.scp->handler->reported(p->s.scp->handler->arg, p->a.admission.id, r, e);
}

static OFCondition
hear_report(session &s, const association &a, T_ASC_PresentationContextID pc, const T_DIMSE_N_EventReportRQ &rq)
{
	T_ASC_PresentationContext context;
	reporter from = { s, a };
	bool is_taken = false;
	struct err e = {};

	if (ASC_findAcceptedPresentationContext(a.dul->params, pc, &context).bad() || !is_commitment(context.abstractSyntax))
		return DIMSE_BADCOMMANDTYPE;
	OFCondition c = commitment_answer(s.line, a.dul, pc, rq, { hand_report_on, &from }, &is_taken, &e);
	if (c.good() && !is_taken)
		log_event(LOG_WARN, "commitment_report_refused", "peer=%s text=\"%s: %s\"", a.peer.address, a.peer.calling_aet, e.text);
	return c;
}

static OFCondition
obey(session &s, const association &a, T_ASC_PresentationContextID pc, T_DIMSE_Message &m)
{
	switch (m.CommandField) {
	case DIMSE_C_ECHO_RQ: return DIMSE_sendEchoResponse(a.dul, pc, &m.msg.CEchoRQ, STATUS_Success, NULL);
	case DIMSE_C_STORE_RQ: return store(s, a, pc, m.msg.CStoreRQ);
	case DIMSE_N_EVENT_REPORT_RQ: return hear_report(s, a, pc, m.msg.NEventReportRQ);
	case DIMSE_C_CANCEL_RQ: return EC_Normal; // nothing of ours can be cancelled (PS3.7 9.3.2.3: no response)
	default: return DIMSE_BADCOMMANDTYPE;
	}
}

// Messages until the association ends. *is_clean: the release came between two messages.
static OFCondition
converse(session &s, const association &a, bool *is_clean)
{
	enum { RELEASE_PDU = 10 };                   // PS3.8 9.3.6: its length; more since the last message means half a command before it
	OFCondition c;

	do {
		T_DIMSE_Message m = {};
		T_ASC_PresentationContextID pc = 0;
		s.line.fresh(MAX_COMMAND);
		c = DIMSE_receiveCommand(a.dul, DIMSE_NONBLOCKING, WIRE_RULES_S, &pc, &m, NULL, NULL);
		*is_clean = c == DUL_PEERREQUESTEDRELEASE && s.line.n_read() == RELEASE_PDU;
		if (c == EC_Normal)
			c = obey(s, a, pc, m);
	} while (c == EC_Normal);
	return c;
}

static const char *
reason(const session &s, const OFCondition &c)
{
	return s.line.is_stopped() ? "we are stopping" : s.line.why()[0] != '\0' ? s.line.why() : s.line.is_overdue() ? "it took longer than it may in all" : s.line.is_timed_out() ? "the peer was silent for too long" : c.text();
}

static void
take_leave(session &s, association &a, const OFCondition &c)
{
	s.line.hurry(GOODBYE_MS);
	if (c == DUL_PEERREQUESTEDRELEASE) {
		ASC_acknowledgeRelease(a.dul);
		ASC_dropSCPAssociation(a.dul, 1);    // the peer closes first
		return;
	}
	log_event(LOG_INFO, "association_broken", "peer=%s text=\"%s: %s\"", a.peer.address, a.peer.calling_aet, reason(s, c));
	if (c != DUL_PEERABORTEDASSOCIATION)
		ASC_abortAssociation(a.dul);
}

static void
reject(session &s, association &a, const T_ASC_RejectParameters *why)
{
	s.line.hurry(GOODBYE_MS);
	if (ASC_rejectAssociation(a.dul, why).good())
		ASC_dropSCPAssociation(a.dul, 1);
}

static int
serve(session &s, int fd)
{
	association a;
	struct err e = {};
	bool is_clean = false;
	OFCondition end;

	read_address(fd, a.peer.address, sizeof a.peer.address);
	s.line.secure(s.tls.get());
	if (s.scp->config.request_timeout_s != 0)
		s.line.end_by(s.scp->config.request_timeout_s * INT64_C(1000));
	end = s.line.accept(fd, s.scp->config.max_pdu, &a.network, &a.dul);
	if (end.bad()) {
		log_event(LOG_INFO, "association_none", "peer=%s text=\"%s\"", a.peer.address, reason(s, end));
		if (s.tls && !s.line.is_stopped() && s.line.why()[0] != '\0' && s.scp->handler->stranger != NULL)
			s.scp->handler->stranger(s.scp->handler->arg, a.peer.address, s.line.why());
		return 0;
	}
	const T_ASC_RejectParameters *why = admit(s, a, &e);
	if (why != NULL) {
		reject(s, a, why);
		return 0;
	}
	s.line.end_by(s.scp->config.association_timeout_s != 0 ? s.scp->config.association_timeout_s * INT64_C(1000) : INT32_MAX * INT64_C(1000));
	int rc = shim_int(&e, [&] {                  // whatever happens, the handler hears of the end
		end = negotiate(a.dul, a.admission);
		if (end.good())
			end = converse(s, a, &is_clean);
		return 0;
	});
	scp_leave_place(s);                          // before anybody hears of it: the peer may come back at once
	s.scp->handler->closed(s.scp->handler->arg, a.admission.id, rc == 0 && is_clean);
	if (rc == 0)
		take_leave(s, a, end);
	return rc;
}

void
session_serve(session &s, int fd)
{
	struct err e = {};

	if (shim_int(&e, [&] { return serve(s, fd); }) != 0)
		log_event(LOG_ERROR, "association_failed", "text=\"%s\"", e.text);
}
