/* The daemon's settings: one JSON file with comments, read by a table of keys. config/segand.json holds every key, its default and a line of help,
 * and is compiled in: it is the default (of the rules too). Unknown key, wrong type, out of range: ERR_INPUT naming file, line and key. */
#pragma once
#include "config/err.h"
#include "config/json.h"
#include "config/result_kind.h"
#include "config/seg_syntax.h"

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SETTINGS_PATH = 1024, SETTINGS_NAME = 65, SETTINGS_HOST = 256, SETTINGS_AET = 17 };

struct peer_setting {            /* who may send: "dicom": {"peers": {NAME: {...}}} */
	char name[SETTINGS_NAME], aet[SETTINGS_AET], host[SETTINGS_HOST]; /* host "" = any address */
	int64_t port;                /* 0 = none; needed by a "sender" destination */
};

enum destination_type { DESTINATION_DIMSE, DESTINATION_STOW, DESTINATION_SENDER };
struct destination_setting {
	char name[SETTINGS_NAME];
	enum destination_type type;
	char aet[SETTINGS_AET], calling_aet[SETTINGS_AET], host[SETTINGS_HOST]; /* dimse; calling_aet "" = dicom.aet */
	int64_t port;
	bool commitment;             /* dimse: delivered is not enough, it must answer for what it has */
	bool tls;                    /* dimse, sender: over TLS. tls_ca "": the system's authorities, and the host's name must fit; tls_certificate "": dicom's */
	char tls_ca[SETTINGS_PATH], tls_certificate[SETTINGS_PATH], tls_key[SETTINGS_PATH], tls_name[SETTINGS_HOST] /* the certificate must carry; "": not compared */;
	char url[SETTINGS_PATH], token_file[SETTINGS_PATH], ca_file[SETTINGS_PATH]; /* stow: url up to and without /studies */
	int64_t timeout;             /* seconds without progress */
	unsigned results;            /* what it gets: RESULT_SETs */
	enum seg_syntax seg_syntax;  /* of the SEGs among them, where it takes that */
	bool ask;                    /* before sending: whose the study is there, and after doubt whether the object arrived */
};

enum archive_type { ARCHIVE_DIMSE, ARCHIVE_DICOMWEB, ARCHIVE_FOLDER };
struct archive_setting {         /* where cases for training come from */
	enum archive_type type;
	struct destination_setting remote; /* dimse, dicomweb: as a destination of that kind; its name is the archive's */
	char path[SETTINGS_PATH];    /* folder */
};

/* One test of an attribute, or a group of them. */
enum condition_kind { CONDITION_TEXT, CONDITION_RANGE, CONDITION_ALL, CONDITION_ANY, CONDITION_NONE };
struct condition_setting {
	enum condition_kind kind;
	char attribute[SETTINGS_NAME];   /* TEXT, RANGE: DICOM keyword, "GGGG,EEEE", or a computed one (service/flow/match_values.h) */
	char *written;               /* TEXT: the pattern as it stands in the file */
	regex_t *pattern;            /* TEXT: with every ${NAME} put in; POSIX extended, case-insensitive */
	double min, max;             /* RANGE, ends included; infinite = open */
	struct condition_setting *items; /* ALL, ANY, NONE of these hold */
	size_t n_items;
	unsigned line;
};
struct pattern_setting {         /* "patterns": {NAME: TEXT}: ${NAME} stands for (TEXT) */
	char name[SETTINGS_NAME];
	char *text;
};
struct rule_setting {
	char name[SETTINGS_NAME], channel[SETTINGS_NAME]; /* channel "": what fits fills none, and no later rule is asked */
	struct condition_setting where, unless; /* "where": ALL; "not": NONE */
	bool fallback;               /* runs only where no other rule of this channel fits a series of the study */
	bool registered;             /* its series lies where the reference channel's does, though FrameOfReferenceUID differs */
	unsigned line;
};

