/* See audit_xml.h. Who takes part in which event, and in which role, is PS3.15 A.5.3. No patient is ever named: the participant object "Patient", which A.5.3 has
 * in several messages, is left out. Where A.5 has no event (a job changed by a person) the code is of 99SEGAN. */
#include "service/flow/audit_xml.h"

#include "config/clock.h"
#include "config/json.h"
#include "config/utf8.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- words ---- */

enum cast {                               /* who takes part */
	CAST_APPLICATION,                     /* we, and who started us */
	CAST_TRANSFER,                        /* from the other side to us; from us where there is a destination */
	CAST_PERSON,                          /* who asks */
	CAST_EXPORT,                          /* who takes it out, and where to */
	CAST_IMPORT,                          /* who puts it in, and where from */
	CAST_GUARD                            /* who was noticed, and we who noticed */
};
static const struct event { int code; const char *name; enum cast cast; } events[] = {
	{ AUDIT_APPLICATION, "Application Activity", CAST_APPLICATION }, { AUDIT_LOG_USED, "Audit Log Used", CAST_PERSON },
	{ AUDIT_BEGIN_TRANSFER, "Begin Transferring DICOM Instances", CAST_TRANSFER }, { AUDIT_ACCESSED, "DICOM Instances Accessed", CAST_PERSON },
	{ AUDIT_TRANSFERRED, "DICOM Instances Transferred", CAST_TRANSFER }, { AUDIT_STUDY_DELETED, "DICOM Study Deleted", CAST_APPLICATION },
	{ AUDIT_EXPORT, "Export", CAST_EXPORT }, { AUDIT_IMPORT, "Import", CAST_IMPORT },
	{ AUDIT_QUERY, "Query", CAST_TRANSFER }, { AUDIT_SECURITY_ALERT, "Security Alert", CAST_GUARD }, { AUDIT_USER, "User Authentication", CAST_GUARD },
	{ AUDIT_JOB, "Job changed by a person", CAST_PERSON },
};
static const struct { int code; const char *name; } types[] = {
	{ AUDIT_START, "Application Start" }, { AUDIT_STOP, "Application Stop" }, { AUDIT_LOGIN, "Login" }, { AUDIT_LOGOUT, "Logout" }, { AUDIT_NODE, "Node Authentication" },
	{ AUDIT_SOFTWARE, "Software Configuration" }, { AUDIT_RIGHTS, "User Security Attributes Changed" }, { AUDIT_RESTRICTED, "Use of Restricted Function" }, { AUDIT_RETRY, "Retry" }, { AUDIT_CANCEL, "Cancel" }, { AUDIT_GIVE_UP, "Give up" },
};
enum { OURS = 1000 };                     /* codes below are of 99SEGAN */
static const char study_root_find[] = "1.2.840.10008.5.1.4.1.2.2.1"; /* PS3.4 C.6.2: what A.5.3.10 wants a query to name */
static const char explicit_little[] = "1.2.840.10008.1.2.1";

static const struct event *
event_of(int code)
{
	for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
		if (events[i].code == code)
			return &events[i];
	return NULL;
}

const char *
audit_event_name(int code)
{
	const struct event *found = event_of(code);

	return found != NULL ? found->name : "unknown";
}

const char *
audit_type_name(int type)
{
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (types[i].code == type)
			return types[i].name;
	return NULL;
}

/* ---- XML ---- */

/* In an attribute or an element. What XML 1.0 cannot say (control characters, bytes that are no UTF-8, U+FFFE and U+FFFF) is "?". */
static void
put_text(FILE *out, const char *text)
{
	static const struct { char c; const char *as; } entities[] = { { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '"', "&quot;" }, { '\'', "&apos;" } };

	for (size_t left = strlen(text), n; left > 0; text += n, left -= n) {
		const char *as = NULL;
		n = utf8_length(text, left);
		for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++)
			if (*text == entities[i].c)
				as = entities[i].as;
		if (n == 0 || (unsigned char)*text < ' ' || *text == 0x7f || (n == 3 && memcmp(text, "\xef\xbf", 2) == 0 && (unsigned char)text[2] >= 0xbe))
			as = "?";
		n = n == 0 ? 1 : n;
		if (as != NULL)
			fputs(as, out);
		else
			fwrite(text, 1, n, out);
	}
}

