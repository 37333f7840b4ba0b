/* The worker protocol: what is printed is read back the same; whatever else comes is refused with the right code and leaks nothing. */
#include "service/flow/worker_order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const flair_files[] = { "/spool/a b.dcm", "/spool/\"quoted\"\n.dcm", "/spool/\xC3\xA4.dcm" };
static const char *const t1c_files[] = { "/spool/c.dcm" };
static const char *const t1c_frames[] = { "1-20,41" };
static const struct order sample = { .job = 42, .attempt = 3, .created_ms = 1770000000123, .threads = 2, .cpu_seconds = 1200, .model_dir = "/models/glioma-flair/0.1.0",
	.out_dir = "/data/work/42-3", .identity = "node|1.2.3|abc|case 1|run 1", .node_id = "0123456789abcdef",
	.channels = { { .channel = "flair", .paths = flair_files, .n_paths = 3 },
		{ .channel = "t1c", .paths = t1c_files, .n_paths = 1, .frames = t1c_frames, .is_registered = true } }, .n_channels = 2,
	.results = RESULT_SET(RESULT_SEG) | RESULT_SET(RESULT_PREVIEW), .empty_report = true, .rejects_strangers = true };

static void
an_order_comes_back_as_it_was(void **state)
{
	struct order o;
	struct err e = { 0 };
	char *line = order_print(&sample, &e);

	(void)state;
	assert_non_null(line);
	assert_null(strchr(line, '\n')); /* one line a message */
	assert_int_equal(order_parse(line, strlen(line), &o, &e), 0);
	assert_int_equal(o.job, 42);
	assert_int_equal(o.attempt, 3);
	assert_int_equal(o.created_ms, 1770000000123);
	assert_int_equal(o.threads, 2);
	assert_int_equal(o.cpu_seconds, 1200);
	assert_string_equal(o.model_dir, sample.model_dir);
	assert_string_equal(o.out_dir, sample.out_dir);
	assert_string_equal(o.identity, sample.identity);
	assert_string_equal(o.node_id, sample.node_id);
	assert_int_equal(o.n_channels, 2);
	assert_int_equal(o.results, sample.results);
	assert_true(o.empty_report && o.rejects_strangers);
	assert_string_equal(o.channels[0].channel, "flair");
	assert_string_equal(o.channels[1].channel, "t1c");
	assert_int_equal(o.channels[0].n_paths, 3);
	assert_int_equal(o.channels[1].n_paths, 1);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(o.channels[0].paths[i], flair_files[i]);
	assert_string_equal(o.channels[1].paths[0], t1c_files[0]);
	assert_null(o.channels[0].frames);
	assert_false(o.channels[0].is_registered);
	assert_true(o.channels[1].is_registered);
	assert_string_equal(o.channels[1].frames[0], "1-20,41");
	order_release(&o);
	free(line);
}

