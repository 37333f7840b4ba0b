/* The named things of the settings: peers, destinations, models, archives. A list in the file replaces the default list as a whole. */
#include "config/settings_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_DEFAULT = 60 /* s, of a destination that says nothing; config/segand.json says it in words */ };

static int
no_memory(struct err *e)
{
	return err_set(e, ERR_LIMIT, "no memory for the settings");
}

int
settings_check_name(const struct json_doc *d, const struct json *v, const char *where, const char *name, struct err *e)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t n = strlen(name);

	if (n == 0 || n >= SETTINGS_NAME || strspn(name, allowed) != n)
		return settings_refuse(e, d, v, "%s: the name '%.80s' must be 1 to %d letters, digits, '.', '_' or '-'", where, name, SETTINGS_NAME - 1);
	return 0;
}

/* PS3.5 6.2, AE: 16 characters of the default repertoire, no backslash, no control character; spaces at the ends do not count, so none there. */
int
settings_check_aet(const struct json_doc *d, const struct json *v, const char *where, const char *aet, struct err *e)
{
	size_t n = strlen(aet);

	if (n == 0 || n >= SETTINGS_AET)
		return settings_refuse(e, d, v, "%s must be 1 to %d characters", where, SETTINGS_AET - 1);
	for (size_t i = 0; i < n; i++)
		if (aet[i] < 0x20 || aet[i] > 0x7E || aet[i] == '\\')
			return settings_refuse(e, d, v, "%s holds a backslash or a character that is not printable ASCII", where);
	if (aet[0] == ' ' || aet[n - 1] == ' ')
		return settings_refuse(e, d, v, "%s begins or ends with a space", where);
	return 0;
}

static int
read_table(const struct json_doc *d, const struct json *v, enum settings_table_name table, const char *where, void *out, struct err *e)
{
	return json_read(d, v, settings_tables[table].fields, settings_tables[table].n, where, out, e);
}

/* ---- peers ---- */

static int
read_peer(const struct json_doc *d, const struct json *v, struct peer_setting *p, struct err *e)
{
	char where[120];

	snprintf(where, sizeof where, "dicom.peers.%.64s", json_key(v));
	if (settings_check_name(d, v, "dicom.peers", json_key(v), e) != 0)
		return -1;
	snprintf(p->name, sizeof p->name, "%s", json_key(v));
	if (read_table(d, v, TABLE_PEER, where, p, e) != 0)
		return -1;
	snprintf(where, sizeof where, "dicom.peers.%s.aet", p->name);
	return settings_check_aet(d, json_get(v, "aet"), where, p->aet, e);
}

int
settings_read_peers(const struct json_doc *d, const struct json *v, struct settings *s, struct err *e)
{
	struct peer_setting *list;
	size_t n = 0;

	if (json_type(v) != JSON_OBJECT)
		return settings_refuse(e, d, v, "dicom.peers must be an object {NAME: {...}}");
	list = calloc(json_size(v) + 1, sizeof *list);
	if (list == NULL)
		return no_memory(e);
	free(s->dicom.peers);
	s->dicom.peers = list;
	for (const struct json *m = json_first(v); m != NULL; m = json_next(m), n++)
		if (read_peer(d, m, &list[n], e) != 0)
			return -1;
	s->dicom.n_peers = n;
	return 0;
}

/* ---- results ---- */

/* v: an array of words, or NULL: absent, *set stays. */
static int
read_results(const struct json_doc *d, const struct json *v, const char *where, unsigned *set, struct err *e)
{
	enum result_kind kind;

	if (v == NULL)
		return 0;
	if (json_type(v) != JSON_ARRAY || json_size(v) == 0)
		return settings_refuse(e, d, v, "%s.results must be an array of kinds, as [\"seg\", \"report\"]", where);
	*set = 0;
	for (const struct json *item = json_first(v); item != NULL; item = json_next(item)) {
		if (json_text(item) == NULL || !result_kind_parse(json_text(item), &kind))
			return settings_refuse(e, d, item, "%s.results: a kind is \"seg\", \"labelmap\", \"fractional\", \"report\", \"rtstruct\" or \"preview\"", where);
		*set |= RESULT_SET(kind);
	}
	return 0;
}

