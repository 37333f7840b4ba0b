/* One event, one line on stderr:  2026-01-31T12:00:00.123Z info job_done job=42 study=1.2.840 ms=8123
 * The event is a fixed word of the code. What a value says cannot forge a line nor a part of one: control characters are written as \xNN, quotes and backslashes
 * between quotes as \" and \\, and in a value without quotes these and the blank as \xNN.
 * Never patient name, patient ID, birth date, accession number. Any thread; one write(2) a line. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_set_level(enum log_level lowest);
int  log_parse_level(const char *word, enum log_level *level); /* "debug", "info", "warn", "error"; -1 for any other */

/* fmt gives the "key=value key=\"value\"" part: quotes around what may hold blanks. Conversions: d i u x X c s f g, with l, ll, z, a width and a precision. At
 * most 2047 bytes, the rest is cut. */
void log_event(enum log_level level, const char *event, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif
