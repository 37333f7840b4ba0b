/* What every door does with a file: structure (scan.c), DCMTK, header, digests, and the text of what rules and QIDO ask for, of every frame. */
#include "tests/fuzz/fuzz.h"

#include "dicom/attributes.h"

#include <string.h>

static void
ask(struct attributes *a)
{
	static const char *const keywords[] = { "PatientName", "SeriesDescription", "ImageType", "EchoTime", "ContrastBolusAgent", "AcquisitionDate", "0028,0010", "ReferencedSOPInstanceUID",
		"PixelSpacing", "7FE0,0010", "SpecificCharacterSet", "0009,0010" };

	for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
		const char *text = attributes_text(a, keywords[i]);
		fuzz_must(text == NULL || strlen(text) < SIZE_MAX);
	}
}

static void
one(const uint8_t *bytes, size_t n)
{
	struct err e;
	struct attributes *a = attributes_load(fuzz_file(0, bytes, n), &e);

	if (a == NULL) {
		fuzz_must(e.code == ERR_INPUT || e.code == ERR_LIMIT);
		return;
	}
	const struct instance_header *h = attributes_header(a);
	fuzz_must(dicom_uid_is_valid(h->sop_uid) && dicom_uid_is_valid(h->series_uid) && dicom_uid_is_valid(h->study_uid) && dicom_uid_is_valid(h->sop_class));
	fuzz_must(strlen(h->digest) == DIGEST_HEX - 1 && strlen(h->content_digest) == DIGEST_HEX - 1);
	ask(a);
	for (size_t frame = 1; frame <= attributes_n_frames(a) && frame <= 4; frame++) {
		attributes_set_frame(a, frame);
		ask(a);
	}
	attributes_free(a);
}

const struct fuzz_target fuzz_dicom = { "dicom", fuzz_start_dicom, one };
