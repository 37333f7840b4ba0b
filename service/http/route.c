/* Matching a path against a table of patterns, segment by segment, each decoded on its own (RFC 3986 2.4: split first, decode then). */
#include "service/http/route.h"

#include <stdio.h>
#include <string.h>

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int
route_decode(const char *text, size_t length, char *out, size_t n)
{
	size_t used = 0;

	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c == '%') {
			int high = i + 2 < length ? hex(text[i + 1]) : -1, low = i + 2 < length ? hex(text[i + 2]) : -1;
			if (high < 0 || low < 0)
				return -1;
			c = (unsigned char)(high * 16 + low);
			i += 2;
		}
		if (c < ' ' || c == 0x7f || used + 1 >= n)
			return -1;
		out[used++] = (char)c;
	}
	out[used] = '\0';
	return 0;
}

/* The decoded segments of a path. -1: malformed; 0: more than any route has. */
static int
split(const char *path, char segments[ROUTE_SEGMENTS][REQUEST_TEXT])
{
	int n = 0;

	if (*path != '/')
		return -1;
	while (*path == '/') {
		size_t length = strcspn(++path, "/");
		char *segment;
		if (n == ROUTE_SEGMENTS)
			return 0;
		segment = segments[n++];
		if (route_decode(path, length, segment, REQUEST_TEXT) < 0)
			return -1;
		if (strchr(segment, '/') || strchr(segment, '\\') || strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0)
			return -1;
		path += length;
	}
	return n;
}

static bool
fits(const char *pattern, char segments[ROUTE_SEGMENTS][REQUEST_TEXT], int n, char params[REQUEST_PARAMS][REQUEST_TEXT])
{
	size_t n_params = 0;

	for (int i = 0; i < n; i++) {
		size_t length;
		if (*pattern++ != '/')
			return false;
		length = strcspn(pattern, "/");
		if (*pattern == '{') {
			if (!segments[i][0] || n_params == REQUEST_PARAMS)
				return false;
			memcpy(params[n_params++], segments[i], REQUEST_TEXT);
		} else if (strlen(segments[i]) != length || memcmp(segments[i], pattern, length) != 0) {
			return false;
		}
		pattern += length;
	}
	return *pattern == '\0';
}

static bool
takes(const struct route *r, const char *method)
{
	return strcmp(r->method, method) == 0 || (strcmp(r->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

enum route_verdict
route_find(const struct route *table, size_t n, const char *method, const char *path, const struct route **found,
           char params[REQUEST_PARAMS][REQUEST_TEXT], char allow[64])
{
	char segments[ROUTE_SEGMENTS][REQUEST_TEXT];
	int n_segments = split(path, segments);
	size_t used = 0;

	allow[0] = '\0';
	if (n_segments <= 0)
		return n_segments < 0 ? ROUTE_MALFORMED : ROUTE_UNKNOWN;
	for (size_t i = 0; i < n; i++) {
		if (!fits(table[i].pattern, segments, n_segments, params))
			continue;
		if (takes(&table[i], method)) {
			*found = &table[i];
			allow[0] = '\0';
			return ROUTE_FOUND;
		}
		used += (size_t)snprintf(allow + used, used < 64 ? 64 - used : 0, "%s%s%s", used ? ", " : "", table[i].method, strcmp(table[i].method, "GET") == 0 ? ", HEAD" : "");
	}
	return used ? ROUTE_WRONG_METHOD : ROUTE_UNKNOWN;
}
