/* Every key of the settings: where it goes and what it may be. Defaults are not here: config/segand.json holds them.
 * Add a setting: a member in settings.h, a row here, a line in segand.json. */
#include "config/settings_parts.h"

#define SIZE_OF(type, member) sizeof(((type *)0)->member)
#define TEXT(type, key, member) { key, FIELD_STRING, offsetof(type, member), SIZE_OF(type, member), 0, 0, false, false }
#define NEEDED(type, key, member) { key, FIELD_STRING, offsetof(type, member), SIZE_OF(type, member), 0, 0, true, false }
#define MAYBE(type, key, member) { key, FIELD_STRING, offsetof(type, member), SIZE_OF(type, member), 0, 0, false, true }
#define FLAG(type, key, member) { key, FIELD_BOOL, offsetof(type, member), 0, 0, 0, false, false }
#define WHOLE(type, key, member, min, max) { key, FIELD_INT, offsetof(type, member), 0, min, max, false, false }
#define OTHER(key) { key, FIELD_OTHER, 0, 0, 0, 0, false, false }
#define OTHER_NEEDED(key) { key, FIELD_OTHER, 0, 0, 0, 0, true, false }

enum { PORT_MAX = 65535, MB_MAX = 1 << 30, DAY = 86400 /* s */ };

