// C-FIND and C-GET as a requestor (PS3.4 C.4.1, C.4.3; PS3.7 9.1.2, 9.1.3), study root. C-GET: instances come back over the association that asked for them,
// no port of ours is needed. Compressed transfer syntaxes are not offered: the archive decodes, or says that it cannot send. Does not look into what it gets.
#include "dicom/scp_receive.hh"
#include "dicom/scu_parts.hh"
#include "dicom/shim.hh"
#include "dicom/text.hh"

#include <dcmtk/dcmdata/dcdatset.h>
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcuid.h>
#include <dcmtk/dcmnet/cond.h>
#include <dcmtk/dcmnet/dimse.h>

#include <cstdio>
#include <malloc.h>

enum { MAX_MATCHES = 100000, MAX_MATCH = 4 << 20 /* bytes of one as it comes */, MAX_KEPT = 32 << 20 /* of all values */, MAX_IDLE = 1 << 20, MAX_INSTANCES = 100000, MAX_ANSWERS = 2 * MAX_INSTANCES /* an instance and a response each */, STATUS_PENDING = 0xFF00, STATUS_PENDING_WARNING = 0xFF01 };

// What of an archive can become a case: images that a rule may take, and segmentations.
static const char *const wanted_classes[] = {
	UID_MRImageStorage, UID_EnhancedMRImageStorage, UID_CTImageStorage, UID_EnhancedCTImageStorage, UID_SegmentationStorage,
};
static const char *const plain_syntaxes[] = { UID_LittleEndianExplicitTransferSyntax, UID_LittleEndianImplicitTransferSyntax };

static bool
is_pending(unsigned status)
{
	return status == STATUS_PENDING || status == STATUS_PENDING_WARNING;
}

static int
not_served(const char *what, struct err *e)
{
	return err_set(e, ERR_INPUT, "it offers no %s at the study root", what);
}

static int
answered(const char *what, unsigned status, struct err *e)
{
	return err_set(e, (status & 0xFF00) == 0xA700 ? ERR_PEER : ERR_INPUT, "it answered the %s with 0x%04x%s", what, status,
		(status & 0xFF00) == 0xA900 || (status & 0xF000) == 0xC000 ? ": it does not take these keys or UIDs" : "");
}

// ---- C-FIND

struct finding {
	requestor &r;
	const std::vector<DcmTagKey> &tags;
	std::vector<std::vector<std::string>> rows;
	size_t n_kept = 0;                   // bytes of the values
	bool is_too_much = false;
};

static void
take_match(void *arg, T_DIMSE_C_FindRQ *, int, T_DIMSE_C_FindRSP *, DcmDataset *match)
{
	finding *f = (finding *)arg;
	std::vector<std::string> row;
	text_reader reader;

	f->r.line.fresh(MAX_MATCH);
	reader.select(*match);
	for (const DcmTagKey &tag : f->tags) {
		DcmElement *element = NULL;
		OFString text;
		if (match->findAndGetElement(tag, element).good() && element != NULL) // absent: ""
			reader.read(*element, text);
		row.push_back(text.c_str());
		f->n_kept += text.length();
	}
	if (f->rows.size() < MAX_MATCHES && f->n_kept <= MAX_KEPT) {
		f->rows.push_back(row);
	} else {
		f->is_too_much = true;
		f->r.line.cut();                 // DCMTK reads on until the last one, which may never come
	}
}

static int
fill_query(DcmDataset &query, std::vector<DcmTagKey> &tags, const char *level, const struct scu_key *keys, size_t n, struct err *e)
{
	OFCondition c = query.putAndInsertString(DCM_QueryRetrieveLevel, level);

	if (c.good())
		c = query.putAndInsertString(DCM_SpecificCharacterSet, "ISO_IR 192");
	for (size_t i = 0; i < n && c.good(); i++) {
		DcmTagKey tag;
		if (!shim_tag(keys[i].keyword, &tag))
			return err_set(e, ERR_INPUT, "\"%.64s\" is no DICOM keyword", keys[i].keyword);
		tags.push_back(tag);
		c = query.putAndInsertString(DcmTag(tag), keys[i].value);
		if (c.bad())
			return err_set(e, ERR_INPUT, "%.64s cannot be asked for: %s", keys[i].keyword, c.text());
	}
	return c.good() ? 0 : shim_failed(e, ERR_BUG, c);
}

