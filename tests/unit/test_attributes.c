/* attributes: headers of good, odd and hostile files, made by tests/tools/mkseries.py; the digests that tell a repeated instance. */
#include "dicom/attributes.h"
#include "tests/unit/series_stage.h"

#include <errno.h>

/* DCMTK reads with fread(), which here is this one: a disk that fails for a moment. */
static int freads_to_fail;

size_t
fread(void *restrict to, size_t size, size_t n, FILE *restrict f)
{
	if (freads_to_fail > 0) {
		freads_to_fail--;
		errno = EIO;
		return 0;
	}
	return fread_unlocked(to, size, n, f);
}

static struct attributes *
load(const char *name, struct err *e)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return attributes_load(path, e);
}

static struct attributes *
load_good(const char *name)
{
	struct err e = { 0 };
	struct attributes *a = load(name, &e);

	if (a == NULL)
		fail_msg("%s: %s", name, e.text);
	return a;
}

static void
assert_refused(const char *name, const char *words)
{
	struct err e = { 0 };
	struct attributes *a = load(name, &e);

	if (a != NULL)
		fail_msg("%s was accepted", name);
	if (e.code != ERR_INPUT || strstr(e.text, words) == NULL)
		fail_msg("%s: code %d, \"%s\" instead of \"%s\"", name, e.code, e.text, words);
	assert_null(strstr(e.text, "CANARY"));
}

static void
test_header(void **state)
{
	struct attributes *a = load_good("good/000.dcm");
	const struct instance_header *h = attributes_header(a);

	(void)state;
	assert_string_equal(h->sop_class, "1.2.840.10008.5.1.4.1.1.4");
	assert_string_equal(h->sop_uid, "2.25.7000");
	assert_string_equal(h->study_uid, "2.25.1");
	assert_string_equal(h->series_uid, "2.25.2");
	assert_string_equal(h->transfer_syntax, "1.2.840.10008.1.2.1");
	assert_string_equal(h->modality, "MR");
	assert_string_equal(h->device_serial, "");
	assert_true(h->has_pixels);
	assert_false(h->is_ours);
	assert_int_equal(strlen(h->digest), 64);
	assert_int_equal(strlen(h->content_digest), 64);
	assert_string_equal(attributes_text(a, "ImageType"), "ORIGINAL\\PRIMARY\\M");
	assert_string_equal(attributes_text(a, "0008,0008"), "ORIGINAL\\PRIMARY\\M");
	assert_string_equal(attributes_text(a, "SeriesDescription"), "FLAIR t\xc3\xaate");
	assert_string_equal(attributes_text(a, "ReferringPhysicianName"), "");
	assert_string_equal(attributes_text(a, "Rows"), "7");
	assert_null(attributes_text(a, "ContrastBolusAgent"));
	assert_null(attributes_text(a, "NoSuchKeyword"));
	assert_string_equal(attributes_text(a, "PixelSpacing"), "1.5\\1.25");
	attributes_free(a);
	attributes_free(NULL);
}

static void
test_functional_groups(void **state)
{
	struct attributes *a = load_good("enhanced/000.dcm");

	(void)state;
	assert_string_equal(attributes_text(a, "PixelSpacing"), "1.5\\1.25");
	assert_string_equal(attributes_text(a, "PerFrameFunctionalGroupsSequence"), "");
	attributes_free(a);
}

static void
test_private_and_ours(void **state)
{
	struct attributes *a = load_good("private/000.dcm");

	(void)state;
	assert_true(attributes_header(a)->is_ours);
	assert_string_equal(attributes_header(a)->device_serial, "node-1");
	assert_string_equal(attributes_text(a, "0019,100C"), "1000");
	assert_string_equal(attributes_text(a, "0019,1008"), "");
	attributes_free(a);
}

static void
test_character_sets(void **state)
{
	static const struct { const char *name, *text; } cases[] = {
		{ "utf8", "s\xc3\xa9r\xe4\xb8\x80" }, { "latin", "t\xc3\xaate" }, { "japanese", "Yamada^?$B;3ED?(B" /* glibc's iconv lacks the set that DCMTK asks for */ },
		{ "nocharset", "t?te" }, { "undeclared", "t?te" }, { "badutf8", "a???z" },
	};
	char name[64];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(name, sizeof name, "%s/000.dcm", cases[i].name);
		struct attributes *a = load_good(name);
		assert_string_equal(attributes_text(a, "SeriesDescription"), cases[i].text);
		attributes_free(a);
	}
}

