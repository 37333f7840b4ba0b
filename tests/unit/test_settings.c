/* Settings: the defaults are those of DESIGN.md, a bad file is refused by line and key, what is printed is read back as the same. */
#include "config/settings.h"
#include "dicom/bounds.h"

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
	assert_int_equal(s->dicom.max_associations_per_peer, 32);
	assert_int_equal(s->dicom.max_pdu, 131072);
	assert_int_equal(s->dicom.request_timeout, 15);
	assert_int_equal(s->dicom.association_timeout, 43200);
	assert_int_equal(s->dicom.commitment_timeout, 600);
	assert_int_equal(s->dicom.commitment_wait, 5);
	assert_string_equal(s->dicom.tls_certificate, "");
	assert_int_equal(s->dicom.idle_timeout, 60);
	assert_int_equal(s->dicom.max_instance_mb, 1024);
	assert_int_equal(s->dicom.max_depth, dicom_bounds_now()->depth);
	assert_int_equal(s->dicom.max_elements, dicom_bounds_now()->elements);
	assert_int_equal(s->dicom.max_instance_mb, dicom_bounds_now()->data_set_bytes >> 20);
	assert_int_equal(s->dicom.max_decoded_mb, dicom_bounds_now()->decoded_bytes >> 20);
	assert_string_equal(s->http.bind, "127.0.0.1");
	assert_int_equal(s->http.port, 8080);
	assert_string_equal(s->http.tokens_file, "");
	assert_int_equal(s->http.max_connections, 256);
	assert_int_equal(s->http.max_connections_per_client, 128);
	assert_int_equal(s->http.max_token_failures, 20);
	assert_int_equal(s->http.max_parts, 10000);
	assert_int_equal(s->http.max_json_kb, 64);
	assert_int_equal(s->http.header_timeout, 20);
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
	assert_string_equal(s->audit_syslog, "/dev/log");
	assert_int_equal(s->audit_days, 3650);
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
	"  \"accept_unknown_peers\": true, \"check_called_aet\": true, \"move_aet\": \"MOVE\", \"max_associations\": 2, \"max_pdu\": 16384, \"idle_timeout\": 1, \"max_instance_mb\": 7,"
	"  \"max_associations_per_peer\": 3, \"request_timeout\": 4, \"association_timeout\": 5, \"tls_certificate\": \"/c\", \"tls_key\": \"/k\", \"tls_ca\": \"/a\", \"tls_require_client\": true},\n"
	"\"http\": {\"bind\": \"0.0.0.0\", \"port\": 0, \"tokens_file\": \"/t\", \"max_connections\": 5, \"max_body_mb\": 6, \"idle_timeout\": 7},\n"
	"\"series_complete_trigger\": 1, \"series_interrupted_trigger\": 2, \"study_forcecomplete_trigger\": 3,\n"
	"\"rules\": [{\"name\": \"r\", \"channel\": \"flair\", \"where\": {\"Modality\": \"MR\", \"EchoTime\": [80, null], \"NumberOfSlices\": [null, 99.5], \"0018,0080\": 5},\n"
	"  \"not\": {\"ImageType\": \"<loc&>\\\\\\\\\"}, \"fallback\": true},\n"
	"  {\"name\": \"g\", \"channel\": \"t1\", \"registered\": true, \"where\": {\"SeriesDescription\": \"${mine}$\", \"any\": [{\"EchoTime\": [1, 2], \"not\": {\"Modality\": \"CT\"}}, {\"all\": [{\"Modality\": \"M\"}, {\"Modality\": \"R\"}]}]}},\n"
	"  {\"name\": \"i\", \"channel\": null, \"where\": {\"Modality\": \"SR\"}}],\n"
	"\"patterns\": {\"mine\": \"a|${yours}\", \"yours\": \"b\"},\n"
	"\"models\": [{\"name\": \"a@1.0\", \"destinations\": [\"pacs\", \"back\"], \"empty_report\": true}, {\"name\": \"b\", \"results\": [\"preview\"], \"out_of_distribution\": \"reject\"}],\n"
	"\"destinations\": {\"pacs\": {\"type\": \"dimse\", \"aet\": \"PACS\", \"host\": \"pacs.example\", \"port\": 104, \"calling_aet\": \"ME\", \"timeout\": 9, \"tls\": true, \"tls_ca\": \"/pa\", \"tls_name\": \"n\", \"commitment\": true},\n"
	"  \"cloud\": {\"type\": \"stow\", \"url\": \"https://h:8/dicom-web//\", \"token_file\": \"/f\", \"ca_file\": \"/c\", \"results\": [\"rtstruct\", \"labelmap\"], \"seg_syntax\": \"deflated\"}, \"back\": {\"type\": \"sender\"}},\n"
	"\"archives\": {\"w\": {\"type\": \"dicomweb\", \"url\": \"http://h/w\"}, \"d\": {\"type\": \"dimse\", \"aet\": \"A\", \"host\": \"h\", \"port\": 1}, \"f\": {\"type\": \"folder\", \"path\": \"/p\"}},\n"
	"\"workers\": 2, \"threads\": 3, \"max_attempts\": 4, \"job_timeout\": 5, \"worker_memory_mb\": 512, \"core_type\": \"HASWELL\",\n"
	"\"retry_delay\": 1, \"retry_max\": 2, \"retry_give_up\": 3, \"disk_reserve_mb\": 0, \"retention\": {\"days\": 0, \"max_mb\": 1}, \"log_level\": \"debug\"}\n";