static void
put_attribute(FILE *out, const char *name, const char *value)
{
	fprintf(out, " %s=\"", name);
	put_text(out, value);
	fputc('"', out);
}

/* RFC 4648 4 */
static void
put_base64(FILE *out, const void *bytes, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *from = bytes;

	for (size_t i = 0; i < n; i += 3) {
		unsigned b = from[i] * 65536u + (i + 1 < n ? from[i + 1] * 256u : 0) + (i + 2 < n ? from[i + 2] : 0u);
		fputc(digits[b >> 18], out);
		fputc(digits[b >> 12 & 63], out);
		fputc(i + 1 < n ? digits[b >> 6 & 63] : '=', out);
		fputc(i + 2 < n ? digits[b & 63] : '=', out);
	}
}

static void
put_code(FILE *out, const char *element, const char *code, const char *system, const char *words)
{
	fprintf(out, "<%s", element);
	put_attribute(out, "csd-code", code);
	put_attribute(out, "codeSystemName", system);
	put_attribute(out, "originalText", words);
	fputs("/>", out);
}

static void
put_number_code(FILE *out, const char *element, int code, const char *words)
{
	char text[16];

	snprintf(text, sizeof text, "%d", code);
	put_code(out, element, text, code < OURS ? "99SEGAN" : "DCM", words);
}

/* ---- who ---- */

enum role { ROLE_NONE, ROLE_APPLICATION = 110150, ROLE_LAUNCHER = 110151, ROLE_DESTINATION = 110152, ROLE_SOURCE = 110153 };

static void
put_role(FILE *out, enum role role)
{
	static const char *const names[] = { "Application", "Application Launcher", "Destination Role ID", "Source Role ID" };

	if (role != ROLE_NONE)
		put_number_code(out, "RoleIDCode", (int)role, names[role - ROLE_APPLICATION]);
}

static void
put_titles(FILE *out, const char *aet)
{
	char text[64];

	snprintf(text, sizeof text, "AETITLES=%s", aet);
	put_attribute(out, "AlternativeUserID", text);
}

static void
put_us(FILE *out, const struct audit_source *us, enum role role, bool is_requestor)
{
	fputs("<ActiveParticipant", out);
	put_attribute(out, "UserID", us->id);
	put_titles(out, us->aet);
	put_attribute(out, "UserName", "segand");
	put_attribute(out, "UserIsRequestor", is_requestor ? "true" : "false");
	fputc('>', out);
	put_role(out, role);
	fputs("</ActiveParticipant>", out);
}

static bool
is_ip(const char *address)
{
	unsigned char bytes[16];

	return inet_pton(AF_INET, address, bytes) == 1 || inet_pton(AF_INET6, address, bytes) == 1;
}

/* A person by the name of the token, a peer by its AE title, a destination by its name, whoever else by the address. */
static void
put_other(FILE *out, const struct audit_row *r, enum role role, bool is_requestor)
{
	const char *const names[] = { r->token, r->user, r->aet, r->destination, r->address, "unknown" };
	size_t i = 0;

	while (names[i][0] == '\0')
		i++;
	fputs("<ActiveParticipant", out);
	put_attribute(out, "UserID", names[i]);
	if (r->aet[0] != '\0')
		put_titles(out, r->aet);
	if (r->destination[0] != '\0')
		put_attribute(out, "UserName", r->destination);
	put_attribute(out, "UserIsRequestor", is_requestor ? "true" : "false");
	if (r->address[0] != '\0') {
		put_attribute(out, "NetworkAccessPointID", r->address);
		put_attribute(out, "NetworkAccessPointTypeCode", is_ip(r->address) ? "2" : "1");
	}
	fputc('>', out);
	put_role(out, role);
	if (r->role[0] != '\0')
		put_code(out, "RoleIDCode", r->role, "99SEGAN", r->role);
	fputs("</ActiveParticipant>", out);
}

/* A.5.3.5, A.5.3.6: the file or folder that it goes into, or comes from. */
static void
put_media(FILE *out, const char *name, int role, const char *words)
{
	fputs("<ActiveParticipant", out);
	put_attribute(out, "UserID", name[0] != '\0' ? name : "unknown");
	fputs(" UserIsRequestor=\"false\">", out);
	put_number_code(out, "RoleIDCode", role, words);
	fputs("<MediaIdentifier>", out);
	put_number_code(out, "MediaType", 110037, "URI");
	fputs("</MediaIdentifier></ActiveParticipant>", out);
}

