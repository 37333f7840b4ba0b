// See commitment.h. DCMTK's own handleEVENTREPORTRequest answers without the Affected UIDs, which archives refuse (LEADS 2), and knows no report that comes
// before the response to the N-ACTION: both are done here. When to ask again is the deliverer's business.
#include "dicom/commitment.hh"
#include "dicom/scu_parts.hh"
#include "dicom/shim.hh"

#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcmetinf.h>
#include <dcmtk/dcmdata/dcsequen.h>
#include <dcmtk/dcmdata/dcuid.h>
#include <dcmtk/dcmnet/cond.h>

#include <cstring>
#include <memory>

enum { MAX_REPORT = 4 << 20, MAX_COMMAND = 1 << 20, MAX_HEARD = 100 /* messages of one association: reports of others' transactions, say */, ACTION_REQUEST = 1, EVENT_ALL_GOOD = 1, EVENT_SOME_FAILED = 2 };

// ---- what a failure means (PS3.3 C.14.1.1)

static const struct {
	unsigned reason;
	enum commitment_fate fate;
	const char *words;
} reasons[] = {
	{ 0x0000, COMMITMENT_GOOD, "committed" },
	{ 0x0110, COMMITMENT_LATER, "processing failure" },
	{ 0x0112, COMMITMENT_LOST, "it does not have the instance" },
	{ 0x0213, COMMITMENT_LATER, "out of resources" },
	{ 0x0122, COMMITMENT_NEVER, "it does not answer for this SOP class" },
	{ 0x0119, COMMITMENT_NEVER, "it has the instance under another SOP class" },
	{ 0x0131, COMMITMENT_LATER, "it knows the transaction UID already" },
};

extern "C" enum commitment_fate
commitment_fate(unsigned reason)
{
	for (const auto &i : reasons)
		if (i.reason == reason)
			return i.fate;
	return COMMITMENT_LATER;
}

extern "C" const char *
commitment_words(unsigned reason)
{
	for (const auto &i : reasons)
		if (i.reason == reason)
			return i.words;
	return "a reason that the standard does not know";
}

// ---- the report

static void
uid_of(DcmItem &item, const DcmTagKey &tag, char to[DICOM_UID])
{
	OFString text;

	(void)item.findAndGetOFString(tag, text);    // absent: ""
	snprintf(to, DICOM_UID, "%s", text.c_str());
}

static bool
add_items(DcmItem &data, const DcmTagKey &tag, bool has_failed, std::vector<commitment_item> &items)
{
	DcmSequenceOfItems *list = NULL;

	if (data.findAndGetSequence(tag, list).bad() || list == NULL)
		return true;
	for (DcmObject *o = list->nextInContainer(NULL); o != NULL; o = list->nextInContainer(o)) {
		DcmItem &item = *(DcmItem *)o;
		commitment_item one = {};
		Uint16 reason = 0;
		uid_of(item, DCM_ReferencedSOPInstanceUID, one.sop_uid);
		if (!dicom_uid_is_valid(one.sop_uid))
			return false;
		if (has_failed) {
			(void)item.findAndGetUint16(DCM_FailureReason, reason); // absent: 0
			one.reason = reason != 0 ? reason : STATUS_N_ProcessingFailure;
		}
		items.push_back(one);
	}
	return true;
}

static unsigned
wrong(struct err *e, unsigned status, const char *why)
{
	err_set(e, ERR_INPUT, "%s", why);
	return status;
}

