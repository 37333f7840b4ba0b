/* SHA-256 and name-based UUIDs on libcrypto. The only failure these have is memory for libcrypto's context: said where an object is made,
 * asserted in the one-shot calls. */
/* openssl/types.h has a type of the name that config/err.h gives to a code: it is renamed while its headers are read. */
#define ERR_STATE openssl_err_state
#include <openssl/evp.h>
#undef ERR_STATE

#include "config/digest.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHA256_BYTES = 32, SHA1_BYTES = 20, UUID_BYTES = 16, READ_BYTES = 1 << 16 };

/* b30f24bf-6a4d-5dd2-8f5c-0e1f1ab5c3d7: made once for this program. Changing it changes every UID of every result. */
static const unsigned char name_space[UUID_BYTES] = { 0xb3, 0x0f, 0x24, 0xbf, 0x6a, 0x4d, 0x5d, 0xd2, 0x8f, 0x5c, 0x0e, 0x1f, 0x1a, 0xb5, 0xc3, 0xd7 };

struct digest {
	EVP_MD_CTX *context;
};

static void
put_hex(const unsigned char *bytes, size_t n, char *hex)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		hex[2 * i] = digits[bytes[i] >> 4];
		hex[2 * i + 1] = digits[bytes[i] & 15];
	}
	hex[2 * n] = 0;
}

struct digest *
digest_new(struct err *e)
{
	struct digest *d = calloc(1, sizeof *d);

	if (d != NULL)
		d->context = EVP_MD_CTX_new();
	if (d == NULL || d->context == NULL || EVP_DigestInit_ex(d->context, EVP_sha256(), NULL) != 1) {
		digest_free(d);
		err_set(e, ERR_LIMIT, "no memory for a SHA-256");
		return NULL;
	}
	return d;
}

void
digest_add(struct digest *d, const void *bytes, size_t n)
{
	int good = EVP_DigestUpdate(d->context, bytes, n);

	assert(good == 1);
}

void
digest_hex(struct digest *d, char hex[DIGEST_HEX])
{
	unsigned char sum[SHA256_BYTES];
	int good = EVP_DigestFinal_ex(d->context, sum, NULL);

	assert(good == 1);
	put_hex(sum, sizeof sum, hex);
}

void
digest_free(struct digest *d)
{
	if (d == NULL)
		return;
	EVP_MD_CTX_free(d->context);
	free(d);
}

void
digest_of(const void *bytes, size_t n, char hex[DIGEST_HEX])
{
	unsigned char sum[SHA256_BYTES];
	int good = EVP_Digest(bytes, n, sum, NULL, EVP_sha256(), NULL);

	assert(good == 1);
	put_hex(sum, sizeof sum, hex);
}

static int
add_file(struct digest *d, int fd, const char *path, struct err *e)
{
	unsigned char *block = malloc(READ_BYTES);
	ssize_t n;

	if (block == NULL)
		return err_set(e, ERR_LIMIT, "no memory to read %s", path);
	while ((n = read(fd, block, READ_BYTES)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		digest_add(d, block, (size_t)n);
	}
	if (n < 0)
		err_errno(e, "reading %s", path);
	free(block);
	return n < 0 ? -1 : 0;
}

int
digest_of_file(const char *path, size_t skip_bytes, char hex[DIGEST_HEX], struct err *e)
{
	struct digest *d = NULL;
	int fd, result = -1;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return err_set(e, ERR_NOT_FOUND, "there is no file %s", path);
		return err_errno(e, "opening %s", path);
	}
	d = digest_new(e);
	if (d == NULL)
		goto out;
	if (skip_bytes > 0 && lseek(fd, (off_t)skip_bytes, SEEK_SET) < 0) {
		err_errno(e, "seeking in %s", path);
		goto out;
	}
	if (add_file(d, fd, path, e) != 0)
		goto out;
	digest_hex(d, hex);
	result = 0;
out:
	digest_free(d);
	close(fd);
	return result;
}

/* RFC 4122, 4.3: SHA-1 over name space and name, version and variant set. */
static void
name_to_uuid(const char *name, unsigned char uuid[UUID_BYTES])
{
	unsigned char sum[SHA1_BYTES];
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int good = context != NULL && EVP_DigestInit_ex(context, EVP_sha1(), NULL) == 1 && EVP_DigestUpdate(context, name_space, sizeof name_space) == 1
		&& EVP_DigestUpdate(context, name, strlen(name)) == 1 && EVP_DigestFinal_ex(context, sum, NULL) == 1;

	assert(good);
	EVP_MD_CTX_free(context);
	memcpy(uuid, sum, UUID_BYTES);
	uuid[6] = (unsigned char)((uuid[6] & 0x0F) | 0x50);
	uuid[8] = (unsigned char)((uuid[8] & 0x3F) | 0x80);
}

void
digest_uid(const char *name, char uid[DIGEST_UID])
{
	unsigned char number[UUID_BYTES];
	char decimal[40]; /* 2^128 has 39 digits */
	size_t at = sizeof decimal;
	bool more = true;

	name_to_uuid(name, number);
	decimal[--at] = 0;
	while (more) { /* long division by ten of the 16-byte number */
		unsigned rest = 0;
		more = false;
		for (size_t i = 0; i < sizeof number; i++) {
			unsigned part = rest << 8 | number[i];
			number[i] = (unsigned char)(part / 10);
			rest = part % 10;
			more = more || number[i] != 0;
		}
		decimal[--at] = (char)('0' + rest);
	}
	snprintf(uid, DIGEST_UID, "2.25.%s", decimal + at);
}
