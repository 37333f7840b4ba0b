/* safetensors: what is read right, and every malformed kind refused by name. */
#include "model/weights.h"
#include "config/digest.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[256], path[300];

static int
set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "%s/weights.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/w.safetensors", dir);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

/* length: what the file says about its header; SIZE_MAX: the truth */
static void
write_weights(const char *header, size_t length, const float *values, size_t n_bytes)
{
	FILE *f = fopen(path, "wb");
	unsigned char size[8];
	uint64_t n = length == SIZE_MAX ? strlen(header) : length;

	assert_non_null(f);
	for (int i = 0; i < 8; i++)
		size[i] = (unsigned char)(n >> (8 * i));
	assert_int_equal(fwrite(size, 1, 8, f), 8);
	assert_int_equal(fwrite(header, 1, strlen(header), f), strlen(header));
	assert_int_equal(fwrite(values, 1, n_bytes, f), n_bytes);
	assert_int_equal(fclose(f), 0);
}

static const float six[6] = { 1, 2, 3, 4, 5, 6.5f };
static const char good[] = "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[8,24]},"
	"\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";

static void
reads_tensors_by_name(void **state)
{
	struct err e = { 0 };
	struct weights *w;
	const struct tensor *b;

	(void)state;
	write_weights(good, SIZE_MAX, six, sizeof six);
	w = weights_load(path, "", &e);
	assert_non_null(w);
	assert_int_equal(weights_size(w), 2);
	b = weights_find(w, "b");
	assert_non_null(b);
	assert_int_equal(b->n_dims, 2);
	assert_int_equal(b->dims[0] * 10 + b->dims[1], 22);
	assert_int_equal(b->size, 4);
	assert_memory_equal(b->values, six + 2, 16);
	assert_string_equal(weights_at(w, 0)->name, "a");   /* in order of the data */
	assert_null(weights_find(w, "c"));
	weights_free(w);
}

static void
a_scalar_has_no_dimensions(void **state)
{
	struct err e = { 0 };
	struct weights *w;

	(void)state;
	write_weights("{\"s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", SIZE_MAX, six, 4);
	w = weights_load(path, "", &e);
	assert_non_null(w);
	assert_int_equal(weights_at(w, 0)->size, 1);
	assert_int_equal(weights_at(w, 0)->n_dims, 0);
	weights_free(w);
}

static void
digest_is_checked(void **state)
{
	char hex[DIGEST_HEX];
	struct err e = { 0 };
	struct weights *w;

	(void)state;
	write_weights(good, SIZE_MAX, six, sizeof six);
	assert_int_equal(digest_of_file(path, 0, hex, &e), 0);
	w = weights_load(path, hex, &e);
	assert_non_null(w);
	weights_free(w);
	hex[5] = hex[5] == '0' ? '1' : '0';
	assert_null(weights_load(path, hex, &e));
	assert_int_equal(e.code, ERR_INPUT);
	assert_non_null(strstr(e.text, "SHA-256"));
	assert_non_null(strstr(e.text, path));
}

#define T(name, type, shape, offsets) "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

