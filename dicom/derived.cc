// What a result takes from its source: see derived.hh. Lists of attributes are tables; the text of the source is untrusted, its bytes are not interpreted.
#include "dicom/derived.hh"
#include "dicom/put.hh"
#include "config/digest.h"
#include "config/utf8.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <time.h>

enum keep {
	KEEP_ALWAYS,      // type 1 or 2: there even when the source lacks it, then empty
	KEEP_PRESENT,     // identifies too, but only where the source has it
	KEEP_VALID        // describes: where present and valid
};
struct inherited { DcmTagKey tag; DcmEVR vr; const char *vm; enum keep keep; };

static const inherited patient_study[] = { // PS3.3 C.7.1.1, C.7.2.1, C.7.2.2, C.12.1; no free text about the patient
	{ DCM_SpecificCharacterSet, EVR_CS, "1-n", KEEP_PRESENT },
	{ DCM_PatientName, EVR_PN, "1", KEEP_ALWAYS },
	{ DCM_PatientID, EVR_LO, "1", KEEP_ALWAYS },
	{ DCM_IssuerOfPatientID, EVR_LO, "1", KEEP_PRESENT },
	{ DCM_IssuerOfPatientIDQualifiersSequence, EVR_SQ, "1", KEEP_VALID },
	{ DCM_TypeOfPatientID, EVR_CS, "1", KEEP_VALID },
	{ DCM_OtherPatientIDsSequence, EVR_SQ, "1-n", KEEP_VALID },
	{ DCM_PatientBirthDate, EVR_DA, "1", KEEP_ALWAYS },
	{ DCM_PatientBirthTime, EVR_TM, "1", KEEP_VALID },
	{ DCM_PatientSex, EVR_CS, "1", KEEP_ALWAYS },
	{ DCM_PatientAge, EVR_AS, "1", KEEP_VALID },
	{ DCM_PatientSize, EVR_DS, "1", KEEP_VALID },
	{ DCM_PatientWeight, EVR_DS, "1", KEEP_VALID },
	{ DCM_DeidentificationMethod, EVR_LO, "1-n", KEEP_VALID },
	{ DCM_DeidentificationMethodCodeSequence, EVR_SQ, "1-n", KEEP_VALID },
	{ DCM_StudyInstanceUID, EVR_UI, "1", KEEP_ALWAYS },
	{ DCM_StudyDate, EVR_DA, "1", KEEP_ALWAYS },
	{ DCM_StudyTime, EVR_TM, "1", KEEP_ALWAYS },
	{ DCM_StudyID, EVR_SH, "1", KEEP_ALWAYS },
	{ DCM_AccessionNumber, EVR_SH, "1", KEEP_ALWAYS },
	{ DCM_IssuerOfAccessionNumberSequence, EVR_SQ, "1", KEEP_VALID },
	{ DCM_ReferringPhysicianName, EVR_PN, "1", KEEP_ALWAYS },
	{ DCM_StudyDescription, EVR_LO, "1", KEEP_VALID },
	{ DCM_ProcedureCodeSequence, EVR_SQ, "1-n", KEEP_VALID },
};

enum { MAX_DEPTH = 3, MAX_ITEMS = 32, MAX_VALUE = 65534 /* bytes; what a two-byte length can say */ };

// The bytes of a value of text, whatever VR the source gives it. Empty: absent, no text, or longer than can be written.
static std::string
text_of(DcmItem &source, const DcmTagKey &tag)
{
	DcmElement *element = NULL;
	char *text = NULL;
	Uint8 *bytes = NULL;
	Uint32 n = 0;

	if (source.findAndGetElement(tag, element).bad() || element == NULL || element->getLength() > MAX_VALUE)
		return "";
	if (element->getString(text, n).good() && text != NULL)
		return std::string(text, n);
	if (element->getUint8Array(bytes).good() && bytes != NULL) // UN, OB
		return std::string((const char *)bytes, element->getLength());
	return "";
}

static bool is_valid(DcmElement &element, DcmEVR vr, const char *vm, unsigned depth);

