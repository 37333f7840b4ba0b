/* Settings: the defaults are those of DESIGN.md, a bad file is refused by line and key, what is printed is read back as the same. */
#include "config/settings.h"

#include <math.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct settings *
parse(const char *text, struct err *e)
{
	return settings_parse(text, strlen(text), "my.json", e);
}

static void
defaults_are_the_contract(void **state)
{
	struct err e;
	struct settings *s = settings_load(NULL, &e);

	(void)state;
	if (s == NULL)
		fail_msg("%s", e.text);
	assert_string_equal(s->file, "");
	assert_string_equal(s->data_dir, "/var/lib/segand");
	assert_string_equal(s->models_dir, "/usr/share/segand/models");
	assert_string_equal(s->trainings_dir, "");
	assert_string_equal(s->dicom.aet, "SEGAN");
	assert_string_equal(s->dicom.move_aet, "");
	assert_string_equal(s->dicom.bind, "0.0.0.0");
	assert_int_equal(s->dicom.port, 11112);
	assert_int_equal(s->dicom.n_peers, 0);
	assert_false(s->dicom.accept_unknown_peers);
	assert_false(s->dicom.check_called_aet);
	assert_int_equal(s->dicom.max_associations, 64);
	assert_int_equal(s->dicom.max_pdu, 131072);
	assert_int_equal(s->dicom.idle_timeout, 60);
	assert_int_equal(s->dicom.max_instance_mb, 1024);
	assert_string_equal(s->http.bind, "127.0.0.1");
	assert_int_equal(s->http.port, 8080);
	assert_string_equal(s->http.tokens_file, "");
	assert_int_equal(s->http.max_connections, 256);
	assert_int_equal(s->http.max_body_mb, 2048);
	assert_int_equal(s->http.idle_timeout, 60);
	assert_int_equal(s->series_complete_trigger, 30);
	assert_int_equal(s->series_interrupted_trigger, 600);
	assert_int_equal(s->study_forcecomplete_trigger, 5400);
	assert_int_equal(s->n_models, 1);
	assert_string_equal(s->models[0].name, "glioma-flair");
	assert_string_equal(s->models[0].version, "");
	assert_int_equal(s->models[0].n_destinations, 0);
	assert_int_equal(s->n_destinations, 0);
	assert_int_equal(s->workers, 1);
	assert_int_equal(s->threads, 0);
	assert_int_equal(s->max_attempts, 3);
	assert_int_equal(s->job_timeout, 600);
	assert_int_equal(s->worker_memory_mb, 4096);
	assert_int_equal(s->retry_delay, 30);
	assert_int_equal(s->retry_max, 600);
	assert_int_equal(s->retry_give_up, 259200);
	assert_int_equal(s->disk_reserve_mb, 1024);
	assert_int_equal(s->retention_days, 14);
	assert_int_equal(s->retention_max_mb, 0);
	assert_string_equal(s->core_type, "");
	assert_string_equal(s->log_level, "info");
	assert_true(s->n_rules > 0);
	settings_free(s);
}

/* A file may say everything that segand.json says; what is printed holds the same keys. */
static void
same_keys(const struct json *a, const struct json *b, const char *where)
{
	for (const struct json *m = json_first(a); m != NULL; m = json_next(m)) {
		const struct json *other = json_get(b, json_key(m));
		if (other == NULL)
			fail_msg("%s%s is missing in the other", where, json_key(m));
		if (json_type(m) == JSON_OBJECT)
			same_keys(m, other, json_key(m));
	}
}

static void
the_default_file_is_complete(void **state)
{
	struct err e;
	struct settings *s = settings_load(NULL, &e);
	char *printed = settings_print(s, &e);
	const char *text = settings_default_text();
	struct json_doc *a = json_parse(text, strlen(text), JSON_COMMENTS, &e), *b = json_parse(printed, strlen(printed), 0, &e);

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	same_keys(json_root(a), json_root(b), "");
	same_keys(json_root(b), json_root(a), "");
	json_doc_free(a);
	json_doc_free(b);
	free(printed);
	settings_free(s);
}

