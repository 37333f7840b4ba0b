/* JSON: what is refused and on which line, the table of keys, what is printed. */
#include "config/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct json_doc *
parse(const char *text, unsigned flags, struct err *e)
{
	/* Exactly n bytes on the heap, so that a sanitizer sees a read behind the end. */
	size_t n = strlen(text);
	char *copy = malloc(n + (n == 0));
	struct json_doc *d;

	assert_non_null(copy);
	memcpy(copy, text, n);
	d = json_parse(copy, n, flags, e);
	free(copy);
	return d;
}

static const struct {
	const char *text, *error; /* error NULL: accepted */
	unsigned flags;
} texts[] = {
	{ "{}", NULL, 0 },
	{ " [ ] ", NULL, 0 },
	{ "0", NULL, 0 },
	{ "-0.5e+3", NULL, 0 },
	{ "\"\\ud83d\\ude00 \xF0\x9F\x98\x80\"", NULL, 0 },
	{ "[null,true,false]", NULL, 0 },
	{ "{\"a\":1,\"A\":2}", NULL, 0 },
	{ "{\"a\": {\"x\":1}, \"b\": {\"x\":1}}", NULL, 0 },
	{ "", "line 1: the text ends where a value should be", 0 },
	{ "  \n ", "line 2: the text ends", 0 },
	{ "{", "line 1: the text ends where a key in quotes should be", 0 },
	{ "{\"a\":1,}", "line 1: '}' where a key", 0 },
	{ "[1,]", "line 1: ']' where a value", 0 },
	{ "[1 2]", "line 1: '2' where ',' or ']'", 0 },
	{ "{\"a\" 1}", "line 1: '1' where ':'", 0 },
	{ "{a:1}", "line 1: 'a' where a key", 0 },
	{ "[1]\nx", "line 2: 'x' where the end of the text", 0 },
	{ "{} {}", "where the end of the text", 0 },
	{ "[01]", "'1' where ',' or ']'", 0 },
	{ "[+1]", "'+' where a value", 0 },
	{ "[.5]", "'.' where a value", 0 },
	{ "[1.]", "']' where a digit", 0 },
	{ "[1e]", "']' where a digit", 0 },
	{ "[-]", "']' where a digit", 0 },
	{ "[NaN]", "'N' where a value", 0 },
	{ "[nul]", "'n' where a value", 0 },
	{ "[truex]", "'x' where ','", 0 },
	{ "[1e999]", "the number 1e999 is too large", 0 },
	{ "[1234567890123456789012345678901234567890123456789012345678901]", "more than 60 characters", 0 },
	{ "[\"a]", "a string that does not end", 0 },
	{ "[\"a\nb\"]", "line 1: control character 0x0a in a string", 0 },
	{ "[\"\\x\"]", "behind a backslash", 0 },
	{ "[\"\\u12g4\"]", "a hexadecimal digit", 0 },
	{ "[\"\\u0000\"]", "\\u0000 in a string", 0 },
	{ "[\"\\ud800\"]", "without the second", 0 },
	{ "[\"\\ud800\\u0041\"]", "without the second", 0 },
	{ "[\"\\udc00\"]", "without the first", 0 },
	{ "[\"\xff\"]", "byte 0xff in a string is not UTF-8", 0 },
	{ "[\"\xC0\x80\"]", "is not UTF-8", 0 },
	{ "[\"\xED\xA0\x80\"]", "is not UTF-8", 0 },
	{ "[\"\xE2\x80", "is not UTF-8", 0 },
	{ "\xEF\xBB\xBF{}", "byte order mark", 0 },
	{ "{\"a\":1,\n\"b\":2,\n\"a\":3}", "line 3: key 'a' is there twice (first on line 1)", 0 },
	{ "[{\"x\":[\n{\"b\":1,\"\\u0062\":2}]}]", "line 2: key 'b' is there twice", 0 },
	{ "[1] // end", "line 1: '/': comments are not allowed", 0 },
	{ "// first\n{/* a */\"a\"/**/:/***/1/* \n */} // end", NULL, JSON_COMMENTS },
	{ "{} // without line end", NULL, JSON_COMMENTS },
	{ "[\"// not a comment /* \"]", NULL, JSON_COMMENTS },
	{ "{}\n/* never ends\n\n", "line 2: a comment that does not end", JSON_COMMENTS },
	{ "{} /*/", "a comment that does not end", JSON_COMMENTS },
	{ "{} /*", "a comment that does not end", JSON_COMMENTS },
	{ "{} /", "a single '/'", JSON_COMMENTS },
	{ "/* a\nb */ [\nx]", "line 3: 'x' where a value", JSON_COMMENTS },
	{ "1/**/2", "'2' where the end", JSON_COMMENTS },
};

