// See revise.h. A table says which attributes follow the archive, and what of the object's own goes with the old value: an issuer qualifies the ID that it came with.
#include "dicom/revise.h"
#include "config/utf8.h"
#include "dicom/object.hh"
#include "dicom/put.hh"
#include "dicom/shim.hh"
#include "dicom/text.hh"

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

const char *const revise_keywords[REVISE_N] = {
	"PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber",
};
static const struct { DcmTagKey tag; DcmEVR vr; } rows[REVISE_N] = {
	{ DCM_PatientName, EVR_PN }, { DCM_PatientID, EVR_LO }, { DCM_IssuerOfPatientID, EVR_LO }, { DCM_PatientBirthDate, EVR_DA }, { DCM_PatientSex, EVR_CS },
	{ DCM_StudyDate, EVR_DA }, { DCM_StudyTime, EVR_TM }, { DCM_StudyID, EVR_SH }, { DCM_AccessionNumber, EVR_SH },
};
static const struct { DcmTagKey of, tag; } goes_with[] = {
	{ DCM_PatientID, DCM_IssuerOfPatientID }, { DCM_PatientID, DCM_IssuerOfPatientIDQualifiersSequence }, { DCM_PatientID, DCM_TypeOfPatientID },
	{ DCM_PatientID, DCM_OtherPatientIDsSequence }, { DCM_PatientBirthDate, DCM_PatientBirthTime }, { DCM_AccessionNumber, DCM_IssuerOfAccessionNumberSequence },
};

// ---- does it fit

static bool
is_date(const std::string &text)
{
	if (text.size() != 8 || text.find_first_not_of("0123456789") != std::string::npos)
		return false;
	int month = std::stoi(text.substr(4, 2)), day = std::stoi(text.substr(6, 2));
	return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

// HH[MM[SS[.F{1,6}]]]
static bool
is_time(const std::string &text)
{
	size_t dot = text.find('.'), digits = dot == std::string::npos ? text.size() : dot;

	if (text.find_first_not_of("0123456789") != dot || (digits != 2 && digits != 4 && digits != 6))
		return false;
	if (dot != std::string::npos && (digits != 6 || text.size() < 8 || text.size() > 13 || text.find_first_not_of("0123456789", dot + 1) != std::string::npos))
		return false;
	return text.substr(0, 2) <= "23" && (digits < 4 || text.substr(2, 2) <= "59") && (digits < 6 || text.substr(4, 2) <= "60");
}

static bool
is_code(const std::string &text)
{
	for (char c : text)
		if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != ' ' && c != '_')
			return false;
	return true;
}

// At most three groups of five components (PS3.5 6.2.1).
static bool
is_name(const std::string &text)
{
	size_t groups = 1, components = 1;

	for (char c : text) {
		groups += c == '=';
		components = c == '=' ? 1 : components + (c == '^');
		if (groups > 3 || components > 5)
			return false;
	}
	return true;
}

// Well-formed, no control character, one value, not too long (of a name: a group). A '?' may stand for what could not be converted (text.hh).
static bool
is_text(const std::string &text, DcmEVR vr)
{
	bool has_one_value;
	size_t most = put_longest(vr, &has_one_value), n = 0;

	for (size_t i = 0; i < text.size(); ) {
		size_t bytes = utf8_length(text.c_str() + i, text.size() - i);
		unsigned char c = (unsigned char)text[i];

		n = vr == EVR_PN && c == '=' ? 0 : n + 1;
		if (bytes == 0 || c < 0x20 || c == 0x7f || c == '\\' || c == '?' || n > most)
			return false;
		if (bytes == 2 && c == 0xc2 && (unsigned char)text[i + 1] < 0xa0)    // C1 controls
			return false;
		i += bytes;
	}
	return true;
}

static bool
is_fit(const std::string &text, DcmEVR vr)
{
	return is_text(text, vr) && (vr != EVR_DA || is_date(text)) && (vr != EVR_TM || is_time(text)) && (vr != EVR_CS || is_code(text)) && (vr != EVR_PN || is_name(text));
}

// ---- is it another

// Without what means nothing: components and groups that are not there, a fraction of 0.
static std::string
plain(std::string text, DcmEVR vr)
{
	size_t kept = text.find_last_not_of(vr == EVR_PN ? "^= " : " ");

	text.erase(kept == std::string::npos ? 0 : kept + 1);
	text.erase(0, text.find_first_not_of(' ') == std::string::npos ? 0 : text.find_first_not_of(' '));
	if (vr == EVR_PN)
		for (size_t i; (i = text.find("^=")) != std::string::npos; )
			text.erase(i, 1);
	if (vr == EVR_TM && text.find('.') != std::string::npos) {
		text.erase(text.find_last_not_of('0') + 1);
		if (text.back() == '.')
			text.pop_back();
	}
	return text;
}

static std::string
text_in(DcmItem &ds, text_reader &reader, const DcmTagKey &tag)
{
	DcmElement *element = NULL;
	OFString text;

	if (ds.findAndGetElement(tag, element).good() && element != NULL)
		reader.read(*element, text);
	return text.c_str();
}

static bool
is_ascii(const std::string &text)
{
	for (char c : text)
		if ((unsigned char)c >= 0x80)
			return false;
	return true;
}

// ---- the object

// The character set must hold what goes in: UTF-8 holds all.
static int
make_room(DcmDataset &ds, const struct revise_values *v, const std::vector<int> &which, struct err *e)
{
	bool is_plain = true;

	for (int i : which)
		is_plain = is_plain && is_ascii(v->text[i]);
	if (is_plain || put_is_utf8(ds))
		return 0;
	OFCondition c = ds.convertToUTF8();
	if (c.bad())
		return err_set(e, ERR_INPUT, "the object's own texts cannot be written in UTF-8, which a value of the archive needs");
	return 0;
}

static void
put_values(DcmDataset &ds, const struct revise_values *v, const std::vector<int> &which)
{
	for (int i : which)
		for (const auto &g : goes_with)
			if (g.of == rows[i].tag)
				(void)ds.findAndDeleteElement(g.tag);   // absent: nothing to delete
	for (int i : which)
		put_raw(ds, rows[i].tag, rows[i].vr, v->text[i]);
}

static int
load(const char *path, DcmFileFormat &file, struct err *e)
{
	OFCondition c = file.loadFile(path, EXS_Unknown, EGL_noChange, DCM_MaxReadLength, ERM_fileOnly);

	return c.good() ? 0 : shim_failed(e, ERR_INPUT, c);
}

static int
compare(DcmDataset &ds, const struct revise_values *v, std::vector<int> &which, struct err *e)
{
	text_reader reader;
	bool is_other = false;                   // patient: the issuer that was told is put in anew with the ID, even the same one

	reader.select(ds);
	for (int i = 0; i < REVISE_N; i++) {
		bool is_same = plain(v->text[i], rows[i].vr) == plain(text_in(ds, reader, rows[i].tag), rows[i].vr);

		if (v->text[i][0] == '\0' || (is_same && !(is_other && rows[i].tag == DCM_IssuerOfPatientID)))
			continue;
		is_other = is_other || rows[i].tag == DCM_PatientID;
		if (!is_fit(v->text[i], rows[i].vr))
			return err_set(e, ERR_INPUT, "%s as the archive tells it does not fit its VR, or could not be read", revise_keywords[i]);
		which.push_back(i);
	}
	return 0;
}

static int
revise(const char *from, const char *to, const struct revise_values *v, char changed[REVISE_NAMES], struct err *e)
{
	DcmFileFormat file;
	std::vector<int> which;
	size_t n = 0;

	changed[0] = '\0';
	if (load(from, file, e) != 0 || compare(*file.getDataset(), v, which, e) != 0)
		return -1;
	if (which.empty())
		return 0;
	if (make_room(*file.getDataset(), v, which, e) != 0)
		return -1;
	put_values(*file.getDataset(), v, which);
	for (int i : which)
		n += (size_t)snprintf(changed + n, REVISE_NAMES - n, "%s%s", n > 0 ? ", " : "", revise_keywords[i]); // all of them fit
	return object_write(*file.getDataset(), to, e);
}

extern "C" int
revise_object(const char *from, const char *to, const struct revise_values *v, char changed[REVISE_NAMES], struct err *e)
{
	return shim_int(e, [&] { return revise(from, to, v, changed, e); });
}

static bool
copy_uid(DcmItem &ds, const DcmTagKey &tag, char uid[DICOM_UID])
{
	OFString text;

	if (ds.findAndGetOFString(tag, text).bad() || !dicom_uid_is_valid(text.c_str()))
		return false;
	snprintf(uid, DICOM_UID, "%s", text.c_str());
	return true;
}

extern "C" int
revise_read_ids(const char *path, struct revise_ids *out, struct err *e)
{
	return shim_int(e, [&] {
		DcmFileFormat file;
		if (load(path, file, e) != 0)
			return -1;
		DcmItem &ds = *file.getDataset();
		return copy_uid(ds, DCM_SOPInstanceUID, out->sop_uid) && copy_uid(ds, DCM_SeriesInstanceUID, out->series_uid) && copy_uid(ds, DCM_StudyInstanceUID, out->study_uid)
			&& copy_uid(ds, DCM_SOPClassUID, out->sop_class)
			? 0 : err_set(e, ERR_INPUT, "not an object with UIDs of its own");
	});
}