static int
find(requestor &r, DcmDataset &query, finding &f, struct err *e)
{
	T_DIMSE_C_FindRQ rq = {};
	T_DIMSE_C_FindRSP rsp = {};
	DcmDataset *detail = NULL;
	int n = 0;

	if (scu_open(r, { { UID_FINDStudyRootQueryRetrieveInformationModel, plain_syntaxes[0], false },
			{ UID_FINDStudyRootQueryRetrieveInformationModel, plain_syntaxes[1], false } }, e) != 0)
		return -1;
	T_ASC_PresentationContextID pc = ASC_findAcceptedPresentationContextID(r.dul, UID_FINDStudyRootQueryRetrieveInformationModel);
	if (pc == 0) {
		r.release();
		return not_served("C-FIND", e);
	}
	rq.MessageID = r.dul->nextMsgID++;
	rq.DataSetType = DIMSE_DATASET_PRESENT;
	rq.Priority = DIMSE_PRIORITY_MEDIUM;
	snprintf(rq.AffectedSOPClassUID, sizeof rq.AffectedSOPClassUID, "%s", UID_FINDStudyRootQueryRetrieveInformationModel);
	r.line.fresh(MAX_MATCH);
	r.line.end_by(r.peer.timeout_s * INT64_C(1000) * SCU_PATIENCES);
	OFCondition c = DIMSE_findUser(r.dul, pc, &rq, &query, n, take_match, &f, DIMSE_NONBLOCKING, WIRE_RULES_S, &rsp, &detail);
	delete detail;
	if (c.bad() || f.is_too_much) {
		if (f.is_too_much)
			err_set(e, ERR_LIMIT, "more than %d matches, or %d bytes of them: narrow the query", MAX_MATCHES, MAX_KEPT);
		else
			err_set(e, ERR_PEER, "the C-FIND: %s", scu_reason(r, c));
		r.abort();
		return -1;
	}
	r.release();
	return rsp.DimseStatus == STATUS_Success ? 0 : answered("C-FIND", rsp.DimseStatus, e);
}

static int
hand_over(const std::vector<std::vector<std::string>> &rows, scu_found_fn found, void *arg, struct err *e)
{
	for (const auto &row : rows) {
		std::vector<const char *> values;
		for (const std::string &text : row)
			values.push_back(text.c_str());
		int rc = found(arg, values.data(), e);
		if (rc != 0)
			return rc;
	}
	return 0;
}

extern "C" int
scu_find(const struct scu_peer *p, const char *level, const struct scu_key *keys, size_t n, scu_found_fn found, void *arg, struct err *e)
{
	bool is_ours = false;
	size_t n_kept = 0;
	int rc = shim_int(e, [&] {
		std::vector<DcmTagKey> tags;
		DcmDataset query;
		if (fill_query(query, tags, level, keys, n, e) != 0)
			return -1;
		std::vector<std::vector<std::string>> rows;
		{
			requestor r(*p);
			finding f = { r, tags, {} };
			int found_all = find(r, query, f, e);
			n_kept = f.n_kept;
			if (found_all != 0)
				return -1;
			rows.swap(f.rows);
		}
		is_ours = true;                      // an error from here on is not the peer's
		return hand_over(rows, found, arg, e);
	});

	if (n_kept > MAX_IDLE)
		malloc_trim(0);                      // else this thread's arena keeps it
	return rc == 0 || is_ours ? rc : err_note(e, "%s at %s:%u", p->called_aet, p->host, p->port);
}

// ---- C-GET

struct getting {
	requestor &r;
	const struct scu_wanted &w;
	size_t n_got, n_missing;
};

struct arrival { requestor &r; incoming &file; };

static void
stop_endless(void *arg, unsigned long)
{
	const arrival *a = (const arrival *)arg;

	if (a->file.is_endless())
		a->r.line.cut();
}

