/* Media types and their parameters. Does not know which types this node speaks, and follows RFC 9110 5.6.6 (parameters), 12.5.1 (Accept). */
#include "service/http/media.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool
is_token(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

bool
media_is_token(const char *text)
{
	if (*text == '\0')
		return false;
	while (is_token(*text))
		text++;
	return *text == '\0';
}

static const char *
skip_space(const char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

int
media_type(const char *text, char type[MEDIA_TYPE])
{
	const char *at = skip_space(text);
	size_t n = 0, slash = 0;

	for (; is_token(*at) || (*at == '/' && !slash); at++) {
		if (n + 1 >= MEDIA_TYPE)
			return -1;
		if (*at == '/')
			slash = n;
		type[n++] = (char)tolower((unsigned char)*at);
	}
	type[n] = '\0';
	at = skip_space(at);
	return slash > 0 && slash + 1 < n && (!*at || *at == ';') ? 0 : -1;
}

/* The value at *at, quoted or up to ';' or a space (boundaries are often sent unquoted with characters that a token may not have). -1: malformed, too long. */
static int
read_value(const char **at, char *value, size_t n)
{
	const char *p = *at;
	bool quoted = *p == '"', closed = !quoted;
	size_t length = 0;

	for (p += quoted; *p; p++) {
		if (quoted && *p == '"') {
			p++;
			closed = true;
			break;
		}
		if (!quoted && (*p == ';' || *p == ' ' || *p == '\t'))
			break;
		if (quoted && *p == '\\' && p[1])
			p++;
		if (length + 1 < n)
			value[length] = *p;
		length++;
	}
	*at = p;
	if (!closed || length + 1 > n)
		return -1;
	value[length] = '\0';
	return 0;
}

int
media_param(const char *text, const char *name, char *value, size_t n)
{
	const char *at = text;
	size_t n_name = strlen(name);

	while (*at && *at != ';')
		at++;
	while (*at == ';') {
		const char *start = at = skip_space(at + 1);
		bool wanted;
		char ignored[1024];

		while (is_token(*at))
			at++;
		if (at == start && (!*at || *at == ';'))
			continue;                                  /* an empty parameter: "; ;" or a last ';' */
		wanted = (size_t)(at - start) == n_name && strncasecmp(start, name, n_name) == 0;
		if (*at++ != '=')
			return -1;
		if (read_value(&at, wanted ? value : ignored, wanted ? n : sizeof ignored) < 0)
			return -1;
		if (wanted)
			return 1;
		at = skip_space(at);
	}
	return *at ? -1 : 0;
}

/* Weight in thousandths of one Accept element: 0..1000, 1000 when it has none or a malformed one. */
static int
weight(const char *element)
{
	char text[8];
	char *end;
	double q;

	if (media_param(element, "q", text, sizeof text) != 1)
		return 1000;
	q = strtod(text, &end);
	return end != text && !*end && q >= 0 && q <= 1 ? (int)(q * 1000 + 0.5) : 1000;
}

/* How closely a range fits: 3 the type itself, 2 type/ *, 1 * / *, 0 not at all. */
static int
closeness(const char *range, const char *offer)
{
	size_t n = strlen(range), n_offer = strcspn(offer, ";");

	if (n == n_offer && strncasecmp(range, offer, n) == 0)
		return 3;
	if (strcmp(range, "*/*") == 0)
		return 1;
	return n > 2 && strcmp(range + n - 2, "/*") == 0 && strncasecmp(range, offer, n - 1) == 0 ? 2 : 0;
}

/* Copies one element of a list and moves behind its comma; commas inside quotes are text. False when it is too long (it is skipped). */
static bool
next_element(const char **at, char *element, size_t n)
{
	bool quoted = false;
	size_t length = 0;
	const char *p;

	for (p = *at; *p && (quoted || *p != ','); p++) {
		if (*p == '"')
			quoted = !quoted;
		if (length + 1 < n)
			element[length] = *p;
		length++;
	}
	*at = *p ? p + 1 : p;
	element[length < n ? length : n - 1] = '\0';
	return length < n;
}

static int
offer_weight(const char *accept, const char *offer)
{
	int best = 0, q = 0;

	while (*accept) {
		char element[256], range[MEDIA_TYPE];
		int close;
		if (!next_element(&accept, element, sizeof element) || media_type(element, range) < 0)
			continue;
		close = closeness(range, offer);
		if (close > best) {
			best = close;
			q = weight(element);
		}
	}
	return q;
}

const char *
media_accept(const char *accept, const char *const *offers, size_t n)
{
	const char *chosen = NULL;
	int best = 0;

	if (!accept || !*skip_space(accept))
		return n ? offers[0] : NULL;
	for (size_t i = 0; i < n; i++) {
		int q = offer_weight(accept, offers[i]);
		if (q > best) {
			best = q;
			chosen = offers[i];
		}
	}
	return chosen;
}