/* header, what it says about its length, bytes of data, words that the error must have */
static const struct { const char *header; size_t length, n_bytes; const char *words; } bad[] = {
	{ "", SIZE_MAX, 0, "header" },
	{ good, 100000, 24, "header's length does not fit" },
	{ good, SIZE_MAX - 1, 24, "header's length does not fit" },
	{ good, 10, 24, "header" },
	{ good, sizeof good - 1 + 24 + 1, 24, "header's length does not fit" },
	{ good, sizeof good - 1 + 24 + 8, 24, "header's length does not fit" },
	{ good, SIZE_MAX, 20, "b lies outside the file" },
	{ good, SIZE_MAX, 0, "outside the file" },
	{ "[1]", SIZE_MAX, 0, "not an object" },
	{ "{}", SIZE_MAX, 0, "not an object of 1" },
	{ "{\"__metadata__\":{}}", SIZE_MAX, 0, "no tensor" },
	{ "{\"a\":7}", SIZE_MAX, 4, "a is not described" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", SIZE_MAX, 4, "a is not described" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"extra\":1}}", SIZE_MAX, 4, "a is not described" },
	{ "{" T("a", "F16", "[2]", "[0,4]") "}", SIZE_MAX, 4, "a is not of dtype F32" },
	{ "{" T("a", "I64", "[1]", "[0,8]") "}", SIZE_MAX, 8, "a is not of dtype F32" },
	{ "{" T("a", "F32", "7", "[0,4]") "}", SIZE_MAX, 4, "a has no shape" },
	{ "{" T("a", "F32", "[1,1,1,1,1]", "[0,4]") "}", SIZE_MAX, 4, "a has no shape" },
	{ "{" T("a", "F32", "[0]", "[0,0]") "}", SIZE_MAX, 0, "a has a dimension" },
	{ "{" T("a", "F32", "[-1]", "[0,4]") "}", SIZE_MAX, 4, "a has a dimension" },
	{ "{" T("a", "F32", "[1.5]", "[0,4]") "}", SIZE_MAX, 4, "a has a dimension" },
	{ "{" T("a", "F32", "[\"1\"]", "[0,4]") "}", SIZE_MAX, 4, "a has a dimension" },
	{ "{" T("a", "F32", "[1e300]", "[0,4]") "}", SIZE_MAX, 4, "a has a dimension" },
	{ "{" T("a", "F32", "[1000000,1000000,1000000,1000000]", "[0,4]") "}", SIZE_MAX, 4, "a is too large" },
	{ "{" T("a", "F32", "[4294967296,4294967296,1,1]", "[0,0]") "}", SIZE_MAX, 0, "a has a dimension" },
	{ "{" T("a", "F32", "[1]", "[0]") "}", SIZE_MAX, 4, "a has no pair" },
	{ "{" T("a", "F32", "[1]", "{\"x\":0,\"y\":4}") "}", SIZE_MAX, 4, "a has no pair" },
	{ "{" T("a", "F32", "[1]", "[4,0]") "}", SIZE_MAX, 4, "a lies outside" },
	{ "{" T("a", "F32", "[1]", "[-4,0]") "}", SIZE_MAX, 4, "a lies outside" },
	{ "{" T("a", "F32", "[1]", "[4,8]") "}", SIZE_MAX, 4, "a lies outside" },
	{ "{" T("a", "F32", "[1]", "[18446744073709551612,18446744073709551616]") "}", SIZE_MAX, 4, "a lies outside" },
	{ "{" T("a", "F32", "[2]", "[0,4]") "}", SIZE_MAX, 4, "a has 4 bytes, its shape needs 8" },
	{ "{" T("a", "F32", "[2]", "[0,8]") "," T("b", "F32", "[2]", "[4,12]") "}", SIZE_MAX, 12, "b overlaps" },
	{ "{" T("a", "F32", "[2]", "[0,8]") "," T("b", "F32", "[2]", "[0,8]") "}", SIZE_MAX, 8, "overlaps" },
	{ "{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[1]", "[8,12]") "}", SIZE_MAX, 12, "hole before the tensor b" },
	{ "{" T("a", "F32", "[1]", "[4,8]") "}", SIZE_MAX, 8, "hole before the tensor a" },
	{ "{" T("a", "F32", "[1]", "[0,4]") "}", SIZE_MAX, 8, "4 bytes behind the last tensor" },
	{ "{" T("a", "F32", "[1]", "[0,4]") "," T("a", "F32", "[1]", "[4,8]") "}", SIZE_MAX, 8, "a" },
	{ "{" T("", "F32", "[1]", "[0,4]") "}", SIZE_MAX, 4, "without a name" },
};

static void
malformed_files_are_refused_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err e = { 0 };
		struct weights *w;

		write_weights(bad[i].header, bad[i].length, six, bad[i].n_bytes);
		w = weights_load(path, "", &e);
		if (w || e.code != ERR_INPUT || !strstr(e.text, bad[i].words))
			fail_msg("case %zu: code %d, \"%s\", wanted \"%s\"", i, e.code, e.text, bad[i].words);
	}
}

static void
values_that_are_not_numbers_are_refused_by_name(void **state)
{
	const float odd[] = { NAN, INFINITY, -INFINITY };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		float values[6];
		struct err e = { 0 };

		memcpy(values, six, sizeof six);
		values[5] = odd[i];
		write_weights(good, SIZE_MAX, values, sizeof values);
		assert_null(weights_load(path, "", &e));
		assert_int_equal(e.code, ERR_INPUT);
		assert_non_null(strstr(e.text, "the tensor b holds"));
	}
}

static void
every_truncation_is_refused(void **state)
{
	struct err e = { 0 };

	(void)state;
	write_weights(good, SIZE_MAX, six, sizeof six);
	for (size_t n = 8 + strlen(good) + sizeof six; n-- > 0;) {
		assert_int_equal(truncate(path, (off_t)n), 0);
		e = (struct err){ 0 };
		assert_null(weights_load(path, "", &e));
		assert_int_equal(e.code, ERR_INPUT);
	}
	unlink(path);
	assert_null(weights_load(path, "", &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	write_weights("", SIZE_MAX, six, 0);   /* for tear_down */
}

static void
the_shipped_model_reads(void **state)
{
	struct err e = { 0 };
	struct weights *w = weights_load("model/shipped/glioma-flair/0.1.0/weights.safetensors",
		"31101439c01b240252c62722452e3c609061ba458bf84d5387ffb2af9a87df96", &e);

	(void)state;
	assert_non_null(w);
	assert_int_equal(weights_size(w), 34);
	assert_int_equal(weights_find(w, "segmentor.enc4.conv.weight")->size, 128 * 64 * 16);
	weights_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_tensors_by_name), cmocka_unit_test(a_scalar_has_no_dimensions), cmocka_unit_test(digest_is_checked),
		cmocka_unit_test(malformed_files_are_refused_by_name), cmocka_unit_test(values_that_are_not_numbers_are_refused_by_name),
		cmocka_unit_test(every_truncation_is_refused), cmocka_unit_test(the_shipped_model_reads),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