static void
texts_are_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct err e = { 0 };
		struct json_doc *d = parse(texts[i].text, texts[i].flags, &e);
		if (texts[i].error == NULL && d == NULL)
			fail_msg("%s: refused: %s", texts[i].text, e.text);
		if (texts[i].error != NULL && d != NULL)
			fail_msg("%s: accepted", texts[i].text);
		if (texts[i].error != NULL && (e.code != ERR_INPUT || strstr(e.text, texts[i].error) == NULL))
			fail_msg("%s: '%s' instead of '%s'", texts[i].text, e.text, texts[i].error);
		json_doc_free(d);
	}
}

static void
a_zero_byte_is_refused(void **state)
{
	struct err e;

	(void)state;
	assert_null(json_parse("[1]\0", 4, 0, &e));
	assert_non_null(strstr(e.text, "byte 0x00"));
}

static void
depth_is_bounded(void **state)
{
	char text[2 * JSON_MAX_DEPTH + 3];
	struct err e;
	struct json_doc *d;
	char *deep = malloc(1000000);

	(void)state;
	memset(text, '[', JSON_MAX_DEPTH);
	memset(text + JSON_MAX_DEPTH, ']', JSON_MAX_DEPTH);
	d = json_parse(text, 2 * JSON_MAX_DEPTH, 0, &e);
	assert_non_null(d);
	json_doc_free(d);
	memset(text, '[', JSON_MAX_DEPTH + 1);
	memset(text + JSON_MAX_DEPTH + 1, ']', JSON_MAX_DEPTH + 1);
	assert_null(json_parse(text, 2 * JSON_MAX_DEPTH + 2, 0, &e));
	assert_non_null(strstr(e.text, "more than 64 levels"));
	d = json_parse("[[1]]", 5, JSON_DEPTH(2), &e);
	assert_non_null(d);
	json_doc_free(d);
	assert_null(json_parse("[[[]]]", 6, JSON_DEPTH(2), &e));
	assert_non_null(strstr(e.text, "more than 2 levels"));
	assert_non_null(deep);
	memset(deep, '[', 1000000);
	assert_null(json_parse(deep, 1000000, 0, &e));
	free(deep);
}

static void
the_number_of_values_is_bounded(void **state)
{
	size_t n = 2 * (size_t)JSON_MAX_VALUES + 1; /* an array of JSON_MAX_VALUES items is one value too many */
	char *text = malloc(n);
	struct err e;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < n; i++)
		text[i] = i % 2 == 0 ? ',' : '0';
	text[0] = '[';
	text[n - 1] = ']';
	assert_null(json_parse(text, n, 0, &e));
	assert_non_null(strstr(e.text, "values"));
	free(text);
}

static void
lines_are_known(void **state)
{
	struct err e;
	struct json_doc *d = parse("// head\n{\n \"a\":\n 1,\n \"b\": [2,\n\n {\"c\": 3}]}", JSON_COMMENTS, &e);
	const struct json *b, *item;

	(void)state;
	assert_non_null(d);
	assert_int_equal(json_line(d, json_root(d)), 2);
	assert_int_equal(json_line(d, json_get(json_root(d), "a")), 3);
	b = json_get(json_root(d), "b");
	assert_int_equal(json_line(d, b), 5);
	item = json_next(json_first(b));
	assert_int_equal(json_line(d, item), 7);
	assert_int_equal(json_line(d, json_get(item, "c")), 7);
	assert_int_equal(json_line(d, NULL), 0);
	assert_int_equal(json_line(NULL, b), 0);
	json_doc_free(d);
}

static void
values_are_read(void **state)
{
	struct err e;
	struct json_doc *d = parse("{\"t\":\"x\",\"n\":-2.5,\"y\":true,\"z\":null,\"l\":[1,\"2\"],\"Key\":1,\"key\":2}", 0, &e);
	const struct json *r, *l;

	(void)state;
	assert_non_null(d);
	r = json_root(d);
	assert_string_equal(json_text(json_get(r, "t")), "x");
	assert_null(json_text(json_get(r, "n")));
	assert_true(json_number(json_get(r, "n"), 0) == -2.5);
	assert_true(json_number(json_get(r, "t"), 7) == 7);
	assert_true(json_bool(json_get(r, "y"), false));
	assert_true(json_bool(json_get(r, "z"), true));
	assert_int_equal(json_type(json_get(r, "z")), JSON_NULL);
	assert_int_equal(json_type(NULL), JSON_NULL);
	l = json_get(r, "l");
	assert_int_equal(json_size(l), 2);
	assert_null(json_key(json_first(l)));
	assert_string_equal(json_key(l), "l");
	assert_null(json_get(l, "t"));
	assert_null(json_get(NULL, "t"));
	assert_true(json_number(json_get(r, "key"), 0) == 2);
	assert_null(json_get(r, "KEY"));
	assert_int_equal(json_size(json_get(r, "t")), 0);
	json_doc_free(d);
}