static bool
are_items_valid(DcmSequenceOfItems &sequence, unsigned depth)
{
	if (depth >= MAX_DEPTH || sequence.card() == 0 || sequence.card() > MAX_ITEMS)
		return false;
	for (unsigned long i = 0; i < sequence.card(); i++) {
		DcmItem *item = sequence.getItem(i);

		if (item->card() == 0)
			return false;
		for (unsigned long k = 0; k < item->card(); k++) {
			DcmElement *element = item->getElement(k);
			DcmTag known(element->getTag().getXTag()); // the VR by the dictionary; none for private ones

			if (!is_valid(*element, known.getEVR(), "1-n", depth + 1))
				return false;
		}
	}
	return true;
}

// Length and control characters of each value; DCMTK does not look at them where a character set is declared.
static bool
is_fit(const std::string &text, DcmEVR vr, bool is_utf8)
{
	bool has_one_value;
	size_t most = put_longest(vr, &has_one_value), n = 0;

	for (unsigned char c : text) {
		if (c == '\\' && !has_one_value)
			n = 0;
		else if (!is_utf8 || c < 0x80 || c >= 0xc0)
			n++;
		if (n > most || (c < 0x20 && c != 0x1b /* of ISO 2022 */) || c == 0x7f)
			return false;
	}
	return true;
}

static bool
is_valid(DcmElement &element, DcmEVR vr, const char *vm, unsigned depth)
{
	char *text = NULL;
	Uint32 n = 0;

	if (vr == EVR_SQ)
		return element.ident() == EVR_SQ && element.checkValue(vm).good() && are_items_valid((DcmSequenceOfItems &)element, depth);
	if (!element.isaString() || element.getVR() != vr || element.getLength() > MAX_VALUE || element.checkValue(vm).bad())
		return false;
	DcmItem *parent = element.getParentItem();
	return element.getString(text, n).good() && (text == NULL || is_fit(std::string(text, n), vr, parent != NULL && put_is_utf8(*parent)));
}

static void
put_copy(DcmItem &to, const DcmElement &element)
{
	std::unique_ptr<DcmElement> copy((DcmElement *)element.clone());

	put_ok(to.insert(copy.get(), OFTrue));
	copy.release();
}

static void
inherit(DcmItem &to, DcmItem &source, const inherited &a)
{
	DcmElement *element = NULL;
	bool is_there = source.findAndGetElement(a.tag, element).good() && element != NULL;

	if (a.keep == KEEP_VALID) {
		if (is_there && element->getLength() > 0 && is_valid(*element, a.vr, a.vm, 0))
			put_copy(to, *element);
	} else if (is_there || a.keep == KEEP_ALWAYS)
		put_raw(to, a.tag, a.vr, text_of(source, a.tag));
}

// What a source without SpecificCharacterSet means by bytes beyond ASCII: UTF-8 where they are that, else Latin-1. "": it has none of them.
static const char *
guess_character_set(DcmItem &source)
{
	bool is_ascii = true, is_utf8 = true;

	for (const inherited &a : patient_study) {
		std::string text = a.vr == EVR_SQ ? "" : text_of(source, a.tag);
		for (size_t i = 0, n; i < text.size(); i += n > 0 ? n : 1) {
			is_ascii = is_ascii && (unsigned char)text[i] < 0x80;
			n = utf8_length(text.data() + i, text.size() - i);
			is_utf8 = is_utf8 && n > 0;
		}
	}
	return is_ascii ? "" : is_utf8 ? "ISO_IR 192" : "ISO_IR 100";
}

void
derived_patient_study(DcmItem &to, DcmItem &source)
{
	const char *guess = text_of(source, DCM_SpecificCharacterSet).empty() ? guess_character_set(source) : "";

	for (const inherited &a : patient_study)
		inherit(to, source, a);
	if (guess[0] != '\0')
		put_raw(to, DCM_SpecificCharacterSet, EVR_CS, guess);
	// PatientIdentityRemoved YES needs one of the methods (type 1C)
	if (text_of(source, DCM_PatientIdentityRemoved) == "YES" && (to.tagExists(DCM_DeidentificationMethod) || to.tagExists(DCM_DeidentificationMethodCodeSequence)))
		put_raw(to, DCM_PatientIdentityRemoved, EVR_CS, "YES");
}