static int
read_seg_syntax(const struct json_doc *d, const struct json *v, const char *where, enum seg_syntax *to, struct err *e)
{
	if (v == NULL || (json_text(v) != NULL && seg_syntax_parse(json_text(v), to)))
		return 0;
	return settings_refuse(e, d, v, "%s.seg_syntax must be \"explicit\", \"rle\" or \"deflated\"", where);
}

/* ---- destinations and archives ---- */

/* http or https, a host, no name or password inside, no query; slashes at the end are cut. */
static int
check_url(const struct json_doc *d, const struct json *v, const char *where, char *url, struct err *e)
{
	size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0, n = strlen(url);
	const char *host = url + scheme;

	if (scheme == 0)
		return settings_refuse(e, d, v, "%s must begin with http:// or https://", where);
	while (n > scheme && url[n - 1] == '/')
		url[--n] = 0;
	for (size_t i = 0; i < n; i++)
		if (url[i] <= 0x20 || url[i] > 0x7E || strchr("?#\\\"<>", url[i]) != NULL)
			return settings_refuse(e, d, v, "%s holds a space, a '?', a '#' or another character that must not be in it", where);
	if (strcspn(host, "/:") == 0)
		return settings_refuse(e, d, v, "%s names no host", where);
	if (memchr(host, '@', strcspn(host, "/")) != NULL)
		return settings_refuse(e, d, v, "%s holds a user name or password: secrets go into token_file", where);
	if (n - scheme >= 8 && strcmp(url + n - 8, "/studies") == 0) /* the service's address or its studies resource: both are meant */
		url[n - 8] = 0;
	return 0;
}