struct sample {
	char name[5];
	bool on;
	int64_t count;
	double ratio;
};
static const struct json_field sample_fields[] = {
	{ "name", FIELD_STRING, offsetof(struct sample, name), sizeof((struct sample *)0)->name, 0, 0, true, true },
	{ "on", FIELD_BOOL, offsetof(struct sample, on), 0, 0, 0, false, false },
	{ "count", FIELD_INT, offsetof(struct sample, count), 0, -1, 1e15, false, true },
	{ "ratio", FIELD_DOUBLE, offsetof(struct sample, ratio), 0, 0, 1, false, false },
};

static int
read_sample(const char *text, bool some, struct sample *to, struct err *e)
{
	struct json_doc *d = parse(text, 0, e);
	int result;

	assert_non_null(d);
	result = (some ? json_read_some : json_read)(d, json_root(d), sample_fields, 4, "box", to, e);
	json_doc_free(d);
	return result;
}

static void
fields_fill_a_struct(void **state)
{
	struct sample s = { "old", false, 5, 0.5 };
	struct err e;

	(void)state;
	assert_int_equal(read_sample("{\"name\":\"abcd\",\"on\":true,\"count\":-1}", false, &s, &e), 0);
	assert_string_equal(s.name, "abcd");
	assert_true(s.on);
	assert_int_equal(s.count, -1);
	assert_true(s.ratio == 0.5);
	assert_int_equal(read_sample("{\"name\":null,\"count\":null,\"ratio\":1,\"other\":1}", true, &s, &e), 0);
	assert_string_equal(s.name, "");
	assert_int_equal(s.count, -1);
	assert_true(s.ratio == 1);
}

