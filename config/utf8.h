/* Well-formed UTF-8, one character at a time (RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF). */
#pragma once
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

size_t utf8_length(const char *s, size_t n); /* bytes of the character that begins at s, of n left; 0 when it is malformed or n is 0 */
/* Copies text to out; what does not fit whole ends behind a word, or at least behind a character, with "...". size: 8 or more. */
void utf8_shorten(char *out, size_t size, const char *text);

#ifdef __cplusplus
}
#endif