// The status that answers it.
static unsigned
take(DcmDataset *data, const T_DIMSE_N_EventReportRQ &rq, const commitment_sink &sink, struct err *e)
{
	std::vector<commitment_item> items;
	struct commitment_report r = {};

	if (strcmp(rq.AffectedSOPClassUID, UID_StorageCommitmentPushModelSOPClass) != 0)
		return wrong(e, STATUS_N_NoSuchSOPClass, "its SOP class is not storage commitment");
	if (strcmp(rq.AffectedSOPInstanceUID, UID_StorageCommitmentPushModelSOPInstance) != 0)
		return wrong(e, STATUS_N_NoSuchSOPInstance, "its SOP instance is not that of storage commitment");
	if (rq.EventTypeID != EVENT_ALL_GOOD && rq.EventTypeID != EVENT_SOME_FAILED)
		return wrong(e, STATUS_N_NoSuchEventType, "its event type is not known");
	if (data == NULL)
		return wrong(e, STATUS_N_MissingAttribute, "it has no data set");
	uid_of(*data, DCM_TransactionUID, r.transaction);
	if (!dicom_uid_is_valid(r.transaction))
		return wrong(e, r.transaction[0] == '\0' ? STATUS_N_MissingAttribute : STATUS_N_InvalidArgumentValue, "it has no valid transaction UID");
	if (!add_items(*data, DCM_ReferencedSOPSequence, false, items) || !add_items(*data, DCM_FailedSOPSequence, true, items))
		return wrong(e, STATUS_N_InvalidArgumentValue, "it names an instance by no valid UID");
	r.items = items.data();
	r.n = items.size();
	if (sink.reported(sink.arg, &r, e) == 0)
		return STATUS_N_Success;
	return e->code == ERR_NOT_FOUND || e->code == ERR_INPUT ? STATUS_N_InvalidArgumentValue
		: e->code == ERR_LIMIT || e->code == ERR_IO ? STATUS_N_ResourceLimitation : STATUS_N_ProcessingFailure;
}

static OFCondition
respond(wire &line, T_ASC_Association *dul, T_ASC_PresentationContextID pc, const T_DIMSE_N_EventReportRQ &rq, unsigned status)
{
	T_DIMSE_Message m = {};
	T_DIMSE_N_EventReportRSP &rsp = m.msg.NEventReportRSP;

	m.CommandField = DIMSE_N_EVENT_REPORT_RSP;
	rsp.MessageIDBeingRespondedTo = rq.MessageID;
	rsp.DimseStatus = (DIC_US)status;
	rsp.DataSetType = DIMSE_DATASET_NULL;
	rsp.EventTypeID = rq.EventTypeID;
	snprintf(rsp.AffectedSOPClassUID, sizeof rsp.AffectedSOPClassUID, "%s", rq.AffectedSOPClassUID);
	snprintf(rsp.AffectedSOPInstanceUID, sizeof rsp.AffectedSOPInstanceUID, "%s", rq.AffectedSOPInstanceUID);
	rsp.opts = O_NEVENTREPORT_AFFECTEDSOPCLASSUID | O_NEVENTREPORT_AFFECTEDSOPINSTANCEUID | O_NEVENTREPORT_EVENTTYPEID;
	line.fresh();
	return DIMSE_sendMessageUsingMemoryData(dul, pc, &m, NULL, NULL, NULL, NULL);
}

OFCondition
commitment_answer(wire &line, T_ASC_Association *dul, T_ASC_PresentationContextID pc, const T_DIMSE_N_EventReportRQ &rq, const commitment_sink &sink, bool *is_taken,
	struct err *e)
{
	std::unique_ptr<DcmDataset> data;
	T_ASC_PresentationContextID data_pc = 0;

	*is_taken = false;
	if (rq.DataSetType != DIMSE_DATASET_NULL) {
		DcmDataset *got = NULL;
		line.fresh(MAX_REPORT);
		OFCondition c = DIMSE_receiveDataSetInMemory(dul, DIMSE_NONBLOCKING, WIRE_RULES_S, &data_pc, &got, NULL, NULL);
		data.reset(got);
		if (c.bad())
			return c;
		if (data_pc != pc)
			return DIMSE_BADMESSAGE;
	}
	unsigned status = take(data.get(), rq, sink, e);
	*is_taken = status == STATUS_N_Success;
	return respond(line, dul, pc, rq, status);
}

// ---- the request