void
derived_frame_of_reference(DcmItem &to, DcmItem &source, const char *series_uid)
{
	std::string uid = text_of(source, DCM_FrameOfReferenceUID);

	if (uid.empty()) {
		char made[DIGEST_UID];

		digest_uid((std::string(series_uid) + "/frame-of-reference").c_str(), made);
		uid = made;
	}
	put_raw(to, DCM_FrameOfReferenceUID, EVR_UI, uid);
	put_raw(to, DCM_PositionReferenceIndicator, EVR_LO, text_of(source, DCM_PositionReferenceIndicator));
}

void
derived_decimals(DcmItem &to, DcmItem &source, const DcmTagKey &tag, const double *otherwise, size_t n, enum derived_sign sign)
{
	DcmElement *element = NULL;
	bool is_good = source.findAndGetElement(tag, element).good() && element != NULL && is_valid(*element, EVR_DS, std::to_string(n).c_str(), 0);

	for (size_t i = 0; is_good && i < n; i++) {
		Float64 v = 0;

		is_good = element->getFloat64(v, (unsigned long)i).good() && std::isfinite(v) && (sign == DERIVED_ANY || v > 0);
	}
	if (is_good)
		put_copy(to, *element);
	else
		put_decimals(to, tag, otherwise, n);
}

// "+HHMM" or "-HHMM" (PS3.3 C.12.1.1.8: -1200 to +1400) in minutes
static bool
zone_minutes(const std::string &zone, long *minutes)
{
	if (zone.size() != 5 || (zone[0] != '+' && zone[0] != '-') || zone.find_first_not_of("0123456789", 1) != std::string::npos)
		return false;
	long number = strtol(zone.c_str() + 1, NULL, 10);
	*minutes = (number / 100 * 60 + number % 100) * (zone[0] == '-' ? -1 : 1);
	return number % 100 < 60 && *minutes >= -12 * 60 && *minutes <= 14 * 60;
}

struct derived_time
derived_time_at(DcmItem &source, int64_t ms)
{
	struct derived_time t;
	time_t seconds = (time_t)(ms / 1000);
	struct tm local;
	long minutes;

	if (!zone_minutes(text_of(source, DCM_TimezoneOffsetFromUTC), &minutes))
		minutes = localtime_r(&seconds, &local) != NULL ? local.tm_gmtoff / 60 : 0;
	seconds += minutes * 60;
	gmtime_r(&seconds, &local);
	strftime(t.date, sizeof t.date, "%Y%m%d", &local);
	strftime(t.time, sizeof t.time, "%H%M%S", &local);
	snprintf(t.time + 6, sizeof t.time - 6, ".%03u", (unsigned)(ms % 1000));
	snprintf(t.zone, sizeof t.zone, "%c%02u%02u", minutes < 0 ? '-' : '+', (unsigned)(labs(minutes) / 60) % 100, (unsigned)(labs(minutes) % 60));
	snprintf(t.datetime, sizeof t.datetime, "%s%s%s", t.date, t.time, t.zone);
	return t;
}

void
derived_dates(DcmItem &to, const struct derived_time *t)
{
	static const struct { DcmTagKey date, time; } pairs[] = {
		{ DCM_InstanceCreationDate, DCM_InstanceCreationTime }, { DCM_SeriesDate, DCM_SeriesTime }, { DCM_ContentDate, DCM_ContentTime },
	};
	for (const auto &p : pairs) {
		put_text(to, p.date, EVR_DA, t->date);
		put_text(to, p.time, EVR_TM, t->time);
	}
	put_text(to, DCM_TimezoneOffsetFromUTC, EVR_SH, t->zone);
}

static void
put_instance(DcmItem &to, DcmItem &header)
{
	put_raw(to, DCM_ReferencedSOPClassUID, EVR_UI, text_of(header, DCM_SOPClassUID));
	put_raw(to, DCM_ReferencedSOPInstanceUID, EVR_UI, text_of(header, DCM_SOPInstanceUID));
}

