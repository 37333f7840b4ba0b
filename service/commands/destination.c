/* DESTINATION on a command line. */
#include "service/commands/destination.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_TIMEOUT_S = 30 };

static int
parse_address(const char *text, struct destination_setting *out, struct err *e)
{
	const char *at = strchr(text, '@'), *colon = strrchr(text, ':');
	char *end;

	*out = (struct destination_setting) { .type = DESTINATION_DIMSE, .timeout = DEFAULT_TIMEOUT_S };
	if (colon == NULL || colon < at || at == text || (size_t)(at - text) >= sizeof out->aet || colon == at + 1 || (size_t)(colon - at) > sizeof out->host)
		return err_set(e, ERR_INPUT, "\"%.200s\" is not AET@HOST:PORT", text);
	out->port = strtol(colon + 1, &end, 10);
	if (*end != '\0' || out->port < 1 || out->port > 65535)
		return err_set(e, ERR_INPUT, "\"%.200s\": the port is a number from 1 to 65535", text);
	snprintf(out->name, sizeof out->name, "%.64s", text);
	snprintf(out->aet, sizeof out->aet, "%.*s", (int)(at - text), text);
	snprintf(out->host, sizeof out->host, "%.*s", (int)(colon - at - 1), at + 1);
	return 0;
}

int
destination_find(const struct settings *s, const char *text, struct destination_setting *out, struct err *e)
{
	const struct destination_setting *found = settings_destination(s, text);
	char names[300] = "";

	if (found == NULL && strchr(text, '@') != NULL)
		return parse_address(text, out, e);
	if (found == NULL) {
		for (size_t i = 0; i < s->n_destinations; i++)
			snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i == 0 ? "" : ", ", s->destinations[i].name);
		return err_set(e, ERR_NOT_FOUND, "there is no destination \"%.64s\"; configured: %s; or give AET@HOST:PORT", text, names[0] == '\0' ? "none" : names);
	}
	if (found->type == DESTINATION_SENDER)
		return err_set(e, ERR_INPUT, "destination \"%.64s\" means whoever sent a study; name a peer as AET@HOST:PORT", text);
	*out = *found;
	return 0;
}
