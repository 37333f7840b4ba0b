/* SHA-256, and UIDs derived from names (libcrypto). */
#pragma once
#include "config/err.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { DIGEST_HEX = 65, DIGEST_UID = 65 };          /* array sizes, with the terminator */

struct digest;                                      /* a running SHA-256 */
struct digest *digest_new(struct err *e);           /* caller: digest_free */
void digest_add(struct digest *d, const void *bytes, size_t n);
void digest_hex(struct digest *d, char hex[DIGEST_HEX]); /* ends the run, lower case */
void digest_free(struct digest *d);

void digest_of(const void *bytes, size_t n, char hex[DIGEST_HEX]);
int  digest_of_file(const char *path, size_t skip_bytes, char hex[DIGEST_HEX], struct err *e); /* from byte skip_bytes on */

/* "2.25." + decimal of a version-5 UUID (RFC 4122, PS3.5 B.2) of name under a fixed namespace of this program: same name, same UID. */
void digest_uid(const char *name, char uid[DIGEST_UID]);

#ifdef __cplusplus
}
#endif