void
derived_reference(DcmItem &to, const struct series *s, size_t slice)
{
	put_instance(to, *series_header(s, slice));
	if (series_frame(s, slice) > 0)
		put_integer(to, DCM_ReferencedFrameNumber, series_frame(s, slice));
}

std::vector<derived_instance>
derived_instances(const struct series *s)
{
	std::vector<derived_instance> list;
	std::set<std::string> seen;

	for (size_t i = 0; i < series_n_slices(s); i++) {
		DcmItem &header = *series_header(s, i);
		std::string uid = text_of(header, DCM_SOPInstanceUID);

		if (seen.insert(uid).second)
			list.push_back({ text_of(header, DCM_SOPClassUID), uid });
	}
	return list;
}

void
derived_references(DcmItem &to, const struct series *const *series, size_t n)
{
	std::set<std::string> seen; // series

	for (size_t s = 0; s < n; s++) {
		if (!seen.insert(series_info(series[s])->series_uid).second)
			continue;
		DcmItem &item = put_item(to, DCM_ReferencedSeriesSequence);
		put_text(item, DCM_SeriesInstanceUID, EVR_UI, series_info(series[s])->series_uid);
		for (const derived_instance &i : derived_instances(series[s])) {
			DcmItem &instance = put_item(item, DCM_ReferencedInstanceSequence);
			put_raw(instance, DCM_ReferencedSOPClassUID, EVR_UI, i.sop_class);
			put_raw(instance, DCM_ReferencedSOPInstanceUID, EVR_UI, i.sop_uid);
		}
	}
}

// Ratio and method are type 1C: a source that lacks them is taken for what is by far the most common, JPEG at an unknown ratio.
static void
put_lossy(DcmItem &to, DcmItem &source)
{
	const double unknown = 1;
	DcmElement *element = NULL;

	put_raw(to, DCM_LossyImageCompression, EVR_CS, "01");
	if (source.findAndGetElement(DCM_LossyImageCompressionRatio, element).good() && element->getLength() > 0 && is_valid(*element, EVR_DS, "1-n", 0))
		put_copy(to, *element);
	else
		put_decimals(to, DCM_LossyImageCompressionRatio, &unknown, 1);
	if (source.findAndGetElement(DCM_LossyImageCompressionMethod, element).good() && element->getLength() > 0 && is_valid(*element, EVR_CS, "1-n", 0))
		put_copy(to, *element);
	else
		put_raw(to, DCM_LossyImageCompressionMethod, EVR_CS, "ISO_10918_1");
}

void
derived_lossy(DcmItem &to, const struct series *const *series, size_t n)
{
	for (size_t s = 0; s < n; s++)
		for (size_t i = 0; i < series_n_slices(series[s]); i++)
			if (text_of(*series_header(series[s], i), DCM_LossyImageCompression) == "01") {
				put_lossy(to, *series_header(series[s], i));
				return;
			}
	put_raw(to, DCM_LossyImageCompression, EVR_CS, "00");
}

static void
put_program(DcmItem &to, const char *node_id)
{
	put_text(to, DCM_Manufacturer, EVR_LO, "segan");
	put_text(to, DCM_ManufacturerModelName, EVR_LO, "segand");
	put_text(to, DCM_DeviceSerialNumber, EVR_LO, node_id);
	put_text(to, DCM_SoftwareVersions, EVR_LO, dicom_software_version());
}

void
derived_equipment(DcmItem &to, const char *node_id, const struct derived_time *t)
{
	put_program(to, node_id);
	DcmItem &contributor = put_item(to, DCM_ContributingEquipmentSequence);
	put_program(contributor, node_id);
	put_code(contributor, DCM_PurposeOfReferenceCodeSequence, code_of(CODE_PROCESSING_EQUIPMENT));
	put_text(contributor, DCM_ContributionDateTime, EVR_DT, t->datetime);
	put_text(contributor, DCM_ContributionDescription, EVR_ST, "Made by an automatic algorithm; research use only, not a medical device");
}