static bool
pattern_fits(const struct condition_setting *c, const char *text)
{
	return regexec(c->pattern, text, 0, NULL, 0) == 0;
}

static void
the_rules_are(const struct rule_setting *rules, size_t n)
{
	const struct condition_setting *where = rules[0].where.items, *any = &rules[1].where.items[1];

	assert_int_equal(n, 3);
	assert_int_equal(rules[0].line, 7);
	assert_true(rules[0].fallback && !rules[0].registered);
	assert_true(rules[0].where.kind == CONDITION_ALL && rules[0].where.n_items == 4);
	assert_true(where[0].kind == CONDITION_TEXT && strcmp(where[0].written, "MR") == 0 && pattern_fits(&where[0], "xmr") && !pattern_fits(&where[0], "SR"));
	assert_true(where[1].kind == CONDITION_RANGE && where[1].min == 80 && isinf(where[1].max));
	assert_true(where[2].min == -INFINITY && where[2].max == 99.5);
	assert_true(where[3].min == 5 && where[3].max == 5);
	assert_true(rules[0].unless.kind == CONDITION_NONE && rules[0].unless.n_items == 1 && rules[0].unless.items[0].line == 8);
	assert_string_equal(rules[0].unless.items[0].written, "<loc&>\\\\");
	assert_true(rules[1].registered && !rules[1].fallback && rules[1].unless.n_items == 0);
	assert_true(pattern_fits(&rules[1].where.items[0], "xA") && pattern_fits(&rules[1].where.items[0], "b") && !pattern_fits(&rules[1].where.items[0], "bc"));
	assert_true(any->kind == CONDITION_ANY && any->n_items == 2 && any->items[0].kind == CONDITION_ALL && any->items[0].n_items == 2);
	assert_true(any->items[0].items[1].kind == CONDITION_NONE && any->items[1].items[0].kind == CONDITION_ALL && any->items[1].items[0].n_items == 2);
	assert_string_equal(rules[2].channel, "");
}

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
	assert_true(!s->models[0].rejects_strangers && s->models[1].rejects_strangers);
	assert_ptr_equal(settings_model(s, "b"), &s->models[1]);
	assert_null(settings_model(s, "a@1.0"));
	assert_int_equal(s->models[1].results, RESULT_SET(RESULT_PREVIEW));
	assert_int_equal(settings_destination(s, "pacs")->results, RESULT_SET(RESULT_SEG));
	assert_int_equal(settings_destination(s, "cloud")->results, RESULT_SET(RESULT_LABELMAP) | RESULT_SET(RESULT_RTSTRUCT));
	assert_int_equal(settings_destination(s, "cloud")->seg_syntax, SEG_DEFLATED);
	assert_int_equal(settings_destination(s, "pacs")->seg_syntax, SEG_EXPLICIT);
	the_rules_are(s->rules, s->n_rules);
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
	static const char *const kept[] = { "\"path\": \"/p\"", "\"fallback\": true", "\"EchoTime\": [80, null]", "\"0018,0080\": [5, 5]", "${mine}$", "\"yours\": \"b\"", "\"channel\": null", "\"registered\": true", "\"name\": \"a@1.0\"", "[\"pacs\", \"back\"]",
		"\"calling_aet\": \"ME\"", "\"max_pdu\": 16384", "\"association_timeout\": 5", "\"tls_require_client\": true", "\"tls_name\": \"n\"", "\"commitment\": true", "\"tokens_file\": \"/t\"", "\"retry_give_up\": 3", "\"max_mb\": 1", "\"host\": null",
		"[\"labelmap\", \"rtstruct\"]", "\"seg_syntax\": \"deflated\"", "\"empty_report\": true", "\"out_of_distribution\": \"flag\"", "\"out_of_distribution\": \"reject\"" };
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
		{ "{\"dicom\": {\n\"tls_certificate\": \"/c\"}}", "line 2: dicom.tls_certificate: tls_certificate and tls_key go together" },
		{ "{\"dicom\": {\"tls_ca\": \"/c\"}}", "dicom.tls_ca does nothing without dicom.tls_certificate" },
		{ "{\"dicom\": {\"tls_certificate\": \"/c\", \"tls_key\": \"/k\", \"tls_require_client\": true}}", "dicom.tls_require_client needs dicom.tls_ca" },
		{ TO("{\"type\": \"dimse\", \"aet\": \"A\", \"host\": \"h\", \"port\": 1, \"tls_ca\": \"/c\"}"), "line 2: destinations.d has tls_ keys but no \"tls\": true" },
		{ TO("{\"type\": \"sender\", \"tls\": true, \"tls_key\": \"/k\"}"), "destinations.d: tls_certificate and tls_key go together" },
		{ TO("{\"type\": \"sender\", \"commitment\": true}"), "destinations.d.commitment: unknown key" },
		{ "{\"archives\": {\"a\": {\"type\": \"dimse\", \"aet\": \"A\", \"host\": \"h\", \"port\": 1, \"commitment\": true}}}", "archives.a.commitment: an archive is read" },
		{ PEER("{}"), "line 2: dicom.peers.p.aet is missing" },
		{ PEER("{\"aet\": \"A\\\\\"}"), "line 2: dicom.peers.p.aet holds a backslash" },
		{ PEER("{\"aet\": \"A\", \"ip\": \"\"}"), "line 2: dicom.peers.p.ip: unknown key" },
		{ "{\"dicom\": {\"peers\": {\"a b\": {\"aet\": \"A\"}}}}", "dicom.peers: the name 'a b'" },
		{ "{\"http\": {\n\"bind\": \"0.0.0.0\"}}", "line 2: http.bind '0.0.0.0' is beyond loopback, where nobody may do anything without a token" },
		{ "{\"http\": {\"bind\": \"::\", \"tokens_file\": null}}", "segan token add NAME --role admin" },
		{ "{\"http\": {\n\"tls_certificate\": \"/t\"}}", "line 2: http.tls_certificate and http.tls_key go together: http.tls_key is missing" },
		{ "{\"http\": {\"tls_key\": \"/t\"}}", "http.tls_certificate is missing" },
		{ "{\"http\": {\"tls_client_ca\": \"/t\"}}", "http.tls_client_ca needs TLS" },
		{ "{\"http\": {\"max_json_depth\": 65}}", "max_json_depth" },
		{ "{\"http\": {\"bind\": \"\"}}", "http.bind '' is not an IP address" },
		{ "{\"retention\": {\"days\": -1}}", "retention.days is -1" },
		{ "{\"audit\": {\"days\": -1}}", "audit.days is -1" },
		{ "{\"audit\": {\"host\": \"x\"}}", "host" },
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
		{ TO("{\"type\": \"sender\",\n\"seg_syntax\": \"zip\"}"), "line 3: destinations.d.seg_syntax must be \"explicit\", \"rle\" or \"deflated\"" },
		{ TO("{\"type\": \"sender\", \"seg_syntax\": 1}"), "destinations.d.seg_syntax must be" },
		{ TO("{\"type\": \"sender\", \"results\": []}"), "destinations.d.results must be an array" },
		{ TO("{\"type\": \"sender\", \"results\": [\"seg\",\n\"png\"]}"), "line 3: destinations.d.results: a kind is" },
		{ "{\"models\": [{\"name\": \"x\", \"results\": [1]}]}", "models[0].results: a kind is" },
		{ "{\"archives\": {\"a\": {\"type\": \"dimse\", \"aet\": \"A\", \"host\": \"h\", \"port\": 1, \"results\": [\"seg\"]}}}", "archives.a.results: an archive is read" },
		{ "{\"archives\": {\"a\": {\"type\": \"dimse\", \"aet\": \"A\", \"host\": \"h\", \"port\": 1, \"seg_syntax\": \"rle\"}}}", "archives.a.seg_syntax: an archive is read" },
		{ TO("{\"type\": \"stow\"}"), "destinations.d.url is missing" },
		{ TO("{\"type\": \"stow\", \"url\": \"ftp://h\"}"), "line 2: destinations.d.url must begin with http:// or https://" },
		{ TO("{\"type\": \"stow\", \"url\": \"file:///etc\"}"), "must begin with http" },
		{ TO("{\"type\": \"stow\", \"url\": \"http://\"}"), "names no host" },
		{ TO("{\"type\": \"stow\", \"url\": \"http:///x\"}"), "names no host" },
		{ TO("{\"type\": \"stow\", \"url\": \"http://a b\"}"), "holds a space" },
		{ TO("{\"type\": \"stow\", \"url\": \"http://u:p@h/x\"}"), "secrets go into token_file" },
		{ "{\"models\": {}}", "models must be an array" },
		{ "{\"models\": [{\"name\": \"x\", \"out_of_distribution\": \"drop\"}]}", "models[0].out_of_distribution must be \"flag\" or \"reject\"" },
		{ "{\"models\": [{\"name\": \"x\", \"out_of_distribution\": true}]}", "models[0].out_of_distribution must be" },
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
		{ RULE("{\"any\": {}}"), "line 3: rule 'r' where.any is empty" },
		{ RULE("{\"any\": \"MR\"}"), "line 3: rule 'r' where.any must be an object {ATTRIBUTE: pattern or [min, max]} or a list of such" },
		{ RULE("{\"any\": [{\"Modality\": \"MR\"},\n[]]}"), "line 4: rule 'r' where.any: an item of the list must be an object" },
		{ RULE("{\"all\": {\"not\": {\"any\": {\n\"Modality\": \"*(\"}}}}"), "line 4: rule 'r' where.all.not.any.Modality is not a POSIX" },
		{ RULE("{\"not\": {\"not\": {\"not\": {\"not\": {\"not\": {\"not\": {\"not\": {\"not\": {\"not\": {\"Modality\": \"MR\"}}}}}}}}}}"), "is nested deeper than 8" },
		{ RULE("{\"none\": {\"Modality\": \"x\"}}"), "'none' is not a DICOM keyword, GGGG,EEEE or NumberOfSlices, and not all, any or not" },
		{ RULE("{\"Modality\": \"${nothing}\"}"), "line 3: rule 'r' where.Modality names ${nothing}, which \"patterns\" does not have" },
		{ RULE("{\"Modality\": \"${flair\"}"), "line 3: rule 'r' where.Modality has a \"${\" without its \"}\"" },
		{ "{\"rules\": [{\"name\": \"r\", \"channel\": null, \"fallback\": true, \"where\": {\"Modality\": \"x\"}}]}", "rules[0]: a fallback needs a channel" },
		{ "{\"patterns\": []}", "patterns must be an object" },
		{ "{\"patterns\": {\n\"x\": 1}}", "line 2: patterns.x must be a text" },
		{ "{\"patterns\": {\n\"x y\": \"1\"}}", "line 2: patterns: the name 'x y'" },
		{ "{\"patterns\": {\n\"x\": \"a)(\"}}", "line 2: patterns.x is not a POSIX extended regular expression: " },
		{ "{\"patterns\": {\n\"x\": \"${y}\",\n\"y\": \"${x}\"}}", "line 2: patterns.x has ${NAME}s that are nested deeper than 8, or in a circle" },
		{ "{\"patterns\": {\n\"e\": \"${b}\", \"b\": \"${t1}\"}}", "nested deeper than 8, or in a circle" },
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

