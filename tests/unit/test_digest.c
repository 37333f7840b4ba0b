/* Digests against published values (FIPS 180-2 examples), UUIDs against Python's uuid.uuid5 under our name space. */
#include "config/digest.h"
#include "config/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static void
sha256_is_sha256(void **state)
{
	char hex[DIGEST_HEX];
	struct err e;
	struct digest *d = digest_new(&e);

	(void)state;
	digest_of("abc", 3, hex);
	assert_string_equal(hex, abc);
	digest_of("", 0, hex);
	assert_string_equal(hex, empty);
	assert_non_null(d);
	digest_add(d, "a", 1);
	digest_add(d, "", 0);
	digest_add(d, "bc", 2);
	digest_hex(d, hex);
	digest_free(d);
	assert_string_equal(hex, abc);
	digest_free(NULL);
}

static void
a_file_may_be_read_from_the_middle(void **state)
{
	char path[] = "/tmp/test_digest.XXXXXX", hex[DIGEST_HEX];
	int fd = mkstemp(path);
	struct err e;

	(void)state;
	assert_int_equal(write(fd, "xyzabc", 6), 6);
	close(fd);
	assert_int_equal(digest_of_file(path, 3, hex, &e), 0);
	assert_string_equal(hex, abc);
	assert_int_equal(digest_of_file(path, 100, hex, &e), 0);
	assert_string_equal(hex, empty);
	unlink(path);
	assert_int_equal(digest_of_file(path, 0, hex, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(digest_of_file("/", 0, hex, &e), -1);
	assert_int_equal(e.code, ERR_IO);
}

static void
names_become_uids(void **state)
{
	char uid[DIGEST_UID];

	(void)state;
	digest_uid("segan node 1", uid); /* of 1ff2258b-4f37-51f6-bc8d-f17fe4ec4d4d */
	assert_string_equal(uid, "2.25.42463365195483938699807011321397661005");
	digest_uid("", uid);
	assert_string_equal(uid, "2.25.224283173701785896354839181475676915744");
	digest_uid("a", uid);
	assert_string_equal(uid, "2.25.78179180084469960914300179478464673338");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_is_sha256), cmocka_unit_test(a_file_may_be_read_from_the_middle), cmocka_unit_test(names_become_uids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