static void
fields_complain_in_words(void **state)
{
	static const struct {
		const char *text, *error;
	} bad[] = {
		{ "{\n\"nam\":1}", "line 2: box.nam: unknown key" },
		{ "{\"on\":true}", "line 1: box.name is missing" },
		{ "{\"name\":\n1}", "line 1: box.name must be a string or null" },
		{ "{\"name\":\"abcde\"}", "box.name is longer than 4 bytes" },
		{ "{\"name\":\"\",\n\"on\":1}", "line 2: box.on must be true or false" },
		{ "{\"name\":\"\",\"on\":null}", "box.on must be true or false" },
		{ "{\"name\":\"\",\"count\":1.5}", "box.count must be a whole number or null" },
		{ "{\"name\":\"\",\"count\":\"1\"}", "box.count must be a whole number or null" },
		{ "{\"name\":\"\",\"count\":-2}", "box.count is -2, but must be from -1 to 1e+15" },
		{ "{\"name\":\"\",\"count\":9007199254740993}", "box.count must be a whole number" },
		{ "{\"name\":\"\",\"ratio\":1.5}", "box.ratio is 1.5, but must be from 0 to 1" },
		{ "{\"name\":\"\",\"ratio\":true}", "box.ratio must be a number" },
		{ "[]", "line 1: box must be an object" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct sample s = { .name = "" };
		struct err e = { 0 };
		if (read_sample(bad[i].text, false, &s, &e) == 0)
			fail_msg("%s: accepted", bad[i].text);
		if (e.code != ERR_INPUT || strstr(e.text, bad[i].error) == NULL)
			fail_msg("%s: '%s' instead of '%s'", bad[i].text, e.text, bad[i].error);
	}
}

static void
expect_print(const struct json *v, bool pretty, const char *wanted)
{
	struct err e;
	char *text = json_print(v, pretty, &e);

	assert_non_null(text);
	assert_string_equal(text, wanted);
	free(text);
}

static void
numbers_are_exact(void **state)
{
	struct json *o = json_new_object(), *a = json_new_array();
	double awkward[] = { 0.1, 1.0 / 3, 5e-324, 1.7976931348623157e308, 0.30000000000000004, 123456789.123456789 };

	(void)state;
	json_set_int(o, "max", INT64_MAX);
	json_set_int(o, "min", INT64_MIN);
	json_set_int(o, "odd", 9007199254740993);
	json_set_number(o, "inf", INFINITY);
	json_set_number(o, "nan", NAN);
	json_set_number(o, "big", 1e20);
	json_set_number(o, "whole", 3.0);
	expect_print(o, false, "{\"max\":9223372036854775807,\"min\":-9223372036854775808,\"odd\":9007199254740993,\"inf\":null,\"nan\":null,\"big\":1e+20,\"whole\":3}");
	assert_int_equal(json_type(json_get(o, "odd")), JSON_NUMBER);
	assert_true(json_number(json_get(o, "max"), 0) == 9223372036854775807.0);
	for (size_t i = 0; i < sizeof awkward / sizeof awkward[0]; i++)
		json_add_number(a, awkward[i]);
	{
		struct err e;
		char *text = json_print(a, false, &e);
		struct json_doc *d = parse(text, 0, &e);
		const struct json *item = json_first(json_root(d));
		for (size_t i = 0; i < sizeof awkward / sizeof awkward[0]; i++, item = json_next(item))
			assert_true(json_number(item, 0) == awkward[i]);
		json_doc_free(d);
		free(text);
	}
	json_free(o);
	json_free(a);
}

static void
strings_are_escaped(void **state)
{
	struct json *o = json_new_object();

	(void)state;
	json_set_string(o, "s", "a\"\\\b\f\n\r\t\x01\x7f</script>&\xE2\x80\xA8 \xC3\xA4\xC2\x9B" "31m\xC2\x80\xC2\xA0");
	json_set_string(o, "bad", "x\xFFy\xC3");
	json_set_string(o, "none", NULL);
	json_set_string(o, "k\xFF<", "");
	expect_print(o, false,
		"{\"s\":\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u007f\\u003c/script\\u003e\\u0026\\u2028 \xC3\xA4\\u009b31m\\u0080\xC2\xA0\",\"bad\":\"x\xEF\xBF\xBDy\xEF\xBF\xBD\",\"none\":null,"
		"\"k\xEF\xBF\xBD\\u003c\":\"\"}");
	json_free(o);
}

static void
trees_are_built(void **state)
{
	struct json *o = json_new_object(), *a = json_new_array(), *copy;

	(void)state;
	json_set_bool(o, "b", true);
	json_set_null(o, "z");
	json_add_string(a, "one");
	json_add_number(a, 2);
	json_set(o, "a", a);
	json_set(o, "e", json_new_array());
	json_set(o, "o", json_new_object());
	json_set_int(o, "b", 1); /* replaces, in its place */
	expect_print(o, false, "{\"b\":1,\"z\":null,\"a\":[\"one\",2],\"e\":[],\"o\":{}}");
	expect_print(o, true, "{\n  \"b\": 1,\n  \"z\": null,\n  \"a\": [\"one\", 2],\n  \"e\": [],\n  \"o\": {}\n}\n");
	copy = json_copy(json_get(o, "a"));
	json_free(o);
	expect_print(copy, false, "[\"one\",2]");
	json_free(copy);
}

static void
lost_memory_is_noticed(void **state)
{
	struct json *o = json_new_object(), *child = json_new_object();
	struct err e = { 0 };

	(void)state;
	json_set(child, "lost", NULL); /* what a failed json_new_object leaves */
	json_set(o, "child", child);
	assert_null(json_print(o, false, &e));
	assert_int_equal(e.code, ERR_LIMIT);
	json_free(o);
	assert_null(json_print(NULL, false, &e));
	json_set_int(NULL, "x", 1);
}

static void
a_file_is_named_in_the_error(void **state)
{
	char path[] = "/tmp/test_json.XXXXXX";
	int fd = mkstemp(path);
	struct err e = { 0 };

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "{\n!", 3), 3);
	close(fd);
	assert_null(json_load(path, 0, &e));
	assert_int_equal(strncmp(e.text, path, strlen(path)), 0);
	assert_non_null(strstr(e.text, ": line 2: '!'"));
	unlink(path);
	assert_null(json_load(path, 0, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_judged), cmocka_unit_test(a_zero_byte_is_refused), cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(the_number_of_values_is_bounded), cmocka_unit_test(lines_are_known), cmocka_unit_test(values_are_read),
		cmocka_unit_test(fields_fill_a_struct), cmocka_unit_test(fields_complain_in_words), cmocka_unit_test(numbers_are_exact),
		cmocka_unit_test(strings_are_escaped), cmocka_unit_test(trees_are_built), cmocka_unit_test(lost_memory_is_noticed),
		cmocka_unit_test(a_file_is_named_in_the_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