struct model_setting {
	char name[SETTINGS_NAME], version[SETTINGS_NAME]; /* "NAME" or "NAME@VERSION"; version "" = the one in service */
	char (*destinations)[SETTINGS_NAME];
	size_t n_destinations;
	unsigned results;            /* what is made whatever the destinations get: RESULT_SETs */
	bool empty_report;           /* a report also where nothing was found */
	bool rejects_strangers;      /* an input out of distribution: rejected, instead of segmented and flagged */
};

struct settings {
	char file[SETTINGS_PATH];    /* where it was read; "" = the defaults alone */
	char data_dir[SETTINGS_PATH], models_dir[SETTINGS_PATH];
	struct {
		char aet[SETTINGS_AET], move_aet[SETTINGS_AET], bind[SETTINGS_HOST];
		int64_t port, max_associations, max_associations_per_peer, max_pdu, max_instance_mb, max_depth, max_elements, max_decoded_mb;
		int64_t request_timeout, idle_timeout, association_timeout, commitment_timeout, commitment_wait; /* s */
		bool accept_unknown_peers, check_called_aet, tls_require_client;
		char tls_certificate[SETTINGS_PATH], tls_key[SETTINGS_PATH], tls_ca[SETTINGS_PATH];
		struct peer_setting *peers;
		size_t n_peers;
	} dicom;
	struct {
		char bind[SETTINGS_HOST], tokens_file[SETTINGS_PATH], tls_certificate[SETTINGS_PATH], tls_key[SETTINGS_PATH], tls_client_ca[SETTINGS_PATH];
		int64_t port, session_timeout /* s */, max_connections, max_connections_per_client, max_requests_per_client /* a second; 0 = no bound */;
		int64_t max_token_failures /* a minute and client */, max_header_kb, max_body_mb, max_parts, max_json_kb, max_json_depth;
		int64_t header_timeout, idle_timeout, request_timeout /* s */, min_body_rate /* bytes a second */;
	} http;
	int64_t series_complete_trigger, series_interrupted_trigger, study_forcecomplete_trigger; /* s */
	struct pattern_setting *patterns;
	size_t n_patterns;
	struct rule_setting *rules;
	size_t n_rules;
	struct model_setting *models;
	size_t n_models;
	struct destination_setting *destinations;
	size_t n_destinations;
	int64_t workers, threads /* a worker; 0 = as many as cores */, max_attempts, job_timeout /* s */, worker_memory_mb;
	int64_t retry_delay, retry_max, retry_give_up; /* s: first wait, longest wait, when to give up */
	int64_t disk_reserve_mb, retention_days, retention_unused_days, retention_max_mb;
	char audit_syslog[SETTINGS_PATH]; /* the socket; "" = none */
	int64_t audit_days;          /* 0 = for ever */
	char core_type[SETTINGS_NAME], log_level[SETTINGS_NAME]; /* "" = chosen by the CPU; debug|info|warn|error */
	char trainings_dir[SETTINGS_PATH]; /* "" = data_dir/trainings */
	struct json *archives;       /* checked; settings_archive reads one */
};

struct settings *settings_load(const char *path /* NULL: defaults */, struct err *e); /* caller: settings_free */
struct settings *settings_parse(const char *text, size_t n, const char *name, struct err *e); /* for tests; caller: settings_free */
void settings_free(struct settings *s);
char *settings_print(const struct settings *s, struct err *e);  /* the effective configuration as JSON; caller: free */
const struct model_setting *settings_model(const struct settings *s, const char *name); /* the entry of "models"; NULL when there is none; borrowed */
const struct destination_setting *settings_destination(const struct settings *s, const char *name); /* NULL when unknown; borrowed */
int settings_archive(const struct settings *s, const char *name, struct archive_setting *out, struct err *e); /* ERR_NOT_FOUND names those that are there */
bool settings_is_loopback(const char *address);               /* an IP address that only this machine reaches */
const char *settings_default_text(void);                        /* config/segand.json as compiled in; borrowed */
