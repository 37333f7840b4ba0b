/* Text comparisons only (RFC 6454 7, RFC 9110 7.2). */
#include "service/http/origin.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { HOST_TEXT = 256 };

bool
origin_host_is_plain(const char *host)
{
	size_t n = strlen(host);

	if (n == 0 || n >= HOST_TEXT)
		return false;
	for (const char *c = host; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr(".-_:[]", *c))
			return false;
	return true;
}

/* Name or address without port and brackets. */
static void
host_only(const char *host, char out[HOST_TEXT])
{
	size_t n = *host == '[' ? strcspn(host, "]") : strcspn(host, ":");
	size_t from = *host == '[' ? 1 : 0;

	snprintf(out, HOST_TEXT, "%.*s", (int)(n - from), host + from);
}

bool
origin_host_is_local(const char *host, const char *bound)
{
	char name[HOST_TEXT];
	struct in_addr v4;
	struct in6_addr v6;

	if (!origin_host_is_plain(host))
		return false;
	host_only(host, name);
	if (strcasecmp(name, "localhost") == 0 || strcasecmp(name, bound) == 0)
		return true;
	if (inet_pton(AF_INET, name, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, name, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* Length without a port that the scheme implies. */
static size_t
length_without(const char *host, const char *port)
{
	size_t n = strlen(host), n_port = strlen(port);

	return n > n_port && strcmp(host + n - n_port, port) == 0 ? n - n_port : n;
}

bool
origin_is_secure(const char *origin)
{
	return strncasecmp(origin, "https://", 8) == 0;
}

bool
origin_matches(const char *origin, const char *host)
{
	const char *port, *authority;
	size_t n;

	if (strncasecmp(origin, "http://", 7) == 0) {
		authority = origin + 7;
		port = ":80";
	} else if (strncasecmp(origin, "https://", 8) == 0) {
		authority = origin + 8;
		port = ":443";
	} else {
		return false;                                           /* "null", a file, an extension */
	}
	n = length_without(authority, port);
	return n > 0 && n == length_without(host, port) && strncasecmp(authority, host, n) == 0;
}
