/* What an archive tells of a patient and a study goes into a copy of an object only where it fits, is another, and takes along what belonged to the old value. */
#include "dicom/revise.h"
#include "dicom/dicom.h"

#include "tests/unit/made_seg.h"
#include "tests/unit/own_folder.h"

enum { NAME, ID, ISSUER, BIRTH, SEX, DATE, TIME, STUDY_ID, ACCESSION };
static char from[300], to[300];

static int
set_up(void **state)
{
	struct err e = { 0 };
	struct bytes seg;
	int rc;

	if (folder_set_up(state) != 0 || dicom_start(&e) != 0)
		return -1;
	snprintf(from, sizeof from, "%s/from.dcm", folder);
	snprintf(to, sizeof to, "%s/to.dcm", folder);
	seg = make_seg("1.2.3", "1.2.3.1", "1.2.3.2");
	rc = file_write(from, seg.at, seg.n, &e);
	free(seg.at);
	return rc;
}

static int
revise_with(int which, const char *text, char changed[REVISE_NAMES])
{
	struct revise_values v;
	struct err e = { 0 };

	memset(&v, 0, sizeof v);
	snprintf(v.text[which], sizeof v.text[which], "%s", text);
	unlink(to);
	return revise_object(from, to, &v, changed, &e);
}

static void
what_does_not_fit_stays_outside(void **state)
{
	static const struct { int which; const char *text; } cases[] = {
		{ NAME, "A\\B" }, { NAME, "A\nB" }, { NAME, "A\x1b$B" }, { NAME, "A\x7f" }, { NAME, "A?B" }, { NAME, "\xc3" }, { NAME, "\xc2\x85" }, { NAME, "A^B^C^D^E^F" }, { NAME, "A=B=C=D" },
		{ NAME, "12345678901234567890123456789012345678901234567890123456789012345" }, { ID, "NEW\\1" }, { BIRTH, "1970" }, { BIRTH, "19701301" }, { BIRTH, "19700132" }, { BIRTH, "1970010x" },
		{ SEX, "m" }, { TIME, "2400" }, { TIME, "1260" }, { TIME, "121" }, { TIME, "1212.5" }, { TIME, "121212." }, { TIME, "121212.1234567" }, { ACCESSION, "12345678901234567" },
	};
	char changed[REVISE_NAMES];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (revise_with(cases[i].which, cases[i].text, changed) != -1 || file_exists(to))
			fail_msg("\"%s\" is put in", cases[i].text);
}

static void
the_same_is_no_change(void **state)
{
	static const struct { int which; const char *text; } cases[] = { { NAME, "" }, { NAME, "CANARY^OLD" }, { NAME, "CANARY^OLD^^=" }, { ID, " OLD-7 " }, { BIRTH, "19700101" }, { ISSUER, "OLDCLINIC" } };
	char changed[REVISE_NAMES];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (revise_with(cases[i].which, cases[i].text, changed) != 0 || changed[0] != '\0' || file_exists(to))
			fail_msg("\"%s\" changes %s", cases[i].text, changed);
}

static void
what_is_another_is_put_in(void **state)
{
	static const struct { int which; const char *text, *changed, *gone /* with the old value */, *there; } cases[] = {
		{ NAME, "M\xc3\xbcller^Eva", "PatientName", "CANARY", "ISO_IR 192" }, { ID, "NEW-1", "PatientID", "OLDCLINIC", "NEW-1" }, { ACCESSION, "ACC9", "AccessionNumber", "ACC8", "OLD-7" },
		{ BIRTH, "19700202", "PatientBirthDate", "19700101", "CANARY^OLD" }, { TIME, "2359", "StudyTime", "\1", "2359" }, { SEX, "F", "PatientSex", "\1", "OLDCLINIC" },
	};
	char changed[REVISE_NAMES];
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t n;
		char *bytes;
		assert_int_equal(revise_with(cases[i].which, cases[i].text, changed), 0);
		assert_string_equal(changed, cases[i].changed);
		assert_non_null(bytes = file_read(to, 1 << 20, &n, &e));
		assert_non_null(memmem(bytes, n, cases[i].text, strlen(cases[i].text)));
		assert_non_null(memmem(bytes, n, cases[i].there, strlen(cases[i].there)));
		if (cases[i].gone[0] != '\1')
			assert_null(memmem(bytes, n, cases[i].gone, strlen(cases[i].gone)));
		free(bytes);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_does_not_fit_stays_outside), cmocka_unit_test(the_same_is_no_change), cmocka_unit_test(what_is_another_is_put_in) };

	return cmocka_run_group_tests(tests, set_up, folder_tear_down);
}