static int
read_identity(const char *path, OFString &sop_class, OFString &sop_uid, struct err *e)
{
	DcmMetaInfo meta;
	OFCondition c = meta.loadFile(path);

	(void)meta.findAndGetOFString(DCM_MediaStorageSOPClassUID, sop_class); // absent: not valid
	(void)meta.findAndGetOFString(DCM_MediaStorageSOPInstanceUID, sop_uid);
	if (c.good() && dicom_uid_is_valid(sop_class.c_str()) && dicom_uid_is_valid(sop_uid.c_str()))
		return 0;
	return err_set(e, ERR_IO, "%s: not a DICOM file that names its SOP class and instance%s%s", path, c.good() ? "" : ": ", c.good() ? "" : c.text());
}

static int
add_instance(DcmDataset &request, const char *path, struct err *e)
{
	DcmItem *item = NULL;
	OFString sop_class, sop_uid;

	if (read_identity(path, sop_class, sop_uid, e) != 0)
		return -1;
	OFCondition c = request.findOrCreateSequenceItem(DCM_ReferencedSOPSequence, item, -2); // -2: a new one behind the others
	if (c.good())
		c = item->putAndInsertOFStringArray(DCM_ReferencedSOPClassUID, sop_class);
	if (c.good())
		c = item->putAndInsertOFStringArray(DCM_ReferencedSOPInstanceUID, sop_uid);
	return c.good() ? 0 : shim_failed(e, ERR_BUG, c);
}

struct asking {
	requestor r;
	const commitment_question &q;
	commitment_sink sink;
	T_ASC_PresentationContextID pc = 0;
	DIC_US id = 0;
	bool is_answered = false, is_reported = false;
};

static int
send_action(asking &a, DcmDataset &request, struct err *e)
{
	T_DIMSE_Message m = {};

	m.CommandField = DIMSE_N_ACTION_RQ;
	m.msg.NActionRQ.MessageID = a.id = a.r.dul->nextMsgID++;
	m.msg.NActionRQ.ActionTypeID = ACTION_REQUEST;
	m.msg.NActionRQ.DataSetType = DIMSE_DATASET_PRESENT;
	snprintf(m.msg.NActionRQ.RequestedSOPClassUID, sizeof m.msg.NActionRQ.RequestedSOPClassUID, "%s", UID_StorageCommitmentPushModelSOPClass);
	snprintf(m.msg.NActionRQ.RequestedSOPInstanceUID, sizeof m.msg.NActionRQ.RequestedSOPInstanceUID, "%s", UID_StorageCommitmentPushModelSOPInstance);
	a.r.line.fresh();
	OFCondition c = DIMSE_sendMessageUsingMemoryData(a.r.dul, a.pc, &m, NULL, &request, NULL, NULL);
	return c.good() ? 0 : err_set(e, ERR_PEER, "asking for storage commitment: %s", scu_reason(a.r, c));
}

static int
judge(unsigned status, struct err *e)
{
	static const unsigned for_good[] = { STATUS_N_SOPClassNotSupported, STATUS_N_NoSuchSOPClass, STATUS_N_NoSuchSOPInstance, STATUS_N_NoSuchAction, STATUS_N_UnrecognizedOperation,
		STATUS_N_Refused_NotAuthorized };

	if (status == STATUS_N_Success || status == STATUS_N_AttributeListError || (status & 0xF000) == 0xB000)
		return 0;
	for (unsigned i : for_good)
		if (status == i)
			return err_set(e, ERR_INPUT, "it refuses storage commitment with 0x%04x", status);
	return err_set(e, ERR_PEER, "it answered the request for storage commitment with 0x%04x", status);
}

