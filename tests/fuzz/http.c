/* What the server reads out of a request's line and headers: method, path, query value, Accept, Content-Type, Host, Origin, a number, a time,
 * Authorization, Cookie, one a line. */
#include "tests/fuzz/fuzz.h"

#include "config/clock.h"
#include "dicom/frames.h"
#include "service/http/media.h"
#include "service/http/multipart.h"
#include "service/http/origin.h"
#include "service/http/route.h"
#include "service/http/who.h"

#include <stdlib.h>
#include <string.h>

enum { METHOD, PATH, VALUE, ACCEPT, TYPE, HOST, ORIGIN, NUMBER, TIME, AUTHORIZATION, COOKIE, N_LINES };

static void
find_route(const char *method, const char *path)
{
	char params[REQUEST_PARAMS][REQUEST_TEXT] = { "" }, allow[64] = "";
	const struct route *found = NULL;
	enum route_verdict verdict = route_find(routes, n_routes, method, path, &found, params, allow);

	fuzz_must((verdict == ROUTE_FOUND) == (found != NULL) || verdict == ROUTE_WRONG_METHOD);
	fuzz_must(verdict != ROUTE_WRONG_METHOD || allow[0] != '\0');
	for (size_t i = 0; verdict == ROUTE_FOUND && i < REQUEST_PARAMS; i++) {
		fuzz_must(memchr(params[i], '\0', REQUEST_TEXT) != NULL);
		fuzz_must(strchr(params[i], '/') == NULL && strcmp(params[i], "..") != 0 && strcmp(params[i], ".") != 0);
	}
}

static void
read_media(const char *accept, const char *type)
{
	static const char *const offers[] = { "application/dicom+json", "application/json" };
	char plain[MEDIA_TYPE], value[40];
	struct multipart_type multipart;
	struct err e;
	const char *taken = media_accept(accept, offers, 2);

	fuzz_must(taken == NULL || taken == offers[0] || taken == offers[1]);
	if (media_type(type, plain) == 0)
		fuzz_must(strchr(plain, '/') != NULL && strpbrk(plain, "; \t\r\n") == NULL);
	media_param(type, "boundary", value, sizeof value);
	if (multipart_type(type, &multipart, &e) == 0)
		fuzz_must(multipart.boundary[0] != '\0');
}

static void
read_credentials(const char *authorization, const char *cookie)
{
	char token[WHO_TOKEN], id[AUTH_TOKEN];

	if (who_bearer(authorization, token))
		fuzz_must(strpbrk(token, " \t") == NULL);
	if (who_session(cookie, id))
		fuzz_must(strpbrk(id, "; \t") == NULL);
}

static void
one(const uint8_t *bytes, size_t n)
{
	char *line[N_LINES], value[REQUEST_TEXT];
	int64_t number;
	struct err e;

	for (size_t i = 0; i < N_LINES; i++) {
		const uint8_t *line_end = n > 0 ? memchr(bytes, '\n', n) : NULL;
		size_t length = line_end != NULL ? (size_t)(line_end - bytes) : n;
		line[i] = fuzz_text(bytes, length);
		bytes += length + (line_end != NULL);
		n -= length + (line_end != NULL);
	}
	find_route(line[METHOD], line[PATH]);
	if (route_decode(line[VALUE], strlen(line[VALUE]), value, sizeof value) == 0)
		for (const char *c = value; *c != '\0'; c++)
			fuzz_must((unsigned char)*c >= 0x20);
	read_media(line[ACCEPT], line[TYPE]);
	origin_host_is_plain(line[HOST]);
	origin_host_is_local(line[HOST], "127.0.0.1");
	origin_matches(line[ORIGIN], line[HOST]);
	if (request_integer(line[NUMBER], 1, 1000, &number) == 0)
		fuzz_must(number >= 1 && number <= 1000);
	if (frames_are_valid(line[NUMBER]))
		frames_hold(line[NUMBER], 3);
	clock_parse(line[TIME], &number, &e);
	read_credentials(line[AUTHORIZATION], line[COOKIE]);
	for (size_t i = 0; i < N_LINES; i++)
		free(line[i]);
}

const struct fuzz_target fuzz_http = { "http", NULL, one };