static void
the_compiled_text_is_the_file(void **state)
{
	struct err e;
	struct settings *from_file = settings_load("config/segand.json", &e), *compiled = settings_load(NULL, &e);
	char *a, *b;

	(void)state;
	if (from_file == NULL)
		fail_msg("%s", e.text);
	a = settings_print(from_file, &e);
	b = settings_print(compiled, &e);
	assert_string_equal(a, b);
	free(a);
	free(b);
	settings_free(from_file);
	settings_free(compiled);
}

static const char full[] =
	"{ // everything at once\n"
	"\"data_dir\": \"/d\", \"models_dir\": \"m\", \"trainings_dir\": \"/t\",\n"
	"\"dicom\": {\"aet\": \"A B\", \"bind\": \"::1\", \"port\": 0, \"peers\": {\"MR1\": {\"aet\": \"MR1\", \"host\": \"10.0.0.7\", \"port\": 104}, \"any\": {\"aet\": \"X\", \"host\": null, \"port\": 4}},\n"
	"  \"accept_unknown_peers\": true, \"check_called_aet\": true, \"move_aet\": \"MOVE\", \"max_associations\": 2, \"max_pdu\": 16384, \"idle_timeout\": 1, \"max_instance_mb\": 7},\n"
	"\"http\": {\"bind\": \"0.0.0.0\", \"port\": 0, \"tokens_file\": null, \"max_connections\": 5, \"max_body_mb\": 6, \"idle_timeout\": 7},\n"
	"\"series_complete_trigger\": 1, \"series_interrupted_trigger\": 2, \"study_forcecomplete_trigger\": 3,\n"
	"\"rules\": [{\"name\": \"r\", \"channel\": \"flair\", \"where\": {\"Modality\": \"MR\", \"EchoTime\": [80, null], \"NumberOfSlices\": [null, 99.5], \"0018,0080\": 5},\n"
	"  \"not\": {\"ImageType\": \"<loc&>\\\\\\\\\"}, \"fallback\": true}],\n"
	"\"models\": [{\"name\": \"a@1.0\", \"destinations\": [\"pacs\", \"back\"], \"empty_report\": true}, {\"name\": \"b\", \"results\": [\"preview\"]}],\n"
	"\"destinations\": {\"pacs\": {\"type\": \"dimse\", \"aet\": \"PACS\", \"host\": \"pacs.example\", \"port\": 104, \"calling_aet\": \"ME\", \"timeout\": 9},\n"
	"  \"cloud\": {\"type\": \"stow\", \"url\": \"https://h:8/dicom-web//\", \"token_file\": \"/f\", \"ca_file\": \"/c\", \"results\": [\"rtstruct\", \"seg\"]}, \"back\": {\"type\": \"sender\"}},\n"
	"\"archives\": {\"w\": {\"type\": \"dicomweb\", \"url\": \"http://h/w\"}, \"d\": {\"type\": \"dimse\", \"aet\": \"A\", \"host\": \"h\", \"port\": 1}, \"f\": {\"type\": \"folder\", \"path\": \"/p\"}},\n"
	"\"workers\": 2, \"threads\": 3, \"max_attempts\": 4, \"job_timeout\": 5, \"worker_memory_mb\": 512, \"core_type\": \"HASWELL\",\n"
	"\"retry_delay\": 1, \"retry_max\": 2, \"retry_give_up\": 3, \"disk_reserve_mb\": 0, \"retention\": {\"days\": 0, \"max_mb\": 1}, \"log_level\": \"debug\"}\n";