// The file to its name. A number: names from outside name no file.
static int
keep(getting &g, incoming &file, struct err *e)
{
	char name[1300];

	if (file.finish(e) != 0)
		return -1;
	if (g.n_got >= MAX_INSTANCES)
		return err_set(e, ERR_LIMIT, "more than %d instances", MAX_INSTANCES);
	snprintf(name, sizeof name, "%.1200s/%06zu.dcm", g.w.dir, g.n_got + 1);
	if (rename(file.path(), name) != 0)
		return err_errno(e, "renaming %s to %s", file.path(), name);
	file.taken();
	g.n_got++;
	return 0;
}

// One C-STORE that the archive does. -1: the getting is over.
static int
take_instance(getting &g, T_ASC_PresentationContextID pc, const T_DIMSE_C_StoreRQ &rq, struct err *e)
{
	struct scp_instance i = {};
	incoming file(g.w.max_instance_bytes);
	arrival on_its_way = { g.r, file };
	T_ASC_PresentationContext context;
	T_ASC_PresentationContextID data_pc = 0;
	T_DIMSE_C_StoreRSP rsp = {};

	if (ASC_findAcceptedPresentationContext(g.r.dul->params, pc, &context).bad() || strcmp(context.abstractSyntax, rq.AffectedSOPClassUID) != 0)
		return err_set(e, ERR_PEER, "it sent an instance of another SOP class than its presentation context's");
	snprintf(i.sop_class, sizeof i.sop_class, "%s", rq.AffectedSOPClassUID);
	snprintf(i.sop_uid, sizeof i.sop_uid, "%s", rq.AffectedSOPInstanceUID);
	snprintf(i.transfer_syntax, sizeof i.transfer_syntax, "%s", context.acceptedTransferSyntax);
	if (file.open(g.w.dir, e) != 0 || file.write_meta(&i, g.r.peer.calling_aet, e) != 0)
		return -1;
	g.r.line.fresh();                    // the file says when it is too large
	OFCondition c = DIMSE_receiveDataSetInFile(g.r.dul, DIMSE_NONBLOCKING, WIRE_RULES_S, &data_pc, &file, stop_endless, &on_its_way);
	if (c != EC_Normal || data_pc != pc)
		return err_set(e, ERR_PEER, "an instance broke off: %s", c.bad() ? scu_reason(g.r, c) : "its data set came on another presentation context");
	if (keep(g, file, e) != 0)
		return -1;
	g.r.line.fresh();
	c = DIMSE_sendStoreResponse(g.r.dul, pc, &rq, &rsp, NULL);
	return c.good() ? 0 : err_set(e, ERR_PEER, "answering for an instance: %s", scu_reason(g.r, c));
}

// Reads what comes with a response (the list of what failed) and drops it. True: more is to come.
static int
take_response(getting &g, const T_DIMSE_C_GetRSP &rsp, bool *is_pending_still, struct err *e)
{
	*is_pending_still = is_pending(rsp.DimseStatus);
	if (rsp.DataSetType != DIMSE_DATASET_NULL) {
		T_ASC_PresentationContextID pc = 0;
		DcmDataset *list = NULL;
		g.r.line.fresh(MAX_MATCH);
		OFCondition c = DIMSE_receiveDataSetInMemory(g.r.dul, DIMSE_NONBLOCKING, WIRE_RULES_S, &pc, &list, NULL, NULL);
		delete list;
		if (c.bad())
			return err_set(e, ERR_PEER, "the answer to the C-GET broke off: %s", scu_reason(g.r, c));
	}
	if (*is_pending_still)
		return 0;
	if (rsp.opts & O_GET_NUMBEROFFAILEDSUBOPERATIONS)
		g.n_missing += rsp.NumberOfFailedSubOperations;
	// Some or all failed: they are counted, and the caller says which series are not whole.
	if (rsp.DimseStatus == STATUS_Success || (rsp.DimseStatus & 0xF000) == 0xB000 || ((rsp.DimseStatus == 0xA702 || rsp.DimseStatus == 0xA701) && g.n_missing > 0))
		return 0;
	return answered("C-GET", rsp.DimseStatus, e);
}