static void
put_participants(FILE *out, const struct audit_row *r, const struct audit_source *us, enum cast cast)
{
	bool is_outward = r->destination[0] != '\0';
	struct audit_row person = *r;

	person.destination[0] = '\0';
	switch (cast) {
	case CAST_APPLICATION:
		put_us(out, us, ROLE_APPLICATION, r->user[0] == '\0');
		if (r->user[0] != '\0')
			put_other(out, r, ROLE_LAUNCHER, true);
		break;
	case CAST_TRANSFER:
		if (!is_outward)
			put_other(out, r, ROLE_SOURCE, true);
		put_us(out, us, is_outward ? ROLE_SOURCE : ROLE_DESTINATION, is_outward);
		if (is_outward)
			put_other(out, r, ROLE_DESTINATION, false);
		break;
	case CAST_PERSON:
		put_other(out, r, ROLE_NONE, true);
		break;
	case CAST_EXPORT:
		put_other(out, &person, ROLE_NONE, true);
		put_media(out, r->destination, 110154, "Destination Media");
		break;
	case CAST_IMPORT:
		put_other(out, &person, ROLE_NONE, true);
		put_media(out, r->destination, 110155, "Source Media");
		break;
	case CAST_GUARD:
		put_other(out, r, ROLE_NONE, true);
		put_us(out, us, ROLE_NONE, false);
		break;
	}
}

/* ---- what ---- */

struct object { const char *id, *role, *code, *system, *words, *name; };

static void
begin_object(FILE *out, const struct object *o)
{
	fputs("<ParticipantObjectIdentification", out);
	put_attribute(out, "ParticipantObjectID", o->id);
	put_attribute(out, "ParticipantObjectTypeCode", "2"); /* a system object, as all that we name */
	if (o->role != NULL)
		put_attribute(out, "ParticipantObjectTypeCodeRole", o->role);
	fputc('>', out);
	put_code(out, "ParticipantObjectIDTypeCode", o->code, o->system, o->words);
	if (o->name != NULL) {
		fputs("<ParticipantObjectName>", out);
		put_text(out, o->name);
		fputs("</ParticipantObjectName>", out);
	}
}

static void
end_object(FILE *out)
{
	fputs("</ParticipantObjectIdentification>", out);
}

static int
put_classes(FILE *out, const char *objects, struct err *e)
{
	struct json_doc *d = json_parse(objects, strlen(objects), 0, e);

	if (d == NULL)
		return err_note(e, "objects of an audit row");
	if (json_size(json_root(d)) > 0)
		fputs("<ParticipantObjectDescription>", out);
	for (const struct json *c = json_first(json_root(d)); c != NULL; c = json_next(c)) {
		const char *uid = json_text(json_get(c, "sop_class"));
		fputs("<SOPClass", out);
		if (uid != NULL && uid[0] != '\0')
			put_attribute(out, "UID", uid);
		fprintf(out, " NumberOfInstances=\"%.0f\"/>", json_number(json_get(c, "instances"), 0));
	}
	if (json_size(json_root(d)) > 0)
		fputs("</ParticipantObjectDescription>", out);
	json_doc_free(d);
	return 0;
}

static int
put_study(FILE *out, const struct audit_row *r, struct err *e)
{
	if (r->study_uid[0] == '\0')
		return 0;
	begin_object(out, &(const struct object){ r->study_uid, "3", "110180", "DCM", "Study Instance UID", "study" });
	if (put_classes(out, r->objects, e) != 0)
		return -1;
	end_object(out);
	return 0;
}

static void
put_job(FILE *out, const struct audit_row *r)
{
	char number[24];

	if (r->job == 0)
		return;
	snprintf(number, sizeof number, "%lld", (long long)r->job);
	begin_object(out, &(const struct object){ number, "20", "job", "99SEGAN", "Job", "job" });
	end_object(out);
}

static void
put_detail(FILE *out, const char *type, const char *value)
{
	fputs("<ParticipantObjectDetail", out);
	put_attribute(out, "type", type);
	fputs(" value=\"", out);
	put_base64(out, value, strlen(value));
	fputs("\"/>", out);
}