// One message of the archive's: the response to our request, or its report, which may come first. -1: no use in going on.
static int
hear(asking &a, T_ASC_PresentationContextID pc, T_DIMSE_Message &m, struct err *e)
{
	if (m.CommandField == DIMSE_N_ACTION_RSP && m.msg.NActionRSP.MessageIDBeingRespondedTo == a.id && !a.is_answered) {
		if (m.msg.NActionRSP.DataSetType != DIMSE_DATASET_NULL) {
			DcmDataset *reply = NULL;
			a.r.line.fresh(MAX_REPORT);
			OFCondition c = DIMSE_receiveDataSetInMemory(a.r.dul, DIMSE_NONBLOCKING, WIRE_RULES_S, &pc, &reply, NULL, NULL);
			delete reply;
			if (c.bad())
				return err_set(e, ERR_PEER, "its response broke off: %s", scu_reason(a.r, c));
		}
		a.is_answered = true;
		return judge(m.msg.NActionRSP.DimseStatus, e);
	}
	if (m.CommandField == DIMSE_N_EVENT_REPORT_RQ && pc == a.pc) {
		bool is_taken = false;
		struct err why = {};
		OFCondition c = commitment_answer(a.r.line, a.r.dul, pc, m.msg.NEventReportRQ, a.sink, &is_taken, &why);
		a.is_reported = a.is_reported || is_taken;
		return c.good() ? 0 : err_set(e, ERR_PEER, "its report broke off: %s", scu_reason(a.r, c));
	}
	return err_set(e, ERR_PEER, "it answered the request for storage commitment with another command");
}

// Until it is answered, and then for wait_s at most for the report.
static int
listen_to(asking &a, struct err *e)
{
	for (int n = 0; n < MAX_HEARD && (!a.is_answered || !a.is_reported); n++) {
		T_DIMSE_Message m = {};
		T_ASC_PresentationContextID pc = 0;
		a.r.line.fresh(MAX_COMMAND);
		if (a.is_answered)
			a.r.line.hurry(a.q.wait_s * INT64_C(1000));
		OFCondition c = DIMSE_receiveCommand(a.r.dul, DIMSE_NONBLOCKING, WIRE_RULES_S, &pc, &m, NULL, NULL);
		if (c != EC_Normal && a.is_answered)
			return 0;                    // the report comes over an association of the archive's
		if (c != EC_Normal)
			return err_set(e, ERR_PEER, "waiting for its answer to the request for storage commitment: %s", scu_reason(a.r, c));
		if (hear(a, pc, m, e) != 0)
			return -1;
	}
	return a.is_answered ? 0 : err_set(e, ERR_PEER, "it sends reports, but no answer to the request for storage commitment");
}

static int
ask(asking &a, struct err *e)
{
	DcmDataset request;
	OFCondition c = request.putAndInsertString(DCM_TransactionUID, a.q.transaction);

	if (c.bad())
		return shim_failed(e, ERR_BUG, c);
	for (size_t i = 0; i < a.q.n; i++)
		if (add_instance(request, a.q.paths[i], e) != 0)
			return -1;
	if (scu_open(a.r, { { UID_StorageCommitmentPushModelSOPClass, UID_LittleEndianExplicitTransferSyntax, false },
			{ UID_StorageCommitmentPushModelSOPClass, UID_LittleEndianImplicitTransferSyntax, false } }, e) != 0)
		return -1;
	a.pc = ASC_findAcceptedPresentationContextID(a.r.dul, UID_StorageCommitmentPushModelSOPClass);
	if (a.pc == 0) {
		a.r.release();
		return err_set(e, ERR_INPUT, "it offers no storage commitment");
	}
	int rc = send_action(a, request, e) == 0 ? listen_to(a, e) : -1;
	if (rc == 0)
		a.r.release();
	else
		a.r.abort();
	return rc;
}

extern "C" int
commitment_ask(const struct commitment_question *q, commitment_reported_fn reported, void *arg, bool *is_reported, struct err *e)
{
	*is_reported = false;
	int rc = shim_int(e, [&] {
		asking a = { requestor(*q->peer), *q, { reported, arg } };
		int done = ask(a, e);
		*is_reported = a.is_reported;
		return done;
	});

	return rc == 0 ? 0 : err_note(e, "%s at %s:%u", q->peer->called_aet, q->peer->host, q->peer->port);
}

extern "C" int
commitment_sop_uid(const char *path, char uid[DICOM_UID], struct err *e)
{
	return shim_int(e, [&] {
		OFString sop_class, sop_uid;
		if (read_identity(path, sop_class, sop_uid, e) != 0)
			return -1;
		snprintf(uid, DICOM_UID, "%s", sop_uid.c_str());
		return 0;
	});
}
