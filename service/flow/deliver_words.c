/* See deliver_words.h. */
#include "service/flow/deliver_words.h"

#include "config/json.h"
#include "config/utf8.h"
#include "dicom/scu.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PLAIN = 1024 /* what is longer is no message */ };

/* RFC 9457; Orthanc; others. The first that is there says the most. */
static const char *const members[] = { "detail", "Details", "details", "errorMessage", "error_description", "message", "Message", "error", "title" };

static const char *
message_of(const struct json *root)
{
	const char *text = NULL;

	for (size_t i = 0; i < sizeof members / sizeof *members && (text == NULL || text[0] == '\0'); i++)
		text = json_text(json_get(root, members[i]));
	return text != NULL ? text : "";
}

static void
put_line(char *out, const char *text)
{
	char line[MAX_PLAIN];
	size_t used = 0;

	for (size_t left = strlen(text), n; left > 0 && used + 4 < sizeof line; text += n, left -= n) {
		n = utf8_length(text, left);
		if (n > 1) {
			memcpy(line + used, text, n);
			used += n;
		} else if (n == 1 && !iscntrl((unsigned char)*text)) {
			line[used++] = *text;
		} else if (used > 0 && line[used - 1] != ' ') {
			line[used++] = ' ';
		}
		n = n == 0 ? 1 : n;
	}
	line[used] = '\0';
	utf8_shorten(out, DELIVER_WORDS, line);
}

void
deliver_words(const char *body, size_t n, const char *path, char words[DELIVER_WORDS])
{
	struct err e;
	struct json_doc *d = n == 0 ? NULL : json_parse(body, n, 0, &e);

	words[0] = '\0';
	if (d != NULL)
		put_line(words, message_of(json_root(d)));
	else if (n > 0 && n < MAX_PLAIN && memchr(body, '<', n) == NULL && memchr(body, '{', n) == NULL && memchr(body, '\0', n) == NULL)
		put_line(words, body);
	json_doc_free(d);
	if (words[0] != '\0' && scu_names_patient(path, words))
		snprintf(words, DELIVER_WORDS, "its words name the patient and are not repeated here");
}