/* ---- patterns ---- */

/* One piece changed changes the shipped rules that use it, and no other. */
static void
a_piece_changes_the_shipped_rules(void **state)
{
	struct err e;
	struct settings *shipped = settings_load(NULL, &e), *ours = parse("{\"patterns\": {\"flair\": \"blue\"}}", &e);
	const struct rule_setting *r = NULL, *old = NULL;

	(void)state;
	for (size_t i = 0; i < ours->n_rules; i++)
		if (strcmp(ours->rules[i].name, "flair") == 0) {
			r = &ours->rules[i];
			old = &shipped->rules[i];
		}
	assert_non_null(r);
	assert_string_equal(r->where.items[0].written, "${flair}");
	assert_true(pattern_fits(&r->where.items[0], "AX BLUE") && !pattern_fits(&r->where.items[0], "FLAIR"));
	assert_true(pattern_fits(&old->where.items[0], "FLAIR"));
	assert_int_equal(ours->n_patterns, shipped->n_patterns);
	settings_free(shipped);
	settings_free(ours);
}

static void
too_much_is_refused(void **state)
{
	char *text = calloc(1, 200000);
	struct err e = { 0 };
	size_t n;

	(void)state;
	n = (size_t)snprintf(text, 1000, "{\"rules\": [{\"name\": \"r\", \"channel\": \"c\", \"where\": {\"any\": [");
	for (int i = 0; i < 257; i++)
		n += (size_t)snprintf(text + n, 100, "%s{\"Modality\": \"x\"}", i > 0 ? ", " : "");
	snprintf(text + n, 100, "]}}]}");
	assert_null(parse(text, &e));
	assert_non_null(strstr(e.text, "at most 256 conditions"));
	n = (size_t)snprintf(text, 100, "{\"patterns\": {\"x\": \"");
	for (int i = 0; i < 4097; i++)
		text[n++] = 'a';
	snprintf(text + n, 100, "\"}}");
	assert_null(parse(text, &e));
	assert_non_null(strstr(e.text, "patterns.x is longer than 4096 bytes"));
	n = (size_t)snprintf(text, 100, "{\"patterns\": {\"x\": \"");
	for (int i = 0; i < 4000; i++)
		text[n++] = 'a';
	snprintf(text + n, 1000, "\", \"y\": \"${x}${x}${x}${x}${x}${x}${x}${x}${x}\", \"z\": \"${y}${y}\"}}");
	assert_null(parse(text, &e));
	assert_non_null(strstr(e.text, "patterns.z is longer than 65535 bytes with its ${NAME}s put in"));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_the_contract), cmocka_unit_test(the_default_file_is_complete), cmocka_unit_test(the_compiled_text_is_the_file),
		cmocka_unit_test(a_full_file_is_taken), cmocka_unit_test(what_is_printed_is_read_back), cmocka_unit_test(bad_files_are_refused_by_line_and_key),
		cmocka_unit_test(a_missing_file_is_not_the_defaults), cmocka_unit_test(a_piece_changes_the_shipped_rules), cmocka_unit_test(too_much_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
