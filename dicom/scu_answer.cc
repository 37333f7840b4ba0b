// What a C-STORE response means, once, in a table, and which of its words are passed on: a comment that names the patient is none of them, for they end
// in logs, in the database and on terminals.
#include "dicom/scu_parts.hh"
#include "dicom/shim.hh"

#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcfilefo.h>

#include <cctype>
#include <cstdio>
#include <cstring>

enum { LEAST_NAME = 3 /* shorter parts of a name stand in any text */ };

// PS3.4 B.2.3, PS3.7 C: the first row that fits.
static const struct {
	unsigned mask, value;
	enum scu_outcome outcome;
	const char *words;
} meanings[] = {
	{ 0xFFFF, 0x0000, SCU_STORED, "stored" },
	{ 0xF000, 0xB000, SCU_STORED, "stored with a warning" },
	{ 0xFFFF, 0x0001, SCU_STORED, "stored with a warning" },
	{ 0xFFFF, 0x0107, SCU_STORED, "stored with a warning, of attributes" },
	{ 0xFFFF, 0x0116, SCU_STORED, "stored with a warning, of values" },
	{ 0xFFFF, 0x0111, SCU_IN_DOUBT, "it has an instance of this UID already" },
	{ 0xFF00, 0xA700, SCU_PASSING, "out of resources" },
	{ 0xFF00, 0xA900, SCU_REFUSED, "the data set does not match its SOP class" },
	{ 0xF000, 0xC000, SCU_REFUSED, "it cannot understand the instance" },
	{ 0xFFFF, 0x0122, SCU_REFUSED, "SOP class not supported" },
	{ 0xFFFF, 0x0124, SCU_PASSING, "we are not authorised" },
	{ 0xFFFF, 0x0110, SCU_PASSING, "processing failure" },
	{ 0x0000, 0x0000, SCU_PASSING, "failure" },
};

static size_t
meaning_of(unsigned status)
{
	size_t i = 0;

	while ((status & meanings[i].mask) != meanings[i].value)
		i++;                             // the last one fits all
	return i;
}

extern "C" enum scu_outcome
scu_meaning(unsigned status)
{
	return meanings[meaning_of(status)].outcome;
}

// Whether the peer's words repeat who the patient is: a part of the name, an ID, the birth date, whatever the case of its letters.
static bool
names_patient(const OFString &comment, DcmDataset &data)
{
	static const DcmTagKey tags[] = { DCM_PatientName, DCM_PatientID, DCM_OtherPatientNames, DCM_RETIRED_OtherPatientIDs, DCM_PatientBirthDate, DCM_AccessionNumber };

	for (const DcmTagKey &tag : tags) {
		OFString value;
		(void)data.findAndGetOFStringArray(tag, value); // absent: ""
		for (const char *at = value.c_str(); *at != '\0';) {
			size_t n = 0;
			while (isalnum((unsigned char)at[n]) || (unsigned char)at[n] > 0x7F)
				n++;
			if (n >= LEAST_NAME && strcasestr(comment.c_str(), std::string(at, n).c_str()) != NULL)
				return true;
			at += n + (at[n] != '\0');
		}
	}
	return false;
}

extern "C" bool
scu_names_patient(const char *path, const char *words)
{
	struct err e;

	return shim_int(&e, [&] {
		DcmFileFormat file;
		if (file.loadFile(path, EXS_Unknown, EGL_noChange, 256, ERM_autoDetect).bad()) // bytes of a value that are read at once: names are shorter
			return 1;
		return names_patient(words, *file.getDataset()) ? 1 : 0;
	}) != 0;
}

void
scu_judge(struct scu_result *r, unsigned status, DcmDataset *detail, DcmDataset &data)
{
	OFString comment;
	size_t i = meaning_of(status);

	if (detail != NULL)
		(void)detail->findAndGetOFString(DCM_ErrorComment, comment); // absent: the words of the table say it
	for (size_t k = 0; k < comment.length(); k++)
		if ((unsigned char)comment[k] < ' ' || comment[k] == 0x7F)
			comment[k] = ' ';                    // no terminal is moved by a peer
	if (names_patient(comment, data))
		comment = "its comment names the patient and is not repeated here";
	r->outcome = meanings[i].outcome;
	r->status = status;
	snprintf(r->text, sizeof r->text, "it answered 0x%04x, %s%s%s", status, meanings[i].words, comment.empty() ? "" : ": ", comment.c_str());
}
