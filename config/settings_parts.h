/* Between the files of the settings: settings.c (order of reading, cross checks), settings_tables.c (every key), settings_lists.c (peers,
 * destinations, models, archives), settings_rules.c (rules), settings_patterns.c (their patterns), settings_print.c. Not for other rooms. */
#pragma once
#include "config/settings.h"

enum settings_table_name {
	TABLE_ROOT, TABLE_DICOM, TABLE_HTTP, TABLE_RETENTION, TABLE_AUDIT, TABLE_PEER, TABLE_DIMSE, TABLE_STOW, TABLE_SENDER, TABLE_FOLDER, TABLE_RULE, TABLE_MODEL, TABLE_N
};

struct settings_table {
	const struct json_field *fields; /* (n); offsets into the struct that the table is for */
	size_t n;
};
extern const struct settings_table settings_tables[TABLE_N];

/* By enum destination_type: its word in the file, its keys. */
struct settings_type {
	const char *word;
	enum settings_table_name table;
};
enum { SETTINGS_N_TYPES = DESTINATION_SENDER + 1 };
extern const struct settings_type settings_types[SETTINGS_N_TYPES];

/* What TABLE_FOLDER fills. */
struct folder_setting {
	char type[SETTINGS_NAME], path[SETTINGS_PATH];
};

/* ERR_INPUT "line N: ...", N being v's line. Returns -1. */
int settings_refuse(struct err *e, const struct json_doc *d, const struct json *v, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* A name of ours: 1 to 64 letters, digits, '.', '_', '-'. */
int settings_check_name(const struct json_doc *d, const struct json *v, const char *where, const char *name, struct err *e);
int settings_check_aet(const struct json_doc *d, const struct json *v, const char *where, const char *aet, struct err *e);

/* Each replaces one list of s by what v says; v is the member of the root (of "dicom" for peers). */
int settings_read_peers(const struct json_doc *d, const struct json *v, struct settings *s, struct err *e);
int settings_read_destinations(const struct json_doc *d, const struct json *v, struct settings *s, struct err *e);
int settings_read_models(const struct json_doc *d, const struct json *v, struct settings *s, struct err *e);
int settings_read_archives(const struct json_doc *d, const struct json *v, struct settings *s, struct err *e);
int settings_read_patterns(const struct json_doc *d, const struct json *v, struct settings *s, struct err *e); /* adds to, or replaces by name */
int settings_read_rules(const struct json_doc *d, const struct json *v, struct settings *s, struct err *e);

/* Compiles a condition's pattern, ${NAME}s put in. ERR_INPUT says what is wrong with it, not where. */
int settings_compile_pattern(const struct settings *s, struct condition_setting *c, struct err *e);

void settings_free_models(struct settings *s);
void settings_free_rules(struct settings *s);
void settings_free_patterns(struct settings *s);
