/* The settings: the defaults (config/segand.json, compiled in) are read first, the file is laid over them by the same code, then what
 * several keys must agree on is checked. Everything that stops a start names line and key. */
#include "config/settings.h"
#include "config/file.h"
#include "config/log.h"
#include "config/settings_parts.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX_BYTES = 4 << 20 };

/* The build runs in the root of the tree. */
__asm__(".pushsection .rodata\n"
	"segand_json_begin: .incbin \"config/segand.json\"\n"
	".byte 0\n"
	".popsection\n");
extern const char segand_json_begin[];

const char *
settings_default_text(void)
{
	return segand_json_begin;
}

int
settings_refuse(struct err *e, const struct json_doc *d, const struct json *v, const char *fmt, ...)
{
	unsigned line = json_line(d, v);
	char what[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	return err_set(e, ERR_INPUT, "line %u: %s", line, what);
}

static int
read_section(const struct json_doc *d, const struct json *root, const char *key, enum settings_table_name table, struct settings *s, struct err *e)
{
	const struct json *v = json_get(root, key);

	return v == NULL ? 0 : json_read(d, v, settings_tables[table].fields, settings_tables[table].n, key, s, e);
}

static const struct {
	const char *key;
	int (*read)(const struct json_doc *d, const struct json *v, struct settings *s, struct err *e);
} lists[] = {
	{ "destinations", settings_read_destinations },
	{ "models", settings_read_models },
	{ "archives", settings_read_archives },
	{ "patterns", settings_read_patterns },
	{ "rules", settings_read_rules },
};

/* Lays what d says over what s holds. */
static int
read_all(const struct json_doc *d, struct settings *s, struct err *e)
{
	const struct json *root = json_root(d), *peers;

	if (json_read(d, root, settings_tables[TABLE_ROOT].fields, settings_tables[TABLE_ROOT].n, "", s, e) != 0)
		return -1;
	if (read_section(d, root, "dicom", TABLE_DICOM, s, e) != 0 || read_section(d, root, "http", TABLE_HTTP, s, e) != 0
		|| read_section(d, root, "retention", TABLE_RETENTION, s, e) != 0 || read_section(d, root, "audit", TABLE_AUDIT, s, e) != 0)
		return -1;
	peers = json_get(json_get(root, "dicom"), "peers");
	if (peers != NULL && settings_read_peers(d, peers, s, e) != 0)
		return -1;
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		const struct json *v = json_get(root, lists[i].key);
		if (v != NULL && lists[i].read(d, v, s, e) != 0)
			return -1;
	}
	return 0;
}

/* ---- what values must be beyond their type ---- */

/* A path like "dicom.aet" in the text, for its line; NULL when the text does not say it. */
static const struct json *
find(const struct json_doc *d, const char *section, const char *key)
{
	return json_get(*section != 0 ? json_get(json_root(d), section) : json_root(d), key);
}

static int
check_address(const struct json_doc *d, const char *section, const char *address, struct err *e)
{
	unsigned char bytes[16];

	if (inet_pton(AF_INET, address, bytes) == 1 || inet_pton(AF_INET6, address, bytes) == 1)
		return 0;
	return settings_refuse(e, d, find(d, section, "bind"), "%s.bind '%.80s' is not an IP address", section, address);
}

bool
settings_is_loopback(const char *address)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, address, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static int
check_http(const struct json_doc *d, const struct settings *s, struct err *e)
{
	bool certificate = s->http.tls_certificate[0] != 0, key = s->http.tls_key[0] != 0;

	if (!settings_is_loopback(s->http.bind) && s->http.tokens_file[0] == 0)
		return settings_refuse(e, d, find(d, "http", "bind"), "http.bind '%.80s' is beyond loopback, where nobody may do anything without a token: set http.tokens_file "
			"to a file and make the first token with segan token add NAME --role admin, or bind 127.0.0.1", s->http.bind);
	if (certificate != key)
		return settings_refuse(e, d, find(d, "http", certificate ? "tls_certificate" : "tls_key"), "http.tls_certificate and http.tls_key go together: http.%s is missing",
			certificate ? "tls_key" : "tls_certificate");
	if (s->http.tls_client_ca[0] != 0 && !certificate)
		return settings_refuse(e, d, find(d, "http", "tls_client_ca"), "http.tls_client_ca needs TLS: http.tls_certificate and http.tls_key are missing");
	return 0;
}