static void
a_full_file_is_taken(void **state)
{
	struct err e;
	struct settings *s = parse(full, &e);
	const struct destination_setting *to;
	struct archive_setting archive;

	(void)state;
	if (s == NULL)
		fail_msg("%s", e.text);
	assert_string_equal(s->file, "my.json");
	assert_int_equal(s->dicom.n_peers, 2);
	assert_string_equal(s->dicom.peers[0].name, "MR1");
	assert_string_equal(s->dicom.peers[1].host, "");
	assert_string_equal(s->models[0].name, "a");
	assert_string_equal(s->models[0].version, "1.0");
	assert_string_equal(s->models[0].destinations[1], "back");
	assert_int_equal(s->models[1].n_destinations, 0);
	assert_int_equal(s->models[0].results, RESULT_SET(RESULT_SEG) | RESULT_SET(RESULT_REPORT));
	assert_true(s->models[0].empty_report && !s->models[1].empty_report);
	assert_int_equal(s->models[1].results, RESULT_SET(RESULT_PREVIEW));
	assert_int_equal(settings_destination(s, "pacs")->results, RESULT_SET(RESULT_SEG));
	assert_int_equal(settings_destination(s, "cloud")->results, RESULT_SET(RESULT_SEG) | RESULT_SET(RESULT_RTSTRUCT));
	assert_int_equal(s->n_rules, 1);
	assert_int_equal(s->rules[0].line, 7);
	assert_true(s->rules[0].fallback);
	assert_int_equal(s->rules[0].n_where, 4);
	assert_string_equal(s->rules[0].where[0].pattern, "MR");
	assert_null(s->rules[0].where[1].pattern);
	assert_true(s->rules[0].where[1].min == 80 && isinf(s->rules[0].where[1].max));
	assert_true(s->rules[0].where[2].min == -INFINITY && s->rules[0].where[2].max == 99.5);
	assert_true(s->rules[0].where[3].min == 5 && s->rules[0].where[3].max == 5);
	assert_int_equal(s->rules[0].unless[0].line, 8);
	assert_string_equal(s->rules[0].unless[0].pattern, "<loc&>\\\\");
	to = settings_destination(s, "cloud");
	assert_string_equal(to->url, "https://h:8/dicom-web");
	assert_int_equal(to->timeout, 60);
	assert_int_equal(settings_destination(s, "back")->type, DESTINATION_SENDER);
	assert_null(settings_destination(s, "nowhere"));
	assert_int_equal(settings_archive(s, "w", &archive, &e), 0);
	assert_int_equal(archive.type, ARCHIVE_DICOMWEB);
	assert_string_equal(archive.remote.url, "http://h/w");
	assert_int_equal(settings_archive(s, "d", &archive, &e), 0);
	assert_true(archive.type == ARCHIVE_DIMSE && archive.remote.port == 1 && archive.remote.timeout == 60);
	assert_int_equal(settings_archive(s, "f", &archive, &e), 0);
	assert_true(archive.type == ARCHIVE_FOLDER && strcmp(archive.path, "/p") == 0);
	assert_int_equal(settings_archive(s, "x", &archive, &e), -1);
	assert_true(e.code == ERR_NOT_FOUND && strstr(e.text, "w, d, f"));
	settings_free(s);
}

static void
what_is_printed_is_read_back(void **state)
{
	static const char *const texts[] = { "{}", full, "{\"rules\": [], \"models\": []}" };
	static const char *const kept[] = { "\"path\": \"/p\"", "\"fallback\": true", "\"EchoTime\": [80, null]", "\"0018,0080\": [5, 5]", "\"name\": \"a@1.0\"", "[\"pacs\", \"back\"]",
		"\"calling_aet\": \"ME\"", "\"max_pdu\": 16384", "\"tokens_file\": null", "\"retry_give_up\": 3", "\"max_mb\": 1", "\"host\": null",
		"[\"seg\", \"rtstruct\"]", "\"empty_report\": true" };
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct settings *s = parse(texts[i], &e), *again;
		char *first = settings_print(s, &e), *second;
		again = parse(first, &e);
		if (again == NULL)
			fail_msg("%s", e.text);
		second = settings_print(again, &e);
		assert_string_equal(first, second);
		for (size_t k = 0; i == 1 && k < sizeof kept / sizeof kept[0]; k++)
			if (strstr(first, kept[k]) == NULL)
				fail_msg("%s is lost", kept[k]);
		free(first);
		free(second);
		settings_free(s);
		settings_free(again);
	}
}

#define RULE(where) "{\"rules\": [\n{\"name\": \"r\", \"channel\": \"c\",\n\"where\": " where "}]}"
#define TO(text) "{\"destinations\": {\n\"d\": " text "}}"
#define PEER(text) "{\"dicom\": {\"peers\": {\n\"p\": " text "}}}"