/* Replaces `from` in a good order by `to`. */
static void
refuse_order(const char *from, const char *to)
{
	struct order o;
	struct err e = { 0 };
	char *line = order_print(&sample, &e), *at = strstr(line, from), text[8192];

	assert_non_null(at);
	snprintf(text, sizeof text, "%.*s%s%s", (int)(at - line), line, to, at + strlen(from));
	assert_int_equal(order_parse(text, strlen(text), &o, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_non_null(strstr(e.text, "worker order"));
	order_release(&o);
	free(line);
}

static void
what_is_no_order_is_refused(void **state)
{
	static const char *const garbage[] = { "", "\n", "{", "[]", "null", "{}", "42", "\xFF\xFE", "{\"job\":1}" };
	char channels[1000] = "\"channels\":[";
	size_t n = strlen(channels);
	struct order o;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
		assert_int_equal(order_parse(garbage[i], strlen(garbage[i]), &o, &e), -1);
		assert_int_equal(e.code, ERR_INPUT);
		order_release(&o);
	}
	refuse_order("\"job\":42", "\"job\":\"42\"");
	refuse_order("\"job\":42", "\"job\":-1");
	refuse_order("\"threads\":2", "\"threads\":1e9");
	refuse_order("\"node_id\":\"0123456789abcdef\",", "");
	refuse_order("\"channel\":\"flair\"", "\"channel\":7");
	refuse_order("\"channel\":\"flair\"", "\"channel\":\"a name of a channel that is longer than any may be\"");
	refuse_order("\"files\":[\"/spool/c.dcm\"]", "\"files\":\"/spool/c.dcm\"");
	refuse_order("\"/spool/c.dcm\"", "\"/spool/c.dcm\",17");
	refuse_order("\"frames\":[\"1-20,41\"]", "\"frames\":[]");
	refuse_order("\"frames\":[\"1-20,41\"]", "\"frames\":[7]");
	refuse_order("\"channels\":", "\"canals\":");
	refuse_order("\"results\":[\"seg\",", "\"results\":[\"poem\",");
	refuse_order("\"results\":[", "\"results\":[7,");
	refuse_order("\"results\":[\"seg\",\"preview\"]", "\"results\":\"seg\"");
	for (size_t i = 0; i <= MODEL_MAX_CHANNELS; i++)
		n += (size_t)snprintf(channels + n, sizeof channels - n, "{\"channel\":\"x\",\"files\":[]},");
	refuse_order("\"channels\":[", channels);
}

static void
no_channel_is_no_order(void **state)
{
	struct order none = sample, o;
	struct err e = { 0 };
	char *line;

	(void)state;
	none.n_channels = 0;
	line = order_print(&none, &e);
	assert_int_equal(order_parse(line, strlen(line), &o, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	order_release(&o);
	free(line);
}

static void
answers_come_back_as_they_were(void **state)
{
	struct segment_result r = { .present = true, .n_segments = 1, .segments = { { 1, "Whole tumour", 23.4567 } }, .n_outputs = 1, .outputs = { { RESULT_SEG, "2.25.1", "2.25.2", 9, 1 } },
		.read_ms = 1, .prepare_ms = 2, .segment_ms = 3, .write_ms = 4 };
	struct err e = { 0 }, why = { ERR_LIMIT, "no memory for \"it\"" };
	struct answer a;
	char *line;

	(void)state;
	line = answer_progress(0.25, &e);
	assert_int_equal(answer_parse(line, strlen(line), &a, &e), 0);
	assert_int_equal(a.kind, ANSWER_PROGRESS);
	assert_true(a.progress == 0.25);
	answer_release(&a);
	free(line);

	line = answer_result(&r, &e);
	assert_int_equal(answer_parse(line, strlen(line), &a, &e), 0);
	assert_int_equal(a.kind, ANSWER_RESULT);
	assert_true(a.present);
	assert_string_equal(a.flags, "{}");
	assert_string_equal(a.segments, "[{\"number\":1,\"label\":\"Whole tumour\",\"volume_ml\":23.457}]");
	assert_string_equal(a.results, "[{\"kind\":\"seg\",\"series_uid\":\"2.25.1\",\"sop_instance_uid\":\"2.25.2\",\"frames\":9}]");
	assert_string_equal(a.timings, "{\"read\":1,\"prepare\":2,\"segment\":3,\"write\":4}");
	answer_release(&a);
	free(line);

	snprintf(r.out_of_distribution, sizeof r.out_of_distribution, "head of 310 \"ml\"");
	for (int is_error = 0; is_error < 2; is_error++) {
		line = is_error ? answer_error(&why, &r, &e) : answer_result(&r, &e);
		assert_int_equal(answer_parse(line, strlen(line), &a, &e), 0);
		assert_string_equal(a.flags, "{\"out_of_distribution\":\"out of distribution: head of 310 \\\"ml\\\"\"}");
		answer_release(&a);
		free(line);
	}
	r.out_of_distribution[0] = '\0';
	for (enum err_code c = ERR_INPUT; c < ERR_N_CODES; c++) {
		why.code = c;
		line = answer_error(&why, &r, &e);
		assert_int_equal(answer_parse(line, strlen(line), &a, &e), 0);
		assert_int_equal(a.kind, ANSWER_ERROR);
		assert_int_equal(a.error.code, c);
		assert_string_equal(a.error.text, why.text);
		assert_null(a.flags);
		answer_release(&a);
		free(line);
	}
}

/* A broken process is not the images' fault: never ERR_INPUT, which rejects the job for good, and always what may pass. */
static void
garbage_is_the_processes_fault(void **state)
{
	static const char *const garbage[] = { "", "Segmentation fault", "{", "[]", "{}", "\xC0\x80", "{\"progress\":\"half\"}", "{\"progress\":-0.1}", "{\"progress\":1e300}",
		"{\"result\":{}}", "{\"result\":7}", "{\"result\":{\"segments\":[],\"results\":[]}}", "{\"result\":{\"segments\":[],\"results\":{},\"timings\":{}}}",
		"{\"result\":{\"segments\":1,\"results\":[],\"timings\":{}}}", "{\"result\":{\"segments\":[],\"results\":[],\"timings\":{}}}",
		"{\"result\":{\"flags\":{\"a\":1},\"segments\":[],\"results\":[],\"timings\":{}}}", "{\"error\":{\"flags\":[\"a\"]}}" };
	struct answer a;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
		assert_int_equal(answer_parse(garbage[i], strlen(garbage[i]), &a, &e), -1);
		assert_int_equal(e.code, ERR_PEER);
		assert_non_null(strstr(e.text, "worker answer"));
		answer_release(&a);
	}
	assert_int_equal(answer_parse("{\"error\":{\"code\":\"strange\"}}", 28, &a, &e), 0);
	assert_int_equal(a.error.code, ERR_BUG);
	assert_true(a.error.text[0] != '\0');
	answer_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_order_comes_back_as_it_was), cmocka_unit_test(what_is_no_order_is_refused), cmocka_unit_test(no_channel_is_no_order),
		cmocka_unit_test(answers_come_back_as_they_were), cmocka_unit_test(garbage_is_the_processes_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