static int
ask(getting &g, T_ASC_PresentationContextID pc, const char *series_uid, DIC_US *id, struct err *e)
{
	T_DIMSE_Message m = {};
	DcmDataset query;

	OFCondition c = query.putAndInsertString(DCM_QueryRetrieveLevel, "SERIES");
	if (c.good())
		c = query.putAndInsertString(DCM_StudyInstanceUID, g.w.study_uid);
	if (c.good())
		c = query.putAndInsertString(DCM_SeriesInstanceUID, series_uid);
	if (c.bad())
		return shim_failed(e, ERR_BUG, c);
	*id = g.r.dul->nextMsgID++;
	m.CommandField = DIMSE_C_GET_RQ;
	m.msg.CGetRQ.MessageID = *id;
	m.msg.CGetRQ.DataSetType = DIMSE_DATASET_PRESENT;
	m.msg.CGetRQ.Priority = DIMSE_PRIORITY_MEDIUM;
	snprintf(m.msg.CGetRQ.AffectedSOPClassUID, sizeof m.msg.CGetRQ.AffectedSOPClassUID, "%s", UID_GETStudyRootQueryRetrieveInformationModel);
	g.r.line.fresh();
	c = DIMSE_sendMessageUsingMemoryData(g.r.dul, pc, &m, NULL, &query, NULL, NULL);
	return c.good() ? 0 : err_set(e, ERR_PEER, "asking for a series: %s", scu_reason(g.r, c));
}

static int
get_series(getting &g, T_ASC_PresentationContextID get_pc, const char *series_uid, struct err *e)
{
	bool is_pending_still = true;
	size_t n_answers = 0;
	DIC_US id = 0;

	if (ask(g, get_pc, series_uid, &id, e) != 0)
		return -1;
	while (is_pending_still) {
		T_DIMSE_Message m = {};
		T_ASC_PresentationContextID pc = 0;
		g.r.line.fresh(SCU_MOST_ANSWER);
		OFCondition c = DIMSE_receiveCommand(g.r.dul, DIMSE_NONBLOCKING, WIRE_RULES_S, &pc, &m, NULL, NULL);
		if (c != EC_Normal)
			return err_set(e, ERR_PEER, "waiting for a series: %s", scu_reason(g.r, c));
		if (n_answers++ > MAX_ANSWERS)
			return err_set(e, ERR_PEER, "it answers the C-GET for ever");
		if (m.CommandField == DIMSE_C_STORE_RQ) {
			if (take_instance(g, pc, m.msg.CStoreRQ, e) != 0)
				return -1;
		} else if (m.CommandField != DIMSE_C_GET_RSP || m.msg.CGetRSP.MessageIDBeingRespondedTo != id) {
			return err_set(e, ERR_PEER, "it answered the C-GET with another command");
		} else if (take_response(g, m.msg.CGetRSP, &is_pending_still, e) != 0) {
			return -1;
		}
	}
	return 0;
}

static int
get(getting &g, struct err *e)
{
	std::vector<scu_context> contexts;

	for (const char *syntax : plain_syntaxes) {
		contexts.push_back({ UID_GETStudyRootQueryRetrieveInformationModel, syntax, false });
		for (const char *sop_class : wanted_classes)
			contexts.push_back({ sop_class, syntax, true });
	}
	if (scu_open(g.r, contexts, e) != 0)
		return -1;
	T_ASC_PresentationContextID pc = ASC_findAcceptedPresentationContextID(g.r.dul, UID_GETStudyRootQueryRetrieveInformationModel);
	if (pc == 0) {
		g.r.release();
		return not_served("C-GET", e);
	}
	for (size_t i = 0; i < g.w.n_series; i++)
		if (get_series(g, pc, g.w.series_uids[i], e) != 0) {
			g.r.abort();
			return -1;
		}
	g.r.release();
	return 0;
}

extern "C" int
scu_get(const struct scu_peer *p, const struct scu_wanted *w, size_t *n_got, size_t *n_missing, struct err *e)
{
	*n_got = *n_missing = 0;
	int rc = shim_int(e, [&] {
		requestor r(*p);
		getting g = { r, *w, 0, 0 };
		int done = get(g, e);
		*n_got = g.n_got;
		*n_missing = g.n_missing;
		return done;
	});

	return rc == 0 ? 0 : err_note(e, "%s at %s:%u", p->called_aet, p->host, p->port);
}