/* Whatever uncompressed syntax it comes in; deflated it is the very same data set. */
static void
test_digests_of_other_syntaxes(void **state)
{
	static const char *const pairs[][2] = { { "plain/000.dcm", "bigendian/000.dcm" }, { "eight/002.dcm", "bigeight/002.dcm" }, { "good/000.dcm", "deflated/000.dcm" } };

	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		struct attributes *a = load_good(pairs[i][0]), *b = load_good(pairs[i][1]);
		assert_string_equal(attributes_header(a)->content_digest, attributes_header(b)->content_digest);
		assert_int_equal(strcmp(attributes_header(a)->digest, attributes_header(b)->digest) == 0, i == 2);
		assert_string_equal(attributes_text(b, "SeriesDescription"), "FLAIR t\xc3\xaate");
		attributes_free(a);
		attributes_free(b);
	}
}

/* 1.1 GiB of nothing in a megabyte: refused by the bound, whatever memory there is. */
static void
test_inflated_size_is_bounded(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_null(load("bomb/000.dcm", &e));
	assert_int_equal(e.code, ERR_INPUT); /* for ever: it is not to be sent again */
	assert_non_null(strstr(e.text, "inflates to more than 1024 MiB"));
}

static void
test_digests(void **state)
{
	struct attributes *plain = load_good("good/000.dcm"), *implicit = load_good("implicit/000.dcm"), *other = load_good("plain/001.dcm"), *sr = load_good("sr/000.dcm");
	struct attributes *moved = load_good("two/001.dcm"), *rle = load_good("rle/000.dcm"), *again = load_good("good/000.dcm");
	const struct instance_header *h = attributes_header(plain), *i = attributes_header(implicit);

	(void)state;
	assert_string_equal(i->transfer_syntax, "1.2.840.10008.1.2");
	assert_string_not_equal(h->digest, i->digest);
	assert_string_equal(h->content_digest, i->content_digest);
	assert_string_equal(h->digest, attributes_header(again)->digest);
	assert_string_not_equal(h->content_digest, attributes_header(other)->content_digest);
	assert_string_not_equal(attributes_header(other)->content_digest, attributes_header(moved)->content_digest);
	assert_string_not_equal(h->content_digest, attributes_header(rle)->content_digest);
	assert_false(attributes_header(sr)->has_pixels);
	assert_string_equal(attributes_header(sr)->digest, attributes_header(sr)->content_digest);
	struct attributes *all[] = { plain, implicit, other, sr, moved, rle, again };
	for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
		attributes_free(all[k]);
}

/* The digest is of the bytes behind the meta header, as they are. */
static void
test_digest_is_of_the_bytes(void **state)
{
	struct attributes *a = load_good("good/000.dcm");
	char path[512], hex[DIGEST_HEX];
	struct err e;
	size_t n;

	(void)state;
	snprintf(path, sizeof path, "%s/good/000.dcm", folder);
	unsigned char *bytes = (unsigned char *)file_read(path, 1 << 20, &n, &e);
	assert_non_null(bytes);
	size_t start = 132 + 12 + (bytes[140] | (size_t)bytes[141] << 8);
	free(bytes);
	assert_int_equal(digest_of_file(path, start, hex, &e), 0);
	assert_string_equal(hex, attributes_header(a)->digest);
	attributes_free(a);
}