static const struct json_field root[] = {
	TEXT(struct settings, "data_dir", data_dir),
	TEXT(struct settings, "models_dir", models_dir),
	MAYBE(struct settings, "trainings_dir", trainings_dir),
	OTHER("dicom"),
	OTHER("http"),
	WHOLE(struct settings, "series_complete_trigger", series_complete_trigger, 0, DAY),
	WHOLE(struct settings, "series_interrupted_trigger", series_interrupted_trigger, 0, 30 * DAY),
	WHOLE(struct settings, "study_forcecomplete_trigger", study_forcecomplete_trigger, 0, 30 * DAY),
	OTHER("models"),
	OTHER("destinations"),
	OTHER("archives"),
	WHOLE(struct settings, "workers", workers, 1, 256),
	WHOLE(struct settings, "threads", threads, 0, 1024),
	WHOLE(struct settings, "max_attempts", max_attempts, 1, 100),
	WHOLE(struct settings, "job_timeout", job_timeout, 1, DAY),
	WHOLE(struct settings, "worker_memory_mb", worker_memory_mb, 256, MB_MAX),
	MAYBE(struct settings, "core_type", core_type),
	WHOLE(struct settings, "retry_delay", retry_delay, 1, DAY),
	WHOLE(struct settings, "retry_max", retry_max, 1, DAY),
	WHOLE(struct settings, "retry_give_up", retry_give_up, 1, 366 * DAY),
	WHOLE(struct settings, "disk_reserve_mb", disk_reserve_mb, 0, MB_MAX),
	OTHER("retention"),
	OTHER("audit"),
	TEXT(struct settings, "log_level", log_level),
	OTHER("patterns"),
	OTHER("rules"),
};
static const struct json_field dicom[] = {
	TEXT(struct settings, "aet", dicom.aet),
	TEXT(struct settings, "bind", dicom.bind),
	WHOLE(struct settings, "port", dicom.port, 0, PORT_MAX),
	OTHER("peers"),
	FLAG(struct settings, "accept_unknown_peers", dicom.accept_unknown_peers),
	FLAG(struct settings, "check_called_aet", dicom.check_called_aet),
	MAYBE(struct settings, "move_aet", dicom.move_aet),
	WHOLE(struct settings, "max_associations", dicom.max_associations, 1, 4096),
	WHOLE(struct settings, "max_associations_per_peer", dicom.max_associations_per_peer, 1, 4096),
	WHOLE(struct settings, "max_pdu", dicom.max_pdu, 4096, 131072),
	WHOLE(struct settings, "request_timeout", dicom.request_timeout, 1, 3600),
	WHOLE(struct settings, "idle_timeout", dicom.idle_timeout, 1, DAY),
	WHOLE(struct settings, "association_timeout", dicom.association_timeout, 1, 30 * DAY),
	WHOLE(struct settings, "commitment_timeout", dicom.commitment_timeout, 1, 30 * DAY),
	WHOLE(struct settings, "commitment_wait", dicom.commitment_wait, 0, 3600),
	WHOLE(struct settings, "max_instance_mb", dicom.max_instance_mb, 1, 1 << 20),
	WHOLE(struct settings, "max_depth", dicom.max_depth, 8, 256),
	WHOLE(struct settings, "max_elements", dicom.max_elements, 1000, 4000000),
	WHOLE(struct settings, "max_decoded_mb", dicom.max_decoded_mb, 1, 1 << 20),
	MAYBE(struct settings, "tls_certificate", dicom.tls_certificate),
	MAYBE(struct settings, "tls_key", dicom.tls_key),
	MAYBE(struct settings, "tls_ca", dicom.tls_ca),
	FLAG(struct settings, "tls_require_client", dicom.tls_require_client),
};
static const struct json_field http[] = {
	TEXT(struct settings, "bind", http.bind),
	WHOLE(struct settings, "port", http.port, 0, PORT_MAX),
	MAYBE(struct settings, "tokens_file", http.tokens_file),
	MAYBE(struct settings, "tls_certificate", http.tls_certificate),
	MAYBE(struct settings, "tls_key", http.tls_key),
	MAYBE(struct settings, "tls_client_ca", http.tls_client_ca),
	WHOLE(struct settings, "session_timeout", http.session_timeout, 60, 30 * DAY),
	WHOLE(struct settings, "max_connections", http.max_connections, 1, 65536),
	WHOLE(struct settings, "max_connections_per_client", http.max_connections_per_client, 1, 65536),
	WHOLE(struct settings, "max_requests_per_client", http.max_requests_per_client, 0, 1 << 24),
	WHOLE(struct settings, "max_token_failures", http.max_token_failures, 1, 1 << 20),
	WHOLE(struct settings, "max_header_kb", http.max_header_kb, 4, 1024),
	WHOLE(struct settings, "max_body_mb", http.max_body_mb, 1, 1 << 20),
	WHOLE(struct settings, "max_parts", http.max_parts, 1, 1 << 20),
	WHOLE(struct settings, "max_json_kb", http.max_json_kb, 1, 1 << 14),
	WHOLE(struct settings, "max_json_depth", http.max_json_depth, 2, JSON_MAX_DEPTH),
	WHOLE(struct settings, "header_timeout", http.header_timeout, 1, DAY),
	WHOLE(struct settings, "idle_timeout", http.idle_timeout, 1, DAY),
	WHOLE(struct settings, "request_timeout", http.request_timeout, 1, 30 * DAY),
	WHOLE(struct settings, "min_body_rate", http.min_body_rate, 0, 1 << 30),
};
static const struct json_field retention[] = {
	WHOLE(struct settings, "days", retention_days, 0, 36600),
	WHOLE(struct settings, "unused_days", retention_unused_days, 0, 36600),
	WHOLE(struct settings, "max_mb", retention_max_mb, 0, MB_MAX),
};
static const struct json_field audit[] = {
	MAYBE(struct settings, "syslog", audit_syslog),
	WHOLE(struct settings, "days", audit_days, 0, 36600),
};
static const struct json_field peer[] = {
	NEEDED(struct peer_setting, "aet", aet),
	MAYBE(struct peer_setting, "host", host),
	WHOLE(struct peer_setting, "port", port, 0, PORT_MAX),
};
static const struct json_field dimse[] = {
	OTHER_NEEDED("type"),
	NEEDED(struct destination_setting, "aet", aet),
	NEEDED(struct destination_setting, "host", host),
	{ "port", FIELD_INT, offsetof(struct destination_setting, port), 0, 1, PORT_MAX, true, false },
	MAYBE(struct destination_setting, "calling_aet", calling_aet),
	FLAG(struct destination_setting, "tls", tls),
	MAYBE(struct destination_setting, "tls_ca", tls_ca),
	MAYBE(struct destination_setting, "tls_certificate", tls_certificate),
	MAYBE(struct destination_setting, "tls_key", tls_key),
	MAYBE(struct destination_setting, "tls_name", tls_name),
	WHOLE(struct destination_setting, "timeout", timeout, 1, DAY),
	FLAG(struct destination_setting, "commitment", commitment),
	OTHER("results"),
	OTHER("seg_syntax"),
	FLAG(struct destination_setting, "ask", ask),
};
static const struct json_field stow[] = {
	OTHER_NEEDED("type"),
	NEEDED(struct destination_setting, "url", url),
	MAYBE(struct destination_setting, "token_file", token_file),
	MAYBE(struct destination_setting, "ca_file", ca_file),
	WHOLE(struct destination_setting, "timeout", timeout, 1, DAY),
	OTHER("results"),
	OTHER("seg_syntax"),
	FLAG(struct destination_setting, "ask", ask),
};
static const struct json_field sender[] = {
	OTHER_NEEDED("type"),
	MAYBE(struct destination_setting, "calling_aet", calling_aet),
	FLAG(struct destination_setting, "tls", tls),
	MAYBE(struct destination_setting, "tls_ca", tls_ca),
	MAYBE(struct destination_setting, "tls_certificate", tls_certificate),
	MAYBE(struct destination_setting, "tls_key", tls_key),
	MAYBE(struct destination_setting, "tls_name", tls_name),
	WHOLE(struct destination_setting, "timeout", timeout, 1, DAY),
	OTHER("results"),
	OTHER("seg_syntax"),
	FLAG(struct destination_setting, "ask", ask),
};
static const struct json_field folder[] = {
	OTHER_NEEDED("type"),
	NEEDED(struct folder_setting, "path", path),
};
static const struct json_field rule[] = {
	NEEDED(struct rule_setting, "name", name),
	{ "channel", FIELD_STRING, offsetof(struct rule_setting, channel), SIZE_OF(struct rule_setting, channel), 0, 0, true, true },
	OTHER_NEEDED("where"),
	OTHER("not"),
	FLAG(struct rule_setting, "fallback", fallback),
	FLAG(struct rule_setting, "registered", registered),
};
static const struct json_field model[] = {
	OTHER_NEEDED("name"),
	OTHER("destinations"),
	OTHER("results"),
	FLAG(struct model_setting, "empty_report", empty_report),
	OTHER("out_of_distribution"),
};

const struct settings_type settings_types[SETTINGS_N_TYPES] = {
	[DESTINATION_DIMSE] = { "dimse", TABLE_DIMSE },
	[DESTINATION_STOW] = { "stow", TABLE_STOW },
	[DESTINATION_SENDER] = { "sender", TABLE_SENDER },
};

#define TABLE(fields) { fields, sizeof fields / sizeof fields[0] }
const struct settings_table settings_tables[TABLE_N] = {
	[TABLE_ROOT] = TABLE(root), [TABLE_DICOM] = TABLE(dicom), [TABLE_HTTP] = TABLE(http), [TABLE_RETENTION] = TABLE(retention),
	[TABLE_AUDIT] = TABLE(audit),
	[TABLE_PEER] = TABLE(peer), [TABLE_DIMSE] = TABLE(dimse), [TABLE_STOW] = TABLE(stow), [TABLE_SENDER] = TABLE(sender),
	[TABLE_FOLDER] = TABLE(folder), [TABLE_RULE] = TABLE(rule), [TABLE_MODEL] = TABLE(model),
};
