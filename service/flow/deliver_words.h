/* What a web service says of why it does not take an object: its words are for the person who must mend it, and end in logs, in the database and on terminals. */
#pragma once
#include <stddef.h>

enum { DELIVER_WORDS = 128 };
/* Of an answer's body, which ends with a 0 behind its n bytes: the message of a JSON object (RFC 9457 and its kin), or plain text; "": a page, an answer of DICOM JSON, nothing that reads as words. One line; words
 * that name the patient of the object at `path` are left out, and that is said. */
void deliver_words(const char *body, size_t n, const char *path, char words[DELIVER_WORDS]);