static int
check_host(const struct json_doc *d, const struct json *v, const char *where, const char *host, struct err *e)
{
	size_t n = strlen(host);

	if (n == 0 || strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-:") != n)
		return settings_refuse(e, d, v, "%s.host '%.80s' is not a host name or address", where, host);
	return 0;
}

/* Keys of TLS that would do nothing are a mistake. */
static int
check_tls(const struct json_doc *d, const struct json *v, const char *where, const struct destination_setting *to, struct err *e)
{
	if (!to->tls && (to->tls_ca[0] != 0 || to->tls_certificate[0] != 0 || to->tls_key[0] != 0 || to->tls_name[0] != 0))
		return settings_refuse(e, d, v, "%s has tls_ keys but no \"tls\": true", where);
	if ((to->tls_certificate[0] == 0) != (to->tls_key[0] == 0))
		return settings_refuse(e, d, v, "%s: tls_certificate and tls_key go together", where);
	return 0;
}

/* What every type has in common; where names the object. */
static int
read_destination_body(const struct json_doc *d, const struct json *v, const char *where, struct destination_setting *to, struct err *e)
{
	char place[120];

	to->timeout = TIMEOUT_DEFAULT;
	to->results = RESULT_SET(RESULT_SEG);
	to->ask = true;
	if (read_table(d, v, settings_types[to->type].table, where, to, e) != 0 || read_results(d, json_get(v, "results"), where, &to->results, e) != 0 ||
	    read_seg_syntax(d, json_get(v, "seg_syntax"), where, &to->seg_syntax, e) != 0)
		return -1;
	if (to->type == DESTINATION_STOW) {
		snprintf(place, sizeof place, "%.110s.url", where);
		return check_url(d, json_get(v, "url"), place, to->url, e);
	}
	if (check_tls(d, v, where, to, e) != 0)
		return -1;
	snprintf(place, sizeof place, "%.100s.calling_aet", where);
	if (to->calling_aet[0] != 0 && settings_check_aet(d, json_get(v, "calling_aet"), place, to->calling_aet, e) != 0)
		return -1;
	if (to->type == DESTINATION_SENDER)
		return 0;
	snprintf(place, sizeof place, "%.110s.aet", where);
	if (settings_check_aet(d, json_get(v, "aet"), place, to->aet, e) != 0)
		return -1;
	return check_host(d, json_get(v, "host"), where, to->host, e);
}

static int
read_destination(const struct json_doc *d, const struct json *v, struct destination_setting *to, struct err *e)
{
	const char *type = json_text(json_get(v, "type"));
	char where[120];

	snprintf(where, sizeof where, "destinations.%.64s", json_key(v));
	if (settings_check_name(d, v, "destinations", json_key(v), e) != 0)
		return -1;
	snprintf(to->name, sizeof to->name, "%s", json_key(v));
	for (size_t i = 0; type != NULL && i < SETTINGS_N_TYPES; i++) {
		if (strcmp(settings_types[i].word, type) != 0)
			continue;
		to->type = (enum destination_type)i;
		return read_destination_body(d, v, where, to, e);
	}
	return settings_refuse(e, d, type != NULL ? json_get(v, "type") : v, "%s.type must be \"dimse\", \"stow\" or \"sender\"", where);
}

int
settings_read_destinations(const struct json_doc *d, const struct json *v, struct settings *s, struct err *e)
{
	struct destination_setting *list;
	size_t n = 0;

	if (json_type(v) != JSON_OBJECT)
		return settings_refuse(e, d, v, "destinations must be an object {NAME: {\"type\": ...}}");
	list = calloc(json_size(v) + 1, sizeof *list);
	if (list == NULL)
		return no_memory(e);
	free(s->destinations);
	s->destinations = list;
	for (const struct json *m = json_first(v); m != NULL; m = json_next(m), n++)
		if (read_destination(d, m, &list[n], e) != 0)
			return -1;
	s->n_destinations = n;
	return 0;
}

/* An archive is described as a destination of its kind is, so it is read as one. */
static int
read_archive(const struct json_doc *d, const struct json *v, struct archive_setting *to, struct err *e)
{
	static const struct { const char *word; enum archive_type type; enum destination_type remote; } types[] = {
		{ "dimse", ARCHIVE_DIMSE, DESTINATION_DIMSE }, { "dicomweb", ARCHIVE_DICOMWEB, DESTINATION_STOW }, { "folder", ARCHIVE_FOLDER, DESTINATION_DIMSE } };
	static const char *const of_results[] = { "results", "seg_syntax", "ask", "commitment" };
	const char *type = json_text(json_get(v, "type"));
	struct folder_setting folder;
	char where[120];
	size_t i = 0;

	*to = (struct archive_setting){ .type = ARCHIVE_DIMSE };
	snprintf(where, sizeof where, "archives.%.64s", json_key(v));
	if (settings_check_name(d, v, "archives", json_key(v), e) != 0)
		return -1;
	while (type != NULL && i < sizeof types / sizeof *types && strcmp(types[i].word, type) != 0)
		i++;
	if (type == NULL || i == sizeof types / sizeof *types)
		return settings_refuse(e, d, type != NULL ? json_get(v, "type") : v, "%s.type must be \"dimse\", \"dicomweb\" or \"folder\"", where);
	to->type = types[i].type;
	to->remote.type = types[i].remote;
	snprintf(to->remote.name, sizeof to->remote.name, "%s", json_key(v));
	for (size_t k = 0; k < sizeof of_results / sizeof *of_results; k++)
		if (json_get(v, of_results[k]) != NULL)
			return settings_refuse(e, d, v, "%s.%s: an archive is read, results go to destinations", where, of_results[k]);
	if (to->type != ARCHIVE_FOLDER)
		return read_destination_body(d, v, where, &to->remote, e);
	if (read_table(d, v, TABLE_FOLDER, where, &folder, e) != 0)
		return -1;
	snprintf(to->path, sizeof to->path, "%s", folder.path);
	return 0;
}

int
settings_archive(const struct settings *s, const char *name, struct archive_setting *out, struct err *e)
{
	char names[300] = "";

	for (const struct json *m = json_first(s->archives); m != NULL; m = json_next(m)) {
		size_t n = strlen(names);
		if (strcmp(json_key(m), name) == 0)
			return read_archive(NULL, m, out, e);
		snprintf(names + n, sizeof names - n, "%s%s", n == 0 ? "" : ", ", json_key(m));
	}
	return err_set(e, ERR_NOT_FOUND, "there is no archive \"%.64s\"; configured under \"archives\": %s", name, names[0] == '\0' ? "none" : names);
}

int
settings_read_archives(const struct json_doc *d, const struct json *v, struct settings *s, struct err *e)
{
	if (json_type(v) != JSON_OBJECT)
		return settings_refuse(e, d, v, "archives must be an object {NAME: {\"type\": ...}}");
	for (const struct json *m = json_first(v); m != NULL; m = json_next(m)) {
		struct archive_setting checked;
		if (read_archive(d, m, &checked, e) != 0)
			return -1;
	}
	json_free(s->archives);
	s->archives = json_copy(v);
	return s->archives != NULL ? 0 : no_memory(e);
}

/* ---- models ---- */

void
settings_free_models(struct settings *s)
{
	for (size_t i = 0; i < s->n_models; i++)
		free(s->models[i].destinations);
	free(s->models);
	s->models = NULL;
	s->n_models = 0;
}

/* "NAME" or "NAME@VERSION". */
static int
read_model_name(const struct json_doc *d, const struct json *v, const char *where, struct model_setting *m, struct err *e)
{
	const char *text = json_text(v), *at;

	if (text == NULL)
		return settings_refuse(e, d, v, "%s.name must be a string", where);
	at = strchrnul(text, '@');
	if ((size_t)(at - text) >= sizeof m->name || strlen(at) > sizeof m->version)
		return settings_refuse(e, d, v, "%s.name: a name or version has at most %d characters", where, SETTINGS_NAME - 1);
	snprintf(m->name, sizeof m->name, "%.*s", (int)(at - text), text);
	if (settings_check_name(d, v, where, m->name, e) != 0)
		return -1;
	if (*at == 0)
		return 0;
	snprintf(m->version, sizeof m->version, "%s", at + 1);
	return settings_check_name(d, v, where, m->version, e);
}

static int
read_model_destinations(const struct json_doc *d, const struct json *v, const char *where, struct model_setting *m, struct err *e)
{
	if (json_type(v) != JSON_ARRAY)
		return settings_refuse(e, d, v, "%s.destinations must be an array of names", where);
	m->destinations = calloc(json_size(v) + 1, sizeof *m->destinations);
	if (m->destinations == NULL)
		return no_memory(e);
	for (const struct json *item = json_first(v); item != NULL; item = json_next(item)) {
		const char *name = json_text(item);
		if (name == NULL)
			return settings_refuse(e, d, item, "%s.destinations must be an array of names", where);
		if (settings_check_name(d, item, where, name, e) != 0)
			return -1;
		for (size_t i = 0; i < m->n_destinations; i++)
			if (strcmp(m->destinations[i], name) == 0)
				return settings_refuse(e, d, item, "%s.destinations names '%s' twice", where, name);
		snprintf(m->destinations[m->n_destinations++], SETTINGS_NAME, "%s", name);
	}
	return 0;
}

static int
read_strangers(const struct json_doc *d, const struct json *v, const char *where, struct model_setting *m, struct err *e)
{
	const char *word = v == NULL ? "flag" : json_text(v);

	m->rejects_strangers = word != NULL && strcmp(word, "reject") == 0;
	return m->rejects_strangers || (word != NULL && strcmp(word, "flag") == 0) ? 0
		: settings_refuse(e, d, v, "%s.out_of_distribution must be \"flag\" or \"reject\"", where);
}

static int
read_model(const struct json_doc *d, const struct json *v, struct settings *s, struct err *e)
{
	struct model_setting *m = &s->models[s->n_models++];
	const struct json *destinations = json_get(v, "destinations");
	char where[40];

	m->results = RESULT_SET(RESULT_SEG) | RESULT_SET(RESULT_REPORT);
	snprintf(where, sizeof where, "models[%zu]", s->n_models - 1);
	if (read_table(d, v, TABLE_MODEL, where, m, e) != 0 || read_model_name(d, json_get(v, "name"), where, m, e) != 0 ||
	    read_results(d, json_get(v, "results"), where, &m->results, e) != 0 || read_strangers(d, json_get(v, "out_of_distribution"), where, m, e) != 0)
		return -1;
	for (size_t i = 0; i + 1 < s->n_models; i++)
		if (strcmp(s->models[i].name, m->name) == 0) /* a study has one job a model's name */
			return settings_refuse(e, d, json_get(v, "name"), "%s: the model '%s' is there twice: one version of a model runs", where, m->name);
	return destinations == NULL ? 0 : read_model_destinations(d, destinations, where, m, e);
}

int
settings_read_models(const struct json_doc *d, const struct json *v, struct settings *s, struct err *e)
{
	if (json_type(v) != JSON_ARRAY)
		return settings_refuse(e, d, v, "models must be an array [{\"name\": ...}]");
	settings_free_models(s);
	s->models = calloc(json_size(v) + 1, sizeof *s->models);
	if (s->models == NULL)
		return no_memory(e);
	for (const struct json *item = json_first(v); item != NULL; item = json_next(item))
		if (read_model(d, item, s, e) != 0)
			return -1;
	return 0;
}