static void
bad_files_are_refused_by_line_and_key(void **state)
{
	static const struct {
		const char *text, *error;
	} bad[] = {
		{ "", "my.json: line 1: the text ends" },
		{ "[]", "my.json: line 1: the text must be an object" },
		{ "{\n\"prot\": 1}", "my.json: line 2: prot: unknown key" },
		{ "{\"workers\": 1,\n\"workers\": 2}", "line 2: key 'workers' is there twice" },
		{ "{\n\n\"workers\": \"1\"}", "line 3: workers must be a whole number" },
		{ "{\"workers\": 0}", "line 1: workers is 0, but must be from 1 to 256" },
		{ "{\"workers\": 1.5}", "workers must be a whole number" },
		{ "{\"data_dir\": \"\"}", "line 1: data_dir is empty" },
		{ "{\"data_dir\": null}", "data_dir must be a string" },
		{ "{\"models_dir\": \"\"}", "line 1: models_dir is empty" },
		{ "{\"log_level\":\n \"loud\"}", "line 1: log_level must be \"debug\"" },
		{ "{\"retry_max\": 5}", "line 1: retry_max (5 s) is less than retry_delay (30 s)" },
		{ "{\n\"retry_delay\": 700}", "line 2: retry_max (600 s) is less" },
		{ "{\"core_type\": \"a b\"}", "line 1: core_type: the name" },
		{ "{\"dicom\": 1}", "line 1: dicom must be an object" },
		{ "{\"dicom\": {\n\"porr\": 1}}", "line 2: dicom.porr: unknown key" },
		{ "{\"dicom\": {\"port\": 65536}}", "dicom.port is 65536, but must be from 0 to 65535" },
		{ "{\"dicom\": {\"bind\": \"localhost\"}}", "dicom.bind 'localhost' is not an IP address" },
		{ "{\"dicom\": {\"aet\": \"ABCDEFGHIJKLMNOPQ\"}}", "dicom.aet is longer than 16 bytes" },
		{ "{\"dicom\": {\"aet\": \"A\\\\B\"}}", "line 1: dicom.aet holds a backslash" },
		{ "{\"dicom\": {\"aet\": \"A\\nB\"}}", "dicom.aet holds a backslash or a character" },
		{ "{\"dicom\": {\"aet\": \"\"}}", "dicom.aet must be 1 to 16 characters" },
		{ "{\"dicom\": {\"aet\": \"A \"}}", "dicom.aet begins or ends with a space" },
		{ "{\"dicom\": {\"move_aet\": \"SEGAN\"}}", "dicom.move_aet must differ from dicom.aet" },
		{ "{\"dicom\": {\"accept_unknown_peers\": 1}}", "dicom.accept_unknown_peers must be true or false" },
		{ "{\"dicom\": {\"peers\": []}}", "dicom.peers must be an object" },
		{ PEER("{}"), "line 2: dicom.peers.p.aet is missing" },
		{ PEER("{\"aet\": \"A\\\\\"}"), "line 2: dicom.peers.p.aet holds a backslash" },
		{ PEER("{\"aet\": \"A\", \"ip\": \"\"}"), "line 2: dicom.peers.p.ip: unknown key" },
		{ "{\"dicom\": {\"peers\": {\"a b\": {\"aet\": \"A\"}}}}", "dicom.peers: the name 'a b'" },
		{ "{\"http\": {\"tokens_file\": \"/t\"}}", "line 1: http.tokens_file: not supported yet" },
		{ "{\"http\": {\n\"tls_certificate\": \"/t\"}}", "line 2: http.tls_certificate: not supported yet" },
		{ "{\"http\": {\"tls_key\": \"/t\"}}", "http.tls_key: not supported yet" },
		{ "{\"http\": {\"bind\": \"\"}}", "http.bind '' is not an IP address" },
		{ "{\"retention\": {\"days\": -1}}", "retention.days is -1" },
		{ "{\"destinations\": []}", "destinations must be an object" },
		{ TO("{}"), "line 2: destinations.d.type must be" },
		{ TO("{\"type\": \"ftp\"}"), "line 2: destinations.d.type must be \"dimse\", \"stow\" or \"sender\"" },
		{ TO("{\"type\": \"dimse\", \"host\": \"h\", \"port\": 1}"), "line 2: destinations.d.aet is missing" },
		{ TO("{\"type\": \"dimse\", \"aet\": \"A\", \"port\": 1}"), "line 2: destinations.d.host is missing" },
		{ TO("{\"type\": \"dimse\", \"aet\": \"A\", \"host\": \"h\"}"), "line 2: destinations.d.port is missing" },
		{ TO("{\"type\": \"dimse\", \"aet\": \"A\", \"host\": \"\", \"port\": 1}"), "destinations.d.host '' is not a host" },
		{ TO("{\"type\": \"dimse\", \"aet\": \"A\", \"host\": \"h\", \"port\": 0}"), "destinations.d.port is 0" },
		{ TO("{\"type\": \"dimse\", \"aet\": \"A\", \"host\": \"h\", \"port\": 1, \"url\": \"\"}"), "destinations.d.url: unknown key" },
		{ TO("{\"type\": \"sender\", \"results\": \"seg\"}"), "destinations.d.results must be an array" },
		{ TO("{\"type\": \"sender\", \"results\": []}"), "destinations.d.results must be an array" },
		{ TO("{\"type\": \"sender\", \"results\": [\"seg\",\n\"png\"]}"), "line 3: destinations.d.results: a kind is" },
		{ "{\"models\": [{\"name\": \"x\", \"results\": [1]}]}", "models[0].results: a kind is" },
		{ "{\"archives\": {\"a\": {\"type\": \"dimse\", \"aet\": \"A\", \"host\": \"h\", \"port\": 1, \"results\": [\"seg\"]}}}", "archives.a.results: an archive is read" },
		{ TO("{\"type\": \"stow\"}"), "destinations.d.url is missing" },
		{ TO("{\"type\": \"stow\", \"url\": \"ftp://h\"}"), "line 2: destinations.d.url must begin with http:// or https://" },
		{ TO("{\"type\": \"stow\", \"url\": \"file:///etc\"}"), "must begin with http" },
		{ TO("{\"type\": \"stow\", \"url\": \"http://\"}"), "names no host" },
		{ TO("{\"type\": \"stow\", \"url\": \"http:///x\"}"), "names no host" },
		{ TO("{\"type\": \"stow\", \"url\": \"http://a b\"}"), "holds a space" },
		{ TO("{\"type\": \"stow\", \"url\": \"http://u:p@h/x\"}"), "secrets go into token_file" },
		{ "{\"models\": {}}", "models must be an array" },
		{ "{\"models\": [\n{}]}", "line 2: models[0].name is missing" },
		{ "{\"models\": [{\"name\": 1}]}", "models[0].name must be a string" },
		{ "{\"models\": [{\"name\": \"../x\"}]}", "models[0]: the name '../x'" },
		{ "{\"models\": [{\"name\": \"x@\"}]}", "models[0]: the name ''" },
		{ "{\"models\": [{\"name\": \"x@1@2\"}]}", "models[0]: the name '1@2'" },
		{ "{\"models\": [{\"name\": \"x\"},\n{\"name\": \"x\"}]}", "line 2: models[1]: the model 'x' is there twice" },
		{ "{\"models\": [{\"name\": \"x@1\"},\n{\"name\": \"x@2\"}]}", "line 2: models[1]: the model 'x' is there twice: one version of a model runs" },
		{ "{\"models\": [{\"name\": \"x\", \"destinations\": \"d\"}]}", "models[0].destinations must be an array" },
		{ "{\"models\": [{\"name\": \"x\"}, {\"name\": \"y\", \"destinations\": [\n\"d\"]}]}", "line 2: models[1].destinations: there is no destination 'd'" },
		{ "{\"destinations\": {\"d\": {\"type\": \"sender\"}}, \"models\": [{\"name\": \"x\", \"destinations\": [\"d\",\n\"d\"]}]}", "line 2: models[0].destinations names 'd' twice" },
		{ "{\"destinations\": {\"d\": {\"type\": \"sender\"}}, \"models\": [{\"name\": \"x\", \"destinations\": [\"d\"]}],\n\"dicom\": {\"peers\": {\n\"p\": {\"aet\": \"P\"}}}}",
			"line 3: dicom.peers.p.port is missing: destination 'd' sends back to it" },
		{ "{\"archives\": {\n\"a\": {\"type\": \"ftp\"}}}", "line 2: archives.a.type must be \"dimse\", \"dicomweb\" or \"folder\"" },
		{ "{\"archives\": {\"a\": {\"type\": \"folder\"}}}", "archives.a.path is missing" },
		{ "{\"archives\": {\"a\": {\"type\": \"dicomweb\", \"url\": \"x\"}}}", "archives.a.url must begin with" },
		{ "{\"rules\": {}}", "rules must be an array" },
		{ "{\"rules\": [\n{\"channel\": \"c\", \"where\": {}}]}", "line 2: rules[0].name is missing" },
		{ "{\"rules\": [{\"name\": \"r\", \"where\": {}}]}", "rules[0].channel is missing" },
		{ "{\"rules\": [{\"name\": \"r\", \"channel\": \"c\"}]}", "rules[0].where is missing" },
		{ "{\"rules\": [{\"name\": \"r\", \"channel\": \"c\", \"where\": {}, \"unless\": {}}]}", "rules[0].unless: unknown key" },
		{ RULE("{}"), "line 3: rule 'r' where is empty" },
		{ RULE("[]"), "line 3: rule 'r' where must be an object" },
		{ RULE("{\"Modality\": \"(\"}"), "line 3: rule 'r' where.Modality is not a POSIX extended regular expression: " },
		{ RULE("{\"Modality\": [\"MR\", \"CT\"]}"), "line 3: rule 'r' where.Modality is a list of texts" },
		{ RULE("{\"EchoTime\": [1]}"), "where.EchoTime must be [min, max]" },
		{ RULE("{\"EchoTime\": [1, \"2\"]}"), "where.EchoTime must be [min, max]" },
		{ RULE("{\"EchoTime\": [2, 1]}"), "min 2 is larger than max 1" },
		{ RULE("{\"EchoTime\": true}"), "where.EchoTime must be a pattern, a number or [min, max]" },
		{ RULE("{\"modality\": \"x\"}"), "'modality' is not a DICOM keyword" },
		{ RULE("{\"0018-0080\": \"x\"}"), "'0018-0080' is not a DICOM keyword" },
		{ "{\"rules\": [{\"name\": \"r\", \"channel\": \"c\", \"where\": {\"Modality\": \"x\"}},\n{\"name\": \"r\", \"channel\": \"c\", \"where\": {\"Modality\": \"x\"}}]}",
			"line 2: rules[1]: there are two rules named 'r'" },
		{ "{\"rules\": [{\"name\": \"r\", \"channel\": \"c\", \"where\": {\"Modality\": \"x\"},\n\"not\": {\"Modality\": \"[\"}}]}", "line 2: rule 'r' not.Modality is not" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct err e = { 0 };
		struct settings *s = parse(bad[i].text, &e);
		if (s != NULL)
			fail_msg("%s: accepted", bad[i].text);
		if (e.code != ERR_INPUT || strstr(e.text, bad[i].error) == NULL || strncmp(e.text, "my.json: line ", 14) != 0)
			fail_msg("%s: '%s' instead of '%s'", bad[i].text, e.text, bad[i].error);
	}
}

static void
a_missing_file_is_not_the_defaults(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_null(settings_load("/nonexistent/segand.json", &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_non_null(strstr(e.text, "/nonexistent/segand.json"));
}

/* ---- the shipped rules ---- */

struct sample {
	const char *description, *image_type, *agent, *channel;
};

static bool
fits(const struct condition_setting *c, const struct sample *s)
{
	const struct {
		const char *attribute, *text;
	} known[] = { { "Modality", "MR" }, { "SeriesDescription", s->description }, { "ImageType", s->image_type }, { "ContrastBolusAgent", s->agent } };

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		regex_t compiled;
		bool result;
		if (strcmp(known[i].attribute, c->attribute) != 0 || known[i].text == NULL)
			continue;
		assert_int_equal(regcomp(&compiled, c->pattern, REG_EXTENDED | REG_ICASE | REG_NOSUB), 0);
		result = regexec(&compiled, known[i].text, 0, NULL, 0) == 0;
		regfree(&compiled);
		return result;
	}
	return false;
}

static const char *
channel_of(const struct settings *settings, const struct sample *s, bool fallback)
{
	for (size_t i = 0; i < settings->n_rules; i++) {
		const struct rule_setting *r = &settings->rules[i];
		bool good = r->fallback == fallback;
		for (size_t k = 0; good && k < r->n_where; k++)
			good = fits(&r->where[k], s);
		for (size_t k = 0; good && k < r->n_unless; k++)
			good = !fits(&r->unless[k], s);
		if (good)
			return r->channel;
	}
	return "none";
}

static void
shipped_rules_know_brain_mr(void **state)
{
	static const char m[] = "ORIGINAL\\PRIMARY\\M\\ND", mpr[] = "DERIVED\\SECONDARY\\MPR";
	static const struct sample samples[] = {
		{ "AX T2 FLAIR", m, NULL, "flair" }, { "AX T2 FLAIR", NULL, NULL, "flair" }, { "flair", m, "Gadovist", "flair" },
		{ "t2_tirm_tra_dark-fluid_320", m, NULL, "flair" }, { "Sagittal 3D FLAIR_MPR_Cor", mpr, NULL, "none" },
		{ "Ax T1 FLAIR PROPELLER", m, NULL, "t1" }, { "t1_tirm_tra_dark-fluid", m, NULL, "t1" }, { "t1_mprage_sag_iso", m, NULL, "t1" },
		{ "T1 AXIAL avant gado", m, NULL, "t1" }, { "AXIAL T1 PRE GD", m, "GD", "t1" }, { "T1", m, "NO", "t1" }, { "SAG FSPGR 3D ", m, NULL, "t1" },
		{ "T1", m, "Dotarem 15 ml", "t1c" }, { "Ax T1 FLAIR +C", m, NULL, "t1c" }, { "T1+C Axial", m, NULL, "t1c" }, { "3D t1 gado", m, NULL, "t1c" },
		{ "t1_se_fs_cor_3mm_KM", m, NULL, "t1c" }, { "O-Ax T1-POST", m, NULL, "t1c" }, { "T1 post op", m, NULL, "t1" },
		{ "t2_tse_tra_512", m, NULL, "t2" }, { "Ax T2 FSE", m, NULL, "t2" },
		{ "SCOUT2", m, NULL, "none" }, { "COR  T1 LOC", m, NULL, "none" }, { "AX T2* GRE", m, NULL, "none" }, { "sT2W/PD_TSE", m, NULL, "none" },
		{ "C-Sag T1", m, NULL, "none" }, { "FLAIR", "ORIGINAL\\PRIMARY\\LOCALIZER", NULL, "none" }, { "MP RAGE FS +C SUB", m, NULL, "none" },
		{ "T2 MAP", m, NULL, "none" }, { "FLAIR", "DERIVED\\PRIMARY\\PROJECTION IMAGE\\MIP", NULL, "none" }, { "ep2d_diff_ADC", m, NULL, "none" },
	};
	static const struct sample reformats[] = { { "Sagittal 3D FLAIR_MPR_Cor", mpr, NULL, "flair" }, { "T1 KM MPR", mpr, NULL, "t1c" },
		{ "AX T2 FLAIR", m, NULL, "none" }, { "FLAIR MIP", "DERIVED\\PRIMARY\\MIP", NULL, "none" } };
	struct err e;
	struct settings *s = settings_load(NULL, &e);

	(void)state;
	for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
		if (strcmp(channel_of(s, &samples[i], false), samples[i].channel) != 0)
			fail_msg("'%s' is %s", samples[i].description, channel_of(s, &samples[i], false));
	for (size_t i = 0; i < sizeof reformats / sizeof reformats[0]; i++)
		if (strcmp(channel_of(s, &reformats[i], true), reformats[i].channel) != 0)
			fail_msg("fallback: '%s' is %s", reformats[i].description, channel_of(s, &reformats[i], true));
	settings_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_the_contract), cmocka_unit_test(the_default_file_is_complete), cmocka_unit_test(the_compiled_text_is_the_file),
		cmocka_unit_test(a_full_file_is_taken), cmocka_unit_test(what_is_printed_is_read_back), cmocka_unit_test(bad_files_are_refused_by_line_and_key),
		cmocka_unit_test(a_missing_file_is_not_the_defaults), cmocka_unit_test(shipped_rules_know_brain_mr),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