static int
check_dirs(const struct json_doc *d, const struct settings *s, struct err *e)
{
	if (s->data_dir[0] == 0)
		return settings_refuse(e, d, find(d, "", "data_dir"), "data_dir is empty");
	if (s->models_dir[0] == 0)
		return settings_refuse(e, d, find(d, "", "models_dir"), "models_dir is empty");
	return 0;
}

static int
check_words(const struct json_doc *d, const struct settings *s, struct err *e)
{
	enum log_level level;

	if (log_parse_level(s->log_level, &level) != 0)
		return settings_refuse(e, d, find(d, "", "log_level"), "log_level must be \"debug\", \"info\", \"warn\" or \"error\"");
	if (s->core_type[0] != 0 && settings_check_name(d, find(d, "", "core_type"), "core_type", s->core_type, e) != 0)
		return -1;
	if (s->retry_max < s->retry_delay)
		return settings_refuse(e, d, find(d, "", find(d, "", "retry_max") != NULL ? "retry_max" : "retry_delay"),
			"retry_max (%lld s) is less than retry_delay (%lld s)", (long long)s->retry_max, (long long)s->retry_delay);
	return 0;
}

static int
check_dicom(const struct json_doc *d, const struct settings *s, struct err *e)
{
	const struct json *move = find(d, "dicom", "move_aet");
	const char *key = s->dicom.tls_certificate[0] != 0 ? "tls_certificate" : s->dicom.tls_key[0] != 0 ? "tls_key" : s->dicom.tls_require_client ? "tls_require_client" : "tls_ca";

	if (settings_check_aet(d, find(d, "dicom", "aet"), "dicom.aet", s->dicom.aet, e) != 0)
		return -1;
	if ((s->dicom.tls_certificate[0] == 0) != (s->dicom.tls_key[0] == 0))
		return settings_refuse(e, d, find(d, "dicom", key), "dicom.%s: tls_certificate and tls_key go together", key);
	if (s->dicom.tls_certificate[0] == 0 && (s->dicom.tls_ca[0] != 0 || s->dicom.tls_require_client))
		return settings_refuse(e, d, find(d, "dicom", key), "dicom.%s does nothing without dicom.tls_certificate and tls_key", key);
	if (s->dicom.tls_require_client && s->dicom.tls_ca[0] == 0)
		return settings_refuse(e, d, find(d, "dicom", key), "dicom.tls_require_client needs dicom.tls_ca, the authorities whose certificates count");
	if (s->dicom.move_aet[0] == 0)
		return 0;
	if (settings_check_aet(d, move, "dicom.move_aet", s->dicom.move_aet, e) != 0)
		return -1;
	if (strcmp(s->dicom.move_aet, s->dicom.aet) == 0)
		return settings_refuse(e, d, move, "dicom.move_aet must differ from dicom.aet: what arrives under it is kept apart");
	return 0;
}

static const struct json *
nth(const struct json *v, size_t i)
{
	const struct json *item = json_first(v);

	while (i-- > 0)
		item = json_next(item);
	return item;
}

/* Every destination of a model is there, and one that sends back can reach every peer. */
static int
check_model_destinations(const struct json_doc *d, const struct settings *s, struct err *e)
{
	const struct json *models = json_get(json_root(d), "models");

	for (size_t i = 0; i < s->n_models; i++) {
		for (size_t k = 0; k < s->models[i].n_destinations; k++) {
			const char *name = s->models[i].destinations[k];
			if (settings_destination(s, name) == NULL)
				return settings_refuse(e, d, nth(json_get(nth(models, i), "destinations"), k), "models[%zu].destinations: there is no destination '%s'", i, name);
		}
	}
	return 0;
}

static int
check_sender(const struct json_doc *d, const struct settings *s, struct err *e)
{
	const char *sender = NULL;

	for (size_t i = 0; i < s->n_models; i++)
		for (size_t k = 0; k < s->models[i].n_destinations; k++)
			if (settings_destination(s, s->models[i].destinations[k])->type == DESTINATION_SENDER)
				sender = s->models[i].destinations[k];
	for (size_t i = 0; sender != NULL && i < s->dicom.n_peers; i++)
		if (s->dicom.peers[i].port == 0)
			return settings_refuse(e, d, json_get(find(d, "dicom", "peers"), s->dicom.peers[i].name),
				"dicom.peers.%s.port is missing: destination '%s' sends back to it", s->dicom.peers[i].name, sender);
	return 0;
}

static int
check(const struct json_doc *d, const struct settings *s, struct err *e)
{
	if (check_dirs(d, s, e) != 0 || check_words(d, s, e) != 0 || check_dicom(d, s, e) != 0)
		return -1;
	if (check_address(d, "dicom", s->dicom.bind, e) != 0 || check_address(d, "http", s->http.bind, e) != 0 || check_http(d, s, e) != 0)
		return -1;
	if (check_model_destinations(d, s, e) != 0)
		return -1;
	return check_sender(d, s, e);
}

/* ---- whole ---- */

static int
lay_over(const char *text, size_t n, struct settings *s, struct err *e)
{
	struct json_doc *d = json_parse(text, n, JSON_COMMENTS, e);
	int result;

	if (d == NULL)
		return -1;
	result = read_all(d, s, e) == 0 ? check(d, s, e) : -1;
	json_doc_free(d);
	return result;
}

static struct settings *
defaults(struct err *e)
{
	struct settings *s = calloc(1, sizeof *s);

	if (s == NULL) {
		err_set(e, ERR_LIMIT, "no memory for the settings");
		return NULL;
	}
	if (lay_over(settings_default_text(), strlen(settings_default_text()), s, e) != 0) {
		err_note(e, "config/segand.json, as compiled in");
		settings_free(s);
		return NULL;
	}
	return s;
}

struct settings *
settings_parse(const char *text, size_t n, const char *name, struct err *e)
{
	struct settings *s = defaults(e);

	if (s == NULL)
		return NULL;
	snprintf(s->file, sizeof s->file, "%s", name);
	if (lay_over(text, n, s, e) != 0) {
		err_note(e, "%s", name);
		settings_free(s);
		return NULL;
	}
	return s;
}

struct settings *
settings_load(const char *path, struct err *e)
{
	struct settings *s;
	char *text;
	size_t n;

	if (path == NULL)
		return defaults(e);
	text = file_read(path, FILE_MAX_BYTES, &n, e);
	if (text == NULL)
		return NULL;
	s = settings_parse(text, n, path, e);
	free(text);
	return s;
}

void
settings_free(struct settings *s)
{
	if (s == NULL)
		return;
	settings_free_rules(s);
	settings_free_patterns(s);
	settings_free_models(s);
	free(s->dicom.peers);
	free(s->destinations);
	json_free(s->archives);
	free(s);
}

const struct model_setting *
settings_model(const struct settings *s, const char *name)
{
	for (size_t i = 0; i < s->n_models; i++)
		if (strcmp(s->models[i].name, name) == 0)
			return &s->models[i];
	return NULL;
}

const struct destination_setting *
settings_destination(const struct settings *s, const char *name)
{
	for (size_t i = 0; i < s->n_destinations; i++)
		if (strcmp(s->destinations[i].name, name) == 0)
			return &s->destinations[i];
	return NULL;
}