static void
test_hostile(void **state)
{
	static const struct { const char *name, *words; } cases[] = {
		{ "text/000.dcm", "not a DICOM file" }, { "ten/000.dcm", "not a DICOM file" }, { "empty/000.dcm", "not a DICOM file" },
		{ "uid65/000.dcm", "SOPInstanceUID (0008,0018)" }, { "uiddots/000.dcm", "SOPInstanceUID (0008,0018)" }, { "uidnul/000.dcm", "SOPInstanceUID (0008,0018)" },
		{ "uidnone/000.dcm", "SOPInstanceUID (0008,0018) is missing" },
		{ "deep/000.dcm", "nested more than 64" }, { "deepopen/000.dcm", "nested more than 64" }, { "deepdefined/000.dcm", "nested more than 64" },
		{ "huge/000.dcm", "(7FE0,0010)" }, { "short/000.dcm", "PixelData (7FE0,0010) holds 100 bytes, but Rows 7 x Columns 9" },
		{ "endless/000.dcm", "truncated" }, { "overlap/000.dcm", "the item that holds it" }, { "badvr/000.dcm", "(7FE1,0010)" },
		{ "metalength/000.dcm", "(0002,0000)" }, { "nosyntax/000.dcm", "(0002,0010)" }, { "group2/000.dcm", "" }, { "tail/000.dcm", "truncated" },
		{ "flood/000.dcm", "more than 400000 elements" }, { "unsorted/000.dcm", "ascending order" }, { "random/000.dcm", "" }, { "big/000.dcm", "truncated or damaged" }, { "foreign/000.dcm", "1.2.840.99999.1.2.1" },
		{ "frames/000.dcm", "NumberOfFrames" }, { "deflatedcut/000.dcm", "truncated" }, { "deflatednot/000.dcm", "no sound deflate stream" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_refused(cases[i].name, cases[i].words);
	attributes_free(load_good("polyglot/000.dcm"));
	attributes_free(load_good("shallow/000.dcm"));
}

static int
assert_cut_refused(void *arg, const char *path, struct err *e)
{
	struct attributes *a = attributes_load(path, e);

	assert_null(a);
	assert_int_equal(e->code, ERR_INPUT);
	++*(int *)arg;
	return 0;
}

static void
test_truncated(void **state)
{
	char path[512];
	struct err e;
	int n = 0;

	(void)state;
	snprintf(path, sizeof path, "%s/cut", folder);
	assert_int_equal(file_walk(path, assert_cut_refused, &n, &e), 0);
	assert_int_equal(n, 11);
}

static void
test_a_disk_that_fails_for_a_moment(void **state)
{
	(void)state;
	freads_to_fail = 1;
	attributes_free(load_good("good/000.dcm"));
	assert_int_equal(freads_to_fail, 0);
}

static void
test_no_file(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_null(load("nothing.dcm", &e));
	assert_int_equal(e.code, ERR_IO);
	assert_null(load("cut", &e)); /* a folder */
	assert_int_equal(e.code, ERR_INPUT);
}

static void
test_uids_and_keywords(void **state)
{
	static const char *const bad[] = { "", ".", "1.", ".1", "1..2", "1.2a", "1.2 ", "../x", "1.2\n" };
	char longest[DICOM_UID + 1];

	(void)state;
	assert_true(dicom_uid_is_valid("1.2.840.0.5"));
	assert_true(dicom_uid_is_valid("0.0"));
	assert_true(dicom_uid_is_valid("1.2.3.20240311.093000")); /* against PS3.5 9.1, but there are such */
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(dicom_uid_is_valid(bad[i]));
	memset(longest, '1', sizeof longest);
	longest[64] = '\0';
	assert_true(dicom_uid_is_valid(longest));
	longest[64] = '1';
	longest[65] = '\0';
	assert_false(dicom_uid_is_valid(longest));
	assert_true(dicom_keyword_is_known("SeriesDescription"));
	assert_true(dicom_keyword_is_known("0008,103e"));
	assert_false(dicom_keyword_is_known("seriesdescription"));
	assert_false(dicom_keyword_is_known("0008,103"));
	assert_false(dicom_keyword_is_known("0008103E"));
	assert_false(dicom_keyword_is_known(""));
	assert_non_null(strstr(dicom_software_version(), "segan "));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header), cmocka_unit_test(test_functional_groups), cmocka_unit_test(test_private_and_ours), cmocka_unit_test(test_character_sets),
		cmocka_unit_test(test_digests), cmocka_unit_test(test_digests_of_other_syntaxes), cmocka_unit_test(test_inflated_size_is_bounded), cmocka_unit_test(test_digest_is_of_the_bytes), cmocka_unit_test(test_hostile), cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_no_file), cmocka_unit_test(test_a_disk_that_fails_for_a_moment), cmocka_unit_test(test_uids_and_keywords),
	};

	return cmocka_run_group_tests(tests, make_files, folder_tear_down);
}