/* A.5.3.10 wants the query's data set, and its transfer syntax: (0008,0052) CS "STUDY" and (0020,000D) UI in Explicit VR Little Endian (PS3.5 7.1.2), padded to even
 * lengths. What is asked back is not in it; by QIDO-RS it is the same question. */
static void
put_query(FILE *out, const struct audit_row *r)
{
	static const unsigned char level[] = { 0x08, 0, 0x52, 0, 'C', 'S', 6, 0, 'S', 'T', 'U', 'D', 'Y', ' ' };
	size_t n = strlen(r->study_uid), even = n + n % 2;
	const unsigned char study[] = { 0x20, 0, 0x0d, 0, 'U', 'I', (unsigned char)even, 0 };
	unsigned char query[sizeof level + sizeof study + sizeof r->study_uid + 1] = { 0 };

	memcpy(query, level, sizeof level);
	memcpy(query + sizeof level, study, sizeof study);
	memcpy(query + sizeof level + sizeof study, r->study_uid, n);
	begin_object(out, &(const struct object){ study_root_find, "3", "110181", "DCM", "SOP Class UID", NULL });
	fputs("<ParticipantObjectQuery>", out);
	put_base64(out, query, sizeof level + sizeof study + even);
	fputs("</ParticipantObjectQuery>", out);
	put_detail(out, "TransferSyntax", explicit_little);
	end_object(out);
}

/* A.5.3.11: who is alerted about is this node, and why. */
static void
put_alert(FILE *out, const struct audit_row *r, const struct audit_source *us)
{
	begin_object(out, &(const struct object){ us->id, NULL, "110182", "DCM", "Node ID", "segand" });
	put_detail(out, "Alert Description", r->text);
	end_object(out);
}

static int
put_objects(FILE *out, const struct audit_row *r, const struct audit_source *us, struct err *e)
{
	if (r->event == AUDIT_QUERY)
		put_query(out, r);
	if (r->event == AUDIT_SECURITY_ALERT)
		put_alert(out, r, us);
	if (r->event == AUDIT_LOG_USED) {
		begin_object(out, &(const struct object){ "/api/v1/audit", "13", "12", "RFC-3881", "URI", "Security Audit Log" });
		end_object(out);
	}
	put_job(out, r);
	return put_study(out, r, e);
}

/* ---- the message ---- */

static void
put_event(FILE *out, const struct audit_row *r, const struct event *what)
{
	const char *type = audit_type_name(r->type);
	char time[CLOCK_TEXT];

	clock_text(r->time_ms, time);
	fputs("<EventIdentification", out);
	put_attribute(out, "EventActionCode", r->action);
	put_attribute(out, "EventDateTime", time);
	fprintf(out, " EventOutcomeIndicator=\"%d\">", r->outcome);
	put_number_code(out, "EventID", what->code, what->name);
	if (type != NULL)
		put_number_code(out, "EventTypeCode", r->type, type);
	if (r->text[0] != '\0') {
		fputs("<EventOutcomeDescription>", out);
		put_text(out, r->text);
		fputs("</EventOutcomeDescription>", out);
	}
	fputs("</EventIdentification>", out);
}

static int
put_message(FILE *out, const struct audit_row *r, const struct audit_source *us, struct err *e)
{
	const struct event *what = event_of(r->event);

	if (what == NULL)
		return err_set(e, ERR_BUG, "audit row %lld: no event has the code %d", (long long)r->id, r->event);
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?><AuditMessage>", out);
	put_event(out, r, what);
	put_participants(out, r, us, what->cast);
	fputs("<AuditSourceIdentification", out);
	put_attribute(out, "AuditSourceID", us->id);
	fputs("><AuditSourceTypeCode csd-code=\"4\"/></AuditSourceIdentification>", out); /* 4: application server process */
	if (put_objects(out, r, us, e) != 0)
		return -1;
	fputs("</AuditMessage>", out);
	return 0;
}

char *
audit_xml(const struct audit_row *r, const struct audit_source *us, struct err *e)
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);
	int rc;

	if (out == NULL) {
		err_errno(e, "an audit message");
		return NULL;
	}
	rc = put_message(out, r, us, e);
	if ((ferror(out) | fclose(out)) != 0)
		rc = err_set(e, ERR_LIMIT, "no memory for an audit message");
	if (rc == 0)
		return text;
	free(text);
	return NULL;
}
