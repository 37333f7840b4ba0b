/* One event, one line on stderr:  2026-01-31T12:00:00.123Z info job_done job=42 study=1.2.840 ms=8123
 * The event is a fixed word of the code. Control characters and line ends in values are escaped (\xNN), so received text cannot forge a line.
 * Never patient name, patient ID, birth date, accession number. Any thread; one write(2) a line. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_set_level(enum log_level lowest);
int  log_parse_level(const char *word, enum log_level *level); /* "debug", "info", "warn", "error"; -1 for any other */

/* fmt gives the "key=value key=value" part; a value that may hold spaces is the last one, text="...". At most 2047 bytes, the rest is cut. */
void log_event(enum log_level level, const char *event, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif
